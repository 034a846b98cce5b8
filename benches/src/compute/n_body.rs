//! Accelerations of 8,192 bodies by each other's gravity: a body a work-item.

use legionella::prelude::*;

use super::rows;
use crate::Bench;
use crate::data::{numbers, same};
use crate::kernels::n_body;
use crate::measure::side_by_side;
use crate::pocl::Call;
use crate::report::Row;

/// The benchmark.
pub fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let (len, softening) = (1 << 13, 1e-3);
    let bodies = numbers(1, 4 * len).as_chunks::<4>().0.to_vec();
    let (mut ours, mut peers) = (vec![[0.0; 4]; len], vec![[0.0; 4]; len]);
    let accelerator = &bench.accelerator;
    let device_bodies = accelerator.upload(&bodies)?;
    let mut out = accelerator.upload(&ours)?;

    let mut launch = || {
        let arguments = (softening, &device_bodies, &mut out);
        Ok(accelerator
            .launch(n_body, Grid::over(len), arguments)?
            .wait()?)
    };
    let times = side_by_side(&mut launch, || {
        // SAFETY: both have `len` elements.
        unsafe { (bench.peer.n_body)(softening, bodies.as_ptr(), peers.as_mut_ptr(), len) }
    })?;
    let pocl = bench.pocl.beside(
        "n-body",
        launch,
        |call| {
            call.over(&[len])
                .value(softening)?
                .value(len as u32)?
                .buffer(&bodies)?
                .buffer(&vec![[0f32; 4]; len])
        },
        Call::run,
    )?;
    out.download(&mut ours)?;
    same(&ours, &peers)?;
    if let Some(pocl) = &pocl {
        same(&ours, &pocl.read(1, len)?)?;
    }
    Ok(rows(bench, "n-body", times, pocl.as_ref()))
}
