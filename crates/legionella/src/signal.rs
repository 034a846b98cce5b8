//! Signals on the host: memory for one, the argument of launches that it is, and launches that wait for it.

use std::alloc::Layout;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use legionella_device::Signal;

use crate::accelerator::Accelerator;
use crate::backend::Program;
use crate::buffer::Allocation;
use crate::error::Result;
use crate::graph::ONE;
use crate::launch::form::Pointee;
use crate::launch::{Binder, Pass, PassAs};
use crate::schedule::completion::Completion;
use crate::schedule::gate::Gate;
use crate::schedule::hazards::Access;
use crate::schedule::slot::{Binding, Runs};

/// What gates are called in errors.
const NAME: &str = "signal";

/// A [`Signal`] in memory that the host and devices see: a number that they change and wait for while kernels run.
///
/// Made by [`Accelerator::signal`]. It is all that a [`Signal`] is; a launch that is given `&signal` hands each
/// work-item a `&Signal`. Launches that use one are not ordered by it. It may be used on the accelerator that it was made
/// on, on others of the same kind where these see the same memory (AMD's devices do), and on the CPU.
///
/// ```no_run
/// use legionella::prelude::*;
///
/// /// Works while the host lets it.
/// fn search(at: Item, stop: &Signal, found: Sender<u64>) {
///     let mut x = at.global() as u64;
///     while stop.get() == 0 {
///         x = x.wrapping_mul(6364136223846793005).wrapping_add(1);
///         if x < 1 << 24 {
///             found.send(x);
///         }
///     }
/// }
///
/// # fn main() -> legionella::Result<()> {
/// let accelerator = Accelerator::best()?;
/// let (stop, found) = (accelerator.signal(0)?, accelerator.channel(64)?);
/// let launch = accelerator.launch(search, 1000, (&stop, &found))?;
/// let first = found.receive(&launch);
/// stop.set(1);
/// while found.receive(&launch).is_some() {}
/// # let _ = first;
/// launch.wait()
/// # }
/// ```
pub struct HostSignal {
    memory: Arc<Allocation>,
}

impl HostSignal {
    pub(crate) fn new(accelerator: &Accelerator, value: i64) -> Result<Self> {
        let memory = Allocation::visible(accelerator, Layout::new::<Signal>())?;
        // SAFETY: new, and as large.
        unsafe { memory.start().cast::<Signal>().write(Signal::new(value)) };
        Ok(HostSignal {
            memory: Arc::new(memory),
        })
    }

    /// Where it was made.
    pub fn accelerator(&self) -> &Accelerator {
        self.memory.accelerator()
    }

    /// Waits until the value is as a function says, but no longer than for a time; `None` if it is not by then.
    pub fn wait_for(&self, limit: Duration, until: impl Fn(i64) -> bool) -> Option<i64> {
        let start = Instant::now();
        let mut pause = crate::channel::Pause::default();
        loop {
            let value = self.get();
            if until(value) {
                return Some(value);
            }
            if start.elapsed() >= limit {
                return None;
            }
            pause.rest();
        }
    }

    /// Waits until the value is as a function says, and gives it. This may be for ever: nobody says that a kernel
    /// which was to change it has failed.
    pub fn wait(&self, until: impl Fn(i64) -> bool) -> i64 {
        let mut pause = crate::channel::Pause::default();
        loop {
            let value = self.get();
            if until(value) {
                return value;
            }
            pause.rest();
        }
    }

    /// A launch without work-items that ends once the value is 0, for launches
    /// [after](Accelerator::after) it. See [`Accelerator::when_zero`].
    pub(crate) fn zero(&self, accelerator: &Accelerator) -> Result<Completion> {
        let mut binding = Binding::new();
        let mut binder = Binder::new(accelerator, std::mem::take(&mut binding.uses));
        binder.use_visible(&self.memory)?;
        let code = (accelerator.backend().gate()?).unwrap_or_else(|| Box::new(Gate));
        let program = Arc::new(Program::new(NAME.into(), code));
        binding.uses = binder.into_uses();
        binding.will_run(&program);
        let address: *const Signal = &raw const **self;
        let (block, layout) = ((&raw const address).cast(), Layout::new::<*const Signal>());
        // SAFETY: a gate's block, and memory that it keeps.
        let launch = unsafe { binding.submit(Runs::Made(program), ONE, block, layout, None) };
        Ok(Completion::of(launch))
    }
}

impl Deref for HostSignal {
    type Target = Signal;

    fn deref(&self) -> &Signal {
        // SAFETY: `new` wrote one there, which lives as long as the memory and is changed as its type says.
        unsafe { &*self.memory.start().cast() }
    }
}

impl fmt::Debug for HostSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostSignal")
            .field("value", &self.get())
            .field("accelerator", &self.accelerator().name())
            .finish()
    }
}

// SAFETY: the launch keeps the signal's memory; signals may be used by all work-items at once.
unsafe impl<'a> Pass<&'a Signal> for &'a HostSignal {
    type Form = Pointee<Signal>;

    fn bind(self, binder: &mut Binder<'_>) -> Result<Pointee<Signal>> {
        binder.use_visible(&self.memory)?;
        Ok(Pointee(&raw const **self))
    }
}

// SAFETY: as above.
unsafe impl<'a> PassAs<&'a Signal> for &'a HostSignal {}

impl Binder<'_> {
    /// Takes note of memory of the host that devices see, of which nothing is ordered.
    fn use_visible(&mut self, allocation: &Arc<Allocation>) -> Result<()> {
        let (here, there) = (self.accelerator(), allocation.accelerator());
        if here != there && !here.backend().sees_memory_of(there.backend()) {
            return Err(crate::Error::WrongAccelerator {
                buffer: there.name().to_owned(),
                used_on: here.name().to_owned(),
            });
        }
        self.keep(allocation, 0..0, Access::Read);
        Ok(())
    }
}
