//! `inspect`: the kernels in an executable or shared library.
//!
//! Takes a file; lists what its bundle says, or prints a stage of one kernel by the driver's own
//! compiler. Lists without LLVM.

use std::env;
use std::io::{IsTerminal as _, Write as _};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use legionella::code::{self, maths};
use legionella_abi::bundle::{Bundle, Kernel};
use legionella_abi::protocol::TargetSpec;
use legionella_driver::generate::Failure;
use legionella_driver::inspect::{self, Stage};
use legionella_driver::llvm;
use legionella_driver::target::Toolbox;

use super::image::Image;
use crate::linker;

mod listing;
mod remarks;
mod resources;
mod times;

/// Show the kernels in an executable or shared library, and their code
///
/// Without further options, lists all kernels: names, source lines, argument layouts, size of the
/// IR and code generated ahead of time. Works on stripped files, and without a toolchain.
#[derive(Args)]
pub(super) struct Arguments {
    /// An executable or shared library that was built with Legionella's wrapper
    file: PathBuf,
    /// One kernel: its number, its name or a part of its name that no other has
    #[arg(short, long, value_name = "NAME")]
    kernel: Option<String>,
    /// What to show the code for; without a CPU, this machine's
    #[arg(short, long, value_name = "TARGET[:CPU]", default_value = "cpu")]
    target: String,
    /// Print this stage of the kernel's code: ir (as it is in the file), lowered (panics and the
    /// operations of the machine bound), way (how work-items run, and why), regions (what runs across
    /// work-items as a loop of its own, and which values these share), remarks (LLVM's, on what became
    /// vector code and what didn't), optimized, or asm (the target's assembly)
    #[arg(
        short,
        long,
        value_name = "ir|lowered|way|regions|remarks|optimized|asm"
    )]
    stage: Option<Stage>,
    /// Generate the code of all kernels, or of one, and tell how long each took
    #[arg(long, conflicts_with = "stage")]
    times: bool,
    /// Only every so many-th kernel, from the first on: a sample takes that much less time
    #[arg(long, value_name = "N", default_value_t = NonZeroUsize::MIN, requires = "times")]
    every: NonZeroUsize,
    /// Tell registers, spills, memory and occupancy of all kernels, or of one, on an NVIDIA device, by
    /// its assembler `ptxas`
    #[arg(long, conflicts_with_all = ["stage", "times"])]
    resources: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let image = Image::open(&arguments.file)?;
    let bundle = image.bundle()?;
    let kernels = &bundle.manifest.kernels;
    let chosen = match &arguments.kernel {
        Some(wanted) => vec![choose(kernels, wanted, &arguments.file)?],
        None => (0..kernels.len()).collect(),
    };
    if arguments.times {
        let chosen = chosen.iter().step_by(arguments.every.get());
        let kernels = chosen.map(|&index| &kernels[index]);
        let times = times::Times::of(&bundle, kernels, &target(&arguments.target)?)?;
        return if arguments.json {
            let took = times.took.iter();
            let took = took.map(|(name, took)| (name.clone(), (took.as_secs_f64() * 1e3).into()));
            let kernels: serde_json::Map<_, _> = took.collect();
            let all = [times.median(), times.nine_tenths(), times.longest()];
            let [median, nine_tenths, longest] =
                all.map(|took| took.map(|took| took.as_secs_f64() * 1e3));
            let value = serde_json::json!({
                "milliseconds": kernels,
                "median": median,
                "nine_tenths": nine_tenths,
                "longest": longest,
                "refused": times.refused,
            });
            print(&format!("{value:#}\n"))
        } else {
            print(&times.text())
        };
    }
    if arguments.resources {
        let kernels = chosen.iter().map(|&index| &kernels[index]);
        let target = target(&arguments.target)?;
        let resources = resources::Resources::of(&bundle, kernels, &target)?;
        return if arguments.json {
            print(&format!("{:#}\n", resources.json()))
        } else {
            print(&resources.text())
        };
    }
    let Some(stage) = arguments.stage else {
        let listing = listing::Listing::of(&arguments.file, &bundle, &chosen);
        let text = if arguments.json {
            serde_json::to_string_pretty(&listing)? + "\n"
        } else {
            listing.to_string()
        };
        return print(&text);
    };
    let &[kernel] = chosen.as_slice() else {
        bail!(
            "which of the {} kernels? Name one with `--kernel`:{}",
            kernels.len(),
            candidates(kernels, &chosen)
        );
    };
    let target = target(&arguments.target)?;
    show(&bundle, &kernels[kernel], &target, stage, arguments.json)
}

fn target(name: &str) -> anyhow::Result<TargetSpec> {
    let [target] = linker::targets(name)?
        .try_into()
        .ok()
        .context("`--target` takes one target")?;
    Ok(target)
}

