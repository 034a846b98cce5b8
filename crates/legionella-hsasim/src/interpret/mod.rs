//! Executes decoded instructions.
//!
//! A [`Wave`] is what the hardware has for one: registers, masks, counters. [`run::run`] executes a
//! wave until it ends, waits or has had its turn; [`Group`] has the waves of a work-group take turns. Knows
//! nothing of queues and packets; memory comes from [`crate::machine::memory`].

pub mod access;
pub mod atomic;
pub mod coalesced;
pub mod fences;
pub mod group;
pub mod local;
pub mod matrix;
pub mod packed;
pub mod permute;
pub mod plain;
pub mod run;
pub mod scalar;
pub mod source;
pub mod vector;
pub mod waits;
pub mod wave;

pub use group::{Group, Progress};
pub use wave::Wave;
