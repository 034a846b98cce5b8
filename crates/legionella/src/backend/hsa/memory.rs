//! Memory of buffers on an HSA device, and memory of the host that the device uses as well.
//!
//! Copies from and to the host go by way of memory that both sides see, so that no pages of the
//! program have to be locked; they are waited for.
//!
//! Memory that the host sees while kernels run is the host's. What is freed of it is kept here for the next
//! who asks: kernels may run that use it, and may wait for the host.

use std::alloc::Layout;
use std::collections::HashMap;
use std::ffi::c_void;
use std::ptr::{self, NonNull, null, null_mut};
use std::sync::{Mutex, PoisonError};

use super::super::transfers::doublings;
use super::api::{Agent, Pool};
use super::device::Device;
use crate::error::{Error, Result};

/// What all pools align to.
const ALIGN: usize = 4096;

/// Bytes that go to the other side at once.
const STAGE: usize = 1 << 20;

/// A device's memory.
#[derive(Debug)]
pub(super) struct Memory {
    /// Memory that copies go by way of, once there was one.
    stage: Mutex<Option<Stage>>,
    /// Where memory of a larger alignment really starts.
    starts: Mutex<HashMap<usize, *mut c_void>>,
    /// Memory that the host sees and nobody uses, by its size.
    visible: Mutex<HashMap<usize, Vec<NonNull<u8>>>>,
}

#[derive(Debug)]
struct Stage(*mut u8);

// SAFETY: plain memory, which stays.
unsafe impl Send for Stage {}
// SAFETY: addresses as keys of memory of the device.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

/// One of the two ends of a copy.
#[derive(Clone, Copy)]
struct End {
    address: *mut u8,
    agent: Agent,
}

impl Memory {
    pub(super) fn new() -> Self {
        Memory {
            stage: Mutex::default(),
            starts: Mutex::default(),
            visible: Mutex::default(),
        }
    }

    /// Memory of a layout, which has a size.
    pub(super) fn allocate(
        &self,
        device: &Device,
        layout: Layout,
        zeroed: bool,
    ) -> Result<NonNull<u8>> {
        device.alive()?;
        let none = || out_of_memory(device, layout.size());
        let extra = if layout.align() > ALIGN {
            layout.align()
        } else {
            0
        };
        // Whole words, for what fills it.
        let size = layout.size().checked_next_multiple_of(4).ok_or_else(none)?;
        let size = size.checked_add(extra).ok_or_else(none)?;
        let start = from_pool(device, device.pools().device, size)?;
        let mut address = start.cast::<u8>();
        if extra > 0 {
            address = address.wrapping_add(address.align_offset(layout.align()));
            let mut starts = self.starts.lock().unwrap_or_else(PoisonError::into_inner);
            starts.insert(address.addr(), start);
        }
        if zeroed {
            // SAFETY: the memory is that large, and nobody has it yet.
            let filled =
                unsafe { (device.api().fill)(address.cast(), 0, layout.size().div_ceil(4)) };
            device.check(filled)?;
        }
        NonNull::new(address).ok_or_else(none)
    }

    /// Memory of a layout that the host sees as well, by the same address; zeros.
    pub(super) fn allocate_visible(&self, device: &Device, layout: Layout) -> Result<NonNull<u8>> {
        device.alive()?;
        let size = visible_size(layout).ok_or_else(|| out_of_memory(device, layout.size()))?;
        let mut kept = self.visible.lock().unwrap_or_else(PoisonError::into_inner);
        let again = kept.get_mut(&size).and_then(Vec::pop);
        drop(kept);
        let start = match again {
            Some(start) => start,
            None => visible(device, device.pools().visible, size)?,
        };
        // SAFETY: it is as large, and nobody has it yet.
        unsafe { ptr::write_bytes(start.as_ptr(), 0, size) };
        Ok(start)
    }

