//! A pass of the sort on devices whose neighbouring items should access neighbours.
//!
//! A group takes a tile of elements, which its subgroups share in order. In each of them, lanes with the same
//! digit find each other and take places among those of the digit, round after round, so that equal
//! digits keep their order. The group brings its keys in order in shared memory and writes them out from
//! there, where neighbours mostly go to neighbouring places.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use legionella_device::atomic::InGroup;
use legionella_device::{DeviceData, Disjoint, Group, Shared};

use super::VALUES;
use crate::accelerator::Accelerator;
use crate::buffer::Buffer;
use crate::error::Result;
use crate::grid::Grid;
use crate::launch::{shared, shared_slice};
use crate::par::Digits;

/// Items of a group: each looks after a digit.
const GROUP: usize = VALUES;
/// Most subgroups of a group: none has fewer than 32 lanes.
const SUBGROUPS: usize = GROUP / 32;
/// Most elements of an item.
const ROUNDS: usize = 16;

/// Elements of an item: what a group's keys take of shared memory is 16 KiB.
const fn rounds<K>() -> usize {
    let rounds = (16 << 10) / GROUP / size_of::<K>();
    if rounds < ROUNDS { rounds } else { ROUNDS }
}

/// Counters of digits.
type Counters<const N: usize> = [InGroup<AtomicU32>; N];

/// How many groups sort that many keys.
pub(super) fn groups<K>(len: usize) -> usize {
    len.div_ceil(GROUP * rounds::<K>())
}

fn grid<K>(len: usize) -> Grid {
    Grid::over(GROUP * groups::<K>(len)).group(GROUP)
}

/// Counts how many keys of each group have each digit: a row of counts for each group.
pub(super) fn counts<K: Digits>(
    accelerator: &Accelerator,
    place: u32,
    keys: &Buffer<K>,
) -> Result<Buffer<u32>> {
    let mut counts = accelerator.zeroed::<u32>(VALUES * groups::<K>(keys.len()))?;
    let arguments = (place, keys, shared(), &mut counts);
    accelerator
        .launch(count::<K>, grid::<K>(keys.len()), arguments)?
        .wait()?;
    Ok(counts)
}

/// Moves keys and values to where `starts` says that those of each digit and group begin.
///
/// # Safety
/// `starts` are the running sums of what [`counts`] gave for the same keys and place, by digit and then by
/// group. There are as many values, and room for as many of both.
pub(super) unsafe fn distribute<K: Digits, T: DeviceData>(
    accelerator: &Accelerator,
    place: u32,
    (keys, values): (&Buffer<K>, &Buffer<T>),
    starts: &Buffer<usize>,
    (keys_to, values_to): (&mut Buffer<K>, &mut Buffer<T>),
) -> Result<()> {
    let grid = grid::<K>(keys.len());
    let arguments = (
        place,
        keys,
        values,
        starts,
        keys_to.as_slice_mut().address_of_all(),
        values_to.as_slice_mut().address_of_all(),
        shared(),
        shared(),
        shared(),
        shared_slice(GROUP * rounds::<K>()),
    );
    // SAFETY: `starts` says where the elements of each digit and group go, as `move_tile` asks.
    unsafe { accelerator.launch_unchecked(move_tile::<K, T>, grid, arguments) }?.wait()
}

/// Counts the digits of a group's tile.
fn count<K: Digits>(
    group: Group,
    place: u32,
    keys: &[K],
    counters: Shared<Counters<VALUES>>,
    mut counts: Disjoint<u32>,
) {
    let counters = group.sync(counters.fill(|_| InGroup::new(AtomicU32::new(0))));
    let start = group.index() * GROUP * const { rounds::<K>() };
    for round in 0..const { rounds::<K>() } {
        if let Some(key) = keys.get(start + round * GROUP + group.rank()) {
            counters[key.digit(place)].fetch_add(1, Relaxed);
        }
    }
    group.barrier();
    if let Some(count) = counts.at(group.item()) {
        *count = counters[group.rank()].load(Relaxed);
    }
}

