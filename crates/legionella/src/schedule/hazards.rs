//! What is in flight on one allocation, and what went wrong on it.
//!
//! Two launches conflict if one writes bytes that the other reads or writes. An allocation
//! remembers the ticket of every launch in flight with the bytes that it uses; a launch that is
//! bound is ordered after those it conflicts with, and host access waits for them. Nothing here
//! depends on a destructor: dropping or leaking a completion changes nothing.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::slot::Ticket;
use crate::buffer::Allocation;
use crate::error::{Error, Result};

/// What a launch does with memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

/// Memory that a launch uses. Keeps it allocated.
pub(crate) struct Use {
    pub(crate) allocation: Arc<Allocation>,
    pub(crate) bytes: Range<usize>,
    pub(crate) access: Access,
}

impl Use {
    /// Orders a launch after all that it conflicts with here, and remembers it.
    pub(super) fn register(&self, launch: Ticket) {
        if !self.bytes.is_empty() {
            let mut hazards = self.allocation.hazards.lock();
            hazards.add(self.bytes.clone(), self.access, launch);
        }
    }

    /// Who is to hear that the launch failed: the owner of what it wrote.
    pub(super) fn failure_log(&self) -> Option<&FailureLog> {
        (self.access == Access::Write).then_some(&self.allocation.failures)
    }
}

/// One launch in flight and the bytes that it uses.
#[derive(Debug)]
struct Entry {
    bytes: Range<usize>,
    launch: Ticket,
}

impl Entry {
    fn overlaps(&self, bytes: &Range<usize>) -> bool {
        self.bytes.start < bytes.end && bytes.start < self.bytes.end
    }

    fn is_within(&self, bytes: &Range<usize>) -> bool {
        bytes.start <= self.bytes.start && self.bytes.end <= bytes.end
    }
}

/// The launches in flight on one allocation.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    readers: Vec<Entry>,
    writers: Vec<Entry>,
    /// Number of readers beyond which ended ones are looked for.
    prune_at: usize,
}

impl InFlight {
    fn add(&mut self, bytes: Range<usize>, access: Access, launch: Ticket) {
        let wait_for = |entries: &mut Vec<Entry>, covered: bool| {
            entries.retain(|entry| {
                if entry.launch.is_done() {
                    return false;
                }
                if entry.launch == launch || !entry.overlaps(&bytes) {
                    return true;
                }
                entry.launch.precedes(launch);
                // Whoever conflicts with it from now on conflicts with `launch` too.
                !(covered && entry.is_within(&bytes))
            });
        };
        let entry = Entry {
            bytes: bytes.clone(),
            launch,
        };
        match access {
            Access::Read => {
                wait_for(&mut self.writers, false);
                if self.readers.len() >= self.prune_at {
                    self.readers.retain(|entry| !entry.launch.is_done());
                    self.prune_at = (2 * self.readers.len()).max(8);
                }
                self.readers.push(entry);
            }
            Access::Write => {
                wait_for(&mut self.writers, true);
                wait_for(&mut self.readers, true);
                self.writers.push(entry);
            }
        }
    }

    /// A launch in flight that conflicts with such an access.
    fn conflict(&mut self, bytes: &Range<usize>, access: Access) -> Option<Ticket> {
        let find = |entries: &mut Vec<Entry>| {
            entries.retain(|entry| !entry.launch.is_done());
            let entry = entries.iter().find(|entry| entry.overlaps(bytes));
            entry.map(|entry| entry.launch)
        };
        let writer = find(&mut self.writers);
        match access {
            Access::Read => writer,
            Access::Write => writer.or_else(|| find(&mut self.readers)),
        }
    }
}

/// The launches in flight on one allocation, for all threads.
#[derive(Debug, Default)]
pub(crate) struct Hazards(Mutex<InFlight>);

impl Hazards {
    fn lock(&self) -> std::sync::MutexGuard<'_, InFlight> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for everything in flight that conflicts with such an access by the host.
    ///
    /// The caller's borrow of the buffer keeps new conflicts from being launched meanwhile.
    pub(crate) fn wait(&self, bytes: &Range<usize>, access: Access) {
        loop {
            let conflict = self.lock().conflict(bytes, access);
            match conflict {
                Some(launch) => launch.wait(),
                None => return,
            }
        }
    }
}

/// Why a launch failed, and whether anyone was told.
#[derive(Debug)]
pub(crate) struct Failure {
    error: Error,
    reported: AtomicBool,
}

impl Failure {
    pub(super) fn new(error: Error) -> Self {
        Failure {
            error,
            reported: AtomicBool::new(false),
        }
    }

    /// The error, for the one who owns the launch's completion.
    pub(super) fn report(&self) -> Error {
        self.reported.store(true, Ordering::Relaxed);
        self.error.clone()
    }
}

/// Failures of launches that nobody may have been told of.
#[derive(Debug, Default)]
pub(crate) struct FailureLog {
    any: AtomicBool,
    failures: Mutex<Vec<Arc<Failure>>>,
}

impl FailureLog {
    pub(super) fn add(&self, failure: &Arc<Failure>) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.retain(|failure| !failure.reported.load(Ordering::Relaxed));
        if !failures.iter().any(|known| Arc::ptr_eq(known, failure)) {
            failures.push(Arc::clone(failure));
        }
        self.any.store(true, Ordering::Release);
    }

    /// Reports the oldest failure that nobody was told of.
    pub(crate) fn report(&self) -> Result<()> {
        if !self.any.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        while !failures.is_empty() {
            let failure = failures.remove(0);
            if !failure.reported.swap(true, Ordering::Relaxed) {
                return Err(failure.error.clone());
            }
        }
        self.any.store(false, Ordering::Release);
        Ok(())
    }
}
