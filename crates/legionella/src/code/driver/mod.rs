//! The driver processes of this application.
//!
//! Takes kernels whose code is nowhere to be had, gives the code. A driver starts with the first
//! of them and is used again for the next; one at a time. It sees its input end when the
//! application does, and ends too. A driver that fails fails one request: the next starts another.

mod channel;
mod find;
mod process;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use legionella_abi::protocol::{Code, Options, TargetSpec};

pub use find::{Found, find};
use process::{Answer, Process};

use super::{Error, Kernel};

/// Running drivers, by executable and by the toolchain whose LLVM they were told to use.
#[derive(Debug, Default)]
pub struct Drivers {
    slots: Mutex<HashMap<(PathBuf, &'static str), Arc<Slot>>>,
}

type Slot = Mutex<Option<Process>>;

impl Drivers {
    /// Generates the code of a kernel with a driver, starting it if it doesn't run.
    pub fn generate(
        &self,
        driver: &Found,
        kernel: &Kernel,
        target: &TargetSpec,
        options: &Options,
        limit: Duration,
        tick: &mut dyn FnMut(),
    ) -> Result<Code, Error> {
        let slot = self.slot(driver, kernel);
        let mut slot = slot.lock().unwrap_or_else(|poisoned| {
            // A request was broken off in the middle, so nothing is known of the process.
            let mut slot = poisoned.into_inner();
            *slot = None;
            slot
        });
        slot.take_if(|process| !process.is_ours() || process.has_ended());
        let process = match &mut *slot {
            Some(process) => process,
            None => slot.insert(Process::start(driver.path.clone(), kernel, limit, tick)?),
        };
        match process.generate(kernel, target, options, tick) {
            Answer::Answered(result) => result,
            Answer::Lost(error) => {
                *slot = None;
                Err(error)
            }
        }
    }

    fn slot(&self, driver: &Found, kernel: &Kernel) -> Arc<Slot> {
        let sysroot = kernel.bundle().manifest.toolchain.sysroot.as_str();
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry((driver.path.clone(), sysroot)).or_default())
    }
}
