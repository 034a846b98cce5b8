//! A product of matrices by exchange of words within a subgroup: its meaning, on the host and on every target
//! that has no matrix unit.

use super::Factor;
use super::fragment::Corner;

/// Adds a product to a lane's part of a sum, in ascending order of the depth. `word` gives a word of the left
/// matrix (0 to 3) or the right one (4 to 7) of another lane; all lanes call it in the same order.
#[inline(always)]
pub(crate) fn add<T: Factor>(
    lane: usize,
    lanes: usize,
    sum: &mut [T::Sum; 8],
    word: &mut impl FnMut(usize, usize) -> u32,
) {
    let corner = Corner::of(lane, lanes);
    let first = 32 * (lane / 32);
    // A word, or the words of an element.
    let mut fetch = |index: usize, lane: usize| match T::WORDS {
        1 => [word(index, first + lane), 0],
        _ => [word(index, first + lane), word(index + 1, first + lane)],
    };
    for block in 0..2 / T::WORDS {
        for part in 0..4 {
            let left = [0, 1].map(|half| {
                let index = half * T::WORDS + 2 * block;
                fetch(index, 4 * corner.row + part)
            });
            for half in 0..corner.halves {
                for column in 0..2 {
                    let source = 4 * (2 * corner.part + column) + part;
                    let right = fetch(4 + 2 * half + block, source);
                    for (row, left) in left.iter().enumerate() {
                        let value = &mut sum[4 * half + 2 * row + column];
                        *value = T::add_products(*left, right, *value);
                    }
                }
            }
        }
    }
}
