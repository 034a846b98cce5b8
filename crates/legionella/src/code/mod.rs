//! From a kernel's cell to the bytes of its code.
//!
//! Takes a [`Kernel`], the target and the [`Machine`] that is to run it; gives code whose bytes
//! are as they were generated. It looks at three places, cheapest first: code that the bundle
//! carries, the disk cache, the driver process. It knows nothing of accelerators, launches or
//! buffers, and never runs on the launch path: the caller keeps what it got.
//!
//! ```no_run
//! # use legionella::code::{self, Kernel, Machine, load::SharedObject};
//! # use legionella_abi::{cpu::Host, protocol::TargetSpec, record::Cell};
//! # fn f(cell: *const Cell, host: &'static Host) -> Result<(), code::Error> {
//! // SAFETY: the linker step defined the cell, or it is null.
//! let kernel = unsafe { Kernel::of(cell, "saxpy") }?;
//! let target = TargetSpec { kind: "cpu".into(), cpu: String::new() };
//! let code = code::obtain(&kernel, &target, Machine::host())?;
//! // SAFETY: the driver generated the code for this machine.
//! let object = unsafe { SharedObject::load(kernel.name(), &code, host) }?;
//! # Ok(())
//! # }
//! ```

mod cache;
mod driver;
mod error;
mod flight;
mod kernel;
pub mod load;
mod log;
mod machine;
pub mod maths;
mod obtain;
mod progress;
mod render;
pub(crate) mod settings;

pub use cache::Cache;
pub use error::{Error, Searched};
pub use kernel::Kernel;
pub use log::initialise as initialise_log;
pub use machine::Machine;
pub use obtain::{Client, obtain};
pub use render::remark;
pub use settings::Settings;
