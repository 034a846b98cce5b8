//! A heap for work-items: memory for `Box`, `Vec` and their like on devices that have no allocator.
//!
//! Takes a region of memory, gives pieces of it to any number of work-items at once, without locks.
//! Knows nothing of devices: on the CPU it can stand in for the program's allocator, which is how it is
//! tested.
//!
//! # Design
//!
//! The region is cut into *slabs* of [`SLAB`] bytes. A slab holds objects of one size *class*, a power
//! of two from [`LEAST`] to [`MOST`] bytes, a bit for each; in large heaps, slabs of larger objects are *runs*
//! of up to 64 such slabs, so that they are changed as rarely as others. Objects that are larger take slabs
//! of their own, side by side. Rust tells the size of what it frees, so objects have no headers.
//!
//! * `entry`: the functions that the calls of `alloc` become;
//! * [`layout`]: what lies where;
//! * `small`: objects in slabs;
//! * `peers`: work-items that act as one;
//! * `large`: slabs, one or several;
//! * [`statistics`]: what the host can find out.
//!
//! An allocation takes two atomic operations when nothing is in its way: it *reserves* by adding one to
//! the count of a slab, and sets the bit that the count before points to. The count is a ticket: those
//! who come at once have different ones, and try different bits. Which slab that is says one of up to
//! [`layout::ACTIVE`] hints a class, chosen by who asks, so that work-items far from each other use
//! different slabs. If that is full, one of those who find it so looks for another: one that was full
//! once, by bitmaps of those that may have room, or a free one. Freeing clears the bit and takes one from
//! the count. On devices that run work-items
//! in lockstep, those that allocate at once reserve together and set bits of one word together, and so
//! do those that free: two operations for up to 32 objects.
//!
//! This is the scheme of M. Steinberger et al., "ScatterAlloc: Massively Parallel Dynamic Memory
//! Allocation for the GPU" (InPar 2012), pages of equal chunks with a bitmap, over which requests are
//! scattered by a hash, with the counters of A. Adinetz and D. Pleiter's "Halloc" (GTC 2014), by which a
//! full slab is recognised before its bits are searched, and of which one addition serves as the hash.
//! That lanes of a warp act as one is from X. Huang et al., "XMalloc: A Scalable Lock-free Dynamic Memory
//! Allocator for Many-core Machines" (CIT 2010).
//! M. Winter et al., "Are Dynamic Memory Managers on GPUs Slow? A Survey and Benchmarks" (PPoPP 2021)
//! compares those and others.
//!
//! # Why it is sound
//!
//! Let a slab's *holders* be the objects in it, and the work-items between reserving and setting their
//! bit. The count is at least the number of holders, and whoever adds to it beyond the capacity takes
//! back what is: so there are never more holders than bits, and who has reserved finds clear ones. Bits are set by an operation that tells who was first: no two objects have one bit. A slab
//! changes its class only by a compare-exchange that finds the count at 0, thus without holders and with
//! all bits clear; who reserves by an old hint then finds another class, and takes back what it added.
//! What the last owner of an object did to it happens before the next owner gets it, through the bit
//! (release, acquire), or through the slab's state where the class changes. The first of some peers does
//! both for all of them, and what each did before, or does behind, is ordered by their exchange.

mod bits;
mod entry;
mod large;
pub mod layout;
mod peers;
mod small;
pub mod statistics;

use layout::Heap;
use peers::Peers;

/// Bytes of a slab.
pub const SLAB: usize = 64 << 10;

/// Bytes of the smallest objects.
pub const LEAST: usize = 16;

/// Bytes of the largest objects that share a slab.
pub const MOST: usize = SLAB / 2;

/// Size classes: powers of two.
pub const CLASSES: usize = (MOST / LEAST).ilog2() as usize + 1;

/// The class for a size and an alignment; `None` for whole slabs.
#[inline(always)]
fn class(size: usize, align: usize) -> Option<usize> {
    let least = if size > align { size } else { align };
    if least > MOST {
        return None;
    }
    let least = if least < LEAST { LEAST } else { least };
    Some((least - 1).ilog2() as usize + 1 - LEAST.ilog2() as usize)
}

