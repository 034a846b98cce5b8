//! Panics of work-items, as errors.
//!
//! A work-item left all of its panic in the launch's record, or the place where it panicked and what
//! that depends on. Then the code's own function for panics, launched alone, says the rest; it is
//! compiled when that first happens.

use std::ffi::CString;
use std::sync::{Arc, OnceLock};

use super::api::Function;
use super::device::Device;
use super::module::{self, Given};
use crate::error::{Error, Result};

/// How one kernel panics.
pub(super) struct Panics {
    /// The text with the function for panics.
    text: Option<CString>,
    given: Given,
    function: OnceLock<Result<Compiled>>,
}

#[derive(Clone, Copy)]
struct Compiled(Function);

// SAFETY: functions may be launched by any thread.
unsafe impl Send for Compiled {}
// SAFETY: as above.
unsafe impl Sync for Compiled {}

impl Panics {
    pub(super) fn new(text: Option<CString>, given: Given) -> Self {
        Panics {
            text,
            given,
            function: OnceLock::new(),
        }
    }

    /// The function for panics. The device's context is current.
    pub(super) fn function(&self, device: &Device, kernel: &Arc<str>) -> Result<Function> {
        let compiled = self.function.get_or_init(|| {
            let text = self.text.as_deref().unwrap_or_default();
            module::load_panic(device, kernel, text, self.given).map(Compiled)
        });
        compiled
            .as_ref()
            .map(|compiled| compiled.0)
            .map_err(Error::clone)
    }
}
