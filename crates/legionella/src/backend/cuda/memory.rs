//! Memory of buffers on a CUDA device.
//!
//! Comes in [`blocks`](super::blocks). All copies of the host go through one stream and are waited for.
//!
//! Memory that the host uses as well is the host's, mapped into the device's address space, or moves
//! between both. What is freed of it is kept here: to give it back, the driver may wait for kernels, which may wait for the host.

use std::alloc::Layout;
use std::collections::HashMap;
use std::ffi::c_void;
use std::ptr::{self, NonNull, null_mut};
use std::sync::{Mutex, PoisonError};

use super::super::transfers::doublings;
use super::api::{self, Address, Stream};
use super::blocks::{ALIGN, Blocks};
use super::device::Device;
use super::peers::Peers;
use crate::error::{Error, Result};

/// From what size on memory that the host sees has a multiple of that.
const LARGE: usize = 1 << 20;

/// How much of a pattern is laid out on the host before the device copies it on.
const PATTERN: usize = 64 << 10;

/// A device's memory.
#[derive(Debug)]
pub(super) struct Memory {
    stream: Stream,
    blocks: Blocks,
    /// Whose memory the device may access.
    peers: Peers,
    /// Where memory of a larger alignment really starts.
    starts: Mutex<HashMap<Address, Address>>,
    /// Memory that the host uses as well and nobody does now, by its size.
    shared: Mutex<HashMap<(Shared, usize), Vec<Kept>>>,
}

/// How host and device share memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Shared {
    /// It is the host's, and stays there.
    Pinned,
    /// It moves to who uses it.
    Moving,
}

/// Where memory starts that nobody uses.
#[derive(Debug)]
struct Kept(NonNull<u8>);

// SAFETY: memory of the process that nobody uses.
unsafe impl Send for Kept {}

impl Memory {
    /// # Safety
    /// The device's context is current.
    pub(super) unsafe fn new(device: &Device) -> Result<Self> {
        // SAFETY: the caller's promise.
        let (stream, pool) = unsafe { (device.new_stream()?, device.keep_pool()?) };
        Ok(Memory {
            stream,
            blocks: Blocks::new(pool, stream),
            peers: Peers::default(),
            starts: Mutex::default(),
            shared: Mutex::default(),
        })
    }

    /// Memory of a layout that the host uses as well, by the same address; zeros.
    pub(super) fn allocate_shared(
        &self,
        device: &Device,
        kind: Shared,
        layout: Layout,
    ) -> Result<NonNull<u8>> {
        let none = || Error::OutOfMemory {
            accelerator: device.name().to_owned(),
            bytes: layout.size(),
        };
        let size = shared_size(layout).ok_or_else(none)?;
        let mut kept = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let start = kept.get_mut(&(kind, size)).and_then(Vec::pop);
        drop(kept);
        let start = match start {
            Some(Kept(start)) => start,
            None => {
                let made = device.with_context(|_| match kind {
                    Shared::Pinned => pinned(device, size),
                    Shared::Moving => moving(device, size),
                });
                match made {
                    Err(Error::Device { .. }) => return Err(none()),
                    other => other?.ok_or_else(none)?,
                }
            }
        };
        // SAFETY: it is as large, and nobody has it yet.
        unsafe { ptr::write_bytes(start.as_ptr(), 0, size) };
        Ok(start)
    }

    /// Takes such memory back.
    ///
    /// # Safety
    /// [`Memory::allocate_shared`] gave it for that kind and layout, and nothing uses it any more.
    pub(super) unsafe fn free_shared(&self, memory: NonNull<u8>, kind: Shared, layout: Layout) {
        if let Some(size) = shared_size(layout) {
            let mut kept = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
            kept.entry((kind, size)).or_default().push(Kept(memory));
        }
    }

