//! What kernels need of NVIDIA's devices, by their assembler: registers, memory, and how many warps can
//! be resident.

use std::env;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use legionella::code::maths;
use legionella_abi::bundle::{Bundle, Kernel};
use legionella_abi::protocol::{Options, TargetSpec};
use legionella_driver::generate::{Failure, generate};
use legionella_driver::ptxas::{self, Usage};
use legionella_driver::target::Toolbox;
use legionella_driver::{inspect, llvm};
use serde_json::{Value, json};

/// Work-items of the groups that occupancy is told for.
const GROUP: u32 = 256;

/// What the functions need that kernels are launched as.
pub(super) struct Resources {
    architecture: String,
    /// By kernel.
    kernels: Vec<(String, Vec<Usage>)>,
}

impl Resources {
    /// Generates the code of kernels and has it assembled.
    pub(super) fn of<'a>(
        bundle: &Bundle<'_>,
        kernels: impl Iterator<Item = &'a Kernel>,
        target: &TargetSpec,
    ) -> anyhow::Result<Self> {
        if target.kind != "nvptx" {
            bail!("`--resources` is for NVIDIA's devices: give `--target nvptx:sm_90`, say");
        }
        let assembler = ptxas::find_for(&target.cpu).map_err(anyhow::Error::msg)?;
        let sysroot = PathBuf::from(&bundle.manifest.toolchain.sysroot);
        llvm::load(&llvm::find(Some(&sysroot))?)?;
        let toolbox = Toolbox {
            sysroot: Some(sysroot),
            ..Toolbox::default()
        };
        let maths = maths::libraries(env::var_os)?.remove(&target.kind);
        let mut all = Vec::new();
        for kernel in kernels {
            let bitcode = inspect::bitcode(bundle, kernel)?;
            let options = Options {
                maths: maths.clone(),
                ..Options::default()
            };
            let code = match generate(&bitcode, &kernel.entry, target, &options, &toolbox) {
                Ok(code) => code,
                Err(Failure::Refused(_)) => continue,
                Err(Failure::Error(error)) => return Err(error.into()),
            };
            // Behind the first text is what panics.
            let work = code.bytes.split(|&byte| byte == 0).next();
            let usages = ptxas::assemble(&assembler, &target.cpu, work.unwrap_or_default());
            all.push((kernel.name.clone(), usages.context(kernel.name.clone())?));
        }
        Ok(Resources {
            architecture: target.cpu.clone(),
            kernels: all,
        })
    }

    fn occupancy(&self, usage: &Usage) -> Option<f64> {
        ptxas::occupancy(&self.architecture, usage, GROUP)
    }

    /// A table for people.
    pub(super) fn text(&self) -> String {
        let mut text = format!(
            "on {}; occupancy with groups of {GROUP} work-items\n\n\
             registers  spilled  stack  shared  occupancy\n",
            self.architecture
        );
        for (kernel, usages) in &self.kernels {
            text.push_str(&format!("{kernel}\n"));
            for usage in usages {
                let occupancy = match self.occupancy(usage) {
                    Some(share) => format!("{:.0} %", share * 100.0),
                    None => "-".to_owned(),
                };
                text.push_str(&format!(
                    "{:>9}  {:>7}  {:>5}  {:>6}  {occupancy:>9}  {}\n",
                    usage.registers,
                    usage.spills(),
                    usage.stack,
                    usage.shared,
                    usage.kernel
                ));
            }
        }
        text
    }

    /// The same for programs.
    pub(super) fn json(&self) -> Value {
        let usage = |usage: &Usage| {
            json!({
                "function": usage.kernel,
                "registers": usage.registers,
                "spill_stores": usage.spill_stores,
                "spill_loads": usage.spill_loads,
                "stack": usage.stack,
                "shared": usage.shared,
                "occupancy": self.occupancy(usage),
            })
        };
        let kernel = |(name, usages): &(String, Vec<Usage>)| {
            let functions: Vec<_> = usages.iter().map(usage).collect();
            json!({ "kernel": name, "functions": functions })
        };
        let kernels: Vec<_> = self.kernels.iter().map(kernel).collect();
        json!({ "architecture": self.architecture, "group": GROUP, "kernels": kernels })
    }
}
