//! A bounded queue of many producers and one consumer in memory that both reach, without locks.
//!
//! The algorithm is D. Vyukov's "Bounded MPMC queue" (1024cores.net, 2010), with one consumer, and
//! with claims of several cells at once. Each cell has a *turn*. At position `p`, counted from the
//! start of time, in cell `p mod capacity`:
//!
//! * turn `p`: the cell is free for the producer that claims position `p`;
//! * turn `p + 1`: it holds the value of position `p`;
//! * turn `p + capacity`: the consumer has taken the value; free for the next round.
//!
//! Producers agree on positions by a compare-exchange of `head`. Since the consumer frees cells in
//! order, a claim of several cells has to look at the last one alone. The capacity is at least 2: with
//! one cell, "full at `p`" and "free at `p + 1`" would be the same turn.
//!
//! # Why it is sound
//!
//! A producer writes a cell only at a position that it claimed, when the turn says free; no other
//! claims the position, and the consumer doesn't read the cell before the turn says full, which the
//! producer stores last, with release ordering. The consumer reads it with acquire ordering, takes
//! the value, and frees the cell with release ordering, which producers acquire. So accesses to a
//! cell's value never overlap, and each sees what the one before did. Values are [`DeviceData`]:
//! whatever producers write is a value of the type for the consumer, and nothing is dropped. A
//! producer that ends between claim and publication, which only a device can that is lost, leaves a
//! cell that is never full: the consumer stops there.

use core::alloc::Layout;
use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};

use crate::DeviceData;
use crate::atomic::InSystem;

/// What lies before a ring's cells.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Door {
    /// Not 0 once nobody consumes any more.
    closed: AtomicU32,
    /// Not 0 if values are consumed while they are produced.
    live: u32,
}

impl Door {
    /// Whether nobody consumes any more.
    pub fn is_closed(&self) -> bool {
        InSystem::of(&self.closed).load(Relaxed) != 0
    }

    /// Whether values are consumed while they are produced.
    pub fn is_live(&self) -> bool {
        self.live != 0
    }

    /// Says that nobody consumes any more.
    pub fn close(&self) {
        InSystem::of(&self.closed).store(1, Relaxed);
    }
}

/// Room for one value.
#[derive(Debug)]
#[repr(C)]
struct Cell<T> {
    turn: AtomicU64,
    value: UnsafeCell<MaybeUninit<T>>,
}

/// Where a ring lies. A copy is as good as the original.
#[derive(Debug)]
#[repr(C)]
pub struct Ring<T> {
    /// The next position to claim; best in memory that producers reach fast.
    head: *const AtomicU64,
    /// What lies before the cells, in memory that the consumer reaches as well.
    door: *const Door,
    /// A power of two.
    capacity: u64,
    cells: *const Cell<T>,
}

impl<T> Clone for Ring<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Ring<T> {}

/// The least capacity.
const LEAST: u64 = 2;

impl<T: DeviceData> Ring<T> {
    /// The capacity of a ring for at least that many values, and the memory that it takes; `None` if
    /// there is no such memory.
    pub fn layout(values: usize) -> Option<(u64, Layout)> {
        let capacity = values.max(LEAST as usize).checked_next_power_of_two()?;
        let cells = Layout::array::<Cell<T>>(capacity).ok()?;
        let (whole, _) = Layout::new::<Door>().extend(cells).ok()?;
        Some((capacity as u64, whole.pad_to_align()))
    }

    /// An empty ring.
    ///
    /// # Safety
    /// `memory` is writable and has the layout that [`layout`](Ring::layout) gives for `capacity`,
    /// which is what that gave; `head` is the address of a zero. Both stay valid while the ring is used,
    /// and are used by it alone.
    pub unsafe fn create(
        head: *const AtomicU64,
        memory: *mut u8,
        capacity: u64,
        live: bool,
    ) -> Ring<T> {
        let door = memory.cast::<Door>();
        let start = Layout::new::<Door>()
            .extend(Layout::new::<Cell<T>>())
            .map_or(0, |(_, start)| start);
        // SAFETY: within the memory, by the caller's promise.
        unsafe {
            door.write(Door {
                closed: AtomicU32::new(0),
                live: live.into(),
            });
            let cells = memory.add(start).cast::<Cell<T>>();
            for position in 0..capacity {
                let cell = cells.add(position as usize);
                (&raw mut (*cell).turn).write(AtomicU64::new(position));
            }
            Ring {
                head,
                door,
                capacity,
                cells,
            }
        }
    }

