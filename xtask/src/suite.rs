//! `cargo xtask test`: every test of the repository. Takes the tools, prints what the tests print, and at the end what passed
//! and what was left out.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, io, thread};

use anyhow::{Context, ensure};
use serde::Deserialize;

use crate::tools::{Tools, succeed};
use crate::{compare, documented, ptxas, simulated};

/// Packages that are tested in steps of their own.
const APART: [&str; 3] = ["benches", "conformance", "peer"];

/// Variable with the time that tests compare random kernels for.
const FUZZ_SECONDS: &str = "LEGIONELLA_FUZZ_SECONDS";

/// Kinds of accelerators that there are backends for, by the first part of their names.
const KINDS: [&str; 3] = ["cpu", "cuda", "hsa"];

/// What has been run so far.
#[derive(Default)]
struct Summary {
    passed: Vec<(String, Duration)>,
    skipped: Vec<String>,
}

impl Summary {
    /// Runs a step, unless it fails.
    fn step(
        &mut self,
        name: impl Into<String>,
        step: impl FnOnce() -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let start = Instant::now();
        let name = name.into();
        println!("\n== {name}");
        let result = step();
        self.note(name, start.elapsed(), result)
    }

    /// Notes what came of a step.
    fn note(
        &mut self,
        name: String,
        time: Duration,
        result: anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        match result {
            Ok(()) => {
                self.passed.push((name, time));
                Ok(())
            }
            Err(error) => {
                self.print();
                println!("FAILED  {name} ({:.0} s)", time.as_secs_f32());
                Err(error.context(name))
            }
        }
    }

    fn print(&self) {
        println!("\n== summary");
        for (name, time) in &self.passed {
            println!("passed  {name} ({:.0} s)", time.as_secs_f32());
        }
        for name in &self.skipped {
            println!("skipped {name}");
        }
    }
}

/// Runs everything.
pub fn run(tools: &Tools) -> anyhow::Result<()> {
    let mut summary = Summary::default();

    let meanwhile = Meanwhile::start(code_of_all_kernels(tools, &mut summary)?);
    // At once: by themselves some would have dependencies with other features, which are built anew.
    summary.step("what cargo tests, and random kernels", || {
        let mut tests = tools.cargo();
        tests.args(["test", "--workspace", "--features=legionella/half"]);
        tests.env(FUZZ_SECONDS, "30");
        succeed(tests.args(APART.map(|package| format!("--exclude={package}"))))
    })?;

    let accelerators = tools.accelerators()?;
    ensure!(!accelerators.is_empty(), "no accelerator, not even the CPU");
    for kind in KINDS {
        if !accelerators.iter().any(|name| name.starts_with(kind)) {
            summary.skipped.push(format!(
                "all of accelerator `{kind}`: not found on this machine"
            ));
        }
    }
    for name in &accelerators {
        summary.step(format!("conformance on {name}"), || {
            conformance(tools, name)
        })?;
    }
    for processor in simulated::PROCESSORS {
        summary.step(
            format!("part of conformance on a simulated {processor}"),
            || {
                let plan = simulated::Plan {
                    filters: &simulated::PART,
                    limit: simulated::LIMIT,
                    resume: false,
                };
                simulated::run(tools, &plan, processor)
            },
        )?;
    }
    summary.step("a smaller part on a simulated gfx90a", || {
        let plan = simulated::Plan {
            filters: &simulated::PART_OF_GFX90A,
            limit: simulated::LIMIT,
            resume: false,
        };
        simulated::run(tools, &plan, "gfx90a")
    })?;
    summary.step("what owners of AMD's devices report", || {
        simulated::report(tools)
    })?;
    for name in &accelerators {
        summary.step(format!("examples on {name}"), || examples(tools, name))?;
    }

    summary.step("demo", || {
        let picture = tools.target().join("demo.png");
        succeed(&mut tools.demo(&picture))?;
        check_picture(&picture)
    })?;
    summary.step("programs in the documents", || documented::run(tools))?;
    summary.step("a benchmark and its report", || report(tools))?;
    meanwhile.end(&mut summary)?;
    summary.print();
    Ok(())
}

/// What is done beside all else: the programs are built, and the code of their kernels is checked for devices that needn't be
/// here.
fn code_of_all_kernels(
    tools: &Tools,
    summary: &mut Summary,
) -> anyhow::Result<Vec<(String, Command)>> {
    // One by one, as they are built where they are run: together they would have each other's features.
    let mut steps: Vec<_> = (["conformance", "benches", "examples"].iter())
        .map(|package| (format!("build of {package}"), tools.build_of(package)))
        .collect();
    let this = env::current_exe()?;
    let mut step = |name: &str, arguments: &[&str]| {
        let mut command = Command::new(&this);
        command.args(arguments);
        steps.push((name.to_owned(), command));
    };
    let [first, others @ ..] = ptxas::ARCHITECTURES;
    match legionella_driver::ptxas::find_for(first) {
        Ok(_) => {
            step(
                "code of all kernels for one of NVIDIA's devices",
                &["ptxas", "--architectures", first],
            );
            // All kernels for all of them take some ten minutes more: `cargo xtask ptxas`.
            let mut others = others.to_vec();
            match legionella_driver::ptxas::find_for(ptxas::OLDEST) {
                Ok(_) => others.push(ptxas::OLDEST),
                Err(advice) => summary.skipped.push(format!(
                    "code of the benchmarks for {}: {advice}",
                    ptxas::OLDEST
                )),
            }
            let others = others.join(",");
            step(
                "code of the benchmarks for others of them",
                &["ptxas", "--filter", "benches::", "--architectures", &others],
            );
        }
        Err(advice) => summary.skipped.push(format!(
            "code of all kernels for NVIDIA's devices: {advice}"
        )),
    }
    let processors = simulated::PROCESSORS.join(",");
    match compare::is_possible() {
        Ok(()) => step(
            "code of the benchmarks for AMD's devices beside clang's",
            &["amdgpu", "--compare", "--processors", &processors],
        ),
        Err(advice) => summary.skipped.push(format!(
            "code of the benchmarks for AMD's devices beside clang's: {advice}"
        )),
    }
    Ok(steps)
}

