//! How one kernel panics: its function for panics, which is loaded when that first happens.

use std::sync::{Arc, OnceLock};

use super::device::Device;
use super::functions::Kernel;
use super::memory::Memory;
use super::module::{self, Given};
use crate::error::{Error, Result};

/// How one kernel panics.
pub(super) struct Panics {
    /// The code object with the function for panics.
    object: Vec<u8>,
    /// What the code is given, which stays as long as that.
    given: Given,
    function: OnceLock<Result<Kernel>>,
}

impl Panics {
    pub(super) fn new(object: &[u8], given: Given) -> Self {
        Panics {
            object: object.to_vec(),
            given,
            function: OnceLock::new(),
        }
    }

    /// The function for panics.
    pub(super) fn function(
        &self,
        device: &Device,
        memory: &Memory,
        kernel: &Arc<str>,
    ) -> Result<Kernel> {
        let loaded = self
            .function
            .get_or_init(|| module::load_panic(device, memory, kernel, &self.object, &self.given));
        loaded.as_ref().copied().map_err(Error::clone)
    }
}
