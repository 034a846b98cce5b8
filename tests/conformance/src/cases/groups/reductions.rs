//! Sums, scans and selections of a group, by several methods each.

use std::sync::atomic::{AtomicU32, Ordering};

use legionella::prelude::*;

use crate::both::both;
use crate::suite::Suite;
use crate::trial::output;

/// By halving: in each step the lower half adds what the upper half has.
fn sum_by_halving(group: Group, x: &[f32], tile: Shared<[f32; 256]>, mut sums: Disjoint<f32>) {
    let mut mine = x.get(group.item().global()).copied().unwrap_or(0.0);
    let mut tile = tile.filled(0.0);
    let mut half = 128;
    while half > 0 {
        if let Some(own) = tile.own() {
            *own = mine;
        }
        let all = group.sync(tile);
        if group.rank() < half {
            mine += all[group.rank() + half];
        }
        tile = group.sync(all);
        half /= 2;
    }
    if let Some(sum) = sums.at(group.item()) {
        *sum = mine;
    }
}

/// Within subgroups first, then over the subgroups' sums.
fn sum_by_subgroups(group: Group, x: &[f32], tile: Shared<[f32; 64]>, mut sums: Disjoint<f32>) {
    let subgroup = group.subgroup();
    let stride = group.item().grid_len();
    let mine = x.iter().skip(group.item().global()).step_by(stride).sum();
    let sum = subgroup.reduce(mine, |a, b| a + b);
    // Every item writes the sum of its subgroup where its own element is; one of each counts.
    let mut partial = tile.filled(0.0);
    if let Some(own) = partial.own() {
        *own = sum;
    }
    let partial = group.sync(partial);
    let mut total = 0.0;
    for first in (0..group.len()).step_by(subgroup.size()) {
        total += partial[first];
    }
    if let Some(sum) = sums.at(group.item()) {
        *sum = total;
    }
}

/// In atomics, which is exact for integers in any order.
fn sum_by_atomics(group: Group, x: &[u32], sum: Shared<[AtomicU32; 1]>, mut sums: Disjoint<u32>) {
    let sum = group.sync(sum.fill(|_| AtomicU32::new(0)));
    if let Some(x) = x.get(group.item().global()) {
        sum[0].fetch_add(*x, Ordering::Relaxed);
    }
    group.barrier();
    if let Some(out) = sums.at(group.item()) {
        *out = sum[0].load(Ordering::Relaxed);
    }
}

/// Hillis and Steele: every item adds what lies twice as far before it in each step.
fn inclusive_scan(group: Group, x: &[u32], tile: Shared<[u32; 256]>, mut out: Disjoint<u32>) {
    let mut mine = x.get(group.item().global()).copied().unwrap_or(0);
    let mut tile = tile.filled(0);
    let mut distance = 1;
    while distance < group.len() {
        if let Some(own) = tile.own() {
            *own = mine;
        }
        let all = group.sync(tile);
        if let Some(before) = group.rank().checked_sub(distance) {
            mine = mine.wrapping_add(all[before]);
        }
        tile = group.sync(all);
        distance *= 2;
    }
    if let Some(out) = out.at(group.item()) {
        *out = mine;
    }
}

/// Blelloch: sums up a tree, then hands them down again.
fn exclusive_scan(group: Group, x: &[i64], tile: Shared<[i64; 128]>, mut out: Disjoint<i64>) {
    let rank = group.rank();
    let first = group.item().global() - rank;
    let mut tile = tile.fill(|i| x.get(first + i).copied().unwrap_or(0));
    let mut width = 2;
    while width <= 128 {
        let all = group.sync(tile);
        let ends = |i: usize| (i + 1).is_multiple_of(width);
        let left = ends(rank).then(|| all[rank - width / 2]);
        tile = group.sync(all);
        if let (Some(left), Some(own)) = (left, tile.own()) {
            *own = own.wrapping_add(left);
        }
        width *= 2;
    }
    if let (127, Some(own)) = (rank, tile.own()) {
        *own = 0;
    }
    while width > 2 {
        width /= 2;
        let all = group.sync(tile);
        let half = width / 2;
        let new = match (rank + 1) % width {
            0 => Some(all[rank].wrapping_add(all[rank - half])),
            place if place == half => Some(all[rank + half]),
            _ => None,
        };
        tile = group.sync(all);
        if let (Some(new), Some(own)) = (new, tile.own()) {
            *own = new;
        }
    }
    let found = tile.own().map(|own| *own);
    if let (Some(found), Some(out)) = (found, out.at(group.item())) {
        *out = found;
    }
}

