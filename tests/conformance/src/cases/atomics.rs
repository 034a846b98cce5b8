//! Atomics of all types, orderings and scopes, in buffers and in shared memory; fences.
//!
//! Work-items run in any order, so results are such that order doesn't show: sums, extremes, counts.

use std::sync::atomic::{
    self, AtomicBool, AtomicI8, AtomicI16, AtomicI32, AtomicI64, AtomicIsize, AtomicU8, AtomicU16,
    AtomicU32, AtomicU64, AtomicUsize, Ordering,
};

use legionella::atomic::{
    AtomicF32, AtomicF64, AtomicI128, AtomicU128, InGroup, InSystem, OnDevice, fence, scope,
};
use legionella::prelude::*;
use legionella_device::intrinsic::pause;

use crate::both::both;
use crate::suite::Suite;
use crate::values::values;
use Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

/// The orderings of operations that load and store.
const ALL: [Ordering; 5] = [Relaxed, Release, Acquire, AcqRel, SeqCst];

/// Every operation of an integer type by every ordering; element 4 × operation + variant.
macro_rules! integer {
    ($name:ident: $integer:ident in $atomic:ident) => {
        fn $name(at: Item, x: &[$integer], all: &[$atomic]) {
            let Some(&x) = x.get(at.global()) else { return };
            for (index, order) in ALL.into_iter().enumerate() {
                let one = |operation: usize| &all[ALL.len() * operation + index];
                one(0).fetch_add(x, order);
                one(1).fetch_sub(x, order);
                one(2).fetch_and(x | 1, order);
                one(3).fetch_or(x, order);
                one(4).fetch_xor(x, order);
                one(5).fetch_max(x, order);
                one(6).fetch_min(x, order);
                // What leaves by one exchange comes in by another: the sum is of all values.
                let before = one(7).swap(x, order);
                one(8).fetch_add(before, order);
                let load = match order {
                    Release => Relaxed,
                    AcqRel => Acquire,
                    other => other,
                };
                let mut current = one(9).load(load);
                while let Err(other) =
                    one(9).compare_exchange_weak(current, current.wrapping_add(x), order, load)
                {
                    current = other;
                }
                let add = |before: $integer| Some(before.wrapping_mul(3).wrapping_add(3));
                let _ = one(10).fetch_update(order, load, add);
                let _ = one(11).compare_exchange(0, 1, order, load);
                let store = match order {
                    Acquire => Relaxed,
                    AcqRel => Release,
                    other => other,
                };
                one(12).store(5, store);
            }
        }
    };
}

/// Operations of [`integer`].
const OPERATIONS: usize = 13;

integer!(all_u8: u8 in AtomicU8);
integer!(all_u16: u16 in AtomicU16);
integer!(all_u32: u32 in AtomicU32);
integer!(all_u64: u64 in AtomicU64);
integer!(all_usize: usize in AtomicUsize);
integer!(all_u128: u128 in AtomicU128);
integer!(all_i8: i8 in AtomicI8);
integer!(all_i16: i16 in AtomicI16);
integer!(all_i32: i32 in AtomicI32);
integer!(all_i64: i64 in AtomicI64);
integer!(all_isize: isize in AtomicIsize);
integer!(all_i128: i128 in AtomicI128);

/// Values after all items but the last exchanged, which any may be, as a sum that shows no order.
macro_rules! case {
    ($suite:ident, $kernel:ident, $integer:ident) => {
        $suite.case(
            concat!("atomics/", stringify!($integer), "/operations"),
            |t| {
                let x = values::<$integer>(700);
                let all = vec![0 as $integer; OPERATIONS * ALL.len()];
                let settle = |mut all: Vec<$integer>| {
                    for index in 0..ALL.len() {
                        let last = std::mem::take(&mut all[7 * ALL.len() + index]);
                        let sum = &mut all[8 * ALL.len() + index];
                        *sum = sum.wrapping_add(last);
                    }
                    all
                };
                let mut host = all.clone();
                legionella::host::launch(
                    $kernel,
                    x.len(),
                    (&x, legionella::host::atomic(&mut host)),
                );
                let input = t.accelerator.upload(&x)?;
                let mut device = t.accelerator.upload(&all)?;
                t.accelerator
                    .launch($kernel, x.len(), (&input, device.atomic()))?;
                t.same("all", settle(host), settle(device.to_vec()?))
            },
        );
    };
}

