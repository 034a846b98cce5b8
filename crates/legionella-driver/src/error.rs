//! Why the driver could not do what it was asked, told apart by what one can do about it.

use std::path::{Path, PathBuf};

/// What goes wrong between a program's bitcode and generated code.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no `libLLVM` where one is looked for.
    #[error(
        "no libLLVM found in {}: set LEGIONELLA_LLVM to the libLLVM of a Rust toolchain, \
         or put `rustc` on PATH",
        list(tried)
    )]
    LlvmNotFound {
        /// The directories that were looked into.
        tried: Vec<PathBuf>,
    },
    /// A `libLLVM` cannot be used.
    #[error("cannot load LLVM from {}: {reason}", path.display())]
    LlvmLoad {
        /// The library.
        path: PathBuf,
        /// What the loader said.
        reason: String,
    },
    /// A file cannot be read or written.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        reason: String,
    },
    /// Bitcode cannot be read.
    #[error("{origin}: {reason}; rebuild the crate, or report this if it stays")]
    Bitcode {
        /// Where the bitcode comes from.
        origin: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A kernel's code is in none of the bitcode stores.
    #[error(
        "no bitcode for kernel `{kernel}`: its crate was compiled without the wrapper, or its \
         bitcode was deleted; build with `cargo legionella build`"
    )]
    MissingKernel {
        /// The kernel's demangled name.
        kernel: String,
    },
    /// There is no such target.
    #[error("there is no target `{name}`; there are: {known}")]
    UnknownTarget {
        /// The name that was asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// A target has no such machine.
    #[error("target `{target}` has no machine `{cpu}`: {advice}")]
    UnknownCpu {
        /// The target.
        target: &'static str,
        /// The name that was asked for.
        cpu: String,
        /// What names there are.
        advice: &'static str,
    },
    /// The linker of the toolchain cannot be found.
    #[error(
        "no rust-lld found, looked for {}: put the one of a Rust toolchain beside the driver",
        list(tried)
    )]
    LinkerNotFound {
        /// The files that were looked for.
        tried: Vec<PathBuf>,
    },
    /// LLVM refused something that the driver made: a fault of the driver.
    #[error("internal error in {stage}: {reason}")]
    Internal {
        /// The stage that failed.
        stage: &'static str,
        /// What LLVM said.
        reason: String,
    },
}

impl Error {
    /// A failed operation on a file.
    pub fn file(path: &Path, error: impl std::fmt::Display) -> Self {
        Error::File {
            path: path.to_owned(),
            reason: error.to_string(),
        }
    }
}

fn list(paths: &[PathBuf]) -> String {
    let mut text = String::new();
    for (index, path) in paths.iter().enumerate() {
        if index > 0 {
            text.push_str(", ");
        }
        text.push_str(&path.display().to_string());
    }
    text
}
