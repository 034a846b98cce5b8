//! What the wrapper tells the linker step, and what that tells back.
//!
//! Both go through a folder of the compilation's own. In it lies the plan, and beside it a link to
//! this program; rustc is told to use that link as the linker, and the process that it starts
//! knows by its own name where the plan is. No environment variable is involved, which a process
//! that merely descends from the compiler (a procedural macro's, say) would inherit.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::UNIX_EPOCH;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

use crate::store::Pending;

const PLAN: &str = "plan";
const OUTCOME: &str = "outcome";
const WARNINGS: &str = "warnings";
/// What the compiler says of itself, in the folder of the artifacts.
const COMPILER: &str = "legionella-compiler";

/// What the linker step needs to know of the compilation that it is part of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// The linker to run in the end.
    pub linker: PathBuf,
    /// The compiler, preceded by a workspace wrapper if there is one.
    pub compiler: Vec<PathBuf>,
    /// The compiler's `--sysroot`.
    pub sysroot: Option<PathBuf>,
    /// The compiler's `--target`.
    pub target: Option<String>,
    /// The crate's own bitcode.
    pub bitcode: Pending,
    /// Folder that the plan was read from.
    #[serde(skip)]
    folder: PathBuf,
}

/// What the linker step did beyond linking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The image has kernels and was given a bundle.
    Bundled,
    /// The image has kernels, but bitcode of its own crate is missing.
    Incomplete,
}

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Outcome::Bundled => "bundled",
            Outcome::Incomplete => "incomplete",
        }
    }
}

impl Plan {
    /// A plan of the wrapper.
    pub fn new(
        linker: PathBuf,
        compiler: Vec<PathBuf>,
        sysroot: Option<PathBuf>,
        target: Option<String>,
        bitcode: Pending,
    ) -> Self {
        Plan {
            linker,
            compiler,
            sysroot,
            target,
            bitcode,
            folder: PathBuf::new(),
        }
    }

    /// Writes the plan into `folder`, and gives the path to call this program by as linker. It
    /// has the file name of the linker that was asked for, by which rustc knows its options.
    pub fn install(&self, folder: &Path, asked: Option<&Path>) -> anyhow::Result<PathBuf> {
        let bytes = postcard::to_allocvec(self)?;
        fs::write(folder.join(PLAN), bytes)?;
        let name = asked
            .and_then(Path::file_name)
            .unwrap_or(OsStr::new("legionella-linker"));
        let link = folder.join(name);
        let program = std::env::current_exe().context("finding this program")?;
        #[cfg(unix)]
        std::os::unix::fs::symlink(program, &link)?;
        #[cfg(not(unix))]
        fs::copy(program, &link)?;
        Ok(link)
    }