/// Moves a group's tile to where the elements of each digit and group begin.
#[allow(
    clippy::too_many_arguments,
    reason = "buffers and shared memory of a kernel"
)]
fn move_tile<K: Digits, T: DeviceData>(
    group: Group,
    place: u32,
    keys: &[K],
    values: &[T],
    starts: &[usize],
    keys_to: *mut K,
    values_to: *mut T,
    counters: Shared<Counters<{ VALUES * SUBGROUPS }>>,
    offsets: Shared<[usize; VALUES]>,
    scratch: Shared<[u32; GROUP]>,
    in_order: Shared<[K]>,
) {
    let rounds = const { rounds::<K>() };
    let subgroup = group.subgroup();
    let (lane, size) = (subgroup.lane(), subgroup.size());
    let number = group.rank() / size;
    let tile = group.index() * GROUP * rounds;
    let first = tile + number * size * rounds + lane;
    let counters = group.sync(counters.fill(|_| InGroup::new(AtomicU32::new(0))));

    // Beyond the end are elements of the last digit, which come after all others.
    let mine: [Option<K>; ROUNDS] = std::array::from_fn(|round| match round < rounds {
        true => keys.get(first + round * size).copied(),
        false => None,
    });
    let digit = |key: Option<K>| key.map_or(VALUES - 1, |key| key.digit(place));
    let counter = |number: usize, digit: usize| {
        // SAFETY: digits are below `VALUES`, and so are ranks; there are no more subgroups than counters.
        unsafe { counters.get_unchecked(number * VALUES + digit) }
    };
    let mut places = [0; ROUNDS];
    for round in 0..rounds {
        let digit = digit(mine[round]);
        let same = subgroup.matching(digit as u32);
        let leader = same.trailing_zeros() as usize;
        let begin = match lane == leader {
            true => counter(number, digit).fetch_add(same.count_ones(), Relaxed),
            false => 0,
        };
        let before = (same & ((1 << lane) - 1)).count_ones();
        places[round] = subgroup.shuffle(begin, leader).unwrap_or(0) + before;
    }
    group.barrier();

    // Each item has a digit: where its elements begin in the tile, and those of each subgroup.
    let mut count = 0;
    for number in 0..SUBGROUPS {
        count += counter(number, group.rank()).load(Relaxed);
    }
    let mut scratch = scratch.scratch();
    let before = group.exclusive_scan(&mut scratch, count, 0, |a, b| a + b);
    let mut begin = before;
    for number in 0..SUBGROUPS {
        let counter = counter(number, group.rank());
        let here = counter.load(Relaxed);
        counter.store(begin, Relaxed);
        begin += here;
    }
    let groups = group.count()[0];
    let offsets = offsets.fill(|digit| {
        // SAFETY: there is a start for each digit and group.
        let start = unsafe { starts.get_unchecked(digit * groups + group.index()) };
        start.wrapping_sub(before as usize)
    });
    let offsets = group.sync(offsets);

    let in_order = in_order.into_raw();
    for round in 0..rounds {
        let Some(key) = mine[round] else { continue };
        let digit = key.digit(place);
        let position = (counter(number, digit).load(Relaxed) + places[round]) as usize;
        // SAFETY: positions of a tile's elements are different numbers below their count. With their
        // digit's offset they are, over all groups, each of the output's once.
        unsafe {
            in_order.add(position).write(key);
            if size_of::<T>() > 0 {
                let to = offsets[digit].wrapping_add(position);
                let value = values.get_unchecked(first + round * size);
                values_to.add(to).write(*value);
            }
        }
    }
    group.barrier();
    let count = keys.len().min(tile + GROUP * rounds) - tile;
    for position in (group.rank()..count).step_by(GROUP) {
        // SAFETY: as above; all keys of the tile were written before the barrier.
        unsafe {
            let key = in_order.add(position).read();
            let to = offsets[key.digit(place)].wrapping_add(position);
            keys_to.add(to).write(key);
        }
    }
}
