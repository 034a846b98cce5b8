//! Closures, recursion, and ways out of loops.

use crate::suite::Suite;
use crate::values::{arrays, pairs, values};

fn ackermann(m: u32, n: u32) -> u32 {
    match (m, n) {
        (0, n) => n + 1,
        (m, 0) => ackermann(m - 1, 1),
        (m, n) => ackermann(m - 1, ackermann(m, n - 1)),
    }
}

fn fibonacci(n: u32) -> u64 {
    if n < 2 {
        u64::from(n)
    } else {
        fibonacci(n - 1) + fibonacci(n - 2)
    }
}

fn is_even(n: u32) -> bool {
    n == 0 || is_odd(n - 1)
}

fn is_odd(n: u32) -> bool {
    n != 0 && is_even(n - 1)
}

/// Solutions of the queens problem, by backtracking.
fn queens(size: u32, row: u32, columns: u32, left: u32, right: u32) -> u32 {
    if row == size {
        return 1;
    }
    let mut free = !(columns | left | right) & ((1 << size) - 1);
    let mut solutions = 0;
    while free != 0 {
        let place = free & free.wrapping_neg();
        free ^= place;
        solutions += queens(
            size,
            row + 1,
            columns | place,
            (left | place) << 1,
            (right | place) >> 1,
        );
    }
    solutions
}

/// Loops that an item leaves by a condition of its own or by one that all have. What all have the same while they are
/// in a loop, and constants that say by which way they left, differ behind it (LLVM's pull requests 203256 and 216296).
fn ways_out([own, other]: [u32; 2]) -> (u32, u32, u64) {
    let (a, b) = (own % 23, other % 17);
    let mut turn = 0;
    let way = loop {
        if turn == a {
            break if b > 8 { 3 } else { 4 };
        }
        if b < 5 && turn == b {
            break 5;
        }
        if turn == 19 {
            break 7;
        }
        turn += 1;
    };
    let (mut count, mut scaled) = (0, 1u64);
    while count != a {
        count += 1;
        scaled = scaled.wrapping_mul(3) + u64::from(count);
    }
    (way, turn * 5 + 1, scaled ^ u64::from(count))
}

fn permutations(items: &mut [u8], at: usize, visit: &mut impl FnMut(&[u8])) {
    if at == items.len() {
        return visit(items);
    }
    for other in at..items.len() {
        items.swap(at, other);
        permutations(items, at + 1, visit);
        items.swap(at, other);
    }
}

fn quicksort<T, F: Fn(&T, &T) -> bool + Copy>(items: &mut [T], less: F) {
    if items.len() < 2 {
        return;
    }
    let last = items.len() - 1;
    let mut middle = 0;
    for at in 0..last {
        if less(&items[at], &items[last]) {
            items.swap(at, middle);
            middle += 1;
        }
    }
    items.swap(middle, last);
    let (low, high) = items.split_at_mut(middle);
    quicksort(low, less);
    quicksort(&mut high[1..], less);
}

fn compose<A, B, C>(f: impl Fn(A) -> B, g: impl Fn(B) -> C) -> impl Fn(A) -> C {
    move |x| g(f(x))
}

fn adder(n: u32) -> impl Fn(u32) -> u32 {
    move |x| x.wrapping_add(n)
}

fn boxed(n: u32) -> Box<dyn FnMut(u32) -> u32> {
    let mut calls = 0u32;
    if n % 2 == 0 {
        Box::new(move |x| {
            calls += 1;
            x ^ calls ^ n
        })
    } else {
        Box::new(move |x| x.wrapping_mul(n))
    }
}

/// An expression tree, evaluated by recursion through boxes.
enum Expression {
    Constant(i64),
    Negative(Box<Expression>),
    Sum(Vec<Expression>),
    Product(Box<Expression>, Box<Expression>),
}

impl Expression {
    fn grow(seed: &mut u32, depth: u32) -> Self {
        *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let kind = (*seed >> 24) % 4;
        match kind {
            _ if depth == 0 => Expression::Constant(i64::from(*seed >> 28)),
            0 => Expression::Negative(Box::new(Self::grow(seed, depth - 1))),
            1 => Expression::Sum((0..3).map(|_| Self::grow(seed, depth - 1)).collect()),
            2 => Expression::Product(
                Box::new(Self::grow(seed, depth - 1)),
                Box::new(Self::grow(seed, depth - 1)),
            ),
            _ => Expression::Constant(i64::from(*seed >> 20)),
        }
    }

