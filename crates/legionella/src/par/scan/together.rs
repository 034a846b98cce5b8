//! The scan in one launch that reads each element once, for devices whose neighbouring items should access
//! neighbours.
//!
//! A group has a tile of runs, one an item, and tells all groups what its elements combined are. What comes
//! before a tile is made of what others told: of the tiles before it in its block, of the blocks before
//! that in their span, and of the spans before. The last of a block tells what that has as soon as it knows, and then
//! waits for others; only the last of a span waits for what must be combined one after the other, which is 2²⁴ elements
//! apart.
//!
//! Groups wait for others that began before them, since they take their tiles in the order in which they
//! begin.

use std::any::TypeId;
use std::sync::atomic::{
    AtomicU64,
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
const UNROLLED: usize = 16;
/// Bytes of the widest access that items make.
const ACCESS: usize = 16;

/// Whether elements of that type are scanned so.
pub(super) const fn may<T>() -> bool {
    size_of::<T>() > 0 && size_of::<T>() <= LARGEST && align_of::<T>() <= ACCESS
}

/// Elements that an item accesses at once, in memory and in shared memory: neighbours.
const fn together<T>() -> usize {
    match size_of::<T>() {
        4 | 8 => ACCESS / size_of::<T>(),
        _ => 1,
    }
}

/// Elements of a run that are in shared memory at once: all, if there is room. Others are read twice.
const fn piece<T>() -> usize {
    let mut piece = RUN;
    while WIDTH * row::<T>(piece) * size_of::<T>() > BYTES {
        piece /= 2;
    }
    piece
}

/// Elements of shared memory from one run's piece to the next: an odd number of accesses, so that those of neighbours
/// are in different banks.
const fn row<T>(piece: usize) -> usize {
    piece + together::<T>()
}

/// Shared memory for a piece of each run, and what it consists of.
const fn accesses<T>() -> usize {
    (WIDTH * row::<T>(piece::<T>()) * size_of::<T>()).div_ceil(ACCESS)
}

/// Memory as the widest access wants it.
#[repr(C, align(16))]
#[derive(Clone, Copy)]
struct Wide<T>(T);

const _: () = assert!(align_of::<Wide<u8>>() == ACCESS);

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
        let mut told = self.zeros(places.end())?;
        // SAFETY: what wasn't told is not read.
        let mut values =
            unsafe { Buffer::<ItemOf<S>>::uninitialised(self.accelerator, places.end()) }?;
        let arguments = (
            self.source,
            function(combine),
            (len, is_number::<ItemOf<S>>()),
            out.address_of_all(),
            told.atomic(),
            values.as_slice_mut().address_of_all(),
            shared(),
            shared(),
            shared(),
            shared_slice(const { accesses::<ItemOf<S>>() }),
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

/// That a place has a value.
const TOLD: u64 = 1 << 32;

/// What groups tell each other.
struct Told<'a, T> {
    /// Whether the value of a place was written, and the value itself if it has a place in there.
    flags: &'a [AtomicU64],
    values: *mut T,
    /// Whether values are [numbers](is_number): there is nothing else to wait for then, and nothing else to read.
    are_numbers: bool,
}

/// Whether elements of a type are numbers of 32 bits. Others may have bytes without a value.
fn is_number<T: 'static>() -> bool {
    let of = [
        TypeId::of::<u32>(),
        TypeId::of::<i32>(),
        TypeId::of::<f32>(),
    ];
    of.contains(&TypeId::of::<T>())
}

