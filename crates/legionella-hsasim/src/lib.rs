//! An HSA runtime in software: the C ABI of ROCm's `libhsa-runtime64`, with an interpreter of AMD GPU
//! code behind it, for machines without an AMD GPU.
//!
//! ```text
//! abi        C functions, as in ROCm's headers
//!  └ machine     agents, memory, signals, queues, loaded code
//!     └ interpret    executes the waves of a work-group
//!        ├ decode        machine code → instructions, by LLVM's disassembler
//!        └ operation     what instructions compute
//! ```
//!
//! As a shared library it stands in for ROCm's: programs that open `libhsa-runtime64.so.1` open
//! `liblegionella_hsasim.so` instead. Beyond running kernels it finds what hardware lets pass: addresses
//! out of bounds, values that nobody wrote, loads whose results are used without waiting for them.

pub mod abi;
pub mod decode;
pub mod error;
pub mod interpret;
pub mod isa;
pub mod lanes;
pub mod llvm;
pub mod machine;
pub mod operation;
