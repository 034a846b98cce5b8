//! What lies where in a heap's region: a header, bitmaps of slabs, what is known of each slab, and the
//! slabs. A region of zeros with a [`Header`] is an empty heap, and all positions are relative, so the
//! host can make one by a copy of the header, and look at one by a copy of what lies before the slabs.

use core::sync::atomic::{AtomicU32, AtomicU64};

use super::{CLASSES, LEAST, SLAB};

/// Hints a class.
pub const ACTIVE: usize = 64;

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
    /// For each class, slabs to try first: their numbers and one, or 0.
    pub(super) active: [[AtomicU32; ACTIVE]; CLASSES],
}

/// What is known of a slab.
#[repr(C)]
pub(super) struct Slab {
    /// Low half: how many have reserved. High half: the class and one, 0 for a free slab, [`OWN`] for
    /// one of a larger object.
    pub(super) state: AtomicU64,
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
/// slabs that may have room, and what is known of each.
const fn before(slabs: usize) -> usize {
    size_of::<Header>() + (1 + CLASSES) * 8 * slabs.div_ceil(64) + slabs * size_of::<Slab>()
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

    /// What is known of a slab, which exists.
    #[inline(always)]
    pub(super) unsafe fn slab<'h>(self, index: usize) -> &'h Slab {
        // SAFETY: it follows the bitmaps.
        unsafe {
            let first = self.taken().0.add((1 + CLASSES) * self.words());
            &*first.cast::<Slab>().add(index)
        }
    }

    /// Where a slab's memory starts.
    #[inline(always)]
    pub(super) unsafe fn memory(self, index: usize) -> *mut u8 {
        // SAFETY: within the region.
        unsafe { self.0.add(self.header().first as usize + index * SLAB) }
    }

    /// Which slab an address of the heap is in, and at what distance from its start.
    #[inline(always)]
    pub(super) unsafe fn place(self, address: *mut u8) -> (usize, usize) {
        // SAFETY: the caller's promise.
        let first = unsafe { self.header().first } as usize;
        let distance = address.addr() - self.0.addr() - first;
        (distance / SLAB, distance % SLAB)
    }
}
