//! What matrices are made of: the types of factors and of their sums, and strips of 16 bytes.
//!
//! Takes numbers, gives the words that fragments hold them in, and the arithmetic of one product. Knows
//! nothing of lanes.

use core::fmt::Debug;
use core::ops::{Deref, DerefMut};
use core::panic::Location;

use crate::{DeviceData, Exchange, intrinsic};

/// A number that matrices are multiplied of: `i8`, `u8`, `f64`, [`Tf32`], and with the feature `half`
/// `half::f16` and `half::bf16`.
///
/// | factors | sum | depth of a product |
/// | --- | --- | --- |
/// | `i8`, `u8` | `i32` | 32 |
/// | `f16`, `bf16` | `f32` | 16 |
/// | `Tf32` | `f32` | 8 |
/// | `f64` | `f64` | 4 |
pub trait Factor: DeviceData + Debug + PartialEq + sealed::Sealed {
    /// What products are added up in.
    type Sum: DeviceData + Debug + Default + PartialEq + Exchange;
    /// As many elements as 16 bytes hold.
    type Elements: DeviceData + Debug + PartialEq + AsRef<[Self]> + AsMut<[Self]>;
    /// Elements of a [`Strip`].
    const STRIP: usize = 16 / size_of::<Self>();
    /// Columns of the left matrix of a product, and rows of the right one.
    const DEPTH: usize = 32 / size_of::<Self>();

    /// Words that an element takes; 1 as well if a word holds several.
    #[doc(hidden)]
    const WORDS: usize;

    /// The sum and the products of the elements of two words, or pairs of words, in order.
    #[doc(hidden)]
    fn add_products(left: [u32; 2], right: [u32; 2], sum: Self::Sum) -> Self::Sum;

    /// Adds a product to a sum on the device.
    ///
    /// # Safety
    /// In device code, by all lanes of a whole subgroup; the addresses are of its parts.
    #[doc(hidden)]
    unsafe fn multiply(
        left: *const [u32; 4],
        right: *const [u32; 4],
        sum: *mut [Self::Sum; 8],
        place: &'static Location<'static>,
    );

    /// Begins to add a product to a band of sums on the device, if it multiplies bands of such factors
    /// ([`Factor::bands`]).
    ///
    /// # Safety
    /// As [`legionella_abi::intrinsic::MATRIX_BAND_F16`] has it.
    #[doc(hidden)]
    unsafe fn multiply_band(
        left: *const Strip<Self>,
        right: *const Strip<Self>,
        columns: u32,
        sum: *mut [Self::Sum; 8],
        place: &'static Location<'static>,
    );

    /// Whether the device multiplies bands of such factors.
    #[doc(hidden)]
    fn bands() -> bool;
}

mod sealed {
    /// A number that matrix units know.
    pub trait Sealed {}
}

/// 16 bytes of a row of a matrix: the unit that matrices are copied and loaded by.
///
/// It is aligned to 16 bytes, so that buffers of strips are copied by the widest accesses there are.
///
/// ```
/// use legionella_device::matrix::Strip;
///
/// let strip = Strip::<i8>::from_fn(|i| i as i8);
/// assert_eq!(strip[3], 3);
/// assert_eq!(strip.len(), 16);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(16))]
pub struct Strip<T: Factor>(T::Elements);

// SAFETY: holds numbers and nothing else.
unsafe impl<T: Factor> DeviceData for Strip<T> {}

impl<T: Factor> Strip<T> {
    /// A strip of the elements that a function gives.
    #[inline(always)]
    pub fn from_fn(mut element: impl FnMut(usize) -> T) -> Self {
        // SAFETY: of all types of factors every pattern of bits is a value.
        let mut strip: Self = unsafe { core::mem::zeroed() };
        for (index, place) in strip.iter_mut().enumerate() {
            *place = element(index);
        }
        strip
    }

    /// The strips that a slice is made of, in order; the last is filled up with zeros.
    pub fn all_of(elements: &[T]) -> impl ExactSizeIterator<Item = Self> {
        elements.chunks(T::STRIP).map(|part| {
            // SAFETY: as above.
            let mut strip: Self = unsafe { core::mem::zeroed() };
            strip[..part.len()].copy_from_slice(part);
            strip
        })
    }