/// Bytes of a class's objects.
#[inline(always)]
fn size_of_class(class: usize) -> usize {
    LEAST << class
}

impl Heap {
    /// Memory of that size and alignment; null if there is none left. `spread` is any number, best one
    /// that work-items which run at once don't share.
    ///
    /// # Safety
    /// The heap is valid; `align` is a power of two.
    #[inline]
    pub unsafe fn alloc(self, size: usize, align: usize, spread: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { self.alloc_by(size, align, spread, |_| Peers::alone()) }
    }

    /// The same, where `peers` says who asks for the same class at once.
    ///
    /// # Safety
    /// As for [`alloc`](Heap::alloc).
    #[inline(always)]
    unsafe fn alloc_by(
        self,
        size: usize,
        align: usize,
        spread: usize,
        peers: impl FnOnce(u64) -> Peers,
    ) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe {
            match class(size, align) {
                Some(class) => self.alloc_small(class, spread, peers(class as u64)),
                None => self.alloc_large(size, align),
            }
        }
    }

    /// The same as [`alloc`](Heap::alloc), filled with zeros.
    ///
    /// # Safety
    /// As there.
    #[inline]
    pub unsafe fn alloc_zeroed(self, size: usize, align: usize, spread: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { zeroed(self.alloc(size, align, spread), size) }
    }

    /// Frees memory.
    ///
    /// # Safety
    /// [`alloc`](Heap::alloc) gave it for this size and alignment, and nobody uses it any more.
    #[inline]
    pub unsafe fn dealloc(self, memory: *mut u8, size: usize, align: usize) {
        // SAFETY: the caller's promise.
        unsafe { self.dealloc_by(memory, size, align, |_| Peers::alone()) }
    }

    /// The same, where `peers` says who frees something with the same number at once.
    ///
    /// # Safety
    /// As for [`dealloc`](Heap::dealloc).
    #[inline(always)]
    unsafe fn dealloc_by(
        self,
        memory: *mut u8,
        size: usize,
        align: usize,
        peers: impl FnOnce(u64) -> Peers,
    ) {
        // SAFETY: the caller's promise.
        unsafe {
            match class(size, align) {
                Some(class) => {
                    let peers = peers(self.word_of(memory, class));
                    self.dealloc_small(memory, class, peers);
                }
                None => self.dealloc_large(memory, size),
            }
        }
    }

    /// Memory of another size with the same content, as far as that goes; null if there is none left,
    /// and the memory is then as it was.
    ///
    /// # Safety
    /// As for [`dealloc`](Heap::dealloc) and [`alloc`](Heap::alloc).
    #[inline]
    pub unsafe fn realloc(
        self,
        memory: *mut u8,
        old: usize,
        align: usize,
        new: usize,
        spread: usize,
    ) -> *mut u8 {
        if stays(old, new, align) {
            return memory;
        }
        // SAFETY: the caller's promise; both are at least as long as what is copied.
        unsafe {
            let moved = self.alloc(new, align, spread);
            if !moved.is_null() {
                memory.copy_to_nonoverlapping(moved, if old < new { old } else { new });
                self.dealloc(memory, old, align);
            }
            moved
        }
    }
}

/// Whether memory of one size is as good for another.
#[inline(always)]
fn stays(old: usize, new: usize, align: usize) -> bool {
    match (class(old, align), class(new, align)) {
        (Some(one), Some(other)) => one == other,
        (None, None) => old.div_ceil(SLAB) == new.div_ceil(SLAB),
        _ => false,
    }
}

/// Fills memory with zeros, unless it is null.
///
/// # Safety
/// It is that long, and nobody else uses it.
#[inline(always)]
unsafe fn zeroed(memory: *mut u8, size: usize) -> *mut u8 {
    if !memory.is_null() {
        // SAFETY: the caller's promise.
        unsafe { memory.write_bytes(0, size) };
    }
    memory
}

#[cfg(test)]
mod tests;
