//! `cargo xtask ptxas`: whether NVIDIA's assembler takes the code of every kernel, for several
//! architectures. Needs no GPU: `ptxas` is in the package `nvidia-cuda-nvcc` of PyPI.
//! Kernels of the benchmarks may spill registers only as far as [`Limits`] say.

use std::path::PathBuf;

use legionella_driver::ptxas;

use crate::kernels::{Check, Generated};
use crate::limits::{LIMITS, Limits};
use crate::tools::Tools;

/// Architectures that `ptxas` and the driver both know; of the first, what panics is checked as
/// well.
pub const ARCHITECTURES: [&str; 4] = ["sm_90a", "sm_75", "sm_80", "sm_120"];

/// The oldest that the driver knows, which takes an assembler of its own.
pub const OLDEST: &str = "sm_70";

/// Checks every kernel whose name contains `filter`.
pub fn run(tools: &Tools, filter: &str, architectures: &[String]) -> anyhow::Result<()> {
    for architecture in architectures {
        assembler(architecture)?;
    }
    let limits = Limits::read(&tools.root().join(LIMITS))?;
    // What panics is much code, and the same for all.
    let first = architectures.first();
    let look = |generated: &Generated<'_>| {
        let architecture = generated.machine;
        let texts = if first.is_some_and(|first| first == architecture) {
            usize::MAX
        } else {
            1
        };
        let assembler = assembler(architecture)?;
        let mut spilled = None;
        let all = generated.code.split(|&byte| byte == 0);
        for (number, text) in all.take(texts).enumerate() {
            let usages = match ptxas::assemble(&assembler, architecture, text) {
                Ok(usages) => usages,
                Err(ptxas::Error::Refused(said)) => return Ok(Some(said)),
                Err(error) => return Err(error.into()),
            };
            // Behind the first text is what panics.
            if number == 0 && generated.is_measured {
                spilled = limits.excess(generated.kernel, architecture, &usages);
            }
        }
        Ok(spilled)
    };
    Check {
        target: "nvptx",
        filter,
        machines: architectures,
        features: (0..200)
            .flat_map(|number| [format!("sm_{number}"), format!("sm_{number}a")])
            .collect(),
        look: &look,
    }
    .run(tools)
}

fn assembler(architecture: &str) -> anyhow::Result<PathBuf> {
    ptxas::find_for(architecture).map_err(anyhow::Error::msg)
}
