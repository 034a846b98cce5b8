//! The product of a sparse matrix and a vector: 256 Ki rows of 4 to 28 elements, a row a work-item.

use legionella::prelude::*;

use super::rows as rows_of;
use crate::Bench;
use crate::data::{numbers, same};
use crate::measure::side_by_side;
use crate::pocl::Call;
use crate::report::Row;

fn product(
    at: Item,
    starts: &[u32],
    columns: &[u32],
    values: &[f32],
    x: &[f32],
    mut y: Disjoint<f32>,
) {
    let Some(y) = y.at(&at) else { return };
    let row = at.global();
    let range = starts[row] as usize..starts[row + 1] as usize;
    let entries = columns[range.clone()].iter().zip(&values[range]);
    *y = entries
        .map(|(column, value)| value * x[*column as usize])
        .sum();
}

/// The benchmark.
pub fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let rows = 1 << 18;
    let mut starts = vec![0u32];
    for random in numbers(1, rows) {
        let len = 4 + (random * 25.0) as u32;
        starts.push(starts[starts.len() - 1] + len);
    }
    let all = starts[rows] as usize;
    // Near the diagonal mostly, as in matrices of meshes.
    let near = numbers(2, all);
    let mut columns = Vec::with_capacity(all);
    for row in 0..rows {
        for random in &near[starts[row] as usize..starts[row + 1] as usize] {
            let offset = (random * 2048.0) as usize;
            columns.push(((row + offset) % rows) as u32);
        }
    }
    let (values, x) = (numbers(3, all), numbers(4, rows));
    let accelerator = &bench.accelerator;
    let device_starts = accelerator.upload(&starts)?;
    let device_columns = accelerator.upload(&columns)?;
    let (device_values, device_x) = (accelerator.upload(&values)?, accelerator.upload(&x)?);
    let (mut ours, mut peers) = (vec![0.0; rows], vec![0.0; rows]);
    let mut y = accelerator.upload(&ours)?;

    let mut launch = || {
        let arguments = (
            &device_starts,
            &device_columns,
            &device_values,
            &device_x,
            &mut y,
        );
        Ok(accelerator.launch(product, rows, arguments)?.wait()?)
    };
    let times = side_by_side(&mut launch, || {
        // SAFETY: the matrix is as it was made above.
        unsafe {
            (bench.peer.spmv)(
                starts.as_ptr(),
                rows,
                columns.as_ptr(),
                values.as_ptr(),
                x.as_ptr(),
                rows,
                peers.as_mut_ptr(),
            );
        }
    })?;
    let pocl = bench.pocl.beside(
        "spmv",
        launch,
        |call| {
            call.over(&[rows])
                .buffer(&starts)?
                .buffer(&columns)?
                .buffer(&values)?
                .buffer(&x)?
                .buffer(&vec![0f32; rows])
        },
        Call::run,
    )?;
    y.download(&mut ours)?;
    same(&ours, &peers)?;
    if let Some(pocl) = &pocl {
        same(&ours, &pocl.read(4, rows)?)?;
    }
    Ok(rows_of(bench, "spmv", times, pocl.as_ref()))
}
