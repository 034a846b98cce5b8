//! The dot product of 16 Mi numbers: a chunk a work-item, partial sums added up on the host.

use legionella::prelude::*;

use super::row;
use crate::Bench;
use crate::data::{numbers, same};
use crate::measure::side_by_side;
use crate::report::Row;

/// Elements that one work-item, or one task of the peer, sums up.
const CHUNK: usize = 1 << 14;

fn dot(at: Item, chunk: usize, x: &[f32], y: &[f32], mut partial: Disjoint<f32>) {
    let Some(partial) = partial.at(&at) else {
        return;
    };
    let first = at.global() * chunk;
    let end = (first + chunk).min(x.len());
    let (x, x_rest) = x[first..end].as_chunks::<32>();
    let (y, y_rest) = y[first..end].as_chunks::<32>();
    let mut lanes = [0.0; 32];
    for (x, y) in x.iter().zip(y) {
        for ((lane, x), y) in lanes.iter_mut().zip(x).zip(y) {
            *lane += x * y;
        }
    }
    let rest: f32 = x_rest.iter().zip(y_rest).map(|(x, y)| x * y).sum();
    *partial = lanes.iter().sum::<f32>() + rest;
}

/// The benchmark.
pub fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let len = 1 << 24;
    let (x, y) = (numbers(1, len), numbers(2, len));
    let accelerator = &bench.accelerator;
    let (device_x, device_y) = (accelerator.upload(&x)?, accelerator.upload(&y)?);
    let mut partial = vec![0.0f32; len.div_ceil(CHUNK)];
    let grid = Grid::over(partial.len());
    let mut device_partial = accelerator.upload(&partial)?;

    let (mut ours, mut peers) = (0.0, 0.0);
    let times = side_by_side(
        || {
            accelerator.launch(
                dot,
                grid,
                (CHUNK, &device_x, &device_y, &mut device_partial),
            )?;
            device_partial.download(&mut partial)?;
            ours = partial.iter().sum();
            Ok(())
        },
        || {
            // SAFETY: both have `len` elements.
            peers = unsafe { (bench.peer.dot)(x.as_ptr(), y.as_ptr(), len, CHUNK) };
        },
    )?;
    same(&[ours], &[peers])?;
    Ok(row(bench, "dot", times))
}
