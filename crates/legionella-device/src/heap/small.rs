//! Objects that share a slab with others of their class.

use core::sync::atomic::Ordering::*;

use super::layout::{ACTIVE, Heap, Slab};
use super::{SLAB, size_of_class};

/// Objects of a class that fit into a slab.
#[inline(always)]
fn capacity(class: usize) -> u64 {
    (SLAB / size_of_class(class)) as u64
}

/// The low half of a slab's state.
#[inline(always)]
fn count(state: u64) -> u64 {
    state & 0xffff_ffff
}

/// The state of a slab of a class without holders.
#[inline(always)]
fn empty(class: usize) -> u64 {
    (class as u64 + 1) << 32
}

/// The bit of a slab in its bitmap's word.
#[inline(always)]
pub(super) fn bit(slab: usize) -> u64 {
    1 << (slab % 64)
}

impl Slab {
    /// Takes a clear bit. Who reserved finds one, first of all where the ticket points to.
    #[inline(always)]
    fn take_bit(&self, class: usize, ticket: u64) -> usize {
        let capacity = capacity(class);
        let words = capacity.div_ceil(64) as usize;
        let all = if capacity < 64 {
            (1 << capacity) - 1
        } else {
            u64::MAX
        };
        let rotation = (ticket % 64) as u32;
        let mut index = (ticket / 64) as usize % words;
        loop {
            let word = &self.bits[index];
            let mut clear = !word.load(Relaxed) & all;
            while clear != 0 {
                let at = (clear.rotate_right(rotation).trailing_zeros() + rotation) % 64;
                let before = word.fetch_or(1 << at, Acquire);
                if before >> at & 1 == 0 {
                    return 64 * index + at as usize;
                }
                clear = !before & all;
            }
            index = (index + 1) % words;
        }
    }

    /// Whether there is room, as far as can be told.
    fn has_room(&self, class: usize) -> bool {
        let state = self.state.load(Relaxed);
        state >> 32 == empty(class) >> 32 && count(state) < capacity(class)
    }
}

impl Heap {
    /// An object of a class; null if there is no room.
    ///
    /// # Safety
    /// The heap is valid.
    #[inline]
    pub(super) unsafe fn alloc_small(self, class: usize, spread: usize) -> *mut u8 {
        // SAFETY: the caller's promise; hints lead to slabs that exist.
        unsafe {
            let hint = &self.header().active[class][spread % ACTIVE];
            let index = hint.load(Relaxed);
            if index != 0
                && let Some(ticket) = self.reserve(index as usize - 1, class)
            {
                return self.object(index as usize - 1, class, ticket);
            }
            self.alloc_elsewhere(class, spread)
        }
    }

    /// Reserves an object of a slab: gives a ticket, or `None` if the slab is full or of another class.
    #[inline(always)]
    unsafe fn reserve(self, index: usize, class: usize) -> Option<u64> {
        // SAFETY: the caller's promise; the slab exists.
        unsafe {
            let slab = self.slab(index);
            let state = slab.state.fetch_add(1, Acquire);
            if state >> 32 == empty(class) >> 32 && count(state) < capacity(class) {
                return Some(count(state));
            }
            let state = slab.state.fetch_sub(1, Relaxed);
            // Room that came up meanwhile was hidden from others by this attempt.
            if state >> 32 == empty(class) >> 32 && count(state) <= capacity(class) {
                self.show(index, class);
            }
            None
        }
    }

    /// Lets a slab be found.
    #[inline(always)]
    unsafe fn show(self, index: usize, class: usize) {
        // SAFETY: the caller's promise; the slab exists.
        let word = unsafe { self.with_room(class).word(index / 64) };
        word.fetch_or(bit(index), AcqRel);
    }

    /// The object of a ticket.
    #[inline(always)]
    unsafe fn object(self, index: usize, class: usize, ticket: u64) -> *mut u8 {
        // SAFETY: a slab that exists, and an object that lies within it.
        unsafe {
            let number = self.slab(index).take_bit(class, ticket);
            self.memory(index).add(number * size_of_class(class))
        }
    }

