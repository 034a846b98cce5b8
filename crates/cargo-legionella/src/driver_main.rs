//! The driver process: answers an application's requests for code on its standard input.

fn main() -> std::process::ExitCode {
    // What is wrong with the setting is the application's to say.
    let _ = legionella::code::initialise_log();
    legionella_driver::serve()
}
