//! Launches one after the other. Takes launches as an accelerator does, and orders each after the
//! one before it.

use std::sync::{Arc, Mutex, PoisonError};

use crate::accelerator::Accelerator;
use crate::error::Result;
use crate::graph::Graph;
use crate::grid::Grid;
use crate::launch::{self, After, Kernel, Launch};
use crate::schedule::completion::Completion;
use crate::schedule::hazards::FailureLog;
use crate::schedule::slot::Ticket;

/// Launches on one accelerator that run in order, each after the one before has ended.
///
/// Launches that conflict are ordered anyway; a queue orders others as well, such as those that
/// use raw addresses. Launches of different queues overlap unless they conflict.
///
/// ```no_run
/// # use legionella::prelude::*;
/// # fn step(_: Item) {}
/// # fn main() -> legionella::Result<()> {
/// let queue = Accelerator::best()?.queue();
/// for _ in 0..10 {
///     queue.launch(step, 1000, ())?;
/// }
/// queue.wait()
/// # }
/// ```
#[derive(Debug)]
pub struct Queue {
    accelerator: Accelerator,
    last: Mutex<Option<Ticket>>,
    failures: Arc<FailureLog>,
}

impl Queue {
    pub(crate) fn new(accelerator: Accelerator) -> Self {
        Queue {
            accelerator,
            last: Mutex::new(None),
            failures: Arc::new(FailureLog::default()),
        }
    }

    /// Where the queue's launches run.
    pub fn accelerator(&self) -> &Accelerator {
        &self.accelerator
    }

    /// As [`Accelerator::launch`], after all launches on this queue so far.
    ///
    /// # Errors
    /// As there.
    pub fn launch<K, A, P>(
        &self,
        kernel: K,
        grid: impl Into<Grid>,
        arguments: A,
    ) -> Result<Completion>
    where
        K: Launch<A, P>,
    {
        // SAFETY: `Launch` says that it is safe.
        unsafe { self.launch_unchecked(kernel, grid, arguments) }
    }

    /// As [`Accelerator::launch_unchecked`], after all launches on this queue so far.
    ///
    /// # Safety
    /// As there.
    ///
    /// # Errors
    /// As there.
    pub unsafe fn launch_unchecked<K, A, P>(
        &self,
        kernel: K,
        grid: impl Into<Grid>,
        arguments: A,
    ) -> Result<Completion>
    where
        K: Kernel<A, P>,
    {
        let _ = kernel;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let after = After {
            tickets: last.as_slice(),
            queue: Some(&self.failures),
        };
        // SAFETY: the caller's promise.
        let launched =
            unsafe { launch::launch::<K, A, P>(&self.accelerator, grid.into(), arguments, after) }?;
        *last = launched.ticket().or(*last);
        Ok(launched)
    }

    /// As [`Graph::replay`], after all launches on this queue so far.
    ///
    /// # Errors
    /// As there; [`Error::WrongAccelerator`](crate::Error::WrongAccelerator) if the graph was recorded on
    /// another accelerator.
    pub fn replay(&self, graph: &Graph) -> Result<Completion> {
        graph.is_on(&self.accelerator)?;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let after = After {
            tickets: last.as_slice(),
            queue: Some(&self.failures),
        };
        let launched = graph.replay_after(after)?;
        *last = launched.ticket().or(*last);
        Ok(launched)
    }

    /// Waits until all launches on this queue so far have ended.
    ///
    /// # Errors
    /// The first failure among them that nobody was told of, if there is one.
    pub fn wait(&self) -> Result<()> {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = last {
            last.wait();
        }
        self.failures.report()
    }
}
