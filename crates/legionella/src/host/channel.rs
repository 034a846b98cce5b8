//! Channels on the host, for kernels that are called there.

use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::{fmt, ptr};

use legionella_device::channel::ring::Ring;
use legionella_device::{DeviceData, Item, Sender};

use super::{ByReference, HostArgument};

/// A bounded channel for a kernel that takes a [`Sender<T>`](Sender): see [`channel`].
pub struct Channel<T: DeviceData> {
    ring: Ring<T>,
    /// The position that is received next.
    next: Mutex<u64>,
    /// The next position to claim.
    _head: Box<AtomicU64>,
    _memory: super::shared::Memory,
}

// SAFETY: the ring is for any number of producers, and the lock makes all who receive one consumer.
unsafe impl<T: DeviceData> Send for Channel<T> {}
// SAFETY: as above.
unsafe impl<T: DeviceData> Sync for Channel<T> {}

/// A channel with room for at least that many values.
///
/// Nobody receives while [`launch`](super::launch) runs, so that a kernel which sends more, and doesn't
/// want to know that the channel is full, panics.
///
/// ```
/// use legionella::host;
/// use legionella::prelude::*;
///
/// fn even(at: Item, found: Sender<usize>) {
///     if at.global() % 2 == 0 {
///         found.send(at.global());
///     }
/// }
///
/// let found = host::channel(10);
/// host::launch(even, 5, (&found,));
/// assert_eq!(found.receive_all(), [0, 2, 4]);
/// ```
///
/// # Panics
/// If no memory has room for so many.
pub fn channel<T: DeviceData>(capacity: usize) -> Channel<T> {
    let Some((capacity, layout)) = Ring::<T>::layout(capacity) else {
        panic!(
            "no memory has room for {capacity} values of {} bytes",
            size_of::<T>()
        )
    };
    let head = Box::new(AtomicU64::new(0));
    let memory = super::shared::Memory::new(layout);
    // SAFETY: the memory has the ring's layout; it and the head live as long as the channel.
    let ring = unsafe { Ring::create(ptr::from_ref(&*head), memory.start(), capacity, false) };
    Channel {
        ring,
        next: Mutex::new(0),
        _head: head,
        _memory: memory,
    }
}

impl<T: DeviceData> Channel<T> {
    /// The values that were sent and not received yet.
    pub fn receive_all(&self) -> Vec<T> {
        let mut next = self.next.lock().unwrap_or_else(|error| error.into_inner());
        let mut all = Vec::new();
        // SAFETY: the ring is valid; who holds the lock is its consumer and takes positions in order.
        while let Some(value) = unsafe { self.ring.peek(*next) } {
            // SAFETY: as above.
            unsafe { self.ring.free(*next) };
            *next += 1;
            all.push(value);
        }
        all
    }
}

impl<T: DeviceData> fmt::Debug for Channel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").finish_non_exhaustive()
    }
}

// SAFETY: senders may be used by all work-items at once.
unsafe impl<'a, T: DeviceData> HostArgument<Sender<'a, T>, ByReference> for &'a Channel<T> {
    unsafe fn for_item(&mut self, _item: &Item, _position: u32) -> Sender<'a, T> {
        // SAFETY: the channel is lent for 'a.
        unsafe { Sender::new(self.ring) }
    }
}
