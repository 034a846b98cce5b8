//! The Mandelbrot set, 1,536 × 1,024: a pixel a work-item, neighbours differ in their steps.

use legionella::prelude::*;

use super::row;
use crate::Bench;
use crate::data::same;
use crate::kernels::{View, mandelbrot};
use crate::measure::side_by_side;
use crate::report::Row;

/// The benchmark.
pub fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let (width, height) = (1536, 1024);
    let view = View {
        left: -2.2,
        top: -1.0,
        pixel: 3.0 / width as f32,
        limit: 256,
    };
    let (mut ours, mut peers) = (vec![0; width * height], vec![0; width * height]);
    let accelerator = &bench.accelerator;
    let mut steps = accelerator.upload(&ours)?;

    let times = side_by_side(
        || {
            let grid = Grid::over([width, height]);
            Ok(accelerator
                .launch(mandelbrot, grid, (view, &mut steps))?
                .wait()?)
        },
        || {
            let View {
                left,
                top,
                pixel,
                limit,
            } = view;
            // SAFETY: the picture has `width * height` elements.
            unsafe {
                (bench.peer.mandelbrot)(left, top, pixel, limit, peers.as_mut_ptr(), width, height);
            }
        },
    )?;
    steps.download(&mut ours)?;
    same(&ours, &peers)?;
    Ok(row(bench, "mandelbrot", times))
}
