//! Channels from kernels to the host: the host's end, and the argument of launches that is the other
//! one's. Takes a ring ([`legionella_device::channel::ring`]) in memory that host and device share.

use std::alloc::Layout;
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use legionella_device::channel::ring::Ring;
use legionella_device::{DeviceData, Sender};

use crate::accelerator::Accelerator;
use crate::buffer::Allocation;
use crate::error::{Error, Result};
use crate::launch::form::RingForm;
use crate::launch::{Binder, Pass, PassAs};
use crate::schedule::completion::Completion;
use crate::schedule::hazards::Access;

/// A bounded channel from the work-items of kernels to the host.
///
/// Made by [`Accelerator::channel`]. A launch that is given `&channel` hands each work-item a
/// [`Sender`]; any number of launches may use the channel, one after the other or at once. The host
/// receives values while kernels run, or afterwards: [`iter`](Channel::iter) does so until a launch has
/// ended. Values of one work-item arrive in order.
///
/// [`Sender::try_send`] says so when the channel is full, [`Sender::send`] waits for the host to
/// receive. A launch that waits doesn't end, so receive before you wait for it; dropping the channel
/// makes those who wait panic, and [`Completion::cancel`] ends the launch.
///
/// ```no_run
/// use legionella::prelude::*;
///
/// fn roots(at: Item, f: &[f32], found: Sender<u32>) {
///     let i = at.global();
///     if i + 1 < f.len() && f[i].is_sign_negative() != f[i + 1].is_sign_negative() {
///         found.send(i as u32);
///     }
/// }
///
/// # fn main() -> legionella::Result<()> {
/// let accelerator = Accelerator::best()?;
/// let f = accelerator.upload(&[1.0, -1.0, -2.0, 3.0])?;
/// let found = accelerator.channel(1024)?;
/// let launch = accelerator.launch(roots, f.len(), (&f, &found))?;
/// let mut roots: Vec<u32> = found.iter(&launch).collect();
/// launch.wait()?;
/// roots.sort_unstable();
/// assert_eq!(roots, [0, 2]);
/// # Ok(())
/// # }
/// ```
pub struct Channel<T: DeviceData> {
    ring: Ring<T>,
    /// The position that is received next.
    next: Mutex<u64>,
    /// The next position to claim, in the device's memory.
    head: Arc<Allocation>,
    /// The ring itself.
    memory: Arc<Allocation>,
}

// SAFETY: the ring is for any number of producers, and the lock makes all who receive one consumer.
unsafe impl<T: DeviceData> Send for Channel<T> {}
// SAFETY: as above.
unsafe impl<T: DeviceData> Sync for Channel<T> {}

impl<T: DeviceData> Channel<T> {
    pub(crate) fn new(accelerator: &Accelerator, capacity: usize) -> Result<Self> {
        let (capacity, layout) = Ring::<T>::layout(capacity).ok_or_else(|| Error::OutOfMemory {
            accelerator: accelerator.name().to_owned(),
            bytes: capacity.saturating_mul(size_of::<T>()),
        })?;
        let head = Allocation::zeroed(accelerator, Layout::new::<AtomicU64>())?;
        let memory = Allocation::visible(accelerator, layout)?;
        let live = accelerator.backend().is_live();
        // SAFETY: the memory has the ring's layout and the head is a zero; both live as long as the
        // channel, and in launches, which keep them.
        let ring = unsafe { Ring::create(head.start().cast(), memory.start(), capacity, live) };
        Ok(Channel {
            ring,
            next: Mutex::new(0),
            head: Arc::new(head),
            memory: Arc::new(memory),
        })
    }

    /// How many values there is room for: the number that was asked for, rounded up to a power of two.
    pub fn capacity(&self) -> usize {
        self.ring.capacity() as usize
    }

    /// Where kernels can send into the channel.
    pub fn accelerator(&self) -> &Accelerator {
        self.memory.accelerator()
    }

    /// Whether the host receives while a kernel runs. Where it doesn't, [`Sender::send`] panics when
    /// the channel is full.
    pub fn is_live(&self) -> bool {
        self.accelerator().backend().is_live()
    }

    fn consumer(&self) -> MutexGuard<'_, u64> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next value, if there is one.
    pub fn try_receive(&self) -> Option<T> {
        let mut next = self.consumer();
        // SAFETY: the ring is valid; who holds the lock is its consumer and takes positions in order.
        unsafe {
            let value = self.ring.peek(*next)?;
            self.ring.free(*next);
            *next = next.wrapping_add(1);
            Some(value)
        }
    }

    /// The next value, waited for until the launch has ended; `None` if that left none.
    pub fn receive(&self, launch: &Completion) -> Option<T> {
        let mut pause = Pause::default();
        loop {
            // Asked before: what was sent until then is there.
            let ended = launch.is_done();
            let value = self.try_receive();
            if value.is_some() || ended {
                return value;
            }
            pause.rest();
        }
    }

    /// All values that arrive until the launch has ended. Other launches may be sending as well.
    pub fn iter<'c>(&'c self, launch: &'c Completion) -> Receive<'c, T> {
        Receive {
            channel: self,
            launch,
        }
    }
}

impl<T: DeviceData> Drop for Channel<T> {
    fn drop(&mut self) {
        // SAFETY: the ring is valid: its memory is dropped after this.
        unsafe { self.ring.door() }.close();
    }
}

impl<T: DeviceData> fmt::Debug for Channel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel")
            .field("capacity", &self.capacity())
            .field("accelerator", &self.accelerator().name())
            .finish_non_exhaustive()
    }
}

/// The values that a launch sends: see [`Channel::iter`].
#[derive(Debug)]
pub struct Receive<'c, T: DeviceData> {
    channel: &'c Channel<T>,
    launch: &'c Completion,
}

impl<T: DeviceData> Iterator for Receive<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.channel.receive(self.launch)
    }
}

/// Longer and longer pauses, up to a length that nobody notices.
#[derive(Default)]
pub(crate) struct Pause(u32);

impl Pause {
    pub(crate) fn rest(&mut self) {
        match self.0 {
            0..64 => std::hint::spin_loop(),
            64..128 => thread::yield_now(),
            _ => thread::sleep(Duration::from_micros(100)),
        }
        self.0 = self.0.saturating_add(1);
    }
}

// SAFETY: the launch keeps the ring's memory; senders may be used by all work-items at once.
unsafe impl<'a, T: DeviceData> Pass<Sender<'a, T>> for &'a Channel<T> {
    type Form = RingForm<T>;

    fn bind(self, binder: &mut Binder<'_>) -> Result<RingForm<T>> {
        // No bytes of them: nothing is ordered by a channel.
        binder.use_memory(&self.head, 0..0, Access::Read)?;
        binder.use_memory(&self.memory, 0..0, Access::Read)?;
        Ok(RingForm(self.ring))
    }
}

// SAFETY: as above.
unsafe impl<'a, T: DeviceData> PassAs<Sender<'a, T>> for &'a Channel<T> {}
