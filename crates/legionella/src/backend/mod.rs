//! What a kind of device is to the rest of the runtime, and the table of those there are.
//!
//! A backend takes memory requests, loads generated code, and runs launches whose turn has come.
//! It knows nothing of hazards, kernels' types or other backends. One module a kind of device, all
//! with the same shape; a new one is a module here and a line in [`BACKENDS`].

use std::alloc::Layout;
use std::any::Any;
use std::fmt;
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::Arc;

use legionella_abi::cpu::{Launch, SUBGROUP_SIZE};
use legionella_abi::protocol::TargetSpec;
use legionella_device::Index;
use legionella_device::heap::statistics::Statistics;

use crate::code::Machine;
use crate::error::{Error, Result};
use crate::printing::Printer;
use crate::schedule::block::Block;
use crate::schedule::slot::{Lane, Running};

mod absent;
pub(crate) mod cpu;
mod cuda;
mod groups;
mod hsa;
mod panics;
pub(crate) mod transfers;

/// Finds the devices of one kind.
type Find = fn() -> Result<Vec<Arc<dyn Backend>>>;

/// All kinds of devices, the fastest kind first.
const BACKENDS: [Find; 3] = [cuda::devices, hsa::devices, cpu::devices];

/// What a vendor's software is to this machine.
#[derive(Clone, Debug)]
pub enum Runtime {
    /// It is there; its version in words.
    Works(String),
    /// There is none, or no device for it; in words.
    Absent(String),
    /// It is there and can't be used, for this reason.
    Broken(String),
}

/// The software that each kind of device needs beside this crate, with the kind's target and vendor.
pub fn runtimes() -> Vec<(&'static str, Runtime)> {
    vec![
        ("nvptx (NVIDIA)", cuda::runtime()),
        ("amdgpu (AMD)", hsa::runtime()),
    ]
}

/// All devices of this machine, in order of preference.
pub(crate) fn devices() -> Result<Vec<Arc<dyn Backend>>> {
    let mut devices = Vec::new();
    for find in BACKENDS {
        devices.extend(find()?);
    }
    Ok(devices)
}

/// One device.
pub(crate) trait Backend: Any + fmt::Debug + Send + Sync {
    /// What people call the device; no two have the same name.
    fn name(&self) -> &str;

    /// What people want to know of the device.
    fn description(&self) -> String;

    /// What code is generated for.
    fn target(&self) -> TargetSpec;

    /// The machine that generated code runs on.
    fn machine(&self) -> &Machine;

    /// The size of work-groups for a grid that doesn't say.
    fn group_size(&self, grid: Index) -> Index;

    /// Whether work-items of neighbouring ids should access neighbouring memory, since the device then
    /// makes one access of theirs.
    fn coalesces(&self) -> bool {
        false
    }

    /// Lanes of a whole subgroup.
    fn subgroup_size(&self) -> usize {
        SUBGROUP_SIZE as usize
    }

    /// Memory on the device, of unspecified content unless `zeroed`. Layouts have a size.
    fn allocate(&self, layout: Layout, zeroed: bool) -> Result<NonNull<u8>>;

    /// Frees memory.
    ///
    /// # Safety
    /// [`Backend::allocate`] gave it for that layout, and nothing uses it any more.
    unsafe fn free(&self, memory: NonNull<u8>, layout: Layout);

    /// Memory that host and device both use by the same address, also while kernels run; zeros.
    fn allocate_visible(&self, _layout: Layout) -> Result<NonNull<u8>> {
        Err(Error::Unsupported {
            accelerator: self.name().to_owned(),
            what: "memory that the host sees while a kernel runs",
        })
    }

    /// Frees such memory.
    ///
    /// # Safety
    /// [`Backend::allocate_visible`] gave it for that layout, and nothing uses it any more.
    unsafe fn free_visible(&self, _memory: NonNull<u8>, _layout: Layout) {}

