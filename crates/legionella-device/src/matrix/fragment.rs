//! The parts of matrices that lanes hold.
//!
//! # Arrangement
//!
//! A lane of a subgroup of 32 is `4 g + t` with `t` below 4. It holds
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

use core::fmt::{self, Debug};
use core::marker::PhantomData;

use super::{Factor, Strip};

/// Where a lane is in the arrangement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Corner {
    /// `g`.
    pub(super) row: usize,
    /// `t`.
    pub(super) part: usize,
    /// The first of the halves of the sum that the lane has.
    pub(super) half: usize,
    /// How many of them it has.
    pub(super) halves: usize,
}

impl Corner {
    #[inline(always)]
    pub(super) fn of(lane: usize, lanes: usize) -> Self {
        Corner {
            row: lane % 32 / 4,
            part: lane % 4,
            half: lane / 32,
            halves: if lanes > 32 { 1 } else { 2 },
        }
    }

    /// Row and column of a value of the sum.
    #[inline(always)]
    pub(super) fn of_sum(self, index: usize) -> [usize; 2] {
        let half = self.half + index / 4;
        [
            self.row + 8 * (index / 2 % 2),
            2 * self.part + index % 2 + 8 * half,
        ]
    }

    /// Values of the sum that the lane has.
    #[inline(always)]
    pub(super) fn values(self) -> usize {
        4 * self.halves
    }

    /// Row and column of an element of the left matrix, of which a lane has as many as a strip.
    #[inline(always)]
    pub(super) fn of_left<T: Factor>(self, index: usize) -> [usize; 2] {
        let each = T::STRIP / 4;
        match index.checked_div(each) {
            None => [self.row + 8 * index, self.part],
            Some(word) => [
                self.row + 8 * (word % 2),
                (self.part + 4 * (word / 2)) * each + index % each,
            ],
        }
    }

    /// Row and column of an element of the right matrix; those that a lane doesn't have are given places of
    /// ones that it has.
    #[inline(always)]
    pub(super) fn of_right<T: Factor>(self, index: usize) -> [usize; 2] {
        let each = T::STRIP / 4;
        let half = |of_two: usize| self.half + of_two % self.halves;
        match index.checked_div(each) {
            None => [self.part, self.row + 8 * half(index)],
            Some(word) => [
                (self.part + 4 * (word % 2)) * each + index % each,
                self.row + 8 * half(word / 2),
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
    use super::*;
    use alloc::vec;

    /// How many lanes have each element.
    fn counts(
        lanes: usize,
        places: impl Fn(Corner) -> alloc::vec::Vec<[usize; 2]>,
    ) -> [[u32; 32]; 32] {
        let mut counts = [[0; 32]; 32];
        for lane in 0..lanes {
            for [row, column] in places(Corner::of(lane, lanes)) {
                counts[row][column] += 1;
            }
        }
        counts
    }

    fn is(counts: [[u32; 32]; 32], rows: usize, columns: usize, count: u32) {
        for (row, line) in counts.iter().enumerate() {
            for (column, found) in line.iter().enumerate() {
                let inside = row < rows && column < columns;
                assert_eq!(*found, if inside { count } else { 0 }, "{row}, {column}");
            }
        }
    }

    fn covers<T: Factor>() {
        for lanes in [32, 64] {
            let left = counts(lanes, |corner| {
                (0..T::STRIP).map(|i| corner.of_left::<T>(i)).collect()
            });
            is(left, 16, T::DEPTH, lanes as u32 / 32);
            let right = counts(lanes, |corner| {
                let all = (0..T::STRIP).map(|i| corner.of_right::<T>(i));
                all.collect()
            });
            is(right, T::DEPTH, 16, lanes as u32 / 32);
        }
    }

    #[test]
    fn all_of_a_matrix_is_somewhere() {
        covers::<i8>();
        covers::<super::super::Tf32>();
        covers::<f64>();
        for lanes in [32, 64] {
            let sum = counts(lanes, |corner| {
                let mut all = vec![];
                all.extend((0..corner.values()).map(|i| corner.of_sum(i)));
                all
            });
            is(sum, 16, 16, 1);
        }
    }
}
