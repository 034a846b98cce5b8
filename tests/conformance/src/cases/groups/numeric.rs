//! Linear algebra, stencils and transforms in shared memory.

use std::ops::{AddAssign, Mul};

use legionella::prelude::*;

use crate::bits::Bits;
use crate::both::both;
use crate::suite::Suite;
use crate::trial::{Trial, Verdict, output};

/// A matrix product in tiles of 8 × 8.
fn product<T: DeviceData + Default + Mul<Output = T> + AddAssign>(
    group: Group,
    n: usize,
    a: &[T],
    b: &[T],
    tile_a: Shared<[T; 64]>,
    tile_b: Shared<[T; 64]>,
    mut c: Disjoint<T>,
) {
    let ([x0, y0, _], [x, y, _]) = (group.first(), group.local());
    let at = |m: &[T], x: usize, y: usize| {
        if x < n && y < n {
            m[y * n + x]
        } else {
            T::default()
        }
    };
    let (mut tile_a, mut tile_b) = (tile_a.filled(T::default()), tile_b.filled(T::default()));
    let mut sum = T::default();
    for k0 in (0..n).step_by(8) {
        tile_a.fill(|i| at(a, k0 + i % 8, y0 + i / 8));
        tile_b.fill(|i| at(b, x0 + i % 8, k0 + i / 8));
        let (part_a, part_b) = group.sync((tile_a, tile_b));
        for k in 0..8 {
            sum += part_a[8 * y + k] * part_b[8 * k + x];
        }
        (tile_a, tile_b) = group.sync((part_a, part_b));
    }
    if let Some(c) = c.at(group.item()) {
        *c = sum;
    }
}

fn products<T: DeviceData + Bits + Default + Mul<Output = T> + AddAssign>(
    t: &mut Trial,
    element: impl Fn(usize) -> T,
) -> Verdict {
    for n in [1, 7, 8, 19] {
        let a: Vec<T> = (0..n * n).map(&element).collect();
        let b: Vec<T> = (0..n * n).map(|i| element(i * 3 + 1)).collect();
        let c = output::<T>(n * n);
        let grid = Grid::over([n, n]).group([8, 8]);
        both!(
            t, product::<T>, grid,
            [value n], [read a], [read b], [shared array], [shared array], [write c]
        )?;
    }
    Ok(())
}

/// Transposes tiles of 16 × 16, so that reading and writing both go along rows.
fn transpose(
    group: Group,
    [width, height]: [usize; 2],
    x: &[u16],
    tile: Shared<[u16; 256]>,
    mut out: Disjoint<u16>,
) {
    // The grid is that of the result: `height` wide, `width` high.
    let ([x0, y0, _], [column, row, _]) = (group.first(), group.local());
    let tile = tile.fill(|i| {
        let (from_x, from_y) = (y0 + i % 16, x0 + i / 16);
        if from_x < width && from_y < height {
            x[from_y * width + from_x]
        } else {
            0
        }
    });
    let tile = group.sync(tile);
    if let Some(out) = out.at(group.item()) {
        *out = tile[column * 16 + row];
    }
}

/// A 3 × 3 mean with a halo of one element round a tile of 8 × 8.
fn stencil(
    group: Group,
    [width, height]: [usize; 2],
    x: &[f32],
    tile: Shared<[f32; 100]>,
    mut out: Disjoint<f32>,
) {
    let ([x0, y0, _], [column, row, _]) = (group.first(), group.local());
    let tile = tile.fill(|i| {
        let (from_x, from_y) = ((x0 + i % 10).wrapping_sub(1), (y0 + i / 10).wrapping_sub(1));
        if from_x < width && from_y < height {
            x[from_y * width + from_x]
        } else {
            0.0
        }
    });
    let tile = group.sync(tile);
    let mut sum = 0.0;
    for dy in 0..3 {
        for dx in 0..3 {
            sum += tile[(row + dy) * 10 + column + dx];
        }
    }
    if let Some(out) = out.at(group.item()) {
        *out = sum / 9.0;
    }
}

type Complex = [f32; 2];

fn times([a, b]: Complex, [c, d]: Complex) -> Complex {
    [a * c - b * d, a * d + b * c]
}

/// Fast Fourier transform of 64 points, radix 2; roots of unity come from the host.
fn fourier(
    group: Group,
    x: &[Complex],
    roots: &[Complex],
    tile: Shared<[Complex; 64]>,
    mut out: Disjoint<Complex>,
) {
    let rank = group.rank();
    let first = group.item().global() - rank;
    let mut tile = tile.fill(|i| x[first + (i as u32).reverse_bits() as usize / (1 << 26)]);
    let mut half = 1;
    while half < 64 {
        let all = group.sync(tile);
        let place = rank % (2 * half);
        let (even, odd) = if place < half {
            (rank, rank + half)
        } else {
            (rank - half, rank)
        };
        let turned = times(all[odd], roots[(place % half) * (32 / half)]);
        let sign = if place < half { 1.0 } else { -1.0 };
        let mine = [
            all[even][0] + sign * turned[0],
            all[even][1] + sign * turned[1],
        ];
        tile = group.sync(all);
        if let Some(own) = tile.own() {
            *own = mine;
        }
        half *= 2;
    }
    let found = tile.own().map(|own| *own);
    if let (Some(found), Some(out)) = (found, out.at(group.item())) {
        *out = found;
    }
}