    /// Memory that host and device both use by the same address, and that moves to where it is used; zeros.
    fn allocate_moving(&self, layout: Layout) -> Result<NonNull<u8>> {
        self.allocate_visible(layout)
    }

    /// Frees such memory.
    ///
    /// # Safety
    /// [`Backend::allocate_moving`] gave it for that layout, and nothing uses it any more.
    unsafe fn free_moving(&self, memory: NonNull<u8>, layout: Layout) {
        // SAFETY: passed on, as above.
        unsafe { self.free_visible(memory, layout) }
    }

    /// Whether the host sees what a kernel writes there before it ends, and the other way round.
    fn is_live(&self) -> bool {
        false
    }

    /// The same device with a heap of that many bytes for its kernels.
    fn with_heap(&self, _bytes: usize) -> Result<Arc<dyn Backend>> {
        Err(Error::Unsupported {
            accelerator: self.name().to_owned(),
            what: "heap of another size",
        })
    }

    /// What the device's heap holds, if it has one of its own.
    fn heap(&self) -> Result<Option<Statistics>> {
        Ok(None)
    }

    /// What prints the texts of the device's kernels.
    fn printer(&self) -> Result<&'static Printer> {
        Err(Error::Unsupported {
            accelerator: self.name().to_owned(),
            what: "way to print from kernels",
        })
    }

    /// Copies from the host into memory of the device.
    ///
    /// # Safety
    /// Both are valid for `len` bytes, and nothing else uses those of the device meanwhile.
    unsafe fn upload(&self, from: *const u8, to: *mut u8, len: usize) -> Result<()>;

    /// Copies from memory of the device to the host.
    ///
    /// # Safety
    /// Both are valid for `len` bytes, and nothing writes those of the device meanwhile.
    unsafe fn download(&self, from: *const u8, to: *mut u8, len: usize) -> Result<()>;

    /// Copies within memory of the device, between places that may overlap.
    ///
    /// # Safety
    /// Both are valid for `len` bytes; meanwhile nothing writes the first or uses the second.
    unsafe fn copy(&self, from: *const u8, to: *mut u8, len: usize) -> Result<()>;

    /// Copies from memory of another device, if they have a way that doesn't lead through the host's; whether they have.
    ///
    /// # Safety
    /// Both are valid for `len` bytes; meanwhile nothing writes the first, which is the other device's, or uses the second.
    unsafe fn copy_from_peer(
        &self,
        _other: &dyn Backend,
        _from: *const u8,
        _to: *mut u8,
        _len: usize,
    ) -> Result<bool> {
        Ok(false)
    }

    /// Fills memory of the device with `count` copies of a pattern.
    ///
    /// # Safety
    /// `pattern` is readable on the host, `to` is valid for `count * pattern_len` bytes on the
    /// device, and nothing else uses those meanwhile.
    unsafe fn fill(
        &self,
        pattern: *const u8,
        pattern_len: usize,
        to: *mut u8,
        count: usize,
    ) -> Result<()>;

    /// Makes generated code of a kernel ready to run.
    ///
    /// # Safety
    /// `code` was generated for [`Backend::target`] by the driver.
    unsafe fn load(&self, kernel: &Arc<str>, code: &[u8]) -> Result<Box<dyn Code>>;

    /// Code that runs [transfers](transfers::Transfer) in the device's own order, if it has any.
    fn transfers(&self) -> Result<Option<Box<dyn Code>>> {
        Ok(None)
    }

    /// Code that runs such nodes as one launch without arguments, if the device has a way to run these.
    fn graph(&self, _nodes: &Arc<[Node]>) -> Result<Option<Box<dyn Code>>> {
        Ok(None)
    }

    /// Code that ends when a signal is 0, whose address is the argument block ([`gate`](crate::schedule::gate)), if
    /// the device can wait for it itself.
    fn gate(&self) -> Result<Option<Box<dyn Code>>> {
        Ok(None)
    }

    /// Whether kernels see what [`Backend::allocate_visible`] gives on another device.
    fn sees_memory_of(&self, _other: &dyn Backend) -> bool {
        false
    }

    /// Whether the device stopped answering, so that everything on it is lost.
    fn is_lost(&self) -> bool {
        false
    }

    /// A lost device as a new one, without anything that it held.
    fn renewed(&self) -> Result<Arc<dyn Backend>>;
}

