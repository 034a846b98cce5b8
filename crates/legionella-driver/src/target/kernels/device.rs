//! What the kernels of a kind of device are made with.

use inkwell::module::Module;

use crate::ir::{Block, Builder, Function, Type, Value};

/// A number that the machine has of a work-item in each dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Register {
    /// Id within the group.
    Local,
    /// Id of the group, within the part of a launch that the device was given.
    Group,
    /// Size of groups.
    GroupSize,
}

/// Reads a register of a dimension, as 32 bits, given the address of the launch.
pub(super) type Read =
    for<'m> fn(&'m Module<'_>, &Builder<'m>, Value<'m>, Register, usize) -> Value<'m>;

/// Ends a block and the work-item.
pub(super) type End = for<'m> fn(&'m Module<'_>, Block<'m>);

/// Has all items of a group meet, at the start of a kernel.
pub(super) type Meet = for<'m> fn(&'m Module<'_>, &Builder<'m>);

/// Tells of an item, given whether it panicked and whether it did only since it missed others, whether it leaves the
/// launch's panic.
pub(super) type Tells = for<'m> fn(&'m Module<'_>, &Builder<'m>, Value<'m>, Value<'m>) -> Value<'m>;

/// How items that miss others let those tell what they panicked with, where all of them end together. Elsewhere who
/// panics has done so before any other misses it.
#[derive(Clone, Copy)]
pub(in super::super) struct EndTogether {
    /// Of deferred panics.
    pub(in super::super) tells: Tells,
    /// Has a shim whose panics aren't deferred panic for what items miss when all others have come to its end.
    pub(in super::super) miss_at_the_end: for<'m> fn(&'m Module<'_>, Function<'m>),
}

/// What kernels are made of on one kind of GPU.
pub(in super::super) struct Device {
    /// LLVM's number of kernels' calling convention.
    pub(in super::super) convention: u32,
    /// LLVM's number of the address space of parameters that are passed by value.
    pub(in super::super) parameters: u32,
    /// Has a parameter passed by value.
    pub(in super::super) by_value: fn(Function<'_>, u32, Type<'_>, u64),
    /// Bytes of the structure that begins with a [`gpu::Launch`].
    pub(in super::super) launch: usize,
    /// Largest argument block that is passed by value, in bytes.
    pub(in super::super) largest_block: u64,
    /// What the machine has of a work-item.
    pub(in super::super) read: Read,
    /// Ends a work-item of a kernel whose items wait for each other.
    pub(in super::super) leave: End,
    /// Ends what is no work-item in such a kernel: it is outside of the grid.
    pub(in super::super) skip: End,
    /// LLVM's number of the address space that records are in, if that makes other accesses of them.
    pub(in super::super) records: Option<u32>,
    /// If items don't end one by one.
    pub(in super::super) together: Option<EndTogether>,
    /// If the first item of a group leaves for all of them what those need to know that they call and that may return,
    /// before all go on; else each leaves it for itself, in front of each call.
    pub(in super::super) meet: Option<Meet>,
}

/// Memory that a launch has to give to each group.
#[derive(Clone, Copy, Default)]
pub(in super::super) struct SharedMemory {
    /// Whether the launch gives any.
    pub(in super::super) dynamic: bool,
    /// Bytes of it in front of those that the kernel knows as the launch's own.
    pub(in super::super) front: u64,
}
