//! Copies and fills in the streams of launches.

use std::num::NonZeroUsize;
use std::ptr::slice_from_raw_parts;
use std::sync::Arc;

use super::super::Code;
use super::super::transfers::Transfer;
use super::api::{Address, Stream};
use super::device::Device;
use super::launches::Launches;
use super::memory;
use crate::error::Result;
use crate::schedule::slot::{Lane, Running};

/// Code for transfers.
pub(super) struct Transfers {
    launches: Arc<Launches>,
}

impl Transfers {
    pub(super) fn new(launches: &Arc<Launches>) -> Self {
        Transfers {
            launches: Arc::clone(launches),
        }
    }
}

impl Code for Transfers {
    fn order(&self) -> Option<NonZeroUsize> {
        self.launches.order()
    }

    fn hasten(&self, lane: Lane) {
        self.launches.hasten(lane);
    }

    fn watch_over(&self, lane: Lane) {
        self.launches.watch_over(lane);
    }

    fn look(&self, lane: Lane) {
        self.launches.land_reached(lane);
    }

    fn start(&self, launch: Running) {
        self.launches.start_transfer(launch);
    }
}

/// Gives a stream a transfer. The context is current.
///
/// # Safety
/// `block` is its argument block, of a launch whose turn has come, and until that has ended nothing else
/// uses the memory.
pub(super) unsafe fn issue(device: &Device, stream: Stream, block: *const u8) -> Result<()> {
    let api = device.api();
    // SAFETY: the caller's promise. Host memory is mapped, so that the device reads and writes it in the
    // stream's order.
    device.check(unsafe {
        match Transfer::of(block) {
            Transfer::Copy { from, to, len } => {
                (api.copy)(to.addr() as Address, from.addr() as Address, len, stream)
            }
            Transfer::Fill {
                pattern,
                size,
                to,
                count,
            } => {
                let pattern = &*slice_from_raw_parts(block.add(pattern), size);
                memory::fill(api, stream, pattern, to.addr() as Address, count)
            }
        }
    })
}
