//! `cargo xtask ptxas`: whether NVIDIA's assembler takes the code of every kernel, for several
//! architectures. Needs no GPU: `ptxas` is in the package `nvidia-cuda-nvcc` of PyPI.
//!
//! Takes the executables of the conformance suite and the benchmarks; generates the code of each
//! kernel by a driver process, as applications do, and assembles it. Kernels that every target
//! refuses, because they were written for that, are counted apart, and so are those that use what the
//! architecture has not. Kernels of the benchmarks may spill registers only as far as [`Limits`] say.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context, bail, ensure};
use legionella::code::{Client, Error, Kernel, Machine, Settings};
use legionella_abi::bundle::{Bundle, SECTION};
use legionella_abi::protocol::{Diagnostic, Problem, TargetSpec};
use legionella_driver::ptxas;
use object::{Object as _, ObjectSection as _};

use crate::limits::{LIMITS, Limits};
use crate::tools::Tools;

/// Architectures that this `ptxas` and the driver both know; of the first, what panics is checked as
/// well.
pub const ARCHITECTURES: [&str; 4] = ["sm_90", "sm_75", "sm_80", "sm_120"];

/// What becomes of one kernel on one architecture.
enum Outcome {
    Passed,
    /// As it should be.
    Refused,
    Failed(String),
}

/// Checks every kernel whose name contains `filter`.
pub fn run(tools: &Tools, filter: &str, architectures: &[String]) -> anyhow::Result<()> {
    let Some(assembler) = ptxas::find() else {
        bail!(ptxas::ADVICE);
    };
    let suite = kernels_in(&tools.executable("conformance")?)?;
    let benches = kernels_in(&tools.executable("benches")?)?;
    let limits = Limits::read(&tools.root().join(LIMITS))?;
    // Only what is measured may not spill beyond its limit.
    let suite = suite.into_iter().map(|kernel| (kernel, None));
    let benches = benches.into_iter().map(|kernel| (kernel, Some(&limits)));
    let mut kernels: Vec<_> = suite.chain(benches).collect();
    kernels.retain(|(kernel, _)| kernel.name().contains(filter));
    ensure!(!kernels.is_empty(), "no kernel's name contains `{filter}`");
    let folder = tempfile::tempdir()?;
    let jobs: Vec<(&Kernel, Option<&Limits>, &str)> = kernels
        .iter()
        .flat_map(|(kernel, limits)| {
            architectures
                .iter()
                .map(move |name| (kernel, *limits, &**name))
        })
        .collect();

    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    let (passed, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    // What panics is much code, and the same for all.
    let first = architectures.first();
    let work = |worker: usize| -> anyhow::Result<()> {
        let client = client(tools)?;
        let file = folder.path().join(format!("{worker}.ptx"));
        while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let (kernel, limits, architecture) = job;
            let texts = if first.is_some_and(|first| first == architecture) {
                usize::MAX
            } else {
                1
            };
            match check(
                &client,
                kernel,
                architecture,
                &assembler,
                &file,
                texts,
                *limits,
            )? {
                Outcome::Passed => drop(passed.fetch_add(1, Ordering::Relaxed)),
                Outcome::Refused => drop(refused.fetch_add(1, Ordering::Relaxed)),
                Outcome::Failed(why) => {
                    let text = format!("FAILED  {architecture} {}\n{why}", kernel.name());
                    println!("{text}");
                    let mut failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
                    failures.push(format!("{architecture} {}", kernel.name()));
                }
            }
        }
        Ok(())
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let started: Vec<_> = (0..workers)
            .map(|worker| scope.spawn(move || work(worker)))
            .collect();
        started
            .into_iter()
            .try_for_each(|worker| match worker.join() {
                Ok(result) => result,
                Err(_) => bail!("a worker panicked"),
            })
    })?;
    let failures = failures
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    println!("{} kernels refused as they should be", refused.into_inner());
    println!("{} passed, {} failed", passed.into_inner(), failures.len());
    ensure!(failures.is_empty(), "ptxas does not take all kernels");
    Ok(())
}

/// A client that generates everything anew, by the driver that was just built.
fn client(tools: &Tools) -> anyhow::Result<Client> {
    let mut settings = Settings::from_environment()?;
    settings.cache = None;
    settings.driver = Some(tools.driver());
    Ok(Client::new(settings))
}

/// Generates a kernel's code and assembles that many of its texts; the first must keep to the limits.
fn check(
    client: &Client,
    kernel: &Kernel,
    architecture: &str,
    assembler: &Path,
    file: &Path,
    texts: usize,
    limits: Option<&Limits>,
) -> anyhow::Result<Outcome> {
    let target = TargetSpec {
        kind: "nvptx".to_owned(),
        cpu: architecture.to_owned(),
    };
    // Whatever the code asks for: it is not run here.
    let machine = Machine::new(architecture, (0..200).map(|number| format!("sm_{number}")));
    let code = match client.obtain(kernel, &target, &machine) {
        Ok(code) => code,
        Err(Error::Refused { diagnostics, .. })
            if kernel.name().contains("::reject") || diagnostics.iter().all(is_missing) =>
        {
            return Ok(Outcome::Refused);
        }
        Err(error) => return Ok(Outcome::Failed(error.to_string())),
    };
    for (number, text) in code.split(|&byte| byte == 0).take(texts).enumerate() {
        let usages = match ptxas::assemble(assembler, architecture, text, file) {
            Ok(usages) => usages,
            Err(ptxas::Error::Refused(said)) => return Ok(Outcome::Failed(said)),
            Err(error) => return Err(error.into()),
        };
        let excess = limits
            .filter(|_| number == 0)
            .and_then(|limits| limits.excess(kernel.name(), architecture, &usages));
        if let Some(excess) = excess {
            return Ok(Outcome::Failed(excess));
        }
    }
    Ok(Outcome::Passed)
}

/// The kernels of an executable. Its bundle stays for as long as the process lives.
fn kernels_in(program: &Path) -> anyhow::Result<Vec<Kernel>> {
    let context = || program.display().to_string();
    let bytes = fs::read(program).with_context(context)?;
    let file = object::File::parse(&*bytes).with_context(context)?;
    let section = file.section_by_name(SECTION);
    let section = section.with_context(|| format!("{} has no kernels", program.display()))?;
    let bundle: &'static [u8] = Box::leak(section.data()?.to_vec().into_boxed_slice());
    let count = Bundle::parse(bundle)
        .with_context(context)?
        .manifest
        .kernels
        .len();
    let kernels = (0..count).map(|index| Kernel::in_bundle(bundle, index));
    Ok(kernels.collect::<Result<_, _>>()?)
}

/// Whether a kernel was refused because the target, or the architecture, has not what it uses.
fn is_missing(diagnostic: &Diagnostic) -> bool {
    diagnostic.problem == Problem::MissingOperation
}
