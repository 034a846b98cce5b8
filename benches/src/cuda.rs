//! Legionella's speed on an NVIDIA device, side by side with CUDA C++ of the same algorithms: one
//! table, or one JSON object a line.
//!
//! Takes the library that `nvcc` makes of `cuda/peer*.cu`. Both sides have their own copies of the
//! data on the device, are checked to agree, and are timed from before the launch to its end.

#[path = "cuda/blocks.rs"]
mod blocks;
mod data;
#[path = "cuda/heap.rs"]
mod heap;
mod kernels;
#[path = "cuda/launches.rs"]
mod launches;
#[path = "cuda/matrices.rs"]
mod matrices;
mod measure;
#[path = "cuda/peer.rs"]
mod peer;
#[path = "cuda/products.rs"]
mod products;
mod report;
#[path = "cuda/runtime.rs"]
mod runtime;
mod sparse;
#[path = "cuda/streams.rs"]
mod streams;

use std::path::PathBuf;

use anyhow::ensure;
use clap::Parser;
use legionella::prelude::*;

use data::{numbers, same};
use kernels::{Body, Market, View};
use measure::side_by_side;
use peer::{Memory, Peer, check};
use report::Row;

#[derive(Parser)]
struct Options {
    /// Which groups of benchmarks; without a name all of them.
    names: Vec<String>,
    /// Name of the accelerator.
    #[arg(short, long, default_value = "cuda:0")]
    accelerator: String,
    /// The library of peers.
    #[arg(long)]
    peer: PathBuf,
    /// Print one JSON object a line instead of a table.
    #[arg(long)]
    json: bool,
}

struct Bench {
    accelerator: Accelerator,
    peer: Peer,
    rows: Rows,
}

/// Seconds as milliseconds, and as microseconds.
const MILLI: (f64, &str) = (1e3, "ms");
const MICRO: (f64, &str) = (1e6, "µs");

/// What has been measured.
#[derive(Default)]
struct Rows(Vec<Row>);

impl Rows {
    /// Times both sides and keeps the row. The peer's last code is looked at.
    fn time(
        &mut self,
        name: impl Into<String>,
        (scale, unit): (f64, &'static str),
        ours: impl FnMut() -> anyhow::Result<()>,
        mut peer: impl FnMut() -> i32,
    ) -> anyhow::Result<()> {
        let mut code = 0;
        let times = side_by_side(ours, || code = peer())?;
        check(code)?;
        self.0.push(Row {
            bench: name.into(),
            target: "cuda".to_owned(),
            ours: times.0 * scale,
            peer: times.1 * scale,
            unit,
        });
        Ok(())
    }
}

/// Launches of a chain.
const CHAIN: u32 = 1000;

/// Benchmarks that belong together. The heap comes first: CUDA's has one size in the life of a process.
type Group = fn(&mut Bench) -> anyhow::Result<()>;

const GROUPS: [(&str, Group); 16] = [
    ("heap", Bench::heap),
    ("launches", runtime::launches),
    ("memory", runtime::memory),
    ("streams", streams::run),
    ("n-body", Bench::n_body),
    ("mandelbrot", Bench::mandelbrot),
    ("convolution", Bench::convolution),
    ("black-scholes", Bench::black_scholes),
    ("gemm", matrices::gemm_4096),
    ("products", products::of_bf16),
    ("spmv", matrices::spmv),
    ("fft", matrices::fft),
    ("reduce", blocks::reduce),
    ("scan", blocks::scan),
    ("sort", blocks::sort),
    ("histogram", blocks::histogram),
];

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let mut bench = Bench {
        accelerator: Accelerator::by_name(&options.accelerator)?,
        peer: Peer::load(&options.peer)?,
        rows: Rows::default(),
    };
    for name in &options.names {
        let known = GROUPS.iter().any(|(group, _)| group == name);
        ensure!(known, "no benchmarks are named `{name}`");
    }
    for (name, run) in GROUPS {
        if options.names.is_empty() || options.names.iter().any(|wanted| wanted == name) {
            run(&mut bench)?;
        }
    }
    if options.json {
        bench
            .rows
            .0
            .iter()
            .for_each(|row| println!("{}", row.json()));
    } else {
        report::table(&bench.rows.0);
    }
    Ok(())
}

impl Bench {
    fn heap(&mut self) -> anyhow::Result<()> {
        let rows = heap::run(&self.accelerator, &self.peer)?;
        self.rows.0.extend(rows);
        Ok(())
    }

