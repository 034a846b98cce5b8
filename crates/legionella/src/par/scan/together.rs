//! The scan in one launch that reads each element once, for devices whose neighbouring items should access
//! neighbours.
//!
//! A group has a tile of runs, one an item, and tells all groups what its elements combined are. What comes
//! before a tile is made of what others told: of the tiles before it in its block, of the blocks before
//! that in their span, and of the spans before. Only the last of a span waits for what must be combined
//! one after the other; that is 2²⁴ elements apart.
//!
//! Groups wait for others that began before them, since they take their tiles in the order in which they
//! begin.

use std::sync::atomic::{
    AtomicU32,
    Ordering::{Acquire, Relaxed, Release},
};

use legionella_device::{DeviceData, Group, Shared, Subgroup};

use super::RUN;
use crate::buffer::{Buffer, SliceMut};
use crate::error::Result;
use crate::grid::Grid;
use crate::launch::{function, shared, shared_slice};
use crate::par::looks::Looks;
use crate::par::{ItemOf, Par, Source, View};
use crate::schedule::completion::Completion;

/// Runs of a tile, and items of a group; tiles of a block; blocks of a span.
const WIDTH: usize = RUN;
/// Elements of a tile.
const TILE: usize = WIDTH * RUN;
/// Most bytes of shared memory that a piece of all runs of a tile takes.
const BYTES: usize = 36 << 10;
/// Largest element in bytes: of these, shared memory has room for what a tile is told, too.
const LARGEST: usize = 64;
/// Elements of shared memory that are read before they are combined.
const UNROLLED: usize = 8;

/// Whether elements of that type are scanned so.
pub(super) const fn may<T>() -> bool {
    size_of::<T>() > 0 && size_of::<T>() <= LARGEST
}

/// Elements of a run that are in shared memory at once: all, if there is room. Others are read twice.
const fn piece<T>() -> usize {
    let mut piece = RUN;
    while slots(piece) * size_of::<T>() > BYTES {
        piece /= 2;
    }
    piece
}

/// Elements of shared memory for a piece of each run. Those of the same index lie side by side, and those of
/// one run in different banks.
const fn slots(piece: usize) -> usize {
    piece * (WIDTH + 1)
}

impl<S: Source> Par<'_, S> {
    /// Scans as many elements as there is room for, which are some.
    pub(super) fn scan_together<G>(
        &self,
        combine: G,
        out: SliceMut<'_, ItemOf<S>>,
    ) -> Result<Completion>
    where
        G: Fn(ItemOf<S>, ItemOf<S>) -> ItemOf<S> + Copy + Send + 'static,
    {
        let len = out.len();
        let places = Places::of(len);
        let mut told = self.accelerator.zeroed::<u32>(places.end())?;
        // SAFETY: what wasn't told is not read.
        let mut values =
            unsafe { Buffer::<ItemOf<S>>::uninitialised(self.accelerator, places.end()) }?;
        let arguments = (
            self.source,
            function(combine),
            len,
            out.address_of_all(),
            told.atomic(),
            values.as_slice_mut().address_of_all(),
            shared(),
            shared(),
            shared(),
            shared_slice(slots(const { piece::<ItemOf<S>>() })),
        );
        let grid = Grid::over(places.tiles * WIDTH).group(WIDTH);
        // SAFETY: `out` has `len` elements, and the source at least as many. There is a value for each
        // place.
        unsafe {
            self.accelerator
                .launch_unchecked(scan_tile::<S::View, G>, grid, arguments)
        }
    }
}

/// Where groups tell what.
#[derive(Clone, Copy)]
struct Places {
    tiles: usize,
}

impl Places {
    fn of(len: usize) -> Self {
        Places {
            tiles: len.div_ceil(TILE),
        }
    }

    /// How many tiles have begun: a number, and no value.
    const BEGUN: usize = 0;

    /// The elements of a tile combined.
    fn tile(tile: usize) -> usize {
        1 + tile
    }

