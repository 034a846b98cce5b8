//! Legionella's compiler: from the bitcode of a program's crates to code for an accelerator.
//!
//! The stages follow each other, each taking what the one before gave. LLVM is not linked: the
//! `libLLVM` of a Rust toolchain is loaded at run time ([`llvm`]).

pub mod amdgcn;
pub mod bitcode;
pub mod error;
pub mod extract;
pub mod generate;
pub mod inspect;
mod ir;
pub mod link;
pub mod llvm;
mod lower;
mod parallel;
pub mod ptxas;
pub mod remarks;
mod serve;
pub mod target;
mod validate;

pub use serve::serve;
