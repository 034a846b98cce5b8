//! Which elements may be born as zero bytes.

use legionella_device::DeviceData;

/// Data of which zero bytes are a value, so that a buffer of it needs no writing to begin with.
///
/// # Safety
/// All bytes zero is a valid value of the type.
pub unsafe trait Zeroable: DeviceData {}

macro_rules! zeroable {
    ($($type:ty),* $(,)?) => {$(
        // SAFETY: zero bytes are 0, `false`, `'\0'` or `()`.
        unsafe impl Zeroable for $type {}
    )*};
}

zeroable! {
    (), bool, char, f32, f64,
    u8, u16, u32, u64, u128, usize,
    i8, i16, i32, i64, i128, isize,
}

// SAFETY: its elements are.
unsafe impl<T: Zeroable, const N: usize> Zeroable for [T; N] {}

macro_rules! tuples {
    ($($name:ident)*) => {
        // SAFETY: its elements are.
        unsafe impl<$($name: Zeroable),*> Zeroable for ($($name,)*) {}
    };
}

tuples!(A);
tuples!(A B);
tuples!(A B C);
tuples!(A B C D);

// SAFETY: numbers, of which zeros are one.
unsafe impl<T: legionella_device::matrix::Factor> Zeroable for legionella_device::matrix::Strip<T> {}
// SAFETY: a number.
unsafe impl Zeroable for legionella_device::matrix::Tf32 {}
// SAFETY: a number.
#[cfg(feature = "half")]
unsafe impl Zeroable for half::f16 {}
// SAFETY: a number.
#[cfg(feature = "half")]
unsafe impl Zeroable for half::bf16 {}
