//! `cargo xtask simulated`: the conformance suite on AMD's devices in software. Needs no GPU.
//!
//! Takes the built suite and the simulator, and runs each case in a process of its own, as many at once as
//! there are processors: one that ends its process, or doesn't end, fails alone. What came of a case is kept, so that a run
//! that was stopped can go on.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::tools::Tools;

/// Processors that the simulator knows, with wavefronts of 32 and of 64 lanes.
pub const PROCESSORS: [&str; 2] = ["gfx1100", "gfx942"];

/// What of the suite `cargo xtask test` runs: parts of the names of cases. All of it takes too long
/// for that, most of the time in code generation.
pub const PART: [&str; 23] = [
    "grids/",
    "arguments/",
    "outputs/",
    "integers/u32/",
    "groups/barriers",
    "panics/bounds",
    // What LLVM gets wrong, and the target keeps it from: registers of recursion, copies at the heads of
    // blocks, loads into halves of registers, these themselves, values where several ways come together, and
    // scalar registers in lanes of vector registers.
    "panics/slice_end",
    "text/split",
    "crates/crc32fast",
    "crates/semver",
    "crates/delaunator",
    "control/ways",
    "groups/panic",
    "atomics/order/",
    "groups/together_i16",
    "panels/u8",
    "channels/",
    "signals/",
    "enqueue/",
    "waiting/",
    "launches/",
    "printing/formats",
    "faults/",
];

/// The same on a gfx90a, whose code differs from a gfx942's in how stacks are addressed, in products of matrices and in
/// caches: cases for which LLVM's code was wrong, and of each kind of operation some.
pub const PART_OF_GFX90A: [&str; 7] = [
    "printing/formats",
    "control/ways",
    "groups/barriers",
    "integers/u32/wrapping",
    "matrices/u8",
    "panics/bounds",
    "recursion/fibonacci",
];

/// How long a case may take, code generation included, unless a limit is asked for.
pub const LIMIT: Duration = Duration::from_secs(300);

/// How often a case that runs is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// What to run, and how.
pub struct Plan<'a> {
    /// Cases whose name contains one of these.
    pub filters: &'a [&'a str],
    /// How long a case may take.
    pub limit: Duration,
    /// Cases that the last run has passed or skipped are not run again.
    pub resume: bool,
}

/// What came of a case, as the suite prints it.
#[derive(Clone, Deserialize, Serialize)]
struct Outcome {
    case: String,
    outcome: String,
    detail: String,
    milliseconds: f64,
}

impl Outcome {
    fn failed(&self) -> bool {
        !matches!(self.outcome.as_str(), "passed" | "skipped")
    }

    fn print(&self) {
        let Outcome { case, outcome, .. } = self;
        println!("{outcome:<7} {case:<44} {:>8.1} ms", self.milliseconds);
        for line in self.detail.lines() {
            println!("        {line}");
        }
    }
}

/// What the variable `LEGIONELLA_HSA` is to say for a device of a processor, with the simulator built.
pub fn device(tools: &Tools, processor: &str) -> anyhow::Result<String> {
    let simulator = tools.simulator()?;
    Ok(format!("sim:{processor}@{}", simulator.display()))
}

/// Runs the cases of a plan on a processor.
///
/// # Errors
/// If one of them fails; the last line printed says how many did.
pub fn run(tools: &Tools, plan: &Plan<'_>, processor: &str) -> anyhow::Result<()> {
    let start = Instant::now();
    let suite = tools.executable("conformance")?;
    let device = device(tools, processor)?;
    let list = Command::new(&suite).arg("--list").output()?;
    ensure!(list.status.success(), "the list of cases: {}", list.status);
    let list = String::from_utf8(list.stdout)?;
    let chosen = |case: &&str| plan.filters.iter().any(|filter| case.contains(filter));
    let cases: Vec<&str> = list.lines().filter(chosen).collect();
    ensure!(
        !cases.is_empty(),
        "no case is called so: {:?}",
        plan.filters
    );

    let folder = tools.target().join("simulated");
    fs::create_dir_all(&folder)?;
    let path = folder.join(processor).with_extension("jsonl");
    let known = if plan.resume {
        earlier(&path)?
    } else {
        HashMap::new()
    };
    let kept = OpenOptions::new()
        .create(true)
        .append(plan.resume)
        .write(true)
        .truncate(!plan.resume)
        .open(&path)
        .with_context(|| path.display().to_string())?;
    let (kept, outcomes) = (Mutex::new(kept), Mutex::new(Vec::new()));
    let next = AtomicUsize::new(0);
    let work = || -> anyhow::Result<()> {
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            let outcome = match known.get(*case) {
                Some(outcome) => outcome.clone(),
                None => {
                    let outcome = run_case(&suite, &device, case, plan.limit)?;
                    let line = serde_json::to_string(&outcome)? + "\n";
                    let mut kept = kept.lock().unwrap_or_else(|poison| poison.into_inner());
                    kept.write_all(line.as_bytes())?;
                    outcome.print();
                    outcome
                }
            };
            let mut outcomes = outcomes.lock().unwrap_or_else(|poison| poison.into_inner());
            outcomes.push(outcome);
        }
        Ok(())
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .try_for_each(|thread| match thread.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            })
    })?;

    let outcomes = outcomes
        .into_inner()
        .unwrap_or_else(|poison| poison.into_inner());
    let count = |kind: &str| outcomes.iter().filter(|one| one.outcome == kind).count();
    let failed: Vec<_> = outcomes.iter().filter(|one| one.failed()).collect();
    let (passed, skipped) = (count("passed"), count("skipped"));
    println!(
        "{passed} passed, {} failed, {skipped} skipped on {processor} in {:.0} s",
        failed.len(),
        start.elapsed().as_secs_f32()
    );
    let names: Vec<&str> = failed.iter().map(|one| one.case.as_str()).collect();
    ensure!(
        names.is_empty(),
        "failed on {processor}: {}",
        names.join(", ")
    );
    Ok(())
}

