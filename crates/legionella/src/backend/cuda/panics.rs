//! Panics of work-items, as errors.
//!
//! A work-item left all of its panic in the launch's record, or the place where it panicked and what
//! that depends on. Then the code's own function for panics, launched alone, says the rest; it is
//! compiled when that first happens.

use std::ffi::CString;
use std::sync::{Arc, OnceLock};

use legionella_abi::cpu::Launch;
use legionella_abi::nvptx::{Panicked, Record, TEXT};
use legionella_abi::protocol::Source;

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

/// What the function for panics is told of a panic that was left as a place, by the launch of that number.
pub(super) fn panicked(record: &Record, space: &Launch, number: u64) -> Panicked {
    let local = record.local.map(u64::from);
    Panicked {
        place: record.place.into(),
        carried: record.carried,
        ids: [
            item(record, space),
            space.grid,
            local,
            record.group,
            space.group,
        ],
        number,
    }
}

/// Global ids of the work-item that panicked.
pub(super) fn item(record: &Record, space: &Launch) -> [u64; 3] {
    [0, 1, 2].map(|d| {
        let first = record.group[d].wrapping_mul(space.group[d]);
        first.wrapping_add(record.local[d].into())
    })
}

/// The error of a panic with everything in its record.
pub(super) fn error(record: &Record, item: [u64; 3], kernel: &Arc<str>) -> Error {
    Error::KernelPanicked {
        kernel: Arc::clone(kernel),
        message: text(&record.message, record.message_len),
        source_location: Source {
            file: text(&record.file, record.file_len),
            line: record.line,
            column: record.column,
        },
        item: item.map(|id| id as usize),
    }
}

/// The error of a panic of which no more can be said than who panicked.
pub(super) fn unspoken(why: &Error, item: [u64; 3], kernel: &Arc<str>) -> Error {
    Error::KernelPanicked {
        kernel: Arc::clone(kernel),
        message: format!("the message can't be told: {why}"),
        source_location: Source {
            file: String::new(),
            line: 0,
            column: 0,
        },
        item: item.map(|id| id as usize),
    }
}

/// The bytes of a text; one that was cut off may end within a character.
fn text(bytes: &[u8; TEXT], len: u32) -> String {
    let bytes = &bytes[..(len as usize).min(TEXT)];
    let whole = match str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => &bytes[..error.valid_up_to()],
        _ => bytes,
    };
    String::from_utf8_lossy(whole).into_owned()
}
