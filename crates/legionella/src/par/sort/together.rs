//! The sort on devices whose neighbouring items should access neighbours.
//!
//! One launch counts the digits of all places. Then, for each place, a launch reads the keys once and writes
//! them once: a group takes a tile of elements, which its subgroups share in order. It counts their digits and
//! tells how many it has of each before it does anything else, since groups behind wait for that. Then, in each subgroup,
//! lanes with the same digit find each other by a word of bits and take places among those of the digit, round after
//! round, so that equal digits keep their order. The group brings its keys in order in shared memory, adds up what
//! groups told of the tiles before, and writes the keys out from there, where neighbours mostly go to
//! neighbouring places.

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
    let (mut keys, starts, counted) = counted(keys)?;
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
    let mut passes = vec![counted];
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

/// The keys, and for each place where those with each digit begin if they are in the order of that, which is still
/// being found out.
#[allow(clippy::type_complexity, reason = "two buffers and when there is what")]
fn counted<S>(keys: Par<'_, S>) -> Result<(Buffer<ItemOf<S>>, Buffer<u64>, Completion)>
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
    let begun = accelerator.launch(begin, grid, (&mut starts, shared()))?;
    Ok((stored, starts, begun))
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
        [place; 2],
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
    /// The last of them.
    last: usize,
    /// How many of them come before this one.
    before: u32,
}

/// What lanes of a subgroup leave for others with the same digit: a bit each.
struct Marks<'a> {
    /// For each digit, the words of all lanes.
    words: &'a [InGroup<AtomicU32>],
}

impl Marks<'_> {
    /// The word of some of the lanes of a digit.
    #[inline(always)]
    fn word(&self, part: usize, digit: usize) -> &InGroup<AtomicU32> {
        // SAFETY: the caller's words, which are those of a subgroup; digits are below `VALUES`.
        unsafe { self.words.get_unchecked(part * VALUES + digit) }
    }

    /// Finds the lanes with the same digit; marks are there until they are cleared.
    #[inline(always)]
    fn with_same(&self, subgroup: &Subgroup<'_>, digit: usize) -> Same {
        let (lane, wide) = (subgroup.lane(), subgroup.size() > 32);
        self.word(lane / 32, digit)
            .fetch_or(1 << (lane % 32), Relaxed);
        meet(subgroup);
        let low = u64::from(self.word(0, digit).load(Relaxed));
        let high = if wide {
            u64::from(self.word(1, digit).load(Relaxed))
        } else {
            0
        };
        // SAFETY: the lane itself is among them.
        let same = unsafe { NonZero::new_unchecked(low | high << 32) };
        Same {
            last: same.ilog2() as usize,
            before: (same.get() & ((1 << lane) - 1)).count_ones(),
        }
    }

    /// Takes the marks of a digit back, for all lanes with it.
    #[inline(always)]
    fn clear(&self, subgroup: &Subgroup<'_>, digit: usize) {
        self.word(0, digit).store(0, Relaxed);
        if subgroup.size() > 32 {
            self.word(1, digit).store(0, Relaxed);
        }
    }
}

/// Lanes wait until all of them are here, behind what each of them did to shared memory.
#[inline(always)]
fn meet(subgroup: &Subgroup<'_>) {
    let _ = subgroup.ballot(true);
}

/// The sum of what the items before have.
#[inline(always)]
fn sum_before(group: &Group, subgroup: &Subgroup<'_>, totals: *mut u32, own: u32) -> u32 {
    let of = group.rank() / subgroup.size();
    // Not a scan of any lanes that exist: these are whole, and lanes must not come apart here.
    let mut up_to = own;
    let mut step = 1;
    while step < subgroup.size() {
        up_to += subgroup.shuffle_up(up_to, step).unwrap_or(0);
        step *= 2;
    }
    if subgroup.lane() + 1 == subgroup.size() {
        // SAFETY: there is one for each subgroup, and they are whole.
        unsafe { totals.add(of).write(up_to) };
    }
    group.barrier();
    let mut before = up_to - own;
    for other in 0..SUBGROUPS {
        if other < of {
            // SAFETY: written before the barrier.
            before += unsafe { totals.add(other).read() };
        }
    }
    before
}

/// What groups tell of a digit.
struct Told<'a> {
    of: &'a [AtomicU64],
    tile: usize,
    digit: usize,
    /// How many elements of it the tile has.
    here: u64,
}

impl Told<'_> {
    #[inline(always)]
    fn place(&self, tile: usize) -> &AtomicU64 {
        // SAFETY: there is one for each digit of each tile.
        unsafe { self.of.get_unchecked(tile * VALUES + self.digit) }
    }

    /// Tells what the tile has.
    #[inline(always)]
    fn tell(&self) {
        if self.tile > 0 {
            self.place(self.tile).store(HERE | self.here, Relaxed);
        }
    }

    /// How many the tiles before have; tells how many that are with this one. Lanes wait until all of them know.
    #[inline(always)]
    fn before(&self, subgroup: &Subgroup<'_>) -> u64 {
        let (mut before, mut other) = (0, self.tile);
        let mut looks = Looks::default();
        while subgroup.any(other > 0) {
            if other > 0 {
                let of = self.place(other - 1).load(Relaxed);
                before += of & NUMBER;
                other = match of {
                    0 => other,
                    of if of & UP_TO_HERE == 0 => other - 1,
                    _ => 0,
                };
            }
            looks.again();
        }
        self.place(self.tile)
            .store(UP_TO_HERE | (before + self.here), Relaxed);
        before
    }
}

