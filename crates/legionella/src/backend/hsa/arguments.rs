//! Memory for the arguments of launches in flight.
//!
//! Comes from the host's pool for that, in blocks of a few sizes that are used again, so that a launch
//! allocates nothing once as many were in flight before.

use std::ptr::NonNull;

use super::device::Device;
use super::memory;
use super::recycled::Recycled;
use crate::error::Result;

/// Bytes of the smallest blocks, and how many sizes there are, each four times the one before.
const LEAST: usize = 256;
const SIZES: usize = 8;

/// Bytes that are taken from the pool at once for small blocks.
const CHUNK: usize = 64 << 10;

/// One block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arguments {
    pub(super) start: NonNull<u8>,
    size: usize,
}

// SAFETY: plain memory that stays for as long as the process.
unsafe impl Send for Arguments {}

/// The blocks of a device that no launch has. They stay for as long as the process.
#[derive(Debug, Default)]
pub(super) struct ArgumentPool {
    free: [Recycled<Arguments>; SIZES],
}

impl ArgumentPool {
    /// A block of at least so many bytes.
    pub(super) fn take(&self, device: &Device, bytes: usize) -> Result<Arguments> {
        let size = (0..SIZES).find(|size| LEAST << (2 * size) >= bytes);
        let Some(size) = size else {
            // Larger than any that is kept.
            let start = memory::visible(device, device.pools().arguments, bytes)?;
            return Ok(Arguments { start, size: SIZES });
        };
        self.free[size].take(|| {
            let each = LEAST << (2 * size);
            let count = (CHUNK / each).max(1);
            let start = memory::visible(device, device.pools().arguments, count * each)?;
            let block = |index: usize| Arguments {
                // SAFETY: within what was allocated.
                start: unsafe { start.add(index * each) },
                size,
            };
            Ok((0..count).map(block).collect())
        })
    }

    /// Takes a block back that no launch uses any more.
    pub(super) fn give_back(&self, device: &Device, block: Arguments) {
        if block.size < SIZES {
            return self.free[block.size].give_back(block);
        }
        // SAFETY: allocated for this launch alone.
        let code = unsafe { (device.api().free)(block.start.as_ptr().cast()) };
        if code != 0 {
            tracing::debug!(reason = device.api().describe(code), "arguments stay");
        }
    }
}
