//! Barriers in every kind of control flow: what compilers might move, duplicate or merge stays where
//! it is, and a barrier that not all items reach is an error.

use std::sync::atomic::{AtomicU32, Ordering};

use legionella::prelude::*;
use legionella::{Error, code};
use legionella_abi::protocol::{Call, Problem};

use crate::both::both;
use crate::suite::Suite;
use crate::trial::{Failure, Trial, Verdict, output};

/// Grids and groups: whole ones, cut off ones, one item, more than one dimension.
const SPACES: [([usize; 3], [usize; 3]); 6] = [
    ([64, 1, 1], [64, 1, 1]),
    ([100, 1, 1], [32, 1, 1]),
    ([5, 1, 1], [1, 1, 1]),
    ([13, 9, 1], [8, 4, 1]),
    ([5, 6, 7], [3, 2, 4]),
    ([2, 3, 1], [16, 16, 1]),
];

fn everywhere(case: impl Fn(Grid, usize) -> Verdict) -> Verdict {
    for (grid, group) in SPACES {
        case(Grid::over(grid).group(group), grid.iter().product())?;
    }
    Ok(())
}

/// What a group says about itself and its item.
type Place = ([[usize; 3]; 5], [usize; 3]);

fn place(group: Group, mut out: Disjoint<Place>) {
    group.barrier();
    if let Some(out) = out.at(group.item()) {
        *out = (
            [
                group.id(),
                group.local(),
                group.first(),
                group.size(),
                group.extent(),
            ],
            [group.index(), group.len(), group.rank()],
        );
    }
}

/// The neighbour's number, by way of shared memory.
#[inline(never)]
fn neighbour<'g>(
    group: &Group<'_>,
    tile: legionella::Writable<'g, [u32]>,
    value: u32,
) -> (u32, legionella::Writable<'g, [u32]>) {
    let mut tile = tile;
    if let Some(own) = tile.own() {
        *own = value;
    }
    let all = group.sync(tile);
    let found = all[(group.rank() + 1) % group.len()];
    (found, group.sync(all))
}

/// A branch before and after a barrier that only some items take: `if c {…} barrier; if c {…}`.
fn branches(group: Group, x: &[u32], tile: Shared<[u32]>, mut out: Disjoint<u32>) {
    let mut mine = x[group.item().global()];
    let odd = mine & 1 == 1;
    if odd {
        mine = mine.wrapping_mul(3);
    }
    let (found, tile) = neighbour(&group, tile.filled(0), mine);
    if odd {
        mine ^= found;
    }
    let (found, _) = neighbour(&group, tile, mine);
    if let Some(out) = out.at(group.item()) {
        *out = if odd { mine } else { found };
    }
}

/// More than any register or cache line asks for.
#[derive(Clone, Copy)]
#[repr(align(512))]
struct Line([u32; 3]);

/// A variable that is aligned to much, and lives while the item waits.
fn aligned(group: Group, x: &[u32], mut out: Disjoint<(u32, bool)>) {
    let mut line = Line([x[group.item().global()]; 3]);
    let place = std::hint::black_box(&mut line);
    group.barrier();
    place.0[1] += 1;
    let even = (&raw const *place)
        .addr()
        .is_multiple_of(align_of::<Line>());
    if let Some(out) = out.at(group.item()) {
        *out = (place.0.iter().sum(), even);
    }
}

/// A loop with a barrier in it, an inner one that items leave at different times, and a condition
/// that stays the same: what would be unswitched, rotated or peeled.
fn loops(group: Group, rounds: u32, x: &[u32], tile: Shared<[u32]>, mut out: Disjoint<u32>) {
    let mut mine = x[group.item().global()];
    let deep = mine.is_multiple_of(3);
    let mut tile = tile.filled(0);
    for round in 0..rounds {
        let mut steps = 0;
        while deep && mine > 1 && steps < 20 {
            mine = if mine & 1 == 0 {
                mine / 2
            } else {
                mine.wrapping_mul(3) + 1
            };
            steps += 1;
        }
        let found;
        (found, tile) = neighbour(&group, tile, mine);
        if deep {
            mine = mine.wrapping_add(found);
        } else {
            mine = mine.wrapping_mul(5) ^ round;
        }
    }
    if let Some(out) = out.at(group.item()) {
        *out = mine;
    }
}