fn flags(at: Item, x: &[u8], all: &[AtomicBool]) {
    let Some(&x) = x.get(at.global()) else { return };
    for (index, order) in ALL.into_iter().enumerate() {
        all[index].fetch_or(x > 250, order);
        all[5 + index].fetch_and(x > 5, order);
        all[10 + index].fetch_xor(x & 1 == 1, order);
        all[15 + index].swap(true, order);
    }
}

macro_rules! float {
    ($name:ident: $float:ident in $atomic:ident) => {
        fn $name(at: Item, x: &[$float], all: &[$atomic]) {
            let Some(&x) = x.get(at.global()) else { return };
            for (index, order) in ALL.into_iter().enumerate() {
                all[index].fetch_max(x, order);
                all[5 + index].fetch_min(x, order);
                // Sums of these are exact in any order.
                all[10 + index].fetch_add(at.global() as $float / 4.0, order);
                all[15 + index].fetch_sub(at.global() as $float, order);
                let update = |before| Some(before + 0.5);
                let _ = all[20 + index].fetch_update(order, Relaxed, update);
                // A number takes the place of the NaN that is there, the greatest one in the end.
                all[25 + index].fetch_max((at.global() % 97) as $float, order);
                let _ = all[30 + index].compare_exchange(0.0, -0.0, order, Relaxed);
            }
            all[35].store(1.5, Release);
        }
    };
}

float!(all_f32: f32 in AtomicF32);
float!(all_f64: f64 in AtomicF64);

/// What is there before: not a number where that is to be replaced.
fn floats<T: From<f32> + Copy>() -> Vec<T> {
    let nan = |index: usize| (25..30).contains(&index).then_some(f32::NAN);
    (0..36)
        .map(|index| nan(index).unwrap_or(0.0).into())
        .collect()
}

/// How many values of each group fall into each bin, by atomics that are the group's own.
fn in_groups(
    group: Group,
    x: &[u8],
    bins: Shared<[InGroup<AtomicU32>; 16]>,
    extremes: Shared<[InGroup<AtomicF32>; 2]>,
    total: &[AtomicU32],
    mut range: Disjoint<[f32; 2]>,
) {
    let bins = bins.fill(|_| InGroup::new(AtomicU32::new(0)));
    let extremes = extremes.fill(|_| InGroup::new(AtomicF32::new(f32::NAN)));
    let (bins, extremes) = group.sync((bins, extremes));
    if let Some(&x) = x.get(group.item().global()) {
        bins[usize::from(x >> 4)].fetch_add(1, AcqRel);
        extremes[0].fetch_min(f32::from(x), Relaxed);
        extremes[1].fetch_max(f32::from(x), SeqCst);
    }
    fence::<scope::Group>(Release);
    group.barrier();
    fence::<scope::Group>(Acquire);
    if group.rank() < 16 {
        total[group.rank()].fetch_add(bins[group.rank()].load(Acquire), Relaxed);
    }
    if let Some(range) = range.at(group.item()) {
        *range = [0, 1].map(|end| extremes[end].load(Relaxed));
    }
}

