//! Accelerations of 8,192 bodies by each other's gravity: a body a work-item.

use legionella::prelude::*;

use super::{numbers, row, same};
use crate::Bench;
use crate::measure::side_by_side;
use crate::report::Row;

/// A position and a mass.
type Body = [f32; 4];

fn accelerate(at: Item, softening: f32, bodies: &[Body], mut out: Disjoint<Body>) {
    let Some(out) = out.at(&at) else { return };
    let here = bodies[at.global()];
    let mut sum = [0.0; 3];
    for there in bodies {
        let d = [there[0] - here[0], there[1] - here[1], there[2] - here[2]];
        let square = d[0] * d[0] + d[1] * d[1] + d[2] * d[2] + softening;
        let pull = there[3] / (square * square.sqrt());
        for (sum, d) in sum.iter_mut().zip(d) {
            *sum += pull * d;
        }
    }
    *out = [sum[0], sum[1], sum[2], 0.0];
}

/// The benchmark.
pub fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let (len, softening) = (1 << 13, 1e-3);
    let bodies = numbers(1, 4 * len).as_chunks::<4>().0.to_vec();
    let (mut ours, mut peers) = (vec![[0.0; 4]; len], vec![[0.0; 4]; len]);
    let accelerator = &bench.accelerator;
    let device_bodies = accelerator.upload(&bodies)?;
    let mut out = accelerator.upload(&ours)?;

    let times = side_by_side(
        || {
            let arguments = (softening, &device_bodies, &mut out);
            Ok(accelerator
                .launch(accelerate, Grid::over(len), arguments)?
                .wait()?)
        },
        || {
            // SAFETY: both have `len` elements.
            unsafe { (bench.peer.n_body)(softening, bodies.as_ptr(), peers.as_mut_ptr(), len) }
        },
    )?;
    out.download(&mut ours)?;
    same(&ours, &peers)?;
    Ok(row(bench, "n-body", times))
}
