//! What kernels allocate from: the device library's heap, in memory of the device.
//!
//! The host makes an empty one by writing what it starts with, and looks at it through a copy of what
//! lies before its slabs.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;
use std::sync::Arc;

use legionella_device::heap::layout::{Header, Heap};
use legionella_device::heap::statistics::Statistics;

use super::Opened;
use crate::error::{Error, Result};

/// What the memory of heaps is aligned to.
const ALIGN: usize = 256;

/// A heap and its memory.
pub(super) struct Region {
    opened: Arc<Opened>,
    memory: NonNull<u8>,
    /// Bytes before the slabs.
    metadata: usize,
}

// SAFETY: memory of the device, of which the host has but the address.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

impl Region {
    /// A heap of that many bytes.
    pub(super) fn new(opened: &Arc<Opened>, bytes: usize) -> Result<Self> {
        let device = &opened.device;
        let none = || Error::OutOfMemory {
            accelerator: device.name().to_owned(),
            bytes,
        };
        let layout = Layout::from_size_align(bytes, ALIGN).map_err(|_| none())?;
        if bytes < size_of::<Header>() {
            return Err(none());
        }
        let memory = opened.memory.allocate(device, layout, false)?;
        let mut region = Region {
            opened: Arc::clone(opened),
            memory,
            metadata: 0,
        };
        let start = memory.as_ptr();
        let header = Header::new(start.addr(), bytes).ok_or_else(none)?;
        region.metadata = header.metadata();
        // SAFETY: the memory is as long, and nobody else has it yet.
        unsafe {
            let zero = 0u8;
            let memory = &opened.memory;
            memory.fill(device, &raw const zero, 1, start, region.metadata)?;
            let from = (&raw const header).cast();
            memory.upload(device, from, start, size_of::<Header>())?;
        }
        Ok(region)
    }

    /// Where it starts, on the device.
    pub(super) fn address(&self) -> u64 {
        self.memory.as_ptr().addr() as u64
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
        unsafe { self.opened.memory.free(self.memory) };
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
            accelerator: region.opened.device.name().to_owned(),
            bytes: region.metadata,
        })?;
        // SAFETY: there is at least a header, so that the layout has a size.
        let start = NonNull::new(unsafe { alloc(layout) });
        let start = start.unwrap_or_else(|| handle_alloc_error(layout));
        let copy = Copy { start, layout };
        let (memory, device) = (&region.opened.memory, &region.opened.device);
        // SAFETY: both are as long. Kernels that write it meanwhile do so a word at a time, and each
        // word is copied as a whole.
        unsafe {
            let from = region.memory.as_ptr();
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
