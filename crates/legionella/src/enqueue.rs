//! Launches that kernels make, on the host: what is prepared for them, and the argument of launches that it is.
//! What becomes of it while a launch runs is [`followup`](crate::schedule::followup)'s.

use std::alloc::Layout;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use legionella_device::enqueue::Table;
use legionella_device::{DeviceData, Enqueue};

use crate::accelerator::Accelerator;
use crate::backend::Node;
use crate::buffer::Allocation;
use crate::error::{Error, Result};
use crate::grid::Grid;
use crate::launch::form::{LaterForm, Pointee};
use crate::launch::{self, Binder, Launch, Pass, PassAs, Purpose};
use crate::schedule::block::Block;
use crate::schedule::followup::Followup;
use crate::schedule::hazards::{Access, Use};

/// Most launches that are prepared for: queues of devices have room for as many.
const MOST: usize = 1024;

/// A kernel with its arguments, for other kernels to launch. See [`Accelerator::prepare`].
pub struct Prepared<T: DeviceData> {
    accelerator: Accelerator,
    followup: Arc<Followup>,
    /// What its launches use.
    uses: Vec<Use>,
    value: PhantomData<fn(T)>,
}

/// Stands for the value that a kernel launches a prepared one with: see [`Accelerator::prepare`].
#[derive(Clone, Copy, Debug)]
pub struct Later<T>(PhantomData<T>);

/// The first argument of a prepared kernel: the value that each launch of it has for itself.
pub fn later<T: DeviceData>() -> Later<T> {
    Later(PhantomData)
}

// SAFETY: binds in prepared launches only, and there it is the first argument, where each launch has its own value
// before it begins.
unsafe impl<T: DeviceData> Pass<T> for Later<T> {
    type Form = LaterForm<T>;

    fn bind(self, binder: &mut Binder<'_>) -> Result<LaterForm<T>> {
        binder.use_later()?;
        Ok(LaterForm::new())
    }
}

// SAFETY: a copy of the value for each work-item.
unsafe impl<T: DeviceData> PassAs<T> for Later<T> {}

/// Arguments of a launch of which the first comes [later()].
pub trait BeginLater {
    /// The value that comes later.
    type Value: DeviceData;
}

macro_rules! begin_later {
    ($($argument:ident)*) => {
        impl<T: DeviceData, $($argument),*> BeginLater for (Later<T>, $($argument,)*) {
            type Value = T;
        }
    };
}

begin_later!();
begin_later!(A1);
begin_later!(A1 A2);
begin_later!(A1 A2 A3);
begin_later!(A1 A2 A3 A4);
begin_later!(A1 A2 A3 A4 A5);
begin_later!(A1 A2 A3 A4 A5 A6);
begin_later!(A1 A2 A3 A4 A5 A6 A7);
begin_later!(A1 A2 A3 A4 A5 A6 A7 A8);
begin_later!(A1 A2 A3 A4 A5 A6 A7 A8 A9);
begin_later!(A1 A2 A3 A4 A5 A6 A7 A8 A9 A10);
begin_later!(A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11);

impl<T: DeviceData> Prepared<T> {
    pub(crate) fn new<K, A, P>(
        accelerator: &Accelerator,
        grid: Grid,
        arguments: A,
        capacity: usize,
    ) -> Result<Self>
    where
        K: Launch<A, P>,
        A: BeginLater<Value = T>,
    {
        let none = || Error::OutOfMemory {
            accelerator: accelerator.name().to_owned(),
            bytes: capacity.saturating_mul(size_of::<T>()),
        };
        if capacity > MOST {
            return Err(none());
        }
        let values = Layout::array::<T>(capacity).map_err(|_| none())?;
        let (whole, start) = Layout::new::<Table>().extend(values).map_err(|_| none())?;
        let memory = Arc::new(Allocation::visible(accelerator, whole.pad_to_align())?);
        let mut bound = None;
        launch::bind::<K, A, P>(
            accelerator,
            grid,
            arguments,
            Purpose::Prepare,
            |binder, program, space, block, layout| {
                let mut kept = Block::new();
                // SAFETY: the block is readable for its layout.
                unsafe { kept.store(block, layout) };
                let node = Node {
                    program,
                    space,
                    block: kept,
                    layout,
                    after: Vec::new(),
                };
                let is_empty = space.groups.contains(&0);
                bound = Some((binder.into_uses(), (!is_empty).then_some(node)));
            },
        )?;
        let (uses, node) = bound.unwrap_or_default();
        let capacity = capacity as u64;
        let places = [start, size_of::<T>()];
        Ok(Prepared {
            accelerator: accelerator.clone(),
            followup: Arc::new(Followup::new(
                node,
                size_of::<T>(),
                memory,
                capacity,
                places,
            )),
            uses,
            value: PhantomData,
        })
    }

    /// Where it runs.
    pub fn accelerator(&self) -> &Accelerator {
        &self.accelerator
    }

    /// How many times a launch can have it launched.
    pub fn capacity(&self) -> usize {
        self.followup.capacity as usize
    }
}

impl<T: DeviceData> fmt::Debug for Prepared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared")
            .field("capacity", &self.capacity())
            .field("accelerator", &self.accelerator.name())
            .finish()
    }
}

// SAFETY: the launch keeps the table, and has it alone until it has ended; a table may be used by all work-items at
// once. What is launched by it runs behind the launch, before that has ended, and one after the other; the launch is
// ordered as one that uses what they use.
unsafe impl<'a, T: DeviceData> Pass<Enqueue<'a, T>> for &'a Prepared<T> {
    type Form = Pointee<Table>;

    fn bind(self, binder: &mut Binder<'_>) -> Result<Pointee<Table>> {
        let memory = self.followup.memory();
        binder.use_memory(memory, 0..size_of::<Table>(), Access::Write)?;
        for used in &self.uses {
            binder.use_memory(&used.allocation, used.bytes.clone(), used.access)?;
        }
        binder.follow(&self.followup)?;
        Ok(Pointee(self.followup.table()))
    }
}

// SAFETY: as above.
unsafe impl<'a, T: DeviceData> PassAs<Enqueue<'a, T>> for &'a Prepared<T> {}
