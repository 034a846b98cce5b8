//! Elements that all work-items of a launch may change, by atomic operations.

use core::sync::atomic;

use crate::DeviceData;

/// A number that work-items can share as an atomic of the same layout.
///
/// A kernel that takes `&[AtomicU32]` is launched with `buffer.atomic()` of a `Buffer<u32>`.
///
/// # Safety
/// `Shared` is the type of `core::sync::atomic` with the size and representation of `Self`, and
/// any value of `Self` is one of `Shared`.
pub unsafe trait Atomic: DeviceData {
    /// The atomic type.
    type Shared: Sync + 'static;
}

macro_rules! atomics {
    ($($plain:ty => $shared:ident),* $(,)?) => {$(
        const _: () = {
            assert!(size_of::<$plain>() == size_of::<atomic::$shared>());
            assert!(align_of::<$plain>() <= align_of::<atomic::$shared>());
        };
        // SAFETY: `core` gives both types the same size and bit validity; their alignment is the
        // atomic's, which every buffer has.
        unsafe impl Atomic for $plain {
            type Shared = atomic::$shared;
        }
    )*};
}

atomics! {
    bool => AtomicBool,
    u8 => AtomicU8, u16 => AtomicU16, u32 => AtomicU32, u64 => AtomicU64, usize => AtomicUsize,
    i8 => AtomicI8, i16 => AtomicI16, i32 => AtomicI32, i64 => AtomicI64, isize => AtomicIsize,
}
