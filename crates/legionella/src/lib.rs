//! Ordinary Rust functions on accelerators.
//!
//! ```no_run
//! use legionella::prelude::*;
//!
//! fn saxpy(at: Item, a: f32, x: &[f32], mut y: Disjoint<f32>) {
//!     if let Some(y) = y.at(&at) {
//!         *y += a * x[at.global()];
//!     }
//! }
//!
//! fn main() -> legionella::Result<()> {
//!     let xs: Vec<f32> = (0..1_000_000).map(|i| i as f32).collect();
//!     let mut ys = vec![1.0; xs.len()];
//!
//!     let accel = Accelerator::best()?; // a GPU if there is one, else the CPU
//!     let x = accel.upload(&xs)?;
//!     let mut y = accel.upload(&ys)?;
//!     accel.launch(saxpy, Grid::over(y.len()), (3.0, &x, &mut y))?.wait()?;
//!     y.download(&mut ys)?;
//!     assert_eq!(ys[10], 31.0);
//!     Ok(())
//! }
//! ```
//!
//! Build and run it with `cargo legionella run`, or `cargo run` after `cargo legionella init`: a
//! compiler wrapper keeps the device code of the functions that are launched.
//!
//! * [`Accelerator`]: a device; it makes buffers and launches kernels;
//! * [`Buffer`]: elements in the memory of a device, which knows what is in flight on it;
//! * [`HostBuffer`]: elements that host and device both use in place;
//! * [`Grid`]: how many work-items a launch has; [`Item`]: one of them, in the kernel;
//! * [`Group`]: the items that may wait for each other, [`Shared`]: memory that they share,
//!   [`Scratch`]: the same for what they compute together;
//! * [`matrix`]: products of matrices by the device's matrix units;
//! * [`PassAs`]: what can be passed, and what the kernel receives for it;
//! * [`Disjoint`], [`Tiles`], [`Rows`]: outputs in which each work-item has a part of its own;
//! * [`par`]: parallel building blocks, such as reductions, scans and sorting;
//! * [`Completion`]: the end of a launch, to wait for or to await; [`Queue`]: launches in order;
//! * [`Graph`]: launches that are recorded once and replayed many times;
//! * [`Channel`]: values from a kernel to the host, while it runs; [`println!`]: text likewise;
//! * [`HostSignal`]: a number that kernels and the host change and wait for;
//! * [`Prepared`]: kernels that other kernels launch;
//! * [`DeviceData`]: values that cross between host and device, with a derive;
//! * [`atomic`]: atomics of floats and of 128 bits, with scopes, beside those of `core`;
//! * [`host`]: kernels as plain functions, for tests.
//!
//! A launch that type-checks can't race: what each kind of argument gives to a work-item is
//! disjoint, read-only or atomic; launches that conflict run one after the other; and access by
//! the host waits for them. A kernel that panics is an [`Error`], and so is everything else that
//! goes wrong.

// What the derive expands to names the crate as programs do.
extern crate self as legionella;

mod accelerator;
#[doc(hidden)]
pub mod backend;
mod buffer;
mod channel;
#[doc(hidden)]
pub mod code;
mod enqueue;
mod error;
mod graph;
mod grid;
pub mod host;
pub mod launch;
pub mod par;
pub mod printing;
mod queue;
mod relaxed;
mod schedule;
mod signal;

pub use accelerator::{Accelerator, Ordered};
pub use buffer::{
    AtomicArgument, BlocksArgument, Buffer, DevicePtr, HostBuffer, HostRead, HostWrite,
    RowsArgument, Slice, SliceMut, TilesArgument, Zeroable,
};
pub use channel::{Channel, Receive};
pub use enqueue::{BeginLater, Later, Prepared, later};
pub use error::{Error, Result};
pub use graph::{Graph, Recorder};
pub use grid::{Extent, Grid};
pub use launch::{
    Function, Kernel, Launch, Pass, PassAs, SharedArray, SharedSlice, function, shared,
    shared_slice,
};
pub use legionella_derive::DeviceData;
pub use legionella_device::atomic;
pub use legionella_device::heap::statistics::Statistics as HeapStatistics;
pub use legionella_device::maths::fast;
pub use legionella_device::matrix;
pub use legionella_device::{
    Atomic, DeviceData, Disjoint, Enqueue, Exchange, Group, Index, Item, Readable, Rows, Scratch,
    Sender, Shared, Signal, Subgroup, Tiles, Token, Writable,
};
pub use queue::Queue;
pub use relaxed::{Relaxed, relaxed};
pub use schedule::completion::Completion;
pub use signal::HostSignal;

/// What most programs use.
pub mod prelude {
    pub use crate::{
        Accelerator, Buffer, Channel, Completion, DeviceData, Disjoint, Enqueue, Graph, Grid,
        Group, HostSignal, Item, Rows, Sender, Shared, Signal, Tiles, function, later, relaxed,
        shared, shared_slice,
    };
}
