//! `doctor`: what is installed here, what is missing, and how to get it.
//!
//! Looks at everything by itself and believes nobody: libraries are opened and programs are run, each
//! in a process of its own, so that what is broken is reported and takes nothing down with it. Must
//! not fail, whatever is missing: every finding has a state, and nothing here returns early.

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

mod findings;
mod machine;
mod probe;
mod project;
mod toolchain;

use findings::{Report, State};

/// Say what is installed here, what is missing, and how to get it
///
/// Looks for everything that building and running takes: compiler, LLVM, linkers, driver, cache,
/// accelerators, and how the project in this folder is set up. Ends with 0 if programs can be built
/// and run on the CPU here, else with 1.
#[derive(Args)]
pub(super) struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Loads a library and says what it is; what `doctor` runs to try LLVM
    #[arg(long, hide = true, value_name = "FILE")]
    probe_llvm: Option<std::path::PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if let Some(library) = &arguments.probe_llvm {
        return probe::answer(library);
    }
    let report = examine();
    if arguments.json {
        println!("{:#}", serde_json::to_value(&report)?);
    } else {
        print!("{report}");
    }
    Ok(if report.ready {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Looks at everything.
fn examine() -> Report {
    let mut report = Report::default();
    toolchain::this_program(&mut report);
    let sysroot = toolchain::compiler(&mut report);
    toolchain::libraries(&mut report, sysroot.as_deref());
    toolchain::drivers(&mut report, sysroot.as_deref());
    machine::accelerators(&mut report);
    machine::vendor_libraries(&mut report);
    machine::maths(&mut report);
    machine::cache(&mut report);
    project::wrapper(&mut report);
    report.conclude();
    report
}

/// What `--json` prints of a state.
impl Serialize for State {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
