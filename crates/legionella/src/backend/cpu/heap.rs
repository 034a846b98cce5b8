//! The device library's heap in place of the program's allocator, in memory of its own: what kernels do
//! with it here is what they do on devices that have nothing else.

use std::alloc::Layout;
use std::ptr::NonNull;

use legionella_device::heap::layout::Heap;
use legionella_device::heap::statistics::Statistics;

use super::memory;

/// Alignment of regions: that of what heaps start with.
const ALIGN: usize = 64;

/// A heap and its memory.
#[derive(Debug)]
pub(super) struct Region {
    heap: Heap,
    memory: NonNull<u8>,
    layout: Layout,
}

// SAFETY: heaps are for any number of threads.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

impl Region {
    /// A heap of that many bytes; `None` if there is no such memory, or it is too little for a heap.
    pub(super) fn new(bytes: usize) -> Option<Self> {
        let layout = Layout::from_size_align(bytes, ALIGN).ok()?;
        if bytes == 0 {
            return None;
        }
        let memory = memory::allocate(layout, true)?;
        // SAFETY: zeros that nothing else uses, until the region is dropped.
        match unsafe { Heap::create(memory.as_ptr(), bytes) } {
            Some(heap) => Some(Region {
                heap,
                memory,
                layout,
            }),
            None => {
                // SAFETY: allocated above.
                unsafe { memory::free(memory, layout) };
                None
            }
        }
    }

    /// The heap, which is valid as long as the region is.
    pub(super) fn heap(&self) -> Heap {
        self.heap
    }

    pub(super) fn statistics(&self) -> Statistics {
        // SAFETY: the heap is valid.
        unsafe { self.heap.statistics() }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: `new` allocated it so. Kernels keep the region that they allocate from.
        unsafe { memory::free(self.memory, self.layout) };
    }
}