/// The kernel that is meant: by number, by exact name, by the last part of its path, or by a part
/// that one name has.
fn choose(kernels: &[Kernel], wanted: &str, file: &Path) -> anyhow::Result<usize> {
    if let Ok(index) = wanted.parse::<usize>() {
        if index < kernels.len() {
            return Ok(index);
        }
        bail!(
            "{} has {} kernels, counted from 0",
            file.display(),
            kernels.len()
        );
    }
    let matching = |matches: &dyn Fn(&Kernel) -> bool| -> Vec<usize> {
        (0..kernels.len())
            .filter(|&index| matches(&kernels[index]))
            .collect()
    };
    for found in [
        matching(&|kernel| kernel.name == wanted || kernel.entry == wanted),
        matching(&|kernel| kernel.name.ends_with(&format!("::{wanted}"))),
        matching(&|kernel| kernel.name.contains(wanted)),
    ] {
        match found.as_slice() {
            [] => {}
            [one] => return Ok(*one),
            several => bail!(
                "`{wanted}` may be any of these; name one, by its number if need be:{}",
                candidates(kernels, several)
            ),
        }
    }
    let all: Vec<usize> = (0..kernels.len()).collect();
    bail!(
        "{} has no kernel `{wanted}`; it has:{}",
        file.display(),
        candidates(kernels, &all)
    )
}

fn candidates(kernels: &[Kernel], which: &[usize]) -> String {
    which
        .iter()
        .map(|&index| format!("\n  {index}  {}", kernels[index].name))
        .collect()
}

/// Prints a stage of a kernel.
fn show(
    bundle: &Bundle<'_>,
    kernel: &Kernel,
    target: &TargetSpec,
    stage: Stage,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let sysroot = PathBuf::from(&bundle.manifest.toolchain.sysroot);
    llvm::load(&llvm::find(Some(&sysroot))?)?;
    let toolbox = Toolbox {
        sysroot: Some(sysroot),
        maths: maths::libraries(env::var_os)?
            .get(&target.kind)
            .map(|library| (&library.path).into()),
    };
    let bitcode = inspect::bitcode(bundle, kernel)?;
    let seen = inspect::show(&bitcode, &kernel.entry, target, stage, &toolbox);
    let (problems, error) = match seen.outcome {
        Ok(()) => (Vec::new(), None),
        Err(Failure::Refused(problems)) => (problems, None),
        // What comes after the stage is no matter.
        Err(Failure::Error(_)) if seen.text.is_some() => (Vec::new(), None),
        Err(Failure::Error(error)) => (Vec::new(), Some(error)),
    };
    if let Some(error) = error {
        return Err(error.into());
    }
    if json {
        let value = serde_json::json!({
            "kernel": kernel.name,
            "target": listing::target_name(target),
            "stage": stage.name(),
            "text": seen.text,
            "remarks": remarks::values(&seen.remarks),
            "problems": problems,
        });
        print(&format!("{value:#}\n"))?;
    } else if stage == Stage::Remarks {
        let styled = std::io::stdout().is_terminal();
        print(&remarks::text(kernel, &seen.remarks, styled))?;
    } else {
        print(seen.text.as_deref().unwrap_or_default())?;
    }
    if problems.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    if !json {
        let refused = code::Error::Refused {
            kernel: kernel.name.clone(),
            target: target.clone(),
            diagnostics: problems,
        };
        eprintln!("{}", refused.report(std::io::stderr().is_terminal()));
    }
    Ok(ExitCode::FAILURE)
}

/// Writes to standard output; a reader that has seen enough is no error.
fn print(text: &str) -> anyhow::Result<ExitCode> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_chosen_by_number_name_or_part() {
        let kernel = |name: &str| Kernel {
            module: 0,
            entry: format!("_R{name}"),
            name: name.to_owned(),
            source: None,
            block_size: 0,
            block_align: 1,
            arguments: vec![],
            instructions: 0,
        };
        let kernels = ["a::scale", "a::scale_all", "b::sum", "a::scale_all"].map(kernel);
        let choose = |wanted| choose(&kernels, wanted, Path::new("f"));
        assert_eq!(choose("2").unwrap(), 2);
        assert_eq!(choose("a::scale").unwrap(), 0);
        assert_eq!(choose("sum").unwrap(), 2);
        assert_eq!(choose("_Rb::sum").unwrap(), 2);
        assert_eq!(choose("scale").unwrap(), 0);
        let error = choose("scale_all").unwrap_err().to_string();
        assert!(error.contains("1  a::scale_all") && error.contains("3  a::scale_all"));
        assert!(choose("7").unwrap_err().to_string().contains("4 kernels"));
        assert!(choose("none").unwrap_err().to_string().contains("b::sum"));
    }
}