/// Barriers in branches that all items of a group take alike, by what all of them read.
fn uniform(group: Group, x: &[u32], tile: Shared<[u32]>, mut out: Disjoint<u32>) {
    let tile = tile.fill(|i| i as u32);
    let mut mine = x[group.item().global()];
    let choice = group.index() % 3;
    let mut tile = tile;
    match choice {
        0 => return,
        1 => {
            let (found, next) = neighbour(&group, tile, mine);
            mine = found;
            tile = next;
        }
        _ => group.barrier(),
    }
    let (found, _) = neighbour(&group, tile, mine);
    if let Some(out) = out.at(group.item()) {
        *out = found;
    }
}

/// A barrier orders memory: each item adds to its neighbour's counter, then reads its own.
fn ordered(group: Group, counters: &[AtomicU32], mut out: Disjoint<u32>) {
    let base = group.item().global() - group.rank();
    let mut sum = 0;
    for round in 0..7 {
        let next = base + (group.rank() + round) % group.len();
        counters[next].fetch_add(group.rank() as u32 + 1, Ordering::Relaxed);
        group.barrier();
        let mine = counters[base + group.rank()].load(Ordering::Relaxed);
        sum = u32::wrapping_mul(sum, 31).wrapping_add(mine);
        group.barrier();
    }
    if let Some(out) = out.at(group.item()) {
        *out = sum;
    }
}

/// Memory of an item that lives across a barrier: arrays, vectors, what pointers lead to.
fn private(group: Group, x: &[u32], tile: Shared<[u32]>, mut out: Disjoint<u32>) {
    let mut numbers = [0u32; 12];
    let mut list = vec![x[group.item().global()]];
    let mut tile = tile.filled(0);
    for round in 0..12 {
        let (found, next) = neighbour(&group, tile, list[round]);
        tile = next;
        let slot = (found as usize + round) % numbers.len();
        numbers[slot] = numbers[slot].wrapping_add(found);
        list.push(found ^ numbers[round]);
    }
    let text = format!("{numbers:?} {list:?}");
    if let Some(out) = out.at(group.item()) {
        *out = text
            .bytes()
            .fold(0, |hash, byte| hash.wrapping_mul(31) + u32::from(byte));
    }
}

/// Some items return before a barrier, which others wait at.
fn early_return(group: Group, limit: usize, mut out: Disjoint<u32>) {
    if group.rank() >= limit {
        return;
    }
    group.barrier();
    if let Some(out) = out.at(group.item()) {
        *out = 1;
    }
}

fn unequal_rounds(group: Group) {
    for _ in 0..group.rank() % 3 {
        group.barrier();
    }
}

/// As many barriers for all, but others: hardware that counts would let them pass.
fn other_barriers(group: Group, apart: usize, tile: Shared<[u32; 8]>, mut out: Disjoint<u32>) {
    let tile = tile.filled(7);
    let mut sum = 0;
    if group.rank() == apart {
        sum = group.sync(tile).iter().sum();
    } else {
        group.barrier();
    }
    if let Some(out) = out.at(group.item()) {
        *out = sum;
    }
}

fn panic_between(group: Group, culprit: usize, mut out: Disjoint<u32>) {
    group.barrier();
    assert!(
        group.item().global() != culprit,
        "item {culprit} has had enough"
    );
    group.barrier();
    if let Some(out) = out.at(group.item()) {
        *out = 1;
    }
}

/// The same with a message that is made of the item's own memory, so that the item panics on the spot.
fn panic_with_memory(group: Group, culprit: usize, mut out: Disjoint<u32>) {
    let at = group.item().global();
    let mut kept = [0; 24];
    for index in 0..kept.len() {
        kept[index] = at * index % 7 + kept[index / 2];
    }
    group.barrier();
    assert!(at != culprit, "item {culprit} has {:?}", &kept[at % 20..]);
    group.barrier();
    if let Some(out) = out.at(group.item()) {
        *out = kept[at % 24] as u32;
    }
}

