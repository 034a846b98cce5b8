//! How often each byte occurs in 16 MiB: groups count in shared memory, and add that up at the end.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use legionella::prelude::*;

use super::rows;
use crate::Bench;
use crate::data::{numbers, same};
use crate::measure::side_by_side;
use crate::report::Row;

/// Items of a group, and the bytes that each counts.
const ITEMS: usize = 256;
const EACH: usize = 256;

fn count(group: Group, bytes: &[u8], counts: &[AtomicU32], own: Shared<[AtomicU32; 256]>) {
    let own = group.sync(own.fill(|_| AtomicU32::new(0)));
    let first = group.item().global() * EACH;
    for byte in &bytes[first..first + EACH] {
        own[usize::from(*byte)].fetch_add(1, Relaxed);
    }
    let mut own = group.sync(own);
    own.for_each(|value, count| {
        counts[value].fetch_add(*count.get_mut(), Relaxed);
    });
}

/// The benchmark.
pub fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let len = 1 << 24;
    let bytes: Vec<u8> = numbers(1, len)
        .into_iter()
        .map(|number| (number * number * 256.0) as u8)
        .collect();
    let accelerator = &bench.accelerator;
    let device_bytes = accelerator.upload(&bytes)?;
    let zeros = vec![0u32; 256];
    let (mut ours, mut peers) = (zeros.clone(), zeros.clone());
    let mut counts = accelerator.upload(&zeros)?;
    let grid = Grid::over(len / EACH).group(ITEMS);

    let mut launch = || {
        counts.write(&zeros)?;
        let arguments = (&device_bytes, counts.atomic(), shared());
        Ok(accelerator.launch(count, grid, arguments)?.wait()?)
    };
    let times = side_by_side(&mut launch, || {
        // SAFETY: `len` bytes, 256 counts.
        unsafe { (bench.peer.counts)(bytes.as_ptr(), len, peers.as_mut_ptr()) }
    })?;
    let pocl = bench.pocl.beside(
        "counts",
        launch,
        |call| {
            call.over(&[len / EACH])
                .group(&[ITEMS])
                .buffer(&bytes)?
                .buffer(&zeros)
        },
        |call| {
            call.clear(1, 1024)?;
            call.run()
        },
    )?;
    counts.download(&mut ours)?;
    same(&ours, &peers)?;
    if let Some(pocl) = &pocl {
        same(&ours, &pocl.read(1, 256)?)?;
    }
    Ok(rows(bench, "counts", times, pocl.as_ref()))
}
