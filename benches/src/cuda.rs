//! Legionella's speed on an NVIDIA device, side by side with CUDA C++ of the same algorithms: one
//! table, or one JSON object a line.
//!
//! Takes the library that `nvcc` makes of `cuda/peer.cu`. Both sides have their own copies of the
//! data on the device, are checked to agree, and are timed from before the launch to its end.

mod data;
#[path = "cuda/heap.rs"]
mod heap;
mod kernels;
#[path = "cuda/launches.rs"]
mod launches;
mod measure;
#[path = "cuda/peer.rs"]
mod peer;
mod report;

use std::path::PathBuf;

use anyhow::ensure;
use clap::Parser;
use legionella::prelude::*;

use data::{numbers, same};
use kernels::{Body, Market, View};
use launches::Number;
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
    rows: Vec<Row>,
}

/// Elements of the streams: 1 GiB each.
const STREAM_BYTES: usize = 1 << 30;

/// Launches of a chain.
const CHAIN: u32 = 1000;

/// Benchmarks that belong together. The heap comes first: CUDA's has one size in the life of a process.
type Group = fn(&mut Bench) -> anyhow::Result<()>;

const GROUPS: [(&str, Group); 7] = [
    ("heap", Bench::heap),
    ("launches", Bench::launches),
    ("streams", Bench::all_streams),
    ("n-body", Bench::n_body),
    ("mandelbrot", Bench::mandelbrot),
    ("convolution", Bench::convolution),
    ("black-scholes", Bench::black_scholes),
];

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let mut bench = Bench {
        accelerator: Accelerator::by_name(&options.accelerator)?,
        peer: Peer::load(&options.peer)?,
        rows: Vec::new(),
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
        bench.rows.iter().for_each(|row| println!("{}", row.json()));
    } else {
        report::table(&bench.rows);
    }
    Ok(())
}

type Copy<T> = unsafe extern "C" fn(*const T, *mut T, usize) -> i32;
type Mul<T> = unsafe extern "C" fn(T, *const T, *mut T, usize) -> i32;
type Add<T> = unsafe extern "C" fn(*const T, *const T, *mut T, usize) -> i32;
type Triad<T> = unsafe extern "C" fn(T, *const T, *const T, *mut T, usize) -> i32;

