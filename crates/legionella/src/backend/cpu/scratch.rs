//! Memory that generated code has while it runs: what work-groups share, and what their items keep
//! while they wait.
//!
//! A thread keeps it from call to call, unless it is large.

use std::alloc::{Layout, alloc, dealloc};
use std::cell::RefCell;
use std::ptr::{self, NonNull};

/// Largest size that a thread keeps.
const KEPT: usize = 16 << 20;

/// The memory of one call. None, at first.
#[derive(Default)]
pub(super) struct Scratch(Option<Block>);

struct Block {
    start: NonNull<u8>,
    layout: Layout,
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: `Scratch::of` allocated it with this layout.
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
    }
}

thread_local! {
    static SPARE: RefCell<Option<Block>> = const { RefCell::new(None) };
}

impl Scratch {
    /// Memory of that size and alignment, until the next call; null if there is none.
    pub(super) fn of(&mut self, size: usize, align: usize) -> *mut u8 {
        let Ok(layout) = Layout::from_size_align(size.max(1), align) else {
            return ptr::null_mut();
        };
        let fits = |block: &Block| {
            block.layout.size() >= layout.size() && block.layout.align() >= layout.align()
        };
        if self.0.is_none() {
            self.0 = SPARE.take();
        }
        if !self.0.as_ref().is_some_and(fits) {
            self.0 = None;
            // SAFETY: the layout has a size.
            let start = NonNull::new(unsafe { alloc(layout) });
            self.0 = start.map(|start| Block { start, layout });
        }
        match &self.0 {
            Some(block) => block.start.as_ptr(),
            None => ptr::null_mut(),
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(block) = self.0.take_if(|block| block.layout.size() <= KEPT) {
            SPARE.set(Some(block));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_aligned_kept_and_grows() {
        let first = Scratch::default().of(1000, 128);
        assert!(first.addr().is_multiple_of(128));
        let mut scratch = Scratch::default();
        assert_eq!(scratch.of(10, 1), first);
        let grown = scratch.of(100_000, 256);
        // SAFETY: 100,000 bytes that this test owns.
        unsafe { grown.write_bytes(1, 100_000) };
        assert!(grown.addr().is_multiple_of(256));
        assert!(scratch.of(usize::MAX, 1).is_null());
    }

    #[test]
    fn calls_within_calls_have_memory_of_their_own() {
        let mut outer = Scratch::default();
        let mut inner = Scratch::default();
        assert_ne!(outer.of(100, 8), inner.of(100, 8));
    }
}
