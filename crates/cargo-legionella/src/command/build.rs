//! `run`, `build`, `test`, `bench`: what of their arguments is Legionella's, and the rest to cargo.
//!
//! Knows one option, `--prebuild`, and sees to it that its targets exist before anything is built.

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

use anyhow::Context as _;
use legionella_driver::{inspect, llvm};

use crate::linker;

/// Runs a subcommand of cargo.
pub(super) fn run(subcommand: &OsStr, args: &[OsString]) -> anyhow::Result<ExitCode> {
    let mut args = args.to_vec();
    let prebuild = take_prebuild(&mut args)?;
    super::cargo::run(subcommand, &args, prebuild.as_deref())
}

/// Takes `--prebuild` out of the arguments and checks that its targets exist.
pub(super) fn take_prebuild(args: &mut Vec<OsString>) -> anyhow::Result<Option<String>> {
    let lists = take_option(args, &["--prebuild"])?;
    if lists.is_empty() {
        return Ok(None);
    }
    let texts: Vec<&str> = (lists.iter())
        .map(|list| list.to_str().context("`--prebuild` is not text"))
        .collect::<anyhow::Result<_>>()?;
    let list = texts.join(",");
    let targets = linker::targets(&list)?;
    let toolchain = std::env::var_os("RUSTC")
        .as_deref()
        .and_then(llvm::sysroot_of);
    llvm::load(&llvm::find(toolchain.as_deref())?)?;
    for target in &targets {
        inspect::check(target)?;
    }
    Ok(Some(list))
}

/// Takes every occurrence of an option with a value out of the arguments before `--`, and gives
/// the values.
pub(super) fn take_option(
    args: &mut Vec<OsString>,
    names: &[&str],
) -> anyhow::Result<Vec<OsString>> {
    let mut values = Vec::new();
    let mut rest = Vec::with_capacity(args.len());
    let mut all = std::mem::take(args).into_iter();
    while let Some(arg) = all.next() {
        if arg == "--" {
            rest.push(arg);
            rest.extend(all);
            break;
        }
        let text = arg.to_str().unwrap_or_default();
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(OsString::from(value))),
            None => (text, None),
        };
        if names.contains(&name) {
            let value = value.or_else(|| all.next());
            values.push(value.with_context(|| format!("`{name}` needs a value"))?);
        } else {
            rest.push(arg);
        }
    }
    *args = rest;
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn options_are_taken_from_anywhere_but_the_programs_own() {
        let mut args = arguments("--release --prebuild a --bin x --prebuild=b -- --prebuild c");
        let values = take_option(&mut args, &["--prebuild"]).unwrap();
        assert_eq!(values, ["a", "b"]);
        assert_eq!(args, arguments("--release --bin x -- --prebuild c"));
        assert!(take_option(&mut arguments("-o"), &["-o", "--output"]).is_err());
    }
}
