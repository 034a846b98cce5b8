//! Elements that all work-items of a launch may change, by atomic operations.

use core::sync::atomic;

use super::{AtomicF32, AtomicF64, AtomicI128, AtomicU128};
use crate::DeviceData;

/// A number that work-items can share as an atomic of the same layout.
///
/// A kernel that takes `&[AtomicU32]` is launched with `buffer.atomic()` of a `Buffer<u32>`.
///
/// # Safety
/// `Shared` is an atomic with the size and representation of `Self`, and any value of `Self` is one
/// of `Shared`.
pub unsafe trait Atomic: DeviceData {
    /// The atomic type.
    type Shared: Sync + 'static;
}

macro_rules! atomics {
    ($($plain:ty => $shared:ty),* $(,)?) => {$(
        const _: () = {
            assert!(size_of::<$plain>() == size_of::<$shared>());
            assert!(align_of::<$plain>() <= align_of::<$shared>());
        };
        // SAFETY: both types have the same size and bit validity; their alignment is the atomic's,
        // which every buffer has.
        unsafe impl Atomic for $plain {
            type Shared = $shared;
        }
    )*};
}

atomics! {
    bool => atomic::AtomicBool,
    u8 => atomic::AtomicU8, u16 => atomic::AtomicU16, u32 => atomic::AtomicU32,
    u64 => atomic::AtomicU64, usize => atomic::AtomicUsize, u128 => AtomicU128,
    i8 => atomic::AtomicI8, i16 => atomic::AtomicI16, i32 => atomic::AtomicI32,
    i64 => atomic::AtomicI64, isize => atomic::AtomicIsize, i128 => AtomicI128,
    f32 => AtomicF32, f64 => AtomicF64,
}
