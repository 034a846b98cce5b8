//! Programs against the C ABI: whole launches, dependencies, faults.

#[path = "../assembler/mod.rs"]
mod assembler;
mod defects;
mod faults;
mod kernels;
mod launches;
mod program;
