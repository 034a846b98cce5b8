//! Products of matrices by the machine's matrix units.
//!
//! A subgroup multiplies matrices together: each lane holds a part of the left matrix ([`Left`]), of the right
//! one ([`Right`]), and of the sum of products ([`Sum`]), and [`Unit::multiply`] adds a product to the sum. One
//! shape serves all machines, 16 × 16 with a depth of 32 bytes: 16 for `f16` and `bf16`, 32 for `i8` and `u8`, 8
//! for [`Tf32`], 4 for `f64`.
//!
//! | machine | what it becomes |
//! | --- | --- |
//! | NVIDIA, from compute capability 8.0 on | two or four `mma.sync`, loads by `ldmatrix` |
//! | AMD, gfx90a and gfx942 | one or two MFMA (three of `u8`) |
//! | AMD, gfx11 and gfx12 | one or two WMMA; of `Tf32` and `f64` an exchange |
//! | all others | exchange of values within the subgroup |
//!
//! All subgroups of a group compute a product together by [`Unit::product`], out of matrices that stream through
//! shared memory; [`Group::stream`](crate::Group::stream) lets them multiply what has come there as they like.
//!
//! | machine | what they become |
//! | --- | --- |
//! | NVIDIA, compute capability 9.0 | `wgmma` of four warps out of shared memory (not of `f64`), copies for that by TMA, others by `cp.async` |
//! | NVIDIA, from compute capability 8.0 on | products as above, copies by `cp.async` |
//! | all others | products as above, copies through registers |
//!
//! ```
//! use legionella_device::Group;
//! use legionella_device::Shared;
//! use legionella_device::matrix::{Blocks, Strip, Sum, Tile};
//!
//! /// A block of 16 × 16 of a product of `i8`, of which `left` has rows of 64 and `right` columns of 64.
//! fn product(
//!     group: Group,
//!     left: &[Strip<i8>],
//!     right: &[Strip<i8>],
//!     tile_left: Shared<[Strip<i8>; 16 * 4]>,
//!     tile_right: Shared<[Strip<i8>; 16 * 4]>,
//!     mut out: Blocks<i32, 16, 16>,
//! ) {
//!     let subgroup = group.subgroup();
//!     let Some(unit) = subgroup.matrix_unit() else { return };
//!     let [x, y, _] = group.id();
//!     let part = |matrix: &[Strip<i8>], first: usize, index: usize| {
//!         let [row, strip] = Tile::<i8, 4>::at(index);
//!         matrix[4 * (first + row) + strip]
//!     };
//!     let tile_left = tile_left.fill(|index| part(left, 16 * y, index));
//!     let tile_right = tile_right.fill(|index| part(right, 16 * x, index));
//!     let (left, right) = group.sync((tile_left, tile_right));
//!     let (left, right) = (Tile::<_, 4>::of(&left), Tile::<_, 4>::of(&right));
//!     let mut sum = Sum::filled(0);
//!     for depth in [0, 32] {
//!         let (left, right) = (unit.left(&left, [0, depth]), unit.right(&right, [0, depth]));
//!         unit.multiply(&left, &right, &mut sum);
//!     }
//!     out.store(&unit, [0, 0], &sum);
//! }
//! ```
//!
//! # Arithmetic
//!
//! * Integers are exact; sums wrap at 32 bits.
//! * Products of `f16`, `bf16` and [`Tf32`] are exact. How they are added up to an `f32` is the machine's
//!   business: in which order, how many at once, and whether what is cut off is rounded. What comes out is within
//!   `(DEPTH + 1) · 2⁻²² · (|sum| + Σ |product|) + (DEPTH + 1) · 2⁻¹²⁶` of the exact value, as long as no partial
//!   sum exceeds the largest `f32`. So it is exact where all partial sums are integers below 2²² times one power
//!   of two, in any order. A product of anything with a NaN, or of a zero with an infinity, makes its sum a NaN, of
//!   which the sign and payload are the machine's.
//!   The units of gfx90a take subnormal `f16` and `bf16` for zeros.
//! * `f64` is a chain of fused multiplications and additions, rounded to nearest each, whose order is the
//!   machine's: within `4 · 2⁻⁵²  · (|sum| + Σ |product|)` of the exact value.
//!
//! One machine computes the same from the same every time. On the host, and where there is no matrix unit, each
//! product is added in ascending order of the depth, with a sum that is rounded to nearest each time.