/// Moves the tile that is the next to where the elements of each digit go.
///
/// It is told the digits' place twice, so that those that it counted are not kept until it looks for lanes with the same:
/// to find them again takes no longer, and a multiprocessor has registers for twice as many groups.
#[allow(
    clippy::too_many_arguments,
    reason = "buffers and shared memory of a kernel"
)]
#[allow(
    clippy::needless_range_loop,
    reason = "the optimiser finds how often a counter turns"
)]
fn move_tile<K: Digits, T: DeviceData, U: DeviceData, F: Fn(K) -> U>(
    group: Group,
    [place, place_again]: [u32; 2],
    finish: F,
    keys: &[K],
    values: &[T],
    starts: &[u64],
    told: &[AtomicU64],
    keys_to: *mut U,
    values_to: *mut T,
    counters: Shared<Counters<{ 2 * VALUES * SUBGROUPS }>>,
    offsets: Shared<[u64; VALUES]>,
    totals: Shared<[u32; SUBGROUPS]>,
    in_order: Shared<[K]>,
) {
    let rounds = const { rounds::<K>() };
    let counters = counters.fill(|_| InGroup::new(AtomicU32::new(0)));
    let number = offsets.fill(|index| match told.last() {
        Some(begun) if index == 0 => begun.fetch_add(1, Relaxed),
        _ => 0,
    });
    let (counters, number) = group.sync((counters, number));
    let (counters, marks) = counters.split_at(VALUES * SUBGROUPS);
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
    for round in 0..rounds {
        counter(of, mine[round].digit(place)).fetch_add(1, Relaxed);
    }
    let mut offsets = group.sync(number);

    // Each item has a digit: where its elements begin in the tile, and those of each subgroup.
    let digit = group.rank();
    let counts: [u32; SUBGROUPS] = std::array::from_fn(|other| counter(other, digit).load(Relaxed));
    let here: u32 = counts.iter().sum();
    // Those beyond the end are told as well, and nobody asks for what the last tile told.
    let told = Told {
        of: told,
        tile,
        digit,
        here: u64::from(here),
    };
    told.tell();
    let before = sum_before(&group, &subgroup, totals.into_raw(), here);
    let mut begin = before;
    for (other, count) in counts.into_iter().enumerate() {
        counter(other, digit).store(begin, Relaxed);
        begin += count;
    }
    group.barrier();

    let in_order = in_order.into_raw();
    let mut positions = [0; ROUNDS];
    let words = size / 32 * VALUES;
    // SAFETY: there are as many marks as counters: a word for 32 lanes, and as many items.
    let words = unsafe { marks.get_unchecked(of * words..(of + 1) * words) };
    let marks = Marks { words };
    for round in 0..rounds {
        let digit = mine[round].digit(place_again);
        let same = marks.with_same(&subgroup, digit);
        let is_last = same.last == lane;
        let mut begin = 0;
        if is_last {
            begin = counter(of, digit).load(Relaxed);
            counter(of, digit).store(begin + same.before + 1, Relaxed);
        }
        let position = subgroup.shuffle(begin, same.last).unwrap_or(0) + same.before;
        if is_last {
            marks.clear(&subgroup, digit);
        }
        meet(&subgroup);
        // SAFETY: positions of a tile's elements are different numbers below how many it has room for.
        unsafe { in_order.add(position as usize).write(mine[round]) };
        if size_of::<T>() > 0 {
            positions[round] = position;
        }
    }

    let in_tiles_before = told.before(&subgroup);
    if let Some(offset) = offsets.own() {
        // SAFETY: there is a start for each digit of each place.
        let start = unsafe { starts.get_unchecked(place as usize * VALUES + digit) };
        *offset = (start + in_tiles_before).wrapping_sub(u64::from(before));
    }
    let offsets = group.sync(offsets);
    let to =
        |key: K, position: usize| offsets[key.digit(place)].wrapping_add(position as u64) as usize;

    // With their digit's offset, positions are, over all tiles, each of the output's once, of those below the end.
    if size_of::<T>() > 0 {
        for round in 0..rounds {
            let index = first + round * size;
            if index < keys.len() {
                // SAFETY: as many values as keys; the place is the element's own.
                unsafe {
                    let value = values.get_unchecked(index);
                    let place = to(mine[round], positions[round] as usize);
                    values_to.add(place).write(*value);
                }
            }
        }
    }
    for position in (group.rank()..count).step_by(GROUP) {
        // SAFETY: as above; all keys of the tile were written before the barrier.
        unsafe {
            let key = in_order.add(position).read();
            keys_to.add(to(key, position)).write(finish(key));
        }
    }
}
