//! What lies where in a heap's region: a header, bitmaps of slabs, what is known of each slab, and the
//! slabs. A region of zeros with a [`Header`] is an empty heap, and all positions are relative, so the
//! host can make one by a copy of the header, and look at one by a copy of what lies before the slabs.

use core::sync::atomic::{AtomicU32, AtomicU64};

use super::{CLASSES, LEAST, SLAB};

/// Most hints a class.
pub const ACTIVE: usize = 64;

/// Slabs for each hint: where there are fewer, more work-items share them.
const SLABS_A_HINT: usize = 32;

/// Share of the slabs that may be taken by all hints of all classes at once, each with a run.
const SHARE_OF_HINTS: usize = 3;

/// Objects that a run has room for, if the heap is large enough for such runs.
const OBJECTS: usize = 1024;

/// Set in a hint that one of those who found its slab full is replacing.
pub(super) const REPLACED: u32 = 1 << 31;

/// Words of a slab's bitmap, enough for the smallest objects.
const WORDS: usize = SLAB / LEAST / 64;

/// What a region starts with.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Header {
    /// Number of slabs.
    pub(super) slabs: u32,
    /// Bytes from the start to the first slab.
    pub(super) first: u32,
    /// Requests that were refused.
    pub(super) refused: AtomicU64,
    /// Slabs in use, and the most that have been so at once.
    pub(super) used: AtomicU32,
    pub(super) most_used: AtomicU32,
    /// Where the next search for a free slab starts.
    pub(super) cursor: AtomicU32,
    /// How many hints a class are in use: a power of two.
    pub(super) hints: u32,
    /// Logarithm of the longest runs' lengths.
    pub(super) longest: u32,
    /// For each class, which words of [`Heap::words_with_room`] may not be 0: the bit of a word is its
    /// number modulo 64.
    pub(super) rooms: [AtomicU64; CLASSES],
    /// For each class, slabs to try first: their numbers and one, or 0; and [`REPLACED`].
    pub(super) active: [[AtomicU32; ACTIVE]; CLASSES],
}

/// What is known of a slab, or of the run that begins with it.
#[repr(C)]
pub(super) struct Slab {
    /// Low half: how many have reserved. High half: the class and one, 0 for a free slab, [`OWN`] for
    /// one of a larger object.
    pub(super) state: AtomicU64,
    /// The hint that leads here, and one, or did so last; 0 for none.
    pub(super) owner: AtomicU32,
    /// A bit for each object.
    pub(super) bits: [AtomicU64; WORDS],
}

/// The high half of the state of a slab that belongs to an object larger than [`MOST`](super::MOST).
pub(super) const OWN: u64 = 0xffff;

/// A heap, by the address of its region. A copy is as good as the original.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Heap(pub(super) *mut u8);

// SAFETY: all operations are for any number of threads at once.
unsafe impl Send for Heap {}
// SAFETY: as above.
unsafe impl Sync for Heap {}

/// Bytes before the slabs, for that many: header, a bitmap of slabs that are taken, one a class of
/// slabs that may have room, one a class of the words of that which are not 0, and what is known of each
/// slab.
const fn before(slabs: usize) -> usize {
    let words = slabs.div_ceil(64);
    let bitmaps = (1 + CLASSES) * words + CLASSES * words.div_ceil(64);
    size_of::<Header>() + 8 * bitmaps + slabs * size_of::<Slab>()
}

/// How many hints a class are in use, of that many slabs.
fn hints(slabs: usize) -> u32 {
    let most = (slabs / SLABS_A_HINT).clamp(1, ACTIVE);
    1 << most.ilog2()
}

/// Logarithm of the length of a class's runs.
#[inline(always)]
const fn length_log(class: usize, longest: u32) -> u32 {
    let wanted = ((LEAST << class) * OBJECTS / SLAB).checked_ilog2();
    match wanted {
        Some(wanted) if wanted < longest => wanted,
        Some(_) => longest,
        None => 0,
    }
}

/// Logarithm of the longest runs' lengths, of that many slabs. A run is within a word of a bitmap.
fn longest(slabs: usize) -> u32 {
    let fits = |longest: &u32| {
        let lengths = (0..CLASSES).map(|class| 1 << length_log(class, *longest));
        hints(slabs) as usize * lengths.sum::<usize>() <= slabs / SHARE_OF_HINTS
    };
    (0..=6).rev().find(fits).unwrap_or(0)
}

impl Header {
    /// The header for a region of `len` bytes at an address; `None` if there is no room for a slab.
    pub fn new(address: usize, len: usize) -> Option<Self> {
        let whole = |slabs: usize| {
            let start = address.checked_add(before(slabs))?;
            let first = start.checked_next_multiple_of(SLAB)? - address;
            (first + slabs * SLAB <= len).then_some(first)
        };
        let most = (len / SLAB).min(u32::MAX as usize / (2 * size_of::<Slab>()));
        // The metadata and what alignment leaves take few slabs.
        let (slabs, first) = (1..=most)
            .rev()
            .find_map(|slabs| Some((slabs, whole(slabs)?)))?;
        Some(Header {
            slabs: slabs as u32,
            first: u32::try_from(first).ok()?,
            refused: AtomicU64::new(0),
            used: AtomicU32::new(0),
            most_used: AtomicU32::new(0),
            cursor: AtomicU32::new(0),
            hints: hints(slabs),
            longest: longest(slabs),
            rooms: [const { AtomicU64::new(0) }; CLASSES],
            active: [const { [const { AtomicU32::new(0) }; ACTIVE] }; CLASSES],
        })
    }

    /// Bytes before the slabs, which is all that [`statistics`](super::statistics) look at.
    pub fn metadata(&self) -> usize {
        before(self.slabs as usize)
    }
}