    /// One of its four words.
    #[inline(always)]
    pub(super) fn word(&self, index: usize) -> u32 {
        debug_assert!(index < 4);
        // SAFETY: a strip is 16 bytes, aligned to 16.
        unsafe { *(&raw const *self).cast::<u32>().add(index & 3) }
    }

    /// All of them.
    #[inline(always)]
    pub(super) fn words(self) -> [u32; 4] {
        const { assert!(size_of::<Self>() == 16) };
        // SAFETY: both are 16 bytes, of which every pattern is a value.
        unsafe { core::mem::transmute_copy(&self) }
    }
}

impl<T: Factor> Deref for Strip<T> {
    type Target = [T];

    #[inline(always)]
    fn deref(&self) -> &[T] {
        self.0.as_ref()
    }
}

impl<T: Factor> DerefMut for Strip<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [T] {
        self.0.as_mut()
    }
}

/// An `f32` of which 10 bits of the fraction are kept: the numbers that matrix units call *tf32*.
///
/// ```
/// use legionella_device::matrix::Tf32;
///
/// assert_eq!(Tf32::from(1.0 + 1.0 / 1024.0).to_f32(), 1.0 + 1.0 / 1024.0);
/// assert_eq!(Tf32::from(1.0 + 1.0 / 2048.0).to_f32(), 1.0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
#[repr(transparent)]
pub struct Tf32(f32);

/// Bits of the fraction of an `f32` that a [`Tf32`] has not.
const DROPPED: u32 = 13;

impl From<f32> for Tf32 {
    /// The nearest; of two that are as near the one whose last bit is 0.
    #[inline(always)]
    fn from(value: f32) -> Self {
        let bits = value.to_bits();
        if value.is_nan() {
            // Stays one, whichever bits it has.
            return Tf32(f32::from_bits((bits | 1 << 22) & !((1 << DROPPED) - 1)));
        }
        let odd = bits >> DROPPED & 1;
        let rounded = bits + ((1 << (DROPPED - 1)) - 1) + odd;
        Tf32(f32::from_bits(rounded & !((1 << DROPPED) - 1)))
    }
}

impl Tf32 {
    /// The number.
    #[inline(always)]
    pub fn to_f32(self) -> f32 {
        self.0
    }
}

// SAFETY: a number.
unsafe impl DeviceData for Tf32 {}

/// An operation on bands with sums of that type.
type Band<S> =
    unsafe extern "C" fn(*const u8, *const u8, u32, *mut [S; 8], &'static Location<'static>);

macro_rules! factor {
    ($type:ty, $sum:ty, $len:literal, $words:literal, $multiply:ident, $band:expr, $add_products:expr) => {
        impl sealed::Sealed for $type {}

        impl Factor for $type {
            type Sum = $sum;
            type Elements = [$type; $len];

            const WORDS: usize = $words;

            #[inline(always)]
            fn add_products(left: [u32; 2], right: [u32; 2], sum: $sum) -> $sum {
                const { assert!(size_of::<[$type; $len]>() == 16) };
                $add_products(left, right, sum)
            }

            #[inline(always)]
            unsafe fn multiply(
                left: *const [u32; 4],
                right: *const [u32; 4],
                sum: *mut [$sum; 8],
                place: &'static Location<'static>,
            ) {
                // SAFETY: passed on.
                unsafe { intrinsic::$multiply(left, right, sum, place) }
            }

            #[inline(always)]
            unsafe fn multiply_band(
                left: *const Strip<Self>,
                right: *const Strip<Self>,
                columns: u32,
                sum: *mut [$sum; 8],
                place: &'static Location<'static>,
            ) {
                let band: Option<Band<$sum>> = $band;
                if let Some(band) = band {
                    // SAFETY: passed on.
                    unsafe { band(left.cast(), right.cast(), columns, sum, place) }
                }
            }

            #[inline(always)]
            fn bands() -> bool {
                let band: Option<Band<$sum>> = $band;
                band.is_some() && intrinsic::on_device() && intrinsic::matrix_bands()
            }
        }
    };
}

