//! Memory of buffers on the CPU.
//!
//! Small pieces come from the program's allocator. Large ones are mapped, in the machine's large
//! pages where it gives them: work-items run through them from end to end, and every page that has
//! to be looked up in between is time. What is mapped is zero and costs nothing until it is used.

use std::alloc::{Layout, alloc, alloc_zeroed, dealloc};
use std::ptr::{NonNull, null_mut};

/// Size and alignment of a large page.
const PAGE: usize = 2 << 20;

/// Size and alignment of a small page, and the least size of what begins with one: lines and rows then
/// lie as caches and what fetches ahead into them take them, wherever the allocator would have put them.
const SMALL_PAGE: usize = 4 << 10;
const LEAST_IN_PAGES: usize = 16 * SMALL_PAGE;

/// How memory of a layout is asked for.
fn placed(layout: Layout) -> Layout {
    if layout.size() < LEAST_IN_PAGES {
        return layout;
    }
    layout.align_to(SMALL_PAGE).unwrap_or(layout)
}

/// Whether memory of that layout is mapped.
fn is_mapped(layout: Layout) -> bool {
    layout.size() >= 2 * PAGE && layout.align() <= PAGE
}

/// Memory of a layout, which has a size, or `None` if there is none left.
pub(super) fn allocate(layout: Layout, zeroed: bool) -> Option<NonNull<u8>> {
    if is_mapped(layout) {
        return map(layout.size());
    }
    let layout = placed(layout);
    // SAFETY: the layout has a size.
    NonNull::new(unsafe {
        if zeroed {
            alloc_zeroed(layout)
        } else {
            alloc(layout)
        }
    })
}

/// Frees memory.
///
/// # Safety
/// [`allocate`] gave it for that layout, and nothing uses it any more.
pub(super) unsafe fn free(memory: NonNull<u8>, layout: Layout) {
    if is_mapped(layout) {
        // SAFETY: `map` left exactly this mapped.
        unsafe { libc::munmap(memory.as_ptr().cast(), layout.size()) };
    } else {
        // SAFETY: the program's allocator gave it for this layout.
        unsafe { dealloc(memory.as_ptr(), placed(layout)) };
    }
}

/// Maps memory that starts at a large page.
fn map(size: usize) -> Option<NonNull<u8>> {
    // Room to cut off what comes before the first large page.
    let room = size.checked_add(PAGE)?;
    // SAFETY: asks for memory wherever there is some.
    let mapped = unsafe {
        libc::mmap(
            null_mut(),
            room,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if mapped == libc::MAP_FAILED {
        return None;
    }
    let mapped = mapped.cast::<u8>();
    let before = mapped.align_offset(PAGE);
    let start = mapped.wrapping_add(before);
    // SAFETY: cuts off both ends of what was just mapped, whole pages of it; `munmap` rounds the
    // end of what remains up to a page, as it does when all is freed. Advice changes no content.
    unsafe {
        if before > 0 {
            libc::munmap(mapped.cast(), before);
        }
        let end = size.next_multiple_of(page_size());
        let after = room - before - end.min(room - before);
        if after > 0 {
            libc::munmap(start.add(end).cast(), after);
        }
        #[cfg(target_os = "linux")]
        libc::madvise(start.cast(), size, libc::MADV_HUGEPAGE);
    }
    NonNull::new(start)
}

/// Size of the pages that mappings are made of.
fn page_size() -> usize {
    // SAFETY: reads a constant of the system.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap_or(PAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_any_size_is_aligned_writable_and_zero() {
        for size in [
            1,
            64,
            LEAST_IN_PAGES,
            PAGE,
            2 * PAGE - 1,
            2 * PAGE,
            5 * PAGE + 12_345,
        ] {
            for align in [64, 4096] {
                let layout = Layout::from_size_align(size, align).unwrap();
                let memory = allocate(layout, true).unwrap();
                let align = if size < LEAST_IN_PAGES {
                    align
                } else {
                    SMALL_PAGE
                };
                assert!(memory.as_ptr().addr().is_multiple_of(align));
                // SAFETY: `size` zero bytes that this test owns.
                let bytes = unsafe { std::slice::from_raw_parts_mut(memory.as_ptr(), size) };
                assert!(bytes.iter().all(|&byte| byte == 0));
                bytes.fill(7);
                // SAFETY: allocated above, for this layout.
                unsafe { free(memory, layout) };
            }
        }
    }

    #[test]
    fn what_no_machine_has_is_refused() {
        let layout = Layout::from_size_align(isize::MAX as usize - 4096, 64).unwrap();
        assert!(allocate(layout, true).is_none());
    }
}
