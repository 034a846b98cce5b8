//! How generated code for the CPU target is called, and what it calls back.
//!
//! The code of a kernel is a shared object with two dynamic symbols: [`RUN`], a [`Run`], and
//! [`HOST`], a writable pointer to a [`Host`] that the application sets before the first call. That of
//! a kernel that prints has a third: [`PORT`].

/// Symbol of the function that runs a range of work-groups: a [`Run`].
pub const RUN: &str = "legionella_run";

/// Symbol of the pointer to the application's [`Host`].
pub const HOST: &str = "legionella_host";

/// Symbol of a writable pointer to where the kernel sends what it prints
/// ([`PRINT_PORT`](crate::intrinsic::PRINT_PORT)), which the application sets before the first call.
pub const PORT: &str = "legionella_port";

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
    /// Bytes of shared memory that each work-group gets besides what its code asks for.
    pub shared: u64,
    /// Bytes that each work-item may write to an array so that the caches keep all of it. Where items
    /// write more, code may store past the caches.
    pub kept: u64,
}

/// What generated code tells about where it is, for the panic record.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Global ids of the work-item that runs; only exact while [`Host::panic`] or
    /// [`Host::running_item`] is called.
    pub item: [u64; 3],
}

/// Runs the work-groups `first..end` of a launch, counted with the first dimension fastest.
///
/// # Safety
/// `block` points to the kernel's argument block and `launch` to its index space, both valid for
/// reads; `progress` is valid for writes; and the pointers in the block satisfy what the kernel's
/// parameter types promise. The call may end by [`Host::panic`] instead of returning.
///
/// Stores may be non-temporal. However the call ends, its caller orders them (on x86-64 by `sfence`)
/// before another thread may read what was written.
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
    /// Memory of the thread of that size and alignment, undefined, until the calling [`Run`] ends
    /// or asks again; null if there is none.
    pub scratch: unsafe extern "C" fn(usize, usize) -> *mut u8,
    /// The work-item waits: others should run. Leaves the calling [`Run`] if the launch was
    /// cancelled.
    pub pause: unsafe extern "C" fn(),
    /// As [`RUNNING_ITEM`](crate::intrinsic::RUNNING_ITEM).
    pub running_item: unsafe extern "C" fn(*mut [u64; 2]),
}

/// Where the items of a group that wait for each other find what they share.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// Work-items in each dimension.
    pub grid: [u64; 3],
    /// Work-items of a whole work-group in each dimension.
    pub group_size: [u64; 3],
    /// Id of the work-group.
    pub group: [u64; 3],
    /// Global ids of the group's first item.
    pub base: [u64; 3],
    /// Shared memory that the code asks for.
    pub shared: *mut u8,
    /// Shared memory that the launch asks for.
    pub dynamic_shared: *mut u8,
}

/// Why an item of such a group doesn't run.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// It has ended.
    Ended,
    /// At a barrier.
    Barrier,
    /// For a lane's value.
    Shuffle,
    /// For a bit of each lane.
    Ballot,
}

/// What an item of such a group and the loop that runs it tell each other.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    /// Id within the work-group.
    pub local: [u64; 3],
    /// Number of its subgroup in the work-group.
    pub subgroup: u64,
    /// Lane in its subgroup.
    pub lane: u32,
    /// Why it doesn't run.
    pub wait: Wait,
    /// Label of the barrier, or the lane whose value is asked for.
    pub label: u32,
    /// What it gives to a subgroup's operation.
    pub operand: u32,
    /// What it gets from a subgroup's operation.
    pub result: u64,
    /// Where in the source it waits: a `&'static core::panic::Location`.
    pub place: *const u8,
}

/// Lanes of a subgroup on this target.
pub const SUBGROUP_SIZE: u32 = 32;

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
