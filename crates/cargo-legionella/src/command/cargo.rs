//! `run`, `build`, `test`, `bench`: cargo, with this program as its compiler wrapper.
//!
//! All arguments go to cargo. A wrapper that was set before is remembered for the wrapper to run
//! the compiler by. This module must not know what the wrapper does.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::Context as _;

use crate::linker;
use crate::wrapper::{self, CHAINED};

/// Runs a subcommand of cargo, and gives its status. `prebuild` are targets to generate code for
/// while linking, if anything but what the environment says.
pub(super) fn run(
    subcommand: &OsStr,
    args: &[OsString],
    prebuild: Option<&str>,
) -> anyhow::Result<ExitCode> {
    let mut command = command(subcommand, args, prebuild)?;
    let status = command
        .status()
        .with_context(|| format!("running {}", command.get_program().display()))?;
    Ok(wrapper::exit_code(status))
}

/// A subcommand of cargo with this program as its compiler wrapper.
pub(super) fn command(
    subcommand: &OsStr,
    args: &[OsString],
    prebuild: Option<&str>,
) -> anyhow::Result<Command> {
    let this = env::current_exe().context("finding this program")?;
    let mut command = Command::new(program());
    command.arg(subcommand).args(args);
    if let Some(before) = wrapper_before(args)?
        && !is_this(&before, &this)
    {
        command.env(CHAINED, before);
    }
    if let Some(prebuild) = prebuild {
        command.env(linker::PREBUILD, prebuild);
    }
    command.env("RUSTC_WRAPPER", this);
    Ok(command)
}

/// The cargo that runs this program as its subcommand, or else the one on `PATH`.
pub(super) fn program() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// The compiler wrapper that cargo would use, in cargo's order of precedence.
fn wrapper_before(args: &[OsString]) -> anyhow::Result<Option<OsString>> {
    for variable in ["RUSTC_WRAPPER", "CARGO_BUILD_RUSTC_WRAPPER"] {
        if let Some(wrapper) = env::var_os(variable) {
            return Ok(Some(wrapper).filter(|wrapper| !wrapper.is_empty()));
        }
    }
    let folder = env::current_dir().context("finding the current folder")?;
    for source in command_line_configuration(args) {
        let wrapper = match source.to_str().filter(|text| text.contains('=')) {
            Some(text) => wrapper_in(text, &folder).context("reading `--config`")?,
            None => wrapper_of_file(Path::new(&source))?,
        };
        if wrapper.is_some() {
            return Ok(wrapper);
        }
    }
    for file in configuration_files(&folder) {
        if let Some(wrapper) = wrapper_of_file(&file)? {
            return Ok(Some(wrapper).filter(|wrapper| !wrapper.is_empty()));
        }
    }
    Ok(None)
}

/// Values of `--config`, the last one first.
fn command_line_configuration(args: &[OsString]) -> Vec<OsString> {
    let mut values = Vec::new();
    let mut args = args.iter().take_while(|arg| *arg != "--");
    while let Some(arg) = args.next() {
        if arg == "--config" {
            values.extend(args.next().cloned());
        } else if let Some(value) = arg.to_str().and_then(|arg| arg.strip_prefix("--config=")) {
            values.push(value.into());
        }
    }
    values.reverse();
    values
}

/// Cargo's configuration files that apply in a folder, the most specific first.
pub(super) fn configuration_files(folder: &Path) -> Vec<PathBuf> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| {
        let home = env::home_dir()?;
        Some(home.join(".cargo"))
    });
    let mut folders: Vec<PathBuf> = folder.ancestors().map(|dir| dir.join(".cargo")).collect();
    if let Some(home) = home
        && !folders.contains(&home)
    {
        folders.push(home);
    }
    folders
        .into_iter()
        // Where both names are there, cargo reads the one without extension.
        .filter_map(|folder| {
            let names = ["config", "config.toml"];
            names
                .iter()
                .map(|name| folder.join(name))
                .find(|file| file.is_file())
        })
        .collect()
}

/// `build.rustc-wrapper` of a configuration file.
pub(super) fn wrapper_of_file(file: &Path) -> anyhow::Result<Option<OsString>> {
    let context = || format!("reading {}", file.display());
    let text = fs::read_to_string(file).with_context(context)?;
    // Relative programs are relative to the folder that `.cargo` is in.
    let base = file.parent().and_then(Path::parent).unwrap_or(file);
    wrapper_in(&text, base).with_context(context)
}

/// `build.rustc-wrapper` in a configuration text. A name with a folder in it is relative to `base`.
fn wrapper_in(text: &str, base: &Path) -> anyhow::Result<Option<OsString>> {
    let document: toml_edit::DocumentMut = text.parse()?;
    let wrapper = document
        .get("build")
        .and_then(|build| build.get("rustc-wrapper"))
        .and_then(|wrapper| wrapper.as_str());
    Ok(wrapper.map(|wrapper| {
        if wrapper.contains(std::path::is_separator) {
            base.join(wrapper).into_os_string()
        } else {
            wrapper.into()
        }
    }))
}

/// Whether a wrapper is this very program, so that there is nothing to chain.
pub(super) fn is_this(wrapper: &OsStr, this: &Path) -> bool {
    let same_name = |path: &Path| path.file_stem() == Some(OsStr::new("cargo-legionella"));
    let wrapper = Path::new(wrapper);
    same_name(wrapper)
        || wrapper
            .canonicalize()
            .is_ok_and(|path| same_name(&path) || path == this)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_wrapper_from_a_configuration() {
        let base = Path::new("/p");
        let text = "[build]\nrustc-wrapper = \"sccache\"\n";
        assert_eq!(wrapper_in(text, base).unwrap(), Some("sccache".into()));
        let text = "build.rustc-wrapper = \"tools/wrap\"\n";
        assert_eq!(
            wrapper_in(text, base).unwrap(),
            Some("/p/tools/wrap".into())
        );
        assert_eq!(wrapper_in("[net]\n", base).unwrap(), None);
        assert!(wrapper_in("[net", base).is_err());
    }

    #[test]
    fn last_configuration_argument_counts_first() {
        let args = ["--config", "a=1", "--config=b=2", "--", "--config", "c=3"];
        let args: Vec<OsString> = args.iter().map(OsString::from).collect();
        assert_eq!(command_line_configuration(&args), ["b=2", "a=1"]);
    }
}
