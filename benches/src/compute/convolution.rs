//! 3 × 3 convolution of an image of 4,096 × 4,096: a pixel a work-item.

use legionella::prelude::*;

use super::{numbers, row, same};
use crate::Bench;
use crate::measure::side_by_side;
use crate::report::Row;

fn convolve(at: Item, w: [f32; 9], image: &[f32], mut out: Disjoint<f32>) {
    let Some(out) = out.at(&at) else { return };
    let [width, height, _] = at.grid();
    let (x, y) = (at.x(), at.y());
    let row = |y: usize| &image[y * width..(y + 1) * width];
    if y == 0 || y + 1 == height || x == 0 || x + 1 == width {
        *out = row(y)[x];
        return;
    }
    let (a, h, b) = (row(y - 1), row(y), row(y + 1));
    *out = w[0] * a[x - 1]
        + w[1] * a[x]
        + w[2] * a[x + 1]
        + w[3] * h[x - 1]
        + w[4] * h[x]
        + w[5] * h[x + 1]
        + w[6] * b[x - 1]
        + w[7] * b[x]
        + w[8] * b[x + 1];
}

/// The benchmark.
pub fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let (width, height) = (1 << 12, 1 << 12);
    let weights = [0.06, 0.12, 0.06, 0.12, 0.28, 0.12, 0.06, 0.12, 0.06];
    let image = numbers(1, width * height);
    let (mut ours, mut peers) = (vec![0.0; image.len()], vec![0.0; image.len()]);
    let accelerator = &bench.accelerator;
    let device_image = accelerator.upload(&image)?;
    let mut out = accelerator.upload(&ours)?;

    let times = side_by_side(
        || {
            let grid = Grid::over([width, height]);
            let arguments = (weights, &device_image, &mut out);
            Ok(accelerator.launch(convolve, grid, arguments)?.wait()?)
        },
        || {
            let out = peers.as_mut_ptr();
            // SAFETY: image and result have `width * height` elements.
            unsafe { (bench.peer.convolution)(&weights, image.as_ptr(), out, width, height) }
        },
    )?;
    out.download(&mut ours)?;
    same(&ours, &peers)?;
    Ok(row(bench, "convolution", times))
}
