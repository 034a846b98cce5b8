//! Ordinary Rust functions on accelerators.

#[doc(hidden)]
pub mod code;
