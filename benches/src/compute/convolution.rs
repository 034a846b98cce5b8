//! 3 × 3 convolution of an image of 4,096 × 4,096: a pixel a work-item.

use legionella::prelude::*;

use super::rows;
use crate::Bench;
use crate::data::{numbers, same};
use crate::kernels::convolve;
use crate::measure::side_by_side;
use crate::pocl::Call;
use crate::report::Row;

/// The benchmark.
pub fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let (width, height) = (1 << 12, 1 << 12);
    let weights = [0.06, 0.12, 0.06, 0.12, 0.28, 0.12, 0.06, 0.12, 0.06];
    let image = numbers(1, width * height);
    let (mut ours, mut peers) = (vec![0.0; image.len()], vec![0.0; image.len()]);
    let accelerator = &bench.accelerator;
    let device_image = accelerator.upload(&image)?;
    let mut out = accelerator.upload(&ours)?;

    let mut launch = || {
        let grid = Grid::over([width, height]);
        let arguments = (weights, &device_image, &mut out);
        Ok(accelerator.launch(convolve, grid, arguments)?.wait()?)
    };
    let times = side_by_side(&mut launch, || {
        let out = peers.as_mut_ptr();
        // SAFETY: image and result have `width * height` elements.
        unsafe { (bench.peer.convolution)(&weights, image.as_ptr(), out, width, height) }
    })?;
    let pocl = bench.pocl.beside(
        "convolution",
        launch,
        |call| {
            call.over(&[width, height])
                .buffer(&weights)?
                .buffer(&image)?
                .buffer(&vec![0f32; image.len()])
        },
        Call::run,
    )?;
    out.download(&mut ours)?;
    same(&ours, &peers)?;
    if let Some(pocl) = &pocl {
        same(&ours, &pocl.read(2, image.len())?)?;
    }
    Ok(rows(bench, "convolution", times, pocl.as_ref()))
}