/// The sum of what all items have, in the order of their ranks.
fn sum<'g>(
    group: &Group<'_>,
    mut tile: legionella::Writable<'g, [f64; 64]>,
    mine: f64,
) -> (f64, legionella::Writable<'g, [f64; 64]>) {
    if let Some(own) = tile.own() {
        *own = mine;
    }
    let all = group.sync(tile);
    let sum = all[..group.len()].iter().sum();
    (sum, group.sync(all))
}

/// Conjugate gradients for a sparse matrix in compressed rows, one unknown an item.
fn conjugate_gradients(
    group: Group,
    [starts, columns]: [&[u32]; 2],
    entries: &[f64],
    right: &[f64],
    scratch: Shared<[f64; 64]>,
    direction: Shared<[f64; 64]>,
    mut out: Disjoint<(f64, u32)>,
) {
    let rank = group.rank();
    let row = starts[rank] as usize..starts[rank + 1] as usize;
    let mut scratch = scratch.filled(0.0);
    let (mut x, mut residual, mut mine) = (0.0, right[rank], right[rank]);
    let mut direction = direction.filled(0.0);
    let mut square;
    (square, scratch) = sum(&group, scratch, residual * residual);
    let mut rounds = 0;
    while square > 1e-20 && rounds < 100 {
        if let Some(own) = direction.own() {
            *own = mine;
        }
        let all = group.sync(direction);
        let applied: f64 = row
            .clone()
            .map(|k| entries[k] * all[columns[k] as usize])
            .sum();
        direction = group.sync(all);
        let curvature;
        (curvature, scratch) = sum(&group, scratch, mine * applied);
        let step = square / curvature;
        x += step * mine;
        residual -= step * applied;
        let next;
        (next, scratch) = sum(&group, scratch, residual * residual);
        mine = residual + next / square * mine;
        square = next;
        rounds += 1;
    }
    if let Some(out) = out.at(group.item()) {
        *out = (x, rounds);
    }
}

/// The kernel with one slice for each parameter.
#[allow(clippy::too_many_arguments, reason = "a matrix is three slices")]
fn solve(
    group: Group,
    starts: &[u32],
    columns: &[u32],
    entries: &[f64],
    right: &[f64],
    scratch: Shared<[f64; 64]>,
    direction: Shared<[f64; 64]>,
    out: Disjoint<(f64, u32)>,
) {
    conjugate_gradients(
        group,
        [starts, columns],
        entries,
        right,
        scratch,
        direction,
        out,
    );
}

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    suite.case("groups/matrix_product_f32", |t| {
        products(t, |i| (i as f32 * 0.7).sin())
    });
    suite.case("groups/matrix_product_f64", |t| {
        products(t, |i| 1.0 / (i as f64 + 1.0))
    });
    suite.case("groups/matrix_product_i32", |t| {
        products(t, |i| i as i32 % 17 - 8)
    });
    suite.case("groups/transpose", |t| {
        for [width, height] in [[16, 16], [33, 20], [1, 40], [5, 1]] {
            let x: Vec<u16> = (0..width * height).map(|i| i as u16).collect();
            let out = output::<u16>(width * height);
            let grid = Grid::over([height, width]).group([16, 16]);
            both!(t, transpose, grid, [value [width, height]], [read x], [shared array], [write out])?;
        }
        Ok(())
    });
    suite.case("groups/stencil", |t| {
        for [width, height] in [[8, 8], [30, 21], [3, 3], [1, 17]] {
            let x: Vec<f32> = (0..width * height).map(|i| (i as f32).sqrt()).collect();
            let out = output::<f32>(width * height);
            let grid = Grid::over([width, height]).group([8, 8]);
            both!(t, stencil, grid, [value [width, height]], [read x], [shared array], [write out])?;
        }
        Ok(())
    });
    suite.case("groups/fourier", |t| {
        let x: Vec<Complex> = (0..192)
            .map(|i| [(i as f32 * 0.3).sin(), (i % 5) as f32])
            .collect();
        let roots: Vec<Complex> = (0..32)
            .map(|k| {
                let angle = -std::f32::consts::PI * k as f32 / 32.0;
                [angle.cos(), angle.sin()]
            })
            .collect();
        let out = output::<Complex>(192);
        let grid = Grid::over(192).group(64);
        both!(t, fourier, grid, [read x], [read roots], [shared array], [write out])
    });
    suite.case("groups/conjugate_gradients", |t| {
        // The five-point Laplacian on 8 × 8 points.
        let (mut starts, mut columns, mut entries) = (vec![0u32], Vec::new(), Vec::new());
        for point in 0..64usize {
            let (x, y) = (point % 8, point / 8);
            let mut put = |inside: bool, column: usize, entry: f64| {
                if inside {
                    columns.push(column as u32);
                    entries.push(entry);
                }
            };
            put(y > 0, point.wrapping_sub(8), -1.0);
            put(x > 0, point.wrapping_sub(1), -1.0);
            put(true, point, 4.0);
            put(x < 7, point + 1, -1.0);
            put(y < 7, point + 8, -1.0);
            starts.push(columns.len() as u32);
        }
        let right: Vec<f64> = (0..64).map(|i| f64::from(i % 7) - 3.0).collect();
        let out = output::<(f64, u32)>(64);
        both!(
            t, solve, Grid::over(64).group(64),
            [read starts], [read columns], [read entries], [read right],
            [shared array], [shared array], [write out]
        )
    });
}
