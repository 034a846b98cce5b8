//! Fast Fourier transforms of any mix of radices, in shared memory and in registers.

use legionella::prelude::*;

use crate::both::both;
use crate::suite::Suite;
use crate::trial::{Failure, Trial, Verdict, output};

type Complex = [f32; 2];

fn times([a, b]: Complex, [c, d]: Complex) -> Complex {
    [a * c - b * d, a * d + b * c]
}

fn plus([a, b]: Complex, [c, d]: Complex) -> Complex {
    [a + c, b + d]
}

/// Most factors of a length.
const FACTORS: usize = 6;

/// A transform of as many points as a group has items, whose length is the product of `radices`
/// (zeros at the end don't count). Each item computes one point a stage; `roots` are those of unity.
fn mixed(
    group: Group,
    radices: [u32; FACTORS],
    x: &[Complex],
    roots: &[Complex],
    tile: Shared<[Complex]>,
    mut out: Disjoint<Complex>,
) {
    let (len, rank) = (group.len(), group.rank());
    let first = group.item().global() - rank;
    let mut tile = tile.fill(|i| x[first + i]);
    // Points of the transforms that are done.
    let mut done = 1;
    for radix in radices.map(|radix| radix as usize) {
        if radix == 0 {
            break;
        }
        let all = group.sync(tile);
        let size = done * radix;
        let (transform, place) = (rank / size, rank % size);
        let mut sum = [0.0; 2];
        for part in 0..radix {
            let point = all[(transform + part * (len / size)) * done + place % done];
            sum = plus(sum, times(point, roots[part * place % size * (len / size)]));
        }
        tile = group.sync(all);
        if let Some(own) = tile.own() {
            *own = sum;
        }
        done = size;
    }
    let found = tile.own().map(|own| *own);
    if let (Some(found), Some(out)) = (found, out.at(group.item())) {
        *out = found;
    }
}

/// A transform of 64 points by items that have `R` of them in registers. They exchange points by address.
fn in_registers<const R: usize>(
    group: Group,
    x: &[Complex],
    roots: &[Complex],
    tile: Shared<[Complex; 64]>,
    mut out: Tiles<Complex, R>,
) {
    let (rank, count) = (group.rank(), 64 / R);
    let first = group.index() * 64;
    let start = tile.into_raw();
    let mut mine: [Complex; R] = std::array::from_fn(|part| x[first + rank + part * count]);
    let mut done = 1;
    loop {
        // Points `rank + part * count` are here; the transforms of `done` points that they are of
        // become transforms of `R` times as many.
        let (transform, place) = (rank / done, rank % done);
        let size = done * R;
        let turned: [Complex; R] =
            std::array::from_fn(|part| times(mine[part], roots[part * place * (64 / size)]));
        mine = std::array::from_fn(|point| {
            let root = |part: usize| roots[part * point % R * (64 / R)];
            (1..R).fold(turned[0], |sum, part| {
                plus(sum, times(turned[part], root(part)))
            })
        });
        for (point, value) in mine.iter().enumerate() {
            // SAFETY: items write 64 different points: `place < done` and `point < R`.
            unsafe {
                start
                    .add(transform * size + point * done + place)
                    .write(*value)
            };
        }
        group.barrier();
        done = size;
        if done == 64 {
            break;
        }
        // SAFETY: all points are written, and only read up to the next barrier.
        mine = std::array::from_fn(|part| unsafe { start.add(rank + part * count).read() });
        group.barrier();
    }
    // SAFETY: all points are written, and only read from here on.
    let result = std::array::from_fn(|point| unsafe { start.add(rank * R + point).read() });
    if let Some(out) = out.at(group.item()) {
        *out = result;
    }
}

/// Roots of unity.
fn roots(len: usize) -> Vec<Complex> {
    let root = |k: usize| {
        let angle = -std::f64::consts::TAU * k as f64 / len as f64;
        [angle.cos() as f32, angle.sin() as f32]
    };
    (0..len).map(root).collect()
}

fn points(len: usize) -> Vec<Complex> {
    let point = |i: usize| [(i as f32 * 0.3).sin(), (i % 5) as f32 - 2.0];
    (0..len).map(point).collect()
}

/// That the first `len` points of a result are the transform of the first points, by its definition.
fn transforms(x: &[Complex], found: &[Complex], len: usize) -> Verdict {
    for (k, found) in found[..len].iter().enumerate() {
        let mut sum = [0.0f64; 2];
        for (i, x) in x[..len].iter().enumerate() {
            let angle = -std::f64::consts::TAU * (i * k % len) as f64 / len as f64;
            let (re, im) = (f64::from(x[0]), f64::from(x[1]));
            sum[0] += re * angle.cos() - im * angle.sin();
            sum[1] += re * angle.sin() + im * angle.cos();
        }
        let error = (sum[0] - f64::from(found[0])).hypot(sum[1] - f64::from(found[1]));
        if error > 1e-4 * len as f64 {
            return Err(Failure::unexpected(
                format!("{sum:?} at {k} of {len}"),
                format!("{found:?}"),
            ));
        }
    }
    Ok(())
}

fn mixed_radices(t: &mut Trial, factors: &[u32]) -> Verdict {
    let mut radices = [0; FACTORS];
    radices[..factors.len()].copy_from_slice(factors);
    let len = factors.iter().product::<u32>() as usize;
    let (x, roots) = (points(3 * len), roots(len));
    let out = output::<Complex>(3 * len);
    let grid = Grid::over(3 * len).group(len);
    both!(
        t, mixed, grid, [value radices], [read x], [read roots], [shared slice len], [write out]
    )?;
    let mut found = t.accelerator.upload(&out)?;
    let arguments = (
        radices,
        &t.accelerator.upload(&x)?,
        &t.accelerator.upload(&roots)?,
        shared_slice(len),
        &mut found,
    );
    t.accelerator.launch(mixed, grid, arguments)?;
    transforms(&x, &found.to_vec()?, len)
}

fn one_radix<const R: usize>(t: &mut Trial) -> Verdict {
    let (x, roots) = (points(192), roots(64));
    let out = output::<Complex>(192);
    let grid = Grid::over(192 / R).group(64 / R);
    both!(t, in_registers::<R>, grid, [read x], [read roots], [shared array], [tiles R out])?;
    let mut found = t.accelerator.upload(&out)?;
    let arguments = (
        &t.accelerator.upload(&x)?,
        &t.accelerator.upload(&roots)?,
        shared(),
        found.tiles::<R>(),
    );
    t.accelerator.launch(in_registers::<R>, grid, arguments)?;
    transforms(&x, &found.to_vec()?, 64)
}

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    suite.case("groups/fourier_radix_2_in_registers", one_radix::<2>);
    suite.case("groups/fourier_radix_4_in_registers", one_radix::<4>);
    suite.case("groups/fourier_radix_8_in_registers", one_radix::<8>);
    suite.case("groups/fourier_radix_4", |t| mixed_radices(t, &[4, 4, 4]));
    suite.case("groups/fourier_radix_8", |t| mixed_radices(t, &[8, 8]));
    suite.case("groups/fourier_radix_3_to_7", |t| {
        for radix in 3..8 {
            mixed_radices(t, &[radix, radix])?;
        }
        Ok(())
    });
    suite.case("groups/fourier_mixed", |t| {
        mixed_radices(t, &[2, 3, 4, 5])?;
        mixed_radices(t, &[8, 4, 3])?;
        mixed_radices(t, &[7, 2, 2, 2, 2])
    });
}
