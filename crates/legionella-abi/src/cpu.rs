//! How generated code for the CPU target is called, and what it calls back.
//!
//! The code of a kernel is a shared object with two dynamic symbols: [`RUN`], a [`Run`], and
//! [`HOST`], a writable pointer to a [`Host`] that the application sets before the first call.

/// Symbol of the function that runs a range of work-groups: a [`Run`].
pub const RUN: &str = "legionella_run";

/// Symbol of the pointer to the application's [`Host`].
pub const HOST: &str = "legionella_host";

/// The index space of a launch.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Launch {
    /// Work-items in each dimension.
    pub grid: [u64; 3],
    /// Work-items of a whole work-group in each dimension. Groups at the upper edges are cut off.
    pub group: [u64; 3],
    /// Work-groups in each dimension: `grid / group`, rounded up.
    pub groups: [u64; 3],
}

/// What generated code tells about where it is, for the panic record.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Global ids of the work-item that runs; only exact while [`Host::panic`] is called.
    pub item: [u64; 3],
}

/// Runs the work-groups `first..end` of a launch, counted with the first dimension fastest.
///
/// # Safety
/// `block` points to the kernel's argument block and `launch` to its index space, both valid for
/// reads; `progress` is valid for writes; and the pointers in the block satisfy what the kernel's
/// parameter types promise. The call may end by [`Host::panic`] instead of returning.
pub type Run = unsafe extern "C" fn(
    block: *const u8,
    launch: *const Launch,
    first: u64,
    end: u64,
    progress: *mut Progress,
);

/// What generated code needs from the application.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Host {
    /// `std::alloc::alloc`: size, alignment.
    pub alloc: unsafe extern "C" fn(usize, usize) -> *mut u8,
    /// `std::alloc::alloc_zeroed`: size, alignment.
    pub alloc_zeroed: unsafe extern "C" fn(usize, usize) -> *mut u8,
    /// `std::alloc::dealloc`: pointer, size, alignment.
    pub dealloc: unsafe extern "C" fn(*mut u8, usize, usize),
    /// `std::alloc::realloc`: pointer, old size, alignment, new size.
    pub realloc: unsafe extern "C" fn(*mut u8, usize, usize, usize) -> *mut u8,
    /// The work-item panicked. Records it and leaves the calling [`Run`].
    pub panic: unsafe extern "C" fn(*const Panic) -> !,
}

/// A panic's message and place. Both texts are UTF-8 and valid during the call only.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Panic {
    /// Message.
    pub message: *const u8,
    /// Length of the message in bytes.
    pub message_len: usize,
    /// Source file.
    pub file: *const u8,
    /// Length of the file's name in bytes.
    pub file_len: usize,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
}
