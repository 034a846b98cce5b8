//! What the items of a group compute together: reductions, scans and exchanges in scratch memory,
//! also compared with what the documented order gives when one item computes it all.

use legionella::Error;
use legionella::prelude::*;

use crate::bits::Bits;
use crate::both::both;
use crate::suite::Suite;
use crate::trial::{Failure, Trial, Verdict, output};
use crate::values::{Sample, values};

/// Grids and groups: of one item, of powers of two and others, cut off, in more dimensions.
const SPACES: [([usize; 3], [usize; 3]); 7] = [
    ([128, 1, 1], [64, 1, 1]),
    ([100, 1, 1], [33, 1, 1]),
    ([5, 1, 1], [1, 1, 1]),
    ([3, 1, 1], [100, 1, 1]),
    ([13, 9, 1], [8, 4, 1]),
    ([5, 6, 7], [3, 2, 4]),
    ([128, 1, 1], [128, 1, 1]),
];

fn everywhere(case: impl Fn(Grid, usize) -> Verdict) -> Verdict {
    for (grid, group) in SPACES {
        case(Grid::over(grid).group(group), grid.iter().product())?;
    }
    Ok(())
}

/// A reduction and both scans.
fn combined<T: DeviceData>(
    group: Group,
    combine: impl Fn(T, T) -> T,
    x: &[T],
    tile: Shared<[T; 128]>,
    mut out: Disjoint<[T; 3]>,
) {
    let mut scratch = tile.scratch();
    let mine = x[group.item().global() % x.len()];
    let found = [
        group.reduce(&mut scratch, mine, &combine),
        group.inclusive_scan(&mut scratch, mine, &combine),
        group.exclusive_scan(&mut scratch, mine, mine, &combine),
    ];
    if let Some(out) = out.at(group.item()) {
        *out = found;
    }
}

/// The same by each item for itself, from the documented order.
fn apart<T: DeviceData>(
    group: Group,
    combine: impl Fn(T, T) -> T,
    x: &[T],
    tile: Shared<[T; 128]>,
    mut out: Disjoint<[T; 3]>,
) {
    let mine = x[group.item().global() % x.len()];
    let values = group.sync(tile.filled(mine));
    let mut tile = [mine; 128];
    tile.copy_from_slice(&*values);
    let all = &mut tile[..group.len()];
    let mut width = 1;
    while width < all.len() {
        for block in all.chunks_mut(2 * width) {
            if let Some((first, second)) = block.split_at_mut_checked(width) {
                for value in second {
                    *value = combine(first[width - 1], *value);
                }
            }
        }
        width *= 2;
    }
    let before = group.rank().checked_sub(1).map_or(mine, |rank| all[rank]);
    if let Some(out) = out.at(group.item()) {
        *out = [all[all.len() - 1], all[group.rank()], before];
    }
}

fn agree<T: DeviceData + Bits>(
    t: &mut Trial,
    combine: impl Fn(T, T) -> T + Copy + Send + Sync + 'static,
    x: Vec<T>,
) -> Verdict {
    let together = move |group: Group, x: &[T], tile: Shared<[T; 128]>, out: Disjoint<[T; 3]>| {
        combined(group, combine, x, tile, out);
    };
    let alone = move |group: Group, x: &[T], tile: Shared<[T; 128]>, out: Disjoint<[T; 3]>| {
        apart(group, combine, x, tile, out);
    };
    everywhere(|grid, items| {
        let out = output::<[T; 3]>(items);
        both!(t, together, grid, [read x], [shared array], [write out])?;
        // One accelerator, two ways.
        let x = t.accelerator.upload(&x)?;
        let mut found = [t.accelerator.upload(&out)?, t.accelerator.upload(&out)?];
        let [first, second] = &mut found;
        t.accelerator
            .launch(together, grid, (&x, shared(), first))?;
        t.accelerator.launch(alone, grid, (&x, shared(), second))?;
        t.compare(
            &[t.observe("apart", &found[1])?],
            &[t.observe("together", &found[0])?],
        )
    })
}

fn sampled<T: Sample + DeviceData + Bits>(
    t: &mut Trial,
    combine: impl Fn(T, T) -> T + Copy + Send + Sync + 'static,
) -> Verdict {
    agree(t, combine, values::<T>(150))
}

/// Exchanges and votes.
fn exchanged(
    group: Group,
    values: Shared<[(u8, Option<f64>); 128]>,
    votes: Shared<[bool; 128]>,
    mut out: Disjoint<([Option<(u8, Option<f64>)>; 3], [bool; 4])>,
) {
    let (mut values, mut votes) = (values.scratch(), votes.scratch());
    let rank = group.rank();
    let mine = (
        group.item().global() as u8,
        (rank % 3 != 0).then_some(rank as f64 / 7.0),
    );
    let found = [
        Some(group.broadcast(&mut values, mine, group.len() / 2)),
        group.shuffle(&mut values, mine, rank * 7 % (group.len() + 2)),
        group.shuffle(&mut values, mine, usize::MAX),
    ];
    let voted = [
        group.any(&mut votes, rank == 40),
        group.all(&mut votes, rank < 60),
        group.any(&mut votes, false),
        group.all(&mut votes, true),
    ];
    if let Some(out) = out.at(group.item()) {
        *out = (found, voted);
    }
}