/// Moves what passes a test to the front of the group's elements, in order.
fn compact(
    group: Group,
    test: impl Fn(u32) -> bool,
    x: &[u32],
    counts: Shared<[u32; 64]>,
    kept: Shared<[AtomicU32; 64]>,
    mut out: Disjoint<u32>,
) {
    let mine = x.get(group.item().global()).copied().filter(|x| test(*x));
    let mut flags = counts.filled(0);
    if let Some(own) = flags.own() {
        *own = u32::from(mine.is_some());
    }
    let kept = kept.fill(|_| AtomicU32::new(u32::MAX));
    let (flags, kept) = group.sync((flags, kept));
    if let Some(mine) = mine {
        let place: u32 = flags[..group.rank()].iter().sum();
        kept[place as usize].store(mine, Ordering::Relaxed);
    }
    group.barrier();
    if let Some(out) = out.at(group.item()) {
        *out = kept[group.rank()].load(Ordering::Relaxed);
    }
}

/// The largest element and where it is; of equal ones the first.
fn largest(
    group: Group,
    x: &[f64],
    tile: Shared<[(f64, u32); 128]>,
    mut out: Disjoint<(f64, u32)>,
) {
    let at = group.item().global();
    let mut best = (x.get(at).copied().unwrap_or(f64::MIN), at as u32);
    let mut tile = tile.filled((f64::MIN, u32::MAX));
    let mut half = 64;
    while half > 0 {
        if let Some(own) = tile.own() {
            *own = best;
        }
        let all = group.sync(tile);
        if group.rank() < half {
            let other = all[group.rank() + half];
            if other.0 > best.0 || (other.0 == best.0 && other.1 < best.1) {
                best = other;
            }
        }
        tile = group.sync(all);
        half /= 2;
    }
    if let Some(out) = out.at(group.item()) {
        *out = best;
    }
}

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    suite.case("groups/sum_by_halving", |t| {
        let x: Vec<f32> = (0..1000).map(|i| (i as f32 * 0.37).sin()).collect();
        let sums = output::<f32>(1000);
        let grid = Grid::over(1000).group(256);
        both!(t, sum_by_halving, grid, [read x], [shared array], [write sums])
    });
    suite.case("groups/sum_by_subgroups", |t| {
        let x: Vec<f32> = (0..3000).map(|i| 1.0 / (i as f32 + 1.0)).collect();
        let sums = output::<f32>(150);
        let grid = Grid::over(150).group(64);
        both!(t, sum_by_subgroups, grid, [read x], [shared array], [write sums])
    });
    suite.case("groups/sum_by_atomics", |t| {
        let x: Vec<u32> = (0..777).map(|i| i * i * i).collect();
        let sums = output::<u32>(1000);
        let grid = Grid::over(1000).group(100);
        both!(t, sum_by_atomics, grid, [read x], [shared array], [write sums])
    });
    suite.case("groups/inclusive_scan", |t| {
        let x: Vec<u32> = (0..1000).map(|i| i ^ 0x55).collect();
        let out = output::<u32>(1000);
        for size in [1, 2, 100, 256] {
            let grid = Grid::over(1000).group(size);
            both!(t, inclusive_scan, grid, [read x], [shared array], [write out])?;
        }
        Ok(())
    });
    suite.case("groups/exclusive_scan", |t| {
        let x: Vec<i64> = (0..256).map(|i| i * i - 999).collect();
        let out = output::<i64>(256);
        let grid = Grid::over(256).group(128);
        both!(t, exclusive_scan, grid, [read x], [shared array], [write out])
    });
    suite.case("groups/compact", |t| {
        let x: Vec<u32> = (0..200u32)
            .map(|i| i.wrapping_mul(0x9e37_79b9) >> 20)
            .collect();
        let out = output::<u32>(200);
        let kernel = |group: Group,
                      x: &[u32],
                      counts: Shared<[u32; 64]>,
                      kept: Shared<[AtomicU32; 64]>,
                      out: Disjoint<u32>| {
            compact(group, |x| x % 3 != 0, x, counts, kept, out);
        };
        let grid = Grid::over(200).group(64);
        both!(t, kernel, grid, [read x], [shared array], [shared array], [write out])
    });
    suite.case("groups/largest", |t| {
        let x: Vec<f64> = (0..300).map(|i| f64::from(i * 37 % 101) / 3.0).collect();
        let out = output::<(f64, u32)>(300);
        let grid = Grid::over(300).group(128);
        both!(t, largest, grid, [read x], [shared array], [write out])
    });
}
