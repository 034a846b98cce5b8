//! Iterator adaptors and consumers.

use crate::suite::Suite;
use crate::values::{arrays, values};

/// A hand-written iterator, with a default method of the trait overridden.
#[derive(Clone)]
struct Collatz(u64);

impl Iterator for Collatz {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        if self.0 <= 1 {
            return None;
        }
        self.0 = if self.0 % 2 == 0 {
            self.0 / 2
        } else {
            3 * self.0 + 1
        };
        Some(self.0)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, None)
    }
}

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    suite.case("iterators/zip_rev_step", |t| {
        t.map(
            |x: [u32; 24]| {
                let ahead = x.iter().step_by(3);
                let back = x.iter().rev().step_by(2).skip(1);
                ahead
                    .zip(back)
                    .map(|(a, b)| a.wrapping_mul(*b))
                    .fold(1, u32::wrapping_add)
            },
            &arrays::<u32, 24>(100),
        )
    });
    suite.case("iterators/filter_scan", |t| {
        t.map(
            |x: [i32; 20]| {
                x.iter()
                    .filter(|v| **v % 3 != 0)
                    .scan(0i32, |sum, v| {
                        *sum = sum.wrapping_add(*v);
                        (*sum != 77).then_some(*sum)
                    })
                    .filter_map(|v| v.checked_mul(3))
                    .fold(0i64, |a, b| a * 31 % 1_000_003 + i64::from(b) % 1000)
            },
            &arrays::<i32, 20>(100),
        )
    });
    suite.case("iterators/flat_map", |t| {
        t.map(
            |n: u16| {
                (0..u32::from(n % 17))
                    .flat_map(|a| (a..a + 3).map(move |b| a * b))
                    .chain([1, 2, 3])
                    .enumerate()
                    .map(|(i, v)| v.wrapping_mul(i as u32 + 1))
                    .fold(7u32, |a, b| a.rotate_left(5) ^ b)
            },
            &values::<u16>(100),
        )
    });
    suite.case("iterators/peekable", |t| {
        t.map(
            |x: [u8; 30]| {
                // Run lengths of the low bit.
                let mut runs = [0u8; 30];
                let mut bits = x.iter().map(|byte| byte & 1).peekable();
                let mut at = 0;
                while let Some(bit) = bits.next() {
                    runs[at] += 1;
                    if bits.peek().is_some_and(|next| *next != bit) {
                        at += 1;
                    }
                }
                runs
            },
            &arrays::<u8, 30>(100),
        )
    });
    suite.case("iterators/extremes", |t| {
        t.map(
            |x: [i64; 15]| {
                (
                    x.iter().copied().max_by_key(|v| v.unsigned_abs()),
                    x.iter().min().copied(),
                    x.iter().copied().reduce(|a, b| a ^ b),
                    x.iter().position(|v| *v < 0).map(|at| at as u8),
                    x.iter().rposition(|v| *v > 0).map(|at| at as u8),
                    (x.iter().any(|v| v % 2 == 0), x.iter().all(|v| *v != 1)),
                )
            },
            &arrays::<i64, 15>(100),
        )
    });
    suite.case("iterators/own", |t| {
        t.map(
            |start: u32| {
                let path = Collatz(u64::from(start % 10_000));
                (
                    path.clone().count() as u32,
                    path.clone().max(),
                    path.skip(3).step_by(2).last(),
                )
            },
            &values::<u32>(200),
        )
    });
    suite.case("iterators/take_skip_while", |t| {
        t.map(
            |x: [u16; 25]| {
                let head = x.iter().take_while(|v| **v > 3).count() as u8;
                let tail: u32 = x
                    .iter()
                    .skip_while(|v| **v > 3)
                    .map(|v| u32::from(*v))
                    .sum();
                let cycled = x
                    .iter()
                    .cycle()
                    .skip(7)
                    .take(40)
                    .fold(0u16, |a, b| a.rotate_left(1) ^ b);
                (
                    head,
                    tail,
                    cycled,
                    x.iter().map_while(|v| v.checked_sub(9)).count() as u8,
                )
            },
            &arrays::<u16, 25>(100),
        )
    });
    suite.case("iterators/try_fold", |t| {
        t.map(
            |x: [i8; 12]| {
                let sum = x.iter().try_fold(0i8, |sum, v| sum.checked_add(*v));
                let all: Option<i32> = x.iter().map(|v| (*v != 5).then_some(i32::from(*v))).sum();
                let bad: Result<u64, u8> = x
                    .iter()
                    .map(|v| u64::try_from(*v).map_err(|_| v.unsigned_abs()))
                    .product();
                (sum, all, bad.err(), bad.ok())
            },
            &arrays::<i8, 12>(200),
        )
    });
    suite.case("iterators/collect", |t| {
        t.map(
            |x: [u32; 16]| {
                let (even, odd): (Vec<u32>, Vec<u32>) = x.iter().partition(|v| **v % 2 == 0);
                let (low, high): (Vec<u16>, Vec<u16>) =
                    x.iter().map(|v| (*v as u16, (*v >> 16) as u16)).unzip();
                let array: Option<[u16; 4]> = low[..4].try_into().ok();
                (
                    even.len() as u8,
                    odd.first().copied(),
                    array,
                    high.last().copied(),
                )
            },
            &arrays::<u32, 16>(100),
        )
    });
    suite.case("iterators/successors", |t| {
        t.map(
            |n: u64| {
                let digits = std::iter::successors(Some(n), |n| (n / 10 != 0).then_some(n / 10));
                let mut state = n;
                let draws = std::iter::from_fn(|| {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    (state % 11 != 0).then_some(state >> 33)
                });
                (
                    digits.count() as u8,
                    draws.take(50).fold(0, u64::wrapping_add),
                )
            },
            &values::<u64>(100),
        )
    });
    suite.case("iterators/dyn", |t| {
        t.map(
            |n: u32| {
                let numbers: Box<dyn Iterator<Item = u32>> = match n % 3 {
                    0 => Box::new(0..n % 50),
                    1 => Box::new((0..n % 50).rev().step_by(2)),
                    _ => Box::new([n, n / 2, n / 3].into_iter().chain(5..9)),
                };
                numbers.fold(n, |a, b| a.rotate_left(3) ^ b)
            },
            &values::<u32>(100),
        )
    });
}
