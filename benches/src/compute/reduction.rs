//! Sums of blocks of 4,096 numbers, 16 Mi in all: groups of 256 items that add up 16 numbers each, and
//! then halve in shared memory.

use legionella::prelude::*;

use super::rows;
use crate::Bench;
use crate::data::{numbers, same};
use crate::measure::side_by_side;
use crate::pocl::Call;
use crate::report::Row;

/// Items of a group, and the numbers that each adds up first.
const ITEMS: usize = 256;
const EACH: usize = 16;

fn sums(group: Group, x: &[f32], mut sums: Disjoint<f32>, tile: Shared<[f32; ITEMS]>) {
    let (rank, first) = (group.rank(), group.index() * ITEMS * EACH);
    let mut mine = 0.0;
    for step in 0..EACH {
        mine += x[first + step * ITEMS + rank];
    }
    let mut tile = tile.filled(mine);
    let mut half = ITEMS / 2;
    while half > 0 {
        let all = group.sync(tile);
        if rank < half {
            mine += all[rank + half];
        }
        tile = group.sync(all);
        if let Some(own) = tile.own() {
            *own = mine;
        }
        half /= 2;
    }
    if let (0, Some(sum)) = (rank, sums.at(group.item())) {
        *sum = mine;
    }
}

/// The benchmark.
pub fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let blocks = 1 << 12;
    let x = numbers(1, blocks * ITEMS * EACH);
    let accelerator = &bench.accelerator;
    let device_x = accelerator.upload(&x)?;
    let mut all = vec![0.0; blocks * ITEMS];
    let mut device_sums = accelerator.upload(&all)?;
    let mut peers = vec![0.0; blocks];
    let grid = Grid::over(blocks * ITEMS).group(ITEMS);

    let mut launch = || {
        let arguments = (&device_x, &mut device_sums, shared());
        Ok(accelerator.launch(sums, grid, arguments)?.wait()?)
    };
    let times = side_by_side(&mut launch, || {
        // SAFETY: a sum for each block of 4,096 elements.
        unsafe { (bench.peer.reduction)(x.as_ptr(), peers.as_mut_ptr(), blocks) }
    })?;
    let pocl = bench.pocl.beside(
        "reduction",
        launch,
        |call| {
            call.over(&[blocks * ITEMS])
                .group(&[ITEMS])
                .buffer(&x)?
                .buffer(&vec![0f32; blocks])
        },
        Call::run,
    )?;
    device_sums.download(&mut all)?;
    let ours: Vec<f32> = all.into_iter().step_by(ITEMS).collect();
    same(&ours, &peers)?;
    if let Some(pocl) = &pocl {
        same(&ours, &pocl.read(1, blocks)?)?;
    }
    Ok(rows(bench, "reduction", times, pocl.as_ref()))
}
