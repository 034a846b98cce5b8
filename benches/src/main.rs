//! Legionella's speed, side by side with its peers: one table, or one JSON object a line.
//!
//! Takes the library of peers and `cargo-legionella` from `cargo xtask bench`, which builds both.
//! A `ratio` above 1 means that ours is better; how each number comes about is in
//! `docs/performance.md`.

mod blocks;
mod builds;
mod compute;
mod data;
mod first_launch;
mod heap;
mod kernels;
mod latency;
mod measure;
mod peer;
mod pocl;
mod report;
mod sparse;

use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::Parser;
use legionella::prelude::*;

use peer::Peer;
use pocl::Pocl;
use report::Row;

#[derive(Parser)]
struct Options {
    /// Which benchmarks; without a name all of them.
    names: Vec<String>,
    /// Print one JSON object a line instead of a table.
    #[arg(long)]
    json: bool,
    /// Only list the benchmarks' names.
    #[arg(long)]
    list: bool,
    /// Name of the accelerator.
    #[arg(short, long, default_value = "cpu")]
    accelerator: String,
    /// The library of peers.
    #[arg(long, hide = true)]
    peer: Option<PathBuf>,
    /// The command that builds through the wrapper.
    #[arg(long, hide = true)]
    cargo_legionella: Option<PathBuf>,
    /// Measure a first launch in this process, for the parent's benchmark `first-launch`.
    #[arg(long, hide = true)]
    first_launch: Option<first_launch::Driver>,
}

/// What a benchmark has at hand.
struct Bench {
    accelerator: Accelerator,
    peer: Peer,
    pocl: Pocl,
    cargo_legionella: PathBuf,
}

/// A benchmark: gives at least one row.
type Run = fn(&Bench) -> anyhow::Result<Vec<Row>>;

const BENCHES: [(&str, Run); 22] = [
    ("triad", compute::triad::run),
    ("dot", compute::dot::run),
    ("n-body", compute::n_body::run),
    ("mandelbrot", compute::mandelbrot::run),
    ("convolution", compute::convolution::run),
    ("black-scholes", compute::black_scholes::run),
    ("reduce", blocks::reduce),
    ("scan", blocks::scan),
    ("sort", blocks::sort),
    ("histogram", blocks::histogram),
    ("filter", blocks::filter),
    ("transpose", blocks::transpose),
    ("top", blocks::top),
    ("heap", heap::run),
    ("matmul", compute::matmul::run),
    ("reduction", compute::reduction::run),
    ("rays", compute::rays::run),
    ("counts", compute::counts::run),
    ("spmv", compute::spmv::run),
    ("launch", latency::run),
    ("first-launch", first_launch::run),
    ("build", builds::run),
];

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    if options.list {
        for (name, _) in BENCHES {
            println!("{name}");
        }
        return Ok(());
    }
    let accelerator = Accelerator::by_name(&options.accelerator)?;
    if let Some(driver) = options.first_launch {
        return first_launch::child(&accelerator, driver);
    }
    for name in &options.names {
        let known = BENCHES.iter().any(|(bench, _)| bench == name);
        ensure!(known, "no benchmark is named `{name}`: see `--list`");
    }
    let started_by = "start it as `cargo xtask bench`";
    let pocl = match accelerator.name() {
        "cpu" => Pocl::open(),
        other => Pocl::none(other),
    };
    let bench = Bench {
        accelerator,
        pocl,
        peer: Peer::load(&options.peer.context(started_by)?)?,
        cargo_legionella: options.cargo_legionella.context(started_by)?,
    };
    let mut rows = Vec::new();
    for (name, run) in BENCHES {
        if options.names.is_empty() || options.names.iter().any(|wanted| wanted == name) {
            if !options.json {
                eprintln!("measuring {name} …");
            }
            let measured = run(&bench).with_context(|| name.to_owned())?;
            if options.json {
                measured.iter().for_each(|row| println!("{}", row.json()));
            }
            rows.extend(measured);
        }
    }
    if !options.json {
        report::table(&rows);
    }
    Ok(())
}