    fn n_body(&mut self) -> anyhow::Result<()> {
        let (len, softening) = (1 << 16, 1e-3);
        let bodies: Vec<Body> = numbers(1, 4 * len).as_chunks::<4>().0.to_vec();
        let accelerator = &self.accelerator;
        let device = accelerator.upload(&bodies)?;
        let mut out = accelerator.upload(&bodies)?;
        let peer_bodies = Memory::of(&self.peer, &bodies)?;
        let peer_out = Memory::of(&self.peer, &bodies)?;
        self.rows.time(
            "n-body",
            MILLI,
            || {
                let arguments = (softening, &device, &mut out);
                Ok(accelerator
                    .launch(kernels::n_body, Grid::over(len), arguments)?
                    .wait()?)
            },
            // SAFETY: both have `len` elements.
            || unsafe { (self.peer.n_body)(softening, peer_bodies.start(), peer_out.start(), len) },
        )?;
        same(&out.to_vec()?, &peer_out.to_vec()?)
    }

    fn mandelbrot(&mut self) -> anyhow::Result<()> {
        let (width, height) = (6144, 4096);
        let view = View {
            left: -2.2,
            top: -1.0,
            pixel: 3.0 / width as f32,
            limit: 256,
        };
        let blank = vec![0u32; width * height];
        let accelerator = &self.accelerator;
        let mut steps = accelerator.upload(&blank)?;
        let peer_steps = Memory::of(&self.peer, &blank)?;
        let View {
            left,
            top,
            pixel,
            limit,
        } = view;
        self.rows.time(
            "mandelbrot",
            MILLI,
            || {
                let grid = Grid::over([width, height]);
                Ok(accelerator
                    .launch(kernels::mandelbrot, grid, (view, &mut steps))?
                    .wait()?)
            },
            // SAFETY: the picture has that many elements.
            || unsafe {
                let steps = peer_steps.start();
                (self.peer.mandelbrot)(left, top, pixel, limit, steps, width, height)
            },
        )?;
        same(&steps.to_vec()?, &peer_steps.to_vec()?)
    }

    fn convolution(&mut self) -> anyhow::Result<()> {
        let (width, height) = (1 << 13, 1 << 13);
        let weights = [0.06, 0.12, 0.06, 0.12, 0.28, 0.12, 0.06, 0.12, 0.06];
        let image = numbers(1, width * height);
        let accelerator = &self.accelerator;
        let device = accelerator.upload(&image)?;
        let mut out = accelerator.upload(&image)?;
        let peer_image = Memory::of(&self.peer, &image)?;
        let peer_out = Memory::of(&self.peer, &image)?;
        self.rows.time(
            "convolution",
            MILLI,
            || {
                let grid = Grid::over([width, height]);
                Ok(accelerator
                    .launch(kernels::convolve, grid, (weights, &device, &mut out))?
                    .wait()?)
            },
            // SAFETY: nine weights; both images have that many elements.
            || unsafe {
                let (image, out) = (peer_image.start(), peer_out.start());
                (self.peer.convolution)(weights.as_ptr(), image, out, width, height)
            },
        )?;
        same(&out.to_vec()?, &peer_out.to_vec()?)
    }

    fn black_scholes(&mut self) -> anyhow::Result<()> {
        let len = 1 << 26;
        let (rate, volatility) = (0.02, 0.3);
        let between = |seed, low: f32, high: f32| -> Vec<f32> {
            let numbers = numbers(seed, len).into_iter();
            numbers.map(|t| low + t * (high - low)).collect()
        };
        let inputs = [
            between(1, 5.0, 30.0),
            between(2, 1.0, 100.0),
            between(3, 0.25, 10.0),
        ];
        let accelerator = &self.accelerator;
        let [spot, strike, years] = [0, 1, 2].map(|i| accelerator.upload(&inputs[i]));
        let (spot, strike, years) = (spot?, strike?, years?);
        let (mut call, mut put) = (accelerator.filled(len, 0.0)?, accelerator.filled(len, 0.0)?);
        let memory = |from: &[f32]| Memory::of(&self.peer, from);
        let (ps, pk, py) = (
            memory(&inputs[0])?,
            memory(&inputs[1])?,
            memory(&inputs[2])?,
        );
        let (pc, pp) = (memory(&inputs[0])?, memory(&inputs[0])?);
        self.rows.time(
            "black-scholes",
            MILLI,
            || {
                let market = Market { rate, volatility };
                let arguments = (market, &spot, &strike, &years, &mut call, &mut put);
                Ok(accelerator
                    .launch(kernels::black_scholes, Grid::over(len), arguments)?
                    .wait()?)
            },
            // SAFETY: all have `len` elements.
            || unsafe {
                let (spot, strike, years) = (ps.start(), pk.start(), py.start());
                let (call, put) = (pc.start(), pp.start());
                (self.peer.black_scholes)(rate, volatility, spot, strike, years, call, put, len)
            },
        )?;
        // `exp` and `ln` of the two libraries may differ in the last place.
        for (ours, peer) in [
            (call.to_vec()?, pc.to_vec()?),
            (put.to_vec()?, pp.to_vec()?),
        ] {
            let differences = ours.iter().zip(&peer).map(|(a, b)| (a - b).abs());
            let worst = differences.fold(0.0, f32::max);
            ensure!(
                worst < 1e-3,
                "prices differ from the peer's by up to {worst}"
            );
        }
        Ok(())
    }
}
