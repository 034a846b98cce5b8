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

use core::panic::Location;

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
pub(super) type Parts<T> = (*const Strip<T>, *const Strip<T>);

/// Calls a function once a turn. It may leave what it reads in use for `LAG` more turns.
///
/// `items` and `rank` are the group's and the item's, the former in terms by which loops may be unrolled.
#[inline(always)]
pub(super) fn run<
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
    mut turn_with: impl FnMut(Parts<T>),
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
    let (left, right) = (left.of(rank, items), right.of(rank, items));
    let ahead = STAGES - 1 - LAG;
    let copy = |turn: usize, stage: usize| {
        if turn < turns {
            // SAFETY: a stage that nobody uses at this turn, of which each item has strips of its own.
            unsafe {
                left.copy::<L>(turn, to_left.add(stage).cast());
                right.copy::<R>(turn, to_right.add(stage).cast());
            }
        }
        intrinsic::copy_close();
    };
    for turn in 0..ahead {
        copy(turn, turn);
    }
    let (mut stage, mut next) = (0, ahead);
    let after = |stage: usize| if stage + 1 < STAGES { stage + 1 } else { 0 };
    for turn in 0..turns {
        intrinsic::copy_wait(ahead as u32 - 1);
        group.wait(label, place);
        if LAG == 0 {
            copy(turn + ahead, next);
        }
        // SAFETY: within the memory.
        turn_with(unsafe { (to_left.add(stage).cast(), to_right.add(stage).cast()) });
        if LAG > 0 {
            copy(turn + ahead, next);
        }
        (stage, next) = (after(stage), after(next));
    }
}

impl Group<'_> {
    /// Streams the columns of two panels through shared memory, and calls a function for every 128 bytes of them
    /// with what all items have copied: as many rows of each panel as a stage has. While it runs, what
    /// comes next is copied; on NVIDIA's devices, without going through registers (`cp.async`).
    ///
    /// All items of the group have to come here, at one place of the program and with panels of as many columns, or
    /// the launch fails. Of the memory, that for the left panel is the kernel's earlier parameter. It is used up:
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
        run::<T, L, R, STAGES, 0>(self, who, panels, memory, place, |(left, right)| {
            // SAFETY: stages that are written in full, and stay so for this turn.
            unsafe { turn(Tile::from_raw(left, L), Tile::from_raw(right, R)) }
        });
    }
}
