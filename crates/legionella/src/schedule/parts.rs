//! Launches that others are parts of: they end when all of these have.

use std::alloc::Layout;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};

use crate::backend::{Code, Program};
use crate::error::Result;
use crate::graph::ONE;
use crate::schedule::slot::{Binding, Owned, Running, Runs, Ticket};

/// Finishes a launch once its parts have ended, which are cancelled with it: with its own outcome if that is a
/// failure, and else with that of the first part that failed.
pub(crate) fn finish_behind(launch: Running, parts: Vec<Owned>, outcome: Result<()>) {
    let tickets: Vec<Ticket> = parts.iter().map(Owned::ticket).collect();
    launch.consists_of(&tickets);
    let end = Binding::new();
    for ticket in &tickets {
        ticket.precedes(end.ticket());
    }
    let name = Arc::clone(&launch.program().kernel);
    let whole = Whole {
        launch,
        parts,
        outcome,
    };
    let code = Box::new(End(Mutex::new(Some(whole))));
    let runs = Runs::Made(Arc::new(Program::new(name, code)));
    let (block, layout) = (NonNull::dangling().as_ptr(), Layout::new::<()>());
    // SAFETY: it has no block and uses no memory.
    drop(unsafe { end.submit(runs, ONE, block, layout, None) });
}

/// What comes after all parts of one launch.
struct End(Mutex<Option<Whole>>);

struct Whole {
    launch: Running,
    parts: Vec<Owned>,
    outcome: Result<()>,
}

impl Code for End {
    fn start(&self, launch: Running) {
        let whole = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(whole) = whole {
            let outcome = whole.outcome.and_then(|()| of(&whole.parts));
            whole.launch.finish(outcome);
        }
        launch.finish(Ok(()));
    }
}

/// The failure of the first that failed.
fn of(parts: &[Owned]) -> Result<()> {
    match parts.iter().find_map(Owned::failure) {
        Some(failure) => Err(failure.report()),
        None => Ok(()),
    }
}
