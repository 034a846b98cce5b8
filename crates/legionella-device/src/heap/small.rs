//! Objects that share a run of slabs with others of their class. Such a run is called a slab here, by the
//! first of those that it is made of, which is where its state and its bits are.

use core::ptr::null_mut;
use core::sync::atomic::{Ordering::*, fence};

use super::bits::{lowest, nth};
use super::layout::{Heap, REPLACED, Slab};
use super::peers::Peers;
use super::{SLAB, size_of_class};

/// How often those who find a slab full look whether another has found a better one, before they
/// search themselves.
const PATIENCE: usize = 64;

/// How often a search is repeated that others may have disturbed.
const SEARCHES: usize = 3;

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

/// Objects of a slab that are reserved and whose bits are not set yet.
#[derive(Clone, Copy)]
struct Reserved {
    slab: usize,
    /// The bit to try first.
    ticket: u64,
    count: u64,
}

impl Reserved {
    const NONE: Reserved = Reserved {
        slab: 0,
        ticket: 0,
        count: 0,
    };
}

/// The places of set bits, first of all those from a number on, modulo 64.
#[inline(always)]
fn from(bits: u64, start: usize) -> impl Iterator<Item = usize> {
    let start = (start % 64) as u32;
    let mut left = bits.rotate_right(start);
    core::iter::from_fn(move || {
        let place = (left != 0).then(|| left.trailing_zeros())?;
        left &= left - 1;
        Some(((place + start) % 64) as usize)
    })
}

impl Slab {
    /// Takes clear bits of one word for some of the objects that are reserved: gives the word's index
    /// and the bits. Who reserved finds some, first of all where the ticket points to.
    #[inline(always)]
    fn take_bits(&self, capacity: u64, reserved: &mut Reserved) -> (usize, u64) {
        let all = u64::MAX >> (64 - if capacity < 64 { capacity } else { 64 });
        loop {
            // Powers of two: nothing that could panic, or every kernel that allocates would carry what
            // formats the message.
            let first = reserved.ticket & (capacity - 1);
            let index = (first / 64) as usize;
            // SAFETY: there is a bit for each object of the smallest class, and no class has more.
            let word = unsafe { self.bits.get_unchecked(index) };
            let mut wanted = lowest(all & u64::MAX << (first % 64), reserved.count);
            loop {
                let before = word.fetch_or(wanted, Relaxed);
                let taken = wanted & !before;
                if taken != 0 {
                    let behind = 64 - taken.leading_zeros();
                    reserved.ticket = 64 * index as u64 + u64::from(behind);
                    reserved.count -= u64::from(taken.count_ones());
                    return (index, taken);
                }
                wanted = lowest(all & !before, reserved.count);
                if wanted == 0 {
                    break;
                }
            }
            reserved.ticket = 64 * (index as u64 + 1);
        }
    }

    /// Whether there is room, as far as can be told.
    fn has_room(&self, class: usize, capacity: u64) -> bool {
        let state = self.state.load(Relaxed);
        state >> 32 == empty(class) >> 32 && count(state) < capacity
    }
}

impl Heap {
    /// Objects of a class that fit into a slab.
    #[inline(always)]
    unsafe fn capacity(self, class: usize) -> u64 {
        // SAFETY: the caller's promise.
        let length = unsafe { self.length_log(class) };
        ((SLAB << length) / size_of_class(class)) as u64
    }

    /// An object of a class for each of some peers; null for those for which there is no room.
    ///
    /// # Safety
    /// The heap is valid; all peers call this with the same class.
    #[inline(always)]
    pub(super) unsafe fn alloc_small(self, class: usize, spread: usize, peers: Peers) -> *mut u8 {
        let (wanted, rank) = (peers.count(), peers.rank());
        let mut reserved = Reserved::NONE;
        let mut given = 0;
        let mut object = null_mut();
        while given < wanted {
            let (mut place, mut bits) = (0, 0);
            if peers.is_first() {
                // SAFETY: the caller's promise; who has reserved knows a slab that exists.
                unsafe {
                    if reserved.count == 0 {
                        reserved = self.reserve_some(class, wanted - given, spread);
                    }
                    if reserved.count > 0 {
                        let slab = self.slab(reserved.slab);
                        let (word, taken) = slab.take_bits(self.capacity(class), &mut reserved);
                        // What was done to the objects before happens before what is done now.
                        fence(Acquire);
                        place = reserved.slab * SLAB + 64 * word * size_of_class(class);
                        bits = taken;
                    }
                }
            }
            let (place, bits) = (peers.of_first(place as u64), peers.of_first(bits));
            if bits == 0 {
                break;
            }
            let count = u64::from(bits.count_ones());
            if (given..given + count).contains(&rank) {
                let number = nth(bits, rank - given) as usize;
                let distance = place as usize + number * size_of_class(class);
                // SAFETY: an object of a slab that exists.
                object = unsafe { self.memory(0).add(distance) };
            }
            given += count;
        }
        object
    }

