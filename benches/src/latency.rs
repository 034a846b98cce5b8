//! What a warm launch costs: to the kernel's first instruction, and there and back.
//!
//! Kernels can't read a clock. So the first thing that the kernel (or the peer's closure) does is
//! to store a number, and the thread that launched it takes the time when it sees that. This adds
//! one transfer of a cache line to both sides.

use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use legionella::prelude::*;

use crate::Bench;
use crate::measure::{median, side_by_side};
use crate::report::Row;

/// How often each side has its turns.
const BLOCKS: usize = 40;

/// Turns in a row: the threads of the side that has them are awake, those of the other asleep.
const TURNS: usize = 50;

fn empty(_at: Item) {}

/// Stores into memory of the host: for the CPU target alone, where that is the device's memory.
fn store(_at: Item, flag: usize, value: u32) {
    let flag: *const AtomicU32 = ptr::with_exposed_provenance(flag);
    // SAFETY: the launch passes the address of a flag that outlives it.
    unsafe { &*flag }.store(value, Ordering::Release);
}

/// The benchmark.
pub fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let accelerator = &bench.accelerator;
    let one_group = Grid::over(1);
    let row = |name: &str, ours: f64, peer: f64| Row {
        bench: name.to_owned(),
        target: accelerator.name().to_owned(),
        ours: ours * 1e6,
        peer: peer * 1e6,
        unit: "µs",
    };

    let (ours, peer) = side_by_side(
        || Ok(accelerator.launch(empty, one_group, ())?.wait()?),
        || (bench.peer.empty)(),
    )?;
    let mut rows = vec![row("launch-and-wait", ours, peer)];
    if accelerator.name().starts_with("cpu") {
        let (ours, peer) = first_instruction(bench)?;
        rows.push(row("launch-to-first-instruction", ours, peer));
    }
    if accelerator.name().starts_with("hsa") {
        rows.extend(doorbell(bench)?.map(|ours| row("launch-to-doorbell", ours, DOORBELL)));
    }
    Ok(rows)
}

/// The limit for the time from a launch to the doorbell of a queue, in seconds. There is no peer.
const DOORBELL: f64 = 1e-6;

/// Median seconds from before a launch until the device is told that there is a packet, which only the simulator
/// can say.
fn doorbell(bench: &Bench) -> anyhow::Result<Option<f64>> {
    let setting = std::env::var("LEGIONELLA_HSA").unwrap_or_default();
    let Some(("sim", path)) =
        (setting.split_once('@')).map(|(kind, path)| (kind.get(..3).unwrap_or_default(), path))
    else {
        return Ok(None);
    };
    type Time = unsafe extern "C" fn() -> u64;
    // SAFETY: the library is the one that the accelerator is from; the functions take nothing and give a number.
    unsafe {
        let library = libloading::Library::new(path)?;
        let now = library.get::<Time>(b"legionella_hsasim_now")?;
        let rung = library.get::<Time>(b"legionella_hsasim_rung")?;
        let mut times = Vec::new();
        for _ in 0..BLOCKS * TURNS {
            let before = now();
            let completion = bench.accelerator.launch(empty, Grid::over(1), ())?;
            let mut after = rung();
            while after < before {
                after = rung();
            }
            times.push((after - before) as f64 * 1e-9);
            completion.wait()?;
        }
        Ok(Some(median(&mut times)))
    }
}

/// Median seconds from before the launch to the first store of the kernel, and of the peer.
fn first_instruction(bench: &Bench) -> anyhow::Result<(f64, f64)> {
    let flag = AtomicU32::new(0);
    let latency = |value: u32, start: &mut dyn FnMut() -> anyhow::Result<()>| {
        let before = Instant::now();
        start()?;
        while flag.load(Ordering::Acquire) != value {
            std::hint::spin_loop();
        }
        anyhow::Ok(before.elapsed().as_secs_f64())
    };
    let (mut ours, mut peer) = (Vec::new(), Vec::new());
    let address = ptr::from_ref(&flag).expose_provenance();
    let mut values = 1..;
    let mut next = || values.next().unwrap_or_default();
    for _ in 0..BLOCKS {
        for _ in 0..TURNS {
            let value = next();
            let mut completion = None;
            ours.push(latency(value, &mut || {
                let arguments = (address, value);
                completion = Some((bench.accelerator).launch(store, Grid::over(1), arguments)?);
                Ok(())
            })?);
            completion.map_or(Ok(()), |completion| completion.wait())?;
        }
        for _ in 0..TURNS {
            let value = next();
            peer.push(latency(value, &mut || {
                // SAFETY: the flag outlives the task, whose store is waited for.
                unsafe { (bench.peer.store)(&flag, value) };
                Ok(())
            })?);
        }
    }
    Ok((median(&mut ours), median(&mut peer)))
}
