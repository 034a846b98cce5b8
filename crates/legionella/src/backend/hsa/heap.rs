//! What kernels allocate from: the device library's heap, in memory of the device.
//!
//! The host makes an empty one by writing what it starts with, and looks at it through a copy of what
//! lies before its slabs.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;
use std::sync::Arc;

use legionella_device::heap::layout::{Header, Heap};
use legionella_device::heap::statistics::Statistics;

use super::device::Device;
use super::memory::Memory;
use crate::error::{Error, Result};

/// What the memory of heaps is aligned to.
const ALIGN: usize = 256;

/// Share of the device's memory for the heap of kernels, and most of it.
const SHARE: usize = 16;
const LARGEST: usize = 1 << 30;

/// A heap and its memory.
pub(super) struct Region {
    device: Arc<Device>,
    memory: Arc<Memory>,
    start: NonNull<u8>,
    /// Bytes before the slabs.
    metadata: usize,
}

// SAFETY: memory of the device, of which the host has but the address.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

impl Region {
    /// A heap of that many bytes, or of as many as suit the device.
    pub(super) fn new(
        device: &Arc<Device>,
        memory: &Arc<Memory>,
        bytes: Option<usize>,
    ) -> Result<Self> {
        let bytes = bytes.unwrap_or_else(|| (device.memory() / SHARE).min(LARGEST));
        let none = || Error::OutOfMemory {
            accelerator: device.name().to_owned(),
            bytes,
        };
        let layout = Layout::from_size_align(bytes, ALIGN).map_err(|_| none())?;
        if bytes < size_of::<Header>() {
            return Err(none());
        }
        let start = memory.allocate(device, layout, false)?;
        let mut region = Region {
            device: Arc::clone(device),
            memory: Arc::clone(memory),
            start,
            metadata: 0,
        };
        let header = Header::new(start.as_ptr().addr(), bytes).ok_or_else(none)?;
        region.metadata = header.metadata();
        // SAFETY: the memory is as long, and nobody else has it yet.
        unsafe {
            let zero = 0u8;
            memory.fill(device, &raw const zero, 1, start.as_ptr(), region.metadata)?;
            let from = (&raw const header).cast();
            memory.upload(device, from, start.as_ptr(), size_of::<Header>())?;
        }
        Ok(region)
    }

    /// Where it starts, on the device.
    pub(super) fn start(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    pub(super) fn statistics(&self) -> Result<Statistics> {
        let copy = Copy::of(self)?;
        // SAFETY: a copy of the memory before the slabs.
        Ok(unsafe { Heap::at(copy.start.as_ptr()).statistics() })
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: `new` allocated it so. Kernels keep the region that they allocate from.
        unsafe { self.memory.free(&self.device, self.start) };
    }
}

/// A copy of what lies before a heap's slabs.
struct Copy {
    start: NonNull<u8>,
    layout: Layout,
}

impl Copy {
    fn of(region: &Region) -> Result<Self> {
        let layout = Layout::from_size_align(region.metadata, ALIGN);
        let layout = layout.map_err(|_| Error::OutOfMemory {
            accelerator: region.device.name().to_owned(),
            bytes: region.metadata,
        })?;
        // SAFETY: there is at least a header, so that the layout has a size.
        let start = NonNull::new(unsafe { alloc(layout) });
        let start = start.unwrap_or_else(|| handle_alloc_error(layout));
        let copy = Copy { start, layout };
        let (memory, device) = (&region.memory, &region.device);
        // SAFETY: both are as long. Kernels that write it meanwhile do so a word at a time, and each
        // word is copied as a whole.
        unsafe {
            let from = region.start.as_ptr();
            memory.download(device, from, start.as_ptr(), region.metadata)?;
        }
        Ok(copy)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        // SAFETY: allocated by `of`.
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
    }
}
