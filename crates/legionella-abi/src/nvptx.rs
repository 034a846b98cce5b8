//! How generated code for NVIDIA devices is launched: as [`gpu`](crate::gpu) says.
//!
//! The code of a kernel is a PTX text with all kernel functions but [`PANIC`], and, after a zero
//! byte, another with that, if there is any need of it. The argument block is passed by value; where
//! it has more than [`LARGEST_BLOCK`] bytes, by its address.
//!
//! What a kernel needs of the application is in variables that exist if it does: [`PORT`] and
//! [`HEAP`], in either text.

pub use crate::gpu::*;

/// Largest argument block that is passed by value, in bytes. All parameters together may take
/// 4,096 (PTX ISA, "Kernel Function Parameters").
pub const LARGEST_BLOCK: u64 = 3840;