    /// Reserves objects, one or more and at most as many as are wanted; none if there is no room.
    #[inline(always)]
    unsafe fn reserve_some(self, class: usize, wanted: u64, spread: usize) -> Reserved {
        // SAFETY: the caller's promise; hints lead to slabs that exist.
        unsafe {
            let hint = self.hint(class, spread).load(Relaxed);
            let index = hint & !REPLACED;
            if index != 0
                && let Some(reserved) = self.reserve(index as usize - 1, class, wanted)
            {
                return reserved;
            }
            self.reserve_elsewhere(class, wanted, spread, index)
        }
    }

    /// Reserves objects of a slab; `None` if it is full or of another class.
    #[inline(always)]
    unsafe fn reserve(self, index: usize, class: usize, wanted: u64) -> Option<Reserved> {
        // SAFETY: the caller's promise; the slab exists.
        unsafe {
            let (slab, capacity) = (self.slab(index), self.capacity(class));
            let state = slab.state.fetch_add(wanted, Relaxed);
            let is_of_class = |state: u64| state >> 32 == empty(class) >> 32;
            let free = match is_of_class(state) {
                true => capacity.saturating_sub(count(state)),
                false => 0,
            };
            let got = if free < wanted { free } else { wanted };
            if got < wanted {
                let excess = wanted - got;
                let state = slab.state.fetch_sub(excess, Relaxed);
                // Room that came up meanwhile was hidden from others by this attempt.
                if is_of_class(state) && count(state) < capacity + excess {
                    self.show_unless_active(index, class);
                }
            }
            (got > 0).then_some(Reserved {
                slab: index,
                ticket: count(state),
                count: got,
            })
        }
    }

    /// Lets a slab be found that no hint leads to.
    ///
    /// Who changes the hint lets it be found if there is room. If that comes before, the hint tells; else
    /// the count does.
    #[inline(always)]
    unsafe fn show_unless_active(self, index: usize, class: usize) {
        // SAFETY: the caller's promise; the slab exists.
        unsafe {
            let owner = self.slab(index).owner.load(Relaxed) as usize;
            if owner != 0 {
                let hint = self.hint(class, owner - 1).fetch_or(0, AcqRel) & !REPLACED;
                if hint as usize == index + 1 {
                    return;
                }
            }
            self.show(index, class);
        }
    }

    /// Lets a slab be found.
    #[inline(always)]
    unsafe fn show(self, index: usize, class: usize) {
        // SAFETY: the caller's promise; the slab exists.
        unsafe {
            let (word, upper) = (index / 64, index / 64 / 64);
            let before = (self.with_room(class).word(word)).fetch_or(bit(index), AcqRel);
            if before == 0 {
                (self.words_with_room(class).word(upper)).fetch_or(bit(word), AcqRel);
                self.rooms(class).fetch_or(bit(upper), AcqRel);
            }
        }
    }

    /// Takes a slab out of those that are found: whether it was one.
    #[inline(always)]
    unsafe fn hide(self, index: usize, class: usize) -> bool {
        // SAFETY: the caller's promise; the slab exists.
        unsafe {
            let word = self.with_room(class).word(index / 64);
            let before = word.fetch_and(!bit(index), AcqRel);
            if before == bit(index) {
                // Who shows another of the word sets this before or after. If it was before, the word
                // tells.
                let upper = self.words_with_room(class).word(index / 64 / 64);
                upper.fetch_and(!bit(index / 64), AcqRel);
                if word.load(Acquire) != 0 {
                    upper.fetch_or(bit(index / 64), AcqRel);
                    self.rooms(class).fetch_or(bit(index / 64 / 64), AcqRel);
                }
            }
            before & bit(index) != 0
        }
    }

    /// Reserves objects of a slab that the hint doesn't lead to, or did not when it was `tried`.
    ///
    /// One at a time replaces a hint, as long as that is not long: of many that find a slab full at
    /// once, each would take another.
    #[cold]
    #[inline(never)]
    unsafe fn reserve_elsewhere(
        self,
        class: usize,
        wanted: u64,
        spread: usize,
        tried: u32,
    ) -> Reserved {
        // SAFETY: the caller's promise; hints lead to slabs that exist.
        unsafe {
            let (hint, mut tried) = (self.hint(class, spread), tried);
            for _ in 0..PATIENCE {
                let now = hint.load(Relaxed);
                if now & !REPLACED != tried {
                    tried = now & !REPLACED;
                    if tried != 0
                        && let Some(reserved) = self.reserve(tried as usize - 1, class, wanted)
                    {
                        return reserved;
                    }
                } else if now & REPLACED == 0
                    && (hint.compare_exchange(now, now | REPLACED, Relaxed, Relaxed)).is_ok()
                {
                    break;
                }
            }
            for _ in 0..SEARCHES {
                // A slab that was full once and has room again; else a new one, so that few share it;
                // else what is free in slabs of other classes, or in those of other hints.
                let found = self
                    .reserve_in_old(class, wanted, spread)
                    .or_else(|| self.reserve_in_new(class, wanted))
                    .or_else(|| {
                        self.reclaim();
                        self.reserve_in_new(class, wanted)
                    })
                    .or_else(|| self.reserve_in_active(class, wanted));
                if let Some(reserved) = found {
                    let owner = self.place_of_hint(spread) as u32 + 1;
                    self.slab(reserved.slab).owner.store(owner, Relaxed);
                    let before = hint.swap(reserved.slab as u32 + 1, AcqRel) & !REPLACED;
                    if before != 0 && before as usize - 1 != reserved.slab {
                        self.offer(before as usize - 1, class);
                    }
                    return reserved;
                }
            }
            hint.fetch_and(!REPLACED, Relaxed);
            self.header().refused.fetch_add(wanted, Relaxed);
            Reserved::NONE
        }
    }

