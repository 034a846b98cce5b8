//! Kernels beside `rayon` code of the same algorithm: inputs on the accelerator, both sides
//! checked to agree, then timed from the launch to its completion.

pub mod black_scholes;
pub mod convolution;
pub mod counts;
pub mod dot;
pub mod mandelbrot;
pub mod matmul;
pub mod n_body;
pub mod rays;
pub mod reduction;
pub mod spmv;
pub mod triad;

use crate::Bench;
use crate::pocl::Beside;
use crate::report::Row;

/// The row of a benchmark timed in seconds.
pub fn row(bench: &Bench, name: &str, (ours, peer): (f64, f64)) -> Vec<Row> {
    vec![Row {
        bench: name.to_owned(),
        target: bench.accelerator.name().to_owned(),
        ours: ours * 1e3,
        peer: peer * 1e3,
        unit: "ms",
    }]
}

/// The same with a row for PoCL, if that was measured.
pub fn rows(bench: &Bench, name: &str, times: (f64, f64), pocl: Option<&Beside<'_>>) -> Vec<Row> {
    let mut rows = row(bench, name, times);
    rows.extend(
        pocl.into_iter()
            .flat_map(|pocl| row(bench, &format!("{name}-pocl"), pocl.times)),
    );
    rows
}
