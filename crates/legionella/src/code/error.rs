//! Why there is no code for a kernel, by what the user can do about it.
//!
//! Errors are plain data and `Clone`, since several threads may wait for the same code. Their
//! text is for people; [`Error::Refused`] renders its diagnostics with source lines, and carries
//! them as they came for machines.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use legionella_abi::bundle;
use legionella_abi::protocol::{Diagnostic, TargetSpec};
use thiserror::Error as ThisError;

use super::render;

/// Why there is no code for a kernel.
#[derive(Clone, Debug, ThisError)]
pub enum Error {
    /// The image was built without the compiler wrapper, so it carries no device code.
    #[error(
        "kernel `{kernel}` has no device code, because this program was built without \
         Legionella's compiler wrapper: build and run it with `cargo legionella run` (or `build`, \
         `test`, `bench`), or run `cargo legionella init` once in the project so that plain \
         `cargo run` works; documentation tests can't launch, since rustdoc compiles them without \
         any wrapper: mark them `no_run`"
    )]
    NotWrapped {
        /// The kernel, as the caller names it.
        kernel: String,
    },

    /// The bundle that the linker step embedded cannot be read.
    #[error("this program's device code cannot be read: {reason}")]
    BadBundle {
        /// What is wrong with it.
        reason: String,
    },

    /// An environment variable has a value that means nothing.
    #[error("{variable}=`{value}` is not {expected}")]
    Setting {
        /// The variable.
        variable: &'static str,
        /// Its value.
        value: String,
        /// What would be understood.
        expected: &'static str,
    },

    /// No driver was found, and the kernel's code is neither prebuilt nor cached.
    #[error("kernel `{kernel}` needs code, and no Legionella driver was found to generate it{}", search_text(.searched))]
    NoDriver {
        /// The kernel.
        kernel: String,
        /// Every place that was searched, in order.
        searched: Vec<Searched>,
    },

    /// The driver was found and could not be started.
    #[error("the driver {} could not be started: {reason}{}", .driver.display(), log_text(.log))]
    NotStarted {
        /// The driver's executable.
        driver: PathBuf,
        /// What the operating system or the driver said.
        reason: String,
        /// Last lines of its standard error.
        log: String,
    },

    /// The driver speaks another version of the protocol.
    #[error(
        "the driver {} speaks version {theirs} of the protocol and this program version {ours}: \
         install the `cargo-legionella` of the same release as the `legionella` crate",
        .driver.display()
    )]
    VersionMismatch {
        /// The driver's executable.
        driver: PathBuf,
        /// The driver's version.
        theirs: u32,
        /// This program's version.
        ours: u32,
    },

    /// The driver ended, or sent what is not a message, before it answered.
    #[error(
        "the driver {} failed while it generated kernel `{kernel}`: {how}{}\nthe next launch starts a new driver",
        .driver.display(), log_text(.log)
    )]
    DriverDied {
        /// The kernel.
        kernel: String,
        /// The driver's executable.
        driver: PathBuf,
        /// How it ended or what it sent.
        how: String,
        /// Last lines of its standard error.
        log: String,
    },

    /// The driver took longer than the limit and was ended.
    #[error(
        "the driver {} had no code for kernel `{kernel}` after {} s and was ended; \
         LEGIONELLA_TIMEOUT sets the limit in seconds{}",
        .driver.display(), .limit.as_secs_f64(), log_text(.log)
    )]
    DriverTimedOut {
        /// The kernel.
        kernel: String,
        /// The driver's executable.
        driver: PathBuf,
        /// The limit.
        limit: Duration,
        /// Last lines of its standard error.
        log: String,
    },

    /// The target cannot do what the kernel does.
    #[error("{}", render::refusal(.kernel, .target, .diagnostics, false))]
    Refused {
        /// The kernel.
        kernel: String,
        /// The target that refused it.
        target: TargetSpec,
        /// All reasons.
        diagnostics: Vec<Diagnostic>,
    },

    /// The driver could not generate the code, for a reason that is not the kernel's.
    #[error("no code for kernel `{kernel}` on target `{}`: {reason}", .target.kind)]
    Failed {
        /// The kernel.
        kernel: String,
        /// The target.
        target: TargetSpec,
        /// What the driver said.
        reason: String,
    },

    /// The code needs machine features that are not there.
    #[error(
        "the code of kernel `{kernel}` needs a machine with {}, and this one lacks them",
        .missing.join(", ")
    )]
    Unfit {
        /// The kernel.
        kernel: String,
        /// The features, in LLVM's names.
        missing: Vec<String>,
    },

    /// Code could not be loaded into the process.
    #[error("the code of kernel `{kernel}` could not be loaded: {reason}")]
    NotLoaded {
        /// The kernel.
        kernel: String,
        /// What the dynamic loader or the operating system said.
        reason: String,
    },

    /// The operating system refused something that nothing works without.
    #[error("{what}: {source}")]
    Io {
        /// What was attempted.
        what: String,
        /// What the operating system said.
        source: Arc<std::io::Error>,
    },
}

impl Error {
    /// The error's text as a terminal shows it, in colour if `styled`.
    pub fn report(&self, styled: bool) -> String {
        match self {
            Error::Refused {
                kernel,
                target,
                diagnostics,
            } => render::refusal(kernel, target, diagnostics, styled),
            other => other.to_string(),
        }
    }
}

impl From<bundle::Malformed> for Error {
    fn from(malformed: bundle::Malformed) -> Self {
        Error::BadBundle {
            reason: malformed.to_string(),
        }
    }
}

/// A place where a driver was looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Searched {
    /// Which of the four places: a variable's name or a description.
    pub place: &'static str,
    /// What was found there instead of a driver.
    pub found: String,
}

impl fmt::Display for Searched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.found)
    }
}

fn search_text(places: &[Searched]) -> String {
    let mut text = String::from("; searched, in this order:");
    for (index, place) in places.iter().enumerate() {
        text.push_str(&format!("\n  {}. {place}", index + 1));
    }
    text.push_str(
        "\n`cargo install cargo-legionella` installs one; `cargo legionella build --prebuild` and \
         `cargo legionella bundle` make programs that need none",
    );
    text
}

fn log_text(log: &str) -> String {
    if log.trim().is_empty() {
        return String::new();
    }
    let mut text = String::from("\nits log ends with:");
    for line in log.lines() {
        text.push_str("\n  | ");
        text.push_str(line);
    }
    text
}