    /// What lies before the cells.
    ///
    /// # Safety
    /// The ring is valid for as long as the result is used.
    pub unsafe fn door<'a>(self) -> &'a Door {
        // SAFETY: the caller's promise.
        unsafe { &*self.door }
    }

    /// How many values there is room for.
    pub fn capacity(self) -> u64 {
        self.capacity
    }

    /// The cell of a position.
    ///
    /// # Safety
    /// The ring is valid for as long as the result is used.
    #[inline(always)]
    unsafe fn cell<'a>(self, position: u64) -> &'a Cell<T> {
        let index = (position & (self.capacity - 1)) as usize;
        // SAFETY: below the capacity.
        unsafe { &*self.cells.add(index) }
    }

    /// Claims positions for as many values, of which each has to be [written](Ring::write) and then
    /// [published](Ring::publish); gives the first. `None` if there is no room.
    ///
    /// # Safety
    /// The ring is valid.
    #[inline]
    pub unsafe fn claim(self, count: u64) -> Option<u64> {
        if count == 0 || count > self.capacity {
            return None;
        }
        // SAFETY: the caller's promise.
        let head = unsafe { &*self.head };
        let mut first = head.load(Relaxed);
        loop {
            let last = first.wrapping_add(count - 1);
            // SAFETY: the caller's promise.
            let turn = InSystem::of(&unsafe { self.cell(last) }.turn).load(Acquire);
            let ahead = turn.wrapping_sub(last).cast_signed();
            if ahead < 0 {
                // Of the round before; or it was full, and others have moved on meanwhile.
                let now = head.load(Relaxed);
                if now == first {
                    return None;
                }
                first = now;
            } else if ahead > 0 {
                first = head.load(Relaxed);
            } else {
                match head.compare_exchange_weak(first, last.wrapping_add(1), Relaxed, Relaxed) {
                    Ok(_) => return Some(first),
                    Err(now) => first = now,
                }
            }
        }
    }

    /// Writes the value of a position.
    ///
    /// # Safety
    /// The position was claimed by the caller and is not published.
    #[inline(always)]
    pub unsafe fn write(self, position: u64, value: T) {
        // SAFETY: nobody else reaches the value, by the caller's promise and this module's argument.
        unsafe { (*self.cell(position).value.get()).write(value) };
    }

    /// Gives a position's value to the consumer.
    ///
    /// # Safety
    /// The position was claimed by the caller and is written.
    #[inline(always)]
    pub unsafe fn publish(self, position: u64) {
        // SAFETY: the caller's promise.
        let cell = unsafe { self.cell(position) };
        InSystem::of(&cell.turn).store(position.wrapping_add(1), Release);
    }

    /// The value of a position, if it was published and not taken.
    ///
    /// # Safety
    /// The ring is valid. One consumer at a time, which takes positions in order from 0 on.
    pub unsafe fn peek(self, position: u64) -> Option<T> {
        // SAFETY: the caller's promise.
        let cell = unsafe { self.cell(position) };
        (InSystem::of(&cell.turn).load(Acquire) == position.wrapping_add(1)).then(|| {
            // SAFETY: published, thus written, and free of producers until it is taken.
            unsafe { (*cell.value.get()).assume_init_read() }
        })
    }

