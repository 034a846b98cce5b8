//! Matrices that stream through shared memory: parts of them are copied there while others are in use.
//!
//! Takes [`Panel`]s of matrices in memory of the device and shared memory in several stages; gives one part of each
//! panel after the other, as a [`Tile`] that all items read. Knows nothing of products.
//!
//! # Why this is sound
//!
//! Whoever streams gives up its handles of the memory and never gets them back. Barriers of a stream have a label
//! with both bits of its two tiles set, as no other barrier has ([`legionella_abi::intrinsic::is_stepwise`]). A
//! barrier lets items pass only if all wait with one label; so all items of the group are in a stream through this
//! memory, and since each has one stream through it at most, all are at the same turn. An item whose panels
//! have fewer turns leaves earlier, and never comes to the barrier that the others wait at: the launch fails.
//!
//! Which tile is for which panel is in no label: it is the earlier parameter that is for the left one, in all items.
//!
//! Before the barrier of turn `t` an item has waited for its copies of turn `t`; so behind it that stage is written in
//! full, and everybody is done with the stages of the turns before `t - LAG`. Behind it, an item copies
//! to a stage of one of these, of which each strip is one item's: that of the rank by which its number is divided.
//! The stages of the turns from `t - LAG` to `t` are left alone.
//!
//! Where a machine copies whole parts, the group's first item may have it do so from the panels that it has itself, and
//! the others copy none (`Whole`). It opens such copies before the barrier of the first turn, behind which all items are
//! told, and know so for every turn how that is copied. The parts of turn `t` are begun behind the barrier of an earlier
//! turn, to stages that nobody uses, as above; each item waits for them behind the barrier of turn `t`, and then the
//! stage is written in full. Such copies go on if the item that had them begun ends, and would write memory that may be
//! another group's by then. So while any are under way nothing runs that may end that item but the stream's barriers and
//! products ([`run`]), and there the target waits for them if items can't meet.

use core::panic::Location;

use legionella_abi::intrinsic::PART_STAGES;

use super::{Factor, Strip, Tile};
use crate::tile::Shared;
use crate::{Group, intrinsic};

/// Strips of a row of a stage: 128 bytes.
pub(super) const ROW: usize = 8;

/// Rows of a matrix, in memory of the device, from one row on.
///
/// The matrix is in rows of whole [`Strip`]s; what is beyond its last row or column counts as zero.
#[derive(Clone, Copy, Debug)]
pub struct Panel<'m, T: Factor> {
    strips: &'m [Strip<T>],
    /// Strips of a row of the matrix, and its rows.
    width: usize,
    rows: usize,
    first: usize,
}

impl<'m, T: Factor> Panel<'m, T> {
    /// The rows from `first` on of a matrix whose rows have `width` strips.
    ///
    /// # Panics
    /// If the matrix isn't in memory of a buffer, but in shared memory, say.
    #[inline(always)]
    #[track_caller]
    pub fn new(matrix: &'m [Strip<T>], width: usize, first: usize) -> Self {
        if intrinsic::on_device() && !intrinsic::copy_reaches(matrix.as_ptr().cast()) {
            out_of_reach();
        }
        Panel {
            strips: matrix,
            width,
            rows: matrix.len().checked_div(width).unwrap_or(0),
            first,
        }
    }

    /// Turns that it takes to have each column in a stage.
    #[inline(always)]
    pub(super) fn turns(&self) -> usize {
        self.width.div_ceil(ROW)
    }

    /// Whether the machine can copy parts of it: there is a row, and words of 4 bytes in a row, and rows of the matrix,
    /// have numbers of 31 bits.
    #[inline(always)]
    fn has_parts(&self) -> bool {
        self.first < self.rows && self.width < 1 << 29 && self.rows < 1 << 31
    }

    /// What an item copies of it.
    ///
    /// The rank is below the number of items.
    #[inline(always)]
    fn of(&self, rank: usize, items: usize) -> Own<'m, T> {
        let [row, strip] = Tile::<T, ROW>::at(rank);
        let before = self.first.wrapping_add(row).wrapping_mul(self.width);
        Own {
            strips: self.strips,
            width: self.width,
            rows: self.rows.saturating_sub(self.first),
            rank,
            items,
            row,
            strip,
            start: before.wrapping_add(strip),
            step: (items / ROW).wrapping_mul(self.width),
        }
    }
}