    /// Memory of a layout, which has a size.
    pub(super) fn allocate(
        &self,
        device: &Device,
        layout: Layout,
        zeroed: bool,
    ) -> Result<NonNull<u8>> {
        let none = || Error::OutOfMemory {
            accelerator: device.name().to_owned(),
            bytes: layout.size(),
        };
        let extra = if layout.align() > ALIGN {
            layout.align()
        } else {
            0
        };
        let size = layout.size().checked_add(extra).ok_or_else(none)?;
        let start = device.with_context(|_| self.blocks.take(device, size))?;
        let mut address = start;
        if extra > 0 {
            address = start.next_multiple_of(layout.align() as u64);
            let mut starts = self.starts.lock().unwrap_or_else(PoisonError::into_inner);
            starts.insert(address, start);
        }
        if zeroed {
            // SAFETY: the memory is that large, and nobody has it yet.
            self.transfer(device, layout.size(), |api| unsafe {
                (api.fill_bytes)(address, 0, layout.size(), self.stream)
            })?;
        }
        NonNull::new(address as *mut u8).ok_or_else(none)
    }

    /// Frees memory. What a lost device had is gone with it.
    ///
    /// # Safety
    /// [`Memory::allocate`] gave it, and nothing uses it any more.
    pub(super) unsafe fn free(&self, memory: NonNull<u8>) {
        let address = memory.as_ptr().addr() as Address;
        let mut starts = self.starts.lock().unwrap_or_else(PoisonError::into_inner);
        let start = starts.remove(&address).unwrap_or(address);
        drop(starts);
        self.blocks.put(start);
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
        self.transfer(device, len, |api| {
            // SAFETY: the caller's promise; the copy is waited for.
            unsafe { (api.upload)(to.addr() as Address, from.cast(), len, self.stream) }
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
        self.transfer(device, len, |api| {
            // SAFETY: the caller's promise; the copy is waited for.
            unsafe {
                (api.download)(
                    to.cast::<c_void>(),
                    from.addr() as Address,
                    len,
                    self.stream,
                )
            }
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
        let (source, target) = (from.addr() as Address, to.addr() as Address);
        if source.abs_diff(target) >= len as u64 {
            return self.transfer(device, len, |api| {
                // SAFETY: the caller's promise; the places don't overlap.
                unsafe { (api.copy)(target, source, len, self.stream) }
            });
        }
        // The driver copies between places that don't overlap only.
        let layout = Layout::from_size_align(len, ALIGN).map_err(|_| Error::OutOfMemory {
            accelerator: device.name().to_owned(),
            bytes: len,
        })?;
        let between = self.allocate(device, layout, false)?;
        let stop = between.as_ptr().addr() as Address;
        let copied = self.transfer(device, len, |api| {
            // SAFETY: `between` is new and as large; the caller's promise for the others.
            unsafe {
                match (api.copy)(stop, source, len, self.stream) {
                    0 => (api.copy)(target, stop, len, self.stream),
                    failed => failed,
                }
            }
        });
        // SAFETY: allocated above; the copies were waited for.
        unsafe { self.free(between) };
        copied
    }

    /// # Safety
    /// As for [`Backend::copy_from_peer`](crate::backend::Backend::copy_from_peer).
    pub(super) unsafe fn copy_from_peer(
        &self,
        [device, other]: [&Device; 2],
        from: *const u8,
        to: *mut u8,
        len: usize,
    ) -> Result<bool> {
        let (from, to) = (from.addr() as Address, to.addr() as Address);
        let devices = [device, other];
        device.with_context(|_| {
            // SAFETY: the caller's promise.
            unsafe { self.peers.copy(devices, from, to, len, self.stream) }
        })
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
        let target = to.addr() as Address;
        self.transfer(device, len, |api| {
            // SAFETY: the caller's promise on the memory.
            unsafe { fill(api, self.stream, pattern, target, count) }
        })
    }

    /// Runs copies and waits for them.
    fn transfer(
        &self,
        device: &Device,
        len: usize,
        copy: impl FnOnce(&api::Api) -> api::Code,
    ) -> Result<()> {
        if len == 0 {
            return Ok(());
        }
        device.with_context(|api| {
            device.check(copy(api))?;
            self.wait(device)
        })
    }

    /// Waits for what the stream was given. The context is current.
    fn wait(&self, device: &Device) -> Result<()> {
        // SAFETY: the stream is the device's.
        device.check(unsafe { (device.api().wait_stream)(self.stream) })
    }
}

/// Memory of the host that the device uses by the same address. The context is current.
fn pinned(device: &Device, size: usize) -> Result<Option<NonNull<u8>>> {
    let api = device.api();
    let (mut start, mut seen): (_, Address) = (null_mut(), 0);
    // SAFETY: both are valid for writes.
    unsafe {
        device.check((api.allocate_host)(&mut start, size, api::HOST_MAPPED))?;
        device.check((api.host_address)(&mut seen, start, 0))?;
    }
    if start.addr() as Address != seen {
        return Err(Error::Unsupported {
            accelerator: device.name().to_owned(),
            what: "memory that host and device know by one address",
        });
    }
    Ok(NonNull::new(start.cast()))
}

/// Memory that moves between host and device. The context is current.
fn moving(device: &Device, size: usize) -> Result<Option<NonNull<u8>>> {
    if device.attribute(api::CONCURRENT_MANAGED_ACCESS)? == 0 {
        return Err(Error::Unsupported {
            accelerator: device.name().to_owned(),
            what: "memory that the host may use while kernels run and that moves between both",
        });
    }
    let mut start: Address = 0;
    let api = device.api();
    // SAFETY: valid for writes.
    let made = unsafe { (api.allocate_managed)(&mut start, size, api::ATTACH_GLOBAL) };
    device.check(made)?;
    Ok(NonNull::new(start as *mut u8))
}

/// The size of memory that serves a layout: those of few sizes are used again. Pages of the host are
/// aligned to 4096.
fn shared_size(layout: Layout) -> Option<usize> {
    let least = layout.size().max(layout.align()).max(4096);
    match layout.align() {
        0..=4096 if least < LARGE => least.checked_next_power_of_two(),
        0..=4096 => least.checked_next_multiple_of(LARGE),
        _ => None,
    }
}

/// A pattern that the driver fills memory with by itself: its value, its size in bytes, and how many of it
/// `count` of the whole are.
pub(super) fn simple(pattern: &[u8], count: usize) -> Option<(u32, u32, usize)> {
    match *pattern {
        [first, ..] if pattern.iter().all(|byte| *byte == first) => {
            Some((u32::from(first), 1, pattern.len() * count))
        }
        [a, b] => Some((u32::from(u16::from_ne_bytes([a, b])), 2, count)),
        [a, b, c, d] => Some((u32::from_ne_bytes([a, b, c, d]), 4, count)),
        _ => None,
    }
}

/// So many copies of a pattern that what is left is soon copied, on the host.
pub(super) fn repeated(pattern: &[u8], count: usize) -> Vec<u8> {
    pattern.repeat((PATTERN / pattern.len()).max(1).min(count))
}

/// Fills memory in a stream's order.
///
/// # Safety
/// `to` is valid for `count` patterns on the device whose context is current, and nothing else uses them.
pub(super) unsafe fn fill(
    api: &api::Api,
    stream: Stream,
    pattern: &[u8],
    to: Address,
    count: usize,
) -> api::Code {
    // SAFETY: the caller's promise.
    unsafe {
        match simple(pattern, count) {
            Some((value, 1, count)) => (api.fill_bytes)(to, value as u8, count, stream),
            Some((value, 2, count)) => (api.fill_halves)(to, value as u16, count, stream),
            Some((value, _, count)) => (api.fill_words)(to, value, count, stream),
            None => fill_by_copies(api, stream, pattern, to, pattern.len() * count),
        }
    }
}

/// What is filled doubles each time: the device reads it from the start and writes it behind.
///
/// # Safety
/// `to` is valid for `len` bytes on the device whose context is current, and nothing else uses them.
unsafe fn fill_by_copies(
    api: &api::Api,
    stream: Stream,
    pattern: &[u8],
    to: Address,
    len: usize,
) -> api::Code {
    let start = repeated(pattern, len / pattern.len());
    // SAFETY: the caller's promise. Pageable memory has been read when the call returns ("CUDA Driver API",
    // "API synchronization behavior").
    let mut code = unsafe { (api.upload)(to, start.as_ptr().cast(), start.len(), stream) };
    for (place, more) in doublings(start.len(), len) {
        if code != 0 {
            break;
        }
        // SAFETY: the caller's promise; the places don't overlap.
        code = unsafe { (api.copy)(to + place as u64, to, more, stream) };
    }
    code
}
