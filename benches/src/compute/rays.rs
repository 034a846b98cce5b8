//! Spheres that reflect each other, 768 × 512 pixels: a pixel a work-item, whose ways part at every
//! sphere.

use legionella::prelude::*;

use super::rows;
use crate::Bench;
use crate::data::{numbers, same};
use crate::measure::side_by_side;
use crate::pocl::Call;
use crate::report::Row;

/// A sphere: centre, radius, how much it reflects, and how bright it is.
type Sphere = [f32; 6];

fn dot(a: [f32; 3], b: [f32; 3]) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn along(from: [f32; 3], by: f32, direction: [f32; 3]) -> [f32; 3] {
    [0, 1, 2].map(|d| from[d] + by * direction[d])
}

/// The brightness that a ray meets, over at most eight reflections.
fn trace(spheres: &[Sphere], mut origin: [f32; 3], mut direction: [f32; 3]) -> f32 {
    let (mut light, mut strength) = (0.0, 1.0);
    for _ in 0..8 {
        let (mut nearest, mut hit) = (f32::INFINITY, usize::MAX);
        for (index, sphere) in spheres.iter().enumerate() {
            let to = [0, 1, 2].map(|d| sphere[d] - origin[d]);
            let middle = dot(to, direction);
            let square = sphere[3] * sphere[3] - (dot(to, to) - middle * middle);
            if square > 0.0 {
                let distance = middle - square.sqrt();
                if distance > 1e-3 && distance < nearest {
                    (nearest, hit) = (distance, index);
                }
            }
        }
        if hit == usize::MAX {
            return light + strength * (0.5 + 0.5 * direction[1]);
        }
        let sphere = spheres[hit];
        origin = along(origin, nearest, direction);
        let normal = [0, 1, 2].map(|d| (origin[d] - sphere[d]) / sphere[3]);
        light += strength * sphere[5];
        strength *= sphere[4];
        if strength < 0.01 {
            break;
        }
        direction = along(direction, -2.0 * dot(direction, normal), normal);
    }
    light
}

fn picture(at: Item, spheres: &[Sphere], mut out: Disjoint<f32>) {
    let Some(out) = out.at(&at) else { return };
    let [width, height, _] = at.grid();
    let aim = [
        (at.x() as f32 - 0.5 * width as f32) / width as f32,
        (0.5 * height as f32 - at.y() as f32) / width as f32,
        1.0,
    ];
    let len = dot(aim, aim).sqrt();
    *out = trace(spheres, [0.0, 0.0, -4.0], aim.map(|part| part / len));
}

/// The benchmark.
pub fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let (width, height, count) = (768, 512, 24);
    let random = numbers(1, 6 * count);
    let spheres: Vec<Sphere> = random
        .chunks_exact(6)
        .map(|r| {
            let place = [4.0 * r[0] - 2.0, 3.0 * r[1] - 1.5, 4.0 * r[2] - 1.0];
            let (radius, reflects, bright) = (0.2 + 0.4 * r[3], 0.3 + 0.6 * r[4], 0.3 * r[5]);
            [place[0], place[1], place[2], radius, reflects, bright]
        })
        .collect();
    let accelerator = &bench.accelerator;
    let device_spheres = accelerator.upload(&spheres)?;
    let (mut ours, mut peers) = (vec![0.0; width * height], vec![0.0; width * height]);
    let mut out = accelerator.upload(&ours)?;

    let mut launch = || {
        let grid = Grid::over([width, height]);
        let arguments = (&device_spheres, &mut out);
        Ok(accelerator.launch(picture, grid, arguments)?.wait()?)
    };
    let times = side_by_side(&mut launch, || {
        // SAFETY: `count` spheres, and a picture of `width * height` elements.
        unsafe {
            (bench.peer.rays)(spheres.as_ptr(), count, peers.as_mut_ptr(), width, height);
        }
    })?;
    let pocl = bench.pocl.beside(
        "rays",
        launch,
        |call| {
            call.over(&[width, height])
                .value(count as u32)?
                .buffer(&spheres)?
                .buffer(&vec![0f32; width * height])
        },
        Call::run,
    )?;
    out.download(&mut ours)?;
    same(&ours, &peers)?;
    if let Some(pocl) = &pocl {
        same(&ours, &pocl.read(1, width * height)?)?;
    }
    Ok(rows(bench, "rays", times, pocl.as_ref()))
}
