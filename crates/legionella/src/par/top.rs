//! The largest elements.
//!
//! Digit by digit from the most significant on, a histogram tells from which key on there are enough
//! elements. Those few are then sorted.

use std::cmp::Reverse;

use super::{Digits, ItemOf, Key, Par, Source, Stored};
use crate::buffer::Buffer;
use crate::error::Result;

/// Elements that are sorted rather than looked at more closely.
const FEW: usize = 1 << 12;
/// What stands for the digit of a key that doesn't matter.
const OTHER: usize = 256;

impl<'a, S: Source> Par<'a, S> {
    /// The `count` largest elements, the largest first; all if there are fewer.
    ///
    /// # Errors
    /// Of the launches; [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub fn top(self, count: usize) -> Result<Buffer<ItemOf<S>>>
    where
        ItemOf<S>: Key,
    {
        self.top_by_key(count, |element| element)
    }

    /// The `count` elements with the largest keys, the largest first, and as they were where keys are
    /// equal; all if there are fewer.
    ///
    /// # Errors
    /// As for [`top`](Par::top).
    pub fn top_by_key<K: Key, F>(self, count: usize, key: F) -> Result<Buffer<ItemOf<S>>>
    where
        F: Fn(ItemOf<S>) -> K + Copy + Send + 'static,
    {
        let keys = self.map(key).map(Key::to_bits).collect()?;
        let all = self.of(&keys).zip(self);
        let candidates = all.with(least(self.of(&keys), count)?);
        let candidates = candidates
            .filter_map(|(least, both)| (both.0 >= least).then_some(both))
            .collect()?;
        let sorted = self
            .of(&candidates)
            .sort_by_key(|(bits, _)| Reverse(bits))?;
        let first = sorted.slice(..count.min(sorted.len()))?;
        Par {
            group: self.group,
            ..first.par()
        }
        .map(|(_, element)| element)
        .collect()
    }
}

/// A number that `count` keys reach, or all if there are fewer, and not many more.
fn least<B: Digits>(keys: Par<'_, Stored<'_, B>>, count: usize) -> Result<B> {
    let mut least = B::ZERO;
    // Keys above all that begin with the digits of `least`.
    let mut above = 0;
    for place in (0..B::COUNT).rev() {
        let digits = keys.with((least, place)).map(|((least, place), key)| {
            let begins = key.cut_below(place + 1) == least;
            if begins { key.digit(place) } else { OTHER }
        });
        let counts = digits.histogram(OTHER + 1)?.to_vec()?;
        let mut digit = OTHER;
        let mut reach = above;
        while reach < count && digit > 0 {
            digit -= 1;
            above = reach;
            reach += counts[digit] as usize;
        }
        if digit == OTHER {
            // None is asked for.
            return Ok(B::ZERO.turned());
        }
        if reach < count {
            // There are no more.
            return Ok(B::ZERO);
        }
        least = least.with_digit(place, digit);
        if reach <= FEW.max(2 * count) {
            break;
        }
    }
    Ok(least)
}
