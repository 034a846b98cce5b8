//! Floats as atomics: their bits in an atomic integer of the same size.
//!
//! Exchanges are the integer's. Addition is the machine's where it has one, and else a loop of
//! exchanges. Extremes are the integer's as well: the bits of floats of one sign are ordered as
//! integers are.

use core::fmt;
use core::sync::atomic::{AtomicI32, AtomicI64, AtomicU32, AtomicU64, Ordering};

use super::{number, of_load};
use crate::intrinsic;

macro_rules! float {
    (
        $(#[$doc:meta])*
        $name:ident: $float:ident in $atomic:ident of $bits:ident, $other:ident of $signed:ident, $add:ident
    ) => {
        $(#[$doc])*
        ///
        /// Work-items come to it in any order, so that a sum whose parts don't add up exactly may
        /// differ from launch to launch.
        ///
        /// ```
        /// use std::sync::atomic::Ordering::Relaxed;
        #[doc = concat!("use legionella_device::atomic::", stringify!($name), ";")]
        ///
        #[doc = concat!("let sum = ", stringify!($name), "::new(1.0);")]
        /// sum.fetch_add(2.5, Relaxed);
        /// assert_eq!(sum.fetch_max(2.0, Relaxed), 3.5);
        /// assert_eq!(sum.into_inner(), 3.5);
        /// ```
        #[repr(transparent)]
        pub struct $name($atomic);

        impl $name {
            /// An atomic of that value.
            #[inline(always)]
            pub const fn new(value: $float) -> Self {
                $name($atomic::new(value.to_bits()))
            }

            /// The value, of an atomic that nobody else uses.
            #[inline(always)]
            pub const fn into_inner(self) -> $float {
                <$float>::from_bits(self.0.into_inner())
            }

            /// The bits, of an atomic that nobody else uses.
            #[inline(always)]
            pub fn get_mut(&mut self) -> &mut $bits {
                self.0.get_mut()
            }

            /// The bits as an atomic integer.
            #[inline(always)]
            pub const fn as_bits(&self) -> &$atomic {
                &self.0
            }

            /// Loads the value.
            ///
            /// # Panics
            /// If the ordering is one of stores.
            #[inline(always)]
            #[track_caller]
            pub fn load(&self, ordering: Ordering) -> $float {
                <$float>::from_bits(self.0.load(ordering))
            }

            /// Stores a value.
            ///
            /// # Panics
            /// If the ordering is one of loads.
            #[inline(always)]
            #[track_caller]
            pub fn store(&self, value: $float, ordering: Ordering) {
                self.0.store(value.to_bits(), ordering);
            }

            /// Stores a value and gives the one before.
            #[inline(always)]
            pub fn swap(&self, value: $float, ordering: Ordering) -> $float {
                <$float>::from_bits(self.0.swap(value.to_bits(), ordering))
            }

            /// Stores `new` if the bits are those of `current`, and gives the value before.
            ///
            /// # Errors
            /// If they are not.
            ///
            /// # Panics
            /// If `failure` is no ordering of loads.
            #[inline(always)]
            #[track_caller]
            pub fn compare_exchange(
                &self,
                current: $float,
                new: $float,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$float, $float> {
                let (current, new) = (current.to_bits(), new.to_bits());
                match self.0.compare_exchange(current, new, success, failure) {
                    Ok(bits) => Ok(<$float>::from_bits(bits)),
                    Err(bits) => Err(<$float>::from_bits(bits)),
                }
            }

            /// As [`compare_exchange`](Self::compare_exchange), which this may do without success.
            ///
            /// # Errors
            /// If nothing was stored.
            ///
            /// # Panics
            /// As there.
            #[inline(always)]
            #[track_caller]
            pub fn compare_exchange_weak(
                &self,
                current: $float,
                new: $float,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$float, $float> {
                let (current, new) = (current.to_bits(), new.to_bits());
                match self.0.compare_exchange_weak(current, new, success, failure) {
                    Ok(bits) => Ok(<$float>::from_bits(bits)),
                    Err(bits) => Err(<$float>::from_bits(bits)),
                }
            }

            /// Adds to the value, and gives the one before.
            #[inline(always)]
            pub fn fetch_add(&self, value: $float, ordering: Ordering) -> $float {
                let bits = self.0.as_ptr().cast_const();
                // SAFETY: the address of an atomic that is lent.
                unsafe { intrinsic::$add(bits, value, number(ordering)) }
            }

            /// Subtracts from the value, and gives the one before.
            #[inline(always)]
            pub fn fetch_sub(&self, value: $float, ordering: Ordering) -> $float {
                self.fetch_add(-value, ordering)
            }

            /// Makes the value the greater one, as `max` does, and gives the one before: a NaN gives
            /// way to any number, and 0 is greater than -0.
            #[inline(always)]
            pub fn fetch_max(&self, value: $float, ordering: Ordering) -> $float {
                // Of negative numbers the greater one has the lesser bits, and the bits of all of
                // them are above those of positive ones. A negative NaN is below any number.
                self.extreme(value, ordering, <$float>::is_sign_negative, |bits| {
                    if value.is_sign_positive() {
                        self.signed().fetch_max(bits as $signed, ordering) as $bits
                    } else {
                        self.0.fetch_min(bits, ordering)
                    }
                })
            }

            /// Makes the value the lesser one, as `min` does, and gives the one before: a NaN gives
            /// way to any number, and -0 is less than 0.
            #[inline(always)]
            pub fn fetch_min(&self, value: $float, ordering: Ordering) -> $float {
                // The other way round; a positive NaN is above any number.
                self.extreme(value, ordering, <$float>::is_sign_positive, |bits| {
                    if value.is_sign_positive() {
                        self.signed().fetch_min(bits as $signed, ordering) as $bits
                    } else {
                        self.0.fetch_max(bits, ordering)
                    }
                })
            }

            /// `exchange` makes the value an extreme in the order of bits, and gives the bits before;
            /// `yields` says of which NaN it thereby got rid.
            #[inline(always)]
            fn extreme(
                &self,
                value: $float,
                ordering: Ordering,
                yields: fn($float) -> bool,
                exchange: impl Fn($bits) -> $bits,
            ) -> $float {
                if value.is_nan() {
                    return self.load(of_load(ordering));
                }
                loop {
                    let bits = exchange(value.to_bits());
                    let before = <$float>::from_bits(bits);
                    if !before.is_nan() || yields(before) {
                        return before;
                    }
                    let other = self.compare_exchange(before, value, ordering, of_load(ordering));
                    if other.is_ok() {
                        return before;
                    }
                }
            }

            /// The bits as an atomic integer with a sign.
            #[inline(always)]
            fn signed(&self) -> &$other {
                // SAFETY: the same memory, of the same size and alignment, atomic either way.
                unsafe { &*self.0.as_ptr().cast::<$other>() }
            }

            /// Replaces the value by what a function makes of it, if it makes something of it; gives
            /// the value before.
            ///
            /// # Errors
            /// If the function gave `None`: the value.
            ///
            /// # Panics
            /// If `fetch` is no ordering of loads.
            #[inline(always)]
            #[track_caller]
            pub fn fetch_update(
                &self,
                set: Ordering,
                fetch: Ordering,
                mut update: impl FnMut($float) -> Option<$float>,
            ) -> Result<$float, $float> {
                let mut current = self.load(fetch);
                while let Some(next) = update(current) {
                    match self.compare_exchange_weak(current, next, set, fetch) {
                        Ok(before) => return Ok(before),
                        Err(other) => current = other,
                    }
                }
                Err(current)
            }
        }

        impl Default for $name {
            fn default() -> Self {
                $name::new(0.0)
            }
        }

        impl From<$float> for $name {
            fn from(value: $float) -> Self {
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

float! {
    /// An `f32` that work-items share.
    AtomicF32: f32 in AtomicU32 of u32, AtomicI32 of i32, atomic_add_f32
}
float! {
    /// An `f64` that work-items share.
    AtomicF64: f64 in AtomicU64 of u64, AtomicI64 of i64, atomic_add_f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::Ordering::*;

    const VALUES: [f32; 12] = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        1e-45,
        -1e-45,
        f32::MAX,
        f32::MIN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
        -f32::NAN,
    ];

    /// By the order of numbers, which for those that are equal goes by their signs.
    fn greater(a: f32, b: f32) -> f32 {
        match (a.is_nan(), b.is_nan()) {
            (true, _) => b,
            (_, true) => a,
            _ if a.total_cmp(&b).is_lt() => b,
            _ => a,
        }
    }

    #[test]
    fn extremes_of_all_kinds_of_numbers() {
        for a in VALUES {
            for b in VALUES {
                let (max, min) = (AtomicF32::new(a), AtomicF32::new(a));
                assert_eq!(max.fetch_max(b, AcqRel).to_bits(), a.to_bits());
                assert_eq!(min.fetch_min(b, Release).to_bits(), a.to_bits());
                let same =
                    |x: f32, y: f32| x.to_bits() == y.to_bits() || (x.is_nan() && y.is_nan());
                let (max, min) = (max.into_inner(), min.into_inner());
                assert!(same(max, greater(a, b)), "max of {a} and {b}: {max}");
                assert!(same(-min, greater(-a, -b)), "min of {a} and {b}: {min}");
            }
        }
    }

    #[test]
    fn sums_and_exchanges() {
        let sum = AtomicF64::new(0.5);
        assert_eq!(sum.fetch_add(0.25, SeqCst), 0.5);
        assert_eq!(sum.fetch_sub(1.0, Acquire), 0.75);
        assert_eq!(sum.compare_exchange(1.0, 2.0, AcqRel, Relaxed), Err(-0.25));
        assert_eq!(
            sum.fetch_update(AcqRel, Acquire, |x| Some(x * 8.0)),
            Ok(-0.25)
        );
        assert_eq!(sum.fetch_update(AcqRel, Acquire, |_| None), Err(-2.0));
        assert_eq!(sum.swap(3.0, Release), -2.0);
        assert_eq!(sum.into_inner(), 3.0);
    }
}
