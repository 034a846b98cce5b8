//! One program in three roles, told apart by how it is called:
//!
//! * `cargo legionella …`: the [command] that people type;
//! * `cargo-legionella RUSTC ARGUMENTS…`: the compiler [wrapper] that cargo calls in rustc's place
//!   (`build.rustc-wrapper`);
//! * under the name of a link in a folder with a link plan: the [linker] that rustc calls, because
//!   the wrapper told it to.
//!
//! This file tells the roles apart and knows nothing else.

mod command;
mod linker;
mod store;
mod wrapper;

use std::env;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = env::args_os();
    let program = args.next().unwrap_or_default();
    let mut args: Vec<_> = args.collect();
    // What is wrong with the setting is the application's to say.
    let _ = legionella::code::initialise_log();
    let result = if let Some(plan) = linker::Plan::beside(program.as_ref()) {
        plan.and_then(|plan| linker::run(&plan, &args))
    } else if args.first().is_some_and(|first| first == "legionella") {
        args.remove(0);
        command::run(&args)
    } else if args
        .first()
        .is_some_and(|first| wrapper::is_compiler(first.as_ref()))
    {
        wrapper::run(&args)
    } else {
        command::run(&args)
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: legionella: {error:#}");
        ExitCode::FAILURE
    })
}
