//! Panics of work-items, as errors.
//!
//! A work-item left all of its panic in the launch's record, or the place where it panicked and what
//! that depends on. Then the code's own function for panics, launched alone, says the rest; it is
//! compiled when that first happens.

use std::ffi::CString;
use std::sync::{Arc, OnceLock};

use legionella_abi::nvptx::Record;

use super::super::panics;
use super::api::{Function, Stream};
use super::calls::Called;
use super::device::Device;
use super::module::{self, Given};
use super::states::{Left, States};
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

/// The panic that a work-item of a launch left.
///
/// # Safety
/// What the launch uses is there.
pub(super) unsafe fn told(
    device: &Device,
    states: &States,
    stream: Stream,
    record: &Record,
    launch: &Called<'_>,
) -> Error {
    let item = panics::item(record, launch.space);
    if record.place == 0 {
        return panics::error(record, item, launch.kernel);
    }
    // SAFETY: the caller's promise.
    let told = device.with_context(|_| unsafe { alone(device, states, stream, record, launch) });
    match told {
        Ok(record) => panics::error(&record, item, launch.kernel),
        Err(error) => panics::unspoken(&error, item, launch.kernel),
    }
}

/// Runs a kernel's function for panics and gives the record that it leaves. The context is current.
///
/// # Safety
/// As for [`told`].
unsafe fn alone(
    device: &Device,
    states: &States,
    stream: Stream,
    record: &Record,
    launch: &Called<'_>,
) -> Result<Record> {
    let function = launch.functions.panics.function(device, launch.kernel)?;
    let panicked = panics::panicked(record, launch.space, launch.number);
    let place = states.take(device)?;
    // SAFETY: the caller's promise; the stream is the device's.
    unsafe {
        launch.issue_panic(device, function, &panicked, place, stream)?;
        device.check((device.api().wait_stream)(stream))?;
    }
    match states.give_back(device, place)? {
        Left::Panicked(record) => Ok(*record),
        _ => Err(Error::Device {
            accelerator: device.name().to_owned(),
            reason: "the function for panics did not panic".to_owned(),
        }),
    }
}