    /// The elements of a whole block combined.
    fn block(self, block: usize) -> usize {
        1 + self.tiles + block
    }

    /// All elements up to the end of a whole span combined.
    fn up_to(self, span: usize) -> usize {
        self.block(self.tiles / WIDTH) + span
    }

    fn end(self) -> usize {
        self.up_to(self.tiles / (WIDTH * WIDTH))
    }
}

/// What groups tell each other.
struct Told<'a, T> {
    /// Whether the value of a place was written.
    flags: &'a [AtomicU32],
    values: *mut T,
}

impl<T: Copy> Told<'_, T> {
    /// # Safety
    /// It is one of the places, whose value nobody else tells.
    #[inline(always)]
    unsafe fn tell(&self, place: usize, value: T) {
        // SAFETY: there is a value for each place, which nobody reads before the flag is set.
        unsafe {
            self.values.add(place).write(value);
            self.flag(place).store(1, Release);
        }
    }

    /// Waits until the values are told that the items of a group want, each its own or none.
    ///
    /// # Safety
    /// They are places.
    #[inline(always)]
    unsafe fn wait(&self, subgroup: &Subgroup<'_>, place: Option<usize>) {
        // SAFETY: the caller's promise.
        let is_told = |place| unsafe { self.flag(place) }.load(Acquire) != 0;
        let mut looks = Looks::default();
        while !subgroup.all(place.is_none_or(is_told)) {
            looks.again();
        }
    }

    /// A value that the item has waited for.
    ///
    /// # Safety
    /// It was told.
    #[inline(always)]
    unsafe fn get(&self, place: usize) -> T {
        // SAFETY: written before the flag was set, and never again.
        unsafe { self.values.add(place).read() }
    }

    /// # Safety
    /// It is one of the places.
    #[inline(always)]
    unsafe fn flag(&self, place: usize) -> &AtomicU32 {
        // SAFETY: there is a flag for each. A test would carry what it panics with through the kernel.
        unsafe { self.flags.get_unchecked(place) }
    }
}

/// The tile of a group in shared memory, a piece of each run after the other.
struct Pieces<'g, T> {
    group: &'g Group<'g>,
    start: *mut T,
    /// Index of the tile's first element.
    first: usize,
    /// Number of its elements.
    count: usize,
}

impl<T: DeviceData> Pieces<'_, T> {
    const LEN: usize = piece::<T>();
    const COUNT: usize = RUN / Self::LEN;

    /// Where the element of an index in its piece is, of a run of the tile.
    ///
    /// # Safety
    /// `element < LEN`, `run < WIDTH`, and no other item writes it meanwhile.
    #[inline(always)]
    unsafe fn slot(&self, run: usize, element: usize) -> *mut T {
        // SAFETY: there is a slot for each.
        unsafe { self.start.add(element * (WIDTH + 1) + run) }
    }

    /// Calls a function with slots and the indices of their elements: each slot that has one once in one of
    /// the items, and neighbours in neighbouring items.
    #[inline(always)]
    fn each(&self, piece: usize, mut each: impl FnMut(*mut T, usize)) {
        let of = |k: usize| {
            let number = k * WIDTH + self.group.rank();
            let (run, element) = (number / Self::LEN, number % Self::LEN);
            let within = run * RUN + piece * Self::LEN + element;
            // SAFETY: `number` is below `LEN * WIDTH`. What uses the slot stands between barriers, and no
            // other item gets it there.
            (unsafe { self.slot(run, element) }, within)
        };
        // Without a test for each element, reads of many overlap.
        if self.count == TILE {
            for k in 0..Self::LEN {
                let (slot, within) = of(k);
                each(slot, self.first + within);
            }
        } else {
            for k in 0..Self::LEN {
                let (slot, within) = of(k);
                if within < self.count {
                    each(slot, self.first + within);
                }
            }
        }
    }

    /// How many elements a piece has of the item's run.
    #[inline(always)]
    fn len(&self, piece: usize) -> usize {
        let before = self.group.rank() * RUN + piece * Self::LEN;
        self.count.saturating_sub(before).min(Self::LEN)
    }

    /// Goes on combining with the item's elements of a piece, and calls a function with each slot and what is
    /// combined up to it.
    ///
    /// # Safety
    /// The piece is in shared memory, where no other item uses the elements of this run.
    #[inline(always)]
    unsafe fn go_on(
        &self,
        piece: usize,
        mut all: Option<T>,
        combine: impl Fn(T, T) -> T,
        mut each: impl FnMut(*mut T, T),
    ) -> Option<T> {
        let len = self.len(piece);
        let mut element = 0;
        // SAFETY: elements below the length, which is that of the piece at most.
        let slot = |element| unsafe { self.slot(self.group.rank(), element) };
        while element + UNROLLED <= len {
            // SAFETY: the piece was written.
            let next: [T; UNROLLED] = std::array::from_fn(|k| unsafe { slot(element + k).read() });
            for (k, next) in next.into_iter().enumerate() {
                let value = after(all, next, &combine);
                each(slot(element + k), value);
                all = Some(value);
            }
            element += UNROLLED;
        }
        for element in element..len {
            // SAFETY: as above.
            let value = after(all, unsafe { slot(element).read() }, &combine);
            each(slot(element), value);
            all = Some(value);
        }
        all
    }
}

