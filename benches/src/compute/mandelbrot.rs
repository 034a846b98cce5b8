//! The Mandelbrot set, 1,536 × 1,024: a pixel a work-item, neighbours differ in their steps.

use legionella::prelude::*;

use super::rows;
use crate::Bench;
use crate::data::same;
use crate::kernels::{View, mandelbrot};
use crate::measure::side_by_side;
use crate::pocl::Call;
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

    let mut launch = || {
        let grid = Grid::over([width, height]);
        Ok(accelerator
            .launch(mandelbrot, grid, (view, &mut steps))?
            .wait()?)
    };
    let times = side_by_side(&mut launch, || {
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
    })?;
    let pocl = bench.pocl.beside(
        "mandelbrot",
        launch,
        |call| {
            call.over(&[width, height])
                .value(view.left)?
                .value(view.top)?
                .value(view.pixel)?
                .value(view.limit)?
                .buffer(&vec![0u32; width * height])
        },
        Call::run,
    )?;
    steps.download(&mut ours)?;
    same(&ours, &peers)?;
    if let Some(pocl) = &pocl {
        same(&ours, &pocl.read(0, width * height)?)?;
    }
    Ok(rows(bench, "mandelbrot", times, pocl.as_ref()))
}
