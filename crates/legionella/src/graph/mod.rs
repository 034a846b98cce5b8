//! Launches that are recorded once and replayed many times.
//!
//! * [`recorder`]: takes launches, copies and fills, and finds out which come after which;
//! * [`in_turn`]: replays them by launching one after the other, on devices that have no better way.

use std::alloc::Layout;
use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;

use legionella_abi::cpu::Launch;

use crate::accelerator::Accelerator;
use crate::backend::Program;
use crate::error::{Error, Result};
use crate::launch::After;
use crate::schedule::completion::Completion;
use crate::schedule::hazards::Use;
use crate::schedule::slot::{Binding, Runs};

mod in_turn;
mod recorder;

pub use recorder::Recorder;

/// What a replay is called.
const NAME: &str = "graph";

/// The index space of what is no kernel.
pub(crate) const ONE: Launch = Launch {
    grid: [1; 3],
    group: [1; 3],
    groups: [1; 3],
    shared: 0,
    kept: u64::MAX,
};

/// Launches, copies and fills that were recorded, to be replayed as one launch.
///
/// Made by [`Accelerator::record`]. A replay costs the host about what one launch does, however many there
/// are in it; what is in it runs in the recorded order as far as it conflicts, and otherwise overlaps.
///
/// The buffers are lent for recording alone. The graph keeps their memory, and a replay is ordered as a
/// launch that uses all of it: after what it conflicts with, before what conflicts with it and comes later;
/// access by the host, also by other threads, waits for it, and it for that.
///
/// ```
/// use legionella::prelude::*;
///
/// # fn main() -> legionella::Result<()> {
/// let accelerator = Accelerator::by_name("cpu")?;
/// let mut ones = accelerator.filled(100, 0u32)?;
/// let mut copy = accelerator.filled(100, 0u32)?;
/// let graph = accelerator.record(|recorder| {
///     recorder.fill(&mut ones, 1)?;
///     recorder.copy(&ones, &mut copy)
/// })?;
/// graph.replay()?.wait()?;
/// assert_eq!(copy.to_vec()?, [1; 100]);
/// # Ok(())
/// # }
/// ```
///
/// If a kernel in it panics, the replay fails with that panic: of several kernels, the one that was recorded
/// first. Those that come later run, as they would behind a launch that failed.
pub struct Graph {
    accelerator: Accelerator,
    /// What all of it uses.
    uses: Vec<Use>,
    /// `None` if nothing was recorded.
    program: Option<Arc<Program>>,
    len: usize,
}

impl Graph {
    /// Records what a function tells to.
    pub(crate) fn record(
        accelerator: &Accelerator,
        record: impl FnOnce(&mut Recorder<'_>) -> Result<()>,
    ) -> Result<Self> {
        let mut recorder = Recorder::new(accelerator);
        record(&mut recorder)?;
        let (nodes, uses) = recorder.finish();
        let (len, nodes) = (nodes.len(), Arc::from(nodes));
        let mut program = None;
        if len > 0 {
            let code = match accelerator.backend().graph(&nodes)? {
                Some(code) => code,
                None => in_turn::code(&nodes),
            };
            program = Some(Arc::new(Program::new(NAME.into(), code)));
        }
        Ok(Graph {
            accelerator: accelerator.clone(),
            uses,
            program,
            len,
        })
    }

    /// Where it runs.
    pub fn accelerator(&self) -> &Accelerator {
        &self.accelerator
    }

    /// How many launches, copies and fills are in it.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Replays it. The call returns when the replay is scheduled.
    ///
    /// # Errors
    /// What goes wrong in it is the [`Completion`]'s to tell.
    pub fn replay(&self) -> Result<Completion> {
        self.replay_after(After::default())
    }

    /// Fails if it was recorded on another accelerator.
    pub(crate) fn is_on(&self, accelerator: &Accelerator) -> Result<()> {
        match self.accelerator == *accelerator {
            true => Ok(()),
            false => Err(Error::WrongAccelerator {
                buffer: self.accelerator.name().to_owned(),
                used_on: accelerator.name().to_owned(),
            }),
        }
    }

    pub(crate) fn replay_after(&self, after: After<'_>) -> Result<Completion> {
        let Some(program) = &self.program else {
            return Ok(Completion::immediate());
        };
        let mut binding = Binding::new();
        binding.uses.extend(self.uses.iter().map(Use::again));
        binding.will_run(program);
        for ticket in after.tickets {
            ticket.precedes(binding.ticket());
        }
        let (runs, queue) = (Runs::Made(Arc::clone(program)), after.queue.cloned());
        let (block, layout) = (NonNull::dangling().as_ptr(), Layout::new::<()>());
        // SAFETY: a graph has no block. What its nodes use is in `uses`.
        let launch = unsafe { binding.submit(runs, ONE, block, layout, queue) };
        Ok(Completion::of(launch))
    }
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Graph")
            .field("len", &self.len)
            .field("accelerator", &self.accelerator.name())
            .finish()
    }
}