    /// Takes such memory back.
    ///
    /// # Safety
    /// [`Memory::allocate_visible`] gave it for that layout, and nothing uses it any more.
    pub(super) unsafe fn free_visible(&self, memory: NonNull<u8>, layout: Layout) {
        if let Some(size) = visible_size(layout) {
            let mut kept = self.visible.lock().unwrap_or_else(PoisonError::into_inner);
            kept.entry(size).or_default().push(memory);
        }
    }

    /// Frees memory.
    ///
    /// # Safety
    /// [`Memory::allocate`] gave it, and nothing uses it any more.
    pub(super) unsafe fn free(&self, device: &Device, memory: NonNull<u8>) {
        let mut starts = self.starts.lock().unwrap_or_else(PoisonError::into_inner);
        let start = starts.remove(&memory.as_ptr().addr());
        drop(starts);
        let start = start.unwrap_or(memory.as_ptr().cast());
        // SAFETY: the caller's promise.
        let freed = device.check(unsafe { (device.api().free)(start) });
        if let Err(error) = freed {
            tracing::debug!(%error, "memory was not freed");
        }
    }

    /// # Safety
    /// As for [`Backend::upload`](crate::backend::Backend::upload).
    pub(super) unsafe fn upload(
        &self,
        device: &Device,
        from: *const u8,
        to: *mut u8,
        len: usize,
    ) -> Result<()> {
        self.by_stage(device, len, |stage, offset, part| {
            // SAFETY: the caller's promise; the stage has that many bytes, and is this thread's.
            unsafe { ptr::copy_nonoverlapping(from.add(offset), stage, part) };
            let target = End {
                address: to.wrapping_add(offset),
                agent: device.agent(),
            };
            // SAFETY: as above.
            unsafe { transfer(device, host(device, stage), target, part) }
        })
    }

    /// # Safety
    /// As for [`Backend::download`](crate::backend::Backend::download).
    pub(super) unsafe fn download(
        &self,
        device: &Device,
        from: *const u8,
        to: *mut u8,
        len: usize,
    ) -> Result<()> {
        self.by_stage(device, len, |stage, offset, part| {
            let source = End {
                address: from.cast_mut().wrapping_add(offset),
                agent: device.agent(),
            };
            // SAFETY: the caller's promise; the stage has that many bytes, and is this thread's.
            unsafe {
                transfer(device, source, host(device, stage), part)?;
                ptr::copy_nonoverlapping(stage, to.add(offset), part);
            }
            Ok(())
        })
    }

    /// # Safety
    /// As for [`Backend::copy`](crate::backend::Backend::copy).
    pub(super) unsafe fn copy(
        &self,
        device: &Device,
        from: *const u8,
        to: *mut u8,
        len: usize,
    ) -> Result<()> {
        let end = |address| End {
            address,
            agent: device.agent(),
        };
        let (source, target) = (end(from.cast_mut()), end(to));
        if from.addr().abs_diff(to.addr()) >= len {
            // SAFETY: the caller's promise; the places don't overlap.
            return unsafe { transfer(device, source, target, len) };
        }
        let layout = Layout::from_size_align(len, 16).map_err(|_| out_of_memory(device, len))?;
        let between = self.allocate(device, layout, false)?;
        let stop = end(between.as_ptr());
        // SAFETY: `between` is new and as large; the caller's promise for the others.
        let copied = unsafe {
            transfer(device, source, stop, len).and_then(|()| transfer(device, stop, target, len))
        };
        // SAFETY: allocated above; the copies were waited for.
        unsafe { self.free(device, between) };
        copied
    }

    /// # Safety
    /// As for [`Backend::fill`](crate::backend::Backend::fill).
    pub(super) unsafe fn fill(
        &self,
        device: &Device,
        pattern: *const u8,
        pattern_len: usize,
        to: *mut u8,
        count: usize,
    ) -> Result<()> {
        let len = pattern_len * count;
        if len == 0 {
            return Ok(());
        }
        // SAFETY: the caller's promise.
        let pattern = unsafe { std::slice::from_raw_parts(pattern, pattern_len) };
        let word = pattern.len() <= 4 && 4 % pattern.len() == 0;
        if word && to.addr().is_multiple_of(4) && len.is_multiple_of(4) {
            let bytes: Vec<u8> = pattern.iter().copied().cycle().take(4).collect();
            let word = u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
            // SAFETY: the caller's promise.
            return device.check(unsafe { (device.api().fill)(to.cast(), word, len / 4) });
        }
        let copies = (STAGE / pattern.len()).max(1);
        let start = pattern.repeat(copies.min(count));
        // SAFETY: the caller's promise. What is filled doubles each time.
        unsafe {
            self.upload(device, start.as_ptr(), to, start.len())?;
            for (place, more) in doublings(start.len(), len) {
                self.copy(device, to, to.add(place), more)?;
            }
        }
        Ok(())
    }

