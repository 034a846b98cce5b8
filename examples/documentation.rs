//! The programs in the repository's documents, so that they are compiled, and those that need no
//! accelerator run, with the documentation tests.

#[doc = include_str!("../README.md")]
pub mod readme {}

#[doc = include_str!("../CODING.md")]
pub mod coding {}
