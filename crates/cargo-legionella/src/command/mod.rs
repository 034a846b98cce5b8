//! `cargo legionella …`: the command that people type.
//!
//! One module a subcommand; this file knows which words lead where and what they are explained by.

mod build;
mod bundle;
mod cargo;
mod doctor;
mod image;
mod init;
mod inspect;
mod new;
mod places;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "cargo legionella",
    bin_name = "cargo legionella",
    version,
    about = "Builds Rust programs whose functions run on accelerators",
    after_help = "First steps:\n  \
        cargo legionella new hello && cd hello && cargo run\n\
        In a project of your own:\n  \
        cargo legionella init\n\
        If something does not work:\n  \
        cargo legionella doctor",
    disable_help_subcommand = true
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a project that runs at once
    New(new::Arguments),
    /// Set a project up so that plain `cargo run`, `test` and `bench` keep device code
    Init(init::Arguments),
    /// Run a program: `cargo run` with Legionella's compiler wrapper
    Run(Cargo),
    /// Build: `cargo build` with Legionella's compiler wrapper
    Build(Cargo),
    /// Test: `cargo test` with Legionella's compiler wrapper
    Test(Cargo),
    /// Measure: `cargo bench` with Legionella's compiler wrapper
    Bench(Cargo),
    /// Say what is installed here, what is missing, and how to get it
    Doctor(doctor::Arguments),
    /// Show the kernels in an executable or shared library, and their code
    Inspect(inspect::Arguments),
    /// Pack a program with all it needs to run on a machine without Rust
    Bundle(bundle::Arguments),
}

/// What `run`, `build`, `test` and `bench` are given. Only their help comes from here: arguments of
/// cargo are not for another program to interpret, so [`build`] reads them as they are.
#[derive(Args)]
#[command(
    after_help = "Everything else is passed on to cargo: `cargo help build` and the like list it."
)]
struct Cargo {
    /// Generate code while building, so that the program needs no driver where that code fits:
    /// a list such as `cpu,cpu:x86-64-v3`, where `cpu` alone means this machine
    #[arg(long, value_name = "TARGET[:CPU],…")]
    prebuild: Option<String>,
    /// Arguments of cargo
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGUMENTS"
    )]
    rest: Vec<OsString>,
}

/// Runs the subcommand that the arguments begin with.
pub(crate) fn run(args: &[OsString]) -> anyhow::Result<ExitCode> {
    if let Some((subcommand, rest)) = args.split_first()
        && matches!(
            subcommand.to_str(),
            Some("run" | "build" | "test" | "bench")
        )
        && !rest
            .first()
            .is_some_and(|first| first == "--help" || first == "-h")
    {
        return build::run(subcommand, rest);
    }
    let program = OsString::from("cargo legionella");
    let arguments = match Arguments::try_parse_from(std::iter::once(&program).chain(args)) {
        Ok(arguments) => arguments,
        Err(error) => {
            error.print()?;
            return Ok(ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2)));
        }
    };
    let passed_on = |name: &str, cargo: Cargo| {
        let prebuild = cargo
            .prebuild
            .map(|list| format!("--prebuild={list}").into());
        let rest: Vec<OsString> = prebuild.into_iter().chain(cargo.rest).collect();
        build::run(name.as_ref(), &rest)
    };
    match arguments.command {
        Command::New(arguments) => new::run(&arguments),
        Command::Init(arguments) => init::run(&arguments),
        Command::Run(cargo) => passed_on("run", cargo),
        Command::Build(cargo) => passed_on("build", cargo),
        Command::Test(cargo) => passed_on("test", cargo),
        Command::Bench(cargo) => passed_on("bench", cargo),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Bundle(arguments) => bundle::run(&arguments),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_declaration_of_arguments_is_sound() {
        super::Arguments::command().debug_assert();
    }
}
