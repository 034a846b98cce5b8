//! Launches that end when a signal is zero, where no device has a better way: a thread looks at the signals.

use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use legionella_device::Signal;

use super::slot::Running;
use crate::backend::Code;
use crate::error::{Error, Result};

/// Code that waits so; its argument block is the address of a signal.
#[derive(Debug)]
pub(crate) struct Gate;

impl Code for Gate {
    fn start(&self, launch: Running) {
        wait(launch);
    }
}

/// How long the thread rests between two looks, at most: what nobody notices.
const REST: Duration = Duration::from_micros(50);

/// What waits.
static WAITING: Mutex<Waiting> = Mutex::new(Waiting {
    gates: Vec::new(),
    is_watched: false,
});
static MORE: Condvar = Condvar::new();

struct Waiting {
    gates: Vec<Running>,
    is_watched: bool,
}

/// The signal that a gate waits for.
///
/// # Safety
/// The launch's block is the address of a signal, which its memory keeps.
pub(crate) unsafe fn signal_of(gate: &Running) -> &Signal {
    // SAFETY: the caller's promise.
    unsafe { &**gate.block().cast::<*const Signal>() }
}

/// How a gate ends; `None` while it waits.
pub(crate) fn outcome(gate: &Running) -> Option<Result<()>> {
    // SAFETY: gates have such blocks.
    let is_zero = unsafe { signal_of(gate) }.get() == 0;
    match is_zero {
        true => Some(Ok(())),
        false => gate.is_cancelled().then(|| cancelled(gate)),
    }
}

/// What a gate ends with that was cancelled.
pub(crate) fn cancelled(gate: &Running) -> Result<()> {
    Err(Error::Cancelled {
        kernel: gate.program().kernel.clone(),
    })
}

/// Finishes a gate when its signal is zero, or when it was cancelled.
pub(crate) fn wait(gate: Running) {
    if let Some(outcome) = outcome(&gate) {
        return gate.finish(outcome);
    }
    let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
    if !waiting.is_watched {
        let spawned = thread::Builder::new()
            .name("legionella-signals".to_owned())
            .spawn(watch);
        if let Err(error) = spawned {
            drop(waiting);
            return gate.finish(Err(Error::Device {
                accelerator: "host".to_owned(),
                reason: format!("no thread could be started: {error}"),
            }));
        }
        waiting.is_watched = true;
    }
    waiting.gates.push(gate);
    MORE.notify_one();
}

fn watch() {
    loop {
        let mut ended = Vec::new();
        let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
        while waiting.gates.is_empty() {
            waiting = MORE.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        let mut index = 0;
        while index < waiting.gates.len() {
            match outcome(&waiting.gates[index]) {
                None => index += 1,
                Some(outcome) => ended.push((waiting.gates.swap_remove(index), outcome)),
            }
        }
        drop(waiting);
        let found = !ended.is_empty();
        for (gate, outcome) in ended {
            gate.finish(outcome);
        }
        if !found {
            thread::sleep(REST);
        }
    }
}