factor!(
    Tf32,
    f32,
    4,
    1,
    matrix_tf32,
    Some(intrinsic::matrix_band_tf32),
    |left: [u32; 2], right: [u32; 2], sum| {
        sum + f32::from_bits(left[0]) * f32::from_bits(right[0])
    }
);

factor!(
    f64,
    f64,
    2,
    2,
    matrix_f64,
    None,
    |left: [u32; 2], right: [u32; 2], sum| {
        let value = |[low, high]: [u32; 2]| f64::from_bits(u64::from(high) << 32 | u64::from(low));
        libm::fma(value(left), value(right), sum)
    }
);

/// The sum and the products of four integers of 8 bits.
macro_rules! bytes {
    ($type:ty) => {
        |left: [u32; 2], right: [u32; 2], sum: i32| {
            let (left, right) = (left[0].to_le_bytes(), right[0].to_le_bytes());
            (0..4).fold(sum, |sum, i| {
                sum.wrapping_add(i32::from(left[i] as $type) * i32::from(right[i] as $type))
            })
        }
    };
}

factor!(
    i8,
    i32,
    16,
    1,
    matrix_i8,
    Some(intrinsic::matrix_band_i8),
    bytes!(i8)
);
factor!(
    u8,
    i32,
    16,
    1,
    matrix_u8,
    Some(intrinsic::matrix_band_u8),
    bytes!(u8)
);

#[cfg(feature = "half")]
mod halves {
    use super::*;
    use half::{bf16, f16};

    /// The sum and the products of two numbers of 16 bits.
    macro_rules! pairs {
        ($type:ty) => {
            |left: [u32; 2], right: [u32; 2], sum: f32| {
                let value = |bits: u32| <$type>::from_bits(bits as u16).to_f32();
                let low = sum + value(left[0]) * value(right[0]);
                low + value(left[0] >> 16) * value(right[0] >> 16)
            }
        };
    }

    factor!(
        f16,
        f32,
        8,
        1,
        matrix_f16,
        Some(intrinsic::matrix_band_f16),
        pairs!(f16)
    );
    factor!(
        bf16,
        f32,
        8,
        1,
        matrix_bf16,
        Some(intrinsic::matrix_band_bf16),
        pairs!(bf16)
    );

    macro_rules! data {
        ($($type:ty)*) => {$(
            // SAFETY: a number.
            unsafe impl DeviceData for $type {}

            impl Exchange for $type {
                #[inline(always)]
                fn by_words(self, word: &mut impl FnMut(u32) -> u32) -> Self {
                    <$type>::from_bits(self.to_bits().by_words(word))
                }
            }
        )*};
    }

    data!(f16 bf16);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tf32_is_the_nearest() {
        let ulp = 1.0 / 1024.0;
        let cases = [
            (1.0 + 0.5 * ulp, 1.0),
            (1.0 + 1.5 * ulp, 1.0 + 2.0 * ulp),
            (1.0 + 0.500_1 * ulp, 1.0 + ulp),
            (-1.0 - 0.75 * ulp, -1.0 - ulp),
            (f32::MAX, f32::INFINITY),
            (f32::NEG_INFINITY, f32::NEG_INFINITY),
            (-0.0, -0.0),
        ];
        for (value, expected) in cases {
            let found = Tf32::from(value).to_f32();
            assert_eq!(found.to_bits(), f32::to_bits(expected), "{value}");
        }
        assert!(Tf32::from(f32::from_bits(0x7f80_0001)).to_f32().is_nan());
    }

    #[test]
    fn strips_are_filled_up_with_zeros() {
        let elements: [i8; 18] = core::array::from_fn(|i| i as i8 + 1);
        let mut strips = Strip::all_of(&elements);
        assert_eq!(strips.len(), 2);
        assert_eq!(strips.next().unwrap()[15], 16);
        assert_eq!(strips.next().unwrap()[..3], [17, 18, 0]);
    }
}
