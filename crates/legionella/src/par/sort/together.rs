//! The sort on devices whose neighbouring items should access neighbours.
//!
//! One launch counts the digits of all places, and keeps the keys that it counted, unless whoever reads them again finds the same:
//! elements of a buffer whose bits are known to be theirs. Then, for each place, a launch reads the keys once and writes
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

/// What is made of keys in order, with as many values. All launches have then ended, also if it fails.
///
/// # Safety
/// If the keys are `steady`, each is the same whenever it is read, and reading it doesn't panic.
pub(super) unsafe fn in_order<S, T, U, F>(
    keys: Par<'_, S>,
    steady: bool,
    values: Buffer<T>,
    finish: F,
) -> Result<(Buffer<U>, Buffer<T>)>
where
    S: Source,
    ItemOf<S>: Digits,
    T: DeviceData,
    U: DeviceData,
    F: Fn(ItemOf<S>) -> U + Copy + Send + 'static,
{
    let mut launched = Vec::new();
    // SAFETY: the caller's promise; what is launched is waited for.
    let sorted = unsafe { launch(keys, steady, values, finish, &mut launched) };
    let ended = (launched.iter().map(Completion::wait)).fold(Ok(()), Result::and);
    ended.and(sorted)
}

/// Launches all that there is to do, and gives where it leaves what is in order.
///
/// # Safety
/// As for [`in_order`]; the results are used after all that was launched has ended well.
unsafe fn launch<S, T, U, F>(
    keys: Par<'_, S>,
    steady: bool,
    mut values: Buffer<T>,
    finish: F,
    launched: &mut Vec<Completion>,
) -> Result<(Buffer<U>, Buffer<T>)>
where
    S: Source,
    ItemOf<S>: Digits,
    T: DeviceData,
    U: DeviceData,
    F: Fn(ItemOf<S>) -> U + Copy + Send + 'static,
{
    let (accelerator, len) = (keys.accelerator, keys.len());
    let counters = ItemOf::<S>::COUNT as usize * VALUES;
    let mut starts = keys.zeros(counters)?;
    // SAFETY: all are written in full before they are read.
    let (mut from, mut to, mut finished, mut values_to) = unsafe {
        (
            Buffer::<ItemOf<S>>::uninitialised(accelerator, len)?,
            Buffer::<ItemOf<S>>::uninitialised(accelerator, len)?,
            Buffer::uninitialised(accelerator, len)?,
            Buffer::uninitialised(accelerator, len)?,
        )
    };
    let last = ItemOf::<S>::COUNT - 1;
    // With one digit, the first place is the last, to which `finish` belongs.
    let again = steady && last > 0;
    let grid = Grid::over(len.div_ceil(LEAST).min(GROUPS) * GROUP).group(GROUP);
    // SAFETY: there are as many counters as digits, and room for each key.
    launched.push(unsafe {
        if again {
            let arguments = (keys.source, shared_slice(counters), starts.atomic());
            accelerator.launch_unchecked(count_only::<S::View>, grid, arguments)
        } else {
            let stored = from.as_slice_mut().address_of_all();
            let arguments = (keys.source, stored, shared_slice(counters), starts.atomic());
            accelerator.launch_unchecked(count_and_store::<S::View>, grid, arguments)
        }
    }?);
    // Nothing of the caller's runs in what comes then but `finish`, in the last pass, nor in counting steady keys: each may
    // begin before it is known how the one before ended.
    if !again {
        launched.iter().try_for_each(Completion::wait)?;
    }
    let grid = Grid::over(counters).group(VALUES);
    launched.push(accelerator.launch(begin, grid, (&mut starts, shared()))?);
    let mut first = 0;
    if again {
        // SAFETY: the starts are those of the same keys, by the caller's promise.
        launched.push(unsafe {
            let to = (&mut from, &mut values_to);
            pass(0, &starts, (&keys, &values), |key| key, to)?
        });
        std::mem::swap(&mut values, &mut values_to);
        first = 1;
    }
    for place in first..last {
        // SAFETY: the starts are those of the same keys, in whatever order.
        launched.push(unsafe {
            let to = (&mut to, &mut values_to);
            pass(place, &starts, (&keys.of(&from), &values), |key| key, to)?
        });
        std::mem::swap(&mut from, &mut to);
        std::mem::swap(&mut values, &mut values_to);
    }
    // SAFETY: likewise.
    launched.push(unsafe {
        let to = (&mut finished, &mut values_to);
        pass(last, &starts, (&keys.of(&from), &values), finish, to)?
    });
    Ok((finished, values_to))
}