/// What an item copies of a panel: every strip whose number in a stage is its rank, or that and a multiple of the
/// number of items.
#[derive(Clone, Copy)]
struct Own<'m, T: Factor> {
    strips: &'m [Strip<T>],
    width: usize,
    /// Rows of the matrix from the panel's first on.
    rows: usize,
    rank: usize,
    items: usize,
    /// Row and strip of the first in a stage.
    row: usize,
    strip: usize,
    /// Its number in the matrix, at the first turn.
    start: usize,
    /// How many strips of the matrix are from one to the next, if rows of a stage are permuted alike.
    step: usize,
}

impl<T: Factor> Own<'_, T> {
    /// Begins to copy what the item has of a turn to a stage of `N` strips.
    ///
    /// # Safety
    /// The memory is valid for writes of `N` strips, of which nobody uses those that are the item's.
    #[inline(always)]
    unsafe fn copy<const N: usize>(&self, turn: usize, to: *mut Strip<T>) {
        for number in 0..N.div_ceil(self.items) {
            let index = self.rank + number * self.items;
            // What is last may be less than a strip an item.
            if (number + 1) * self.items > N && index >= N {
                break;
            }
            let (row, strip, place);
            if self.items.is_multiple_of(ROW * ROW) {
                (row, strip) = (self.row + number * (self.items / ROW), self.strip);
                place = self.start.wrapping_add(number.wrapping_mul(self.step));
            } else {
                [row, strip] = Tile::<T, ROW>::at(index);
                let down = (row.wrapping_sub(self.row)).wrapping_mul(self.width);
                let across = strip.wrapping_sub(self.strip);
                place = self.start.wrapping_add(down).wrapping_add(across);
            }
            // A row and a strip of the matrix, or nothing: then the place isn't used.
            let inside = row < self.rows && turn * ROW + strip < self.width;
            let place = place.wrapping_add(turn * ROW);
            let (place, bytes) = if inside {
                (place, size_of::<Strip<T>>())
            } else {
                (0, 0)
            };
            // SAFETY: a strip of the matrix if it is inside, and else not read; the item's own of the stage.
            unsafe {
                let from = self.strips.as_ptr().wrapping_add(place);
                intrinsic::copy_begin(to.add(index).cast(), from.cast(), bytes as u32);
            }
        }
    }
}

#[cold]
#[inline(never)]
#[track_caller]
fn out_of_reach() -> ! {
    panic!("a panel is of a matrix in a buffer: other memory isn't copied from while items go on")
}

#[cold]
#[inline(never)]
fn out_of_order() -> ! {
    panic!("of the memory of a stream, that for the left panel is the kernel's earlier parameter")
}

/// Shared memory for a stream: `STAGES` parts of `N` strips, of rows of 128 bytes.
pub type Stages<'g, T, const N: usize, const STAGES: usize> = Shared<'g, [[Strip<T>; N]; STAGES]>;

/// Where the parts of two panels are at a turn.
pub(super) type Stage<T, const L: usize, const R: usize> = (*mut [Strip<T>; L], *mut [Strip<T>; R]);

/// Whether the group's first item has whole parts copied. It opens such copies while those of the first turns are under
/// way, which each item begins of its own strips.
struct Whole {
    /// Whether the first item may do so.
    may: bool,
    /// Whether this item does.
    does: bool,
    /// What all items are told: a bit for each stage, turned each time that it is waited for. 0 before that, and if no
    /// parts are copied whole.
    phases: u32,
    /// The rows that parts begin with.
    rows: [u32; 2],
}

impl Whole {
    /// Most rows of a part.
    const ROWS: usize = 256;

    /// Opens copies, by the first item.
    ///
    /// # Safety
    /// If `in_bands`, by an item that comes to the barriers of a stream next, of which only products of bands read what
    /// is copied.
    #[inline(always)]
    unsafe fn open<T: Factor, const L: usize, const R: usize, const STAGES: usize>(
        in_bands: bool,
        rank: usize,
        (left, right): (&Panel<'_, T>, &Panel<'_, T>),
        turns: usize,
    ) -> Self {
        let fits = STAGES <= PART_STAGES && L / ROW <= Self::ROWS && R / ROW <= Self::ROWS;
        let may = in_bands && fits && intrinsic::on_device() && intrinsic::parts();
        // With few turns there is little to gain.
        let worth = turns > 2 * STAGES;
        let does = may && rank == 0 && worth && left.has_parts() && right.has_parts();
        if does {
            let part = |strips: usize| (strips / ROW) as u32;
            // SAFETY: matrices of so many rows, which are borrowed; numbers are as they may be.
            unsafe {
                intrinsic::part_open(
                    left.strips.as_ptr().cast(),
                    left.width as u64,
                    left.rows as u32,
                    part(L),
                    right.strips.as_ptr().cast(),
                    right.width as u64,
                    right.rows as u32,
                    part(R),
                );
            }
        }
        Whole {
            may,
            does,
            phases: 0,
            rows: [left.first as u32, right.first as u32],
        }
    }

