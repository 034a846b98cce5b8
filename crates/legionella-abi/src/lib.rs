//! The contracts that cross a boundary in Legionella, and nothing else.
//!
//! Three programs meet here that are built apart from each other: the application (crate
//! `legionella`), the compiler wrapper and linker (`cargo-legionella`), and the driver that owns
//! LLVM (`legionella-driver`). Each module is one of the boundaries between them:
//!
//! * [`record`]: what a launch site leaves in its object file, and the cell that it reads;
//! * [`bundle`]: what the linker step embeds into an executable or shared library;
//! * [`protocol`]: what an application and its driver process say to each other;
//! * [`cpu`]: how generated code for the CPU target is called and calls back;
//! * [`gpu`]: how generated code for GPUs is launched and tells of a panic, with what is NVIDIA's
//!   alone in [`nvptx`] and AMD's in [`amdgpu`];
//! * [`hsa`]: what kernels share with an HSA device's packet processor, as its makers publish it;
//! * [`intrinsic`]: the symbols that stand for the machine inside device code.
//!
//! A change to any of them changes [`VERSION`].

#![no_std]

extern crate alloc;

pub mod amdgpu;
pub mod bundle;
pub mod cpu;
pub mod frame;
pub mod gpu;
pub mod hsa;
pub mod intrinsic;
pub mod nvptx;
pub mod protocol;
pub mod record;

/// Version of every contract in this crate together. Programs that disagree refuse each other.
pub const VERSION: u32 = 12;
