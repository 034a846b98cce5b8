//! A value that the host and devices change and wait for, in kernels and on the host: [`Signal`].
//!
//! In memory it is an `amd_signal_t` ([`abi::Signal`]), so that an HSA device's packet processor can wait for it and
//! set it as well. Nobody has to be woken by an interrupt: who waits looks.

use core::fmt;
use core::sync::atomic::{AtomicI64, Ordering};

use legionella_abi::hsa as abi;

use crate::atomic::InSystem;
use crate::intrinsic;

/// A number that kernels of several devices and the host change and wait for while they run.
///
/// A kernel gets one as `&Signal`, for an argument `&signal` of the launch. What was written before a change is
/// there for whoever has seen the change: changes release, and looks acquire, for all devices and the host.
///
/// ```
/// use legionella_device::{Item, Signal};
///
/// /// The last item to come tells.
/// fn arrive(_: Item, missing: &Signal) {
///     missing.subtract(1);
/// }
///
/// let missing = Signal::new(3);
/// missing.subtract(3);
/// assert_eq!(missing.wait(|value| value <= 0), 0);
/// ```
#[repr(transparent)]
pub struct Signal(abi::Signal);

impl Signal {
    /// A signal of that value, for kernels that are called on the host.
    pub const fn new(value: i64) -> Self {
        Signal(abi::Signal {
            kind: abi::Signal::USER,
            value: AtomicI64::new(value),
            event_mailbox: 0,
            event: 0,
            reserved: 0,
            start: 0,
            end: 0,
            queue: 0,
            more_reserved: [0; 2],
        })
    }

    #[inline(always)]
    fn atomic(&self) -> &InSystem<AtomicI64> {
        InSystem::of(&self.0.value)
    }

    /// The value.
    #[inline]
    pub fn get(&self) -> i64 {
        self.atomic().load(Ordering::Acquire)
    }

    /// Changes the value to another.
    #[inline]
    pub fn set(&self, value: i64) {
        self.atomic().store(value, Ordering::Release);
    }

    /// Changes the value to another, and gives the one before.
    #[inline]
    pub fn exchange(&self, value: i64) -> i64 {
        self.atomic().swap(value, Ordering::AcqRel)
    }

    /// Changes the value to `new` if it is `current`.
    ///
    /// # Errors
    /// The value, if it is another.
    #[inline]
    pub fn compare_exchange(&self, current: i64, new: i64) -> Result<i64, i64> {
        (self.atomic()).compare_exchange(current, new, Ordering::AcqRel, Ordering::Acquire)
    }

    /// Adds to the value, and gives the one before. It wraps around.
    #[inline]
    pub fn add(&self, amount: i64) -> i64 {
        self.atomic().fetch_add(amount, Ordering::AcqRel)
    }

    /// Subtracts from the value, and gives the one before. It wraps around.
    #[inline]
    pub fn subtract(&self, amount: i64) -> i64 {
        self.atomic().fetch_sub(amount, Ordering::AcqRel)
    }

    /// Waits until the value is as a function says, and gives it.
    ///
    /// In a kernel the wait ends, and the work-item with it, when the launch is
    /// [cancelled](https://docs.rs/legionella/latest/legionella/struct.Completion.html#method.cancel) or when another of
    /// its items has panicked. What changes the value has to get on meanwhile: the host does, and so does a launch that
    /// runs already. An item of the same group, or a launch that may only begin when this one has ended, may not.
    #[inline]
    pub fn wait(&self, until: impl Fn(i64) -> bool) -> i64 {
        loop {
            let value = self.get();
            if until(value) {
                return value;
            }
            intrinsic::pause();
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Signal").field(&self.get()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_change_as_told() {
        let signal = Signal::new(i64::MAX);
        assert_eq!(signal.add(1), i64::MAX);
        assert_eq!(signal.exchange(5), i64::MIN);
        assert_eq!(signal.compare_exchange(4, 7), Err(5));
        assert_eq!(signal.compare_exchange(5, 7), Ok(5));
        assert_eq!(signal.subtract(9), 7);
        assert_eq!(signal.wait(|value| value < 0), -2);
        signal.set(3);
        assert_eq!(signal.get(), 3);
    }
}
