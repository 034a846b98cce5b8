//! One computation for all threads that want the same result.
//!
//! Knows nothing of what is computed. A success is kept for the life of the table; a failure is
//! given to everyone who was waiting, and the next caller tries again.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Results by key, computed or being computed.
#[derive(Debug)]
pub struct Flights<Key, Value, Error> {
    flights: Mutex<HashMap<Key, Arc<Flight<Value, Error>>>>,
}

#[derive(Debug)]
struct Flight<Value, Error> {
    outcome: Mutex<Option<Result<Value, Error>>>,
    landed: Condvar,
}

impl<Key, Value, Error> Default for Flights<Key, Value, Error> {
    fn default() -> Self {
        Flights {
            flights: Mutex::default(),
        }
    }
}

impl<Key: Eq + Hash + Clone, Value: Clone, Error: Clone> Flights<Key, Value, Error> {
    /// The value of `key`: kept from before, from the thread that computes it now, or from
    /// `compute`. If the computing thread panics, those that wait get `interrupted`.
    pub fn join(
        &self,
        key: &Key,
        interrupted: Error,
        compute: impl FnOnce() -> Result<Value, Error>,
    ) -> Result<Value, Error> {
        let flight = match lock(&self.flights).entry(key.clone()) {
            Entry::Occupied(entry) => Err(Arc::clone(entry.get())),
            Entry::Vacant(entry) => Ok(Arc::clone(entry.insert(Arc::new(Flight {
                outcome: Mutex::new(None),
                landed: Condvar::new(),
            })))),
        };
        match flight {
            Err(flight) => {
                let outcome = flight
                    .landed
                    .wait_while(lock(&flight.outcome), |outcome| outcome.is_none())
                    .unwrap_or_else(PoisonError::into_inner);
                outcome.clone().unwrap_or(Err(interrupted))
            }
            Ok(flight) => {
                let mut pilot = Pilot {
                    flights: self,
                    key,
                    flight,
                    outcome: Err(interrupted),
                };
                pilot.outcome = compute();
                pilot.outcome.clone()
            }
        }
    }
}

/// Publishes the outcome when the computing thread is done with it, by return or by panic.
struct Pilot<'table, Key: Eq + Hash, Value: Clone, Error: Clone> {
    flights: &'table Flights<Key, Value, Error>,
    key: &'table Key,
    flight: Arc<Flight<Value, Error>>,
    outcome: Result<Value, Error>,
}

impl<Key: Eq + Hash, Value: Clone, Error: Clone> Drop for Pilot<'_, Key, Value, Error> {
    fn drop(&mut self) {
        if self.outcome.is_err() {
            lock(&self.flights.flights).remove(self.key);
        }
        *lock(&self.flight.outcome) = Some(self.outcome.clone());
        self.flight.landed.notify_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;
    use std::time::Duration;

    use super::*;

    type Table = Flights<u32, u32, &'static str>;

    #[test]
    fn many_threads_compute_once_and_the_value_is_kept() {
        let (table, computed) = (Table::default(), AtomicUsize::new(0));
        let start = Barrier::new(8);
        let compute = || {
            thread::sleep(Duration::from_millis(30));
            computed.fetch_add(1, Ordering::Relaxed);
            Ok(7)
        };
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    start.wait();
                    assert_eq!(table.join(&1, "", compute), Ok(7));
                });
            }
        });
        assert_eq!(table.join(&1, "", || Err("not again")), Ok(7));
        assert_eq!(computed.into_inner(), 1);
    }

    #[test]
    fn failures_reach_those_who_wait_and_are_tried_again() {
        let table = Table::default();
        assert_eq!(table.join(&1, "", || Err("first")), Err("first"));
        assert_eq!(table.join(&1, "", || Ok(2)), Ok(2));
    }

    #[test]
    fn a_panic_leaves_nobody_waiting() {
        let table = Table::default();
        let inside = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                let result = catch_unwind(AssertUnwindSafe(|| {
                    table.join(&1, "interrupted", || {
                        inside.wait();
                        thread::sleep(Duration::from_millis(30));
                        panic!("on purpose")
                    })
                }));
                assert!(result.is_err());
            });
            inside.wait();
            assert_eq!(
                table.join(&1, "interrupted", || Ok(0)),
                Err("interrupted"),
                "the waiting thread joined the flight that panicked"
            );
        });
        assert_eq!(table.join(&1, "", || Ok(3)), Ok(3));
    }
}