mod bands;
mod blocks;
mod factor;
mod fragment;
mod product;
mod stream;
mod tile;

use core::panic::Location;

pub use blocks::Blocks;
pub use factor::{Factor, Strip, Tf32};
pub use fragment::{Left, Right, Sum};
pub use stream::{Panel, Stages};
pub use tile::Tile;

pub(crate) use product::add as add_product;

use crate::subgroup::Subgroup;
use crate::{Item, intrinsic};
use fragment::{Corner, Quad, Row};

/// The matrix unit of a whole subgroup, of which every lane exists.
///
/// As with all operations of a subgroup, its lanes come to each of these together, or the launch fails, and they
/// give the same places: what comes of a load for which they don't is any elements of the tile.
#[derive(Debug)]
pub struct Unit<'s> {
    subgroup: &'s Subgroup<'s>,
    corner: Corner,
}

impl<'s> Unit<'s> {
    /// That of a subgroup whose lanes all exist.
    #[inline(always)]
    pub(crate) fn new(subgroup: &'s Subgroup<'s>) -> Self {
        Unit {
            corner: Corner::of(subgroup.lane(), subgroup.size()),
            subgroup,
        }
    }

    /// The left matrix, from the tile's rows and columns that begin at `place`: 16 rows, [`Factor::DEPTH`]
    /// columns.
    ///
    /// # Panics
    /// If they aren't within the tile, or the column doesn't begin a strip.
    #[inline(always)]
    #[track_caller]
    pub fn left<T: Factor, const STRIPS: usize>(
        &self,
        tile: &Tile<'_, T, STRIPS>,
        place @ [row, column]: [usize; 2],
    ) -> Left<T> {
        tile.check(place, [16, T::DEPTH]);
        let strip = column / T::STRIP;
        if let Corner::Row(own) = self.corner {
            // SAFETY: within the part that was checked.
            return Left::new(unsafe { part_of_row(tile, row + own.row::<T>(), strip, own) });
        }
        if T::WORDS > 1 {
            // SAFETY: within the part that was checked.
            return self.left_of(|r, c| unsafe { tile.element(row + r, column + c) });
        }
        if intrinsic::on_device() && intrinsic::matrix_loads() {
            let lane = self.subgroup.lane();
            // SAFETY: within the part that was checked.
            let row = unsafe { tile.strip(row + lane % 16, strip + lane / 16 % 2) };
            // SAFETY: a row of 16 bytes in shared memory, which is where tiles are.
            return Left::new(unsafe { rows(row, Location::caller()) });
        }
        let Corner::Quad(Quad { row: own, part, .. }) = self.corner else {
            unreachable!("lanes hold rows or quads")
        };
        Left::new([0, 1, 2, 3].map(|word| {
            // SAFETY: as above.
            let strip = unsafe { tile.strip(row + own + 8 * (word % 2), strip + word / 2) };
            strip.word(part)
        }))
    }

