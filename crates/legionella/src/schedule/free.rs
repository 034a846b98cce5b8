//! Slots that no launch has.
//!
//! Each thread keeps some of those that it gave back, for launches of its own: they are taken without a lock, which
//! two threads that launch would pass to each other. What a thread has too many of, and all that one leaves
//! behind, others find.

use std::cell::RefCell;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::slot::Slot;

/// How many a thread passes on, or takes, at once. It keeps up to twice as many.
const AT_ONCE: usize = 64;

static EVERYBODYS: Mutex<Vec<&'static Slot>> = Mutex::new(Vec::new());

/// What one thread keeps: the first `len`.
struct Kept {
    slots: [Option<&'static Slot>; 2 * AT_ONCE],
    len: usize,
}

thread_local! {
    static KEPT: RefCell<Kept> = const {
        RefCell::new(Kept {
            slots: [None; 2 * AT_ONCE],
            len: 0,
        })
    };
}

fn everybodys() -> MutexGuard<'static, Vec<&'static Slot>> {
    EVERYBODYS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A slot that no launch has, if there is one at hand.
pub(super) fn take() -> Option<&'static Slot> {
    let kept = KEPT.try_with(|kept| kept.borrow_mut().take());
    // A thread that ends has nothing of its own.
    kept.unwrap_or_else(|_| everybodys().pop())
}

/// Gives a slot back.
pub(super) fn give(slot: &'static Slot) {
    if KEPT.try_with(|kept| kept.borrow_mut().give(slot)).is_err() {
        everybodys().push(slot);
    }
}

impl Kept {
    fn take(&mut self) -> Option<&'static Slot> {
        if self.len == 0 {
            self.take_several();
        }
        self.len = self.len.checked_sub(1)?;
        self.slots[self.len].take()
    }

    #[cold]
    fn take_several(&mut self) {
        let mut everybodys = everybodys();
        let rest = everybodys.len().saturating_sub(AT_ONCE);
        for slot in everybodys.drain(rest..) {
            self.slots[self.len] = Some(slot);
            self.len += 1;
        }
    }

    fn give(&mut self, slot: &'static Slot) {
        if self.len == self.slots.len() {
            self.pass_on(AT_ONCE);
        }
        self.slots[self.len] = Some(slot);
        self.len += 1;
    }

    #[cold]
    fn pass_on(&mut self, count: usize) {
        let rest = self.len - count;
        everybodys().extend(
            self.slots[rest..self.len]
                .iter_mut()
                .filter_map(Option::take),
        );
        self.len = rest;
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.pass_on(self.len);
    }
}
