//! Which values may cross between host and device.

use core::cmp::{Ordering, Reverse};
use core::marker::PhantomData;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::num::{NonZero, Saturating, Wrapping};
use core::ops::{Bound, ControlFlow};
use core::time::Duration;

/// A value that means the same on the host and on every device.
///
/// One compilation decides the layout of every type, so a value crosses as the bytes that it is,
/// whatever its representation: structs, tuples, arrays, enums with data, `Option`. What can't
/// cross is an address: references, pointers, `Box`, `Vec`, functions, vtables.
///
/// Derive it:
///
/// ```ignore
/// #[derive(Clone, Copy, DeviceData)]
/// enum Shape {
///     Circle { centre: [f32; 2], radius: f32 },
///     Polygon(Option<u32>),
/// }
/// ```
///
/// # Safety
/// The type holds no address of host memory and no handle that only the host can use, in any of
/// its values, and has no interior mutability.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be passed to a device",
    label = "not `DeviceData`",
    note = "device data holds no references, pointers, boxes or functions; for a type of your own, \
            `#[derive(Clone, Copy, DeviceData)]`",
    note = "slices are passed as `&Buffer<T>` (read) or `&mut Buffer<T>` (written)"
)]
pub unsafe trait DeviceData: Copy + Send + Sync + 'static {}

macro_rules! plain {
    ($($type:ty),* $(,)?) => {$(
        // SAFETY: plain numbers and symbols.
        unsafe impl DeviceData for $type {}
    )*};
}

plain! {
    (), bool, char, f32, f64,
    u8, u16, u32, u64, u128, usize,
    i8, i16, i32, i64, i128, isize,
    NonZero<u8>, NonZero<u16>, NonZero<u32>, NonZero<u64>, NonZero<u128>, NonZero<usize>,
    NonZero<i8>, NonZero<i16>, NonZero<i32>, NonZero<i64>, NonZero<i128>, NonZero<isize>,
    Ordering, Duration, Ipv4Addr, Ipv6Addr, IpAddr,
}

macro_rules! wrappers {
    ($($type:ident),* $(,)?) => {$(
        // SAFETY: holds a `T` and nothing else.
        unsafe impl<T: DeviceData> DeviceData for $type<T> {}
    )*};
}

wrappers!(Option, Wrapping, Saturating, Reverse, Bound);

// SAFETY: holds nothing.
unsafe impl<T: Send + Sync + 'static + ?Sized> DeviceData for PhantomData<T> {}
// SAFETY: holds `T`s and nothing else.
unsafe impl<T: DeviceData, const N: usize> DeviceData for [T; N] {}
// SAFETY: holds a `T` or an `E`.
unsafe impl<T: DeviceData, E: DeviceData> DeviceData for Result<T, E> {}
// SAFETY: holds a `B` or a `C`.
unsafe impl<B: DeviceData, C: DeviceData> DeviceData for ControlFlow<B, C> {}

macro_rules! tuples {
    ($($name:ident)*) => {
        // SAFETY: holds its elements and nothing else.
        unsafe impl<$($name: DeviceData),*> DeviceData for ($($name,)*) {}
    };
}

tuples!(A);
tuples!(A B);
tuples!(A B C);
tuples!(A B C D);
tuples!(A B C D E);
tuples!(A B C D E F);
tuples!(A B C D E F G);
tuples!(A B C D E F G H);
tuples!(A B C D E F G H I);
tuples!(A B C D E F G H I J);
tuples!(A B C D E F G H I J K);
tuples!(A B C D E F G H I J K L);
