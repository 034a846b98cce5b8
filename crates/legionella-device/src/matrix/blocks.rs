//! An output matrix of which every subgroup has a block of its own.
//!
//! # Why this is sound
//!
//! As with the outputs of [`crate::output`], which elements a work-item reaches depends on who it is and on
//! numbers that are fixed for the launch. [`Blocks`] knows the one work-item that it was made for. The unit that
//! it is given must be that item's; it comes of a subgroup all of whose lanes exist, in a group whose rows are
//! whole subgroups. So block `[x / lanes, y]` is that of one subgroup alone. Within a block, the part of a
//! [`Sum`] that a lane holds depends on its lane, and no two lanes hold one element ([`super::fragment`]); where
//! the sum lies within the block is the caller's choice, but always a multiple of 16 both ways, so that a lane
//! reaches of each square of 16 × 16 what is its own.

use core::marker::PhantomData;

use super::{Sum, Unit};
use crate::Item;

/// An output matrix in blocks of `ROWS` × `COLUMNS`, one for each subgroup: the one that begins with the item
/// `[x, y]` of the grid has the block in row `y` and column `x` by the number of lanes.
///
/// A kernel receives it for `buffer.blocks::<ROWS, COLUMNS>(width)`, and is launched over
/// `Grid::over_subgroups`.
pub struct Blocks<'a, T, const ROWS: usize, const COLUMNS: usize> {
    start: *mut T,
    len: usize,
    width: usize,
    rows: usize,
    owner: usize,
    lifetime: PhantomData<&'a mut [T]>,
}

/// Two elements that are written at once.
#[repr(C, align(8))]
struct Pair<T>([T; 2]);

