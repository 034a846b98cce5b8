//! The product of a sparse matrix and a vector: 256 Ki rows of 4 to 28 elements, a row a work-item.

use super::rows as rows_of;
use crate::Bench;
use crate::data::{numbers, same};
use crate::kernels::spmv;
use crate::measure::side_by_side;
use crate::pocl::Call;
use crate::report::Row;
use crate::sparse::Matrix;

/// The benchmark.
pub fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let rows = 1 << 18;
    let Matrix {
        starts,
        columns,
        values,
    } = Matrix::near_the_diagonal(rows);
    let x = numbers(4, rows);
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
        Ok(accelerator.launch(spmv, rows, arguments)?.wait()?)
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
