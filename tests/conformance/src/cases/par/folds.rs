//! Reductions and scans, in the documented order.

use super::{always, elements, par, same};
use crate::suite::Suite;
use crate::trial::Failure;

/// The documented order of a reduction.
fn reduced<T: Copy>(x: &[T], combine: impl Fn(T, T) -> T) -> Option<T> {
    let mut left = x.to_vec();
    loop {
        let mut columns = Vec::new();
        let rows = if left.len() < 1 << 22 { 64 } else { 256 };
        for block in left.chunks(32 * rows) {
            for column in 0..block.len().min(32) {
                let column = block.iter().copied().skip(column).step_by(32);
                columns.extend(column.reduce(&combine));
            }
        }
        left = columns;
        if left.len() <= 32 {
            return left.into_iter().reduce(combine);
        }
    }
}

/// What comes before each element in the documented order, where elements lie in runs that many times.
fn before<T: Copy>(x: &[T], levels: u32, combine: impl Fn(T, T) -> T + Copy) -> Vec<Option<T>> {
    let (width, starts) = match levels {
        0 => (x.len().max(1), vec![None]),
        _ => {
            let totals = x
                .chunks(64)
                .filter_map(|run| run.iter().copied().reduce(combine));
            (64, before(&totals.collect::<Vec<T>>(), levels - 1, combine))
        }
    };
    let mut out = Vec::new();
    for (run, start) in x.chunks(width).zip(starts) {
        let mut all = start;
        for &element in run {
            out.push(all);
            all = Some(all.map_or(element, |all| combine(all, element)));
        }
    }
    out
}

/// The documented order of an inclusive scan.
fn scanned<T: Copy>(x: &[T], combine: impl Fn(T, T) -> T + Copy) -> Vec<T> {
    let before = before(x, 4, combine);
    let both = x.iter().zip(before);
    both.map(|(&x, before)| before.map_or(x, |before| combine(before, x)))
        .collect()
}

/// The same with a first value in front and without the last one.
fn exclusive<T: Copy>(x: &[T], first: T, combine: impl Fn(T, T) -> T + Copy) -> Vec<T> {
    let mut out = scanned(x, combine);
    if !out.is_empty() {
        out.rotate_right(1);
        out[0] = first;
    }
    out
}

/// A number around one, of either sign.
fn small(bits: u64) -> f32 {
    (bits as i32) as f32 / 1e9
}

type Matrix = [u32; 4];

fn product(a: Matrix, b: Matrix) -> Matrix {
    let entry = |i: usize, j: usize| {
        (a[2 * i].wrapping_mul(b[j])).wrapping_add(a[2 * i + 1].wrapping_mul(b[2 + j]))
    };
    [entry(0, 0), entry(0, 1), entry(1, 0), entry(1, 1)]
}

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    suite.case("par/reduce_floats", |t| {
        always(|question| {
            let x = elements(question, small);
            let buffer = t.accelerator.upload(&x)?;
            let found = par!(buffer, question).reduce(|a, b| a + b)?;
            same(&[reduced(&x, |a, b| a + b)], vec![found])
        })
    });
    suite.case("par/reduce_many", |t| {
        for len in [(1 << 22) - 1, 1 << 22, (1 << 22) + 1, (1 << 22) + 8000] {
            let x: Vec<f32> = (0..len as u32).map(|i| 1.0 / (i + 1) as f32).collect();
            let found = t.accelerator.upload(&x)?.par().sum()?;
            same(&[reduced(&x, |a, b| a + b)], vec![Some(found)])?;
        }
        Ok(())
    });
    suite.case("par/reduce_in_order", |t| {
        always(|question| {
            let x = elements(question, |bits| bits);
            let combine = |a: u64, b: u64| a.wrapping_mul(31).wrapping_add(b);
            let buffer = t.accelerator.upload(&x)?;
            let found = par!(buffer, question).reduce(combine)?;
            same(&[reduced(&x, combine)], vec![found])
        })
    });
    suite.case("par/reduce_pairs", |t| {
        always(|question| {
            let x = elements(question, |bits| (bits as u8, small(bits)));
            let least = |a: (u8, f32), b: (u8, f32)| if b.1 < a.1 { b } else { a };
            let buffer = t.accelerator.upload(&x)?;
            let found = par!(buffer, question).reduce(least)?;
            same(&[reduced(&x, least)], vec![found])
        })
    });
    suite.case("par/sum_least_and_greatest", |t| {
        always(|question| {
            let x = elements(question, |bits| i64::from(bits as i32));
            let buffer = t.accelerator.upload(&x)?;
            let all = par!(buffer, question);
            let found = (all.sum()?, all.min()?, all.max()?);
            let expected = (
                x.iter().sum(),
                x.iter().copied().min(),
                x.iter().copied().max(),
            );
            same(&[expected], vec![found])
        })
    });
    suite.case("par/any_and_all", |t| {
        always(|question| {
            let x = elements(question, |bits| bits as u32 >> 15);
            let buffer = t.accelerator.upload(&x)?;
            let all = par!(buffer, question);
            let found = [
                all.any(|x| x == 77)?,
                all.all(|x| x != 77)?,
                all.any(|x| x > u32::MAX / 2)?,
                all.all(|x| x < u32::MAX / 2)?,
            ];
            let any = x.contains(&77);
            same(&[[any, !any, false, true]], vec![found])
        })
    });
    suite.case("par/inclusive_scan_floats", |t| {
        always(|question| {
            let x = elements(question, small);
            let buffer = t.accelerator.upload(&x)?;
            let found = par!(buffer, question).inclusive_scan(|a, b| a + b)?;
            same(&scanned(&x, |a, b| a + b), found.to_vec()?)
        })
    });
    suite.case("par/inclusive_scan_matrices", |t| {
        always(|question| {
            let x = elements(question, |bits| {
                [bits as u32 | 1, 1, 1, (bits >> 40) as u32]
            });
            let buffer = t.accelerator.upload(&x)?;
            let found = par!(buffer, question).inclusive_scan(product)?.to_vec()?;
            same(&scanned(&x, product), found.clone())?;
            // Associative: the order is any.
            let plain = x.into_iter().reduce(product);
            same(&[plain], vec![found.last().copied()])
        })
    });
    suite.case("par/exclusive_scan_floats", |t| {
        always(|question| {
            let x = elements(question, |bits| f64::from(small(bits)));
            let buffer = t.accelerator.upload(&x)?;
            let found = par!(buffer, question).exclusive_scan(0.5, |a, b| a * 0.99 + b)?;
            same(&exclusive(&x, 0.5, |a, b| a * 0.99 + b), found.to_vec()?)
        })
    });
    suite.case("par/exclusive_scan_without_the_last", |t| {
        // All elements together overflow; all but the last don't.
        for len in [1, 2, 63, 64, 65, 66, 129, 5000] {
            let x = vec![u32::MAX / (len - 1).max(1); len as usize];
            let buffer = t.accelerator.upload(&x)?;
            let found = buffer.par().exclusive_scan(0, |a, b| a + b)?;
            same(&exclusive(&x, 0, u32::wrapping_add), found.to_vec()?)?;
            let inclusive = buffer.par().inclusive_scan(|a, b| a + b);
            let overflows = x
                .iter()
                .try_fold(0, |all: u32, &x| all.checked_add(x))
                .is_none();
            if inclusive.is_err() != overflows {
                return Err(Failure::unexpected(overflows, !overflows));
            }
        }
        Ok(())
    });
}
