//! How long kernels' code takes to be generated.

use std::env;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

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
    /// Generates the code of kernels, one after the other, and writes none of it.
    pub(super) fn of<'a>(
        bundle: &Bundle<'_>,
        kernels: impl Iterator<Item = &'a Kernel>,
        target: &TargetSpec,
    ) -> anyhow::Result<Self> {
        let sysroot = PathBuf::from(&bundle.manifest.toolchain.sysroot);
        llvm::load(&llvm::find(Some(&sysroot))?)?;
        let toolbox = Toolbox {
            sysroot: Some(sysroot),
            ..Toolbox::default()
        };
        let bitcode = inspect::bitcode(bundle)?;
        let maths = maths::libraries(env::var_os)?.remove(&target.kind);
        let mut times = Times {
            took: Vec::new(),
            refused: 0,
        };
        for kernel in kernels {
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
        times.took.sort_by_key(|(_, took)| std::cmp::Reverse(*took));
        Ok(times)
    }

    /// The middle one of all times; `None` without any.
    pub(super) fn median(&self) -> Option<Duration> {
        self.took.get(self.took.len() / 2).map(|(_, took)| *took)
    }

    /// One line a kernel, and the median.
    pub(super) fn text(&self) -> String {
        let milliseconds = |took: Duration| took.as_secs_f64() * 1e3;
        let mut text = String::new();
        for (name, took) in &self.took {
            let _ = writeln!(text, "{:>9.1} ms  {name}", milliseconds(*took));
        }
        if let Some(median) = self.median() {
            let _ = writeln!(
                text,
                "{:>9.1} ms  median of {} kernels; {} are refused",
                milliseconds(median),
                self.took.len(),
                self.refused
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        let took = [9, 5, 1].map(|n| (format!("k{n}"), Duration::from_millis(n)));
        let times = Times {
            took: took.to_vec(),
            refused: 2,
        };
        assert_eq!(times.median(), Some(Duration::from_millis(5)));
        let text = times.text();
        assert!(
            text.ends_with("5.0 ms  median of 3 kernels; 2 are refused\n"),
            "{text}"
        );
    }
}