/// Items that panic where groups have so much memory that another byte would leave room for fewer of them, so that
/// a device may have others told of it elsewhere.
fn panic_beside_large_tile(
    group: Group,
    culprit: usize,
    tile: Shared<[u32; 8192]>,
    mut out: Disjoint<u32>,
) {
    let at = group.item().global();
    let mut tile = tile.filled(at as u32);
    let mut sum = 0;
    for turn in 0..3 {
        let all = group.sync(tile);
        sum += all[(at + 977 * turn) % 8192];
        assert!(
            turn != 1 || at != culprit,
            "item {culprit} has had too much"
        );
        tile = group.sync(all);
        tile.fill(|i| (i + turn) as u32);
    }
    if let Some(out) = out.at(group.item()) {
        *out = sum;
    }
}

fn descend(group: &Group<'_>, depth: u32) -> u32 {
    if depth == 0 {
        return 1;
    }
    group.barrier();
    descend(group, depth - 1) + std::hint::black_box(depth) * descend(group, depth / 2)
}

/// That a launch fails with the panic of an item of a grid of one dimension.
fn panics(outcome: Result<Completion, Error>, expected: &str, culprit: usize) -> Verdict {
    match outcome?.wait() {
        Err(Error::KernelPanicked { message, item, .. })
            if message == expected && item == [culprit, 0, 0] =>
        {
            Ok(())
        }
        other => Err(Failure::unexpected(
            "the item's panic",
            format!("{other:?}"),
        )),
    }
}

/// That a launch fails at a barrier of this file that only some items reach.
fn fails(outcome: Result<Completion, Error>, detail: &str) -> Verdict {
    match outcome.and_then(|launch| launch.wait()) {
        Err(Error::KernelPanicked {
            message,
            source_location,
            ..
        }) if message.contains("barrier reached by only some work-items of the group")
            && message.contains(detail)
            && source_location.file.ends_with("barriers.rs") =>
        {
            Ok(())
        }
        Err(error) => Err(Failure::unexpected("a barrier that can't be met", error)),
        Ok(()) => Err(Failure::unexpected(
            "a barrier that can't be met",
            "success",
        )),
    }
}

fn rejects_recursion(t: &mut Trial) -> Verdict {
    let mut out = t.accelerator.zeroed::<u32>(8)?;
    let recursive = |group: Group, depth: u32, mut out: Disjoint<u32>| {
        let found = descend(&group, depth);
        if let Some(out) = out.at(group.item()) {
            *out = found;
        }
    };
    match t.accelerator.launch(recursive, 8, (3, &mut out)) {
        Err(error) if error.to_string().contains("descend") => Ok(()),
        Err(error) => Err(Failure::unexpected("the recursive function's name", error)),
        Ok(_) => Err(Failure::unexpected("a refusal", "a launch")),
    }
}

