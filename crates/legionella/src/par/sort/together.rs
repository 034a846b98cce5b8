//! The sort on devices whose neighbouring items should access neighbours.
//!
//! One launch counts the digits of all places. Then, for each place, a launch reads the keys once and writes
//! them once: a group takes a tile of elements, which its subgroups share in order. In each of them,
//! lanes with the same digit find each other and take places among those of the digit, round after
//! round, so that equal digits keep their order. How many elements of each digit the tiles before have,
//! groups tell each other. The group brings its keys in order in shared memory and writes them out from
//! there, where neighbours mostly go to neighbouring places.

use std::num::NonZero;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use legionella_device::atomic::InGroup;
use legionella_device::{DeviceData, Disjoint, Group, Shared, Subgroup};

use super::VALUES;
use crate::buffer::Buffer;
use crate::error::Result;
use crate::grid::Grid;
use crate::launch::{function, shared, shared_slice};
use crate::par::looks::Looks;
use crate::par::{Digits, ItemOf, Par, Source, View};
use crate::schedule::completion::Completion;

/// Items of a group: each looks after a digit.
const GROUP: usize = VALUES;
/// Most subgroups of a group: none has fewer than 32 lanes.
const SUBGROUPS: usize = GROUP / 32;
/// Most elements of an item.
const ROUNDS: usize = 32;
/// Least keys of a group that counts, and most of these groups.
const LEAST: usize = 1 << 13;
const GROUPS: usize = 1 << 11;
/// Keys that an item reads before it counts the first.
const UNROLLED: usize = 8;
/// Bits of a digit.
const BITS: u32 = VALUES.trailing_zeros();

/// Elements of an item: what a group's keys take of shared memory is 32 KiB.
const fn rounds<K>() -> usize {
    let rounds = (32 << 10) / GROUP / size_of::<K>();
    if rounds < ROUNDS { rounds } else { ROUNDS }
}

/// Counters of digits.
type Counters<const N: usize> = [InGroup<AtomicU32>; N];

/// What groups tell of a digit: nothing yet, how many elements of it their tile has, or how many that and all
/// before it have.
const HERE: u64 = 1 << 62;
const UP_TO_HERE: u64 = 2 << 62;
/// The number in that.
const NUMBER: u64 = HERE - 1;

/// Keys in order, with as many values.
pub(super) fn in_order<S, T, U, F>(
    keys: Par<'_, S>,
    mut values: Buffer<T>,
    finish: F,
) -> Result<(Buffer<U>, Buffer<T>)>
where
    S: Source,
    ItemOf<S>: Digits,
    T: DeviceData,
    U: DeviceData,
    F: Fn(ItemOf<S>) -> U + Copy + Send + 'static,
{
    let (accelerator, len) = (keys.accelerator, keys.len());
    let (mut keys, starts) = counted(keys)?;
    // SAFETY: all three are written in full before they are read.
    let (mut keys_to, mut finished, mut values_to) = unsafe {
        (
            Buffer::uninitialised(accelerator, len)?,
            Buffer::uninitialised(accelerator, len)?,
            Buffer::uninitialised(accelerator, len)?,
        )
    };
    // Nothing of the caller's runs in them but `finish`, which is last: each may begin before it is known how
    // the one before ended.
    let mut passes = Vec::new();
    let last = ItemOf::<S>::COUNT - 1;
    for place in 0..last {
        let to = (&mut keys_to, &mut values_to);
        // SAFETY: the starts are those of the same keys, in whatever order.
        passes.push(unsafe { pass(place, &starts, (&keys, &values), |key| key, to)? });
        std::mem::swap(&mut keys, &mut keys_to);
        std::mem::swap(&mut values, &mut values_to);
    }
    let to = (&mut finished, &mut values_to);
    // SAFETY: likewise.
    passes.push(unsafe { pass(last, &starts, (&keys, &values), finish, to)? });
    passes.iter().try_for_each(Completion::wait)?;
    Ok((finished, values_to))
}

