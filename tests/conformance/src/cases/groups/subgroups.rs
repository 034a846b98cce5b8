//! Subgroups: every operation, for every kind of number, in whole groups and in cut off ones.

use legionella::Exchange;
use legionella::prelude::*;

use crate::bits::Bits;
use crate::both::both;
use crate::suite::Suite;
use crate::trial::{Trial, Verdict, output};
use crate::values::{Sample, values};

/// Grids and groups, of which some leave subgroups with fewer lanes, or with holes.
const SPACES: [([usize; 2], [usize; 2]); 5] = [
    ([128, 1], [64, 1]),
    ([100, 1], [48, 1]),
    ([5, 1], [7, 1]),
    ([3, 10], [16, 8]),
    ([33, 3], [32, 2]),
];

/// What a lane finds out from the others.
type Found<T> = ([Option<T>; 5], T, u64);

fn shuffles<T: Exchange + PartialEq>(group: Group, x: &[T], mut out: Disjoint<Found<T>>) {
    let subgroup = group.subgroup();
    let at = group.item().global();
    let mine = x[at % x.len()];
    let found = (
        [
            subgroup.shuffle(mine, (at * 7) % 40),
            subgroup.shuffle_up(mine, 3),
            subgroup.shuffle_down(mine, 1),
            subgroup.shuffle_xor(mine, 5),
            subgroup.shuffle(mine, usize::MAX),
        ],
        subgroup.broadcast(mine, 2),
        subgroup.matching(mine),
    );
    if let Some(out) = out.at(group.item()) {
        *out = found;
    }
}

fn everywhere(case: impl Fn(Grid, usize) -> Verdict) -> Verdict {
    for (grid, group) in SPACES {
        case(Grid::over(grid).group(group), grid[0] * grid[1])?;
    }
    Ok(())
}

fn shuffled<T: Sample + Exchange + PartialEq + Bits>(t: &mut Trial) -> Verdict
where
    Found<T>: Bits,
{
    let x = values::<T>(200);
    everywhere(|grid, items| {
        let out = output::<Found<T>>(items);
        both!(t, shuffles::<T>, grid, [read x], [write out])
    })
}

/// Combines values with an operation whose order matters.
fn scans<T: Exchange>(
    group: Group,
    combine: impl Fn(T, T) -> T,
    x: &[T],
    mut out: Disjoint<[T; 3]>,
) {
    let subgroup = group.subgroup();
    let mine = x[group.item().global() % x.len()];
    let found = [
        subgroup.reduce(mine, &combine),
        subgroup.inclusive_scan(mine, &combine),
        subgroup.exclusive_scan(mine, mine, &combine),
    ];
    if let Some(out) = out.at(group.item()) {
        *out = found;
    }
}

macro_rules! scanned {
    ($trial:ident, $type:ty, $combine:expr) => {
        everywhere(|grid, items| {
            let x = values::<$type>(150);
            let out = output::<[$type; 3]>(items);
            let kernel = |group: Group, x: &[$type], out: Disjoint<[$type; 3]>| {
                scans(group, $combine, x, out);
            };
            both!($trial, kernel, grid, [read x], [write out])
        })
    };
}

/// Lanes, sizes and votes.
fn votes(group: Group, x: &[u32], mut out: Disjoint<([usize; 3], [u64; 2], [bool; 2])>) {
    let subgroup = group.subgroup();
    let mine = x[group.item().global()];
    let found = (
        [subgroup.size(), subgroup.lane(), subgroup.len()],
        [subgroup.lanes(), subgroup.ballot(mine & 2 == 0)],
        [subgroup.any(mine == 40), subgroup.all(mine < 60)],
    );
    if let Some(out) = out.at(group.item()) {
        *out = found;
    }
}

/// Subgroups of one group do different numbers of operations between two barriers.
fn apart(group: Group, tile: Shared<[u32; 8]>, mut out: Disjoint<u32>) {
    let subgroup = group.subgroup();
    let number = group.rank() / subgroup.size();
    let mut mine = group.rank() as u32;
    for _ in 0..=number {
        mine = subgroup.reduce(mine, u32::wrapping_add) ^ mine;
    }
    let last = subgroup.reduce(mine, |_, last| last);
    let mut tile = tile.filled(0);
    tile.for_each(|_, element| *element = last);
    let all = group.sync(tile);
    if let Some(out) = out.at(group.item()) {
        *out = all[group.rank() % 8] ^ mine;
    }
}

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    suite.case("subgroups/shuffle_u8", shuffled::<u8>);
    suite.case("subgroups/shuffle_i16", shuffled::<i16>);
    suite.case("subgroups/shuffle_u32", shuffled::<u32>);
    suite.case("subgroups/shuffle_i64", shuffled::<i64>);
    suite.case("subgroups/shuffle_u128", shuffled::<u128>);
    suite.case("subgroups/shuffle_f32", shuffled::<f32>);
    suite.case("subgroups/shuffle_f64", shuffled::<f64>);
    suite.case("subgroups/shuffle_composed", |t| {
        type Value = (u8, [i32; 3], Option<f64>, bool);
        everywhere(|grid, items| {
            let x: Vec<Value> = (0..items)
                .map(|i| {
                    let some = (i % 3 != 0).then_some(i as f64 / 7.0);
                    (i as u8, [i as i32, -1, 2], some, i % 2 == 0)
                })
                .collect();
            let out = output::<Found<Value>>(items);
            both!(t, shuffles::<Value>, grid, [read x], [write out])
        })
    });
    suite.case("subgroups/scan_integers", |t| {
        scanned!(t, u8, u8::wrapping_add)?;
        scanned!(t, i64, i64::max)?;
        scanned!(t, u32, |a: u32, b: u32| a.wrapping_mul(31).wrapping_add(b))?;
        scanned!(t, u128, u128::wrapping_mul)
    });
    suite.case("subgroups/scan_floats", |t| {
        scanned!(t, f32, |a: f32, b: f32| a + b)?;
        scanned!(t, f64, |a: f64, b: f64| a * 0.5 + b)?;
        // `f32::min` may give either of two zeros.
        scanned!(t, f32, |a: f32, b: f32| if b < a { b } else { a })
    });
    suite.case("subgroups/votes", |t| {
        everywhere(|grid, items| {
            let x: Vec<u32> = (0..items as u32).collect();
            let out = output::<([usize; 3], [u64; 2], [bool; 2])>(items);
            both!(t, votes, grid, [read x], [write out])
        })
    });
    suite.case("subgroups/apart", |t| {
        let out = output::<u32>(300);
        both!(t, apart, Grid::over(300).group(128), [shared array], [write out])
    });
}
