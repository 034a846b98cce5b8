//! Atomic operations beyond those of `core::sync::atomic`, which work in kernels as they are: all
//! types, all orderings, between all work-items of a launch.
//!
//! * [`InGroup`], [`OnDevice`], [`InSystem`]: the same operations with another scope;
//! * [`fence`]: fences with a scope;
//! * [`AtomicF32`], [`AtomicF64`]: floats;
//! * [`AtomicU128`], [`AtomicI128`]: integers of 128 bits;
//! * [`Atomic`]: which elements of a buffer can be shared as which of these.
//!
//! Loads and stores of plain memory that an operation orders are ordered for the work-items within
//! its scope. A scope is a matter of speed: what is narrower may be cheaper on a device, and means the
//! same on the host.

mod element;
mod float;
mod scoped;
mod wide;

pub use element::Atomic;
pub use float::{AtomicF32, AtomicF64};
pub use scoped::{InGroup, InSystem, OnDevice, Scope, Scoped, fence, scope};
pub use wide::{AtomicI128, AtomicU128};

use core::sync::atomic::Ordering;

/// An ordering as device intrinsics take it ([`legionella_abi::intrinsic::ORDERINGS`]).
#[inline(always)]
fn number(ordering: Ordering) -> u32 {
    match ordering {
        Ordering::Relaxed => 0,
        Ordering::Release => 1,
        Ordering::Acquire => 2,
        Ordering::AcqRel => 3,
        // The strongest there is, whatever the language will add.
        _ => 4,
    }
}

/// The ordering of a number.
pub(crate) fn ordering(number: u32) -> Ordering {
    match number {
        0 => Ordering::Relaxed,
        1 => Ordering::Release,
        2 => Ordering::Acquire,
        3 => Ordering::AcqRel,
        _ => Ordering::SeqCst,
    }
}

/// The ordering of a load that is part of an operation with this ordering.
fn of_load(ordering: Ordering) -> Ordering {
    match ordering {
        Ordering::Release => Ordering::Relaxed,
        Ordering::AcqRel => Ordering::Acquire,
        other => other,
    }
}