/// The keys, and for each place where those with each digit begin if they are in the order of that.
fn counted<S>(keys: Par<'_, S>) -> Result<(Buffer<ItemOf<S>>, Buffer<u64>)>
where
    S: Source,
    ItemOf<S>: Digits,
{
    let (accelerator, len) = (keys.accelerator, keys.len());
    let counters = ItemOf::<S>::COUNT as usize * VALUES;
    let mut starts = accelerator.zeroed::<u64>(counters)?;
    let groups = len.div_ceil(LEAST).min(GROUPS);
    // SAFETY: each element is stored.
    let stored = unsafe {
        keys.written_by(len, |stored| {
            let stored = stored.as_slice_mut().address_of_all();
            let arguments = (keys.source, stored, shared_slice(counters), starts.atomic());
            let grid = Grid::over(groups * GROUP).group(GROUP);
            accelerator.launch_unchecked(count::<S::View>, grid, arguments)
        })
    }?;
    let grid = Grid::over(counters).group(VALUES);
    accelerator
        .launch(begin, grid, (&mut starts, shared()))?
        .wait()?;
    Ok((stored, starts))
}

/// Moves keys and values to where they come in the order of a digit.
///
/// # Safety
/// `starts` are those that [`counted`] gave for the same keys, in whatever order. There are as many values, and
/// room for as many of both.
unsafe fn pass<K: Digits, T: DeviceData, U: DeviceData, F>(
    place: u32,
    starts: &Buffer<u64>,
    (keys, values): (&Buffer<K>, &Buffer<T>),
    finish: F,
    (keys_to, values_to): (&mut Buffer<U>, &mut Buffer<T>),
) -> Result<Completion>
where
    F: Fn(K) -> U + Copy + Send + 'static,
{
    let accelerator = keys.accelerator();
    let tiles = keys.len().div_ceil(GROUP * const { rounds::<K>() });
    // One more: how many tiles have begun.
    let mut told = accelerator.zeroed::<u64>(tiles * VALUES + 1)?;
    let arguments = (
        place,
        function(finish),
        keys,
        values,
        starts,
        told.atomic(),
        keys_to.as_slice_mut().address_of_all(),
        values_to.as_slice_mut().address_of_all(),
        shared(),
        shared(),
        shared(),
        shared_slice(GROUP * const { rounds::<K>() }),
    );
    let grid = Grid::over(GROUP * tiles).group(GROUP);
    // SAFETY: the caller's promise, and there is what is told for each digit of each tile.
    unsafe { accelerator.launch_unchecked(move_tile::<K, T, U, F>, grid, arguments) }
}

/// Stores keys, and counts the digits of all places.
fn count<V: View<Item: Digits>>(
    group: Group,
    source: V,
    stored: *mut V::Item,
    counters: Shared<[InGroup<AtomicU32>]>,
    counts: &[AtomicU64],
) {
    let counters = group.sync(counters.fill(|_| InGroup::new(AtomicU32::new(0))));
    let count = |key: V::Item| {
        for place in 0..<V::Item as Digits>::COUNT {
            // SAFETY: there is a counter for each digit of each place.
            let counter =
                unsafe { counters.get_unchecked(place as usize * VALUES + key.digit(place)) };
            // Fewer than 2³² elements a group, of the fewer than 2⁴³ that there is memory for.
            counter.fetch_add(1, Relaxed);
        }
    };
    let (len, block) = (source.count(), GROUP * UNROLLED);
    let mut first = group.index() * block + group.rank();
    // SAFETY: called for indices below the length; no other item has the same.
    let key = |index| unsafe {
        let key = source.get(index);
        stored.add(index).write(key);
        key
    };
    while first + GROUP * (UNROLLED - 1) < len {
        let keys: [V::Item; UNROLLED] = std::array::from_fn(|k| key(first + k * GROUP));
        keys.into_iter().for_each(count);
        first += group.count()[0] * block;
    }
    // What is left is in one block, which it doesn't fill.
    for index in (first..len).step_by(GROUP) {
        count(key(index));
    }
    group.barrier();
    for (digit, counts) in counts.iter().enumerate().skip(group.rank()).step_by(GROUP) {
        // SAFETY: as above.
        let here = unsafe { counters.get_unchecked(digit) }.load(Relaxed);
        if here > 0 {
            counts.fetch_add(u64::from(here), Relaxed);
        }
    }
}

/// Makes counts of digits of where they begin; a group does so for each place.
fn begin(group: Group, mut counts: Disjoint<u64>, scratch: Shared<[u64; VALUES]>) {
    let mut scratch = scratch.scratch();
    let count = counts.at(group.item());
    let value = count.as_deref().copied().unwrap_or(0);
    let before = group.exclusive_scan(&mut scratch, value, 0, |a, b| a + b);
    if let Some(count) = count {
        *count = before;
    }
}

/// The lanes of a subgroup that have the same digit, as one of them sees them.
struct Same {
    /// The first of them.
    leader: usize,
    /// How many there are, and how many of them come before this one.
    count: u32,
    before: u32,
}

macro_rules! same {
    ($subgroup:expr, $digit:expr, $lanes:ident) => {{
        let mut same = $subgroup.lanes() as $lanes;
        for bit in 0..BITS {
            let is_set = $digit >> bit & 1;
            let votes = $subgroup.ballot(is_set == 1) as $lanes;
            // Those without, where it isn't set.
            same &= votes ^ (is_set as $lanes).wrapping_sub(1);
        }
        let before = same & ((1 << $subgroup.lane()) - 1);
        Same {
            // SAFETY: the lane itself is among them.
            leader: unsafe { NonZero::new_unchecked(same) }.trailing_zeros() as usize,
            count: same.count_ones(),
            before: before.count_ones(),
        }
    }};
}

/// Finds the lanes with the same digit.
#[inline(always)]
fn with_same(subgroup: &Subgroup<'_>, digit: usize) -> Same {
    if subgroup.size() <= 32 {
        same!(subgroup, digit, u32)
    } else {
        same!(subgroup, digit, u64)
    }
}

/// Tells how many elements of the item's digit a tile has; gives how many the tiles before it have. Lanes wait
/// until all of them know.
#[inline(always)]
fn in_tiles_before(
    subgroup: &Subgroup<'_>,
    told: &[AtomicU64],
    tile: usize,
    digit: usize,
    here: u64,
) -> u64 {
    let place = |tile: usize| {
        // SAFETY: there is one for each digit of each tile.
        unsafe { told.get_unchecked(tile * VALUES + digit) }
    };
    if tile > 0 {
        place(tile).store(HERE | here, Relaxed);
    }
    let (mut before, mut other, mut looks) = (0, tile, Looks::default());
    while subgroup.any(other > 0) {
        if other > 0 {
            let of = place(other - 1).load(Relaxed);
            before += of & NUMBER;
            other = match of {
                0 => other,
                of if of & UP_TO_HERE == 0 => other - 1,
                _ => 0,
            };
        }
        looks.again();
    }
    place(tile).store(UP_TO_HERE | (before + here), Relaxed);
    before
}

/// Moves the tile that is the next to where the elements of each digit go.
#[allow(
    clippy::too_many_arguments,
    reason = "buffers and shared memory of a kernel"
)]
fn move_tile<K: Digits, T: DeviceData, U: DeviceData, F: Fn(K) -> U>(
    group: Group,
    place: u32,
    finish: F,
    keys: &[K],
    values: &[T],
    starts: &[u64],
    told: &[AtomicU64],
    keys_to: *mut U,
    values_to: *mut T,
    counters: Shared<Counters<{ VALUES * SUBGROUPS }>>,
    offsets: Shared<[u64; VALUES]>,
    scratch: Shared<[u32; GROUP]>,
    in_order: Shared<[K]>,
) {
    let rounds = const { rounds::<K>() };
    let counters = counters.fill(|_| InGroup::new(AtomicU32::new(0)));
    let number = offsets.fill(|index| match told.last() {
        Some(begun) if index == 0 => begun.fetch_add(1, Relaxed),
        _ => 0,
    });
    let (counters, number) = group.sync((counters, number));
    let tile = number[0] as usize;
    let subgroup = group.subgroup();
    let (lane, size) = (subgroup.lane(), subgroup.size());
    let of = group.rank() / size;
    let start = tile * GROUP * rounds;
    let first = start + of * size * rounds + lane;
    let count = (keys.len() - start).min(GROUP * rounds);

    // Beyond the end are elements of the last digit, which come after all others.
    let beyond = K::ZERO.turned();
    // SAFETY: called for indices below the number of keys.
    let key = |index| unsafe { *keys.get_unchecked(index) };
    let mine: [K; ROUNDS] = match count == GROUP * rounds {
        // Without a test for each, reads overlap.
        true => std::array::from_fn(|round| match round < rounds {
            true => key(first + round * size),
            false => beyond,
        }),
        false => std::array::from_fn(|round| {
            let index = first + round * size;
            match round < rounds && index < keys.len() {
                true => key(index),
                false => beyond,
            }
        }),
    };
    let counter = |number: usize, digit: usize| {
        // SAFETY: digits are below `VALUES`, and so are ranks; there are no more subgroups than counters.
        unsafe { counters.get_unchecked(number * VALUES + digit) }
    };
    let mut places = [0; ROUNDS];
    for round in 0..rounds {
        let digit = mine[round].digit(place);
        let same = with_same(&subgroup, digit);
        let begin = match same.before {
            0 => counter(of, digit).fetch_add(same.count, Relaxed),
            _ => 0,
        };
        let begin = subgroup.shuffle(begin, same.leader).unwrap_or(0);
        places[round] = begin + same.before;
    }
    let mut offsets = group.sync(number);

    // Each item has a digit: where its elements begin in the tile, and those of each subgroup.
    let digit = group.rank();
    let mut here = 0;
    for number in 0..SUBGROUPS {
        here += counter(number, digit).load(Relaxed);
    }
    let mut scratch = scratch.scratch();
    let before = group.exclusive_scan(&mut scratch, here, 0, |a, b| a + b);
    let mut begin = before;
    for number in 0..SUBGROUPS {
        let counter = counter(number, digit);
        let here = counter.load(Relaxed);
        counter.store(begin, Relaxed);
        begin += here;
    }
    // Those beyond the end are told as well, and nobody asks for what the last tile told.
    let in_tiles_before = in_tiles_before(&subgroup, told, tile, digit, u64::from(here));
    if let Some(offset) = offsets.own() {
        // SAFETY: there is a start for each digit of each place.
        let start = unsafe { starts.get_unchecked(place as usize * VALUES + digit) };
        *offset = (start + in_tiles_before).wrapping_sub(u64::from(before));
    }
    let offsets = group.sync(offsets);
    let to =
        |key: K, position: usize| offsets[key.digit(place)].wrapping_add(position as u64) as usize;

    let in_order = in_order.into_raw();
    for round in 0..rounds {
        let (key, index) = (mine[round], first + round * size);
        let position = counter(of, key.digit(place)).load(Relaxed) + places[round];
        // SAFETY: positions of a tile's elements are different numbers below how many it has room for. With
        // their digit's offset they are, over all tiles, each of the output's once, of those below the
        // end.
        unsafe {
            in_order.add(position as usize).write(key);
            if size_of::<T>() > 0 && index < keys.len() {
                let value = values.get_unchecked(index);
                values_to.add(to(key, position as usize)).write(*value);
            }
        }
    }
    group.barrier();
    for position in (group.rank()..count).step_by(GROUP) {
        // SAFETY: as above; all keys of the tile were written before the barrier.
        unsafe {
            let key = in_order.add(position).read();
            keys_to.add(to(key, position)).write(finish(key));
        }
    }
}
