//! Kernels that panic: what the host says about each work-item's panic, and whether a launch says
//! the same about one of them and leaves everything usable.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};

use legionella::prelude::*;

use crate::bits::Bits;
use crate::trial::{Failure, Trial, Verdict, output};

/// A panic as either side reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Text of the panic.
    pub message: String,
    /// `file:line:column` of the expression that panicked.
    pub location: String,
}

thread_local! {
    static LAST: RefCell<Option<Report>> = const { RefCell::new(None) };
}

/// Makes panics of this process leave a report for [`report_of`] and print nothing.
pub fn keep_quiet() {
    panic::set_hook(Box::new(|info| {
        let report = Report {
            message: info.payload_as_str().unwrap_or_default().to_owned(),
            location: info
                .location()
                .map_or_else(String::new, |location| location.to_string()),
        };
        LAST.with_borrow_mut(|last| *last = Some(report));
    }));
}

/// The panic that a call ends with, if it does.
fn report_of(call: impl FnOnce()) -> Option<Report> {
    match panic::catch_unwind(AssertUnwindSafe(call)) {
        Ok(()) => None,
        Err(_) => LAST.with_borrow_mut(Option::take),
    }
}

impl Trial<'_> {
    /// A function that panics for some inputs, as a kernel: the launch must report the panic of
    /// one of those work-items exactly as the host does, and leave results of the others, the
    /// accelerator and the buffers intact.
    pub fn panics<I: DeviceData, O: DeviceData + Bits>(
        &mut self,
        function: impl Fn(I) -> O + Copy + Send + Sync + 'static,
        inputs: &[I],
    ) -> Verdict {
        let mut expected = Vec::new();
        let mut results = output::<O>(inputs.len());
        for (index, &input) in inputs.iter().enumerate() {
            let result = &mut results[index];
            if let Some(report) = report_of(|| *result = function(input)) {
                expected.push((index, report));
            }
        }
        self.panicking(function, inputs, &results, &|index, found| {
            expected
                .iter()
                .any(|(item, report)| *item == index && report == found)
        })
        .map_err(|failure| describe(failure, &expected))
    }

    /// As [`Trial::panics`], where the host would abort: every work-item panics with `message`.
    pub fn panics_with<I: DeviceData, O: DeviceData + Bits>(
        &mut self,
        function: impl Fn(I) -> O + Copy + Send + Sync + 'static,
        inputs: &[I],
        message: &str,
    ) -> Verdict {
        let results = output::<O>(inputs.len());
        self.panicking(function, inputs, &results, &|index, found| {
            index < inputs.len() && found.message == message
        })
        .map_err(|failure| describe(failure, &[message]))
    }

    fn panicking<I: DeviceData, O: DeviceData + Bits>(
        &mut self,
        function: impl Fn(I) -> O + Copy + Send + Sync + 'static,
        inputs: &[I],
        results: &[O],
        expected: &dyn Fn(usize, &Report) -> bool,
    ) -> Verdict {
        let kernel = move |at: Item, inputs: &[I], mut out: Disjoint<O>| {
            if let (Some(&input), Some(out)) = (inputs.get(at.global()), out.at(&at)) {
                *out = function(input);
            }
        };
        let grid = Grid::over(inputs.len());
        let input = self.accelerator.upload(inputs)?;
        let mut out = self.accelerator.upload(&output::<O>(inputs.len()))?;
        let ended = self
            .accelerator
            .launch(kernel, grid, (&input, &mut out))
            .and_then(|completion| completion.wait());
        let (item, found) = match ended {
            Err(legionella::Error::KernelPanicked {
                message,
                source_location,
                item,
                ..
            }) => (
                item,
                Report {
                    message,
                    location: source_location.to_string(),
                },
            ),
            Err(other) => return Err(Failure::unexpected("a panic", other)),
            Ok(()) => return Err(Failure::unexpected("a panic", "success")),
        };
        if !expected(item[0], &found) {
            let found = format!("item {item:?}: {found:?}");
            return Err(Failure::unexpected("a panic that the host knows", found));
        }
        let mut written = output::<O>(inputs.len());
        out.download(&mut written)?;
        for (index, (written, result)) in written.iter().zip(results).enumerate() {
            if !written.same(result) && !written.same(&O::POISON) {
                return Err(Failure::unexpected(
                    format!("{result:?} or nothing in element {index} after the panic"),
                    format!("{written:?}"),
                ));
            }
        }
        self.map(|value: u32| value ^ 0x5555, &[1, 2, 3])
    }
}

/// Adds what was expected to a failure.
fn describe(failure: Failure, expected: &[impl std::fmt::Debug]) -> Failure {
    match failure {
        Failure::Unexpected {
            expected: what,
            found,
        } => Failure::Unexpected {
            expected: format!("{what}, one of {:?}", &expected[..expected.len().min(3)]),
            found,
        },
        other => other,
    }
}
