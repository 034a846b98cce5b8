//! Shared memory in all its forms: arrays and slices, several at once, of any type, atomic, turned
//! round by one barrier, raw.

use std::sync::atomic::{AtomicU32, Ordering};

use legionella::prelude::*;

use crate::both::both;
use crate::suite::Suite;
use crate::trial::output;

/// More elements than items, and fewer.
fn uneven(
    group: Group,
    large: Shared<[u16; 100]>,
    small: Shared<[u64; 3]>,
    mut out: Disjoint<(u32, u64)>,
) {
    let large = large.fill(|i| (i * i) as u16);
    let mut small = small.filled(5);
    small.for_each(|i, element| *element += i as u64);
    let (large, small) = group.sync((large, small));
    let sum = large.iter().skip(group.rank()).map(|&n| u32::from(n)).sum();
    if let Some(out) = out.at(group.item()) {
        *out = (sum, small.iter().product());
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Shape {
    Circle { radius: f32 },
    Box([u8; 3], Option<u16>),
    Nothing,
}

/// Elements of any type, also without a size.
fn types(
    group: Group,
    shapes: Shared<[Shape]>,
    units: Shared<[(); 7]>,
    texts: Shared<[&'static str; 4]>,
    mut out: Disjoint<(u32, usize)>,
) {
    let shapes = shapes.fill(|i| match i % 3 {
        0 => Shape::Circle { radius: i as f32 },
        1 => Shape::Box([i as u8; 3], Some(i as u16).filter(|i| i % 2 == 0)),
        _ => Shape::Nothing,
    });
    let texts = texts.fill(|i| ["north", "east", "south", "west"][i]);
    let (shapes, units, texts) = group.sync((shapes, units.filled(()), texts));
    let other = shapes[(group.rank() * 5 + 3) % shapes.len()];
    let found = match other {
        Shape::Circle { radius } => radius as u32,
        Shape::Box(bytes, number) => u32::from(bytes[1]) * 1000 + u32::from(number.unwrap_or(999)),
        Shape::Nothing => u32::MAX,
    };
    if let Some(out) = out.at(group.item()) {
        *out = (found, units.len() + texts[group.rank() % 4].len());
    }
}

/// Two tiles that turn round at one barrier: read the one, write the other.
fn ping_pong(
    group: Group,
    x: &[u32],
    a: Shared<[u32; 64]>,
    b: Shared<[u32; 64]>,
    mut out: Disjoint<u32>,
) {
    let mine = x[group.item().global()];
    let mut readable = group.sync(a.filled(mine));
    let mut writable = b.filled(0);
    for step in 0..6 {
        let distance = 1 << step;
        let before = group
            .rank()
            .checked_sub(distance)
            .map_or(0, |rank| readable[rank]);
        let sum = readable[group.rank()].wrapping_add(before);
        if let Some(own) = writable.own() {
            *own = sum;
        }
        (readable, writable) = {
            let (now_readable, now_writable) = group.sync((writable, readable));
            (now_readable, now_writable)
        };
    }
    if let Some(out) = out.at(group.item()) {
        *out = readable[group.rank()];
    }
}

/// A histogram of each group in atomics, added up at the end.
fn histogram(group: Group, bytes: &[u8], counts: Shared<[AtomicU32; 256]>, total: &[AtomicU32]) {
    let counts = group.sync(counts.fill(|_| AtomicU32::new(0)));
    let stride = group.item().grid_len();
    for byte in bytes.iter().skip(group.item().global()).step_by(stride) {
        counts[usize::from(*byte)].fetch_add(1, Ordering::Relaxed);
    }
    let mut counts = group.sync(counts);
    counts.for_each(|value, count| {
        total[value].fetch_add(count.load(Ordering::Relaxed), Ordering::Relaxed);
    });
}

/// Two groups in a row must not see each other's memory as readable: all of it is written anew.
fn rewritten(group: Group, tile: Shared<[usize; 32]>, mut out: Disjoint<usize>) {
    let mut tile = tile.filled(group.index());
    let mut sum = 0;
    for round in 0..5 {
        tile.fill(|i| i * round + group.index());
        let all = group.sync(tile);
        sum += all.iter().sum::<usize>();
        tile = group.sync(all);
    }
    if let Some(out) = out.at(group.item()) {
        *out = sum;
    }
}

/// By address: each item writes where it likes, one barrier apart.
fn raw(group: Group, tile: Shared<[u32; 64]>, mut out: Disjoint<u32>) {
    let start = tile.into_raw();
    let target = (group.rank() * 7 + 3) % 64;
    // SAFETY: groups have 64 items, and 7 is coprime to 64: each writes another element.
    unsafe { start.add(target).write(group.rank() as u32) };
    group.barrier();
    // SAFETY: all elements are written, and only read from here on.
    let found = unsafe { start.add(group.rank()).read() };
    if let Some(out) = out.at(group.item()) {
        *out = found;
    }
}

/// Without any barrier, shared memory is each item's own.
fn alone(group: Group, tile: Shared<[u32; 64]>, mut out: Disjoint<u32>) {
    let mut tile = tile.fill(|i| i as u32 * 3);
    let mut sum = 0;
    tile.for_each(|_, element| {
        *element += 1;
        sum += *element;
    });
    if let Some(out) = out.at(group.item()) {
        *out = sum;
    }
}

/// A tile in a kernel whose items don't know their group.
fn without_group(at: Item, tile: Shared<[u32; 64]>, mut out: Disjoint<u32>) {
    let mut tile = tile.fill(|i| i as u32);
    let found = tile.own().map(|own| *own);
    if let Some(out) = out.at(&at) {
        *out = u32::from(found.is_some());
    }
}

/// Bounds and parts of an item's number, compared with what all items share: where many items run at once,
/// such comparisons are made once for all of them.
fn bounds(
    group: Group,
    [first, second, third]: [usize; 3],
    tile: Shared<[u32; 256]>,
    mut out: Disjoint<[u32; 8]>,
) {
    let tile = tile.fill(|i| {
        if i < first {
            i as u32
        } else {
            7 * i as u32 + 1
        }
    });
    let tile = group.sync(tile);
    let (rank, [x, _, _]) = (group.rank(), group.local());
    let below = if rank < first { tile[rank] } else { 1000 };
    let at_most = if x <= second {
        tile[(rank + 1) % 256]
    } else {
        1001
    };
    let equal = if rank == third { 1002 } else { tile[rank % 16] };
    let above = if second < x {
        tile[rank / 16 % 256]
    } else {
        1003
    };
    let behind = if rank.wrapping_sub(second) < third {
        tile[rank & 7]
    } else {
        1004
    };
    let far = if rank.saturating_add(third) >= first {
        tile[(rank >> 3) & 31]
    } else {
        1005
    };
    let other = if x != second { tile[x * 3 % 256] } else { 1006 };
    let narrow = if (x as u16).wrapping_mul(3) < first as u16 {
        tile[x & 48]
    } else {
        1007
    };
    if let Some(out) = out.at(group.item()) {
        *out = [below, at_most, equal, above, behind, far, other, narrow];
    }
}

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    suite.case("groups/bounds", |t| {
        let edges = [0, 1, 15, 16, 17, 33, 63, 64, usize::MAX - 20, usize::MAX];
        let spaces: [([usize; 2], [usize; 2]); 5] = [
            ([128, 1], [64, 1]),
            ([100, 1], [64, 1]),
            ([32, 16], [16, 16]),
            ([70, 5], [32, 2]),
            ([41, 7], [20, 3]),
        ];
        for ([width, height], group) in spaces {
            let grid = Grid::over([width, height]).group(group);
            for (index, first) in edges.into_iter().enumerate() {
                for second in [0, 16, 33, usize::MAX] {
                    let third = edges[(index * 3 + 1) % edges.len()];
                    let out = output::<[u32; 8]>(width * height);
                    both!(t, bounds, grid, [value [first, second, third]], [shared array], [write out])?;
                }
            }
        }
        Ok(())
    });
    suite.case("groups/tiles_uneven", |t| {
        for (items, group) in [(64, 64), (50, 32), (7, 2), (1, 1), (200, 128)] {
            let out = output::<(u32, u64)>(items);
            let grid = Grid::over(items).group(group);
            both!(t, uneven, grid, [shared array], [shared array], [write out])?;
        }
        Ok(())
    });
    suite.case("groups/tiles_of_any_type", |t| {
        let out = output::<(u32, usize)>(100);
        let grid = Grid::over(100).group(32);
        for len in [1, 31, 77] {
            both!(t, types, grid, [shared slice len], [shared array], [shared array], [write out])?;
        }
        Ok(())
    });
    suite.case("groups/tiles_that_turn_round", |t| {
        let x: Vec<u32> = (0..200).map(|i| i * 7 + 1).collect();
        let out = output::<u32>(200);
        let grid = Grid::over(200).group(64);
        both!(t, ping_pong, grid, [read x], [shared array], [shared array], [write out])
    });
    suite.case("groups/histogram", |t| {
        let bytes: Vec<u8> = (0..5000u32)
            .map(|i| (i.wrapping_mul(i) >> 3) as u8)
            .collect();
        let total = vec![0u32; 256];
        let grid = Grid::over(300).group(64);
        both!(t, histogram, grid, [read bytes], [shared array], [atomic total])
    });
    suite.case("groups/tiles_rewritten", |t| {
        let out = output::<usize>(100);
        both!(t, rewritten, Grid::over(100).group(16), [shared array], [write out])
    });
    suite.case("groups/tiles_by_address", |t| {
        let out = output::<u32>(256);
        both!(t, raw, Grid::over(256).group(64), [shared array], [write out])
    });
    suite.case("groups/tiles_without_barriers", |t| {
        let out = output::<u32>(100);
        both!(t, alone, Grid::over(100).group(32), [shared array], [write out])?;
        let out = output::<u32>(48);
        both!(t, without_group, Grid::over(48).group(48), [shared array], [write out])
    });
    suite.case("groups/closures", |t| {
        let kernel = |group: Group, scale: u32, tile: Shared<[u32; 32]>, mut out: Disjoint<u32>| {
            let all = group.sync(tile.fill(|i| scale * i as u32));
            if let Some(out) = out.at(group.item()) {
                *out = all[31 - group.rank()];
            }
        };
        let out = output::<u32>(96);
        both!(t, kernel, Grid::over(96).group(32), [value 3], [shared array], [write out])
    });
}
