//! `a = b + s * c` on 16 Mi numbers: bound by memory.

use legionella::prelude::*;

use super::rows;
use crate::Bench;
use crate::data::{numbers, same};
use crate::measure::side_by_side;
use crate::pocl::Call;
use crate::report::Row;

fn triad(at: Item, s: f32, b: &[f32], c: &[f32], mut a: Disjoint<f32>) {
    if let Some(a) = a.at(&at) {
        *a = b[at.global()] + s * c[at.global()];
    }
}

/// The benchmark.
pub fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let (len, s) = (1 << 24, 3.0);
    let (b, c) = (numbers(1, len), numbers(2, len));
    let (mut ours, mut peers) = (vec![0.0; len], vec![0.0; len]);
    let accelerator = &bench.accelerator;
    let (device_b, device_c) = (accelerator.upload(&b)?, accelerator.upload(&c)?);
    let mut device_a = accelerator.upload(&ours)?;

    let mut launch = || {
        let arguments = (s, &device_b, &device_c, &mut device_a);
        Ok(accelerator
            .launch(triad, Grid::over(len), arguments)?
            .wait()?)
    };
    let times = side_by_side(&mut launch, || {
        // SAFETY: all three have `len` elements.
        unsafe { (bench.peer.triad)(s, b.as_ptr(), c.as_ptr(), peers.as_mut_ptr(), len) }
    })?;
    let pocl = bench.pocl.beside(
        "triad",
        launch,
        |call| {
            call.over(&[len])
                .value(s)?
                .buffer(&b)?
                .buffer(&c)?
                .buffer(&vec![0f32; len])
        },
        Call::run,
    )?;
    device_a.download(&mut ours)?;
    same(&ours, &peers)?;
    if let Some(pocl) = &pocl {
        same(&ours, &pocl.read(2, len)?)?;
    }
    Ok(rows(bench, "triad", times, pocl.as_ref()))
}
