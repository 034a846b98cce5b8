//! Copies from the memory of one device to that of another, without a way through the host's.
//!
//! Takes two devices and places in their memory. Where the machine lets one device access the other's memory, the
//! driver has it copy from there ("CUDA Driver API", sections "Peer Context Memory Access" and "Stream Ordered Memory
//! Allocator"); elsewhere nothing is done, and whoever asks copies by way of the host.

use std::sync::{Mutex, PoisonError};

use super::api::{self, Access, Address, Stream};
use super::device::Device;
use crate::error::Result;

/// The devices whose memory a device may access, as far as that was asked.
#[derive(Debug, Default)]
pub(super) struct Peers(Mutex<Vec<(api::Device, bool)>>);

impl Peers {
    /// Copies from memory of another device, in the order of a stream, and waits for it; whether that was possible. The
    /// device's context is current.
    ///
    /// # Safety
    /// `to` on the device and `from` on the other are valid for `len` bytes; meanwhile nothing writes the second or uses
    /// the first.
    pub(super) unsafe fn copy(
        &self,
        [device, other]: [&Device; 2],
        from: Address,
        to: Address,
        len: usize,
        stream: Stream,
    ) -> Result<bool> {
        if !self.reaches(device, other)? {
            return Ok(false);
        }
        let (api, contexts) = (device.api(), [device, other].map(Device::context));
        // SAFETY: the caller's promise.
        unsafe {
            device.check((api.copy_peer)(
                to,
                contexts[0],
                from,
                contexts[1],
                len,
                stream,
            ))?;
            device.check((api.wait_stream)(stream))?;
        }
        Ok(true)
    }

    /// Whether a device may access the memory of another, which it is allowed then.
    fn reaches(&self, device: &Device, other: &Device) -> Result<bool> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, reaches)) = known.iter().find(|(peer, _)| *peer == other.number()) {
            return Ok(*reaches);
        }
        let api = device.api();
        let mut can = 0;
        // SAFETY: valid for writes; devices that the driver counts.
        device.check(unsafe { (api.can_reach)(&mut can, device.number(), other.number()) })?;
        if can != 0 {
            // SAFETY: the device's context is current, and the other's is retained.
            match unsafe { (api.reach)(other.context(), 0) } {
                // Other code of the process has done so.
                0 | api::REACHES_ALREADY => {}
                code => device.check(code)?,
            }
            if let Some(pool) = other.pool()? {
                let access = Access::of(device.number());
                // SAFETY: a pool of the other device, and one description.
                device.check(unsafe { (api.pool_access)(pool, &access, 1) })?;
            }
        }
        known.push((other.number(), can != 0));
        Ok(can != 0)
    }
}
