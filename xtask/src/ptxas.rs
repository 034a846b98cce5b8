//! `cargo xtask ptxas`: whether NVIDIA's assembler takes the code of every kernel, for several
//! architectures. Needs no GPU: `ptxas` is in the package `nvidia-cuda-nvcc` of PyPI.
//! Kernels of the benchmarks may spill registers only as far as [`Limits`] say. Their texts are assembled as devices
//! do, as a whole; of all others functions are, each once. That takes a third of the time: what formats is in most of them,
//! and of large texts the assembler takes several times as long as of all their functions.

use std::path::PathBuf;

use legionella_driver::ptxas;

use crate::functions::{Known, Rest};
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
    let known = Known::default();
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
            // Behind the first text is what panics.
            let is_measured = number == 0 && generated.is_measured;
            let rest = match is_measured {
                true => Rest::Whole,
                false => known.rest(architecture, &String::from_utf8_lossy(text)),
            };
            let result = match rest {
                Rest::Nothing => continue,
                Rest::Whole => ptxas::assemble(&assembler, architecture, text),
                Rest::New(text) => ptxas::assemble_part(&assembler, architecture, text.as_bytes()),
            };
            match result {
                Ok(usages) if is_measured => {
                    spilled = limits.excess(generated.kernel, architecture, &usages);
                }
                Ok(_) => {}
                Err(ptxas::Error::Refused(said)) => return Ok(Some(said)),
                Err(error) => return Err(error.into()),
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
