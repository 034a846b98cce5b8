//! Slabs, one or several side by side: for classes, and for objects that are larger than those of any.

use core::sync::atomic::Ordering::*;

use super::SLAB;
use super::layout::{Heap, OWN};
use super::small::bit;

/// How often a search is made anew that was disturbed by others.
const TRIES: usize = 16;

impl Heap {
    /// A run of slabs that were free, which are now taken: so many, a power of two, and aligned to that.
    pub(super) unsafe fn take_run(self, length: usize) -> Option<usize> {
        // SAFETY: the caller's promise; bits of slabs that don't exist are left alone.
        unsafe {
            let (header, words) = (self.header(), self.words());
            let slabs = header.slabs as usize;
            // Those who search at once start at different slabs.
            let turn = header.cursor.fetch_add(length as u32, Relaxed) as usize;
            let start = turn.checked_rem(slabs)? & !(length - 1);
            for step in 0..=words {
                let at = match start / 64 + step {
                    at if at < words => at,
                    at => at - words,
                };
                let word = self.taken().word(at);
                // The first word is looked at from the start on, and as a whole in the end.
                let before = if step == 0 { bit(start) - 1 } else { 0 };
                let none = !self.existing(at);
                let mut taken = word.load(Relaxed) | none | before;
                while let Some((first, mask)) = free_run(taken, length) {
                    let now = word.fetch_or(mask, Acquire);
                    if now & mask == 0 {
                        self.count_taken(length as u32);
                        return Some(64 * at + first);
                    }
                    if mask & !now != 0 {
                        word.fetch_and(!(mask & !now), Release);
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
                if let Some(first) = self.take_anywhere(count, align) {
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
    unsafe fn take_anywhere(self, count: usize, align: usize) -> Option<usize> {
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
            let first = self.slab_of(object);
            let state = OWN << 32 | count as u64;
            self.slab(first).state.fetch_sub(state, Release);
            self.give_slabs(first, count);
        }
    }
}

/// The first of the free runs of a length in a word, and its bits.
#[inline(always)]
fn free_run(taken: u64, length: usize) -> Option<(usize, u64)> {
    let (mut occupied, mut width) = (taken, 1);
    while width < length {
        occupied |= occupied >> width;
        width *= 2;
    }
    let all = u64::MAX >> (64 - length);
    // The bits at which a run may start.
    let starts = u64::MAX / all;
    let free = !occupied & starts;
    (free != 0).then(|| {
        let first = free.trailing_zeros();
        (first as usize, all << first)
    })
}

/// The bits of slabs from `index` on that are in one word and below `end`, and the slab behind them.
fn part(index: usize, end: usize) -> (u64, usize) {
    let next = (index / 64 + 1) * 64;
    let next = if next < end { next } else { end };
    let len = next - index;
    let mask = if len == 64 { u64::MAX } else { (1 << len) - 1 };
    (mask << (index % 64), next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_runs_are_aligned_and_free() {
        assert_eq!(free_run(0, 1), Some((0, 1)));
        assert_eq!(free_run(0b1011, 1), Some((2, 0b100)));
        assert_eq!(free_run(0b1001, 2), Some((4, 0b11_0000)));
        assert_eq!(free_run(1 << 9, 8), Some((0, 0xff)));
        assert_eq!(free_run(1 << 31 | 1, 32), Some((32, u64::MAX << 32)));
        assert_eq!(free_run(0, 64), Some((0, u64::MAX)));
        assert_eq!(free_run(1 << 63, 64), None);
        assert_eq!(free_run(0x5555_5555_5555_5555, 2), None);
        assert_eq!(free_run(u64::MAX, 1), None);
    }
}
