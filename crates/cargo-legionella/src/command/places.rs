//! Where programs and configuration files are, for the subcommands that look for them. Reads the
//! environment and the file system; changes nothing and fails on nothing.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The executable file of that name in the folders of `PATH`.
pub(super) fn on_path(name: impl AsRef<Path>) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(name.as_ref()))
        .find(|file| is_executable(file))
}

/// Whether a file can be run.
pub(super) fn is_executable(file: &Path) -> bool {
    let Ok(metadata) = file.metadata() else {
        return false;
    };
    #[cfg(unix)]
    let may_run = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o111 != 0;
    #[cfg(not(unix))]
    let may_run = true;
    metadata.is_file() && may_run
}

/// Cargo's own folder.
pub(super) fn cargo_home() -> Option<PathBuf> {
    if let Some(home) = env::var_os("CARGO_HOME").filter(|home| !home.is_empty()) {
        return Some(home.into());
    }
    Some(env::home_dir()?.join(".cargo"))
}

/// The configuration file that cargo reads in a folder: where there is the old name, that.
pub(super) fn configuration_file(folder: &Path) -> PathBuf {
    let old = folder.join(".cargo/config");
    if old.is_file() {
        return old;
    }
    folder.join(".cargo/config.toml")
}

/// Whether a compiler wrapper is this program.
pub(super) fn is_this(wrapper: &OsStr) -> bool {
    let this = env::current_exe().unwrap_or_default();
    super::cargo::is_this(wrapper, &this)
}
