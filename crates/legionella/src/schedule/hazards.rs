//! What is in flight on one allocation, and what went wrong on it.
//!
//! Two launches conflict if one writes bytes that the other reads or writes. An allocation
//! remembers the ticket of every launch in flight with the bytes that it uses; a launch that is
//! bound is ordered after those it conflicts with. Access by the host waits for those, and is itself in
//! flight while it lasts. Nothing here depends on a destructor: dropping or leaking a completion changes
//! nothing.
//!
//! # Why launches never wait for each other in a circle
//!
//! A launch is ordered on one allocation after the other. Two that conflict on two of them could so each
//! come before the other; but a launch borrows its buffers while it is ordered, and one that writes borrows
//! them mutably, so that no two that conflict are ordered at the same time. Replays of graphs borrow
//! nothing, and launches whose kernels launch others not what these use: they are ordered while nothing else is that uses several allocations.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::slot::{Occupied, Ticket};
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

/// Held, for writing by who doesn't borrow it all, while something is ordered that uses several allocations.
static ORDERING: RwLock<()> = RwLock::new(());

/// Orders a launch after all that it conflicts with, and remembers it. Whether it borrows all that it uses while it is
/// ordered, `borrows` says.
pub(super) fn register(uses: &[Use], borrows: bool, launch: Ticket) {
    match uses {
        [] => {}
        [used] => used.register(launch),
        _ => register_several(uses, borrows, launch),
    }
}

#[inline(never)]
fn register_several(uses: &[Use], borrows: bool, launch: Ticket) {
    let shared = || ORDERING.read().unwrap_or_else(PoisonError::into_inner);
    let alone = || ORDERING.write().unwrap_or_else(PoisonError::into_inner);
    let _shared = borrows.then(shared);
    let _alone = (!borrows).then(alone);
    uses.iter().for_each(|used| used.register(launch));
}

/// What the host does with memory: in flight until it is dropped.
#[derive(Debug)]
pub(crate) struct HostAccess {
    _occupied: Occupied,
}

impl HostAccess {
    /// Waits for everything in flight that conflicts with it.
    pub(crate) fn begin(parts: &[(&Allocation, Range<usize>, Access)]) -> Self {
        let occupied = Occupied::new();
        let mut before = Vec::new();
        let shared = || ORDERING.read().unwrap_or_else(PoisonError::into_inner);
        let ordering = (parts.len() > 1).then(shared);
        for (allocation, bytes, access) in parts {
            let ticket = occupied.ticket();
            (allocation.hazards).add(bytes.clone(), *access, ticket, |earlier| {
                before.push(earlier);
            });
        }
        drop(ordering);
        before.iter().for_each(Ticket::wait);
        HostAccess {
            _occupied: occupied,
        }
    }
}

impl Use {
    /// Orders a launch after all that it conflicts with there, and remembers it.
    fn register(&self, launch: Ticket) {
        let hazards = &self.allocation.hazards;
        hazards.add(self.bytes.clone(), self.access, launch, |earlier| {
            earlier.precedes(launch);
        });
    }

    /// The same use by another launch.
    pub(crate) fn again(&self) -> Use {
        Use {
            allocation: Arc::clone(&self.allocation),
            bytes: self.bytes.clone(),
            access: self.access,
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
    /// Remembers a launch, and tells of those that it comes after.
    #[inline]
    fn add(
        &mut self,
        bytes: Range<usize>,
        access: Access,
        launch: Ticket,
        mut comes_after: impl FnMut(Ticket),
    ) {
        // One launch after another that writes the same.
        if let (Access::Write, [writer], []) = (access, &mut self.writers[..], &self.readers[..])
            && writer.is_within(&bytes)
            && writer.launch != launch
        {
            let entry = Entry { bytes, launch };
            let before = std::mem::replace(writer, entry).launch;
            if !before.is_done() {
                comes_after(before);
            }
            return;
        }
        self.add_among_others(bytes, access, launch, comes_after);
    }

    #[inline(never)]
    fn add_among_others(
        &mut self,
        bytes: Range<usize>,
        access: Access,
        launch: Ticket,
        mut comes_after: impl FnMut(Ticket),
    ) {
        let mut wait_for = |entries: &mut Vec<Entry>, covered: bool| {
            entries.retain(|entry| {
                if entry.launch.is_done() {
                    return false;
                }
                if entry.launch == launch || !entry.overlaps(&bytes) {
                    return true;
                }
                comes_after(entry.launch);
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
}

/// The launches in flight on one allocation, for all threads.
#[derive(Debug, Default)]
pub(crate) struct Hazards(Mutex<InFlight>);

impl Hazards {
    fn add(
        &self,
        bytes: Range<usize>,
        access: Access,
        launch: Ticket,
        comes_after: impl FnMut(Ticket),
    ) {
        if !bytes.is_empty() {
            let mut in_flight = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            in_flight.add(bytes, access, launch, comes_after);
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
    pub(crate) fn report(&self) -> Error {
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
