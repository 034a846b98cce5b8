//! The first launch of saxpy in a process: with the driver to be started, with the driver at
//! hand, and with the code in the disk cache.
//!
//! A process has one first launch, so this program starts itself again for each, with a cache
//! folder of its own. There is no peer; the column holds the project's limits.

use std::env;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, ensure};
use clap::ValueEnum;
use legionella::prelude::*;

use crate::Bench;
use crate::measure::median;
use crate::report::Row;

/// Processes for each number.
const TURNS: usize = 7;

/// What has happened in the process before its first launch of saxpy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Driver {
    /// Nothing.
    Cold,
    /// The code of another kernel was generated.
    Warm,
}

fn saxpy(at: Item, a: f32, x: &[f32], mut y: Disjoint<f32>) {
    if let Some(y) = y.at(&at) {
        *y += a * x[at.global()];
    }
}

fn negate(at: Item, mut y: Disjoint<f32>) {
    if let Some(y) = y.at(&at) {
        *y = -*y;
    }
}

/// Measures in this process and prints the nanoseconds.
pub fn child(accelerator: &Accelerator, driver: Driver) -> anyhow::Result<()> {
    let x = accelerator.upload(&[1.0; 1000])?;
    let mut y = accelerator.upload(&[2.0; 1000])?;
    let grid = Grid::over(1000);
    if driver == Driver::Warm {
        // Twice, so that saxpy finds the same numbers either way.
        accelerator.launch(negate, grid, (&mut y,))?.wait()?;
        accelerator.launch(negate, grid, (&mut y,))?.wait()?;
    }
    let before = Instant::now();
    accelerator.launch(saxpy, grid, (3.0, &x, &mut y))?.wait()?;
    let time = before.elapsed();
    let mut result = [0.0; 1000];
    y.download(&mut result)?;
    ensure!(result == [5.0; 1000], "saxpy gave {}", result[0]);
    println!("{}", time.as_nanos());
    Ok(())
}

/// The benchmark.
pub fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let name = bench.accelerator.name();
    let row = |case: &str, ours, limit| Row {
        bench: format!("first-launch-{case}"),
        target: name.to_owned(),
        ours,
        peer: limit,
        unit: "ms",
    };
    let empty_cache = |driver| -> anyhow::Result<f64> {
        let mut times = Vec::new();
        for _ in 0..TURNS {
            let cache = tempfile::tempdir()?;
            times.push(measure(name, driver, cache.path())?);
        }
        Ok(median(&mut times))
    };
    let [cold, warm, disk] = match name.starts_with("cuda") {
        true => [150.0, 150.0, 3.0],
        false => [300.0, 60.0, 5.0],
    };
    let cache = tempfile::tempdir()?;
    measure(name, Driver::Cold, cache.path())?;
    let mut from_disk = Vec::new();
    for _ in 0..TURNS {
        from_disk.push(measure(name, Driver::Cold, cache.path())?);
    }
    Ok(vec![
        row("driver-cold", empty_cache(Driver::Cold)?, cold),
        row("driver-warm", empty_cache(Driver::Warm)?, warm),
        row("disk-cache", median(&mut from_disk), disk),
    ])
}

/// Milliseconds of the first launch in a new process.
fn measure(accelerator: &str, driver: Driver, cache: &Path) -> anyhow::Result<f64> {
    let mut child = Command::new(env::current_exe()?);
    child.args(["--accelerator", accelerator, "--first-launch"]);
    child.arg(if driver == Driver::Cold {
        "cold"
    } else {
        "warm"
    });
    child.env("LEGIONELLA_CACHE", cache);
    // What NVIDIA's driver makes of code it keeps as well.
    child.env("CUDA_CACHE_PATH", cache.join("nvidia"));
    let output = child.stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "{child:?}: {}", output.status);
    let nanoseconds: f64 = std::str::from_utf8(&output.stdout)?
        .trim()
        .parse()
        .context("the child's time")?;
    Ok(nanoseconds * 1e-6)
}
