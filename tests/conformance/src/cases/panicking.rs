//! Kernels that panic, in every way that Rust has: message, place and work-item must be the
//! host's, and everything stays usable.

use std::cell::RefCell;
use std::collections::BTreeMap;

use legionella::Error;
use legionella::prelude::*;

use crate::suite::Suite;
use crate::trial::{Failure, Trial, Verdict};
use crate::values::values;

#[inline(never)]
fn element(table: &[u32], at: usize) -> u32 {
    table[at]
}

#[inline(never)]
fn outer(table: &[u32], at: usize) -> u32 {
    element(table, at) + 1
}

fn descend(depth: u32) -> u32 {
    if depth == 0 {
        panic!("reached the bottom");
    }
    descend(depth - 1) ^ depth
}

trait Check {
    fn check(&self, x: u32) -> u32;
}

struct Below(u32);
struct Even;

impl Check for Below {
    fn check(&self, x: u32) -> u32 {
        assert!(x < self.0, "{x} is not below {}", self.0);
        x
    }
}

impl Check for Even {
    fn check(&self, x: u32) -> u32 {
        assert_eq!(x % 2, 0, "only even numbers");
        x
    }
}

#[track_caller]
fn blames_its_caller(x: u32) -> u32 {
    x.checked_sub(5).expect("at least five")
}

/// Thirty numbers of which the one at `at` is `odd`.
fn one_of_many(at: usize, odd: u32) -> Vec<u32> {
    let mut inputs: Vec<u32> = (10..40).collect();
    inputs[at] = odd;
    inputs
}

