//! Storage of one argument block, kept from launch to launch.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::hint::cold_path;
use std::ptr::NonNull;

/// Room that is there from the start: enough for all but extraordinary kernels.
const INITIAL: Layout = match Layout::from_size_align(512, 64) {
    Ok(layout) => layout,
    Err(_) => unreachable!(),
};

/// Storage for one argument block of any size and alignment. It grows and never shrinks, so that
/// launches in a steady state allocate nothing.
pub(crate) struct Block {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: a block is plain memory that its owner alone reaches and frees.
unsafe impl Send for Block {}

// SAFETY: only its owner changes it, by a mutable borrow.
unsafe impl Sync for Block {}

impl Block {
    pub(crate) fn new() -> Self {
        Block::with_room_for(INITIAL)
    }

    fn with_room_for(layout: Layout) -> Self {
        let size = layout.size().max(INITIAL.size());
        let align = layout.align().max(INITIAL.align());
        let Ok(layout) = Layout::from_size_align(size, align) else {
            handle_alloc_error(layout)
        };
        // SAFETY: the size is at least that of `INITIAL`.
        let start = NonNull::new(unsafe { alloc(layout) });
        Block {
            start: start.unwrap_or_else(|| handle_alloc_error(layout)),
            layout,
        }
    }

    /// Copies an argument block in. It stays where it is until the next call.
    ///
    /// # Safety
    /// `from` is readable for the layout's size.
    pub(crate) unsafe fn store(&mut self, from: *const u8, layout: Layout) {
        if layout.size() > self.layout.size() || layout.align() > self.layout.align() {
            cold_path();
            *self = Block::with_room_for(layout);
        }
        // SAFETY: `from` is readable by the caller's promise; `start` has room for the layout.
        unsafe { std::ptr::copy_nonoverlapping(from, self.start.as_ptr(), layout.size()) };
    }

    /// Overwrites the start of the block that was stored last.
    ///
    /// # Safety
    /// `from` is readable for `len` bytes, and the block has as many.
    pub(crate) unsafe fn begin_with(&mut self, from: *const u8, len: usize) {
        // SAFETY: the caller's promise.
        unsafe { std::ptr::copy_nonoverlapping(from, self.start.as_ptr(), len) };
    }

    /// Where the block that was stored last is.
    pub(crate) fn address(&self) -> *const u8 {
        self.start.as_ptr()
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: `with_room_for` allocated it with exactly this layout.
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
    }
}
