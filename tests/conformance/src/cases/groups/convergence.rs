//! Kernels that give other results, or end, if a compiler duplicates, merges or moves what items do
//! together: barriers and exchanges in all the shapes that compilers like to change.

use legionella::Error;
use legionella::prelude::*;

use crate::both::both;
use crate::suite::Suite;
use crate::trial::{Failure, Verdict, output};

/// What the next item of the group has.
fn next<'g>(
    group: &Group<'_>,
    mut tile: legionella::Writable<'g, [u32]>,
    mine: u32,
) -> (u32, legionella::Writable<'g, [u32]>) {
    if let Some(own) = tile.own() {
        *own = mine;
    }
    let all = group.sync(tile);
    let found = all[(group.rank() + 1) % group.len()];
    (found, group.sync(all))
}

/// A barrier on each of two ways: all items of a group take the same, groups another.
fn two_ways(group: Group, x: &[u32], tile: Shared<[u32]>, mut out: Disjoint<u32>) {
    let mine = x[group.item().global()];
    let mut tile = tile.filled(0);
    let found;
    if group.index() % 2 == 0 {
        (found, tile) = next(&group, tile, mine + 1);
    } else {
        (found, tile) = next(&group, tile, mine * 2);
    }
    let (again, _) = next(&group, tile, found);
    if let Some(out) = out.at(group.item()) {
        *out = found ^ again << 8;
    }
}

/// A loop that begins with a barrier and ends when all have come to their end.
fn barrier_first(group: Group, x: &[u32], tile: Shared<[u32]>, mut out: Disjoint<[u32; 2]>) {
    let mut mine = x[group.item().global()];
    let mut tile = tile.filled(1);
    let mut rounds = 0;
    loop {
        let all = group.sync(tile);
        if all[..group.len()].iter().all(|&x| x == 0) {
            break;
        }
        tile = group.sync(all);
        mine /= 2;
        rounds += 1;
        if let Some(own) = tile.own() {
            *own = mine;
        }
    }
    if let Some(out) = out.at(group.item()) {
        *out = [mine, rounds];
    }
}

/// A machine of states, with one barrier that all of them share.
fn states(group: Group, rounds: u32, x: &[u32], tile: Shared<[u32]>, mut out: Disjoint<u32>) {
    let mut mine = x[group.item().global()];
    let mut tile = tile.filled(0);
    let mut state = 0;
    for _ in 0..rounds {
        state = match state {
            0 => {
                mine = mine.wrapping_mul(3) + 1;
                1
            }
            1 if group.index() % 2 == 0 => {
                mine ^= mine >> 3;
                2
            }
            1 => 0,
            _ => {
                mine = mine.rotate_left(7);
                0
            }
        };
        let found;
        (found, tile) = next(&group, tile, mine);
        mine = mine.wrapping_add(found);
    }
    if let Some(out) = out.at(group.item()) {
        *out = mine;
    }
}

/// Loops in loops with barriers in both, of which the inner depends on the outer.
fn nested(group: Group, rounds: u32, x: &[u32], tile: Shared<[u32]>, mut out: Disjoint<u32>) {
    let mut mine = x[group.item().global()];
    let mut tile = tile.filled(0);
    for outer in 0..rounds {
        for inner in 0..outer {
            let found;
            (found, tile) = next(&group, tile, mine ^ inner);
            mine = mine.wrapping_mul(5).wrapping_add(found);
        }
        group.barrier();
        if mine & 1 == outer & 1 {
            mine = !mine;
        }
    }
    if let Some(out) = out.at(group.item()) {
        *out = mine;
    }
}

/// `if c {…} shuffle; if c {…}`, and a condition that stays the same round a loop with shuffles.
fn shuffles(group: Group, rounds: u32, x: &[u32], mut out: Disjoint<u32>) {
    let subgroup = group.subgroup();
    let mut mine = x[group.item().global()];
    let odd = mine & 1 == 1;
    if odd {
        mine = mine.wrapping_mul(3);
    }
    let found = subgroup.shuffle_down(mine, 1).unwrap_or(7);
    if odd {
        mine ^= found;
    }
    for round in 0..rounds {
        if odd {
            mine = mine.wrapping_add(round);
        } else {
            mine = mine.rotate_left(3);
        }
        let other = subgroup.shuffle_xor(mine, 1).unwrap_or(round);
        // Only some need what all exchange.
        if mine % 3 == 0 {
            mine = other;
        }
    }
    if let Some(out) = out.at(group.item()) {
        *out = mine;
    }
}