    /// The plan in the folder of the program that was called; `None` if it is no linker's.
    pub fn beside(program: &Path) -> Option<anyhow::Result<Self>> {
        let folder = program.parent().filter(|folder| *folder != Path::new(""))?;
        let path = folder.join(PLAN);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(_) => return None,
        };
        let plan = postcard::from_bytes::<Plan>(&bytes)
            .with_context(|| format!("reading {}", path.display()))
            .map(|plan| Plan {
                folder: folder.to_owned(),
                ..plan
            });
        Some(plan)
    }

    /// Folder for the linker step's own files.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Tells the wrapper what happened.
    pub fn leave(&self, outcome: Outcome) -> anyhow::Result<()> {
        let path = self.folder.join(OUTCOME);
        fs::write(&path, outcome.name()).with_context(|| format!("writing {}", path.display()))
    }

    /// Has the wrapper warn: rustc swallows what linkers say when they succeed.
    pub fn warn(&self, warnings: impl Iterator<Item = String>) -> anyhow::Result<()> {
        let text: String = warnings
            .map(|warning| format!("warning: {warning}\n"))
            .collect();
        let path = self.folder.join(WARNINGS);
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
    }

    /// The compiler's sysroot.
    pub fn sysroot(&self) -> anyhow::Result<PathBuf> {
        if let Some(sysroot) = &self.sysroot {
            return Ok(sysroot.clone());
        }
        // A proxy has to be asked.
        if let Some(sysroot) = self.toolchain() {
            return Ok(sysroot.to_owned());
        }
        let sysroot = self.ask("--print=sysroot")?;
        Ok(PathBuf::from(sysroot.trim_end()))
    }

    /// The compiler's answer to `-vV`, which is kept beside the crate's artifact: starting the
    /// compiler takes longer than most of what a link does.
    pub fn compiler_version(&self) -> anyhow::Result<String> {
        let kept = self.bitcode.store.with_file_name(COMPILER);
        let identity = self.compiler_identity();
        if let Some(identity) = &identity
            && let Ok(text) = fs::read_to_string(&kept)
            && let Some((first, answer)) = text.split_once('\n')
            && first == identity
        {
            return Ok(answer.to_owned());
        }
        let answer = self.ask("-vV")?;
        if let Some(identity) = identity {
            // Whole or not at all, since other links may be reading; without it they ask, too.
            let fresh = self.folder.join(COMPILER);
            let _ = fs::write(&fresh, format!("{identity}\n{answer}"))
                .and_then(|()| fs::rename(&fresh, &kept));
        }
        Ok(answer)
    }

    /// What changes when the compiler does: its file's path, length and time; `None` for a proxy,
    /// whose file says nothing about the compiler that it runs.
    fn compiler_identity(&self) -> Option<String> {
        self.toolchain()?;
        let compiler = self.compiler.last()?;
        let file = fs::metadata(compiler).ok()?;
        let time = file.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        let path = compiler.display();
        Some(format!("{path} {} {}", file.len(), time.as_nanos()))
    }

    /// The folder of the toolchain that the compiler's file is part of, as `bin/rustc`; `None` for a
    /// proxy.
    fn toolchain(&self) -> Option<&Path> {
        let folder = self.compiler.last()?.parent()?.parent()?;
        folder
            .join("lib")
            .join("rustlib")
            .is_dir()
            .then_some(folder)
    }

    fn ask(&self, option: &str) -> anyhow::Result<String> {
        let compiler = self.compiler.last().context("no compiler in the plan")?;
        let output = Command::new(compiler)
            .arg(option)
            .output()
            .with_context(|| format!("running {}", compiler.display()))?;
        if !output.status.success() {
            bail!("`{} {option}` failed", compiler.display());
        }
        String::from_utf8(output.stdout).context("the compiler's answer is no text")
    }
}

/// What the linker step left in its folder.
pub(crate) fn outcome(folder: &Path) -> Option<Outcome> {
    let text = fs::read_to_string(folder.join(OUTCOME)).ok()?;
    [Outcome::Bundled, Outcome::Incomplete]
        .into_iter()
        .find(|outcome| outcome.name() == text)
}

/// What the linker step has to say to people.
pub(crate) fn warnings(folder: &Path) -> String {
    fs::read_to_string(folder.join(WARNINGS)).unwrap_or_default()
}

/// Removes what an earlier linker step left in its folder.
pub(crate) fn forget_outcome(folder: &Path) -> anyhow::Result<()> {
    match fs::remove_file(folder.join(OUTCOME)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// The linker that rustc would run, given its options. Without any it is the C compiler driver on
/// every target that is supported.
pub(crate) fn real(asked: Option<&Path>, flavor: Option<&str>) -> PathBuf {
    if let Some(asked) = asked {
        return asked.to_owned();
    }
    let name = match flavor {
        Some("ld" | "gnu") => "ld",
        Some("ld.lld" | "gnu-lld") => "lld",
        _ => "cc",
    };
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_are_found_by_the_name_of_the_program() {
        let folder = tempfile::tempdir().unwrap();
        let bitcode = Pending {
            store: "a b/store".into(),
            temps: "temps".into(),
            name: "foo-1".into(),
            scratch: "scratch".into(),
            incremental: None,
            externs: vec!["libbar.rlib".into()],
        };
        let plan = Plan::new("gcc".into(), vec!["rustc".into()], None, None, bitcode);
        let link = plan
            .install(folder.path(), Some(Path::new("/usr/bin/gcc")))
            .unwrap();
        assert_eq!(link.file_name(), Some(OsStr::new("gcc")));
        let read = Plan::beside(&link).unwrap().unwrap();
        assert_eq!(read.bitcode, plan.bitcode);
        assert_eq!(outcome(read.folder()), None);
        read.leave(Outcome::Incomplete).unwrap();
        assert_eq!(outcome(folder.path()), Some(Outcome::Incomplete));
        assert!(Plan::beside(Path::new("/usr/bin/gcc")).is_none());
        assert!(Plan::beside(Path::new("gcc")).is_none());
    }
}