/// What comes of an element behind others.
#[inline(always)]
fn after<T>(all: Option<T>, next: T, combine: impl Fn(T, T) -> T) -> T {
    match all {
        Some(all) => combine(all, next),
        None => next,
    }
}

/// Combines elements one after the other, behind others; `each` is called with what comes before each.
///
/// # Safety
/// `from` points to that many elements, each of which nobody writes but `each` when it is called for it.
#[inline(always)]
unsafe fn in_turn<T: Copy>(
    mut all: Option<T>,
    from: *const T,
    count: usize,
    combine: impl Fn(T, T) -> T,
    mut each: impl FnMut(usize, Option<T>),
) -> Option<T> {
    let mut index = 0;
    while index + UNROLLED <= count {
        // SAFETY: below the count.
        let next: [T; UNROLLED] = std::array::from_fn(|k| unsafe { from.add(index + k).read() });
        for (k, next) in next.into_iter().enumerate() {
            each(index + k, all);
            all = Some(after(all, next, &combine));
        }
        index += UNROLLED;
    }
    for index in index..count {
        // SAFETY: as above.
        let next = unsafe { from.add(index).read() };
        each(index, all);
        all = Some(after(all, next, &combine));
    }
    all
}

/// Scans the tile that is the next.
#[allow(
    clippy::too_many_arguments,
    reason = "buffers and shared memory of a kernel"
)]
fn scan_tile<V: View, G>(
    group: Group,
    source: V,
    combine: G,
    len: usize,
    out: *mut V::Item,
    flags: &[AtomicU32],
    values: *mut V::Item,
    number: Shared<[usize; 1]>,
    runs: Shared<[V::Item; WIDTH]>,
    before: Shared<[V::Item; 2 * WIDTH]>,
    slots: Shared<[V::Item]>,
) where
    G: Fn(V::Item, V::Item) -> V::Item,
{
    let places = Places::of(len);
    let told = Told { flags, values };
    let number = number.fill(|_| {
        // SAFETY: one of the places.
        let begun = unsafe { told.flag(Places::BEGUN) };
        begun.fetch_add(1, Relaxed) as usize
    });
    let tile = group.sync(number)[0];
    let pieces = Pieces {
        group: &group,
        start: slots.into_raw(),
        first: tile * TILE,
        count: (len - tile * TILE).min(TILE),
    };
    let (rank, subgroup) = (group.rank(), group.subgroup());
    let (runs, before) = (runs.into_raw(), before.into_raw());
    // SAFETY: one for each item.
    let run = unsafe { runs.add(rank) };

    let read = |piece| {
        pieces.each(piece, |slot, index| {
            // SAFETY: the source has as many elements as the output, and nobody uses the slot.
            unsafe { slot.write(source.get(index)) }
        });
        group.barrier();
    };
    let mut all = None;
    for piece in 0..Pieces::<V::Item>::COUNT {
        read(piece);
        // SAFETY: between barriers, each item at its own run.
        all = unsafe { pieces.go_on(piece, all, &combine, |_, _| {}) };
        if Pieces::<V::Item>::COUNT > 1 {
            group.barrier();
        }
    }
    if let Some(all) = all {
        // SAFETY: the item's own.
        unsafe { run.write(all) };
    }
    group.barrier();

    let (in_block, block) = (tile % WIDTH, tile / WIDTH);
    let (in_span, span) = (block % WIDTH, block / WIDTH);
    let is_last = tile + 1 == places.tiles;
    if rank == 0 && !is_last {
        // SAFETY: all runs of a tile that isn't the last are whole, and were written before the barrier.
        let whole = unsafe { in_turn(None, runs, WIDTH, &combine, |_, _| {}) };
        if let Some(whole) = whole {
            // SAFETY: this group's.
            unsafe { told.tell(Places::tile(tile), whole) };
        }
    }
    // SAFETY: `before` has room for twice the width.
    let (tiles, blocks) = (before, unsafe { before.add(WIDTH) });
    // What others told, an item each; the last of a block and of a span need what all did.
    let ends_block = !is_last && in_block + 1 == WIDTH;
    let own_tile = (rank < in_block || ends_block).then(|| Places::tile(block * WIDTH + rank));
    let own_block = (rank < in_span).then(|| places.block(span * WIDTH + rank));
    let spans = span.checked_sub(1).map(|span| places.up_to(span));
    // SAFETY: these are places, of this tile and ones before. What is told of them is read behind that, and
    // written to the item's own of `before`.
    unsafe {
        for place in [own_tile, own_block, spans] {
            told.wait(&subgroup, place);
        }
        if let Some(place) = own_tile {
            tiles.add(rank).write(told.get(place));
        }
        if let Some(place) = own_block {
            blocks.add(rank).write(told.get(place));
        }
    }
    group.barrier();

    if rank == 0 {
        // SAFETY: all of these were written before the barrier, as many as are read.
        unsafe {
            if ends_block {
                let whole = in_turn(None, tiles, WIDTH, &combine, |_, _| {});
                if let Some(whole) = whole {
                    told.tell(places.block(block), whole);
                    if in_span + 1 == WIDTH {
                        let blocks = in_turn(None, blocks, in_span, &combine, |_, _| {});
                        let whole = after(blocks, whole, &combine);
                        let before = spans.map(|place| told.get(place));
                        told.tell(places.up_to(span), after(before, whole, &combine));
                    }
                }
            }
            let all = spans.map(|place| told.get(place));
            let all = in_turn(all, blocks, in_span, &combine, |_, _| {});
            let all = in_turn(all, tiles, in_block, &combine, |_, _| {});
            // Each run is read before what comes before it takes its place.
            in_turn(
                all,
                runs,
                pieces.count.div_ceil(RUN),
                &combine,
                |run, all| {
                    if let Some(all) = all {
                        runs.add(run).write(all);
                    }
                },
            );
        }
    }
    group.barrier();

    let mut all = match tile + rank > 0 && pieces.len(0) > 0 {
        // SAFETY: written before the barrier.
        true => Some(unsafe { run.read() }),
        false => None,
    };
    for piece in 0..Pieces::<V::Item>::COUNT {
        if Pieces::<V::Item>::COUNT > 1 {
            read(piece);
        }
        // SAFETY: between barriers, each item at its own run.
        all = unsafe { pieces.go_on(piece, all, &combine, |slot, value| slot.write(value)) };
        group.barrier();
        pieces.each(piece, |slot, index| {
            // SAFETY: within the output, of which no other item has this element; the slot was written
            // before the barrier.
            unsafe { out.add(index).write(slot.read()) };
        });
        if Pieces::<V::Item>::COUNT > 1 {
            group.barrier();
        }
    }
}
