//! When launches run: after what they conflict with, and as soon as nothing is in their way.
//!
//! Takes launches that are bound to a program, an argument block and the memory that they use;
//! gives each to its program when everything before it has ended, and tells whoever waits. It
//! knows neither kernels' types nor what a backend does with a launch.
//!
//! * [`block`]: where a launch keeps its arguments;
//! * [`slot`]: the recycled state of one launch, and tickets that name a launch for ever;
//! * [`free`]: slots that no launch has;
//! * [`hazards`]: what is in flight on one allocation;
//! * [`completion`]: the caller's view of a launch;
//! * [`parts`]: launches that others are parts of;
//! * [`followup`]: launches that a kernel makes;
//! * [`gate`]: launches that wait for a signal.
//!
//! # Order of locks
//!
//! An allocation's hazards, then a slot's state, then a backend's own. No slot's state is locked
//! while another's is.

pub(crate) mod block;
pub(crate) mod completion;
pub(crate) mod followup;
mod free;
pub(crate) mod gate;
pub(crate) mod hazards;
pub(crate) mod parts;
pub(crate) mod slot;

#[cfg(test)]
mod tests;
