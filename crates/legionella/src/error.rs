//! What can go wrong, by what the caller can do about it.

use std::sync::Arc;

use legionella_abi::protocol::Source;

use crate::code;

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong between a program and an accelerator.
///
/// Its `Debug` form is the same text as its `Display` form, so that a `main` that returns it tells
/// people what happened.
///
/// Errors are `Clone`: the failure of a launch is remembered by its [`Completion`] and by the
/// buffers that it wrote, and either may report it.
///
/// [`Completion`]: crate::Completion
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A work-item panicked. The other work-groups of the launch ran, the buffers hold whatever
    /// was written, and the accelerator goes on.
    #[error("kernel `{kernel}` panicked at {source_location}, work-item {item:?}: {message}")]
    KernelPanicked {
        /// The kernel, demangled.
        kernel: Arc<str>,
        /// The panic's message.
        message: String,
        /// Where the panic was raised.
        source_location: Source,
        /// Global ids of the work-item.
        item: [usize; 3],
    },

    /// There is no code for the kernel.
    #[error(transparent)]
    Code(Arc<code::Error>),

    /// Two things that must have the same number of elements have not.
    #[error("{what}: {expected} elements expected, {found} found")]
    SizeMismatch {
        /// What was attempted.
        what: &'static str,
        /// How many there should be.
        expected: usize,
        /// How many there are.
        found: usize,
    },

    /// A range that is not within a buffer or slice.
    #[error("the range {start}..{end} is not within {len} elements")]
    OutOfRange {
        /// First element of the range.
        start: usize,
        /// The element after its last.
        end: usize,
        /// How many elements there are.
        len: usize,
    },

    /// A grid with no meaning: too many work-items to count, or empty work-groups.
    #[error("grid {grid:?} with work-groups of {group:?}: {reason}")]
    Grid {
        /// Work-items in each dimension.
        grid: [usize; 3],
        /// Work-items of a group in each dimension, if given.
        group: Option<[usize; 3]>,
        /// What is wrong with it.
        reason: &'static str,
    },

    /// The accelerator has no memory left for a buffer of that size.
    #[error("accelerator `{accelerator}` has no memory for {bytes} bytes")]
    OutOfMemory {
        /// The accelerator.
        accelerator: String,
        /// What was asked for.
        bytes: usize,
    },

    /// The accelerator refused something, and goes on.
    #[error("accelerator `{accelerator}` refused: {reason}")]
    Device {
        /// The accelerator.
        accelerator: String,
        /// What its driver said.
        reason: String,
    },

    /// The accelerator stopped answering. Buffers on it are lost; [`Accelerator::by_name`] gives it
    /// anew.
    ///
    /// [`Accelerator::by_name`]: crate::Accelerator::by_name
    #[error("accelerator `{accelerator}` is lost: {reason}")]
    DeviceLost {
        /// The accelerator.
        accelerator: String,
        /// What it said last.
        reason: String,
    },

    /// No accelerator has that name.
    #[error("no accelerator is named `{name}`; there are: {}", .known.join(", "))]
    NoSuchAccelerator {
        /// The name that was asked for.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },

    /// A buffer of one accelerator was used with another.
    #[error(
        "a buffer on accelerator `{buffer}` was used on accelerator `{used_on}`: copy it there"
    )]
    WrongAccelerator {
        /// Where the buffer is.
        buffer: String,
        /// Where it was used.
        used_on: String,
    },

    /// The accelerator can't do something that others can.
    #[error("accelerator `{accelerator}` has no {what}")]
    Unsupported {
        /// The accelerator.
        accelerator: String,
        /// What it doesn't have.
        what: &'static str,
    },

    /// The launch was cancelled; some of its work-groups may have run.
    #[error("the launch of kernel `{kernel}` was cancelled")]
    Cancelled {
        /// The kernel, demangled.
        kernel: Arc<str>,
    },
}

impl From<code::Error> for Error {
    fn from(error: code::Error) -> Self {
        Error::Code(Arc::new(error))
    }
}

impl std::fmt::Debug for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}
