//! Accelerations of 8,192 bodies by each other's gravity: a body a work-item.

use legionella::prelude::*;

use super::row;
use crate::Bench;
use crate::data::{numbers, same};
use crate::kernels::n_body;
use crate::measure::side_by_side;
use crate::report::Row;

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
                .launch(n_body, Grid::over(len), arguments)?
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