    fn value(&self) -> i64 {
        match self {
            Expression::Constant(value) => *value,
            Expression::Negative(inner) => inner.value().wrapping_neg(),
            Expression::Sum(terms) => terms
                .iter()
                .map(Expression::value)
                .fold(0, i64::wrapping_add),
            Expression::Product(left, right) => left.value().wrapping_mul(right.value()),
        }
    }
}

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    suite.case("closures/composed", |t| {
        t.map(
            |[a, b]: [u32; 2]| {
                let f = compose(adder(a), |x: u32| u64::from(x) << 3);
                let g = compose(&f, |x| (x % 1009) as u16);
                (f(b), g(b))
            },
            &pairs::<u32>(),
        )
    });
    suite.case("closures/boxed", |t| {
        t.map(
            |[a, b]: [u32; 2]| {
                let mut functions: Vec<Box<dyn FnMut(u32) -> u32>> =
                    vec![boxed(a), boxed(b), Box::new(adder(a))];
                let mut x = b;
                for round in 0..7 {
                    let count = functions.len();
                    x = functions[round % count](x);
                }
                x
            },
            &pairs::<u32>(),
        )
    });
    suite.case("closures/capture_modes", |t| {
        t.map(
            |x: [u16; 8]| {
                let mut seen = Vec::new();
                let mut note = |v: u16| seen.push(v / 2);
                x.iter().for_each(|v| note(*v));
                let owner = seen;
                let consume = move || owner.into_iter().fold(0u16, |a, b| a.rotate_left(1) ^ b);
                consume()
            },
            &arrays::<u16, 8>(60),
        )
    });
    suite.case("control/ways_out_of_loops", |t| {
        t.map(ways_out, &arrays::<u32, 2>(300))
    });
    suite.case("recursion/ackermann", |t| {
        t.map(
            |[m, n]: [u32; 2]| ackermann(m, n),
            &[[0, 5], [1, 9], [2, 7], [3, 3], [2, 0], [3, 5]],
        )
    });
    suite.case("recursion/fibonacci", |t| {
        t.map(fibonacci, &(0..22).collect::<Vec<u32>>())
    });
    suite.case("recursion/mutual", |t| {
        t.map(|n: u16| is_even(u32::from(n % 2000)), &values::<u16>(60))
    });
    suite.case("recursion/queens", |t| {
        t.map(|size: u32| queens(size, 0, 0, 0, 0), &[1, 2, 4, 5, 6, 7, 8])
    });
    suite.case("recursion/permutations", |t| {
        t.map(
            |mut items: [u8; 6]| {
                let mut sum = 0u64;
                permutations(&mut items, 0, &mut |order| {
                    let number = order
                        .iter()
                        .fold(0u64, |n, digit| n * 256 + u64::from(*digit));
                    sum = sum.rotate_left(11) ^ number;
                });
                sum
            },
            &arrays::<u8, 6>(20),
        )
    });
    suite.case("recursion/quicksort", |t| {
        t.map(
            |mut items: [i32; 60]| {
                quicksort(&mut items, |a, b| (a % 100, a) < (b % 100, b));
                items
            },
            &arrays::<i32, 60>(40),
        )
    });
    suite.case("recursion/expressions", |t| {
        t.map(
            |mut seed: u32| Expression::grow(&mut seed, 7).value(),
            &values::<u32>(60),
        )
    });
    suite.case("control/search_for_zero", |t| {
        // Loops that LLVM takes for functions of the C library.
        t.map(
            |mut bytes: [u8; 24]| {
                bytes[23] = 0;
                let wide = bytes.map(|byte| u32::from(byte / 16));
                let (mut narrow_len, mut wide_len) = (0, 0);
                // SAFETY: both end with a zero.
                unsafe {
                    while *bytes.as_ptr().add(narrow_len) != 0 {
                        narrow_len += 1;
                    }
                    while *wide.as_ptr().add(wide_len) != 0 {
                        wide_len += 1;
                    }
                }
                [narrow_len as u32, wide_len as u32]
            },
            &arrays::<u8, 24>(50),
        )
    });
}