/// In a loop, whose end the items find together, between barriers and beside a tile.
fn until_all_agree(
    group: Group,
    x: &[u32],
    votes: Shared<[bool; 128]>,
    tile: Shared<[u32; 128]>,
    mut out: Disjoint<[u32; 2]>,
) {
    let mut votes = votes.scratch();
    let mut tile = tile.filled(0);
    let mut mine = x[group.item().global()];
    let mut rounds = 0;
    while !group.all(&mut votes, mine <= 1) {
        if let Some(own) = tile.own() {
            *own = mine;
        }
        let all = group.sync(tile);
        let next = all[(group.rank() + 1) % group.len()];
        tile = group.sync(all);
        mine = mine.min(next) / 2;
        rounds += 1;
    }
    if let Some(out) = out.at(group.item()) {
        *out = [mine, rounds];
    }
}

/// Half of the items reduce, the others scan: as many barriers, but another operation.
fn divergent(group: Group, tile: Shared<[u32; 128]>, mut out: Disjoint<u32>) {
    let mut scratch = tile.scratch();
    let found = if group.rank() % 2 == 0 {
        group.reduce(&mut scratch, 1, u32::wrapping_add)
    } else {
        group.broadcast(&mut scratch, 1, 0)
    };
    if let Some(out) = out.at(group.item()) {
        *out = found;
    }
}

fn too_small(group: Group, tile: Shared<[u32; 16]>, mut out: Disjoint<u32>) {
    let sum = group.reduce(&mut tile.scratch(), 1, u32::wrapping_add);
    if let Some(out) = out.at(group.item()) {
        *out = sum;
    }
}

/// That a launch fails with a message that contains a text.
fn fails(outcome: Result<Completion, Error>, text: &str) -> Verdict {
    match outcome.and_then(|launch| launch.wait()) {
        Err(Error::KernelPanicked { message, .. }) if message.contains(text) => Ok(()),
        Err(error) => Err(Failure::unexpected(text, error)),
        Ok(()) => Err(Failure::unexpected(text, "success")),
    }
}

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    suite.case("groups/together_u8", |t| sampled(t, u8::wrapping_add));
    suite.case("groups/together_i16", |t| sampled(t, i16::max));
    suite.case("groups/together_u32", |t| {
        sampled(t, |a: u32, b| a.wrapping_mul(31).wrapping_add(b))
    });
    suite.case("groups/together_i64", |t| {
        sampled(t, |a: i64, b| a.wrapping_sub(b))
    });
    suite.case("groups/together_u128", |t| sampled(t, u128::wrapping_mul));
    suite.case("groups/together_f32", |t| sampled(t, |a: f32, b| a + b));
    suite.case("groups/together_f64", |t| {
        sampled(t, |a: f64, b| a * 0.5 + b)
    });
    suite.case("groups/together_pairs", |t| {
        // Products of 2 × 2 matrices: associative, not commutative.
        let x: Vec<[[u32; 2]; 2]> = (0..150).map(|i| [[i, 1], [1, i / 2]]).collect();
        let product = |a: [[u32; 2]; 2], b: [[u32; 2]; 2]| {
            let entry = |i: usize, j: usize| {
                a[i][0]
                    .wrapping_mul(b[0][j])
                    .wrapping_add(a[i][1].wrapping_mul(b[1][j]))
            };
            [[entry(0, 0), entry(0, 1)], [entry(1, 0), entry(1, 1)]]
        };
        agree(t, product, x)
    });
    suite.case("groups/together_options", |t| {
        let x: Vec<Option<i16>> = (0..150)
            .map(|i| (i % 4 != 1).then_some(i * 37 % 101))
            .collect();
        agree(t, |a: Option<i16>, b| b.or(a), x)
    });
    suite.case("groups/together_exchanged", |t| {
        everywhere(|grid, items| {
            let out = output::<([Option<(u8, Option<f64>)>; 3], [bool; 4])>(items);
            both!(t, exchanged, grid, [shared array], [shared array], [write out])
        })
    });
    suite.case("groups/together_until_all_agree", |t| {
        everywhere(|grid, items| {
            let x: Vec<u32> = (0..items as u32).map(|i| i * i + 5).collect();
            let out = output::<[u32; 2]>(items);
            both!(t, until_all_agree, grid, [read x], [shared array], [shared array], [write out])
        })
    });
    suite.case("groups/together_divergent", |t| {
        let mut out = t.accelerator.zeroed(64)?;
        let grid = Grid::over(64).group(64);
        let launch = t.accelerator.launch(divergent, grid, (shared(), &mut out));
        fails(
            launch,
            "barrier reached by only some work-items of the group",
        )
    });
    suite.case("groups/together_too_small", |t| {
        let out = output::<u32>(16);
        both!(t, too_small, Grid::over(16).group(16), [shared array], [write out])?;
        let mut out = t.accelerator.zeroed(17)?;
        let grid = Grid::over(17).group(17);
        fails(
            t.accelerator.launch(too_small, grid, (shared(), &mut out)),
            "scratch memory with room for 16 values is too small for a group of 17 work-items",
        )
    });
}
