//! The parts of matrices that lanes hold.
//!
//! # Arrangements
//!
//! Which elements a lane holds is up to the machine. A target that binds operations on matrices says which of these
//! arrangements they have; all others have the first.
//!
//! *Quads.* A lane of a subgroup of 32 is `4 g + t` with `t` below 4. It holds
//!
//! * of the left matrix, 16 × 32 bytes, as word `w` the word `t + 4 (w / 2)` of row `g + 8 (w mod 2)`; of
//!   `f64` as value `v` the element `t` of row `g + 8 v`;
//! * of the right matrix, 32 bytes × 16, as word `w` the word `t + 4 (w mod 2)` of column `g + 8 (w / 2)`; of
//!   `f64` as value `v` the element `t` of column `g + 8 v`;
//! * of the sum, 16 × 16, as value `i` the one in row `g + 8 (i / 2 mod 2)` and column `2 t + i mod 2 +
//!   8 (i / 4)`.
//!
//! These are the fragments of `mma.sync.m16n8k16` and its like (PTX ISA, "Matrix Fragments for mma"), two of
//! them beside each other. In subgroups of 64, lanes 0 to 31 do what is on the left of the sum and lanes 32 to 63
//! what is on its right: of the right matrix and of the sum each holds half as much, and of the left matrix both
//! hold all.
//!
//! *Rows.* A lane is `16 g + n`, of `G` groups, 2 or 4. It holds `8 / G` words in a row, beginning with word
//! `8 g / G`, of column `n` of the right matrix and of a row of the left one, and column `n` of the `16 / G` rows of
//! the sum from row `16 g / G` on. These are the operands of MFMA (AMD Instinct MI300 ISA, "Matrix
//! Arithmetic Instructions") and of WMMA on RDNA 4; RDNA 3 has whole rows in each lane, which are exchanged
//! between the two groups. In subgroups of 64 the last two words are those before once more.
//!
//! The row of the left matrix is `n`, unless what the unit computes of row `r` comes to group `r mod G`: then lanes
//! hold the rows that have the sum as above nevertheless, row `n / G + (n mod G) 16 / G`. So it is with all types on
//! RDNA 3 (*alternate rows*), and with `f64` everywhere.

use core::fmt::{self, Debug};
use core::marker::PhantomData;

use legionella_abi::intrinsic::{ALTERNATE_ROWS, QUADS};

use super::{Factor, Strip};
use crate::intrinsic;

/// Where a lane is in the arrangement.
#[derive(Clone, Copy, Debug)]
pub(super) enum Corner {
    /// Of quads.
    Quad(Quad),
    /// Of rows.
    Row(Row),
}

/// A lane's place among quads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quad {
    /// `g`.
    pub(super) row: usize,
    /// `t`.
    pub(super) part: usize,
    /// The first of the halves of the sum that the lane has.
    pub(super) half: usize,
    /// How many of them it has.
    pub(super) halves: usize,
}

/// A lane's place among rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// `n`.
    pub(super) column: usize,
    /// `g`.
    pub(super) group: usize,
    /// `G`.
    pub(super) groups: usize,
    /// Whether neighbouring rows are in different groups.
    alternate: bool,
}

impl Row {
    /// Words of a row or column that the lane has.
    #[inline(always)]
    pub(super) fn words(self) -> usize {
        8 / self.groups
    }

    #[inline(always)]
    fn alternates<T: Factor>(self) -> bool {
        self.alternate || T::WORDS > 1
    }

    /// The row of the left matrix that the lane has.
    #[inline(always)]
    pub(super) fn row<T: Factor>(self) -> usize {
        if self.alternates::<T>() {
            self.column / self.groups + self.column % self.groups * (16 / self.groups)
        } else {
            self.column
        }
    }

    /// Which lane of each group has a row of the left matrix.
    #[inline(always)]
    pub(super) fn holder<T: Factor>(self, row: usize) -> usize {
        let values = 16 / self.groups;
        if self.alternates::<T>() {
            row % values * self.groups + row / values
        } else {
            row
        }
    }

    /// Where in a row or column an element is that the lane has; the same again from beyond the last on.
    #[inline(always)]
    fn depth<T: Factor>(self, index: usize) -> usize {
        let count = T::DEPTH / self.groups;
        self.group * count + index % count
    }
}