/// Moves keys and values to where they come in the order of a digit.
///
/// # Safety
/// `starts` are those of the same keys, in whatever order. There are as many values, and room for as many of both.
unsafe fn pass<S: Source, T: DeviceData, U: DeviceData, F>(
    place: u32,
    starts: &Buffer<u64>,
    (keys, values): (&Par<'_, S>, &Buffer<T>),
    finish: F,
    (keys_to, values_to): (&mut Buffer<U>, &mut Buffer<T>),
) -> Result<Completion>
where
    ItemOf<S>: Digits,
    F: Fn(ItemOf<S>) -> U + Copy + Send + 'static,
{
    let accelerator = keys.accelerator;
    let tiles = keys.len().div_ceil(GROUP * const { rounds::<ItemOf<S>>() });
    // One more: how many tiles have begun.
    let mut told = keys.zeros(tiles * VALUES + 1)?;
    let arguments = (
        [place; 2],
        function(finish),
        keys.source,
        values,
        starts,
        told.atomic(),
        keys_to.as_slice_mut().address_of_all(),
        values_to.as_slice_mut().address_of_all(),
        shared(),
        shared(),
        shared(),
        shared_slice(GROUP * const { rounds::<ItemOf<S>>() }),
    );
    let grid = Grid::over(GROUP * tiles).group(GROUP);
    // SAFETY: the caller's promise, and there is what is told for each digit of each tile.
    unsafe { accelerator.launch_unchecked(move_tile::<S::View, T, U, F>, grid, arguments) }
}

/// Counts the digits of all places of keys.
fn count_only<V: View<Item: Digits>>(
    group: Group,
    source: V,
    counters: Shared<[InGroup<AtomicU32>]>,
    counts: &[AtomicU64],
) {
    // SAFETY: called for indices of elements.
    let key = |index| unsafe { source.get(index) };
    count(&group, source.count(), key, counters, counts);
}

/// Stores keys as well.
fn count_and_store<V: View<Item: Digits>>(
    group: Group,
    source: V,
    stored: *mut V::Item,
    counters: Shared<[InGroup<AtomicU32>]>,
    counts: &[AtomicU64],
) {
    // SAFETY: called for indices of elements, each by one item.
    let key = |index| unsafe {
        let key = source.get(index);
        stored.add(index).write(key);
        key
    };
    count(&group, source.count(), key, counters, counts);
}

/// Counts the digits of all places of `len` keys.
#[inline(always)]
fn count<K: Digits>(
    group: &Group,
    len: usize,
    key: impl Fn(usize) -> K,
    counters: Shared<[InGroup<AtomicU32>]>,
    counts: &[AtomicU64],
) {
    let counters = group.sync(counters.fill(|_| InGroup::new(AtomicU32::new(0))));
    let count = |key: K| {
        for place in 0..K::COUNT {
            // SAFETY: there is a counter for each digit of each place.
            let counter =
                unsafe { counters.get_unchecked(place as usize * VALUES + key.digit(place)) };
            // Fewer than 2³² elements a group, of the fewer than 2⁴³ that there is memory for.
            counter.fetch_add(1, Relaxed);
        }
    };
    let block = GROUP * UNROLLED;
    let mut first = group.index() * block + group.rank();
    while first + GROUP * (UNROLLED - 1) < len {
        let keys: [K; UNROLLED] = std::array::from_fn(|k| key(first + k * GROUP));
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
fn move_tile<V: View<Item: Digits>, T: DeviceData, U: DeviceData, F: Fn(V::Item) -> U>(
    group: Group,
    [place, place_again]: [u32; 2],
    finish: F,
    source: V,
    values: &[T],
    starts: &[u64],
    told: &[AtomicU64],
    keys_to: *mut U,
    values_to: *mut T,
    counters: Shared<Counters<{ 2 * VALUES * SUBGROUPS }>>,
    offsets: Shared<[u64; VALUES]>,
    totals: Shared<[u32; SUBGROUPS]>,
    in_order: Shared<[V::Item]>,
) {
    let rounds = const { rounds::<V::Item>() };
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
    let len = source.count();
    let count = (len - start).min(GROUP * rounds);

    // Beyond the end are elements of the last digit, which come after all others.
    let beyond = V::Item::ZERO.turned();
    // SAFETY: called for indices below the number of keys.
    let key = |index| unsafe { source.get(index) };
    let mine: [V::Item; ROUNDS] = match count == GROUP * rounds {
        // Without a test for each, reads overlap.
        true => std::array::from_fn(|round| match round < rounds {
            true => key(first + round * size),
            false => beyond,
        }),
        false => std::array::from_fn(|round| {
            let index = first + round * size;
            match round < rounds && index < len {
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
    let to = |key: V::Item, position: usize| {
        offsets[key.digit(place)].wrapping_add(position as u64) as usize
    };

    // With their digit's offset, positions are, over all tiles, each of the output's once, of those below the end.
    if size_of::<T>() > 0 {
        for round in 0..rounds {
            let index = first + round * size;
            if index < len {
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
