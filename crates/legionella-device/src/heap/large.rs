//! Slabs, one or several side by side: for classes, and for objects that are larger than those of any.

use core::sync::atomic::Ordering::*;

use super::SLAB;
use super::layout::{Heap, OWN};
use super::small::bit;

/// How often a search is made anew that was disturbed by others.
const TRIES: usize = 16;

impl Heap {
    /// A slab that was free, which is now taken.
    pub(super) unsafe fn take_slab(self) -> Option<usize> {
        // SAFETY: the caller's promise; bits of slabs that don't exist are left alone.
        unsafe {
            let (header, words) = (self.header(), self.words());
            let slabs = header.slabs as usize;
            // Those who search at once start at different slabs.
            let start = header.cursor.fetch_add(1, Relaxed) as usize % slabs;
            for step in 0..=words {
                let at = (start / 64 + step) % words;
                let word = self.taken().word(at);
                // The first word is looked at from the start on, and as a whole in the end.
                let before = if step == 0 { bit(start) - 1 } else { 0 };
                let none = !self.existing(at);
                let mut taken = word.load(Relaxed) | none | before;
                while taken != u64::MAX {
                    let index = 64 * at + taken.trailing_ones() as usize;
                    let now = word.fetch_or(bit(index), Acquire);
                    if now & bit(index) == 0 {
                        self.count_taken(1);
                        return Some(index);
                    }
                    taken = now | none | before;
                }
            }
            None
        }
    }

    /// The bits of a word that stand for slabs.
    unsafe fn existing(self, word: usize) -> u64 {
        // SAFETY: the caller's promise.
        let slabs = unsafe { self.header().slabs } as usize;
        match slabs - 64 * word {
            64.. => u64::MAX,
            rest => (1 << rest) - 1,
        }
    }

    unsafe fn count_taken(self, count: u32) {
        // SAFETY: the caller's promise.
        let header = unsafe { self.header() };
        let used = header.used.fetch_add(count, Relaxed) + count;
        header.most_used.fetch_max(used, Relaxed);
    }

    /// Makes slabs free.
    pub(super) unsafe fn give_slabs(self, first: usize, count: usize) {
        // SAFETY: the caller's promise; they were taken by who gives them.
        unsafe {
            self.clear(first, first + count);
            self.header().used.fetch_sub(count as u32, Relaxed);
        }
    }

    /// Clears the bits of slabs.
    unsafe fn clear(self, first: usize, end: usize) {
        let mut index = first;
        while index < end {
            let (mask, next) = part(index, end);
            // SAFETY: slabs that exist.
            unsafe { self.taken().word(index / 64).fetch_and(!mask, Release) };
            index = next;
        }
    }

    /// Takes all of these slabs, or none: then gives the last one that is in the way.
    unsafe fn take(self, first: usize, end: usize) -> Result<(), usize> {
        let mut index = first;
        while index < end {
            let (mask, next) = part(index, end);
            // SAFETY: slabs that exist.
            let word = unsafe { self.taken().word(index / 64) };
            // Looking first spares others the sight of bits that go again.
            let mut taken = word.load(Relaxed) & mask;
            if taken == 0 {
                taken = word.fetch_or(mask, Acquire) & mask;
                if taken == 0 {
                    index = next;
                    continue;
                }
                word.fetch_and(!(mask & !taken), Release);
            }
            // SAFETY: taken above.
            unsafe { self.clear(first, index) };
            return Err(64 * (index / 64) + 63 - taken.leading_zeros() as usize);
        }
        Ok(())
    }

    /// Whole slabs for an object; null if there are not as many side by side.
    #[cold]
    #[inline(never)]
    pub(super) unsafe fn alloc_large(self, size: usize, align: usize) -> *mut u8 {
        let count = size.div_ceil(SLAB);
        // SAFETY: the caller's promise.
        unsafe {
            for turn in 0..TRIES {
                if let Some(first) = self.take_run(count, align) {
                    self.count_taken(count as u32);
                    let state = OWN << 32 | count as u64;
                    self.slab(first).state.fetch_add(state, Relaxed);
                    return self.memory(first);
                }
                if turn == 0 {
                    self.reclaim();
                }
            }
            self.header().refused.fetch_add(1, Relaxed);
            core::ptr::null_mut()
        }
    }

    /// Takes as many slabs side by side.
    unsafe fn take_run(self, count: usize, align: usize) -> Option<usize> {
        // SAFETY: the caller's promise.
        unsafe {
            let slabs = self.header().slabs as usize;
            let mut first = 0usize;
            while first.checked_add(count)? <= slabs {
                let address = self.memory(first).addr();
                if !address.is_multiple_of(align) {
                    first += 1;
                    continue;
                }
                match self.take(first, first + count) {
                    Ok(()) => return Some(first),
                    Err(in_the_way) => first = in_the_way + 1,
                }
            }
            None
        }
    }

    /// Frees an object that has whole slabs.
    ///
    /// # Safety
    /// The heap is valid, and gave it for this size.
    #[cold]
    #[inline(never)]
    pub(super) unsafe fn dealloc_large(self, object: *mut u8, size: usize) {
        let count = size.div_ceil(SLAB);
        // SAFETY: the caller's promise.
        unsafe {
            let (first, _) = self.place(object);
            let state = OWN << 32 | count as u64;
            self.slab(first).state.fetch_sub(state, Release);
            self.give_slabs(first, count);
        }
    }
}

/// The bits of slabs from `index` on that are in one word and below `end`, and the slab behind them.
fn part(index: usize, end: usize) -> (u64, usize) {
    let next = (index / 64 + 1) * 64;
    let next = if next < end { next } else { end };
    let len = next - index;
    let mask = if len == 64 { u64::MAX } else { (1 << len) - 1 };
    (mask << (index % 64), next)
}
