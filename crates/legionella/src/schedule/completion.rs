//! The caller's view of a launch: to wait for, to await, to order others after.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::slot::{Owned, Ticket};
use crate::error::Result;

/// The end of a launch.
///
/// [Wait](Completion::wait) for it, `.await` it, or order another launch
/// [after](crate::Accelerator::after) it. It may as well be dropped or forgotten: buffers know what
/// is in flight on them and stay allocated until it has ended. If the launch then fails, the error
/// is returned once, by the next host access to a buffer that it wrote.
pub struct Completion(Option<Owned>);

impl Completion {
    /// Of a launch without work-items.
    pub(crate) fn immediate() -> Self {
        Completion(None)
    }

    pub(crate) fn of(launch: Owned) -> Self {
        Completion(Some(launch))
    }

    pub(crate) fn ticket(&self) -> Option<Ticket> {
        self.0.as_ref().map(Owned::ticket)
    }

    /// Waits until the launch has ended.
    ///
    /// # Errors
    /// If the launch failed: [`Error::KernelPanicked`](crate::Error::KernelPanicked) if a
    /// work-item panicked, [`Error::Cancelled`](crate::Error::Cancelled) if it was cancelled.
    pub fn wait(&self) -> Result<()> {
        let Some(launch) = &self.0 else {
            return Ok(());
        };
        launch.ticket().wait();
        outcome(launch)
    }

    /// Whether the launch has ended.
    pub fn is_done(&self) -> bool {
        self.0
            .as_ref()
            .is_none_or(|launch| launch.ticket().is_done())
    }

    /// Starts no further work-group of the launch. Those that run finish, and the launch then ends
    /// with [`Error::Cancelled`](crate::Error::Cancelled), unless all had been started.
    pub fn cancel(&self) {
        if let Some(launch) = &self.0 {
            launch.ticket().cancel();
        }
    }
}

fn outcome(launch: &Owned) -> Result<()> {
    match launch.failure() {
        Some(failure) => Err(failure.report()),
        None => Ok(()),
    }
}

impl Future for Completion {
    type Output = Result<()>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        match &self.0 {
            None => Poll::Ready(Ok(())),
            Some(launch) if launch.wake(context.waker()) => Poll::Pending,
            Some(launch) => Poll::Ready(outcome(launch)),
        }
    }
}

impl fmt::Debug for Completion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Completion")
            .field("done", &self.is_done())
            .finish()
    }
}
