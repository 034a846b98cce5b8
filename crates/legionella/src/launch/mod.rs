//! From a kernel and its arguments to a launch that is scheduled.
//!
//! * [`Pass`] and [`PassAs`]: what becomes of each kind of argument;
//! * [`form`]: what lies in the argument block, and what the kernel receives for it;
//! * [`arity`]: kernels of 0 to 12 parameters, and the entry shims that call them;
//! * [`shared`]: memory of work-groups as arguments;
//! * [`record`]: what a launch site leaves for the linker step, and the cell that it reads;
//! * [`program`]: the loaded code of a cell.
//!
//! What is generic over the kernel is small; the rest is [`submit`].

use std::alloc::Layout;
use std::cell::RefCell;
use std::hint::cold_path;
use std::ops::Range;
use std::ptr;
use std::sync::Arc;

use legionella_abi::cpu::Launch as IndexSpace;
use legionella_abi::record::Cell;
use legionella_device::DeviceData;

use crate::accelerator::Accelerator;
use crate::backend::Program;
use crate::buffer::Allocation;
use crate::error::{Error, Result};
use crate::grid::Grid;
use crate::schedule::completion::Completion;
use crate::schedule::followup::Followup;
use crate::schedule::hazards::{Access, FailureLog, Use};
use crate::schedule::slot::{Binding, Runs, Ticket};

pub(crate) mod arity;
pub mod form;
mod function;
mod program;
mod record;
mod shared;

pub use function::{Function, function};
pub use shared::{SharedArray, SharedSlice, shared, shared_slice};

use form::{Form, Value};

/// An argument that a kernel's parameter of type `P` can be launched with.
///
/// Safe launches need [`PassAs`] as well.
///
/// # Safety
/// In a launch whose other arguments keep this contract, and that is ordered after everything that
/// the binder was told of, [`Form::materialise`] may be called on what [`bind`](Pass::bind) gave,
/// once a work-item; the argument's memory is told to the binder, or the caller of the launch
/// answers for it.
pub unsafe trait Pass<P> {
    /// What lies in the argument block.
    type Form: Form<P>;

    /// Gives the argument's place in the block, and tells the binder what memory it uses.
    ///
    /// # Errors
    /// If the argument can't be used with the accelerator.
    fn bind(self, binder: &mut Binder<'_>) -> Result<Self::Form>;
}

/// An argument that a kernel's parameter of type `P` can safely be launched with.
///
/// | argument | parameter | each work-item gets |
/// | --- | --- | --- |
/// | `T: DeviceData` | `T` | the value |
/// | `&Buffer<T>`, [`Slice<T>`](crate::Slice) | `&[T]` | all elements |
/// | `&mut Buffer<T>`, [`SliceMut<T>`](crate::SliceMut) | [`Disjoint<T>`](crate::Disjoint) | one element of its own |
/// | `buffer.tiles::<N>()` | [`Tiles<T, N>`](crate::Tiles) | a tile of `N` elements of its own |
/// | `buffer.rows(width)` | [`Rows<T>`](crate::Rows) | a row of its own |
/// | `buffer.atomic()` of `u32` | `&[AtomicU32]` | all elements, as atomics |
/// | [`&Channel<T>`](crate::Channel) | [`Sender<T>`](crate::Sender) | a way to send values to the host |
/// | [`&HostSignal`](crate::HostSignal) | [`&Signal`](crate::Signal) | the signal |
/// | [`&Prepared<T>`](crate::Prepared) | [`Enqueue<T>`](crate::Enqueue) | a way to launch another kernel |
/// | [`function(f)`](crate::function) | `impl Fn…` | the function |
/// | [`shared()`](crate::shared) | [`Shared<[T; N]>`](crate::Shared) | memory of its work-group |
/// | [`shared_slice(len)`](crate::shared_slice) | [`Shared<[T]>`](crate::Shared) | memory of its work-group |
///
/// # Safety
/// As for [`Pass`], where the argument's memory is told to the binder, and what
/// [`Form::materialise`] gives to one work-item conflicts with nothing that it gives to another, or
/// that any other argument gives.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no argument for a kernel's parameter of type `{P}`",
    label = "not an argument for `{P}`",
    note = "a parameter `&[T]` takes `&Buffer<T>`, `Disjoint<T>` takes `&mut Buffer<T>`, \
            `Tiles<T, N>` takes `buffer.tiles::<N>()`, `Rows<T>` takes `buffer.rows(width)`, a value \
            takes itself if it is `DeviceData`, `Shared<[T; N]>` takes `shared()`",
    note = "memory of the host is not passed by reference: `accel.upload(&slice)` first"
)]
pub unsafe trait PassAs<P>: Pass<P> {}

