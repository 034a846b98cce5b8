//! How one kernel panics: its function for panics, which is loaded when that first happens.

use std::sync::{Arc, OnceLock};

use super::device::Device;
use super::launches::Kernel;
use super::module;
use crate::error::{Error, Result};

/// How one kernel panics.
pub(super) struct Panics {
    /// The code object with the function for panics.
    object: Vec<u8>,
    function: OnceLock<Result<Kernel>>,
}

impl Panics {
    pub(super) fn new(object: &[u8]) -> Self {
        Panics {
            object: object.to_vec(),
            function: OnceLock::new(),
        }
    }

    /// The function for panics.
    pub(super) fn function(&self, device: &Device, kernel: &Arc<str>) -> Result<Kernel> {
        let loaded = self
            .function
            .get_or_init(|| module::load_panic(device, kernel, &self.object));
        loaded.as_ref().copied().map_err(Error::clone)
    }
}