    /// Has items know whether copies are open.
    ///
    /// # Safety
    /// Behind a barrier that all items of the group came to since [`open`](Self::open).
    #[inline(always)]
    unsafe fn hear(&mut self) {
        if self.may {
            // SAFETY: the caller's promise.
            self.phases = unsafe { intrinsic::part_told() };
        }
    }

    /// Whether copies are open, as far as is known.
    #[inline(always)]
    fn is_open(&self) -> bool {
        self.may && self.phases != 0
    }

    /// Has the first item begin to copy a turn's parts.
    ///
    /// # Safety
    /// Copies are [open](Self::is_open). The memory is of a stage, whole, that nobody uses at this turn.
    #[inline(always)]
    unsafe fn copy<T: Factor, const L: usize, const R: usize>(
        &self,
        turn: usize,
        stage: usize,
        (left, right): Stage<T, L, R>,
    ) {
        if self.does {
            let bytes = ((L + R) * size_of::<Strip<T>>()) as u32;
            let strip = (turn * ROW) as u32;
            let (to_left, to_right) = (left.cast(), right.cast());
            let [left, right] = self.rows;
            // SAFETY: the caller's promise.
            unsafe {
                intrinsic::part_begin(to_left, to_right, strip, left, right, stage as u32, bytes);
            }
        }
    }

    /// Waits for a stage's parts.
    ///
    /// # Safety
    /// The first item began to copy them before a barrier that this one has passed; once for each such copy.
    #[inline(always)]
    unsafe fn wait(&mut self, stage: usize) {
        // SAFETY: the caller's promise.
        unsafe { intrinsic::part_wait(stage as u32, self.phases >> stage & 1) }
        self.phases ^= 1 << stage;
    }

    /// Has the first item close copies.
    ///
    /// # Safety
    /// They are open, and all parts have been waited for.
    #[inline(always)]
    unsafe fn close(&self) {
        if self.does {
            // SAFETY: the caller's promise.
            unsafe { intrinsic::part_close() }
        }
    }
}

/// Begins to copy what an item has of a turn to a stage.
///
/// # Safety
/// As [`Own::copy`] has it, for both.
#[inline(always)]
unsafe fn copy<T: Factor, const L: usize, const R: usize>(
    (own_left, own_right): &(Own<'_, T>, Own<'_, T>),
    turn: usize,
    (left, right): Stage<T, L, R>,
) {
    // SAFETY: the caller's promise.
    unsafe {
        own_left.copy::<L>(turn, left.cast());
        own_right.copy::<R>(turn, right.cast());
    }
}

/// Calls a function once a turn. It may leave what it reads in use for `LAG` more turns.
///
/// `items` and `rank` are the group's and the item's, the former in terms by which loops may be unrolled.
///
/// # Safety
/// If `in_bands`, only products of bands read what is copied, and nothing else in the function may end the item: what a
/// machine copies for the group must not go on without it.
#[inline(always)]
pub(super) unsafe fn run<
    T: Factor,
    const L: usize,
    const R: usize,
    const STAGES: usize,
    const LAG: usize,