impl Corner {
    /// That of a lane on the machine that this runs on.
    #[inline(always)]
    pub(super) fn of(lane: usize, lanes: usize) -> Self {
        Self::arranged(intrinsic::matrix_arrangement(), lane, lanes)
    }

    #[inline(always)]
    fn arranged(arrangement: u32, lane: usize, lanes: usize) -> Self {
        if arrangement == QUADS {
            return Corner::Quad(Quad {
                row: lane % 32 / 4,
                part: lane % 4,
                half: lane / 32,
                halves: if lanes > 32 { 1 } else { 2 },
            });
        }
        Corner::Row(Row {
            column: lane % 16,
            group: lane / 16,
            groups: if lanes > 32 { 4 } else { 2 },
            alternate: arrangement == ALTERNATE_ROWS,
        })
    }

    /// Row and column of a value of the sum.
    #[inline(always)]
    pub(super) fn of_sum(self, index: usize) -> [usize; 2] {
        match self {
            Corner::Quad(quad) => [
                quad.row + 8 * (index / 2 % 2),
                2 * quad.part + index % 2 + 8 * (quad.half + index / 4),
            ],
            Corner::Row(row) => [row.group * (16 / row.groups) + index, row.column],
        }
    }

    /// Values of the sum that the lane has.
    #[inline(always)]
    pub(super) fn values(self) -> usize {
        match self {
            Corner::Quad(quad) => 4 * quad.halves,
            Corner::Row(row) => 16 / row.groups,
        }
    }

    /// Row and column of an element of the left matrix, of which a lane has as many as a strip; those that it
    /// doesn't have are given places of ones that it has.
    #[inline(always)]
    pub(super) fn of_left<T: Factor>(self, index: usize) -> [usize; 2] {
        let quad = match self {
            Corner::Quad(quad) => quad,
            Corner::Row(row) => return [row.row::<T>(), row.depth::<T>(index)],
        };
        let each = T::STRIP / 4;
        match index.checked_div(each) {
            None => [quad.row + 8 * index, quad.part],
            Some(word) => [
                quad.row + 8 * (word % 2),
                (quad.part + 4 * (word / 2)) * each + index % each,
            ],
        }
    }

    /// The same of the right matrix.
    #[inline(always)]
    pub(super) fn of_right<T: Factor>(self, index: usize) -> [usize; 2] {
        let quad = match self {
            Corner::Quad(quad) => quad,
            Corner::Row(row) => return [row.depth::<T>(index), row.column],
        };
        let each = T::STRIP / 4;
        let half = |of_two: usize| quad.half + of_two % quad.halves;
        match index.checked_div(each) {
            None => [quad.part, quad.row + 8 * half(index)],
            Some(word) => [
                (quad.part + 4 * (word % 2)) * each + index % each,
                quad.row + 8 * half(word / 2),
            ],
        }
    }
}

macro_rules! factors {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy)]
        #[repr(transparent)]
        pub struct $name<T: Factor> {
            pub(super) words: [u32; 4],
            elements: PhantomData<T>,
        }

        impl<T: Factor> $name<T> {
            #[inline(always)]
            pub(super) fn new(words: [u32; 4]) -> Self {
                $name {
                    words,
                    elements: PhantomData,
                }
            }

            #[inline(always)]
            pub(super) fn from_fn(element: impl FnMut(usize) -> T) -> Self {
                Self::new(Strip::from_fn(element).words())
            }
        }

        impl<T: Factor> Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )*};
}

factors! {
    /// A lane's part of the left matrix of a product: 16 rows, [`Factor::DEPTH`] columns.
    Left
    /// A lane's part of the right matrix of a product: [`Factor::DEPTH`] rows, 16 columns.
    Right
}

/// A lane's part of a sum of products: 16 rows, 16 columns.
///
/// ```
/// use legionella_device::matrix::Sum;
///
/// let sum = Sum::filled(1.5f32).map(|value| 2.0 * value);
/// assert_eq!(sum.values(), &[3.0; 8]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(transparent)]
pub struct Sum<S> {
    pub(super) values: [S; 8],
}

impl<S: Copy> Sum<S> {
    /// The same value everywhere.
    #[inline(always)]
    pub fn filled(value: S) -> Self {
        Sum { values: [value; 8] }
    }

