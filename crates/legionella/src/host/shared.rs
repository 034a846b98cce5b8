//! Memory of work-groups on the host.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::marker::PhantomData;
use std::num::NonZero;
use std::ptr::NonNull;

use legionella_device::{Item, Shared};

use super::{ByReference, HostArgument};

/// Memory of a work-group: see [`shared()`] and [`shared_slice`].
#[derive(Debug)]
pub struct GroupMemory<A: ?Sized> {
    /// Number of elements, if it doesn't stand in the type.
    len: Option<usize>,
    memory: Option<Memory>,
    elements: PhantomData<A>,
}

/// Memory for a kernel that takes [`Shared<[T; N]>`](Shared).
pub fn shared<A>() -> GroupMemory<A> {
    GroupMemory {
        len: None,
        memory: None,
        elements: PhantomData,
    }
}

/// Memory for that many elements, for a kernel that takes [`Shared<[T]>`](Shared).
pub fn shared_slice<T>(len: usize) -> GroupMemory<[T]> {
    GroupMemory {
        len: Some(len),
        memory: None,
        elements: PhantomData,
    }
}

/// Memory without a value, which one group after the other uses.
#[derive(Debug)]
pub(super) struct Memory {
    start: NonNull<u8>,
    layout: Layout,
}

impl Memory {
    pub(super) fn new(layout: Layout) -> Self {
        // SAFETY: asked for only if the layout has a size.
        let given = (layout.size() > 0).then(|| NonNull::new(unsafe { alloc(layout) }));
        Memory {
            start: match given {
                Some(start) => start.unwrap_or_else(|| handle_alloc_error(layout)),
                None => NonNull::without_provenance(
                    layout.align().try_into().unwrap_or(NonZero::<usize>::MIN),
                ),
            },
            layout,
        }
    }

    pub(super) fn start(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    fn of<T>(len: usize) -> Self {
        let Ok(layout) = Layout::array::<T>(len) else {
            panic!(
                "no memory has room for {len} elements of {} bytes",
                size_of::<T>()
            )
        };
        Memory::new(layout)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if self.layout.size() > 0 {
            // SAFETY: `of` allocated it with this layout.
            unsafe { dealloc(self.start.as_ptr(), self.layout) };
        }
    }
}

// SAFETY: the tile's type keeps items apart; its elements may be shared and sent.
unsafe impl<'a, T: Send + Sync + 'static, const N: usize>
    HostArgument<Shared<'a, [T; N]>, ByReference> for GroupMemory<[T; N]>
{
    unsafe fn for_item(&mut self, item: &Item, position: u32) -> Shared<'a, [T; N]> {
        let memory = self.memory.get_or_insert_with(|| Memory::of::<T>(N));
        // SAFETY: the memory is this argument's, which lasts for all groups; one uses it at a time.
        unsafe { Shared::from_raw(memory.start.as_ptr().cast(), N, item, position) }
    }
}

// SAFETY: as above.
unsafe impl<'a, T: Send + Sync + 'static> HostArgument<Shared<'a, [T]>, ByReference>
    for GroupMemory<[T]>
{
    unsafe fn for_item(&mut self, item: &Item, position: u32) -> Shared<'a, [T]> {
        let len = self.len.unwrap_or(0);
        let memory = self.memory.get_or_insert_with(|| Memory::of::<T>(len));
        // SAFETY: as above.
        unsafe { Shared::from_raw(memory.start.as_ptr().cast(), len, item, position) }
    }
}