    /// An object of a slab that the hint doesn't lead to.
    #[cold]
    #[inline(never)]
    unsafe fn alloc_elsewhere(self, class: usize, spread: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe {
            // A slab that was full once and has room again; else a new one, so that few share it;
            // else what is free in slabs of other classes, or in those of other hints.
            let found = self
                .reserve_in_old(class, spread)
                .or_else(|| self.reserve_in_new(class))
                .or_else(|| {
                    self.reclaim();
                    self.reserve_in_new(class)
                })
                .or_else(|| self.reserve_in_active(class));
            let Some((index, ticket)) = found else {
                self.header().refused.fetch_add(1, Relaxed);
                return core::ptr::null_mut();
            };
            let hint = &self.header().active[class][spread % ACTIVE];
            let before = hint.swap(index as u32 + 1, Relaxed);
            if before != 0 && before as usize - 1 != index {
                self.offer(before as usize - 1, class);
            }
            self.object(index, class, ticket)
        }
    }

    /// Lets a slab be found if it has room.
    unsafe fn offer(self, index: usize, class: usize) {
        // SAFETY: the caller's promise; the slab exists.
        unsafe {
            if self.slab(index).has_room(class) {
                self.show(index, class);
            }
        }
    }

    /// Reserves in a slab that may have room.
    unsafe fn reserve_in_old(self, class: usize, spread: usize) -> Option<(usize, u64)> {
        // SAFETY: the caller's promise; only bits of slabs that exist are set.
        unsafe {
            let words = self.words();
            for step in 0..words {
                let at = (spread / ACTIVE + step) % words;
                let word = self.with_room(class).word(at);
                let mut left = word.load(Acquire);
                while left != 0 {
                    let index = 64 * at + left.trailing_zeros() as usize;
                    left &= left - 1;
                    // It is this work-item's, unless another has just taken it out.
                    if word.fetch_and(!bit(index), AcqRel) & bit(index) == 0 {
                        continue;
                    }
                    if let Some(ticket) = self.reserve(index, class) {
                        return Some((index, ticket));
                    }
                }
            }
            None
        }
    }

    /// Reserves in a slab that was free.
    unsafe fn reserve_in_new(self, class: usize) -> Option<(usize, u64)> {
        // SAFETY: the caller's promise.
        unsafe {
            let index = self.take_slab()?;
            // Others may have added to the count, and are about to take it back.
            let state = self.slab(index).state.fetch_add(empty(class) + 1, Acquire);
            Some((index, count(state) % capacity(class)))
        }
    }

    /// Reserves in any slab that a hint leads to.
    unsafe fn reserve_in_active(self, class: usize) -> Option<(usize, u64)> {
        // SAFETY: the caller's promise; hints lead to slabs that exist.
        unsafe {
            self.header().active[class].iter().find_map(|hint| {
                let index = (hint.load(Relaxed) as usize).checked_sub(1)?;
                let ticket = self.reserve(index, class)?;
                Some((index, ticket))
            })
        }
    }

    /// Makes slabs free that hold nothing.
    pub(super) unsafe fn reclaim(self) {
        // SAFETY: the caller's promise.
        unsafe {
            for index in 0..self.header().slabs as usize {
                let slab = self.slab(index);
                let state = slab.state.load(Relaxed);
                let Some(class) = (state >> 32).checked_sub(1) else {
                    continue;
                };
                if count(state) != 0 {
                    continue;
                }
                // A larger object has a count: this is of a class.
                if (slab.state.compare_exchange(state, 0, AcqRel, Relaxed)).is_ok() {
                    (self.with_room(class as usize).word(index / 64))
                        .fetch_and(!bit(index), AcqRel);
                    self.give_slabs(index, 1);
                }
            }
        }
    }

    /// Frees an object.
    ///
    /// # Safety
    /// The heap is valid, and gave the object for this class.
    #[inline]
    pub(super) unsafe fn dealloc_small(self, object: *mut u8, class: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            let (index, distance) = self.place(object);
            let number = distance / size_of_class(class);
            let slab = self.slab(index);
            slab.bits[number / 64].fetch_and(!(1 << (number % 64)), Release);
            let state = slab.state.fetch_sub(1, Release);
            if count(state) >= capacity(class) {
                self.show(index, class);
            }
        }
    }
}
