//! Sorting networks and radix sorts of a group.

use std::sync::atomic::{AtomicU32, Ordering};

use legionella::prelude::*;

use crate::both::both;
use crate::suite::Suite;
use crate::trial::output;

/// Bitonic sort of 128 elements.
fn bitonic(group: Group, x: &[i32], tile: Shared<[i32; 128]>, mut out: Disjoint<i32>) {
    let rank = group.rank();
    let first = group.item().global() - rank;
    let mut tile = tile.fill(|i| x.get(first + i).copied().unwrap_or(i32::MAX));
    let mut mine = i32::MAX;
    let mut run = 2;
    while run <= 128 {
        let mut distance = run / 2;
        while distance > 0 {
            let all = group.sync(tile);
            let other = all[rank ^ distance];
            let ascending = rank & run == 0;
            let keeps_smaller = (rank & distance == 0) == ascending;
            mine = if keeps_smaller {
                all[rank].min(other)
            } else {
                all[rank].max(other)
            };
            tile = group.sync(all);
            if let Some(own) = tile.own() {
                *own = mine;
            }
            distance /= 2;
        }
        run *= 2;
    }
    if let Some(out) = out.at(group.item()) {
        *out = mine;
    }
}

/// Neighbours change places until all are in order.
fn odd_even(group: Group, x: &[u8], tile: Shared<[u8]>, mut out: Disjoint<u8>) {
    let (rank, len) = (group.rank(), group.len());
    let first = group.item().global() - rank;
    let mut tile = tile.fill(|i| x.get(first + i).copied().unwrap_or(255));
    for round in 0..len {
        let all = group.sync(tile);
        let lower = (rank + round) % 2 == 0;
        let partner = if lower {
            rank + 1
        } else {
            rank.wrapping_sub(1)
        };
        let mut mine = all[rank];
        if partner < len {
            let other = all[partner];
            mine = if lower {
                mine.min(other)
            } else {
                mine.max(other)
            };
        }
        tile = group.sync(all);
        if let Some(own) = tile.own() {
            *own = mine;
        }
    }
    let found = tile.own().map(|own| *own);
    if let (Some(found), Some(out)) = (found, out.at(group.item())) {
        *out = found;
    }
}

/// A key's bits in an order that unsigned comparison has.
fn ordered(key: f32) -> u32 {
    let bits = key.to_bits();
    if bits >> 31 == 1 {
        !bits
    } else {
        bits | 1 << 31
    }
}

/// Radix sort of floats with values, four bits at a time; equal keys keep their order.
fn radix(
    group: Group,
    x: &[f32],
    pairs: Shared<[(u32, u32); 64]>,
    moved: Shared<[[AtomicU32; 2]; 64]>,
    mut out: Disjoint<(u32, u32)>,
) {
    let rank = group.rank();
    let at = group.item().global();
    let mut mine = (ordered(x[at]), rank as u32);
    let mut pairs = pairs.filled((u32::MAX, 0));
    let mut moved = moved.fill(|_| [AtomicU32::new(0), AtomicU32::new(0)]);
    for shift in (0..32).step_by(4) {
        if let Some(own) = pairs.own() {
            *own = mine;
        }
        let (all, there) = group.sync((pairs, moved));
        let digit = |key: u32| key >> shift & 15;
        let own = digit(mine.0);
        let place = all[..group.len()]
            .iter()
            .enumerate()
            .filter(|(i, pair)| digit(pair.0) < own || (digit(pair.0) == own && *i < rank))
            .count();
        there[place][0].store(mine.0, Ordering::Relaxed);
        there[place][1].store(mine.1, Ordering::Relaxed);
        group.barrier();
        mine = (
            there[rank][0].load(Ordering::Relaxed),
            there[rank][1].load(Ordering::Relaxed),
        );
        (pairs, moved) = group.sync((all, there));
    }
    if let Some(out) = out.at(group.item()) {
        *out = mine;
    }
}

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    suite.case("groups/bitonic_sort", |t| {
        let x: Vec<i32> = (0..500i32)
            .map(|i| i.wrapping_mul(0x5bd1_e995) >> 3)
            .collect();
        let out = output::<i32>(512);
        let grid = Grid::over(512).group(128);
        both!(t, bitonic, grid, [read x], [shared array], [write out])
    });
    suite.case("groups/odd_even_sort", |t| {
        let x: Vec<u8> = (0..100u32).map(|i| (i * 89 % 251) as u8).collect();
        let out = output::<u8>(100);
        for size in [1, 2, 33, 50] {
            let grid = Grid::over(100).group(size);
            both!(t, odd_even, grid, [read x], [shared slice size], [write out])?;
        }
        Ok(())
    });
    suite.case("groups/radix_sort", |t| {
        let x: Vec<f32> = (0..150)
            .map(|i| ((i * 61 % 97) as f32 - 40.0) / 3.0)
            .collect();
        let out = output::<(u32, u32)>(150);
        let grid = Grid::over(150).group(64);
        both!(t, radix, grid, [read x], [shared array], [shared array], [write out])
    });
}