    /// The right matrix, column by column: the tile's rows are its columns. They begin at `place`: 16 rows of the
    /// tile, [`Factor::DEPTH`] columns.
    ///
    /// # Panics
    /// If they aren't within the tile, or the column doesn't begin a strip.
    #[inline(always)]
    #[track_caller]
    pub fn right<T: Factor, const STRIPS: usize>(
        &self,
        tile: &Tile<'_, T, STRIPS>,
        place @ [row, column]: [usize; 2],
    ) -> Right<T> {
        tile.check(place, [16, T::DEPTH]);
        let strip = column / T::STRIP;
        if let Corner::Row(own) = self.corner {
            // SAFETY: within the part that was checked.
            return Right::new(unsafe { part_of_row(tile, row + own.column, strip, own) });
        }
        if T::WORDS > 1 {
            // SAFETY: within the part that was checked.
            return self.right_of(|r, c| unsafe { tile.element(row + c, column + r) });
        }
        if intrinsic::on_device() && intrinsic::matrix_loads() {
            let lane = self.subgroup.lane();
            // SAFETY: within the part that was checked.
            let row =
                unsafe { tile.strip(row + lane % 8 + 8 * (lane / 16 % 2), strip + lane / 8 % 2) };
            // SAFETY: a row of 16 bytes in shared memory, which is where tiles are.
            return Right::new(unsafe { rows(row, Location::caller()) });
        }
        let Corner::Quad(Quad {
            row: own,
            part,
            half,
            halves,
        }) = self.corner
        else {
            unreachable!("lanes hold rows or quads")
        };
        Right::new([0, 1, 2, 3].map(|word| {
            let column = own + 8 * (half + word / 2 % halves);
            // SAFETY: as above.
            let strip = unsafe { tile.strip(row + column, strip + word % 2) };
            strip.word(part)
        }))
    }

    /// The left matrix, column by column: the tile's rows are its columns. They begin at `place`:
    /// [`Factor::DEPTH`] rows of the tile, 16 columns.
    ///
    /// # Panics
    /// If they aren't within the tile, or the column doesn't begin a strip.
    #[inline(always)]
    #[track_caller]
    pub fn left_by_columns<T: Factor, const STRIPS: usize>(
        &self,
        tile: &Tile<'_, T, STRIPS>,
        place @ [row, column]: [usize; 2],
    ) -> Left<T> {
        tile.check(place, [T::DEPTH, 16]);
        if size_of::<T>() == 2 && intrinsic::on_device() && intrinsic::matrix_loads() {
            let (lane, strip) = (self.subgroup.lane(), column / T::STRIP);
            // SAFETY: within the part that was checked.
            let row =
                unsafe { tile.strip(row + lane % 8 + 8 * (lane / 16 % 2), strip + lane / 8 % 2) };
            // SAFETY: a row of 16 bytes in shared memory, which is where tiles are.
            return Left::new(unsafe { columns(row, Location::caller()) });
        }
        // SAFETY: as above.
        self.left_of(|r, c| unsafe { tile.element(row + c, column + r) })
    }

    /// The right matrix, row by row, from the tile's rows and columns that begin at `place`: [`Factor::DEPTH`]
    /// rows, 16 columns.
    ///
    /// # Panics
    /// If they aren't within the tile, or the column doesn't begin a strip.
    #[inline(always)]
    #[track_caller]
    pub fn right_by_rows<T: Factor, const STRIPS: usize>(
        &self,
        tile: &Tile<'_, T, STRIPS>,
        place @ [row, column]: [usize; 2],
    ) -> Right<T> {
        tile.check(place, [T::DEPTH, 16]);
        if size_of::<T>() == 2 && intrinsic::on_device() && intrinsic::matrix_loads() {
            let (lane, strip) = (self.subgroup.lane(), column / T::STRIP);
            // SAFETY: within the part that was checked.
            let row = unsafe { tile.strip(row + lane % 16, strip + lane / 16 % 2) };
            // SAFETY: a row of 16 bytes in shared memory, which is where tiles are.
            return Right::new(unsafe { columns(row, Location::caller()) });
        }
        // SAFETY: as above.
        self.right_of(|r, c| unsafe { tile.element(row + r, column + c) })
    }

    /// The left matrix of the elements that a function gives, by row and column. Each lane calls it for its own.
    #[inline(always)]
    pub fn left_of<T: Factor>(&self, mut element: impl FnMut(usize, usize) -> T) -> Left<T> {
        Left::from_fn(|index| {
            let [row, column] = self.corner.of_left::<T>(index);
            element(row, column)
        })
    }

