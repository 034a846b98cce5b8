//! What Legionella's kernels call.
//!
//! Everything here is ordinary `no_std` Rust with a meaning on the host, so a kernel can be called
//! and tested as the plain function that it is. On a device the functions in [`intrinsic`] are
//! bound to the machine's own operations.
//!
//! * [`Item`]: which work-item runs, and in which grid;
//! * [`Group`]: that, and what the items of a work-group do together;
//! * [`Shared`], [`Writable`], [`Readable`]: memory of a work-group, by state;
//! * [`Scratch`]: memory for what a work-group computes together, such as a sum;
//! * [`Subgroup`]: the items that exchange values without memory;
//! * [`matrix`]: products of matrices by the machine's matrix units;
//! * [`Disjoint`], [`Tiles`], [`Rows`]: outputs that each work-item has a part of its own in;
//! * [`Sender`]: the work-items' end of a channel to the host;
//! * [`Signal`]: a value that host and devices change and wait for;
//! * [`Enqueue`]: launches that a kernel makes;
//! * [`DeviceData`]: values that cross between host and device as they are;
//! * [`Atomic`]: elements that all work-items share, and [`atomic`]: what they share them as.

#![no_std]

#[cfg(test)]
extern crate alloc;

pub mod atomic;
mod c;
pub mod channel;
mod cpu;
mod data;
pub mod enqueue;
mod group;
pub mod heap;
pub mod host;
pub mod intrinsic;
mod item;
pub mod maths;
pub mod matrix;
mod output;
mod panic;
pub mod print;
mod scratch;
pub mod signal;
mod subgroup;
pub mod tile;
mod token;

pub use atomic::Atomic;
pub use channel::Sender;
pub use data::DeviceData;
pub use enqueue::Enqueue;
pub use group::{Group, HostGroup};
pub use item::{Index, Item};
pub use output::{Disjoint, Rows, Tiles};
pub use scratch::Scratch;
pub use signal::Signal;
pub use subgroup::{Exchange, Subgroup};
pub use tile::{Readable, Shared, Writable};
pub use token::Token;
