//! The driver process: answers an application's requests for code on its standard input.

mod log;

fn main() -> std::process::ExitCode {
    log::start();
    legionella_driver::serve()
}