/// What only a group's first item can come to is found before any code is generated.
fn rejects_first_item(t: &mut Trial) -> Verdict {
    let mut out = t.accelerator.zeroed::<u32>(8)?;
    let waits_alone = |group: Group, mut out: Disjoint<u32>| {
        if group.rank() == 0 {
            group.barrier();
            if let Some(out) = out.at(group.item()) {
                *out = 1;
            }
        }
    };
    let error = match t.accelerator.launch(waits_alone, 8, (&mut out,)) {
        Err(Error::Code(error)) => error,
        Err(error) => return Err(Failure::unexpected("a refusal", error)),
        Ok(_) => return Err(Failure::unexpected("a refusal", "a launch")),
    };
    let here = |call: &Call| {
        let source = call.source.as_ref();
        source.is_some_and(|source| source.file.ends_with("barriers.rs"))
    };
    match &*error {
        code::Error::Refused { diagnostics, .. }
            if diagnostics.iter().any(|found| {
                found.problem == Problem::Divergent && found.chain.iter().any(here)
            }) =>
        {
            Ok(())
        }
        other => Err(Failure::unexpected("a barrier for one item", other)),
    }
}

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    suite.case("groups/places", |t| {
        everywhere(|grid, items| {
            let out = output::<Place>(items);
            both!(t, place, grid, [write out])
        })
    });
    suite.case("groups/branches_around_barriers", |t| {
        everywhere(|grid, items| {
            let x: Vec<u32> = (0..items as u32)
                .map(|i| i.wrapping_mul(0x9e37_79b9) >> 7)
                .collect();
            let out = output::<u32>(items);
            both!(t, branches, grid, [read x], [shared slice 256], [write out])
        })
    });
    suite.case("groups/aligned_variables", |t| {
        everywhere(|grid, items| {
            let x: Vec<u32> = (0..items as u32).collect();
            let out = output::<(u32, bool)>(items);
            both!(t, aligned, grid, [read x], [write out])
        })
    });
    suite.case("groups/barriers_in_loops", |t| {
        everywhere(|grid, items| {
            let x: Vec<u32> = (0..items as u32).map(|i| i * i + 1).collect();
            let out = output::<u32>(items);
            for rounds in [0, 1, 2, 9] {
                both!(t, loops, grid, [value rounds], [read x], [shared slice 256], [write out])?;
            }
            Ok(())
        })
    });
    suite.case("groups/barriers_in_uniform_branches", |t| {
        everywhere(|grid, items| {
            let x: Vec<u32> = (0..items as u32).map(|i| i + 1000).collect();
            let out = output::<u32>(items);
            both!(t, uniform, grid, [read x], [shared slice 256], [write out])
        })
    });
    suite.case("groups/barriers_order_memory", |t| {
        everywhere(|grid, items| {
            // Counters of groups in more dimensions would overlap.
            if grid.extent()[1] > 1 {
                return Ok(());
            }
            let counters = vec![0u32; items];
            let out = output::<u32>(items);
            both!(t, ordered, grid, [atomic counters], [write out])
        })
    });
    suite.case("groups/private_memory_across_barriers", |t| {
        everywhere(|grid, items| {
            let x: Vec<u32> = (0..items as u32).collect();
            let out = output::<u32>(items);
            both!(t, private, grid, [read x], [shared slice 256], [write out])
        })
    });
    suite.case("groups/all_items_return_early", |t| {
        let out = output::<u32>(100);
        both!(t, early_return, Grid::over(100).group(32), [value 0], [write out])?;
        both!(t, early_return, Grid::over(100).group(32), [value 32], [write out])
    });
    suite.case("groups/some_items_return_early", |t| {
        let mut out = t.accelerator.zeroed(100)?;
        let grid = Grid::over(100).group(32);
        fails(
            t.accelerator.launch(early_return, grid, (5, &mut out)),
            "others have ended",
        )?;
        // The accelerator goes on.
        let out = output::<u32>(100);
        both!(t, early_return, grid, [value 32], [write out])
    });
    suite.case("groups/unequal_rounds", |t| {
        let grid = Grid::over(64).group(64);
        fails(
            t.accelerator.launch(unequal_rounds, grid, ()),
            "others have ended",
        )
    });
    suite.case("groups/other_barriers", |t| {
        let mut out = t.accelerator.zeroed(8)?;
        let grid = Grid::over(8).group(8);
        let launch = t
            .accelerator
            .launch(other_barriers, grid, (0, shared(), &mut out));
        fails(launch, "others wait at")
    });
    suite.case("groups/panic_between_barriers", |t| {
        let mut out = t.accelerator.zeroed::<u32>(100)?;
        let grid = Grid::over(100).group(32);
        let launch = (t.accelerator).launch(panic_between, grid, (40, &mut out));
        panics(launch, "item 40 has had enough", 40)?;
        let out = output::<u32>(100);
        both!(t, panic_between, grid, [value 1000], [write out])
    });
    suite.case("groups/panic_with_memory", |t| {
        let mut out = t.accelerator.zeroed::<u32>(100)?;
        let grid = Grid::over(100).group(32);
        let launch = (t.accelerator).launch(panic_with_memory, grid, (59, &mut out));
        panics(launch, "item 59 has [21, 16, 12, 18, 21]", 59)?;
        let out = output::<u32>(100);
        both!(t, panic_with_memory, grid, [value 1000], [write out])
    });
    suite.case("groups/panic_beside_large_tile", |t| {
        let mut out = t.accelerator.zeroed::<u32>(400)?;
        let grid = Grid::over(400).group(128);
        let arguments = (200, shared(), &mut out);
        let launch = (t.accelerator).launch(panic_beside_large_tile, grid, arguments);
        panics(launch, "item 200 has had too much", 200)?;
        let out = output::<u32>(400);
        both!(t, panic_beside_large_tile, grid, [value 1000], [shared array], [write out])
    });
    suite.case("rejected/barriers_in_recursion", rejects_recursion);
    suite.case("rejected/barriers_for_the_first_item", rejects_first_item);
}
