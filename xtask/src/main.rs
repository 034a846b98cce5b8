//! What people do in this repository, as `cargo xtask COMMAND`.
//!
//! Takes a command, builds `cargo-legionella` and what the command needs through it, and runs
//! that. Knows nothing of how kernels are compiled: it uses the tools as a user would.

mod amdgpu;
mod compare;
mod documented;
mod functions;
mod kernels;
mod limits;
mod pack;
mod ptxas;
mod simulated;
mod suite;
mod tools;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use tools::Tools;

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    about = "What people do in Legionella's repository"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Repaint the photograph in examples/data with its 12 best colours, on an accelerator.
    Demo {
        /// Name of the accelerator; without it the best that there is.
        #[arg(short, long)]
        accelerator: Option<String>,
        /// Where to write the result, as PNG.
        #[arg(short, long)]
        output: Option<PathBuf>,
    },
    /// Run every test there is, in order, up to the first step that fails.
    Test,
    /// Run the conformance suite on one accelerator.
    Conformance {
        /// Name of the accelerator; `cargo xtask accelerators` lists them.
        #[arg(short, long)]
        accelerator: String,
        /// What the suite itself is given, after `--`.
        #[arg(last = true)]
        rest: Vec<String>,
    },
    /// Have NVIDIA's assembler check the code of all kernels; no GPU is needed.
    Ptxas {
        /// Only kernels whose name contains this.
        #[arg(long, default_value = "")]
        filter: String,
        /// Architectures to generate code for.
        #[arg(long, value_delimiter = ',', default_values = ptxas::ARCHITECTURES)]
        architectures: Vec<String>,
    },
    /// Generate the code of all kernels for AMD's devices; no GPU is needed.
    Amdgpu {
        /// Only kernels whose name contains this.
        #[arg(long, default_value = "")]
        filter: String,
        /// Processors to generate code for.
        #[arg(long, value_delimiter = ',', default_values = amdgpu::PROCESSORS)]
        processors: Vec<String>,
        /// Put the benchmarks' kernels beside the same in OpenCL C, compiled by clang-22, instead.
        #[arg(long)]
        compare: bool,
    },
    /// Run the conformance suite on AMD's devices in software; no GPU is needed.
    Simulated {
        /// Only cases whose name contains this.
        #[arg(long, default_value = "")]
        filter: String,
        /// Processors to simulate.
        #[arg(long, value_delimiter = ',', default_values = simulated::PROCESSORS)]
        processors: Vec<String>,
        /// Seconds that a case may take, code generation included.
        #[arg(long, default_value_t = simulated::LIMIT.as_secs())]
        limit: u64,
        /// Go on with the last run: cases that it has passed are not run again.
        #[arg(long)]
        resume: bool,
    },
    /// Run the programs in README and CODING.
    Documented,
    /// Pack suite and benchmarks into a folder, for a machine without Rust.
    Pack {
        /// The folder to make.
        folder: PathBuf,
        /// Targets to generate code for ahead of time, such as `nvptx:sm_90a`.
        #[arg(long)]
        prebuild: Option<String>,
    },
    /// Measure speed, side by side with peers.
    Bench {
        /// Which benchmarks; without a name all of them. `--list` names them.
        names: Vec<String>,
        /// Print one JSON object a line instead of a table.
        #[arg(long)]
        json: bool,
        /// Only list the benchmarks' names.
        #[arg(long)]
        list: bool,
        /// On one of AMD's devices in software: its processor.
        #[arg(long)]
        simulated: Option<String>,
        /// On an NVIDIA device, beside CUDA C++, which `nvcc` compiles: it has benchmarks of its own.
        #[arg(long, conflicts_with_all = ["list", "simulated"])]
        nvidia: bool,
    },
    /// Compare random kernels' code for the CPU with what the kernels mean.
    Fuzz {
        /// For how long. Up to a minute the kernels are the same each time.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
    },
    /// List the accelerators of this machine.
    Accelerators,
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    let tools = Tools::locate();
    tools.build()?;
    match command {
        Command::Demo {
            accelerator,
            output,
        } => {
            let output = output.unwrap_or_else(|| tools.target().join("demo.png"));
            let mut demo = tools.demo(&output);
            if let Some(name) = accelerator {
                demo.args(["--accelerator", &name]);
            }
            tools::succeed(&mut demo)
        }
        Command::Test => suite::run(&tools),
        Command::Conformance { accelerator, rest } => {
            let mut suite = tools.program("conformance", None);
            suite.args(["--accelerator", &accelerator]);
            tools::succeed(suite.args(rest))
        }
        Command::Pack { folder, prebuild } => pack::run(&tools, &folder, prebuild.as_deref()),
        Command::Ptxas {
            filter,
            architectures,
        } => ptxas::run(&tools, &filter, &architectures),
        Command::Amdgpu {
            filter,
            processors,
            compare: false,
        } => amdgpu::run(&tools, &filter, &processors),
        Command::Amdgpu {
            filter,
            processors,
            compare: true,
        } => compare::run(&tools, &filter, &processors),
        Command::Simulated {
            filter,
            processors,
            limit,
            resume,
        } => {
            let plan = simulated::Plan {
                filters: &[&filter],
                limit: Duration::from_secs(limit),
                resume,
            };
            // On all of them, whatever comes of the first.
            let results: Vec<_> = processors
                .iter()
                .map(|processor| simulated::run(&tools, &plan, processor))
                .collect();
            results.into_iter().collect()
        }
        Command::Documented => documented::run(&tools),
        Command::Bench {
            names,
            json,
            list,
            simulated,
            nvidia,
        } => {
            let mut benches = match nvidia {
                true => tools.nvidia_benches()?,
                false => tools.benches()?,
            };
            if let Some(processor) = simulated {
                benches.env("LEGIONELLA_HSA", simulated::device(&tools, &processor)?);
                benches.args(["--accelerator", "hsa:0"]);
            }
            benches.args(json.then_some("--json"));
            benches.args(list.then_some("--list"));
            tools::succeed(benches.args(names))
        }
        Command::Fuzz { seconds } => suite::fuzz(&tools, seconds),
        Command::Accelerators => {
            for name in tools.accelerators()? {
                println!("{name}");
            }
            Ok(())
        }
    }
}