    /// Lets a slab be found if it has room.
    unsafe fn offer(self, index: usize, class: usize) {
        // SAFETY: the caller's promise; the slab exists.
        unsafe {
            if self.slab(index).has_room(class, self.capacity(class)) {
                self.show(index, class);
            }
        }
    }

    /// Reserves in a slab that may have room. Those who search at once start at different slabs.
    unsafe fn reserve_in_old(self, class: usize, wanted: u64, spread: usize) -> Option<Reserved> {
        // SAFETY: the caller's promise; only bits of slabs that exist are set.
        unsafe {
            let words = self.words().div_ceil(64);
            let rooms = self.rooms(class);
            for residue in from(rooms.load(Acquire), spread) {
                let (mut upper, mut empty) = (residue, true);
                while upper < words {
                    let which = self.words_with_room(class).word(upper);
                    for word in from(which.load(Acquire), spread) {
                        let at = 64 * upper + word;
                        let slabs = self.with_room(class).word(at).load(Acquire);
                        for slab in from(slabs, spread) {
                            empty = false;
                            let index = 64 * at + slab;
                            // It is this work-item's, unless another has just taken it out.
                            if self.hide(index, class)
                                && let Some(reserved) = self.reserve(index, class, wanted)
                            {
                                return Some(reserved);
                            }
                        }
                    }
                    upper += 64;
                }
                if empty {
                    // As for the words below.
                    rooms.fetch_and(!(1 << residue), AcqRel);
                    let again =
                        |upper: usize| self.words_with_room(class).word(upper).load(Acquire);
                    if (residue..words).step_by(64).any(|upper| again(upper) != 0) {
                        rooms.fetch_or(1 << residue, AcqRel);
                    }
                }
            }
            None
        }
    }

    /// Reserves in a slab that was free.
    unsafe fn reserve_in_new(self, class: usize, wanted: u64) -> Option<Reserved> {
        // SAFETY: the caller's promise.
        unsafe {
            let index = self.take_run(1 << self.length_log(class))?;
            let capacity = self.capacity(class);
            let got = if wanted < capacity { wanted } else { capacity };
            // Others may have added to the count, and are about to take it back.
            let state = (self.slab(index).state).fetch_add(empty(class) + got, AcqRel);
            Some(Reserved {
                slab: index,
                ticket: count(state),
                count: got,
            })
        }
    }

    /// Reserves in any slab that a hint leads to.
    unsafe fn reserve_in_active(self, class: usize, wanted: u64) -> Option<Reserved> {
        // SAFETY: the caller's promise; hints lead to slabs that exist.
        unsafe {
            (0..self.header().hints as usize).find_map(|place| {
                let hint = self.hint(class, place).load(Relaxed) & !REPLACED;
                self.reserve((hint as usize).checked_sub(1)?, class, wanted)
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
                    self.hide(index, class as usize);
                    self.give_slabs(index, 1 << self.length_log(class as usize));
                }
            }
        }
    }

    /// Frees an object of each of some peers, which are those with the same [`Heap::word_of`] it.
    ///
    /// # Safety
    /// The heap is valid, and gave the objects for this class.
    #[inline(always)]
    pub(super) unsafe fn dealloc_small(self, object: *mut u8, class: usize, peers: Peers) {
        // SAFETY: the caller's promise.
        unsafe {
            let (index, distance) = self.place(object, class);
            let number = distance / size_of_class(class);
            let bits = peers.union(1 << (number % 64));
            if !peers.is_first() {
                return;
            }
            let slab = self.slab(index);
            // What was done to the objects happens before what is done by their next owners.
            fence(Release);
            (slab.bits.get_unchecked(number / 64)).fetch_and(!bits, Relaxed);
            let state = (slab.state).fetch_sub(u64::from(bits.count_ones()), Relaxed);
            if count(state) >= self.capacity(class) {
                self.show_unless_active(index, class);
            }
        }
    }

    /// A number that those objects have in common whose bits are in one word.
    ///
    /// # Safety
    /// As for [`Heap::dealloc_small`].
    #[inline(always)]
    pub(super) unsafe fn word_of(self, object: *mut u8, class: usize) -> u64 {
        // SAFETY: the caller's promise.
        let (index, distance) = unsafe { self.place(object, class) };
        let word = distance / size_of_class(class) / 64;
        ((index << 16 | word) << 8 | class) as u64
    }
}