/// What earlier runs have passed or skipped.
fn earlier(path: &PathBuf) -> anyhow::Result<HashMap<String, Outcome>> {
    if !path.exists() {
        return Ok(HashMap::new());
    }
    let text = fs::read_to_string(path)?;
    // A run that was stopped may have left half a line.
    let outcomes = text.lines().flat_map(serde_json::from_str::<Outcome>);
    Ok(outcomes
        .filter(|outcome| !outcome.failed())
        .map(|outcome| (outcome.case.clone(), outcome))
        .collect())
}

/// What an owner of such a device runs: `cargo legionella doctor` says what it finds, and `cargo xtask conformance` what
/// works. With the simulator in the place of ROCm's library, by its path, as any other.
///
/// # Errors
/// If either says something else than is expected.
pub fn report(tools: &Tools) -> anyhow::Result<()> {
    let simulator = tools.simulator()?;
    let said_by = |mut command: Command, expected: &[&str]| -> anyhow::Result<()> {
        let output = command.env("LEGIONELLA_HSA", &simulator).output()?;
        let text = String::from_utf8(output.stdout)?;
        print!("{text}");
        ensure!(output.status.success(), "{command:?}: {}", output.status);
        let missing = expected.iter().find(|what| !text.contains(**what));
        missing.map_or(Ok(()), |what| bail!("{command:?} doesn't say `{what}`"))
    };
    let advice = "please report what `cargo xtask conformance --accelerator hsa:0` says";
    let doctor = tools.legionella("doctor");
    said_by(
        doctor,
        &[
            "gfx1100",
            "gfx942",
            "gfx90a",
            "the runtime offers HSA",
            advice,
        ],
    )?;
    let mut suite = tools.program("conformance", None);
    suite.args(["--accelerator", "hsa:0", "--filter", "arguments/"]);
    said_by(
        suite,
        &[
            "hsa:0: ",
            "gfx1100, ",
            "passed  arguments/",
            " passed, 0 failed",
        ],
    )
}

/// Runs one case in a process of its own.
fn run_case(suite: &PathBuf, device: &str, case: &str, limit: Duration) -> anyhow::Result<Outcome> {
    let (output, errors) = (tempfile::tempfile()?, tempfile::tempfile()?);
    let start = Instant::now();
    let mut child = Command::new(suite)
        .args([
            "--accelerator",
            "hsa:0",
            "--exact",
            "--json",
            "--filter",
            case,
        ])
        .env("LEGIONELLA_HSA", device)
        // The program ends the driver; a program that is ended would leave it.
        .env("LEGIONELLA_TIMEOUT", limit.as_secs().to_string())
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(errors.try_clone()?)
        .spawn()
        .with_context(|| suite.display().to_string())?;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        if start.elapsed() > limit + limit / 10 {
            child.kill()?;
            child.wait()?;
            break None;
        }
        std::thread::sleep(LOOK);
    };
    let text = read(output)?;
    let told = text
        .lines()
        .find_map(|line| serde_json::from_str(line).ok());
    Ok(match (told, status) {
        (Some(outcome), Some(_)) => outcome,
        (_, status) => {
            let what = status.map_or_else(
                || format!("not ended after {} s", start.elapsed().as_secs()),
                |status| format!("ended with {status}"),
            );
            Outcome {
                case: case.to_owned(),
                outcome: "failed".to_owned(),
                detail: format!("{what}\n{}", read(errors)?),
                milliseconds: start.elapsed().as_secs_f64() * 1e3,
            }
        }
    })
}

/// All that was written to a file.
fn read(mut file: File) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
