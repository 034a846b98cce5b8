//! Peers of kernels whose items do different amounts of work: an item is an element of a parallel
//! iterator.

use std::slice::{from_raw_parts, from_raw_parts_mut};

use rayon::prelude::*;

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

/// A picture of spheres that reflect each other.
///
/// # Safety
/// `spheres` is valid for `count` elements, `out` for writes of `width * height`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peer_rays(
    spheres: *const Sphere,
    count: usize,
    out: *mut f32,
    width: usize,
    height: usize,
) {
    // SAFETY: promised by the caller.
    let (spheres, out) = unsafe {
        (
            from_raw_parts(spheres, count),
            from_raw_parts_mut(out, width * height),
        )
    };
    out.par_chunks_mut(width).enumerate().for_each(|(y, row)| {
        for (x, out) in row.iter_mut().enumerate() {
            let aim = [
                (x as f32 - 0.5 * width as f32) / width as f32,
                (0.5 * height as f32 - y as f32) / width as f32,
                1.0,
            ];
            let len = dot(aim, aim).sqrt();
            *out = trace(spheres, [0.0, 0.0, -4.0], aim.map(|part| part / len));
        }
    });
}

/// The product of a sparse matrix (compressed rows) and a vector.
///
/// # Safety
/// `starts` is valid for `rows + 1` elements that grow up to the number of elements of `columns` and
/// `values`; columns are below `len`, the number of elements of `x`; `y` is valid for writes of
/// `rows` elements.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peer_spmv(
    starts: *const u32,
    rows: usize,
    columns: *const u32,
    values: *const f32,
    x: *const f32,
    len: usize,
    y: *mut f32,
) {
    // SAFETY: promised by the caller.
    let (starts, x, y) = unsafe {
        (
            from_raw_parts(starts, rows + 1),
            from_raw_parts(x, len),
            from_raw_parts_mut(y, rows),
        )
    };
    let all = starts[rows] as usize;
    // SAFETY: promised by the caller.
    let (columns, values) = unsafe { (from_raw_parts(columns, all), from_raw_parts(values, all)) };
    y.par_iter_mut().enumerate().for_each(|(row, y)| {
        let range = starts[row] as usize..starts[row + 1] as usize;
        let entries = columns[range.clone()].iter().zip(&values[range]);
        *y = entries
            .map(|(column, value)| value * x[*column as usize])
            .sum();
    });
}
