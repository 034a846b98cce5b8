//! Where launches leave their panics, and what they left (contract: [`legionella_abi::gpu`]).
//!
//! Each launch in flight has a state in memory of the device, by which its work-items agree on who
//! panicked first, and a record in memory of the host, so that looking at it takes no copy.

use std::alloc::Layout;
use std::ptr;

use legionella_abi::gpu::{Record, State};

use super::device::Device;
use super::memory::{self, Memory};
use super::recycled::Recycled;
use crate::error::Result;

/// How many states are made at a time.
const CHUNK: usize = 64;

/// What a work-item that was cancelled leaves in [`Record::cancelled`].
const GAVE_UP: u32 = 2;

/// What a launch left.
pub(super) enum Left {
    /// It did all that there was to do.
    Nothing,
    /// A work-item panicked.
    Panicked(Box<Record>),
    /// A work-item waited for the host, and the launch was cancelled.
    Cancelled,
}

/// One launch's state and record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// The state, on the device.
    pub(super) state: *mut State,
    record: *mut Record,
}

// SAFETY: the record is memory of the process that stays for as long as that.
unsafe impl Send for Place {}

/// The states of a device. They stay for as long as the process.
#[derive(Debug, Default)]
pub(super) struct States {
    free: Recycled<Place>,
}

impl States {
    /// A state that no launch has.
    pub(super) fn take(&self, device: &Device, memory: &Memory) -> Result<Place> {
        self.free.take(|| more(device, memory))
    }

    /// Asks the work-items of a launch that wait for the host to end.
    pub(super) fn cancel(&self, place: Place) {
        // SAFETY: the record lives as long as the process; the device reads this field and writes it,
        // as a whole.
        unsafe { ptr::write_volatile(&raw mut (*place.record).cancelled, 1) };
    }

    /// Takes a state back from a launch that has ended, and gives what that left.
    pub(super) fn give_back(&self, device: &Device, memory: &Memory, place: Place) -> Result<Left> {
        let record = place.record;
        // SAFETY: the record lives as long as the process. The launch has ended, so that the device
        // does not write it; what it wrote is seen by whoever saw the launch's end.
        let left = unsafe {
            let cancelled = ptr::read_volatile(&raw const (*record).cancelled);
            ptr::write_volatile(&raw mut (*record).cancelled, 0);
            if ptr::read_volatile(&raw const (*record).panicked) == 0 {
                match cancelled {
                    GAVE_UP => Left::Cancelled,
                    _ => Left::Nothing,
                }
            } else {
                let left = ptr::read_volatile(record);
                ptr::write_bytes(record, 0, 1);
                // A state as new: its first word is `claimed`.
                let unclaimed = 0u32;
                let from = (&raw const unclaimed).cast();
                memory.upload(device, from, place.state.cast(), size_of::<u32>())?;
                Left::Panicked(Box::new(left))
            }
        };
        self.free.give_back(place);
        Ok(left)
    }
}

fn more(device: &Device, memory: &Memory) -> Result<Vec<Place>> {
    let size = CHUNK * size_of::<Record>();
    let records = memory::visible(device, device.pools().visible, size)?;
    let records = records.as_ptr().cast::<Record>();
    let states = memory.allocate(device, Layout::new::<[State; CHUNK]>(), false)?;
    let states = states.as_ptr().cast::<State>();
    let initial: Vec<State> = (0..CHUNK)
        .map(|index| State {
            claimed: 0,
            reserved: 0,
            record: records.wrapping_add(index).expose_provenance() as u64,
        })
        .collect();
    // SAFETY: both are new and as large.
    unsafe {
        ptr::write_bytes(records, 0, CHUNK);
        let from = initial.as_ptr().cast();
        memory.upload(device, from, states.cast(), size_of_val(&*initial))?;
    }
    let place = |index| Place {
        state: states.wrapping_add(index),
        record: records.wrapping_add(index),
    };
    Ok((0..CHUNK).map(place).collect())
}
