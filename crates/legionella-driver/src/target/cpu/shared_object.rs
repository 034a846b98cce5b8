//! Links an object file into the shared object that the application opens, with the toolchain's
//! own linker.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::super::Toolbox;
use crate::error::Error;

/// The linker that every Rust toolchain brings along.
const LINKER: &str = "rust-lld";

/// Links one object file.
pub(super) fn link(object: &[u8], toolbox: &Toolbox) -> Result<Vec<u8>, Error> {
    let linker = find(toolbox)?;
    let folder = tempfile::tempdir().map_err(|error| Error::file(&std::env::temp_dir(), error))?;
    let input = folder.path().join("kernel.o");
    let output = folder.path().join("kernel.so");
    std::fs::write(&input, object).map_err(|error| Error::file(&input, error))?;
    let run = Command::new(&linker)
        .args([
            "-flavor",
            "gnu",
            "-shared",
            "--gc-sections",
            "-z",
            "now",
            "--hash-style=gnu",
        ])
        .args(["--no-rosegment", "-O2", "--strip-debug", "-o"])
        .arg(&output)
        .arg(&input)
        .output()
        .map_err(|error| Error::file(&linker, error))?;
    if !run.status.success() {
        return Err(Error::Internal {
            stage: "link",
            reason: String::from_utf8_lossy(&run.stderr).into_owned(),
        });
    }
    std::fs::read(&output).map_err(|error| Error::file(&output, error))
}

/// Beside the driver, in the toolchain that built the program, then on `PATH`.
fn find(toolbox: &Toolbox) -> Result<PathBuf, Error> {
    let beside = std::env::current_exe()
        .ok()
        .and_then(|program| Some(program.parent()?.join(LINKER)));
    let in_sysroot = toolbox.sysroot.as_deref().and_then(in_sysroot);
    let on_path = std::env::var_os("PATH").into_iter().flat_map(|path| {
        std::env::split_paths(&path)
            .map(|folder| folder.join(LINKER))
            .collect::<Vec<_>>()
    });
    let mut tried: Vec<PathBuf> = beside
        .into_iter()
        .chain(in_sysroot)
        .chain(on_path)
        .collect();
    match tried.iter().position(|path| path.is_file()) {
        Some(found) => Ok(tried.swap_remove(found)),
        None => Err(Error::LinkerNotFound { tried }),
    }
}

fn in_sysroot(sysroot: &Path) -> Option<PathBuf> {
    let triples = std::fs::read_dir(sysroot.join("lib/rustlib")).ok()?;
    triples
        .filter_map(Result::ok)
        .map(|triple| triple.path().join("bin").join(LINKER))
        .find(|path| path.is_file())
}