fn scoped(at: Item, x: &[u32], all: &[AtomicU32], wide: &[AtomicF64]) {
    let Some(&x) = x.get(at.global()) else { return };
    InSystem::of(&all[0]).fetch_add(x, SeqCst);
    OnDevice::of(&all[1]).fetch_max(x, AcqRel);
    let either = if x % 2 == 0 { &all[2] } else { &all[3] };
    InSystem::of(either).fetch_xor(x, Release);
    let system: &AtomicU32 = InSystem::of(&all[4]);
    for _ in 0..x % 3 {
        system.fetch_sub(1, Relaxed);
    }
    InSystem::of(&wide[0]).fetch_add(f64::from(x % 1024), Relaxed);
}

/// One item of each two writes a message and says so, the other one reads it if it hears of that.
/// Counts messages that weren't there.
fn messages(at: Item, text: &[AtomicU64], there: &[AtomicU32], lost: &[AtomicU32]) {
    // Items of a pair are far from each other, so that they are in different groups.
    let half = at.grid_len() / 2;
    let pair = at.global() % half;
    if at.global() < half {
        text[pair].store(7 + pair as u64, Relaxed);
        there[3 * pair].store(1, Release);
        fence::<scope::Device>(Release);
        there[3 * pair + 1].store(1, Relaxed);
        atomic::fence(SeqCst);
        there[3 * pair + 2].fetch_or(1, Relaxed);
    } else {
        let missing = || text[pair].load(Relaxed) != 7 + pair as u64;
        if there[3 * pair + 2].fetch_and(1, Acquire) == 1 && missing() {
            lost[2].fetch_add(1, Relaxed);
        }
        if there[3 * pair].load(Acquire) == 1 && missing() {
            lost[0].fetch_add(1, Relaxed);
        }
        let heard = there[3 * pair + 1].load(Relaxed) == 1;
        fence::<scope::System>(Acquire);
        if heard && missing() {
            lost[1].fetch_add(1, Relaxed);
        }
    }
}

/// Each of two items raises its own flag and looks at the other's: not both may find the other down.
fn store_buffering(at: Item, flags: &[AtomicU32], seen: &[AtomicU32]) {
    let half = at.grid_len() / 2;
    let (pair, side) = (at.global() % half, at.global() / half);
    flags[2 * pair + side].store(1, SeqCst);
    let other = flags[2 * pair + 1 - side].load(SeqCst);
    seen[pair].fetch_or(other, Relaxed);
}

/// Every second group stores numbers with two equal halves, again and again; the others look at them. A half alone
/// is never there.
fn whole(at: Item, numbers: &[AtomicU64], torn: &[AtomicU32]) {
    let number = &numbers[at.global() % numbers.len()];
    if at.global() / numbers.len() % 2 == 0 {
        for value in 0..2000u64 {
            number.store(value << 32 | value, Relaxed);
        }
    } else {
        for _ in 0..2000 {
            let seen = number.load(Relaxed);
            if seen >> 32 != u64::from(seen as u32) {
                torn[0].fetch_add(1, Relaxed);
            }
        }
    }
}