/// Code of one kernel, loaded on one device.
pub(crate) trait Code: Any + Send + Sync {
    /// Why work-groups of the size of a launch can't run, or not with its shared memory, if they
    /// can't.
    fn refuses(&self, _space: &Launch) -> Option<&'static str> {
        None
    }

    /// The order that launches of this code are in on their device, if it keeps one: such a launch may
    /// be started as soon as the device has those that it comes after, which
    /// [`Running::is_in`] says.
    fn order(&self) -> Option<NonZeroUsize> {
        None
    }

    /// The size of work-groups of this code for a grid that doesn't say, if it isn't the device's.
    fn group_size(&self, _grid: Index) -> Option<Index> {
        None
    }

    /// Somebody waits for what is in a lane of that order, and looks.
    fn hasten(&self, _lane: Lane) {}

    /// Somebody waits for what is in a lane of that order, and does not look.
    fn watch_over(&self, _lane: Lane) {}

    /// Finishes what has ended in a lane of that order, if that is known already.
    fn look(&self, _lane: Lane) {}

    /// What prints the kernel's texts, if it prints any.
    fn printer(&self) -> Option<&'static Printer> {
        None
    }

    /// Runs a launch of this code, which must be [finished](Running::finish) once, soon or later.
    fn start(&self, launch: Running);
}

/// One of the launches that a graph consists of.
pub(crate) struct Node {
    pub(crate) program: &'static Program,
    pub(crate) space: Launch,
    /// The argument block.
    pub(crate) block: Block,
    pub(crate) layout: Layout,
    /// The numbers of those that it comes after, all of which are lower than its own.
    pub(crate) after: Vec<usize>,
}

/// A kernel, ready to run on one device.
pub(crate) struct Program {
    /// The kernel's demangled name.
    pub(crate) kernel: Arc<str>,
    code: Box<dyn Code>,
    order: Option<NonZeroUsize>,
    printer: Option<&'static Printer>,
}

impl Program {
    pub(crate) fn new(kernel: Arc<str>, code: Box<dyn Code>) -> Self {
        Program {
            kernel,
            order: code.order(),
            printer: code.printer(),
            code,
        }
    }

    /// As [`Code::refuses`].
    pub(crate) fn refuses(&self, space: &Launch) -> Option<&'static str> {
        self.code.refuses(space)
    }

    /// As [`Code::order`].
    pub(crate) fn order(&self) -> Option<NonZeroUsize> {
        self.order
    }

    /// As [`Code::group_size`].
    pub(crate) fn group_size(&self, grid: Index) -> Option<Index> {
        self.code.group_size(grid)
    }

    /// As [`Code::hasten`].
    pub(crate) fn hasten(&self, lane: Lane) {
        self.code.hasten(lane);
    }

    /// As [`Code::watch_over`].
    pub(crate) fn watch_over(&self, lane: Lane) {
        self.code.watch_over(lane);
    }

    /// As [`Code::look`].
    pub(crate) fn look(&self, lane: Lane) {
        self.code.look(lane);
    }

    /// The code itself.
    pub(crate) fn code(&self) -> &dyn Code {
        &*self.code
    }

    /// Runs a launch whose turn has come.
    pub(crate) fn start(&self, launch: Running) {
        self.begins();
        self.code.start(launch);
    }

    /// A launch of it is about to run.
    pub(crate) fn begins(&self) {
        if let Some(printer) = self.printer {
            printer.launch_begins();
        }
    }

    /// What a launch of it has printed, which has ended and had that number, is printed.
    pub(crate) fn ended(&self, number: u64) {
        if let Some(printer) = self.printer {
            printer.launch_ended(number);
        }
    }
}
