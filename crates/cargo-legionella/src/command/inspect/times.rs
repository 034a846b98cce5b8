//! How long kernels' code takes to be generated: from the bitcode of the kernel's module to the code that is
//! loaded, one kernel after the other on one thread, in wall-clock time. What a bundle has compressed is
//! unpacked before; LLVM is loaded.

use std::env;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use legionella::code::maths;
use legionella_abi::bundle::{Bundle, Kernel};
use legionella_abi::protocol::{Options, TargetSpec};
use legionella_driver::generate::{Failure, generate};
use legionella_driver::target::Toolbox;
use legionella_driver::{inspect, llvm};

/// What has been measured.
pub(super) struct Times {
    /// The kernels that there is code for, longest first.
    pub(super) took: Vec<(String, Duration)>,
    /// How many the target refuses.
    pub(super) refused: usize,
}

impl Times {
    /// Generates the code of kernels, one after the other, and writes none of it. A terminal shows how far it is.
    pub(super) fn of<'a>(
        bundle: &Bundle<'_>,
        kernels: impl ExactSizeIterator<Item = &'a Kernel>,
        target: &TargetSpec,
    ) -> anyhow::Result<Self> {
        let sysroot = PathBuf::from(&bundle.manifest.toolchain.sysroot);
        llvm::load(&llvm::find(Some(&sysroot))?)?;
        let toolbox = Toolbox {
            sysroot: Some(sysroot),
            ..Toolbox::default()
        };
        let maths = maths::libraries(env::var_os)?.remove(&target.kind);
        let mut times = Times {
            took: Vec::new(),
            refused: 0,
        };
        let progress = ProgressBar::new(kernels.len() as u64);
        let style =
            ProgressStyle::with_template("generating {wide_bar} {pos} of {len} kernels, {eta}");
        progress.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        for kernel in kernels {
            progress.inc(1);
            let bitcode = inspect::bitcode(bundle, kernel)?;
            let start = Instant::now();
            let options = Options {
                maths: maths.clone(),
                ..Options::default()
            };
            match generate(&bitcode, &kernel.entry, target, &options, &toolbox) {
                Ok(_) => times.took.push((kernel.name.clone(), start.elapsed())),
                Err(Failure::Refused(_)) => times.refused += 1,
                Err(Failure::Error(error)) => return Err(error.into()),
            }
        }
        progress.finish_and_clear();
        times.took.sort_by_key(|(_, took)| std::cmp::Reverse(*took));
        Ok(times)
    }

    /// The middle one of all times; `None` without any.
    pub(super) fn median(&self) -> Option<Duration> {
        self.took.get(self.took.len() / 2).map(|(_, took)| *took)
    }

    /// The time that nine of ten kernels don't exceed, likewise.
    pub(super) fn nine_tenths(&self) -> Option<Duration> {
        self.took.get(self.took.len() / 10).map(|(_, took)| *took)
    }

    /// The longest, likewise.
    pub(super) fn longest(&self) -> Option<Duration> {
        self.took.first().map(|(_, took)| *took)
    }

    /// One line a kernel, and below them the longest, what nine of ten don't exceed, and the median.
    pub(super) fn text(&self) -> String {
        let milliseconds = |took: Duration| took.as_secs_f64() * 1e3;
        let mut text = String::new();
        for (name, took) in &self.took {
            let _ = writeln!(text, "{:>9.1} ms  {name}", milliseconds(*took));
        }
        let (len, refused) = (self.took.len(), self.refused);
        let all = [
            (self.longest(), "longest".to_owned()),
            (self.nine_tenths(), "not exceeded by nine of ten".to_owned()),
            (
                self.median(),
                format!("median of {len} kernels; {refused} are refused"),
            ),
        ];
        for (took, what) in all {
            if let Some(took) = took {
                let _ = writeln!(text, "{:>9.1} ms  {what}", milliseconds(took));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        let took = (1..=11).rev();
        let times = Times {
            took: took
                .map(|n| (format!("k{n}"), Duration::from_millis(n)))
                .collect(),
            refused: 2,
        };
        assert_eq!(times.median(), Some(Duration::from_millis(6)));
        assert_eq!(times.nine_tenths(), Some(Duration::from_millis(10)));
        assert_eq!(times.longest(), Some(Duration::from_millis(11)));
        let text = times.text();
        assert!(
            text.ends_with("6.0 ms  median of 11 kernels; 2 are refused\n"),
            "{text}"
        );
    }
}