/// Calls itself until there is no stack left.
fn bottomless(x: u32) -> u32 {
    let kept = std::hint::black_box([x; 100]);
    let below = if x == 0 { 0 } else { bottomless(x | 1) };
    below ^ kept[x as usize % 100]
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse4.2")]
fn crc(x: u32) -> u32 {
    std::arch::x86_64::_mm_crc32_u32(1, x)
}

/// What a row of a sparse matrix makes of a vector; the matrix has `width` elements in each row.
fn product(
    at: Item,
    width: usize,
    columns: &[u32],
    values: &[f32],
    x: &[f32],
    mut y: Disjoint<f32>,
) {
    let Some(y) = y.at(&at) else { return };
    let row = at.global() * width..(at.global() + 1) * width;
    let entries = columns[row.clone()].iter().zip(&values[row]);
    *y = entries
        .map(|(column, value)| value * x[*column as usize])
        .sum();
}

/// A loop in which each element tells what is read next: of several that are out of bounds the first panics, and before
/// that nothing is read that isn't there.
fn gathered(t: &mut Trial<'_>) -> Verdict {
    const ROWS: usize = 40;
    let x: Vec<f32> = (0..50).map(|i| i as f32 * 0.37).collect();
    let device_x = t.accelerator.upload(&x)?;
    for (width, outside) in [
        (0, None),
        (3, None),
        (4, None),
        (11, None),
        (1, Some(0)),
        (4, Some(3)),
        (6, Some(5)),
        (9, Some(6)),
        (11, Some(2)),
    ] {
        let mut columns: Vec<u32> = (0..ROWS * width).map(|i| (i * 7 % 50) as u32).collect();
        let values: Vec<f32> = (0..ROWS * width).map(|i| 1.0 / (1 + i) as f32).collect();
        let row = (ROWS - 1) * width;
        if let Some(outside) = outside {
            columns[row + outside..].fill(1000);
            columns[row + outside] = 77;
        }
        let mut y = t.accelerator.filled(ROWS, 1.0f32)?;
        let (device_columns, device_values) = (
            t.accelerator.upload(&columns)?,
            t.accelerator.upload(&values)?,
        );
        let arguments = (width, &device_columns, &device_values, &device_x, &mut y);
        let message = match t.accelerator.launch(product, ROWS, arguments)?.wait() {
            Ok(()) => None,
            Err(Error::KernelPanicked { message, item, .. }) if item[0] == ROWS - 1 => {
                Some(message)
            }
            Err(error) => return Err(Failure::unexpected("a panic of the last row", error)),
        };
        let expected =
            outside.map(|_| "index out of bounds: the len is 50 but the index is 77".to_owned());
        if message != expected {
            let found = format!("{message:?} with {width} in a row");
            return Err(Failure::unexpected(format!("{expected:?}"), found));
        }
        let (found, whole) = (y.to_vec()?, ROWS - usize::from(outside.is_some()));
        for (row, found) in found.iter().enumerate().take(whole) {
            let of = row * width..(row + 1) * width;
            let entries = columns[of.clone()].iter().zip(&values[of]);
            let sum: f32 = entries
                .map(|(column, value)| value * x[*column as usize])
                .sum();
            // Others may have ended before they stored anything, since one panicked.
            let is_there = found.to_bits() == sum.to_bits();
            if !is_there && (outside.is_none() || *found != 1.0) {
                let place = format!("{sum} in row {row} of {width} each");
                return Err(Failure::unexpected(place, found));
            }
        }
    }
    Ok(())
}

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    suite.case("panics/gathered", gathered);
    suite.case("panics/bounds", |t| {
        t.panics(|at: usize| [1u8, 2, 3, 4][at % 9], &[0, 1, 2, 3, 7])
    });
    suite.case("panics/last_item", |t| {
        let mut inputs = vec![0usize; 5000];
        inputs[4999] = 77;
        t.panics(|at: usize| [1u8, 2, 3][at], &inputs)
    });
    suite.case("panics/first_item", |t| {
        t.panics(|x: u32| 100 / x, &[0, 1, 2, 3])
    });
    suite.case("panics/one_of_many", |t| {
        t.panics(|x: u32| 1000 - x * 25, &one_of_many(17, 41))
    });
    suite.case("panics/every_item", |t| {
        t.panics(
            |x: u32| -> u32 { panic!("item with {x}") },
            &values::<u32>(300),
        )
    });
    suite.case("panics/overflow_add", |t| {
        t.panics(|x: u8| x + 1, &[1, 2, 255, 3])
    });
    suite.case("panics/overflow_subtract", |t| {
        t.panics(|x: usize| x - 1, &[5, 0, 3])
    });
    suite.case("panics/overflow_multiply", |t| {
        t.panics(|x: i128| x * x, &[1, -3, i128::MAX / 2, 5])
    });
    suite.case("panics/overflow_negate", |t| {
        t.panics(|x: i16| -x, &[1, i16::MIN])
    });
    suite.case("panics/overflow_shift", |t| {
        t.panics(|x: u32| 1u64 << x, &[3, 63, 64])
    });
    suite.case("panics/overflow_absolute", |t| {
        t.panics(|x: i64| x.abs(), &[-3, i64::MIN])
    });
    suite.case("panics/overflow_power", |t| {
        t.panics(|x: u32| 10u32.pow(x), &[2, 9, 10])
    });
    suite.case("panics/overflow_sum", |t| {
        t.panics(|x: u8| [x, x, x].iter().sum::<u8>(), &[85, 86])
    });
    suite.case("panics/division_by_zero", |t| {
        t.panics(|x: i32| 7 / x, &[1, 0])
    });
    suite.case("panics/division_overflow", |t| {
        t.panics(|x: i32| i32::MIN / x, &[1, -1])
    });
    suite.case("panics/remainder_by_zero", |t| {
        t.panics(|x: u128| 7 % x, &[1, 0])
    });
    suite.case("panics/remainder_overflow", |t| {
        t.panics(|x: i64| i64::MIN % x, &[1, -1])
    });
    suite.case("panics/unwrap_none", |t| {
        t.panics(|x: u32| x.checked_sub(3).unwrap(), &[5, 4, 2])
    });
    suite.case("panics/unwrap_err", |t| {
        t.panics(|x: u32| u8::try_from(x).unwrap(), &[5, 255, 256])
    });
    suite.case("panics/expect", |t| {
        t.panics(|x: u32| char::from_u32(x).expect("a letter"), &[65, 0xd800])
    });
    suite.case("panics/expect_err_value", |t| {
        t.panics(
            |x: u8| {
                "12a4"
                    .get(..usize::from(x))
                    .map(|s| s.parse::<u32>().expect("digits"))
            },
            &[1, 2, 3],
        )
    });
    suite.case("panics/plain_message", |t| {
        t.panics(
            |x: bool| if x { panic!("no values in here") } else { 1 },
            &[false, true],
        )
    });
    suite.case("panics/formatted_message", |t| {
        t.panics(
            |x: u32| -> u32 {
                if x > 3 {
                    panic!(
                        "x = {x:#06x}, {:?} and {:.2}",
                        Some(x * 2),
                        f64::from(x) / 3.0
                    )
                }
                x
            },
            &[1, 2, 3, 77],
        )
    });
    suite.case("panics/owned_message", |t| {
        t.panics(
            |x: u8| -> u8 { std::panic!("{}", "long ".repeat(usize::from(x))) },
            &[3],
        )
    });
    suite.case("panics/slice_end", |t| {
        t.panics(|n: usize| [1u32, 2, 3][..n].len(), &[1, 3, 4])
    });
    suite.case("panics/slice_start", |t| {
        t.panics(|n: usize| [1u32, 2, 3][n..].len(), &[1, 3, 4])
    });
    suite.case("panics/slice_order", |t| {
        t.panics(|n: usize| [1u32, 2, 3][n..2].len(), &[1, 2, 3])
    });
    suite.case("panics/slice_lengths", |t| {
        t.panics(
            |n: usize| {
                let mut to = [0u8; 4];
                to[..n].copy_from_slice(&[1, 2, 3]);
                to[1]
            },
            &[3, 2],
        )
    });
    suite.case("panics/split_at", |t| {
        t.panics(|n: usize| [0u8; 5].split_at(n).0.len(), &[5, 6])
    });
    suite.case("panics/chunks_of_zero", |t| {
        t.panics(|n: usize| [0u8; 5].chunks(n).count(), &[2, 0])
    });
    suite.case("panics/char_boundary", |t| {
        t.panics(|n: usize| "naïve"[..n].len(), &[2, 3, 4])
    });
    suite.case("panics/string_remove", |t| {
        t.panics(|n: usize| String::from("abc").remove(n), &[2, 3])
    });
    suite.case("panics/vec_remove", |t| {
        t.panics(|n: usize| vec![1u8, 2, 3].remove(n), &[2, 3])
    });
    suite.case("panics/vec_insert", |t| {
        t.panics(
            |n: usize| {
                let mut list = vec![1u8];
                list.insert(n, 9);
                list[0]
            },
            &[0, 1, 2],
        )
    });
    suite.case("panics/map_index", |t| {
        t.panics(|n: u8| BTreeMap::from([(1, 10u8), (2, 20)])[&n], &[1, 2, 3])
    });
    suite.case("panics/double_borrow", |t| {
        t.panics(
            |x: u32| {
                let cell = RefCell::new(x);
                let first = cell.borrow_mut();
                if x > 2 { *cell.borrow() } else { *first }
            },
            &[1, 2, 3],
        )
    });
    suite.case("panics/unreachable", |t| {
        t.panics(
            |x: u8| match x {
                0 => 'a',
                1 => 'b',
                _ => unreachable!("no letter for {x}"),
            },
            &[0, 1, 2],
        )
    });
    suite.case("panics/todo", |t| {
        t.panics(
            |x: bool| -> u8 {
                if x {
                    todo!()
                } else {
                    unimplemented!("not {}", x)
                }
            },
            &[true, false],
        )
    });
    suite.case("panics/assert", |t| {
        t.panics(
            |x: u32| {
                assert!(x < 5);
                x
            },
            &[4, 5],
        )
    });
    suite.case("panics/assert_eq", |t| {
        t.panics(
            |x: u32| {
                assert_eq!(x % 7, 3);
                x
            },
            &[3, 10, 11],
        )
    });
    suite.case("panics/assert_ne", |t| {
        t.panics(
            |x: [u8; 2]| {
                assert_ne!(x[0], x[1], "all of {x:?}");
                x[0]
            },
            &[[1, 2], [3, 3]],
        )
    });
    suite.case("panics/nested_calls", |t| {
        t.panics(|at: usize| outer(&[1, 2, 3], at), &[0, 2, 3])
    });
    suite.case("panics/recursion", |t| {
        t.panics(|x: u32| if x > 2 { descend(x) } else { x }, &[1, 2, 30])
    });
    suite.case("panics/dyn_call", |t| {
        t.panics(
            |x: u32| {
                let checks: [Box<dyn Check>; 2] = [Box::new(Below(50)), Box::new(Even)];
                checks[(x % 3 / 2) as usize].check(x)
            },
            &[1, 3, 8, 5, 60],
        )
    });
    suite.case("panics/in_closure", |t| {
        t.panics(
            |x: u32| (0..x).map(|v| 10 / (4 - v)).sum::<u32>(),
            &[1, 4, 5],
        )
    });
    suite.case("panics/track_caller", |t| {
        t.panics(|x: u32| blames_its_caller(x) + 1, &[9, 5, 4])
    });
    suite.case("panics/in_drop", |t| {
        struct Bomb(u32);
        impl Drop for Bomb {
            fn drop(&mut self) {
                assert!(self.0 < 3, "dropped at {}", self.0);
            }
        }
        t.panics(|x: u32| Bomb(x).0 + 1, &[1, 2, 3])
    });
    suite.case("panics/capacity", |t| {
        t.panics(|n: usize| vec![1u64; n].len(), &[4, usize::MAX])
    });
    suite.case("panics/allocation_failure", |t| {
        t.panics_with(
            |n: usize| {
                let mut list = Vec::<u8>::with_capacity(n);
                list.push(n as u8);
                list.as_ptr().addr()
            },
            &[isize::MAX as usize - 4096],
            "memory allocation of 9223372036854771711 bytes failed",
        )
    });
    suite.case("panics/layout", |t| {
        t.panics(
            |n: usize| std::alloc::Layout::array::<u32>(n).unwrap().size(),
            &[3, usize::MAX / 2],
        )
    });
    suite.case("panics/other_crate", |t| {
        t.panics(conformance_kernels::at_most_nine, &[1, 9, 10])
    });
    suite.case("panics/iterator_adaptor", |t| {
        t.panics(|n: usize| (0..10u32).step_by(n).sum::<u32>(), &[3, 0])
    });
    suite.case("panics/time", |t| {
        use std::time::Duration;
        t.panics(
            |n: u64| (Duration::from_secs(5) - Duration::from_secs(n)).as_secs(),
            &[3, 5, 6],
        )
    });
    #[cfg(target_arch = "x86_64")]
    suite.case("panics/denied_feature", |t| {
        // Detection says no on every accelerator; who doesn't heed it gets to know.
        t.panics_with(
            |x: u32| {
                if std::is_x86_feature_detected!("sse4.2") {
                    x
                } else {
                    // SAFETY: not upheld, which is what the case is about.
                    unsafe { crc(x) }
                }
            },
            &[1, 2],
            "reached `conformance::cases::panicking::crc`, code for a feature that detection denies",
        )
    });
    suite.case("panics/stack_overflow", |t| {
        if t.accelerator.name() != "cpu" {
            return Err(Failure::Inapplicable("its stacks are not guarded"));
        }
        t.panics_with(
            |x: u32| bottomless(x),
            &[5, 6, 7],
            "stack overflow: a work-item has 65536 KiB, see LEGIONELLA_STACK",
        )
    });
}
