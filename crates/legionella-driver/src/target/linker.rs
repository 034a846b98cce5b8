//! Links an object file into the shared object that the application opens, with the toolchain's
//! own linker.
//!
//! The linker takes longer to start than to link: it loads LLVM as well. So it is started before
//! there is anything to link, and waits for its arguments.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::Toolbox;
use crate::error::Error;

/// The linker that every Rust toolchain brings along.
const LINKER: &str = "rust-lld";

/// A linker that waits for an object file.
pub(super) struct Linker {
    program: PathBuf,
    process: Child,
    /// Where it works.
    folder: TempDir,
}

impl Linker {
    /// `emulation` is what the linker calls the kind of its output. It has to be told on the command line,
    /// or the linker reads its arguments twice to look for it.
    pub(super) fn start(toolbox: &Toolbox, emulation: &str) -> Result<Self, Error> {
        let program = find(toolbox)?;
        // It starts in another folder.
        let program =
            std::path::absolute(&program).map_err(|error| Error::file(&program, error))?;
        let folder =
            tempfile::tempdir().map_err(|error| Error::file(&std::env::temp_dir(), error))?;
        let process = Command::new(&program)
            .args(["-flavor", "gnu", "-m", emulation, "@/dev/stdin"])
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| Error::file(&program, error))?;
        Ok(Linker {
            program,
            process,
            folder,
        })
    }

    /// Links one object file, in the way that the linker's `arguments` say.
    pub(super) fn link(mut self, object: &[u8], arguments: &str) -> Result<Vec<u8>, Error> {
        let input = self.folder.path().join("kernel.o");
        let output = self.folder.path().join("kernel.so");
        std::fs::write(&input, object).map_err(|error| Error::file(&input, error))?;
        let arguments = format!("{arguments} -o kernel.so kernel.o");
        let told = match self.process.stdin.take() {
            Some(mut stdin) => stdin.write_all(arguments.as_bytes()),
            None => Ok(()),
        };
        let mut problem = String::new();
        if let Some(stderr) = &mut self.process.stderr {
            let _ = std::io::Read::read_to_string(stderr, &mut problem);
        }
        let status = self.process.wait();
        let status = status.map_err(|error| Error::file(&self.program, error))?;
        if !status.success() {
            return Err(Error::Internal {
                stage: "link",
                reason: format!("{status}: {problem}"),
            });
        }
        told.and_then(|()| std::fs::read(&output))
            .map_err(|error| Error::file(&output, error))
    }
}

impl Drop for Linker {
    fn drop(&mut self) {
        // One that has nothing to link; there is none to tell if that fails.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

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
