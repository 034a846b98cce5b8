//! Keys to sort by: numbers whose order is that of unsigned integers of as many bits.

use std::cmp::Reverse;

use legionella_device::DeviceData;

/// A key to sort by. Keys have the order of their bits as unsigned integers.
///
/// Integers, `char` and `bool` have theirs, floats that of [`f32::total_cmp`], and
/// [`Reverse`] turns it round. A key of your own is made of another:
///
/// ```
/// use legionella::DeviceData;
/// use legionella::par::Key;
///
/// #[derive(Clone, Copy, DeviceData)]
/// struct Millimetres(u32);
///
/// impl Key for Millimetres {
///     type Bits = u32;
///
///     fn to_bits(self) -> u32 {
///         self.0
///     }
///
///     fn from_bits(bits: u32) -> Self {
///         Millimetres(bits)
///     }
/// }
/// ```
pub trait Key: DeviceData {
    /// An unsigned integer.
    type Bits: Digits;

    /// Says that a key always has the same bits: only of this crate's.
    #[doc(hidden)]
    const KNOWN: Option<sealed::Known> = None;

    /// The key's bits, whose order is the key's.
    fn to_bits(self) -> Self::Bits;

    /// The key of these bits.
    fn from_bits(bits: Self::Bits) -> Self;
}

/// An unsigned integer as digits of eight bits.
pub trait Digits: Key<Bits = Self> + Ord + sealed::Sealed {
    /// Number of digits.
    const COUNT: u32;
    /// The number without any bit.
    const ZERO: Self;

    /// The digit of a place, from the least significant on: less than 256.
    fn digit(self, place: u32) -> usize;

    /// The number with all bits turned.
    #[must_use]
    fn turned(self) -> Self;

    /// The number with zeros below a place.
    #[must_use]
    fn cut_below(self, place: u32) -> Self;

    /// The number with a digit below 256 at a place that had zero.
    #[must_use]
    fn with_digit(self, place: u32, digit: usize) -> Self;
}

mod sealed {
    /// Unsigned integers alone are digits.
    pub trait Sealed {}

    /// Keys of this crate alone can say so.
    #[derive(Clone, Copy, Debug)]
    pub struct Known(pub(super) ());
}

/// What the keys here say of themselves.
const KNOWN: Option<sealed::Known> = Some(sealed::Known(()));

macro_rules! unsigned {
    ($($type:ident)*) => {$(
        impl sealed::Sealed for $type {}

        impl Digits for $type {
            const COUNT: u32 = $type::BITS / 8;
            const ZERO: Self = 0;

            #[inline(always)]
            fn digit(self, place: u32) -> usize {
                usize::from((self >> (8 * place)) as u8)
            }

            #[inline(always)]
            fn turned(self) -> Self {
                !self
            }

            #[inline(always)]
            fn cut_below(self, place: u32) -> Self {
                let digits = self.checked_shr(8 * place).unwrap_or(0);
                digits.checked_shl(8 * place).unwrap_or(0)
            }

            #[inline(always)]
            fn with_digit(self, place: u32, digit: usize) -> Self {
                self | (digit as $type) << (8 * place)
            }
        }

        impl Key for $type {
            type Bits = $type;

            const KNOWN: Option<sealed::Known> = KNOWN;

            #[inline(always)]
            fn to_bits(self) -> $type {
                self
            }

            #[inline(always)]
            fn from_bits(bits: $type) -> Self {
                bits
            }
        }
    )*};
}

unsigned!(u8 u16 u32 u64 u128 usize);

macro_rules! signed {
    ($($type:ident as $bits:ident)*) => {$(
        impl Key for $type {
            type Bits = $bits;

            const KNOWN: Option<sealed::Known> = KNOWN;

            #[inline(always)]
            fn to_bits(self) -> $bits {
                (self ^ $type::MIN) as $bits
            }

            #[inline(always)]
            fn from_bits(bits: $bits) -> Self {
                bits as $type ^ $type::MIN
            }
        }
    )*};
}

signed!(i8 as u8 i16 as u16 i32 as u32 i64 as u64 i128 as u128 isize as usize);

macro_rules! floats {
    ($($type:ident as $bits:ident)*) => {$(
        impl Key for $type {
            type Bits = $bits;

            const KNOWN: Option<sealed::Known> = KNOWN;

            #[inline(always)]
            fn to_bits(self) -> $bits {
                let bits = $type::to_bits(self);
                let negative = bits >> ($bits::BITS - 1) == 1;
                if negative { !bits } else { bits | 1 << ($bits::BITS - 1) }
            }

            #[inline(always)]
            fn from_bits(bits: $bits) -> Self {
                let negative = bits >> ($bits::BITS - 1) == 0;
                $type::from_bits(if negative { !bits } else { bits ^ 1 << ($bits::BITS - 1) })
            }
        }
    )*};
}

floats!(f32 as u32 f64 as u64);

impl Key for bool {
    type Bits = u8;

    const KNOWN: Option<sealed::Known> = KNOWN;

    #[inline(always)]
    fn to_bits(self) -> u8 {
        self.into()
    }

    #[inline(always)]
    fn from_bits(bits: u8) -> Self {
        bits != 0
    }
}

impl Key for char {
    type Bits = u32;

    const KNOWN: Option<sealed::Known> = KNOWN;

    #[inline(always)]
    fn to_bits(self) -> u32 {
        self.into()
    }

    #[inline(always)]
    fn from_bits(bits: u32) -> Self {
        char::from_u32(bits).unwrap_or(char::REPLACEMENT_CHARACTER)
    }
}

impl<K: Key> Key for Reverse<K> {
    type Bits = K::Bits;

    const KNOWN: Option<sealed::Known> = K::KNOWN;

    #[inline(always)]
    fn to_bits(self) -> K::Bits {
        self.0.to_bits().turned()
    }

    #[inline(always)]
    fn from_bits(bits: K::Bits) -> Self {
        Reverse(K::from_bits(bits.turned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_order<K: Key + std::fmt::Debug>(keys: &[K]) {
        for pair in keys.windows(2) {
            assert!(pair[0].to_bits() < pair[1].to_bits(), "{pair:?}");
        }
        for key in keys {
            let again = K::from_bits(key.to_bits());
            assert!(again.to_bits() == key.to_bits(), "{key:?} is {again:?}");
        }
    }

    #[test]
    fn bits_have_the_order_of_keys() {
        in_order(&[0u8, 1, 127, 128, 255]);
        in_order(&[i64::MIN, -1, 0, 1, i64::MAX]);
        in_order(&[
            -f32::NAN,
            f32::NEG_INFINITY,
            -1.0,
            -0.0,
            0.0,
            1e-45,
            1.0,
            f32::INFINITY,
            f32::NAN,
        ]);
        in_order(&[f64::MIN, -f64::MIN_POSITIVE, -0.0, 0.0, f64::MAX]);
        in_order(&[Reverse(3i16), Reverse(0), Reverse(-3)]);
        in_order(&[false, true]);
        in_order(&['\0', 'a', '\u{ffff}', char::MAX]);
    }

    #[test]
    fn digits_count_from_the_least() {
        assert_eq!(
            [0, 1, 2, 3].map(|place| 0x1234_5678u32.digit(place)),
            [0x78, 0x56, 0x34, 0x12]
        );
        assert_eq!(0x1234_5678u32.cut_below(2), 0x1234_0000);
        assert_eq!(0x1234_5678u32.cut_below(4), 0);
        assert_eq!(0x1200_0000u32.with_digit(2, 0x34), 0x1234_0000);
    }
}