impl<T: DeviceData> Told<'_, T> {
    /// # Safety
    /// It is one of the places, whose value nobody else tells.
    #[inline(always)]
    unsafe fn tell(&self, place: usize, value: T) {
        if self.are_numbers && size_of::<T>() == size_of::<u32>() {
            // SAFETY: a number of 32 bits.
            let number: u32 = unsafe { std::mem::transmute_copy(&value) };
            // SAFETY: the caller's promise.
            unsafe { self.flag(place) }.store(TOLD | u64::from(number), Relaxed);
            return;
        }
        // SAFETY: there is a value for each place, which nobody reads before the flag is set.
        unsafe {
            self.values.add(place).write(value);
            self.flag(place).store(TOLD, Release);
        }
    }

    /// Waits until the values are told that the items of a group want, each its own or none; gives what was told.
    ///
    /// # Safety
    /// They are places.
    #[inline(always)]
    unsafe fn wait<const N: usize>(
        &self,
        subgroup: &Subgroup<'_>,
        places: [Option<usize>; N],
    ) -> [u64; N] {
        let mut looks = Looks::default();
        loop {
            // All are looked at, at once.
            let told = places.map(|place| match place {
                // SAFETY: the caller's promise.
                Some(place) if self.are_numbers => unsafe { self.flag(place) }.load(Relaxed),
                // SAFETY: likewise.
                Some(place) => unsafe { self.flag(place) }.load(Acquire),
                None => TOLD,
            });
            let all = told.iter().fold(TOLD, |all, told| all & told);
            if subgroup.all(all == TOLD) {
                return told;
            }
            looks.again();
        }
    }

    /// A value that the item has waited for, and what was told.
    ///
    /// # Safety
    /// It was told.
    #[inline(always)]
    unsafe fn get(&self, place: usize, told: u64) -> T {
        if self.are_numbers && size_of::<T>() == size_of::<u32>() {
            // SAFETY: a number of 32 bits.
            return unsafe { std::mem::transmute_copy(&(told as u32)) };
        }
        // SAFETY: written before the flag was set, and never again.
        unsafe { self.values.add(place).read() }
    }

    /// # Safety
    /// It is one of the places.
    #[inline(always)]
    unsafe fn flag(&self, place: usize) -> &AtomicU64 {
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

    /// Where the element of an index in its piece is, of a run of the tile. Those of one run lie side by side.
    ///
    /// # Safety
    /// `element < LEN`, `run < WIDTH`, and no other item writes it meanwhile.
    #[inline(always)]
    unsafe fn slot(&self, run: usize, element: usize) -> *mut T {
        // SAFETY: there is a slot for each.
        unsafe {
            self.start
                .add(run * const { row::<T>(Self::LEN) } + element)
        }
    }

    /// The first of the `k`-th `N` slots of an item that lie side by side, of those of a piece, and the index of its
    /// element in the tile: each slot is that of one item, and neighbours of neighbouring items.
    #[inline(always)]
    fn share<const N: usize>(&self, piece: usize, k: usize) -> (*mut T, usize) {
        // So many runs at a time; which of them, and which of its elements, is the same for all `k`.
        let (items, rank) = (const { Self::LEN / N }, self.group.rank());
        let runs = const { WIDTH / (Self::LEN / N) };
        let (run, element) = (rank / items, rank % items * N);
        let within = run * RUN + piece * Self::LEN + element + k * (runs * RUN);
        // SAFETY: there are `k` below `LEN / N`, so that runs are below `WIDTH`. What uses the slots stands between
        // barriers, and no other item gets them there.
        (unsafe { self.slot(run + k * runs, element) }, within)
    }

    /// Brings a piece of all runs to shared memory.
    #[inline(always)]
    fn read(&self, piece: usize, get: impl Fn(usize) -> T) {
        match const { together::<T>() } {
            4 => self.read_by::<4, 16>(piece, get),
            2 => self.read_by::<2, 16>(piece, get),
            _ if size_of::<T>() < 4 => self.read_by::<1, 32>(piece, get),
            _ => self.read_by::<1, 4>(piece, get),
        }
    }

    /// The same by `N` elements, with that many times those of an item under way at once.
    #[inline(always)]
    fn read_by<const N: usize, const TIMES: usize>(&self, piece: usize, get: impl Fn(usize) -> T) {
        let times = const { Self::LEN / N };
        if self.count == TILE && times.is_multiple_of(TIMES) {
            for begin in (0..times).step_by(TIMES) {
                let next: [[T; N]; TIMES] = std::array::from_fn(|k| {
                    let (_, within) = self.share::<N>(piece, begin + k);
                    std::array::from_fn(|n| get(self.first + within + n))
                });
                for (k, next) in next.into_iter().enumerate() {
                    let (slot, _) = self.share::<N>(piece, begin + k);
                    // SAFETY: this item's.
                    unsafe { write(slot, next) };
                }
            }
        } else {
            self.each_by::<N>(piece, |slot, within| {
                // SAFETY: this item's.
                unsafe { slot.write(get(self.first + within)) };
            });
        }
    }

    /// Calls a function with each slot of an item that has an element, and with the element's index in the tile.
    #[inline(always)]
    fn each_by<const N: usize>(&self, piece: usize, each: impl Fn(*mut T, usize)) {
        for k in 0..const { Self::LEN / N } {
            let (slot, within) = self.share::<N>(piece, k);
            for n in (0..N).take_while(|n| within + n < self.count) {
                // SAFETY: one of the `N`.
                each(unsafe { slot.add(n) }, within + n);
            }
        }
    }

    /// Stores a piece of all runs.
    ///
    /// # Safety
    /// It was written, and there is room at `out` for all elements, of which no other item writes this one's.
    #[inline(always)]
    unsafe fn store(&self, piece: usize, out: *mut T) {
        // SAFETY: the caller's promise.
        unsafe {
            match const { together::<T>() } {
                4 => self.store_by::<4>(piece, out),
                2 => self.store_by::<2>(piece, out),
                _ => self.store_by::<1>(piece, out),
            }
        }
    }

    /// The same by `N` elements.
    ///
    /// # Safety
    /// As there.
    #[inline(always)]
    unsafe fn store_by<const N: usize>(&self, piece: usize, out: *mut T) {
        // Without a test for each element, reads of many overlap.
        if self.count == TILE {
            for k in 0..const { Self::LEN / N } {
                let (slot, within) = self.share::<N>(piece, k);
                // SAFETY: the caller's promise.
                let values: [T; N] = unsafe { read(slot) };
                for (n, value) in values.into_iter().enumerate() {
                    // SAFETY: likewise.
                    unsafe { out.add(self.first + within + n).write(value) };
                }
            }
        } else {
            self.each_by::<N>(piece, |slot, within| {
                // SAFETY: the caller's promise.
                unsafe { out.add(self.first + within).write(slot.read()) };
            });
        }
    }

    /// How many elements a piece has of the item's run.
    #[inline(always)]
    fn len(&self, piece: usize) -> usize {
        let before = self.group.rank() * RUN + piece * Self::LEN;
        self.count.saturating_sub(before).min(Self::LEN)
    }

    /// Goes on combining with the item's elements of a piece, and, if it is to `KEEP` that, puts in the place of each
    /// what is combined up to it.
    ///
    /// # Safety
    /// The piece is in shared memory, where no other item uses the elements of this run.
    #[inline(always)]
    unsafe fn go_on<const KEEP: bool>(
        &self,
        piece: usize,
        mut all: Option<T>,
        combine: impl Fn(T, T) -> T,
    ) -> Option<T> {
        let len = self.len(piece);
        // SAFETY: elements below the length, which is that of the piece at most.
        let slot = |element| unsafe { self.slot(self.group.rank(), element) };
        let mut element = 0;
        if Self::LEN.is_multiple_of(UNROLLED) {
            while element + UNROLLED <= len {
                // SAFETY: the piece was written, and the run is the item's.
                unsafe {
                    let mut values = match const { together::<T>() } {
                        4 => read_all::<T, 4>(slot(element)),
                        2 => read_all::<T, 2>(slot(element)),
                        _ => read_all::<T, 1>(slot(element)),
                    };
                    for value in &mut values {
                        *value = after(all, *value, &combine);
                        all = Some(*value);
                    }
                    match const { together::<T>() } {
                        _ if !KEEP => {}
                        4 => write_all::<T, 4>(slot(element), values),
                        2 => write_all::<T, 2>(slot(element), values),
                        _ => write_all::<T, 1>(slot(element), values),
                    }
                }
                element += UNROLLED;
            }
        }
        for element in element..len {
            // SAFETY: as above.
            unsafe {
                let value = after(all, slot(element).read(), &combine);
                if KEEP {
                    slot(element).write(value);
                }
                all = Some(value);
            }
        }
        all
    }
}

