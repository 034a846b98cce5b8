//! What the host can find out about a heap, from the memory before its slabs or a copy of that.

use core::sync::atomic::Ordering::Relaxed;

use super::layout::{Heap, OWN};
use super::{SLAB, size_of_class};

/// What a heap holds. While kernels run, numbers may be of slightly different times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Bytes that the heap has for objects.
    pub size: usize,
    /// Bytes of slabs in use, whether or not they are full.
    pub reserved: usize,
    /// The most bytes of slabs that have been in use at once.
    pub most_reserved: usize,
    /// Objects that are allocated.
    pub objects: usize,
    /// Bytes that they take, each rounded up to its class: a power of two of at least 16, or a
    /// multiple of 64 KiB.
    pub used: usize,
    /// Requests that were refused because the heap was exhausted.
    pub refused: u64,
}

impl Heap {
    /// What the heap holds.
    ///
    /// # Safety
    /// The heap is valid, or this is a copy of the memory before its slabs.
    pub unsafe fn statistics(self) -> Statistics {
        // SAFETY: the caller's promise.
        let header = unsafe { self.header() };
        let mut statistics = Statistics {
            size: header.slabs as usize * SLAB,
            reserved: header.used.load(Relaxed) as usize * SLAB,
            most_reserved: header.most_used.load(Relaxed) as usize * SLAB,
            refused: header.refused.load(Relaxed),
            ..Statistics::default()
        };
        for index in 0..header.slabs as usize {
            // SAFETY: as above; the slab exists.
            let state = unsafe { self.slab(index) }.state.load(Relaxed);
            let count = (state & 0xffff_ffff) as usize;
            match state >> 32 {
                0 => {}
                OWN => {
                    statistics.objects += 1;
                    statistics.used += count * SLAB;
                }
                class => {
                    statistics.objects += count;
                    statistics.used += count * size_of_class(class as usize - 1);
                }
            }
        }
        statistics
    }
}