    /// The values that a function makes of these, one by one.
    #[inline(always)]
    #[must_use]
    pub fn map<R>(self, function: impl FnMut(S) -> R) -> Sum<R> {
        Sum {
            values: self.values.map(function),
        }
    }

    /// What the lane has of it, in no particular order. In subgroups of 64 the last four have no meaning.
    #[inline(always)]
    pub fn values(&self) -> &[S; 8] {
        &self.values
    }
}

#[cfg(test)]
mod tests {
    use super::super::product;
    use super::*;
    use alloc::vec::Vec;
    use legionella_abi::intrinsic::ROWS;

    const ARRANGEMENTS: [u32; 3] = [QUADS, ROWS, ALTERNATE_ROWS];

    /// The corners of all lanes, in every arrangement.
    fn everywhere() -> impl Iterator<Item = Vec<Corner>> {
        ARRANGEMENTS.into_iter().flat_map(|arrangement| {
            [32, 64].map(|lanes| {
                let corner = |lane| Corner::arranged(arrangement, lane, lanes);
                (0..lanes).map(corner).collect()
            })
        })
    }

    /// That the places of all lanes are each one of a matrix, equally often.
    fn covers(
        corners: &[Corner],
        [rows, columns]: [usize; 2],
        places: impl Fn(Corner) -> Vec<[usize; 2]>,
    ) {
        let mut counts = [[0; 32]; 32];
        let mut all = 0;
        for [row, column] in corners.iter().flat_map(|corner| places(*corner)) {
            counts[row][column] += 1;
            all += 1;
        }
        for (row, line) in counts.iter().enumerate() {
            for (column, found) in line.iter().enumerate() {
                let inside = row < rows && column < columns;
                let expected = if inside { all / (rows * columns) } else { 0 };
                assert_eq!(*found, expected, "{row}, {column} {:?}", corners[0]);
            }
        }
    }

    fn factors_cover<T: Factor>() {
        for corners in everywhere() {
            covers(&corners, [16, T::DEPTH], |corner| {
                (0..T::STRIP).map(|i| corner.of_left::<T>(i)).collect()
            });
            covers(&corners, [T::DEPTH, 16], |corner| {
                (0..T::STRIP).map(|i| corner.of_right::<T>(i)).collect()
            });
        }
    }

    #[test]
    fn all_of_a_matrix_is_somewhere() {
        factors_cover::<i8>();
        factors_cover::<super::super::Tf32>();
        factors_cover::<f64>();
        for corners in everywhere() {
            covers(&corners, [16, 16], |corner| {
                (0..corner.values()).map(|i| corner.of_sum(i)).collect()
            });
        }
    }

    /// Products by exchange, of matrices of small integers.
    fn multiplies<T: Factor>(number: impl Fn(i32) -> T, value: impl Fn(T::Sum) -> i32) {
        let left = |row: usize, k: usize| (row * 7 + k * 3) as i32 % 11;
        let right = |k: usize, column: usize| (k * 5 + column * 9) as i32 % 13;
        for corners in everywhere() {
            let parts: Vec<[[u32; 4]; 2]> = corners
                .iter()
                .map(|corner| {
                    let left = Left::<T>::from_fn(|i| {
                        let [row, k] = corner.of_left::<T>(i);
                        number(left(row, k))
                    });
                    let right = Right::<T>::from_fn(|i| {
                        let [k, column] = corner.of_right::<T>(i);
                        number(right(k, column))
                    });
                    [left.words, right.words]
                })
                .collect();
            for (lane, corner) in corners.iter().enumerate() {
                let mut sum = [T::Sum::default(); 8];
                product::add_in::<T>(*corner, lane, &mut sum, &mut |index, lane| {
                    parts[lane][index / 4][index % 4]
                });
                for (index, sum) in sum.iter().take(corner.values()).enumerate() {
                    let [row, column] = corner.of_sum(index);
                    let all = (0..T::DEPTH).map(|k| left(row, k) * right(k, column));
                    assert_eq!(value(*sum), all.sum::<i32>(), "{row}, {column} {corner:?}");
                }
            }
        }
    }

    #[test]
    fn products_are_the_same_in_all_arrangements() {
        multiplies::<i8>(|i| i as i8, |sum| sum);
        multiplies::<f64>(f64::from, |sum| sum as i32);
        multiplies::<super::super::Tf32>(|i| super::super::Tf32::from(i as f32), |sum| sum as i32);
    }
}