    /// Runs a copy in parts of what the memory between both sides takes: given that, where the part
    /// starts, and its length.
    fn by_stage(
        &self,
        device: &Device,
        len: usize,
        mut copy: impl FnMut(*mut u8, usize, usize) -> Result<()>,
    ) -> Result<()> {
        let mut stage = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        let stage = match &*stage {
            Some(stage) => stage.0,
            None => {
                let new = visible(device, device.pools().visible, STAGE)?.as_ptr();
                stage.insert(Stage(new)).0
            }
        };
        for offset in (0..len).step_by(STAGE) {
            copy(stage, offset, STAGE.min(len - offset))?;
        }
        Ok(())
    }
}

/// The size of memory that serves a layout: those of few sizes are used again.
fn visible_size(layout: Layout) -> Option<usize> {
    let least = layout.size().max(ALIGN);
    (layout.align() <= ALIGN)
        .then(|| least.checked_next_power_of_two())
        .flatten()
}

fn out_of_memory(device: &Device, bytes: usize) -> Error {
    Error::OutOfMemory {
        accelerator: device.name().to_owned(),
        bytes,
    }
}

fn host(device: &Device, address: *mut u8) -> End {
    End {
        address,
        agent: device.pools().host,
    }
}

fn from_pool(device: &Device, pool: Pool, bytes: usize) -> Result<*mut c_void> {
    let mut start = null_mut();
    // SAFETY: valid for writes; a pool that allows for allocations.
    let code = unsafe { (device.api().allocate)(pool, bytes, 0, &mut start) };
    if code != 0 || start.is_null() {
        device.alive()?;
        return Err(out_of_memory(device, bytes));
    }
    Ok(start)
}

/// Memory of the host from one of its pools that all devices use by the same address.
pub(super) fn visible(device: &Device, pool: Pool, bytes: usize) -> Result<NonNull<u8>> {
    let start = from_pool(device, pool, bytes)?;
    let agents = device.all();
    // SAFETY: allocated above; the list is valid for reads.
    device.check(unsafe {
        (device.api().allow_access)(agents.len() as u32, agents.as_ptr(), null(), start)
    })?;
    NonNull::new(start.cast()).ok_or_else(|| out_of_memory(device, bytes))
}

/// Copies, and waits for it.
///
/// # Safety
/// Both ends are valid for `len` bytes for their agents, and don't overlap.
unsafe fn transfer(device: &Device, from: End, to: End, len: usize) -> Result<()> {
    if len == 0 {
        return Ok(());
    }
    device.alive()?;
    let signal = device.take_signal()?;
    // SAFETY: the caller's promise; the signal is set once.
    let started = device.check(unsafe {
        (device.api().copy)(
            to.address.cast(),
            to.agent,
            from.address.cast(),
            from.agent,
            len,
            0,
            null(),
            signal,
        )
    });
    if let Err(error) = started {
        device.give_back_signal(signal);
        return Err(error);
    }
    // If that fails, the signal is not used again: it may yet be set.
    device.outwait(signal)?;
    // SAFETY: a signal of this device. What fails sets it to a negative number.
    let failed = unsafe { (device.api().load_signal)(signal) } < 0;
    device.give_back_signal(signal);
    if failed {
        return Err(Error::Device {
            accelerator: device.name().to_owned(),
            reason: format!("a copy of {len} bytes failed"),
        });
    }
    Ok(())
}
