//! Kernels as plain functions, with every kind of argument.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};

use legionella::prelude::*;
use legionella::{Index, host};

#[allow(clippy::too_many_arguments, reason = "one of every kind")]
fn many<F: Fn(u32) -> u32>(
    at: Item,
    offset: Option<u32>,
    f: F,
    x: &[u32],
    mut own: Disjoint<u32>,
    mut pair: Tiles<u32, 2>,
    mut row: Rows<u32>,
    sum: &[AtomicU32],
) {
    let value = f(x[at.global()]) + offset.unwrap_or(0);
    if let Some(own) = own.at(&at) {
        *own = value;
    }
    if let Some(pair) = pair.at(&at) {
        *pair = [value, value];
    }
    if let Some(row) = row.at(&at) {
        row.fill(value);
    }
    sum[0].fetch_add(value, Ordering::Relaxed);
}

#[test]
fn every_kind_of_argument() {
    let x = [1, 2, 3, 4];
    let mut own = [0; 3];
    let mut pairs = vec![0; 8];
    let mut rows = vec![0; 10];
    let mut sum = [0u32];
    host::launch(
        many,
        Grid::over([2, 2]),
        (
            Some(10),
            function(|x: u32| x * x),
            &x[..],
            &mut own,
            host::tiles(&mut pairs),
            host::rows(&mut rows, 3),
            host::atomic(&mut sum),
        ),
    );
    assert_eq!(own, [11, 14, 19]);
    assert_eq!(pairs, [11, 11, 14, 14, 19, 19, 26, 26]);
    assert_eq!(rows, [11, 11, 11, 14, 14, 14, 19, 19, 19, 26]);
    assert_eq!(sum, [70]);
}

#[test]
fn items_know_where_they_are() {
    let mut seen: Vec<Index> = vec![[9; 3]; 12];
    host::launch(
        |at: Item, mut seen: Disjoint<Index>| {
            if let Some(seen) = seen.at(&at) {
                *seen = [at.x(), at.y(), at.z()];
            }
        },
        [2, 3, 2],
        (&mut seen,),
    );
    assert_eq!(seen[0], [0, 0, 0]);
    assert_eq!(seen[1], [1, 0, 0]);
    assert_eq!(seen[7], [1, 0, 1]);
    assert_eq!(seen[11], [1, 2, 1]);
}

#[test]
#[should_panic(expected = "out of bounds")]
fn a_kernels_panic_is_the_callers() {
    let read = |at: Item, x: &[u8]| {
        let _ = x[at.global()];
    };
    host::launch(read, 3, (&[1, 2],));
}

/// Sums of groups by halving, with an atomic count of the items that were there.
fn sums(
    group: Group,
    x: &[u32],
    tile: Shared<[u32]>,
    counts: Shared<[AtomicU32; 1]>,
    mut sum: Disjoint<u32>,
) {
    let mut mine = x[group.item().global()];
    let (mut tile, counts) = (tile.filled(0), counts.fill(|_| AtomicU32::new(0)));
    let (counts,) = group.sync((counts,));
    counts[0].fetch_add(1, Ordering::Relaxed);
    let mut half = group.size()[0].next_power_of_two() / 2;
    while half > 0 {
        if let Some(own) = tile.own() {
            *own = mine;
        }
        let all = group.sync(tile);
        if group.rank() < half && group.rank() + half < group.len() {
            mine += all[group.rank() + half];
        }
        tile = group.sync(all);
        half /= 2;
    }
    assert_eq!(counts[0].load(Ordering::Relaxed), group.len() as u32);
    if let (0, Some(sum)) = (group.rank(), sum.at(group.item())) {
        *sum = mine;
    }
}

#[test]
fn items_of_a_group_wait_for_each_other() {
    let x: Vec<u32> = (1..=50).collect();
    for size in [1, 7, 16, 64] {
        let mut sum = [0; 50];
        let grid = Grid::over(50).group(size);
        let (memory, counts) = (host::shared_slice(size), host::shared());
        host::launch(sums, grid, (&x, memory, counts, &mut sum));
        for (group, chunk) in x.chunks(size).enumerate() {
            assert_eq!(sum[group * size], chunk.iter().sum::<u32>());
        }
        assert_eq!(sum.iter().sum::<u32>(), 50 * 51 / 2);
    }
}

#[test]
fn groups_have_ids_sizes_and_ranks() {
    let places = |group: Group, mut out: Disjoint<([Index; 5], [usize; 3])>| {
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
    };
    let mut out = [([[0; 3]; 5], [0; 3]); 5 * 3 * 2];
    let grid = Grid::over([5, 3, 2]).group([2, 2, 3]);
    host::launch(places, grid, (&mut out,));
    let (x, y, z) = (4, 2, 1);
    let last = out[x + 5 * (y + 3 * z)];
    let extents = [[2, 1, 0], [0, 0, 1], [4, 2, 0], [2, 2, 3], [1, 1, 2]];
    assert_eq!(last, (extents, [2 + 3, 2, 1]));
    assert_eq!(out[1].1, [0, 8, 1]);
}

