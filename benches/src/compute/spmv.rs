//! The product of a sparse matrix and a vector: 256 Ki rows of 4 to 28 elements, a row a work-item.

use super::row;
use crate::Bench;
use crate::data::{numbers, same};
use crate::kernels::spmv;
use crate::measure::side_by_side;
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

    let times = side_by_side(
        || {
            let arguments = (
                &device_starts,
                &device_columns,
                &device_values,
                &device_x,
                &mut y,
            );
            Ok(accelerator.launch(spmv, rows, arguments)?.wait()?)
        },
        || {
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
        },
    )?;
    y.download(&mut ours)?;
    same(&ours, &peers)?;
    Ok(row(bench, "spmv", times))
}
