//! The driver process: answers an application's requests for code on its standard input.

fn main() -> std::process::ExitCode {
    legionella_driver::serve()
}
