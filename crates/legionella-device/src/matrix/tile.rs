//! Matrices in shared memory, arranged so that lanes which load them don't meet in its banks.

use super::{Factor, Strip};
use crate::Readable;
use crate::tile::Elements;

/// A matrix in shared memory: rows of `STRIPS` strips of 16 bytes.
///
/// A tile of `[Strip<T>; ROWS * STRIPS]` holds it. Its strips are permuted within their rows, if `STRIPS` is a
/// power of two, so that 8 rows beside each other are loaded at once by memory that is made of 32 banks of 4
/// bytes. Who fills the tile asks [`at`](Tile::at) which strip belongs where:
///
/// ```
/// use legionella_device::matrix::{Strip, Tile};
/// use legionella_device::{Group, Shared};
///
/// fn kernel(group: Group, matrix: &[Strip<i8>], tile: Shared<[Strip<i8>; 64 * 4]>) {
///     let tile = tile.fill(|index| {
///         let [row, strip] = Tile::<i8, 4>::at(index);
///         matrix[row * 100 + strip]
///     });
///     let tile = group.sync(tile);
///     let tile = Tile::<_, 4>::of(&tile);
///     assert_eq!(tile.rows(), 64);
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Tile<'t, T: Factor, const STRIPS: usize> {
    strips: &'t [Strip<T>],
}

/// By how many strips a row is turned.
#[inline(always)]
fn turn<const STRIPS: usize>(row: usize) -> usize {
    if !STRIPS.is_power_of_two() {
        return 0;
    }
    let most = if STRIPS < 8 { STRIPS } else { 8 };
    row / (8 / most) % most
}

impl<'t, T: Factor, const STRIPS: usize> Tile<'t, T, STRIPS> {
    /// The matrix in memory that all items of the group read.
    #[inline(always)]
    pub fn of<A>(tile: &'t Readable<'_, A>) -> Self
    where
        A: Elements<Element = Strip<T>> + AsRef<[Strip<T>]> + ?Sized,
    {
        const { assert!(STRIPS > 0, "rows have at least one strip") };
        let matrix: &'t A = tile;
        Tile {
            strips: matrix.as_ref(),
        }
    }

    /// The matrix in `len` strips of shared memory.
    ///
    /// # Safety
    /// They are valid and written by nobody during `'t`.
    #[inline(always)]
    pub(super) unsafe fn from_raw(start: *const Strip<T>, len: usize) -> Self {
        Tile {
            // SAFETY: the caller's promise.
            strips: unsafe { core::slice::from_raw_parts(start, len) },
        }
    }

    /// Row and strip that the element of that index of the tile holds.
    #[inline(always)]
    pub fn at(index: usize) -> [usize; 2] {
        let row = index / STRIPS;
        [row, (index % STRIPS) ^ turn::<STRIPS>(row)]
    }

    /// The index of the element that holds a strip: the other way round.
    #[inline(always)]
    pub fn index(row: usize, strip: usize) -> usize {
        row * STRIPS + (strip ^ turn::<STRIPS>(row))
    }

    /// Whole rows of the matrix.
    #[inline(always)]
    pub fn rows(&self) -> usize {
        self.strips.len() / STRIPS
    }

    /// Elements of a row.
    #[inline(always)]
    pub fn columns(&self) -> usize {
        STRIPS * T::STRIP
    }

    /// Panics unless a part of the matrix begins with a strip and is within it.
    #[inline(always)]
    #[track_caller]
    pub(super) fn check(&self, [row, column]: [usize; 2], [rows, columns]: [usize; 2]) {
        let fits = |start: usize, len: usize, all: usize| len <= all && start <= all - len;
        if !(fits(row, rows, self.rows())
            && fits(column, columns, self.columns())
            && column.is_multiple_of(T::STRIP))
        {
            outside([row, column], [self.rows(), self.columns()]);
        }
    }

    /// The strip at a place.
    ///
    /// # Safety
    /// The matrix has this row and that strip.
    #[inline(always)]
    pub(super) unsafe fn strip(&self, row: usize, strip: usize) -> &'t Strip<T> {
        // SAFETY: `index` permutes strips within their row.
        unsafe { self.strips.get_unchecked(Self::index(row, strip)) }
    }

    /// The element at a place.
    ///
    /// # Safety
    /// The matrix has this row and that column.
    #[inline(always)]
    pub(super) unsafe fn element(&self, row: usize, column: usize) -> T {
        // SAFETY: passed on; a strip has as many elements.
        unsafe {
            let strip = self.strip(row, column / T::STRIP);
            *strip.get_unchecked(column % T::STRIP)
        }
    }
}

#[cold]
#[inline(never)]
#[track_caller]
fn outside([row, column]: [usize; 2], [rows, columns]: [usize; 2]) -> ! {
    panic!(
        "a part of a matrix at row {row} and column {column} is not within {rows} × {columns}, \
         or doesn't begin with a strip"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permutes<const STRIPS: usize>() {
        for index in 0..64 * STRIPS {
            let [row, strip] = Tile::<i8, STRIPS>::at(index);
            assert!(strip < STRIPS);
            assert_eq!(Tile::<i8, STRIPS>::index(row, strip), index);
        }
    }

    /// The 8 rows from a multiple of 8 on, at one strip, are in 8 different groups of four banks.
    fn spreads<const STRIPS: usize>() {
        for first in [0, 8, 40] {
            for strip in 0..STRIPS {
                let banks = (first..first + 8)
                    .map(|row| Tile::<i8, STRIPS>::index(row, strip) % 8)
                    .fold(0, |banks, bank| banks | 1 << bank);
                assert_eq!(banks, 0xff, "{STRIPS} strips, {strip}");
            }
        }
    }

    #[test]
    fn strips_have_places_of_their_own() {
        permutes::<1>();
        permutes::<2>();
        permutes::<3>();
        permutes::<4>();
        permutes::<8>();
        permutes::<16>();
    }

    #[test]
    fn rows_beside_each_other_are_in_different_banks() {
        spreads::<1>();
        spreads::<2>();
        spreads::<3>();
        spreads::<4>();
        spreads::<5>();
        spreads::<8>();
        spreads::<16>();
    }
}
