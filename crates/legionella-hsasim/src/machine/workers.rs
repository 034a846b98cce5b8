//! Threads that execute work-groups.
//!
//! A work-group stays on the thread that began it. One that takes long gives way, so that others,
//! which it may wait for, begin too.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};

use crate::error::Fault;
use crate::interpret::{Group, Progress, Wave};

use super::dispatch::Dispatch;
use super::memory::View;
use super::report;

/// Turns after which a work-group gives way.
const TURNS: usize = 64;

/// Work-groups that a thread has begun and not ended, at most.
const RESIDENT: usize = 128;

/// Launches that have work-groups nobody has begun.
#[derive(Debug, Default)]
struct Pool {
    waiting: Mutex<VecDeque<Arc<Dispatch>>>,
    changed: Condvar,
}

fn pool() -> &'static Pool {
    static POOL: OnceLock<&'static Pool> = OnceLock::new();
    POOL.get_or_init(|| {
        let pool: &'static Pool = Box::leak(Box::default());
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        for number in 0..threads {
            let started = std::thread::Builder::new()
                .name(format!("hsasim {number}"))
                .spawn(move || Worker::default().run(pool));
            if started.is_err() && number == 0 {
                eprintln!("legionella-hsasim: no thread can be started, kernels will not run");
            }
        }
        pool
    })
}

/// Has a launch executed.
pub fn execute(dispatch: Arc<Dispatch>) {
    let pool = pool();
    let mut waiting = pool.waiting.lock().unwrap_or_else(PoisonError::into_inner);
    waiting.push_back(dispatch);
    pool.changed.notify_all();
}

/// A work-group that has begun.
struct Begun {
    dispatch: Arc<Dispatch>,
    number: u64,
    group: Group,
    memory: View,
}

#[derive(Default)]
struct Worker {
    resident: VecDeque<Begun>,
    waves: Vec<Wave>,
}

impl Worker {
    fn run(mut self, pool: &'static Pool) {
        loop {
            let fresh = if self.resident.len() < RESIDENT {
                self.claim(pool)
            } else {
                None
            };
            let begun = match fresh {
                Some(begun) => begun,
                None => match self.resident.pop_front() {
                    Some(begun) => begun,
                    None => continue,
                },
            };
            self.advance(begun);
        }
    }

    /// A new work-group. Waits for one if there is nothing else to do.
    fn claim(&mut self, pool: &Pool) -> Option<Begun> {
        let mut waiting = pool.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            while let Some(dispatch) = waiting.front() {
                match dispatch.claim() {
                    Some(number) => {
                        let dispatch = Arc::clone(dispatch);
                        drop(waiting);
                        let group = dispatch.begin(number, &mut self.waves);
                        let memory = View::new(1 << dispatch.loaded.agent);
                        return Some(Begun {
                            dispatch,
                            number,
                            group,
                            memory,
                        });
                    }
                    None => {
                        waiting.pop_front();
                    }
                }
            }
            if !self.resident.is_empty() {
                return None;
            }
            waiting = pool
                .changed
                .wait(waiting)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn advance(&mut self, mut begun: Begun) {
        for _ in 0..TURNS {
            if begun.dispatch.stopped.load(Ordering::Acquire) {
                self.end(begun);
                return;
            }
            match begun
                .group
                .turn(&begun.dispatch.loaded.code, &mut begun.memory)
            {
                Ok(Progress::Turn) => {}
                Ok(Progress::Ended) => {
                    self.end(begun);
                    return;
                }
                Err((wave, fault)) => {
                    fail(&begun, wave, &fault);
                    self.end(begun);
                    return;
                }
            }
        }
        std::thread::yield_now();
        self.resident.push_back(begun);
    }

    fn end(&mut self, begun: Begun) {
        let Begun {
            dispatch,
            group,
            memory,
            ..
        } = begun;
        drop(memory);
        self.waves
            .extend(group.waves.into_iter().take(64 - self.waves.len().min(64)));
        if dispatch.stopped.load(Ordering::Acquire) {
            return;
        }
        if dispatch.end() {
            dispatch.queue.completed(&dispatch);
        }
    }
}

fn fail(begun: &Begun, wave: usize, fault: &Fault) {
    let dispatch = &begun.dispatch;
    let slot = begun.group.waves[wave].slot;
    let place = dispatch.place(begun.number);
    let text = report::text(&dispatch.loaded, &dispatch.kernel, place, wave, slot, fault);
    dispatch.queue.failed(report::status(fault), text);
}
