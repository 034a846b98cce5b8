//! The heap as what `alloc` calls, on targets that have no allocator of their own. Lowering leads those
//! calls here; what a kernel doesn't call is not part of it.

use super::layout::Heap;
use super::peers::Peers;
use super::{stays, zeroed};
use crate::intrinsic;

/// The heap of the accelerator.
///
/// # Safety
/// Only in device code for a target that has one.
#[inline(always)]
unsafe fn heap() -> Heap {
    // SAFETY: the target gives the region of a heap that lives as long as its kernels.
    unsafe { Heap::at(intrinsic::heap_region()) }
}

#[inline(always)]
fn spread() -> usize {
    intrinsic::heap_spread() as usize
}

/// `alloc::alloc::alloc`.
///
/// # Safety
/// As there, and in device code for a target that has a heap.
#[unsafe(export_name = "legionella.heap.alloc")]
#[inline(never)]
unsafe extern "C" fn alloc(size: usize, align: usize) -> *mut u8 {
    // SAFETY: the caller's promise.
    unsafe { heap().alloc_by(size, align, spread(), |key| Peers::with_key(key)) }
}

/// `alloc::alloc::alloc_zeroed`.
///
/// # Safety
/// As there, and in device code for a target that has a heap.
#[unsafe(export_name = "legionella.heap.alloc_zeroed")]
#[inline(never)]
unsafe extern "C" fn alloc_zeroed(size: usize, align: usize) -> *mut u8 {
    // SAFETY: the caller's promise.
    unsafe { zeroed(alloc(size, align), size) }
}

/// `alloc::alloc::dealloc`.
///
/// # Safety
/// As there, and in device code for a target that has a heap.
#[unsafe(export_name = "legionella.heap.dealloc")]
#[inline(never)]
unsafe extern "C" fn dealloc(memory: *mut u8, size: usize, align: usize) {
    // SAFETY: the caller's promise.
    unsafe { heap().dealloc_by(memory, size, align, |key| Peers::with_key(key)) }
}

/// `alloc::alloc::realloc`.
///
/// # Safety
/// As there, and in device code for a target that has a heap.
#[unsafe(export_name = "legionella.heap.realloc")]
#[inline(never)]
unsafe extern "C" fn realloc(memory: *mut u8, old: usize, align: usize, new: usize) -> *mut u8 {
    if stays(old, new, align) {
        return memory;
    }
    // SAFETY: the caller's promise; both are at least as long as what is copied.
    unsafe {
        let moved = alloc(new, align);
        if !moved.is_null() {
            memory.copy_to_nonoverlapping(moved, if old < new { old } else { new });
            dealloc(memory, old, align);
        }
        moved
    }
}