    /// Frees the cell of a position whose value was taken.
    ///
    /// # Safety
    /// As for [`peek`](Ring::peek), which gave the value; positions are freed in order.
    pub unsafe fn free(self, position: u64) {
        // SAFETY: the caller's promise.
        let cell = unsafe { self.cell(position) };
        InSystem::of(&cell.turn).store(position.wrapping_add(self.capacity), Release);
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::alloc::{alloc, dealloc};
    use std::boxed::Box;
    use std::vec::Vec;

    struct Owned<T: DeviceData> {
        ring: Ring<T>,
        memory: *mut u8,
        layout: Layout,
    }

    // SAFETY: tests use it as rings are used.
    unsafe impl<T: DeviceData> Sync for Owned<T> {}

    impl<T: DeviceData> Owned<T> {
        fn new(values: usize) -> Self {
            let (capacity, layout) = Ring::<T>::layout(values).unwrap();
            let head = Box::leak(Box::new(AtomicU64::new(0)));
            // SAFETY: the layout has a size, and is that of the ring.
            unsafe {
                let memory = alloc(layout);
                let ring = Ring::create(head, memory, capacity, true);
                Owned {
                    ring,
                    memory,
                    layout,
                }
            }
        }

        fn send(&self, values: &[T]) -> bool {
            // SAFETY: the ring lives as long as this.
            unsafe {
                let Some(first) = self.ring.claim(values.len() as u64) else {
                    return false;
                };
                for (position, value) in (first..).zip(values) {
                    self.ring.write(position, *value);
                }
                (first..first + values.len() as u64).for_each(|at| self.ring.publish(at));
            }
            true
        }

        fn take(&self, next: &mut u64) -> Option<T> {
            // SAFETY: tests have one consumer, which owns `next`.
            unsafe {
                let value = self.ring.peek(*next)?;
                self.ring.free(*next);
                *next += 1;
                Some(value)
            }
        }
    }

    impl<T: DeviceData> Drop for Owned<T> {
        fn drop(&mut self) {
            // SAFETY: allocated so by `new`.
            unsafe { dealloc(self.memory, self.layout) };
        }
    }

    #[test]
    fn it_is_full_when_it_is_and_empty_when_it_is() {
        for values in [0, 1, 2, 3, 8] {
            let (queue, mut next) = (Owned::<u32>::new(values), 0);
            let capacity = queue.ring.capacity() as u32;
            assert_eq!(capacity, values.max(2).next_power_of_two() as u32);
            for round in 0..5 {
                assert_eq!(queue.take(&mut next), None);
                assert!((0..capacity).all(|i| queue.send(&[round * 100 + i])));
                assert!(!queue.send(&[9]));
                assert!(!queue.send(&[9, 9]));
                assert!((0..capacity).all(|i| queue.take(&mut next) == Some(round * 100 + i)));
            }
        }
    }

    #[test]
    fn several_cells_are_claimed_at_once_or_not_at_all() {
        let (queue, mut next) = (Owned::<u8>::new(4), 0);
        assert!(!queue.send(&[0; 5]) && !queue.send(&[]));
        assert!(queue.send(&[1, 2, 3]));
        assert!(!queue.send(&[4, 5]));
        assert_eq!(queue.take(&mut next), Some(1));
        assert!(queue.send(&[4, 5]));
        assert!((2..=5).all(|value| queue.take(&mut next) == Some(value)));
    }

    #[test]
    fn threads_lose_nothing_and_keep_their_order() {
        const EACH: u64 = if cfg!(miri) { 40 } else { 20_000 };
        let queue = Owned::<[u64; 3]>::new(16);
        std::thread::scope(|scope| {
            for thread in 0..4u64 {
                let queue = &queue;
                scope.spawn(move || {
                    let mut sent = 0;
                    while sent < EACH {
                        let count = (1 + sent % 3).min(EACH - sent);
                        let values: Vec<_> = (sent..sent + count)
                            .map(|i| [thread, i, thread ^ i])
                            .collect();
                        if queue.send(&values) {
                            sent += count;
                        } else {
                            std::thread::yield_now();
                        }
                    }
                });
            }
            let (mut next, mut seen) = (0, [0u64; 4]);
            while next < 4 * EACH {
                match queue.take(&mut next) {
                    Some([thread, i, check]) => {
                        assert_eq!((i, check), (seen[thread as usize], thread ^ i));
                        seen[thread as usize] += 1;
                    }
                    None => std::thread::yield_now(),
                }
            }
            assert_eq!(seen, [EACH; 4]);
        });
    }
}
