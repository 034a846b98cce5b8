//! `cargo xtask test`: every test of the repository, cheapest first. Takes the tools, prints what
//! the tests print, and at the end what passed and what was left out.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use std::{fs, thread};

use anyhow::{Context, ensure};
use serde::Deserialize;

use crate::tools::{Tools, succeed};
use crate::{compare, documented, ptxas, simulated};

/// Packages that are tested in steps of their own, or that only run under the wrapper.
const APART: [&str; 5] = [
    "benches",
    "cargo-legionella",
    "conformance",
    "examples",
    "peer",
];

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
        let name = name.into();
        println!("\n== {name}");
        let start = Instant::now();
        let result = step();
        let time = start.elapsed();
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

    let programs = Meanwhile::build(tools, &["conformance", "benches", "examples"]);
    summary.step("unit tests, and random kernels", || {
        let mut tests = tools.cargo();
        tests.args(["test", "--workspace", "--lib", "--bins", "--tests"]);
        tests.env(FUZZ_SECONDS, "60");
        succeed(tests.args(APART.map(|package| format!("--exclude={package}"))))
    })?;
    summary.step("tests of cargo-legionella", || {
        succeed(
            tools
                .cargo()
                .args(["test", "--package", "cargo-legionella"]),
        )
    })?;
    summary.step("programs that were built meanwhile", || programs.end())?;

    let architectures = ptxas::ARCHITECTURES.map(str::to_owned);
    let (first, others) = architectures.split_at(1);
    match legionella_driver::ptxas::find_for(&first[0]) {
        Ok(_) => {
            summary.step("code of all kernels for one of NVIDIA's devices", || {
                ptxas::run(tools, "", first)
            })?;
            // All kernels for all of them take some ten minutes more: `cargo xtask ptxas`.
            let mut others = others.to_vec();
            match legionella_driver::ptxas::find_for(ptxas::OLDEST) {
                Ok(_) => others.push(ptxas::OLDEST.to_owned()),
                Err(advice) => summary.skipped.push(format!(
                    "code of the benchmarks for {}: {advice}",
                    ptxas::OLDEST
                )),
            }
            summary.step("code of the benchmarks for others of them", || {
                ptxas::run(tools, "benches::", &others)
            })?;
        }
        Err(advice) => summary.skipped.push(format!(
            "code of all kernels for NVIDIA's devices: {advice}"
        )),
    }
    match compare::is_possible() {
        Ok(()) => summary.step(
            "code of the benchmarks for AMD's devices beside clang's",
            || compare::run(tools, "", &simulated::PROCESSORS.map(str::to_owned)),
        )?,
        Err(advice) => summary.skipped.push(format!(
            "code of the benchmarks for AMD's devices beside clang's: {advice}"
        )),
    }

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
            let mut suite = tools.program("conformance", None);
            succeed(suite.args(["--accelerator", name]))
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
    summary.step("documentation tests", || {
        let mut tests = tools.cargo();
        tests.args(["test", "--doc", "--workspace"]);
        succeed(tests.args(["--exclude", "peer"]))
    })?;
    summary.print();
    Ok(())
}

/// Programs that are built while others run: the suite's takes minutes of one processor.
struct Meanwhile(thread::JoinHandle<anyhow::Result<()>>);

impl Meanwhile {
    fn build(tools: &Tools, packages: &[&str]) -> Self {
        // One by one, as they are built where they are run: together they would have each other's features.
        let builds: Vec<_> = (packages.iter())
            .map(|package| tools.build_of(package))
            .collect();
        Meanwhile(thread::spawn(move || {
            builds.into_iter().try_for_each(|mut build| {
                let output = build.output()?;
                let said = String::from_utf8_lossy(&output.stderr);
                ensure!(output.status.success(), "{}: {said}", output.status);
                Ok(())
            })
        }))
    }

    /// Waits until they are built.
    fn end(self) -> anyhow::Result<()> {
        match self.0.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
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