/// A bit for each slab.
#[derive(Clone, Copy)]
pub(super) struct Bitmap(*const AtomicU64);

impl Bitmap {
    /// A word of it.
    ///
    /// # Safety
    /// The heap is valid, and has that many words.
    #[inline(always)]
    pub(super) unsafe fn word<'h>(self, index: usize) -> &'h AtomicU64 {
        // SAFETY: the caller's promise.
        unsafe { &*self.0.add(index) }
    }
}

impl Heap {
    /// An empty heap in a region; `None` if it is too small.
    ///
    /// # Safety
    /// `start` is aligned to 64, and points to `len` zeros that are valid and used by nothing else as
    /// long as the heap is used.
    pub unsafe fn create(start: *mut u8, len: usize) -> Option<Self> {
        let header = Header::new(start.addr(), len)?;
        // SAFETY: the caller's promise; a header found room.
        unsafe { start.cast::<Header>().write(header) };
        Some(Heap(start))
    }

    /// The heap in a region.
    ///
    /// # Safety
    /// The region starts with a [`Header`] for it; the rest was zeros when the header was written, and
    /// is used by nothing but the heap.
    #[inline(always)]
    pub unsafe fn at(start: *mut u8) -> Self {
        Heap(start)
    }

    /// Where the region starts.
    #[inline(always)]
    pub fn start(self) -> *mut u8 {
        self.0
    }

    /// # Safety
    /// The heap is valid, here and in all functions below.
    #[inline(always)]
    pub(super) unsafe fn header<'h>(self) -> &'h Header {
        // SAFETY: the caller's promise.
        unsafe { &*self.0.cast() }
    }

    /// Words of a bitmap of slabs.
    #[inline(always)]
    pub(super) unsafe fn words(self) -> usize {
        // SAFETY: the caller's promise.
        unsafe { (self.header().slabs as usize).div_ceil(64) }
    }

    /// The slabs that are taken.
    #[inline(always)]
    pub(super) unsafe fn taken(self) -> Bitmap {
        // SAFETY: the bitmap follows the header.
        Bitmap(unsafe { self.0.add(size_of::<Header>()) }.cast())
    }

    /// The slabs of a class that may have room and that no hint leads to.
    #[inline(always)]
    pub(super) unsafe fn with_room(self, class: usize) -> Bitmap {
        // SAFETY: those of classes follow the first bitmap.
        unsafe { Bitmap(self.taken().0.add((1 + class) * self.words())) }
    }

    /// The words of [`with_room`](Heap::with_room) that are not 0, a bit each.
    #[inline(always)]
    pub(super) unsafe fn words_with_room(self, class: usize) -> Bitmap {
        // SAFETY: those of classes follow the other bitmaps.
        unsafe {
            let words = self.words();
            let distance = (1 + CLASSES) * words + class * words.div_ceil(64);
            Bitmap(self.taken().0.add(distance))
        }
    }

    /// The number of the hint for who asks with a number.
    #[inline(always)]
    pub(super) unsafe fn place_of_hint(self, spread: usize) -> usize {
        // SAFETY: the caller's promise.
        let hints = unsafe { self.header() }.hints as usize;
        spread & hints.wrapping_sub(1) & (ACTIVE - 1)
    }

    /// Which words of [`words_with_room`](Heap::words_with_room) may not be 0, of a class that exists.
    #[inline(always)]
    pub(super) unsafe fn rooms<'h>(self, class: usize) -> &'h AtomicU64 {
        // SAFETY: the caller's promise.
        unsafe {
            let header: &'h Header = self.header();
            header.rooms.get_unchecked(class)
        }
    }

    /// What says which slab who asks with a number is to try first, of a class that exists.
    #[inline(always)]
    pub(super) unsafe fn hint<'h>(self, class: usize, spread: usize) -> &'h AtomicU32 {
        // SAFETY: the caller's promise.
        unsafe {
            let header: &'h Header = self.header();
            &header.active.get_unchecked(class)[self.place_of_hint(spread)]
        }
    }

    /// What is known of a slab, which exists.
    #[inline(always)]
    pub(super) unsafe fn slab<'h>(self, index: usize) -> &'h Slab {
        // SAFETY: it follows the bitmaps.
        unsafe {
            let words = self.words();
            let bitmaps = (1 + CLASSES) * words + CLASSES * words.div_ceil(64);
            let first = self.taken().0.add(bitmaps);
            &*first.cast::<Slab>().add(index)
        }
    }

    /// Where a slab's memory starts.
    #[inline(always)]
    pub(super) unsafe fn memory(self, index: usize) -> *mut u8 {
        // SAFETY: within the region.
        unsafe { self.0.add(self.header().first as usize + index * SLAB) }
    }

    /// Logarithm of the slabs in a run of a class.
    #[inline(always)]
    pub(super) unsafe fn length_log(self, class: usize) -> u32 {
        // SAFETY: the caller's promise.
        length_log(class, unsafe { self.header() }.longest)
    }

    /// The first slab of the run that an object of a class is in, and at what distance from its start
    /// it is.
    #[inline(always)]
    pub(super) unsafe fn place(self, object: *mut u8, class: usize) -> (usize, usize) {
        // SAFETY: the caller's promise.
        let (first, length) = unsafe { (self.header().first as usize, self.length_log(class)) };
        let distance = object.addr() - self.0.addr() - first;
        let run = distance / (SLAB << length);
        (run << length, distance & ((SLAB << length) - 1))
    }

    /// The slab that a larger object begins with.
    #[inline(always)]
    pub(super) unsafe fn slab_of(self, object: *mut u8) -> usize {
        // SAFETY: the caller's promise.
        let first = unsafe { self.header() }.first as usize;
        (object.addr() - self.0.addr() - first) / SLAB
    }
}