    /// The right matrix of the elements that a function gives, by row and column. Each lane calls it for its own.
    #[inline(always)]
    pub fn right_of<T: Factor>(&self, mut element: impl FnMut(usize, usize) -> T) -> Right<T> {
        Right::from_fn(|index| {
            let [row, column] = self.corner.of_right::<T>(index);
            element(row, column)
        })
    }

    /// A sum that begins with the values that a function gives, by row and column. Each lane calls it for its own.
    #[inline(always)]
    pub fn sum_of<S: Copy + Default>(&self, mut value: impl FnMut(usize, usize) -> S) -> Sum<S> {
        let mut sum = Sum::filled(S::default());
        self.for_each(&mut sum, |row, column, place| *place = value(row, column));
        sum
    }

    /// Calls a function for each value that the lane has of a sum, with its row and column.
    #[inline(always)]
    pub fn for_each<S: Copy>(
        &self,
        sum: &mut Sum<S>,
        mut function: impl FnMut(usize, usize, &mut S),
    ) {
        let values = sum.values.iter_mut().take(self.corner.values());
        for (index, value) in values.enumerate() {
            let [row, column] = self.corner.of_sum(index);
            function(row, column, value);
        }
    }

    /// Values that the lane has of a sum: the first of [`Sum::values`].
    #[inline(always)]
    fn values(&self) -> usize {
        self.corner.values()
    }

    /// Row and column of one of them.
    #[inline(always)]
    fn place(&self, index: usize) -> [usize; 2] {
        self.corner.of_sum(index)
    }

    /// Adds the product of two matrices to a sum.
    #[inline(always)]
    #[track_caller]
    pub fn multiply<T: Factor>(&self, left: &Left<T>, right: &Right<T>, sum: &mut Sum<T::Sum>) {
        let place = Location::caller();
        if intrinsic::on_device() {
            // SAFETY: all lanes exist; the addresses are those of its parts.
            return unsafe { T::multiply(&left.words, &right.words, &mut sum.values, place) };
        }
        let words = [left.words, right.words];
        let all = words.map(|words| words.map(|word| self.subgroup.on_host(word, place)));
        let (lane, lanes) = (self.subgroup.lane(), self.subgroup.size());
        product::add::<T>(lane, lanes, &mut sum.values, &mut |index, lane| {
            all[index / 4][index % 4][lane].unwrap_or(0)
        });
    }

    /// The work-item that asks.
    #[inline(always)]
    fn item(&self) -> &Item {
        self.subgroup.item()
    }
}

/// What a lane holds of a row of a tile, of which the first strip of the product's depth is that of this number.
///
/// # Safety
/// The row, and two strips of it from this one on, are within the tile.
#[inline(always)]
unsafe fn part_of_row<T: Factor, const STRIPS: usize>(
    tile: &Tile<'_, T, STRIPS>,
    row: usize,
    strip: usize,
    own: Row,
) -> [u32; 4] {
    let first = own.group * own.words();
    // SAFETY: the caller's promise; a row has 8 words for a product.
    let strip = unsafe { tile.strip(row, strip + first / 4) };
    [0, 1, 2, 3].map(|word| strip.word(first % 4 + word % own.words()))
}

/// Four matrices of 8 rows, as [`legionella_abi::intrinsic::MATRIX_ROWS`] has it.
///
/// # Safety
/// In device code, by all lanes of a whole subgroup; the strip is in shared memory.
#[inline(always)]
unsafe fn rows<T: Factor>(row: &Strip<T>, place: &'static Location<'static>) -> [u32; 4] {
    let mut words = [0; 4];
    // SAFETY: passed on.
    unsafe { intrinsic::matrix_rows((&raw const *row).cast(), &mut words, place) };
    words
}

/// The same, transposed.
///
/// # Safety
/// As [`rows`], with elements of 16 bits.
#[inline(always)]
unsafe fn columns<T: Factor>(row: &Strip<T>, place: &'static Location<'static>) -> [u32; 4] {
    let mut words = [0; 4];
    // SAFETY: passed on.
    unsafe { intrinsic::matrix_columns((&raw const *row).cast(), &mut words, place) };
    words
}
