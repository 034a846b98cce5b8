//! Filters, histograms, the largest.

use std::cmp::Reverse;

use legionella::Error;

use super::{always, elements, par, same};
use crate::suite::Suite;
use crate::trial::{Failure, Verdict};

/// That something fails with a message that contains a text.
fn fails<T>(outcome: Result<T, Error>, text: &str) -> Verdict {
    match outcome {
        Err(Error::KernelPanicked { message, .. }) if message.contains(text) => Ok(()),
        Err(error) => Err(Failure::unexpected(text, error)),
        Ok(_) => Err(Failure::unexpected(text, "success")),
    }
}

/// The `count` greatest by a key, and in order of their indices where keys are equal.
fn greatest<T: Copy, K: Ord>(x: &[T], count: usize, key: impl Fn(T) -> K) -> Vec<T> {
    let mut sorted = x.to_vec();
    sorted.sort_by_key(|&element| Reverse(key(element)));
    sorted.truncate(count);
    sorted
}

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    suite.case("par/filter", |t| {
        always(|question| {
            let x = elements(question, |bits| bits as u32);
            let buffer = t.accelerator.upload(&x)?;
            let found = par!(buffer, question).filter(|x| x % 3 == 0).collect()?;
            let expected: Vec<u32> = x.into_iter().filter(|x| x % 3 == 0).collect();
            same(&expected, found.to_vec()?)
        })
    });
    suite.case("par/filter_few_and_most", |t| {
        always(|question| {
            let x = elements(question, |bits| bits as u16);
            let buffer = t.accelerator.upload(&x)?;
            let few = par!(buffer, question).filter(|x| *x < 200).collect()?;
            let most = par!(buffer, question).filter(|x| *x >= 200).collect()?;
            let (low, high): (Vec<u16>, Vec<u16>) = x.iter().partition(|x| **x < 200);
            same(&low, few.to_vec()?)?;
            same(&high, most.to_vec()?)
        })
    });
    suite.case("par/filter_map", |t| {
        always(|question| {
            let x = elements(question, |bits| bits as i32);
            let root = |x: i32| (x >= 0).then(|| f64::from(x).sqrt());
            let buffer = t.accelerator.upload(&x)?;
            let passed = par!(buffer, question).filter_map(root);
            let expected: Vec<f64> = x.into_iter().filter_map(root).collect();
            same(&expected, passed.collect()?.to_vec()?)?;
            same(&[expected.len()], vec![passed.count()?])?;
            let greatest = expected.iter().copied().reduce(f64::max);
            same(&[greatest], vec![passed.reduce(f64::max)?])
        })
    });
    suite.case("par/histogram", |t| {
        always(|question| {
            let x = elements(question, |bits| (bits % 1000 * (bits >> 32) % 1000) as u16);
            let buffer = t.accelerator.upload(&x)?;
            for bins in [1, 7, 256, 1000] {
                let mut expected = vec![0u64; bins as usize];
                x.iter().for_each(|x| expected[usize::from(x % bins)] += 1);
                let numbers = par!(buffer, question).with(bins);
                let numbers = numbers.map(|(bins, x)| usize::from(x % bins));
                same(&expected, numbers.histogram(bins.into())?.to_vec()?)?;
            }
            Ok(())
        })
    });
    suite.case("par/histogram_of_more_bins_than_elements", |t| {
        let found = t
            .accelerator
            .indices(100)
            .map(|i| 1_000 * i)
            .histogram(100_000)?;
        let expected: Vec<u64> = (0..100_000)
            .map(|bin| u64::from(bin % 1_000 == 0))
            .collect();
        same(&expected, found.to_vec()?)
    });
    suite.case("par/histogram_out_of_range", |t| {
        let numbers = t.accelerator.indices(100_000).map(|i| i / 1_000);
        same(&[1000u64; 100], numbers.histogram(100)?.to_vec()?)?;
        fails(
            numbers.histogram(99),
            " is 99, and the histogram has 99 bins",
        )?;
        fails(numbers.histogram(0), ", and the histogram has 0 bins")
    });
    suite.case("par/top", |t| {
        always(|question| {
            let x = elements(question, |bits| (bits as i32) >> (bits >> 60));
            let buffer = t.accelerator.upload(&x)?;
            for count in [0, 1, 10, 3000] {
                let found = par!(buffer, question).top(count)?;
                same(&greatest(&x, count, |x| x), found.to_vec()?)?;
            }
            Ok(())
        })
    });
    suite.case("par/top_floats", |t| {
        always(|question| {
            let x = elements(question, f64::from_bits);
            let buffer = t.accelerator.upload(&x)?;
            let found = par!(buffer, question).top(20)?;
            let key = |x: f64| legionella::par::Key::to_bits(x);
            same(&greatest(&x, 20, key), found.to_vec()?)
        })
    });
    suite.case("par/top_by_key", |t| {
        always(|question| {
            // Many keys are equal: the first elements count.
            let x = elements(question, |bits| (bits, bits as u8));
            let buffer = t.accelerator.upload(&x)?;
            let found = par!(buffer, question).top_by_key(100, |(_, key)| key)?;
            same(&greatest(&x, 100, |(_, key)| key), found.to_vec()?)
        })
    });
    suite.case("par/panics", |t| {
        let x = t.accelerator.upload(&[3u32, 2, 1, 0])?;
        let divided = x.par().map(|x| 6 / x);
        fails(divided.sum(), "divide by zero")?;
        fails(divided.inclusive_scan(|a, b| a + b), "divide by zero")?;
        fails(divided.filter(|x| *x > 2).collect(), "divide by zero")?;
        fails(divided.sort(), "divide by zero")?;
        fails(divided.collect(), "divide by zero")?;
        same(
            &[2, 3, 6],
            x.slice(..3)?.par().map(|x| 6 / x).collect()?.to_vec()?,
        )
    });
}
