//! A product of matrices by exchange of words within a subgroup: its meaning, on the host and on every target
//! that has no matrix unit.

use super::Factor;
use super::fragment::{Corner, Quad, Row};

/// Adds a product to a lane's part of a sum, in ascending order of the depth. `word` gives a word of the left
/// matrix (0 to 3) or the right one (4 to 7) of another lane; all lanes call it in the same order.
#[inline(always)]
pub(crate) fn add<T: Factor>(
    lane: usize,
    lanes: usize,
    sum: &mut [T::Sum; 8],
    word: &mut impl FnMut(usize, usize) -> u32,
) {
    add_in::<T>(Corner::of(lane, lanes), lane, sum, word);
}

/// The same of a lane that is there in an arrangement.
#[inline(always)]
pub(super) fn add_in<T: Factor>(
    corner: Corner,
    lane: usize,
    sum: &mut [T::Sum; 8],
    word: &mut impl FnMut(usize, usize) -> u32,
) {
    // A word, or the words of an element.
    let mut fetch = |index: usize, lane: usize| match T::WORDS {
        1 => [word(index, lane), 0],
        _ => [word(index, lane), word(index + 1, lane)],
    };
    match corner {
        Corner::Quad(quad) => by_quads::<T>(quad, 32 * (lane / 32), sum, &mut fetch),
        Corner::Row(row) => by_rows::<T>(row, sum, &mut fetch),
    }
}

#[inline(always)]
fn by_quads<T: Factor>(
    quad: Quad,
    first: usize,
    sum: &mut [T::Sum; 8],
    fetch: &mut impl FnMut(usize, usize) -> [u32; 2],
) {
    for block in 0..2 / T::WORDS {
        for part in 0..4 {
            let left = [0, 1].map(|half| {
                let index = half * T::WORDS + 2 * block;
                fetch(index, first + 4 * quad.row + part)
            });
            for half in 0..quad.halves {
                for column in 0..2 {
                    let source = 4 * (2 * quad.part + column) + part;
                    let right = fetch(4 + 2 * half + block, first + source);
                    for (row, left) in left.iter().enumerate() {
                        let value = &mut sum[4 * half + 2 * row + column];
                        *value = T::add_products(*left, right, *value);
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn by_rows<T: Factor>(
    row: Row,
    sum: &mut [T::Sum; 8],
    fetch: &mut impl FnMut(usize, usize) -> [u32; 2],
) {
    let values = 16 / row.groups;
    for depth in 0..8 / T::WORDS {
        let (group, index) = (
            depth * T::WORDS / row.words(),
            depth * T::WORDS % row.words(),
        );
        let right = fetch(4 + index, 16 * group + row.column);
        for (value, sum) in sum.iter_mut().take(values).enumerate() {
            let holder = row.holder::<T>(row.group * values + value);
            let left = fetch(index, 16 * group + holder);
            *sum = T::add_products(left, right, *sum);
        }
    }
}