/// The message that a call panics with.
fn panic_of(call: impl FnOnce() + std::panic::UnwindSafe) -> String {
    let payload = std::panic::catch_unwind(call).unwrap_err();
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload.downcast_ref::<&str>().unwrap().to_string(),
    }
}

#[test]
fn barriers_that_not_all_items_reach_are_panics() {
    let early = |group: Group| {
        if group.rank() != 3 {
            group.barrier();
        }
    };
    let message = panic_of(|| host::launch(early, Grid::over(8).group(4), ()));
    assert!(
        message.contains("reached by only some work-items"),
        "{message}"
    );
    assert!(
        message.contains("host.rs") && message.contains("have ended"),
        "{message}"
    );

    let elsewhere = |group: Group, tile: Shared<[u32; 4]>| {
        let tile = tile.filled(0);
        if group.rank() == 0 {
            group.barrier();
        } else {
            group.sync(tile);
        }
    };
    let message = panic_of(|| host::launch(elsewhere, 4, (host::shared(),)));
    assert!(message.contains("others wait at"), "{message}");

    let panics = |group: Group| {
        group.barrier();
        assert!(group.rank() != 2, "the item itself");
        group.barrier();
    };
    assert_eq!(panic_of(|| host::launch(panics, 4, ())), "the item itself");
}

/// What a lane finds out from the others, in order of the operations.
type Found = (u64, [Option<u32>; 4], [u32; 3], u64, (f32, [u8; 3]));

fn exchange(group: Group, mut out: Disjoint<Found>) {
    let subgroup = group.subgroup();
    let mine = group.rank() as u32;
    let found = (
        subgroup.lanes(),
        [
            subgroup.shuffle(mine, 3),
            subgroup.shuffle_up(mine, 1),
            subgroup.shuffle_down(mine, 2),
            subgroup.shuffle_xor(mine, 1),
        ],
        [
            subgroup.reduce(mine, |a, b| a + b),
            subgroup.inclusive_scan(mine, |a, b| a + b),
            subgroup.exclusive_scan(mine, 99, |a, b| a.max(b)),
        ],
        subgroup.matching(mine % 3),
        subgroup.broadcast((mine as f32, [mine as u8; 3]), 2),
    );
    if let Some(out) = out.at(group.item()) {
        *out = found;
    }
}

#[test]
fn lanes_exchange_values() {
    let mut out = [Found::default(); 40];
    host::launch(exchange, Grid::over(40).group(40), (&mut out,));
    let full = u64::from(u32::MAX);
    let fives = (0..32)
        .filter(|lane| lane % 3 == 2)
        .fold(0, |all, lane| all | 1 << lane);
    let fifth = (
        full,
        [Some(3), Some(4), Some(7), Some(4)],
        [496, 15, 4],
        fives,
        (2.0, [2; 3]),
    );
    assert_eq!(out[5], fifth);
    // The second subgroup has 8 lanes.
    assert_eq!(out[32].1, [Some(35), None, Some(34), Some(33)]);
    assert_eq!(out[39].1, [Some(35), Some(38), None, Some(38)]);
    assert_eq!(out[32].2, [(32..40).sum(), 32, 99]);
    assert_eq!(out[39].0, 0xff);
}

#[test]
fn lanes_that_do_not_exist_are_left_out() {
    // Groups of 16 × 4, of which the grid leaves 3 × 4: lanes 0 to 2 and 16 to 18.
    let mut out = [Found::default(); 12];
    host::launch(exchange, Grid::over([3, 4]).group([16, 4]), (&mut out,));
    assert_eq!(out[0].0, 0b111 << 16 | 0b111);
    let last = (None, Some(4), [15, 15, 4]);
    assert_eq!((out[5].1[0], out[5].1[1], out[5].2), last);
    assert_eq!(out[3].1, [None, None, Some(5), Some(4)]);
    assert_eq!(out[3].2, [15, 6, 2]);
}

#[test]
fn subgroups_that_not_all_lanes_come_to_are_panics() {
    let early = |group: Group| {
        if group.rank() != 9 {
            group.subgroup();
        }
    };
    let message = panic_of(|| host::launch(early, Grid::over(40).group(40), ()));
    assert!(
        message.contains("reached by only some work-items"),
        "{message}"
    );
}

/// Sums up, with one item that panics within, catches that, and comes back.
fn comes_back(group: Group, tile: Shared<[u32; 4]>, mut out: Disjoint<u32>) {
    let mut scratch = tile.scratch();
    let sum = |scratch: &mut legionella::Scratch<'_, u32>| {
        group.reduce(scratch, 1, |a, b| {
            assert!(group.rank() != 1, "item 1 gives up");
            a + b
        })
    };
    let first = catch_unwind(AssertUnwindSafe(|| sum(&mut scratch)));
    let sum = first.unwrap_or_else(|_| sum(&mut scratch));
    if let Some(out) = out.at(group.item()) {
        *out = sum;
    }
}

#[test]
#[should_panic(expected = "was left by a panic")]
fn scratch_memory_that_was_left_is_not_used_again() {
    let mut out = [0; 4];
    let grid = Grid::over(4).group(4);
    host::launch(comes_back, grid, (host::shared(), &mut out));
}
