//! The product of two matrices of 512 rows and columns: an element a work-item, groups of 16 × 16 with
//! tiles in shared memory.

use legionella::prelude::*;

use super::rows;
use crate::Bench;
use crate::data::{numbers, same};
use crate::measure::side_by_side;
use crate::pocl::Call;
use crate::report::Row;

fn product(
    group: Group,
    n: usize,
    a: &[f32],
    b: &[f32],
    mut c: Disjoint<f32>,
    tile_a: Shared<[f32; 256]>,
    tile_b: Shared<[f32; 256]>,
) {
    let ([x0, y0, _], [x, y, _]) = (group.first(), group.local());
    let at = |m: &[f32], x: usize, y: usize| if x < n && y < n { m[y * n + x] } else { 0.0 };
    let (mut tile_a, mut tile_b) = (tile_a.filled(0.0), tile_b.filled(0.0));
    let mut sum = 0.0;
    for k0 in (0..n).step_by(16) {
        tile_a.fill(|i| at(a, k0 + i % 16, y0 + i / 16));
        tile_b.fill(|i| at(b, x0 + i % 16, k0 + i / 16));
        let (part_a, part_b) = group.sync((tile_a, tile_b));
        for k in 0..16 {
            sum += part_a[16 * y + k] * part_b[16 * k + x];
        }
        (tile_a, tile_b) = group.sync((part_a, part_b));
    }
    if let Some(c) = c.at(group.item()) {
        *c = sum;
    }
}

/// The benchmark.
pub fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let n = 512;
    let (a, b) = (numbers(1, n * n), numbers(2, n * n));
    let accelerator = &bench.accelerator;
    let (device_a, device_b) = (accelerator.upload(&a)?, accelerator.upload(&b)?);
    let (mut ours, mut peers) = (vec![0.0; n * n], vec![0.0; n * n]);
    let mut c = accelerator.upload(&ours)?;
    let grid = Grid::over([n, n]).group([16, 16]);

    let mut launch = || {
        let arguments = (n, &device_a, &device_b, &mut c, shared(), shared());
        Ok(accelerator.launch(product, grid, arguments)?.wait()?)
    };
    let times = side_by_side(&mut launch, || {
        // SAFETY: all have `n * n` elements.
        unsafe { (bench.peer.matmul)(n, a.as_ptr(), b.as_ptr(), peers.as_mut_ptr()) }
    })?;
    let pocl = bench.pocl.beside(
        "matmul",
        launch,
        |call| {
            call.over(&[n, n])
                .group(&[16, 16])
                .value(n as u32)?
                .buffer(&a)?
                .buffer(&b)?
                .buffer(&vec![0f32; n * n])
        },
        Call::run,
    )?;
    c.download(&mut ours)?;
    same(&ours, &peers)?;
    if let Some(pocl) = &pocl {
        same(&ours, &pocl.read(2, n * n)?)?;
    }
    Ok(rows(bench, "matmul", times, pocl.as_ref()))
}