// SAFETY: a copy of the value, which holds no address.
unsafe impl<T: DeviceData> Pass<T> for T {
    type Form = Value<T>;

    #[inline]
    fn bind(self, _binder: &mut Binder<'_>) -> Result<Value<T>> {
        Ok(Value(self))
    }
}

// SAFETY: as above.
unsafe impl<T: DeviceData> PassAs<T> for T {}

/// Takes note of what the arguments of a launch use.
pub struct Binder<'l> {
    accelerator: &'l Accelerator,
    uses: Vec<Use>,
    /// Bytes of shared memory that arguments ask for.
    shared: usize,
    purpose: Purpose,
    /// Whether an argument comes later.
    is_later: bool,
    /// What the kernel may launch.
    followups: Vec<Arc<Followup>>,
}

/// What arguments are bound for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A launch.
    Launch,
    /// Launches by replays of a graph.
    Record,
    /// Launches by kernels.
    Prepare,
}

impl<'l> Binder<'l> {
    /// Takes notes in `uses`, which is empty.
    pub(crate) fn new(accelerator: &'l Accelerator, uses: Vec<Use>) -> Self {
        Binder {
            accelerator,
            uses,
            shared: 0,
            purpose: Purpose::Launch,
            is_later: false,
            followups: Vec::new(),
        }
    }

    /// Where the launch is to run.
    pub(crate) fn accelerator(&self) -> &'l Accelerator {
        self.accelerator
    }

    /// Takes note of an argument whose value comes later.
    pub(crate) fn use_later(&mut self) -> Result<()> {
        let is_first = !std::mem::replace(&mut self.is_later, true);
        match is_first && self.purpose == Purpose::Prepare {
            true => Ok(()),
            false => Err(self.unsupported(
                "value for `later()`, which is the first argument of a kernel that is prepared",
            )),
        }
    }

    /// Takes note of what the kernel may launch.
    pub(crate) fn follow(&mut self, followup: &Arc<Followup>) -> Result<()> {
        match self.purpose {
            Purpose::Launch => {
                self.followups.push(Arc::clone(followup));
                Ok(())
            }
            Purpose::Record => Err(self.unsupported("way to record kernels that launch others")),
            Purpose::Prepare => Err(self.unsupported(
                "way to prepare kernels that launch others: only what the host launches can",
            )),
        }
    }

    fn unsupported(&self, what: &'static str) -> Error {
        Error::Unsupported {
            accelerator: self.accelerator.name().to_owned(),
            what,
        }
    }

    /// The notes on memory.
    pub(crate) fn uses(&self) -> &[Use] {
        &self.uses
    }

    pub(crate) fn into_uses(self) -> Vec<Use> {
        self.uses
    }

    pub(crate) fn use_memory(
        &mut self,
        allocation: &Arc<Allocation>,
        bytes: Range<usize>,
        access: Access,
    ) -> Result<()> {
        if allocation.accelerator() != self.accelerator {
            return Err(Error::WrongAccelerator {
                buffer: allocation.accelerator().name().to_owned(),
                used_on: self.accelerator.name().to_owned(),
            });
        }
        self.keep(allocation, bytes, access);
        Ok(())
    }

    /// As [`use_memory`](Binder::use_memory), for memory that the accelerator is known to see.
    pub(crate) fn keep(
        &mut self,
        allocation: &Arc<Allocation>,
        bytes: Range<usize>,
        access: Access,
    ) {
        self.uses.push(Use {
            allocation: Arc::clone(allocation),
            bytes,
            access,
        });
    }

    /// Takes note of shared memory for `len` elements; gives its distance from the start of all
    /// that the launch asks for.
    fn use_shared(&mut self, len: usize, size: usize, align: usize) -> Result<usize> {
        let placed = || {
            let offset = self.shared.checked_next_multiple_of(align)?;
            let end = offset.checked_add(len.checked_mul(size)?)?;
            isize::try_from(end).is_ok().then_some((offset, end))
        };
        let (offset, end) = placed().ok_or_else(|| Error::OutOfMemory {
            accelerator: self.accelerator.name().to_owned(),
            bytes: len.saturating_mul(size),
        })?;
        self.shared = end;
        Ok(offset)
    }
}

/// A kernel that can be launched with the arguments `A`, of which it makes the parameters `P`.
///
/// Every function item and every closure without captures is one, if its first parameter is an
/// [`Item`](crate::Item) or a [`Group`](crate::Group), it returns nothing, and [`Pass`] fits each
/// argument to its parameter.
pub trait Kernel<A, P>: Copy + Send + 'static {
    /// The argument block, which knows the entry shim.
    #[doc(hidden)]
    type Block: arity::Enter<Self, P>;

    /// Fills the argument block.
    ///
    /// # Errors
    /// If an argument can't be used with the accelerator.
    #[doc(hidden)]
    fn block(arguments: A, binder: &mut Binder<'_>) -> Result<Self::Block>;
}

