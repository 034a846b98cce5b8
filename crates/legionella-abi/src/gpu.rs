//! How generated code for GPUs is launched, and what it tells of a panic: what is the same for
//! [NVIDIA's](crate::nvptx) and [AMD's](crate::amdgpu).
//!
//! The code of a kernel has the kernel functions [`KERNEL`] and, as [`Needs`] says, [`LINE`],
//! [`PLANE`], [`WIDE`] and [`WIDE_PLANE`], and apart from these, if there is any need of that, [`PANIC`]. Their
//! parameters, in order: a [`Launch`] by value, or what begins with one, for [`PANIC`] a
//! [`Panicked`]; the address of a [`State`]; and the argument block. The block is passed by value, or
//! by its address on the device, as [`Needs`] says. A block without bytes is no parameter.
//!
//! Of the work-items of a launch that panic, the first to claim the launch's [`Record`] writes it.
//! It may leave the whole panic there. Or it leaves the place where it panicked, as a number, and
//! the values that the panic depends on; [`PANIC`], launched as one work-item with what is there,
//! then leaves the whole panic in another record.

/// Symbol of the function that runs a launch of any form, or a part of one.
pub const KERNEL: &str = "legionella_kernel";

/// Symbol of the function that runs a *usual* launch of one dimension: as a whole, with no extent of more
/// than [`SMALL`], and with addresses that are aligned to [`ALIGN`], as far as
/// [`Needs::addresses`] says.
pub const LINE: &str = "legionella_line";

/// Symbol of the function that runs a usual launch of two dimensions.
pub const PLANE: &str = "legionella_plane";

/// Largest extent of a usual launch.
pub const SMALL: u64 = 1 << 30;

/// What the addresses of a usual launch are aligned to: the widest access, in bytes.
pub const ALIGN: u64 = 16;

/// Symbol of the function that runs a usual launch of one dimension with several work-items a thread:
/// work-groups have as many threads as otherwise, and there are the fewer of them.
pub const WIDE: &str = "legionella_wide";

/// Symbol of the function that runs a usual launch of two dimensions with several work-items a thread, which are
/// neighbours in the first dimension; otherwise as [`WIDE`].
pub const WIDE_PLANE: &str = "legionella_wide_plane";

/// Most work-items of a thread of [`WIDE`] and [`WIDE_PLANE`].
pub const MOST_WIDE: u64 = 4;

/// Symbol of the function that panics as a work-item left it.
pub const PANIC: &str = "legionella_panic";

/// Symbol of a [`Needs`] in global memory, beside [`KERNEL`].
pub const NEEDS: &str = "legionella_needs";

/// Symbol of a variable that the application sets before the first launch, in constant or global memory: where
/// the kernel sends what it prints ([`PRINT_PORT`](crate::intrinsic::PRINT_PORT)). There is none in a kernel
/// that doesn't print.
pub const PORT: &str = "legionella_port";

/// Symbol of a variable that the application sets before the first launch, in constant or global memory: the
/// address of the region of the heap that the kernel allocates from
/// ([`HEAP_REGION`](crate::intrinsic::HEAP_REGION)). There is none in a kernel that doesn't allocate.
pub const HEAP: &str = "legionella_heap";

/// What the application has to know of the code before it launches anything.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// 1 if there are [`LINE`] and [`PLANE`].
    pub line: u64,
    /// Size of the argument block if it is passed by address, and else 0.
    pub block: u64,
    /// 0 if the code itself tells how much stack a work-item needs. Else, with recursion or calls
    /// through pointers, the bytes of all variables on it, each function counted once.
    pub stack: u64,
    /// 1 if the launch has to give memory to each group: the first [`Needs::front`] bytes of it, and
    /// those that the launch's arguments ask for behind them.
    pub dynamic: u64,
    /// Bytes of shared memory, a multiple of 128, that the launch has to give in front of what its
    /// arguments ask for.
    pub front: u64,
    /// 1 if a panic that was left as a place depends on memory: [`PANIC`] has to run before that is
    /// written again.
    pub unsettled: u64,
    /// Work-items of a thread of [`WIDE`], a power of two up to [`MOST_WIDE`]; 0 if there is none.
    pub wide: u64,
    /// Which of the first 64 words of the argument block are addresses that the functions for usual
    /// launches take to be aligned, a bit each.
    pub addresses: u64,
    /// Size of the argument block, however it is passed, in bytes.
    pub arguments: u64,
    /// Alignment of the argument block in bytes.
    pub align: u64,
    /// 1 if work-items may wait for what others do, who may be the host.
    pub waits: u64,
    /// Work-items of a thread of [`WIDE_PLANE`], as many as of [`WIDE`]; 0 if there is none.
    pub wide_plane: u64,
}

/// The index space of a launch, or of a part of one that takes the device's largest grid or less.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Launch {
    /// Work-items of the whole grid in each dimension.
    pub grid: [u64; 3],
    /// The part's first work-group in each dimension.
    pub first_group: [u64; 3],
    /// A number of the launch, which no other launch in flight has.
    pub number: u64,
}

/// Where the work-items of a launch, or of a part of one, leave a panic. In memory of the device.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// 0, until a work-item that panics claims the record by setting it to 1.
    pub claimed: u32,
    /// Not used.
    pub reserved: u32,
    /// The device's address of a [`Record`].
    pub record: u64,
}

/// Most values that a panic may depend on to be left as a place.
pub const CARRIED: usize = 8;

/// A panic that a work-item left as a place.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Panicked {
    /// As in [`Record::place`].
    pub place: u64,
    /// As in [`Record::carried`].
    pub carried: [u64; CARRIED],
    /// Ids of the work-item and sizes in each dimension: global id, size of the grid, local id,
    /// group, size of groups.
    pub ids: [[u64; 3]; 5],
    /// As in [`Launch::number`].
    pub number: u64,
}

/// Longest message and longest file name in a [`Record`], in bytes; what is longer is cut.
pub const TEXT: usize = 1024;

/// A panic. In memory of the host that the device can write.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// 0, until all the rest is written.
    pub panicked: u32,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
    /// Length of the message in bytes.
    pub message_len: u32,
    /// Length of the file's name in bytes.
    pub file_len: u32,
    /// 0 if the whole panic is here, and else the place where the work-item panicked.
    pub place: u32,
    /// Group of the work-item in each dimension.
    pub group: [u64; 3],
    /// Id of the work-item within its group.
    pub local: [u32; 3],
    /// What the panic depends on, if it was left as a place.
    pub carried: [u64; CARRIED],
    /// The message, as far as it fits.
    pub message: [u8; TEXT],
    /// The source file, as far as it fits.
    pub file: [u8; TEXT],
    /// The application sets this to 1 if work-items that wait for the host are to end, and one that does
    /// sets it to 2.
    pub cancelled: u32,
}
