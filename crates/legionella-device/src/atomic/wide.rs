//! Integers of 128 bits as atomics, all of whose operations are made of one: compare-exchange.

use core::cell::UnsafeCell;
use core::fmt;
use core::sync::atomic::Ordering;

use super::{number, of_load};
use crate::intrinsic;

macro_rules! wide {
    ($(#[$doc:meta])* $name:ident: $integer:ident) => {
        $(#[$doc])*
        ///
        /// Every operation is made of compare-exchange of 128 bits, also [`load`](Self::load), so that
        /// it costs as much as one. A target without is refused: on the CPU, `x86-64` before
        /// `x86-64-v2`; NVIDIA's devices before `sm_90`.
        ///
        /// ```
        /// use std::sync::atomic::Ordering::Relaxed;
        #[doc = concat!("use legionella_device::atomic::", stringify!($name), ";")]
        ///
        #[doc = concat!("let count = ", stringify!($name), "::new(1 << 100);")]
        /// count.fetch_add(1, Relaxed);
        /// assert_eq!(count.into_inner(), (1 << 100) + 1);
        /// ```
        #[repr(C, align(16))]
        pub struct $name(UnsafeCell<$integer>);

        // SAFETY: shared access is atomic.
        unsafe impl Sync for $name {}

        impl $name {
            /// An atomic of that value.
            #[inline(always)]
            pub const fn new(value: $integer) -> Self {
                $name(UnsafeCell::new(value))
            }

            /// The value, of an atomic that nobody else uses.
            #[inline(always)]
            pub const fn into_inner(self) -> $integer {
                self.0.into_inner()
            }

            /// The value, of an atomic that nobody else uses.
            #[inline(always)]
            pub fn get_mut(&mut self) -> &mut $integer {
                self.0.get_mut()
            }

            /// The value before; `new` is stored if that was `current`.
            #[inline(always)]
            fn exchange_if(&self, current: $integer, new: $integer, ordering: Ordering) -> $integer {
                let (address, order) = (self.0.get().cast(), number(ordering));
                // SAFETY: 16 bytes of this atomic, aligned so, which are used in no other way while
                // it is shared.
                let before = unsafe {
                    intrinsic::atomic_exchange_if_u128(address, current as u128, new as u128, order)
                };
                before as $integer
            }

            /// Loads the value. Memory has to be writable.
            #[inline(always)]
            pub fn load(&self, ordering: Ordering) -> $integer {
                self.exchange_if(0, 0, ordering)
            }

            /// Stores a value.
            #[inline(always)]
            pub fn store(&self, value: $integer, ordering: Ordering) {
                self.swap(value, ordering);
            }

            /// Stores a value and gives the one before.
            #[inline(always)]
            pub fn swap(&self, value: $integer, ordering: Ordering) -> $integer {
                self.replace(ordering, |_| value)
            }

            /// Stores `new` if the value is `current`, and gives the value before.
            ///
            /// # Errors
            /// If it is not. The failure then is ordered as a success would have been.
            #[inline(always)]
            pub fn compare_exchange(
                &self,
                current: $integer,
                new: $integer,
                success: Ordering,
                _failure: Ordering,
            ) -> Result<$integer, $integer> {
                let before = self.exchange_if(current, new, success);
                if before == current { Ok(before) } else { Err(before) }
            }

            /// As [`compare_exchange`](Self::compare_exchange).
            ///
            /// # Errors
            /// As there.
            #[inline(always)]
            pub fn compare_exchange_weak(
                &self,
                current: $integer,
                new: $integer,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$integer, $integer> {
                self.compare_exchange(current, new, success, failure)
            }

            /// Replaces the value by what a function makes of it; gives the value before.
            #[inline(always)]
            fn replace(&self, ordering: Ordering, next: impl Fn($integer) -> $integer) -> $integer {
                let mut current = self.load(of_load(ordering));
                loop {
                    let before = self.exchange_if(current, next(current), ordering);
                    if before == current {
                        return before;
                    }
                    current = before;
                }
            }

            /// Replaces the value by what a function makes of it, if it makes something of it; gives
            /// the value before.
            ///
            /// # Errors
            /// If the function gave `None`: the value.
            #[inline(always)]
            pub fn fetch_update(
                &self,
                set: Ordering,
                fetch: Ordering,
                mut update: impl FnMut($integer) -> Option<$integer>,
            ) -> Result<$integer, $integer> {
                let mut current = self.load(fetch);
                while let Some(next) = update(current) {
                    let before = self.exchange_if(current, next, set);
                    if before == current {
                        return Ok(before);
                    }
                    current = before;
                }
                Err(current)
            }

            operations! {
                $integer:
                /// Adds to the value, wrapping, and gives the one before.
                fetch_add = $integer::wrapping_add;
                /// Subtracts from the value, wrapping, and gives the one before.
                fetch_sub = $integer::wrapping_sub;
                /// Makes the value the greater one, and gives the one before.
                fetch_max = Ord::max;
                /// Makes the value the lesser one, and gives the one before.
                fetch_min = Ord::min;
                /// Bitwise "and" with the value; gives the one before.
                fetch_and = core::ops::BitAnd::bitand;
                /// Bitwise "or" with the value; gives the one before.
                fetch_or = core::ops::BitOr::bitor;
                /// Bitwise "exclusive or" with the value; gives the one before.
                fetch_xor = core::ops::BitXor::bitxor;
            }
        }

        impl Default for $name {
            fn default() -> Self {
                $name::new(0)
            }
        }

        impl From<$integer> for $name {
            fn from(value: $integer) -> Self {
                $name::new(value)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.load(Ordering::Relaxed).fmt(f)
            }
        }
    };
}

macro_rules! operations {
    ($integer:ident: $($(#[$doc:meta])* $name:ident = $operation:path;)*) => {$(
        $(#[$doc])*
        #[inline(always)]
        pub fn $name(&self, value: $integer, ordering: Ordering) -> $integer {
            self.replace(ordering, |current| $operation(current, value))
        }
    )*};
}

wide! {
    /// A `u128` that work-items share.
    AtomicU128: u128
}
wide! {
    /// An `i128` that work-items share.
    AtomicI128: i128
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::Ordering::*;

    #[test]
    fn operations_give_the_value_before() {
        let value = AtomicI128::new(-1);
        assert_eq!(value.fetch_add(1 << 90, AcqRel), -1);
        assert_eq!(value.fetch_min(-5, Relaxed), (1 << 90) - 1);
        assert_eq!(value.compare_exchange(0, 1, SeqCst, Relaxed), Err(-5));
        assert_eq!(value.compare_exchange(-5, 1 << 80, SeqCst, Relaxed), Ok(-5));
        assert_eq!(value.fetch_or(1, Release), 1 << 80);
        assert_eq!(
            value.fetch_update(SeqCst, Acquire, |x| Some(x / 2)),
            Ok((1 << 80) | 1)
        );
        assert_eq!(value.swap(7, Acquire), 1 << 79);
        value.store(8, Release);
        assert_eq!(value.load(Acquire), 8);
    }

    #[test]
    fn threads_lose_no_addition() {
        extern crate std;
        let count = AtomicU128::new(u128::from(u64::MAX) - 10);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        count.fetch_add(3, Relaxed);
                    }
                });
            }
        });
        assert_eq!(count.into_inner(), u128::from(u64::MAX) - 10 + 12_000);
    }
}
