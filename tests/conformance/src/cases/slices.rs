//! What `core::slice` and `alloc::slice` offer: views, searches, moves and sorts.

use crate::suite::Suite;
use crate::values::{arrays, pairs, values};

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    suite.case("slices/chunks", |t| {
        t.rows(
            |x: &[u32], y: &mut [u32]| {
                for (chunk, out) in x.chunks(5).zip(y.chunks_mut(5)) {
                    let sum = chunk.iter().fold(0u32, |sum, x| sum.wrapping_add(*x));
                    out.fill(sum);
                }
                let exact = x.chunks_exact(4);
                y[0] ^= exact.remainder().len() as u32;
                y[1] ^= exact.map(|c| c[0] ^ c[3]).fold(0, |a, b| a ^ b);
                y[2] ^= x.rchunks(6).next().map_or(0, |c| c[0]);
            },
            &values::<u32>(23 * 40),
            23,
        )
    });
    suite.case("slices/windows", |t| {
        t.rows(
            |x: &[i16], y: &mut [i16]| {
                for (window, out) in x.windows(3).zip(y) {
                    *out = window
                        .iter()
                        .copied()
                        .max()
                        .unwrap_or(0)
                        .wrapping_sub(window[1]);
                }
            },
            &values::<i16>(17 * 30),
            17,
        )
    });
    suite.case("slices/split", |t| {
        t.rows(
            |x: &[u8], y: &mut [u8]| {
                let (left, right) = x.split_at(x.len() / 3);
                let (low, high) = y.split_at_mut(right.len());
                low.copy_from_slice(right);
                high.clone_from_slice(left);
                let parts = x
                    .split(|byte| byte % 5 == 0)
                    .filter(|part| !part.is_empty());
                y[0] = parts.count() as u8;
                if let Some((first, rest)) = x.split_first() {
                    y[1] = first.wrapping_add(rest.len() as u8);
                }
                if let [a, .., b] = x {
                    y[2] = a ^ b;
                }
            },
            &values::<u8>(31 * 40),
            31,
        )
    });
    suite.case("slices/moves", |t| {
        t.rows(
            |x: &[u16], y: &mut [u16]| {
                y.copy_from_slice(x);
                let pivot = usize::from(x[0]) % x.len();
                y.rotate_left(pivot);
                y[3..].reverse();
                y.swap(0, pivot);
                y.copy_within(2..9, 5);
                let (a, b) = y.split_at_mut(8);
                a.swap_with_slice(&mut b[..8]);
                y.rotate_right(5);
            },
            &values::<u16>(29 * 40),
            29,
        )
    });
    suite.case("slices/search", |t| {
        t.map(
            |mut x: [i32; 32]| {
                let wanted = x[7];
                x.sort_unstable();
                (
                    x.binary_search(&wanted).is_ok(),
                    x.binary_search(&12345).unwrap_or_else(|at| at) as u32,
                    x.partition_point(|v| *v < 0) as u32,
                    (x.contains(&0), x.starts_with(&[1]), x.is_sorted()),
                    x.iter().position(|v| *v == wanted).map(|at| at as u32),
                    x.binary_search_by_key(&-9, |v| v / 2).is_err(),
                )
            },
            &arrays::<i32, 32>(100),
        )
    });
    suite.case("slices/sort_unstable", |t| {
        t.rows(
            |x: &[u64], y: &mut [u64]| {
                y.copy_from_slice(x);
                y.sort_unstable();
            },
            &values::<u64>(97 * 20),
            97,
        )
    });
    suite.case("slices/sort", |t| {
        t.rows(
            |x: &[i32], y: &mut [i32]| {
                y.copy_from_slice(x);
                // Stable: equal keys keep their order, which shows in the values.
                y.sort_by_key(|v| v & 7);
            },
            &values::<i32>(200 * 10),
            200,
        )
    });
    suite.case("slices/sort_by", |t| {
        t.map(
            |mut x: [f64; 41]| {
                x.sort_by(|a, b| b.total_cmp(a));
                x
            },
            &arrays::<f64, 41>(60),
        )
    });
    suite.case("slices/sort_cached", |t| {
        t.rows(
            |x: &[u32], y: &mut [u32]| {
                y.copy_from_slice(x);
                y.sort_by_cached_key(|v| v.to_string());
            },
            &values::<u32>(25 * 10),
            25,
        )
    });
    suite.case("slices/select_nth", |t| {
        t.map(
            |mut x: [i64; 51]| {
                let (_, median, above) = x.select_nth_unstable(25);
                let least = above.iter().copied().min();
                (*median, least)
            },
            &arrays::<i64, 51>(60),
        )
    });
    suite.case("slices/compare", |t| {
        t.map(
            |[a, b]: [u64; 2]| {
                let (x, y) = (a.to_be_bytes(), b.to_be_bytes());
                (
                    x[..] < y[..],
                    x[1..5] == y[1..5],
                    x.cmp(&y) as i8,
                    x.iter().rev().cmp(y.iter()) as i8,
                )
            },
            &pairs::<u64>(),
        )
    });
    suite.case("slices/concat_and_dedup", |t| {
        t.bytes::<130, _, _>(
            |x: [u8; 40]| {
                let mut low: Vec<u8> = x.iter().map(|byte| byte % 4).collect();
                low.dedup();
                let mut joined = [&x[..10], &low, &x[30..]].join(&0xee);
                joined.retain(|byte| byte % 3 != 0);
                joined.extend_from_within(..joined.len() / 2);
                joined
            },
            &arrays::<u8, 40>(60),
        )
    });
    suite.case("slices/bytes_as_numbers", |t| {
        t.map(
            |x: [u8; 19]| {
                let words = x
                    .chunks_exact(4)
                    .map(|c| u32::from_le_bytes(c.try_into().unwrap_or_default()));
                let first = x.first_chunk::<8>().map_or(0, |c| u64::from_be_bytes(*c));
                (
                    words.fold(0u32, u32::wrapping_add),
                    first,
                    x.escape_ascii().count() as u32,
                )
            },
            &arrays::<u8, 19>(100),
        )
    });
}