>(
    group: &Group<'_>,
    (rank, items): (usize, usize),
    (left, right): (Panel<'_, T>, Panel<'_, T>),
    memory: (Stages<'_, T, L, STAGES>, Stages<'_, T, R, STAGES>),
    place: &'static Location<'static>,
    in_bands: bool,
    mut turn_with: impl FnMut(Stage<T, L, R>),
) {
    const {
        assert!(
            STAGES > LAG + 1,
            "a stream has a stage in use and one that is copied to"
        );
        assert!(
            L.is_multiple_of(ROW) && R.is_multiple_of(ROW),
            "stages are of rows of 8 strips"
        );
    }
    if !memory.0.is_before(&memory.1) {
        out_of_order();
    }
    let label = memory.0.streams() | memory.1.streams();
    let (to_left, to_right) = (memory.0.into_raw(), memory.1.into_raw());
    let turns = left.turns().max(right.turns());
    let ahead = STAGES - 1 - LAG;
    let own = (left.of(rank, items), right.of(rank, items));
    // SAFETY: within the memory.
    let stages = |stage: usize| unsafe { (to_left.add(stage), to_right.add(stage)) };
    for turn in 0..ahead {
        if turn < turns {
            // SAFETY: a stage that nobody uses yet, of which each item has strips of its own.
            unsafe { copy(&own, turn, stages(turn)) }
        }
        intrinsic::copy_close();
    }
    // SAFETY: the barriers follow; the rest is the caller's promise.
    let mut whole =
        unsafe { Whole::open::<T, L, R, STAGES>(in_bands, rank, (&left, &right), turns) };
    let after = |stage: usize| if stage + 1 < STAGES { stage + 1 } else { 0 };
    let (mut turn, mut stage, mut next) = (0, 0, ahead);
    while turn < turns && !(whole.is_open() && turn == ahead) {
        intrinsic::copy_wait(ahead as u32 - 1);
        group.wait(label, place);
        if turn == 0 {
            // SAFETY: behind that barrier.
            unsafe { whole.hear() }
        }
        if LAG > 0 {
            turn_with(stages(stage));
        }
        if turn + ahead < turns {
            // SAFETY: a stage that nobody uses at this turn, of which each item has strips of its own; all know
            // whether copies are open.
            unsafe {
                match whole.is_open() {
                    true => whole.copy(turn + ahead, next, stages(next)),
                    false => copy(&own, turn + ahead, stages(next)),
                }
            }
        }
        intrinsic::copy_close();
        if LAG == 0 {
            turn_with(stages(stage));
        }
        (turn, stage, next) = (turn + 1, after(stage), after(next));
    }
    // Products are what leaves stages in use.
    if LAG > 0 && whole.is_open() {
        while turn < turns {
            group.wait(label, place);
            if turn + ahead < turns {
                // SAFETY: copies are open; a stage that nobody uses at this turn.
                unsafe { whole.copy(turn + ahead, next, stages(next)) }
            }
            // SAFETY: the first item began to copy this turn's before the barrier.
            unsafe { whole.wait(stage) }
            turn_with(stages(stage));
            (turn, stage, next) = (turn + 1, after(stage), after(next));
        }
        // SAFETY: this was for the last turn.
        unsafe { whole.close() }
    }
    // Who multiplied bands has all subgroups end that at one place.
    if in_bands {
        group.wait(label, place);
    }
}

impl Group<'_> {
    /// Streams the columns of two panels through shared memory, and calls a function for every 128 bytes of them
    /// with what all items have copied: as many rows of each panel as a stage has. While it runs, what
    /// comes next is copied; on NVIDIA's devices, without going through registers (`cp.async`).
    ///
    /// All items of the group have to come here, at one place of the program and with panels of as many columns, or
    /// the launch fails. They give the same panels: of others, each strip is as one of the items has it. Of the memory,
    /// that for the left panel is the kernel's earlier parameter. It is used up:
    ///
    /// ```compile_fail,E0382
    /// use legionella_device::Group;
    /// use legionella_device::matrix::{Panel, Stages};
    ///
    /// fn twice(group: Group, panel: Panel<i8>, a: Stages<i8, 64, 3>, b: Stages<i8, 64, 3>) {
    ///     group.stream((panel, panel), (a, b), |_, _| {});
    ///     group.stream((panel, panel), (a, b), |_, _| {});
    /// }
    /// ```
    ///
    /// and what is in a stage stays there for the call alone:
    ///
    /// ```compile_fail,E0521
    /// use legionella_device::Group;
    /// use legionella_device::matrix::{Panel, Stages};
    ///
    /// fn kept(group: Group, panel: Panel<i8>, a: Stages<i8, 64, 3>, b: Stages<i8, 64, 3>) {
    ///     let mut found = None;
    ///     group.stream((panel, panel), (a, b), |left, _| found = Some(left));
    /// }
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn stream<T: Factor, const L: usize, const R: usize, const STAGES: usize>(
        &self,
        panels: (Panel<'_, T>, Panel<'_, T>),
        memory: (Stages<'_, T, L, STAGES>, Stages<'_, T, R, STAGES>),
        mut turn: impl for<'t> FnMut(Tile<'t, T, ROW>, Tile<'t, T, ROW>),
    ) {
        let who = memory.0.who();
        let place = Location::caller();
        let turn = |(left, right): Stage<T, L, R>| {
            // SAFETY: stages that are written in full, and stay so for this turn.
            unsafe {
                turn(
                    Tile::from_raw(left.cast(), L),
                    Tile::from_raw(right.cast(), R),
                )
            }
        };
        // SAFETY: not in bands.
        unsafe { run::<T, L, R, STAGES, 0>(self, who, panels, memory, place, false, turn) }
    }
}
