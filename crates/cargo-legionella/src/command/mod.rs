//! `cargo legionella …`: the command that people type.
//!
//! One module a group of subcommands; this file knows which words lead where.

mod cargo;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::bail;

/// Runs the subcommand that the arguments begin with.
pub(crate) fn run(args: &[OsString]) -> anyhow::Result<ExitCode> {
    let Some((subcommand, rest)) = args.split_first() else {
        bail!("no subcommand given: try `cargo legionella run`");
    };
    match subcommand.to_str() {
        Some("run" | "build" | "test" | "bench") => cargo::run(subcommand, rest),
        _ => bail!("no such subcommand: `{}`", subcommand.display()),
    }
}