/// Whole subgroups return before the others exchange values.
fn subgroups_return(group: Group, x: &[u32], mut out: Disjoint<u32>) {
    let subgroup = group.subgroup();
    let mine = x[group.item().global()];
    if group.rank() / subgroup.size() % 2 == 1 {
        return;
    }
    let sum = subgroup.reduce(mine, u32::wrapping_add);
    if let Some(out) = out.at(group.item()) {
        *out = sum;
    }
}

/// Some lanes return before the others exchange values.
fn lanes_return(group: Group, x: &[u32], mut out: Disjoint<u32>) {
    let subgroup = group.subgroup();
    let mine = x[group.item().global()];
    if subgroup.lane() == 5 {
        return;
    }
    let sum = subgroup.reduce(mine, u32::wrapping_add);
    if let Some(out) = out.at(group.item()) {
        *out = sum;
    }
}

/// A return in the middle of a loop, which all items of a group take in the same round.
fn return_in_loop(group: Group, x: &[u32], tile: Shared<[u32]>, mut out: Disjoint<[u32; 2]>) {
    let mut mine = x[group.item().global()];
    let mut tile = tile.filled(0);
    for round in 0..100 {
        if let Some(out) = out.at(group.item()) {
            *out = [mine, round];
        }
        let all = group.sync(tile);
        if all[0] > 50 {
            return;
        }
        tile = group.sync(all);
        mine = mine.wrapping_mul(3);
        tile.for_each(|_, element| *element += 7 + group.index() as u32);
    }
}

/// Grids and groups.
const SPACES: [(usize, usize); 4] = [(64, 64), (100, 32), (5, 1), (150, 48)];

fn everywhere(case: impl Fn(Grid, usize) -> Verdict) -> Verdict {
    for (items, size) in SPACES {
        case(Grid::over(items).group(size), items)?;
    }
    Ok(())
}

/// Numbers of which neighbours differ in every bit that kernels test.
fn numbers(items: usize) -> Vec<u32> {
    let number = |i: u32| i.wrapping_mul(0x9e37_79b9) >> 12;
    (0..items as u32).map(number).collect()
}

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    suite.case("groups/barriers_of_two_ways", |t| {
        everywhere(|grid, items| {
            let (x, out) = (numbers(items), output::<u32>(items));
            both!(t, two_ways, grid, [read x], [shared slice 64], [write out])
        })
    });
    suite.case("groups/barrier_first_in_loop", |t| {
        everywhere(|grid, items| {
            let (x, out) = (numbers(items), output::<[u32; 2]>(items));
            both!(t, barrier_first, grid, [read x], [shared slice 64], [write out])
        })
    });
    suite.case("groups/barrier_between_states", |t| {
        everywhere(|grid, items| {
            let (x, out) = (numbers(items), output::<u32>(items));
            both!(t, states, grid, [value 11], [read x], [shared slice 64], [write out])
        })
    });
    suite.case("groups/barriers_in_nested_loops", |t| {
        everywhere(|grid, items| {
            let (x, out) = (numbers(items), output::<u32>(items));
            both!(t, nested, grid, [value 6], [read x], [shared slice 64], [write out])
        })
    });
    suite.case("groups/return_in_loop", |t| {
        everywhere(|grid, items| {
            let (x, out) = (numbers(items), output::<[u32; 2]>(items));
            both!(t, return_in_loop, grid, [read x], [shared slice 64], [write out])
        })
    });
    suite.case("subgroups/between_branches", |t| {
        everywhere(|grid, items| {
            let (x, out) = (numbers(items), output::<u32>(items));
            both!(t, shuffles, grid, [value 9], [read x], [write out])
        })
    });
    suite.case("subgroups/whole_ones_return", |t| {
        everywhere(|grid, items| {
            let (x, out) = (numbers(items), output::<u32>(items));
            both!(t, subgroups_return, grid, [read x], [write out])
        })
    });
    suite.case("subgroups/some_lanes_return", |t| {
        let x = t.accelerator.upload(&numbers(64))?;
        let mut out = t.accelerator.zeroed(64)?;
        let launch =
            t.accelerator
                .launch(lanes_return, Grid::over(64).group(64), (&x, &mut out))?;
        match launch.wait() {
            Err(Error::KernelPanicked { message, .. }) if message.contains("have ended") => Ok(()),
            Err(error) => Err(Failure::unexpected("lanes that have ended", error)),
            Ok(()) => Err(Failure::unexpected("lanes that have ended", "success")),
        }
    });
}
