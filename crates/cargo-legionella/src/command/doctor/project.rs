//! How the project in the current folder is set up.

use std::env;

use super::findings::{Report, State};
use crate::command::{cargo, places};
use crate::wrapper::CHAINED;

const PART: &str = "Project in this folder";

/// Whether plain cargo would use the compiler wrapper here, and what else it would run.
pub(super) fn wrapper(report: &mut Report) {
    let folder = match env::current_dir() {
        Ok(folder) => folder,
        Err(error) => {
            report.add(PART, "folder", State::Note, format!("not known: {error}"));
            return;
        }
    };
    let manifest = folder
        .ancestors()
        .map(|folder| folder.join("Cargo.toml"))
        .find(|file| file.is_file());
    match manifest {
        Some(manifest) => {
            report.add(
                PART,
                "manifest",
                State::Good,
                manifest.display().to_string(),
            );
        }
        None => {
            report.add(PART, "manifest", State::Note, "no Cargo.toml here or above");
            return;
        }
    }
    for variable in ["RUSTC_WRAPPER", "CARGO_BUILD_RUSTC_WRAPPER"] {
        let Some(wrapper) = env::var_os(variable) else {
            continue;
        };
        let found = format!("{variable}={}", wrapper.display());
        if places::is_this(&wrapper) {
            report.add(PART, "wrapper", State::Good, found);
        } else {
            report.add(PART, "wrapper", State::Warning, found).advise(
                "plain `cargo run` uses that one; unset it, or use `cargo legionella run`, which \
                 runs both",
            );
        }
        return;
    }
    for file in cargo::configuration_files(&folder) {
        let (wrapper, found) = match cargo::wrapper_of_file(&file) {
            Ok(None) => continue,
            Ok(Some(wrapper)) => {
                let found = format!("{}, set in {}", wrapper.display(), file.display());
                (wrapper, found)
            }
            Err(error) => {
                report.add(PART, "wrapper", State::Warning, format!("{error:#}"));
                return;
            }
        };
        if !places::is_this(&wrapper) {
            report.add(PART, "wrapper", State::Warning, found).advise(
                "plain `cargo run` uses that one; `cargo legionella init` sets ours and keeps it \
                 behind",
            );
        } else if is_there(&wrapper) {
            report.add(PART, "wrapper", State::Good, found);
            chained(report, &file);
        } else {
            report.add(PART, "wrapper", State::Warning, format!("{found}, is not there")).advise(
                "plain cargo can't build: put cargo-legionella on PATH, or run `cargo legionella \
                 init` again",
            );
        }
        return;
    }
    report.add(PART, "wrapper", State::Note, "not set").advise(
        "`cargo legionella run` works; `cargo legionella init` makes plain `cargo run` work too",
    );
}

fn is_there(wrapper: &std::ffi::OsStr) -> bool {
    let path = std::path::Path::new(wrapper);
    if path.components().count() > 1 {
        places::is_executable(path)
    } else {
        places::on_path(path).is_some()
    }
}

/// The wrapper that ours runs the compiler by.
fn chained(report: &mut Report, file: &std::path::Path) {
    let in_file = || {
        let text = std::fs::read_to_string(file).ok()?;
        let document: toml_edit::DocumentMut = text.parse().ok()?;
        let value = document.get("env")?.get(CHAINED)?;
        let value = value.get("value").unwrap_or(value);
        value.as_str().map(str::to_owned)
    };
    let set = env::var_os(CHAINED).map(|value| value.display().to_string());
    if let Some(wrapper) = set.or_else(in_file) {
        report.add(PART, "chained wrapper", State::Good, wrapper);
    }
}