/// Reads elements of shared memory that lie side by side, in one access if they are [`together`].
///
/// # Safety
/// They were written, and begin at a multiple of `N`.
#[inline(always)]
unsafe fn read<T: Copy, const N: usize>(from: *const T) -> [T; N] {
    // SAFETY: the caller's promise. Where `N` elements are an access, rows are a number of those, behind an
    // aligned start.
    unsafe {
        match N * size_of::<T>() {
            ACCESS => from.cast::<Wide<[T; N]>>().read().0,
            _ => from.cast::<[T; N]>().read(),
        }
    }
}

/// The same for writing.
///
/// # Safety
/// They may be written, and begin at a multiple of `N`.
#[inline(always)]
unsafe fn write<T: Copy, const N: usize>(to: *mut T, values: [T; N]) {
    // SAFETY: as above.
    unsafe {
        match N * size_of::<T>() {
            ACCESS => to.cast::<Wide<[T; N]>>().write(Wide(values)),
            _ => to.cast::<[T; N]>().write(values),
        }
    }
}

/// Reads [`UNROLLED`] elements, `N` at once.
///
/// # Safety
/// As for [`read`].
#[inline(always)]
unsafe fn read_all<T: Copy, const N: usize>(from: *const T) -> [T; UNROLLED] {
    // SAFETY: the caller's promise.
    let mut values = [unsafe { from.read() }; UNROLLED];
    for begin in (0..UNROLLED).step_by(N) {
        // SAFETY: likewise; `N` divides their number.
        unsafe {
            (&raw mut values[begin])
                .cast::<[T; N]>()
                .write(read(from.add(begin)))
        };
    }
    values
}