/// A [`Kernel`] that can safely be launched with the arguments `A`: [`PassAs`] fits each of them
/// to its parameter.
#[diagnostic::on_unimplemented(
    message = "this kernel can't be launched with these arguments",
    label = "no kernel for these arguments",
    note = "a kernel is a function or non-capturing closure `(Item, …)` or `(Group, …)` that returns \
            nothing, with one parameter for each element of the arguments' tuple",
    note = "one argument is a tuple as well: `(&buffer,)`"
)]
pub trait Launch<A, P>: Kernel<A, P> {}

/// What a launch is ordered after besides what it conflicts with.
#[derive(Clone, Copy, Default)]
pub(crate) struct After<'l> {
    pub(crate) tickets: &'l [Ticket],
    /// Who else hears of a failure.
    pub(crate) queue: Option<&'l Arc<FailureLog>>,
}

/// Binds a kernel to its arguments and schedules it.
///
/// # Safety
/// For `K: Launch<A, P>`, none. Else the caller answers for what [`Pass`] leaves to it.
#[inline]
pub(crate) unsafe fn launch<K: Kernel<A, P>, A, P>(
    accelerator: &Accelerator,
    grid: Grid,
    arguments: A,
    after: After<'_>,
) -> Result<Completion> {
    const {
        assert!(
            size_of::<K>() == 0,
            "a kernel is a function or a closure without captures: pass what it captures as an \
             argument, and name a function instead of storing a pointer to it"
        );
    }
    let cell = record::cell::<K, K::Block, P>();
    let mut binding = Binding::new();
    let mut binder = Binder::new(accelerator, std::mem::take(&mut binding.uses));
    let block = K::block(arguments, &mut binder)?;
    // SAFETY: the block is readable and of the layout, and is what this kernel's entry shim takes.
    // What it points to is kept by the binding, or by the caller.
    unsafe {
        submit(
            binding,
            binder,
            cell,
            std::any::type_name::<K>,
            grid,
            (&raw const block).cast(),
            Layout::new::<K::Block>(),
            after,
        )
    }
}

/// Binds a kernel to its arguments, for a launch that comes later, and gives what there is to keep: the
/// argument block, which is readable for that layout, and what it uses.
pub(crate) fn bind<K: Launch<A, P>, A, P>(
    accelerator: &Accelerator,
    grid: Grid,
    arguments: A,
    purpose: Purpose,
    keep: impl FnOnce(Binder<'_>, &'static Program, IndexSpace, *const u8, Layout),
) -> Result<()> {
    const {
        assert!(
            size_of::<K>() == 0,
            "a kernel is a function or a closure without captures: pass what it captures as an \
             argument, and name a function instead of storing a pointer to it"
        );
    }
    let cell = record::cell::<K, K::Block, P>();
    let mut binder = Binder::new(accelerator, Vec::new());
    binder.purpose = purpose;
    let block = K::block(arguments, &mut binder)?;
    let program = program_of(cell, accelerator, std::any::type_name::<K>)?;
    let space = space_of(&binder, program, grid)?;
    let address = (&raw const block).cast();
    keep(binder, program, space, address, Layout::new::<K::Block>());
    Ok(())
}

/// Launches a transfer.
pub(crate) fn transfer<B: Copy>(
    accelerator: &Accelerator,
    block: impl FnOnce(&mut Binder<'_>) -> Result<B>,
    after: After<'_>,
) -> Result<Completion> {
    let mut binding = Binding::new();
    let mut binder = Binder::new(accelerator, std::mem::take(&mut binding.uses));
    let block = block(&mut binder)?;
    if binder.uses.iter().all(|used| used.bytes.is_empty()) {
        return Ok(Completion::immediate());
    }
    let program = accelerator.transfers()?;
    let (address, layout) = ((&raw const block).cast(), Layout::new::<B>());
    let grid = Grid::over(1);
    // SAFETY: a transfer, whose memory the binder knows.
    unsafe { schedule(binding, binder, program, grid, address, layout, after) }
}

/// Schedules a kernel with an argument block.
///
/// # Safety
/// `block` is readable for `layout` and is what the entry shim of `cell`'s kernel takes; memory
/// that it points to is known to the binder, or the caller answers for it.
#[expect(clippy::too_many_arguments, reason = "what a launch has, once")]
unsafe fn submit(
    binding: Binding,
    binder: Binder<'_>,
    cell: Option<&'static Cell>,
    type_name: fn() -> &'static str,
    grid: Grid,
    block: *const u8,
    layout: Layout,
    after: After<'_>,
) -> Result<Completion> {
    let program = program_of(cell, binder.accelerator, type_name)?;
    // SAFETY: the caller's promise.
    unsafe { schedule(binding, binder, program, grid, block, layout, after) }
}

/// The loaded code of a kernel.
fn program_of(
    cell: Option<&'static Cell>,
    accelerator: &Accelerator,
    type_name: fn() -> &'static str,
) -> Result<&'static Program> {
    match cell.and_then(|cell| program::loaded(cell, accelerator)) {
        Some(program) => Ok(program),
        None => program::load(cell, accelerator, type_name()),
    }
}

