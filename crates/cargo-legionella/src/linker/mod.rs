//! The linker step: what rustc runs in the linker's place.
//!
//! Takes the linker's arguments and a [`Plan`] from the wrapper. Kernel [records] are looked for in
//! the inputs; where there are none, this process becomes the real linker. Otherwise the kernels'
//! code is extracted from the crates' bitcode into a bundle, and the image is linked with one more
//! [object](elf) that holds the bundle and the kernels' cells.

mod args;
mod bundle;
mod elf;
mod plan;
mod records;
mod symbol;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail};
use legionella_driver::link::Refused;

use crate::store::{self, Committed};
pub(crate) use bundle::targets;
pub(crate) use plan::{Outcome, Plan, forget_outcome, outcome, real, warnings};

/// Environment variable with the targets to generate code for while linking: `TARGET[:CPU],…`.
pub(crate) const PREBUILD: &str = "LEGIONELLA_PREBUILD";

/// Links as `plan` says.
pub(crate) fn run(plan: &Plan, line: &[OsString]) -> anyhow::Result<ExitCode> {
    let inputs = args::Inputs::read(line)?;
    let sysroot = plan.sysroot()?;
    let mut found = records::find(&inputs.objects, &inputs.archives, &sysroot)?;
    if found.opaque {
        found.records.extend(link_for_records(plan, line)?);
    }
    if found.records.is_empty() {
        return become_linker(plan, line);
    }
    let commit = plan.bitcode.commit();
    if commit.with_context(|| format!("writing {}", plan.bitcode.store.display()))?
        == Committed::Incomplete
    {
        // The wrapper compiles the crate again and comes back here.
        plan.leave(Outcome::Incomplete)?;
        return become_linker(plan, line);
    }
    let kernels = records::kernels(&found.records)?;
    tracing::info!(kernels = kernels.len(), "kernels found");
    let stores = stores(plan, &inputs.archives);
    let bundle = bundle::make(plan, &kernels, stores, &sysroot)?;
    let machine = found.machine.context("no object file to link")?;
    let object = elf::object(machine, &bundle.bytes, &kernels)?;
    let path = plan.folder().join("legionella.o");
    fs::write(&path, object).with_context(|| format!("writing {}", path.display()))?;
    plan.warn(bundle.refused.iter().map(refusal))?;
    plan.leave(Outcome::Bundled)?;
    become_linker(plan, &args::with_object(line, &path))
}

/// What to say of a kernel for which no code could be generated ahead of time.
fn refusal(refused: &Refused) -> String {
    let machine = match refused.target.cpu.as_str() {
        "" => refused.target.kind.clone(),
        cpu => format!("{}:{cpu}", refused.target.kind),
    };
    let mut text = format!("kernel `{}` can't run on {machine}:", refused.kernel);
    for problem in &refused.problems {
        text.push_str(&format!("\n  {}: {}", problem.what, problem.advice));
    }
    text
}

/// Becomes the real linker.
fn become_linker(plan: &Plan, line: &[OsString]) -> anyhow::Result<ExitCode> {
    let mut command = Command::new(&plan.linker);
    command.args(line);
    tracing::debug!(?command, "link");
    let context = || format!("running the linker `{}`", plan.linker.display());
    #[cfg(unix)]
    {
        let error = std::os::unix::process::CommandExt::exec(&mut command);
        Err(error).with_context(context)
    }
    #[cfg(not(unix))]
    {
        let status = command.status().with_context(context)?;
        Ok(crate::wrapper::exit_code(status))
    }
}

/// Records of inputs that only the linker can read, such as bitcode: links without a bundle and
/// reads the result.
fn link_for_records(plan: &Plan, line: &[OsString]) -> anyhow::Result<Vec<records::Record>> {
    let output = plan.folder().join("unbundled");
    let status = Command::new(&plan.linker)
        .args(args::unstripped(line, &output)?)
        .status()
        .with_context(|| format!("running the linker `{}`", plan.linker.display()))?;
    if !status.success() {
        bail!("the linker failed ({status}) while looking for kernels");
    }
    let records = records::of_image(&output)?;
    fs::remove_file(&output).with_context(|| format!("removing {}", output.display()))?;
    Ok(records)
}

/// Stores of all crates that the image may have code of: the crate itself, those it refers to,
/// those that they refer to and so on, and the libraries that the linker is given.
fn stores(plan: &Plan, archives: &[PathBuf]) -> Vec<PathBuf> {
    let mut stores = vec![plan.bitcode.store.clone()];
    let mut seen: BTreeSet<PathBuf> = stores.iter().cloned().collect();
    let mut artifacts: Vec<PathBuf> = archives.to_vec();
    artifacts.extend(plan.bitcode.externs.iter().cloned());
    while let Some(artifact) = artifacts.pop() {
        let store = store::beside(&artifact);
        if !seen.insert(store.clone()) {
            continue;
        }
        // Crates without a store were compiled without the wrapper, or run only while building.
        if let Some(contents) = store::contents(&store) {
            artifacts.extend(contents.externs);
            stores.push(store);
        }
    }
    stores[1..].sort();
    stores
}
