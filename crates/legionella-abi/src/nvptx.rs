//! How generated code for NVIDIA devices is launched: as [`gpu`](crate::gpu) says.
//!
//! The code of a kernel is a PTX text with all kernel functions but [`PANIC`], and, after a zero
//! byte, another with that, if there is any need of it. The argument block is passed by value; where
//! it has more than [`LARGEST_BLOCK`] bytes, by its address.
//!
//! What a kernel needs of the application is in variables that exist if it does: [`PORT`],
//! [`HEAP`] and [`HOST_ATOMICS`], in either text.

pub use crate::gpu::*;

/// Symbol of a variable that the application sets before the first launch, in constant memory, of 8 bytes: whether
/// the device's atomic operations on the host's memory are so for the host as well, 1 or 0 (CUDA Driver API,
/// `CU_DEVICE_ATTRIBUTE_HOST_NATIVE_ATOMIC_SUPPORTED`). There is none in a kernel without any for the whole system.
pub const HOST_ATOMICS: &str = "legionella_host_atomics";

/// Largest argument block that is passed by value, in bytes. All parameters together may take
/// 4,096 (PTX ISA, "Kernel Function Parameters").
pub const LARGEST_BLOCK: u64 = 3840;