/// What a thread has found out of a launch: the next is often of the same program on the same grid.
#[derive(Clone, Copy)]
struct Known {
    program: *const Program,
    grid: Grid,
    shared: usize,
    space: IndexSpace,
}

/// Of how many programs a thread remembers that.
const KNOWN: usize = 8;

thread_local! {
    static LAST: RefCell<[Option<Known>; KNOWN]> = const { RefCell::new([None; KNOWN]) };
}

/// The index space of a launch of a program, which stays for as long as the process, on a grid.
fn known_space(binder: &Binder<'_>, program: &'static Program, grid: Grid) -> Result<IndexSpace> {
    let place = ptr::from_ref(program).addr() / align_of::<Program>() % KNOWN;
    let find = |last: &RefCell<[Option<Known>; KNOWN]>| {
        let known = &last.borrow()[place];
        let known = known.as_ref().filter(|known| {
            ptr::eq(known.program, program) && known.shared == binder.shared && known.grid == grid
        });
        known.map(|known| known.space)
    };
    // A thread that ends has nothing of its own.
    match LAST.try_with(find) {
        Ok(Some(space)) => Ok(space),
        _ => space_unknown(binder, program, grid, place),
    }
}

#[cold]
fn space_unknown(
    binder: &Binder<'_>,
    program: &'static Program,
    grid: Grid,
    place: usize,
) -> Result<IndexSpace> {
    let space = space_of(binder, program, grid)?;
    let known = Known {
        program,
        grid,
        shared: binder.shared,
        space,
    };
    let _ = LAST.try_with(|last| last.borrow_mut()[place] = Some(known));
    Ok(space)
}

/// The index space of a launch of a program on a grid.
pub(crate) fn space_of(binder: &Binder<'_>, program: &Program, grid: Grid) -> Result<IndexSpace> {
    let backend = binder.accelerator.backend();
    let grid = grid.in_items(backend.subgroup_size());
    let mut space = grid.index_space(|extent| {
        program
            .group_size(extent)
            .unwrap_or_else(|| backend.group_size(extent))
    })?;
    space.shared = binder.shared as u64;
    match program.refuses(&space) {
        None => Ok(space),
        Some(reason) => Err(Error::Grid {
            grid: grid.extent(),
            group: Some(space.group.map(|extent| extent as usize)),
            reason,
        }),
    }
}

/// Schedules a program with an argument block.
///
/// # Safety
/// As for [`submit`], where the program is the cell's.
unsafe fn schedule(
    mut binding: Binding,
    binder: Binder<'_>,
    program: &'static Program,
    grid: Grid,
    block: *const u8,
    layout: Layout,
    after: After<'_>,
) -> Result<Completion> {
    let space = known_space(&binder, program, grid)?;
    if space.groups.contains(&0) {
        cold_path();
        return Ok(Completion::immediate());
    }
    binding.note(binder.uses, binder.followups);
    binding.will_run(program);
    for ticket in after.tickets {
        ticket.precedes(binding.ticket());
    }
    let queue = after.queue.cloned();
    // SAFETY: the caller's promise.
    let launch = unsafe { binding.submit(Runs::Kernel(program), space, block, layout, queue) };
    Ok(Completion::of(launch))
}

/// Launches a program that no cell has, with an argument block that the caller fills.
///
/// # Safety
/// The program takes such blocks, and stays within what is told to the binder.
#[cfg(test)]
pub(crate) unsafe fn launch_program<B: Copy>(
    accelerator: &Accelerator,
    program: &'static Program,
    grid: Grid,
    block: impl FnOnce(&mut Binder<'_>) -> Result<B>,
    after: After<'_>,
) -> Result<Completion> {
    let mut binding = Binding::new();
    let mut binder = Binder::new(accelerator, std::mem::take(&mut binding.uses));
    let block = block(&mut binder)?;
    let (address, layout) = ((&raw const block).cast(), Layout::new::<B>());
    // SAFETY: the caller's promise.
    unsafe { schedule(binding, binder, program, grid, address, layout, after) }
}