impl Bench {
    /// Times both sides and keeps the row. The peer's last code is looked at.
    fn time(
        rows: &mut Vec<Row>,
        name: String,
        scale: (f64, &'static str),
        ours: impl FnMut() -> anyhow::Result<()>,
        mut peer: impl FnMut() -> i32,
    ) -> anyhow::Result<()> {
        let mut code = 0;
        let times = side_by_side(ours, || code = peer())?;
        check(code)?;
        rows.push(Row {
            bench: name,
            target: "cuda".to_owned(),
            ours: times.0 * scale.0,
            peer: times.1 * scale.0,
            unit: scale.1,
        });
        Ok(())
    }

    fn heap(&mut self) -> anyhow::Result<()> {
        let rows = heap::run(&self.accelerator, &self.peer)?;
        self.rows.extend(rows);
        Ok(())
    }

    fn all_streams(&mut self) -> anyhow::Result<()> {
        self.streams("f32", 3.0f32, |bench| {
            let p = &bench.peer;
            (p.copy_f32, p.mul_f32, p.add_f32, p.triad_f32)
        })?;
        self.streams("f64", 3.0f64, |bench| {
            let p = &bench.peer;
            (p.copy_f64, p.mul_f64, p.add_f64, p.triad_f64)
        })
    }

    fn launches(&mut self) -> anyhow::Result<()> {
        let accelerator = &self.accelerator;
        let micro = (1e6, "µs");
        Self::time(
            &mut self.rows,
            "launch-and-wait".to_owned(),
            micro,
            || {
                Ok(accelerator
                    .launch(launches::empty, Grid::over(1), ())?
                    .wait()?)
            },
            // SAFETY: it takes nothing.
            || unsafe { (self.peer.empty)() },
        )?;
        let mut out = accelerator.upload(&[0u32])?;
        Self::time(
            &mut self.rows,
            "1000-dependent-launches".to_owned(),
            micro,
            || {
                let mut last = None;
                for _ in 0..CHAIN {
                    last = Some(accelerator.launch(launches::touch, Grid::over(1), (&mut out,))?);
                }
                Ok(last.map_or(Ok(()), |last| last.wait())?)
            },
            // SAFETY: it takes a number.
            || unsafe { (self.peer.chain)(CHAIN as i32) },
        )
    }

    fn streams<T>(
        &mut self,
        name: &str,
        s: T,
        functions: impl Fn(&Self) -> (Copy<T>, Mul<T>, Add<T>, Triad<T>),
    ) -> anyhow::Result<()>
    where
        T: Number + Default + PartialEq + From<f32>,
    {
        let (peer_copy, peer_mul, peer_add, peer_triad) = functions(self);
        let len = STREAM_BYTES / size_of::<T>();
        let values = |seed| -> Vec<T> {
            let some = numbers(seed, 1 << 16);
            (0..len).map(|i| T::from(some[i % some.len()])).collect()
        };
        let (x, y) = (values(1), values(2));
        let accelerator = &self.accelerator;
        let (a, b) = (accelerator.upload(&x)?, accelerator.upload(&y)?);
        let mut c = accelerator.filled(len, T::default())?;
        let (pa, pb) = (Memory::of(&self.peer, &x)?, Memory::of(&self.peer, &y)?);
        let pc = Memory::of(&self.peer, &vec![T::default(); len])?;
        let (pa, pb, out) = (pa.start().cast_const(), pb.start().cast_const(), pc.start());
        let milli = (1e3, "ms");
        let grid = Grid::over(len);
        let rows = &mut self.rows;

        if name == "f32" {
            let copied = accelerator.upload(&x)?;
            let mut to = accelerator.filled(len, T::default())?;
            Self::time(
                rows,
                "device copy (peer: cudaMemcpy)".to_owned(),
                milli,
                || Ok(to.copy_from(&copied)?),
                // SAFETY: both have that many bytes.
                || unsafe { (self.peer.device_copy)(out.cast(), pa.cast(), STREAM_BYTES) },
            )?;
        }
        Self::time(
            rows,
            format!("copy {name}"),
            milli,
            || {
                Ok(accelerator
                    .launch(launches::copy, grid, (&a, &mut c))?
                    .wait()?)
            },
            // SAFETY: all have `len` elements; so for the others.
            || unsafe { peer_copy(pa, out, len) },
        )?;
        same(&c.to_vec()?, &pc.to_vec()?)?;
        Self::time(
            rows,
            format!("mul {name}"),
            milli,
            || {
                Ok(accelerator
                    .launch(launches::mul, grid, (s, &a, &mut c))?
                    .wait()?)
            },
            // SAFETY: as above.
            || unsafe { peer_mul(s, pa, out, len) },
        )?;
        same(&c.to_vec()?, &pc.to_vec()?)?;
        Self::time(
            rows,
            format!("add {name}"),
            milli,
            || {
                Ok(accelerator
                    .launch(launches::add, grid, (&a, &b, &mut c))?
                    .wait()?)
            },
            // SAFETY: as above.
            || unsafe { peer_add(pa, pb, out, len) },
        )?;
        same(&c.to_vec()?, &pc.to_vec()?)?;
        Self::time(
            rows,
            format!("triad {name}"),
            milli,
            || {
                let arguments = (s, &a, &b, &mut c);
                Ok(accelerator
                    .launch(launches::triad, grid, arguments)?
                    .wait()?)
            },
            // SAFETY: as above.
            || unsafe { peer_triad(s, pa, pb, out, len) },
        )?;
        same(&c.to_vec()?, &pc.to_vec()?)
    }

    fn n_body(&mut self) -> anyhow::Result<()> {
        let (len, softening) = (1 << 16, 1e-3);
        let bodies: Vec<Body> = numbers(1, 4 * len).as_chunks::<4>().0.to_vec();
        let accelerator = &self.accelerator;
        let device = accelerator.upload(&bodies)?;
        let mut out = accelerator.upload(&bodies)?;
        let peer_bodies = Memory::of(&self.peer, &bodies)?;
        let peer_out = Memory::of(&self.peer, &bodies)?;
        Self::time(
            &mut self.rows,
            "n-body".to_owned(),
            (1e3, "ms"),
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
        Self::time(
            &mut self.rows,
            "mandelbrot".to_owned(),
            (1e3, "ms"),
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
        Self::time(
            &mut self.rows,
            "convolution".to_owned(),
            (1e3, "ms"),
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
        Self::time(
            &mut self.rows,
            "black-scholes".to_owned(),
            (1e3, "ms"),
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