impl<T, const ROWS: usize, const COLUMNS: usize> Blocks<'_, T, ROWS, COLUMNS> {
    /// The output of one work-item. For entry shims.
    ///
    /// # Safety
    /// The `len` elements from `start` on are valid for reads and writes for `'a`; all work-items of the launch
    /// are given the same `width`, and the part of `item` is reached by nothing else during `'a`.
    #[doc(hidden)]
    #[inline(always)]
    pub unsafe fn from_raw(start: *mut T, len: usize, width: usize, item: &Item) -> Self {
        const {
            assert!(
                ROWS.is_multiple_of(16) && COLUMNS.is_multiple_of(16),
                "blocks are made of squares of 16 × 16"
            );
        }
        Blocks {
            start,
            len,
            width,
            rows: len.checked_div(width).unwrap_or(0),
            owner: item.global(),
            lifetime: PhantomData,
        }
    }

    /// Row and column of the matrix where the subgroup's block begins.
    ///
    /// # Panics
    /// If the unit is another item's, the grid has three dimensions, or a row of the group has subgroups in part.
    #[inline(always)]
    pub fn first(&self, unit: &Unit<'_>) -> [usize; 2] {
        let (item, lanes) = (unit.item(), unit.subgroup.size());
        let [_, _, depth] = item.grid();
        if item.global() != self.owner || depth > 1 || !item.group_size()[0].is_multiple_of(lanes) {
            no_block();
        }
        [
            item.y().saturating_mul(ROWS),
            (item.x() / lanes).saturating_mul(COLUMNS),
        ]
    }

    /// Stores a sum at a row and column of the subgroup's block. What is outside of the matrix is left out.
    ///
    /// # Panics
    /// As [`first`](Blocks::first), and if row or column are no multiple of 16, or within the block there is no
    /// room.
    #[inline(always)]
    #[track_caller]
    pub fn store(&mut self, unit: &Unit<'_>, place: [usize; 2], sum: &Sum<T>)
    where
        T: Copy,
    {
        if let Some(start) = self.whole(unit, place) {
            let mut index = 0;
            while index < unit.values() {
                let [first, second] = [index, index + 1].map(|index| unit.place(index));
                // SAFETY: the square is within the matrix; the elements are this lane's alone, as the module has
                // it. Both are beside each other, and the first is at an even place of a square that begins with one.
                unsafe {
                    let element = |[row, column]: [usize; 2]| start.add(row * self.width + column);
                    if first[0] == second[0] && first[1] + 1 == second[1] && first[1] % 2 == 0 {
                        let pair = Pair([sum.values[index], sum.values[index + 1]]);
                        element(first).cast::<Pair<T>>().write(pair);
                    } else {
                        element(first).write(sum.values[index]);
                        element(second).write(sum.values[index + 1]);
                    }
                }
                index += 2;
            }
            return;
        }
        self.for_each(unit, place, sum, |element, value| *element = value);
    }

    /// The first element of a square of 16 × 16 of the subgroup's block, if all of it is within the matrix and pairs
    /// of its elements are aligned as a [`Pair`].
    ///
    /// # Panics
    /// As [`store`](Blocks::store).
    #[inline(always)]
    #[track_caller]
    fn whole(&self, unit: &Unit<'_>, [row, column]: [usize; 2]) -> Option<*mut T> {
        if size_of::<T>() != 4 {
            return None;
        }
        let [first_row, first_column] = self.square(unit, [row, column]);
        let inside = |start: usize, all: usize| all >= 16 && start <= all - 16;
        let whole = inside(first_row, self.rows) && inside(first_column, self.width);
        let aligned = self.width.is_multiple_of(2) && self.start.cast::<Pair<T>>().is_aligned();
        // SAFETY: within the matrix.
        (whole && aligned).then(|| unsafe { self.start.add(first_row * self.width + first_column) })
    }

    /// Row and column of the matrix where a square of the subgroup's block begins.
    ///
    /// # Panics
    /// As [`store`](Blocks::store).
    #[inline(always)]
    #[track_caller]
    fn square(&self, unit: &Unit<'_>, [row, column]: [usize; 2]) -> [usize; 2] {
        let within = |start: usize, all: usize| start.is_multiple_of(16) && start < all;
        if !(within(row, ROWS) && within(column, COLUMNS)) {
            outside([row, column], [ROWS, COLUMNS]);
        }
        let [first_row, first_column] = self.first(unit);
        [
            first_row.saturating_add(row),
            first_column.saturating_add(column),
        ]
    }

    /// Calls a function for each element of a square of 16 × 16 of the subgroup's block that is the lane's own,
    /// with what the lane has of a sum for it. What is outside of the matrix is left out.
    ///
    /// # Panics
    /// As [`store`](Blocks::store).
    #[inline(always)]
    #[track_caller]
    pub fn for_each<S: Copy>(
        &mut self,
        unit: &Unit<'_>,
        place: [usize; 2],
        sum: &Sum<S>,
        mut function: impl FnMut(&mut T, S),
    ) {
        let [first_row, first_column] = self.square(unit, place);
        let mut sum = *sum;
        unit.for_each(&mut sum, |r, c, value| {
            let row = first_row.saturating_add(r);
            let column = first_column.saturating_add(c);
            if row < self.rows && column < self.width {
                // SAFETY: within the matrix; the element is this lane's alone, as the module has it.
                function(
                    unsafe { &mut *self.start.add(row * self.width + column) },
                    *value,
                );
            }
        });
    }

    /// Elements of a row of the matrix.
    #[inline(always)]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Elements of the whole matrix.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the whole matrix has no element.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

#[cold]
#[inline(never)]
fn no_block() -> ! {
    panic!(
        "a subgroup has no block of a matrix that belongs to another item, in a grid of three dimensions, \
         or in a group whose rows are no multiple of subgroups"
    )
}

#[cold]
#[inline(never)]
#[track_caller]
fn outside([row, column]: [usize; 2], [rows, columns]: [usize; 2]) -> ! {
    panic!(
        "no square of 16 × 16 begins at row {row} and column {column} of a block of {rows} × {columns}"
    )
}