/// Items of a group that add up what the groups before have at the same place: each goes back by itself, and waits
/// by itself for groups that have told nothing yet. Groups count as they begin, so that none waits for one that
/// doesn't run.
fn look_back(
    group: Group,
    x: &[u32],
    told: &[AtomicU64],
    number: Shared<[u64; 1]>,
    sums: &[AtomicU64],
) {
    const HERE: u64 = 1 << 62;
    const UP_TO_HERE: u64 = 2 << 62;
    let begun = &told[told.len() - 1];
    let number = group.sync(number.fill(|_| begun.fetch_add(1, Relaxed)));
    let (tile, rank) = (number[0] as usize, group.rank());
    let place = |tile: usize| &told[tile * group.len() + rank];
    let value = |tile: usize| x[(tile * group.len() + rank) % x.len()];
    // Values that are there before and used behind.
    let kept = [1, 2, 3].map(|distance| u64::from(value(tile + distance)));
    let here = u64::from(value(tile));
    place(tile).store(HERE | here, Relaxed);
    let (mut before, mut other, mut looks) = (0, tile, 0u32);
    while other > 0 {
        let seen = place(other - 1).load(Relaxed);
        before += seen & (HERE - 1);
        other = match seen {
            0 => other,
            seen if seen & UP_TO_HERE == 0 => other - 1,
            _ => 0,
        };
        looks += 1;
        if looks.is_multiple_of(4) {
            pause();
        }
    }
    place(tile).store(UP_TO_HERE | (before + here), Relaxed);
    let at = 3 * (tile * group.len() + rank);
    sums[at].store(before, Relaxed);
    sums[at + 1].store(kept[0] ^ kept[2], Relaxed);
    sums[at + 2].store(kept[1], Relaxed);
}

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    case!(suite, all_u8, u8);
    case!(suite, all_u16, u16);
    case!(suite, all_u32, u32);
    case!(suite, all_u64, u64);
    case!(suite, all_usize, usize);
    case!(suite, all_u128, u128);
    case!(suite, all_i8, i8);
    case!(suite, all_i16, i16);
    case!(suite, all_i32, i32);
    case!(suite, all_i64, i64);
    case!(suite, all_isize, isize);
    case!(suite, all_i128, i128);
    suite.case("atomics/bool/operations", |t| {
        let (x, all) = (values::<u8>(500), vec![true; 20]);
        both!(t, flags, Grid::over(x.len()), [read x], [atomic all])
    });
    suite.case("atomics/f32/operations", |t| {
        let (x, all) = (values::<f32>(500), floats::<f32>());
        both!(t, all_f32, Grid::over(x.len()), [read x], [atomic all])
    });
    suite.case("atomics/f64/operations", |t| {
        let (x, all) = (values::<f64>(500), floats::<f64>());
        both!(t, all_f64, Grid::over(x.len()), [read x], [atomic all])
    });
    suite.case("atomics/scopes/in_groups", |t| {
        let (x, total, range) = (values::<u8>(1000), vec![0u32; 16], vec![[0f32; 2]; 1000]);
        let grid = Grid::over(x.len()).group(96);
        both!(t, in_groups, grid, [read x], [shared array], [shared array], [atomic total],
            [write range])
    });
    suite.case("atomics/scopes/beyond_groups", |t| {
        let (x, all, wide) = (values::<u32>(1000), vec![0u32; 5], vec![0f64; 1]);
        both!(t, scoped, Grid::over(x.len()), [read x], [atomic all], [atomic wide])
    });
    suite.case("atomics/order/messages", |t| {
        let (text, there, lost) = (vec![0u64; 20_000], vec![0u32; 60_000], vec![0u32; 3]);
        let mut on_device = (
            t.accelerator.upload(&text)?,
            t.accelerator.upload(&there)?,
            t.accelerator.upload(&lost)?,
        );
        let arguments = (
            on_device.0.atomic(),
            on_device.1.atomic(),
            on_device.2.atomic(),
        );
        t.accelerator
            .launch(messages, 2 * text.len(), arguments)?
            .wait()?;
        t.same("lost", lost, on_device.2.to_vec()?)
    });
    suite.case("atomics/order/whole", |t| {
        let (numbers, torn) = (vec![0u64; 64], vec![0u32; 1]);
        both!(t, whole, Grid::over(512).group(64), [atomic numbers], [atomic torn])
    });
    suite.case("atomics/order/look_back", |t| {
        const GROUPS: usize = 100;
        let x = values::<u32>(64 * GROUPS);
        let (told, sums) = (vec![0u64; 64 * GROUPS + 1], vec![0u64; 3 * 64 * GROUPS]);
        let grid = Grid::over(64 * GROUPS).group(64);
        both!(t, look_back, grid, [read x], [atomic told], [shared array], [atomic sums])
    });
    suite.case("atomics/order/store_buffering", |t| {
        let (flags, seen) = (vec![0u32; 40_000], vec![0u32; 20_000]);
        both!(t, store_buffering, Grid::over(40_000), [atomic flags], [atomic seen])
    });
}
