//! Where launches leave their panics, and what they left (contract: [`legionella_abi::nvptx`]).
//!
//! Each launch in flight has a state in memory of the device, by which its work-items agree on who
//! panicked first, and a record in memory of the host, so that looking at it takes no copy.

use std::ffi::c_void;
use std::ptr::{self, null_mut};
use std::sync::{Mutex, PoisonError};

use legionella_abi::nvptx::{Record, State};

use super::api::{self, Address, Stream};
use super::device::Device;
use crate::error::{Error, Result};

/// How many states are made at a time.
const CHUNK: usize = 32;

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
    /// The state's address on the device.
    pub(super) state: Address,
    record: *mut Record,
}

// SAFETY: the record is memory of the process that stays for as long as that.
unsafe impl Send for Place {}

/// The states of a device. They stay for as long as the process.
#[derive(Debug)]
pub(super) struct States {
    stream: Stream,
    free: Mutex<Vec<Place>>,
}

impl States {
    /// # Safety
    /// The device's context is current.
    pub(super) unsafe fn new(device: &Device) -> Result<Self> {
        Ok(States {
            // SAFETY: the caller's promise.
            stream: unsafe { device.new_stream() }?,
            free: Mutex::default(),
        })
    }

    /// A state that no launch has. The context is current.
    pub(super) fn take(&self, device: &Device) -> Result<Place> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.is_empty() {
            free.extend(self.more(device)?);
        }
        free.pop().ok_or_else(|| Error::OutOfMemory {
            accelerator: device.name().to_owned(),
            bytes: size_of::<Record>(),
        })
    }

    /// So many states that no launch has. The context is current.
    pub(super) fn take_several(&self, device: &Device, count: usize) -> Result<Vec<Place>> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        while free.len() < count {
            free.extend(self.more(device)?);
        }
        let rest = free.len() - count;
        Ok(free.split_off(rest))
    }

    fn more(&self, device: &Device) -> Result<Vec<Place>> {
        let api = device.api();
        let (mut states, mut records, mut seen): (Address, _, Address) = (0, null_mut(), 0);
        // SAFETY: all pointers are valid for writes; the records are written before anything reads
        // them; the upload is waited for before its source goes.
        unsafe {
            device.check((api.allocate)(&mut states, CHUNK * size_of::<State>()))?;
            let size = CHUNK * size_of::<Record>();
            device.check((api.allocate_host)(&mut records, size, api::HOST_MAPPED))?;
            ptr::write_bytes(records.cast::<u8>(), 0, size);
            device.check((api.host_address)(&mut seen, records, 0))?;
            let initial: Vec<State> = (0..CHUNK)
                .map(|index| State {
                    claimed: 0,
                    reserved: 0,
                    record: seen + (index * size_of::<Record>()) as u64,
                })
                .collect();
            let size = CHUNK * size_of::<State>();
            device.check((api.upload)(
                states,
                initial.as_ptr().cast(),
                size,
                self.stream,
            ))?;
            device.check((api.wait_stream)(self.stream))?;
        }
        let place = |index: usize| Place {
            state: states + (index * size_of::<State>()) as u64,
            record: records.cast::<Record>().wrapping_add(index),
        };
        Ok((0..CHUNK).map(place).collect())
    }

    /// Asks the work-items of a launch that wait for the host to end.
    pub(super) fn cancel(&self, place: Place) {
        // SAFETY: the record lives as long as the process; the device reads this field and writes it,
        // as a whole.
        unsafe { ptr::write_volatile(&raw mut (*place.record).cancelled, 1) };
    }

    /// Takes a state back from a launch that has ended, and gives what that left.
    pub(super) fn give_back(&self, device: &Device, place: Place) -> Result<Left> {
        let left = self.left(device, place)?;
        self.put(place);
        Ok(left)
    }

    /// Takes a state back that is as new.
    pub(super) fn put(&self, place: Place) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.push(place);
    }

    /// What a launch left that has ended; the state is then as new.
    pub(super) fn left(&self, device: &Device, place: Place) -> Result<Left> {
        let record = place.record;
        // SAFETY: the record lives as long as the process. The launch has ended, so that the device
        // does not write it; what it wrote is seen by whoever saw the launch's end.
        let left = unsafe {
            let cancelled = ptr::read_volatile(&raw const (*record).cancelled);
            if cancelled != 0 {
                ptr::write_volatile(&raw mut (*record).cancelled, 0);
            }
            if ptr::read_volatile(&raw const (*record).panicked) == 0 {
                match cancelled {
                    GAVE_UP => Left::Cancelled,
                    _ => Left::Nothing,
                }
            } else {
                let left = ptr::read_volatile(record);
                ptr::write_bytes(record, 0, 1);
                self.unclaim(device, place)?;
                Left::Panicked(Box::new(left))
            }
        };
        Ok(left)
    }

    /// Makes a state as new.
    fn unclaim(&self, device: &Device, place: Place) -> Result<()> {
        device.with_context(|api| {
            // SAFETY: no launch uses the state; its first word is `claimed`.
            unsafe {
                device.check((api.fill_words)(place.state, 0, 1, self.stream))?;
                device.check((api.wait_stream)(self.stream))
            }
        })
    }
}

/// A pointer as what the driver takes parameters by.
pub(super) fn parameter<T>(value: &T) -> *mut c_void {
    ptr::from_ref(value).cast_mut().cast()
}