/// Steps that are commands, one after the other, while others run: neither keeps all processors busy by itself.
struct Meanwhile(thread::JoinHandle<Vec<Done>>);

/// A command that has been run.
struct Done {
    name: String,
    output: io::Result<Output>,
    time: Duration,
}

impl Done {
    fn succeeded(&self) -> bool {
        (self.output.as_ref()).is_ok_and(|output| output.status.success())
    }
}

impl Meanwhile {
    /// Runs commands up to the first that fails.
    fn start(steps: Vec<(String, Command)>) -> Self {
        Meanwhile(thread::spawn(move || {
            let mut all = Vec::new();
            for (name, mut command) in steps {
                let start = Instant::now();
                let output = command.output();
                let time = start.elapsed();
                all.push(Done { name, output, time });
                if !all.last().is_some_and(Done::succeeded) {
                    break;
                }
            }
            all
        }))
    }

    /// Waits for them all, and prints what they printed.
    fn end(self, summary: &mut Summary) -> anyhow::Result<()> {
        for Done { name, output, time } in joined(self.0) {
            println!("\n== {name}");
            let result = printed(output);
            summary.note(name, time, result)?;
        }
        Ok(())
    }
}

/// What a thread gives, or its panic.
fn joined<T>(thread: thread::JoinHandle<T>) -> T {
    match thread.join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Prints what a command printed; fails if it has.
fn printed(output: io::Result<Output>) -> anyhow::Result<()> {
    let output = output?;
    print!("{}", String::from_utf8_lossy(&output.stdout));
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {said}", output.status);
    Ok(())
}

/// The whole conformance suite on an accelerator. One process at a time generates code; on the CPU there are two, where it is
/// most of the work.
fn conformance(tools: &Tools, accelerator: &str) -> anyhow::Result<()> {
    let parts = if accelerator == "cpu" { 2 } else { 1 };
    let suite = tools.executable("conformance")?;
    let started: Vec<_> = (1..=parts)
        .map(|part| {
            let mut suite = Command::new(&suite);
            suite.args(["--accelerator", accelerator]);
            suite.args(["--part", &format!("{part}/{parts}")]);
            thread::spawn(move || suite.output())
        })
        .collect();
    for suite in started {
        printed(joined(suite))?;
    }
    Ok(())
}

/// Random kernels on the CPU for some time.
pub fn fuzz(tools: &Tools, seconds: u64) -> anyhow::Result<()> {
    let mut fuzz = tools.cargo();
    fuzz.args([
        "test",
        "--release",
        "--package",
        "legionella-driver",
        "--lib",
    ]);
    fuzz.args(["random_kernels_mean_what_they_say", "--", "--nocapture"]);
    succeed(fuzz.env(FUZZ_SECONDS, seconds.to_string()))
}

/// Each example in a size that takes no time; its picture must be one.
fn examples(tools: &Tools, accelerator: &str) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let photo = tools
        .root()
        .join("examples/data/coffee.jpg")
        .display()
        .to_string();
    let runs: [(&str, &[&str]); 3] = [
        ("kmeans", &[&photo, "-k", "5", "--iterations", "3"]),
        ("mandelbrot", &["--width", "201", "--height", "133"]),
        ("heat", &["--size", "65", "--steps", "50"]),
    ];
    for (example, arguments) in runs {
        let picture = folder.path().join(example).with_extension("png");
        let mut program = tools.program("examples", Some(example));
        program.args(arguments).args(["--accelerator", accelerator]);
        succeed(program.arg("--output").arg(&picture))?;
        check_picture(&picture)?;
    }
    Ok(())
}

/// A benchmark prints one object a line, in which the ratio is that of the times.
fn report(tools: &Tools) -> anyhow::Result<()> {
    let mut benches = tools.benches()?;
    let output = benches
        .args(["launch", "--json"])
        .stderr(Stdio::inherit())
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    print!("{text}");
    ensure!(output.status.success(), "ended with {}", output.status);
    ensure!(text.lines().count() > 0, "no result");
    for line in text.lines() {
        let row: Row = serde_json::from_str(line).with_context(|| line.to_owned())?;
        let expected = row.peer / row.ours;
        ensure!(
            row.bench.starts_with("launch-") && !row.target.is_empty() && !row.unit.is_empty(),
            "{line}"
        );
        // It is printed with three digits behind the point.
        let off = (row.ratio - expected).abs();
        ensure!(off < 0.001 + 0.01 * expected, "{line}");
    }
    Ok(())
}

/// A line of a benchmark's report.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    bench: String,
    target: String,
    ours: f64,
    peer: f64,
    unit: String,
    ratio: f64,
}

/// A PNG that holds more than one colour compresses to more than its headers.
fn check_picture(path: &Path) -> anyhow::Result<()> {
    let bytes = fs::read(path).with_context(|| format!("{}", path.display()))?;
    ensure!(
        bytes.starts_with(b"\x89PNG"),
        "{} is no PNG",
        path.display()
    );
    ensure!(bytes.len() > 500, "{} is empty", path.display());
    Ok(())
}
