//! Channels from work-items to the host, in kernels: [`Sender`]. What lies in memory, and the host's
//! end of it, is [`ring`].

pub mod ring;

use core::fmt;
use core::marker::PhantomData;

use crate::{DeviceData, intrinsic};
use ring::Ring;

/// The work-items' end of a channel: a parameter of a kernel that is launched with `&channel`.
///
/// All work-items send into one channel, and the host receives while the kernel runs. Values of one
/// work-item arrive in the order in which they were sent; those of different ones in any order.
///
/// ```
/// use legionella_device::{Item, channel::Sender};
///
/// /// Reports the roots of a function, by where its sign changes.
/// fn roots(at: Item, f: &[f32], found: Sender<u32>) {
///     let i = at.global();
///     if i + 1 < f.len() && f[i].is_sign_negative() != f[i + 1].is_sign_negative() {
///         found.send(i as u32);
///     }
/// }
/// ```
pub struct Sender<'a, T: DeviceData> {
    ring: Ring<T>,
    channel: PhantomData<&'a T>,
}

impl<T: DeviceData> Clone for Sender<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: DeviceData> Copy for Sender<'_, T> {}

/// The channel is full; this is what was to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full<T>(pub T);

impl<T> fmt::Display for Full<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the channel is full")
    }
}

impl<T: fmt::Debug> core::error::Error for Full<T> {}

impl<T: DeviceData> Sender<'_, T> {
    /// A sender into a ring. For entry shims.
    ///
    /// # Safety
    /// The ring stays valid while the result is used.
    #[doc(hidden)]
    #[inline(always)]
    pub unsafe fn new(ring: Ring<T>) -> Self {
        Sender {
            ring,
            channel: PhantomData,
        }
    }

    /// Sends a value unless the channel is full.
    ///
    /// # Errors
    /// [`Full`], with the value.
    #[inline]
    pub fn try_send(&self, value: T) -> Result<(), Full<T>> {
        // SAFETY: a sender's ring is valid.
        match unsafe { self.ring.claim(1) } {
            Some(position) => {
                // SAFETY: claimed just now, and given on once.
                unsafe {
                    self.ring.write(position, value);
                    self.ring.publish(position);
                }
                Ok(())
            }
            None => Err(Full(value)),
        }
    }

    /// Sends a value, and waits for the host to make room while the channel is full.
    ///
    /// A launch whose work-items wait ends when somebody receives, so the host must not wait for it
    /// first.
    ///
    /// # Panics
    /// If the channel is full and stays so: when the host has dropped it, and where the host can't
    /// receive while the kernel runs, such as with [`host::launch`](crate::host).
    #[inline]
    #[track_caller]
    pub fn send(&self, value: T) {
        let mut value = value;
        while let Err(Full(back)) = self.attempt(value) {
            // SAFETY: a sender's ring is valid.
            unsafe { self.ring.door() }.wait();
            value = back;
        }
    }

    /// As [`try_send`](Sender::try_send), as a whole: where lanes run in lockstep, those that have claimed a
    /// place would otherwise write it behind the loop that others wait in, and the host never get to it.
    #[inline(never)]
    fn attempt(&self, value: T) -> Result<(), Full<T>> {
        self.try_send(value)
    }
}

impl<T: DeviceData> fmt::Debug for Sender<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl ring::Door {
    /// Lets others get on while a channel is full.
    #[track_caller]
    fn wait(&self) {
        if self.is_closed() {
            panic!("the channel is full, and nobody receives from it any more");
        }
        if !self.is_live() {
            panic!("the channel is full, and the host can't receive while the kernel runs");
        }
        intrinsic::pause();
    }
}
