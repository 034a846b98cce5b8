//! Sorting, and transposing.

use std::cmp::Reverse;
use std::fmt::Debug;

use legionella::Error;
use legionella::par::Key;

use super::{always, elements, par, same};
use crate::bits::Bits;
use crate::suite::Suite;
use crate::trial::{Failure, Trial, Verdict};

/// That elements of a type are sorted as their bits say.
fn sorted<T: Key + Bits + Debug>(t: &mut Trial, element: impl Fn(u64) -> T + Copy) -> Verdict {
    always(|question| {
        let mut x = elements(question, element);
        let buffer = t.accelerator.upload(&x)?;
        let found = par!(buffer, question).sort()?;
        x.sort_by_key(|x| x.to_bits());
        same(&x, found.to_vec()?)
    })
}

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    suite.case("par/sort_u8", |t| sorted(t, |bits| bits as u8));
    suite.case("par/sort_i16", |t| sorted(t, |bits| bits as i16));
    suite.case("par/sort_u32", |t| sorted(t, |bits| bits as u32));
    suite.case("par/sort_i64", |t| {
        sorted(t, |bits| bits as i64 >> (bits % 64))
    });
    suite.case("par/sort_u128", |t| {
        sorted(t, |bits| u128::from(bits).pow(2))
    });
    suite.case("par/sort_f32", |t| {
        // Of any bits: infinities, zeros of both signs, and numbers that are none.
        always(|question| {
            let mut x = elements(question, |bits| f32::from_bits(bits as u32));
            let buffer = t.accelerator.upload(&x)?;
            let found = par!(buffer, question).sort()?.to_vec()?;
            x.sort_by(f32::total_cmp);
            let bits = |x: Vec<f32>| x.into_iter().map(f32::to_bits).collect::<Vec<u32>>();
            same(&bits(x), bits(found))
        })
    });
    suite.case("par/sort_f64", |t| {
        sorted(t, |bits| (bits as i64) as f64 / 3.0)
    });
    suite.case("par/sort_by_key", |t| {
        always(|question| {
            let mut x = elements(question, |bits| (bits, bits as u16 % 100));
            let buffer = t.accelerator.upload(&x)?;
            let found = par!(buffer, question).sort_by_key(|(_, key)| Reverse(key))?;
            x.sort_by_key(|(_, key)| Reverse(*key));
            same(&x, found.to_vec()?)
        })
    });
    suite.case("par/sort_with_values", |t| {
        always(|question| {
            let keys = elements(question, |bits| (bits as i8) as f32);
            let values: Vec<u32> = (0..question.len as u32).collect();
            let (key_buffer, value_buffer) =
                (t.accelerator.upload(&keys)?, t.accelerator.upload(&values)?);
            let (found_keys, found_values) =
                par!(key_buffer, question).sort_with(value_buffer.par())?;
            let mut both: Vec<(f32, u32)> = keys.into_iter().zip(values).collect();
            both.sort_by(|a, b| a.0.total_cmp(&b.0));
            let (keys, values): (Vec<f32>, Vec<u32>) = both.into_iter().unzip();
            same(&keys, found_keys.to_vec()?)?;
            same(&values, found_values.to_vec()?)
        })
    });
    suite.case("par/transpose", |t| {
        always(|question| {
            let width = 1 + question.seed as usize % 70;
            let height = question.len / width;
            let x = elements(question, |bits| (bits as u8, (bits >> 8) as u32));
            let buffer = t.accelerator.upload(&x)?;
            let matrix = buffer.slice(..width * height)?;
            let found = par!(matrix, question).transpose([width, height])?;
            let expected: Vec<(u8, u32)> = (0..width * height)
                .map(|i| x[i / height + width * (i % height)])
                .collect();
            same(&expected, found.to_vec()?)
        })
    });
    suite.case("par/transpose_of_another_size", |t| {
        let x = t.accelerator.indices(12);
        for size in [[3, 5], [usize::MAX, 2]] {
            match x.transpose(size) {
                Err(Error::SizeMismatch { .. }) => {}
                other => return Err(Failure::unexpected("a mismatch", format!("{other:?}"))),
            }
        }
        same(
            &[0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11],
            x.transpose([3, 4])?.to_vec()?,
        )
    });
}
