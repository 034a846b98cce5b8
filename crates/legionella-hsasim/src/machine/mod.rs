//! The simulated machine: memory, signals, queues, agents, loaded code. Speaks Rust; the C ABI is
//! [`crate::abi`]'s.

pub mod agent;
pub mod dispatch;
pub mod executable;
pub mod lines;
pub mod memory;
pub mod packet;
pub mod processor;
pub mod queue;
pub mod report;
pub mod signal;
pub mod watch;
pub mod workers;
