//! What a warm launch costs: to the kernel's first instruction, and there and back.
//!
//! Kernels can't read a clock. So the first thing that the kernel (or the peer's closure) does is
//! to store a number, and a thread that polls it takes the time. That adds one transfer of a cache
//! line to both sides.

use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use legionella::prelude::*;

use crate::Bench;
use crate::measure::{median, side_by_side};
use crate::report::Row;

/// Turns of each side.
const TURNS: u32 = 2000;

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
    Ok(rows)
}

/// Median seconds from before the launch to the first store of the kernel, and of the peer.
fn first_instruction(bench: &Bench) -> anyhow::Result<(f64, f64)> {
    let flag = AtomicU32::new(0);
    let seen_at = AtomicU64::new(0);
    let seen = AtomicU32::new(0);
    let stop = AtomicU32::new(0);
    let epoch = Instant::now();
    let now = || epoch.elapsed().as_nanos() as u64;

    thread::scope(|scope| {
        scope.spawn(|| {
            let mut last = 0;
            while stop.load(Ordering::Relaxed) == 0 {
                let value = flag.load(Ordering::Acquire);
                if value != last {
                    seen_at.store(now(), Ordering::Relaxed);
                    seen.store(value, Ordering::Release);
                    last = value;
                }
                std::hint::spin_loop();
            }
        });
        let latency = |value: u32, start: &mut dyn FnMut() -> anyhow::Result<()>| {
            let before = now();
            start()?;
            while seen.load(Ordering::Acquire) != value {
                std::hint::spin_loop();
            }
            anyhow::Ok((seen_at.load(Ordering::Relaxed) - before) as f64 * 1e-9)
        };
        let turns = || {
            let (mut ours, mut peer) = (Vec::new(), Vec::new());
            let address = ptr::from_ref(&flag).expose_provenance();
            for turn in 0..TURNS {
                let value = 2 * turn + 1;
                ours.push(latency(value, &mut || {
                    let arguments = (address, value);
                    Ok(bench
                        .accelerator
                        .launch(store, Grid::over(1), arguments)?
                        .wait()?)
                })?);
                peer.push(latency(value + 1, &mut || {
                    // SAFETY: the flag lives until the thread that polls it has ended.
                    unsafe { (bench.peer.store)(&flag, value + 1) };
                    Ok(())
                })?);
            }
            // The first turn generates code and starts threads.
            anyhow::Ok((median(&mut ours[1..]), median(&mut peer[1..])))
        };
        let result = turns();
        stop.store(1, Ordering::Relaxed);
        result
    })
}