/// Writes them.
///
/// # Safety
/// As for [`write`].
#[inline(always)]
unsafe fn write_all<T: Copy, const N: usize>(to: *mut T, values: [T; UNROLLED]) {
    for part in 0..UNROLLED / N {
        // SAFETY: the caller's promise.
        unsafe {
            write::<T, N>(
                to.add(part * N),
                std::array::from_fn(|n| values[part * N + n]),
            )
        };
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
    (len, are_numbers): (usize, bool),
    out: *mut V::Item,
    flags: &[AtomicU64],
    values: *mut V::Item,
    number: Shared<[usize; 1]>,
    runs: Shared<[V::Item; WIDTH]>,
    before: Shared<[V::Item; 2 * WIDTH]>,
    slots: Shared<[Wide<[u8; ACCESS]>]>,
) where
    G: Fn(V::Item, V::Item) -> V::Item,
{
    let places = Places::of(len);
    let told = Told {
        flags,
        values,
        are_numbers,
    };
    let number = number.fill(|_| {
        // SAFETY: one of the places.
        let begun = unsafe { told.flag(Places::BEGUN) };
        begun.fetch_add(1, Relaxed) as usize
    });
    let tile = group.sync(number)[0];
    let pieces = Pieces {
        group: &group,
        start: slots.into_raw().cast(),
        first: tile * TILE,
        count: (len - tile * TILE).min(TILE),
    };
    let (rank, subgroup) = (group.rank(), group.subgroup());
    let (runs, before) = (runs.into_raw(), before.into_raw());
    // SAFETY: one for each item.
    let run = unsafe { runs.add(rank) };

    let read = |piece| {
        // SAFETY: the source has as many elements as the output.
        pieces.read(piece, |index| unsafe { source.get(index) });
        group.barrier();
    };
    let mut all = None;
    for piece in 0..Pieces::<V::Item>::COUNT {
        read(piece);
        // SAFETY: between barriers, each item at its own run.
        all = unsafe { pieces.go_on::<false>(piece, all, &combine) };
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
        let [word] = told.wait(&subgroup, [own_tile]);
        if let Some(place) = own_tile {
            tiles.add(rank).write(told.get(place, word));
        }
    }
    group.barrier();

    // Others wait for this, so that it is told before this group waits for what others need for that.
    let mut whole = None;
    if rank == 0 && ends_block {
        // SAFETY: all of these were written before the barrier.
        whole = unsafe { in_turn(None, tiles, WIDTH, &combine, |_, _| {}) };
        if let Some(whole) = whole {
            // SAFETY: this group's.
            unsafe { told.tell(places.block(block), whole) };
        }
    }
    // SAFETY: as above.
    let of_spans = unsafe {
        let [word, of_spans] = told.wait(&subgroup, [own_block, spans]);
        if let Some(place) = own_block {
            blocks.add(rank).write(told.get(place, word));
        }
        of_spans
    };
    group.barrier();

    if rank == 0 {
        // SAFETY: all of these were written before the barrier, as many as are read.
        unsafe {
            let before = spans.map(|place| told.get(place, of_spans));
            if let Some(whole) = whole
                && in_span + 1 == WIDTH
            {
                let blocks = in_turn(None, blocks, in_span, &combine, |_, _| {});
                let whole = after(blocks, whole, &combine);
                told.tell(places.up_to(span), after(before, whole, &combine));
            }
            let all = in_turn(before, blocks, in_span, &combine, |_, _| {});
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
        all = unsafe { pieces.go_on::<true>(piece, all, &combine) };
        group.barrier();
        // SAFETY: written before the barrier; the output has all of the tile's elements, and no other group has them.
        unsafe { pieces.store(piece, out) };
        if Pieces::<V::Item>::COUNT > 1 {
            group.barrier();
        }
    }
}
