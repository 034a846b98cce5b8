//! The Mandelbrot set, 1,536 × 1,024: a pixel a work-item, neighbours differ in their steps.

use legionella::prelude::*;

use super::{row, same};
use crate::Bench;
use crate::measure::side_by_side;
use crate::report::Row;

#[derive(Clone, Copy, DeviceData)]
struct View {
    left: f32,
    top: f32,
    pixel: f32,
    limit: u32,
}

fn escape(at: Item, view: View, mut steps: Disjoint<u32>) {
    let Some(steps) = steps.at(&at) else { return };
    let re = view.left + view.pixel * at.x() as f32;
    let im = view.top + view.pixel * at.y() as f32;
    let mut z = (0.0, 0.0);
    let mut step = 0;
    while step < view.limit && z.0 * z.0 + z.1 * z.1 <= 4.0 {
        z = (z.0 * z.0 - z.1 * z.1 + re, 2.0 * z.0 * z.1 + im);
        step += 1;
    }
    *steps = step;
}

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
                .launch(escape, grid, (view, &mut steps))?
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
