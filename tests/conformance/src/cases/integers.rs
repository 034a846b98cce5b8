//! Integer arithmetic of every width, with all its variants of overflow.

use crate::suite::Suite;
use crate::values::{pairs, values};

/// The cases of one integer type; the variants that differ between signed and unsigned types
/// stand beside it.
macro_rules! integer {
    ($suite:ident, $type:ident, $signed:tt) => {{
        $suite.case(concat!("integers/", stringify!($type), "/wrapping"), |t| {
            t.map(
                |[a, b]: [$type; 2]| {
                    [
                        a.wrapping_add(b),
                        a.wrapping_sub(b),
                        a.wrapping_mul(b),
                        a.wrapping_neg(),
                        a.wrapping_shl(b as u32),
                        a.wrapping_shr(b as u32),
                        a.wrapping_pow(b as u32 % 19),
                    ]
                },
                &pairs::<$type>(),
            )
        });
        $suite.case(concat!("integers/", stringify!($type), "/checked"), |t| {
            t.map(
                |[a, b]: [$type; 2]| {
                    [
                        a.checked_add(b),
                        a.checked_sub(b),
                        a.checked_mul(b),
                        a.checked_div(b),
                        a.checked_rem(b),
                        a.checked_div_euclid(b),
                        a.checked_rem_euclid(b),
                        a.checked_neg(),
                        a.checked_shl(b as u32),
                        a.checked_shr(b as u32),
                        a.checked_pow(b as u32 % 19),
                    ]
                },
                &pairs::<$type>(),
            )
        });
        $suite.case(concat!("integers/", stringify!($type), "/overflowing"), |t| {
            t.map(
                |[a, b]: [$type; 2]| {
                    [
                        a.overflowing_add(b),
                        a.overflowing_sub(b),
                        a.overflowing_mul(b),
                        a.overflowing_neg(),
                        a.overflowing_shl(b as u32),
                        a.overflowing_shr(b as u32),
                        a.overflowing_pow(b as u32 % 19),
                    ]
                },
                &pairs::<$type>(),
            )
        });
        $suite.case(concat!("integers/", stringify!($type), "/saturating"), |t| {
            t.map(
                |[a, b]: [$type; 2]| {
                    let divisor = if b == 0 { 1 } else { b };
                    [
                        a.saturating_add(b),
                        a.saturating_sub(b),
                        a.saturating_mul(b),
                        a.saturating_div(divisor),
                        a.saturating_pow(b as u32 % 19),
                    ]
                },
                &pairs::<$type>(),
            )
        });
        $suite.case(concat!("integers/", stringify!($type), "/bits"), |t| {
            t.map(
                |a: $type| {
                    let shift = a as u32 % 200;
                    (
                        [
                            a.count_ones(),
                            a.count_zeros(),
                            a.leading_zeros(),
                            a.leading_ones(),
                            a.trailing_zeros(),
                            a.trailing_ones(),
                        ],
                        [
                            a.swap_bytes(),
                            a.reverse_bits(),
                            a.rotate_left(shift),
                            a.rotate_right(shift),
                            a.to_be(),
                            !a,
                        ],
                        a.to_le_bytes(),
                        a.to_be_bytes(),
                    )
                },
                &values::<$type>(300),
            )
        });
        $suite.case(concat!("integers/", stringify!($type), "/division"), |t| {
            t.map(
                |[a, b]: [$type; 2]| {
                    let b = if b == 0 { 3 } else { b };
                    [
                        a.wrapping_div(b),
                        a.wrapping_rem(b),
                        a.wrapping_div_euclid(b),
                        a.wrapping_rem_euclid(b),
                        a / 10,
                        a % 7,
                    ]
                },
                &pairs::<$type>(),
            )
        });
        $suite.case(concat!("integers/", stringify!($type), "/conversions"), |t| {
            t.map(
                |a: $type| {
                    (
                        [a as u8 as u128, a as i8 as u128, a as u16 as u128, a as i16 as u128],
                        [a as u32 as u128, a as i32 as u128, a as u64 as u128, a as i64 as u128],
                        (u8::try_from(a).ok(), i16::try_from(a).ok(), u64::try_from(a).ok()),
                        (a as f32, a as f64),
                        <$type>::from_str_radix("-7f", 16).ok(),
                    )
                },
                &values::<$type>(300),
            )
        });
        integer!(@$signed $suite, $type);
    }};
    (@signed $suite:ident, $type:ident) => {
        $suite.case(concat!("integers/", stringify!($type), "/signs"), |t| {
            t.map(
                |[a, b]: [$type; 2]| {
                    (
                        [a.abs_diff(b) as u128, a.unsigned_abs() as u128],
                        [a.signum(), a.wrapping_abs(), a.min(b), a.max(b), a.midpoint(b)],
                        (a.overflowing_abs(), a.checked_abs(), a < b, a.is_negative()),
                    )
                },
                &pairs::<$type>(),
            )
        });
    };
    (@unsigned $suite:ident, $type:ident) => {
        $suite.case(concat!("integers/", stringify!($type), "/unsigned"), |t| {
            t.map(
                |[a, b]: [$type; 2]| {
                    (
                        [a.abs_diff(b), a.min(b), a.max(b), a.isqrt(), a.midpoint(b)],
                        (a.checked_next_power_of_two(), a.is_power_of_two(), a > b),
                        (a.checked_ilog2(), a.checked_ilog10(), a.checked_next_multiple_of(b)),
                        a.div_ceil(if b == 0 { 9 } else { b }),
                    )
                },
                &pairs::<$type>(),
            )
        });
    };
}

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    integer!(suite, u8, unsigned);
    integer!(suite, u16, unsigned);
    integer!(suite, u32, unsigned);
    integer!(suite, u64, unsigned);
    integer!(suite, u128, unsigned);
    integer!(suite, usize, unsigned);
    integer!(suite, i8, signed);
    integer!(suite, i16, signed);
    integer!(suite, i32, signed);
    integer!(suite, i64, signed);
    integer!(suite, i128, signed);
    integer!(suite, isize, signed);
    suite.case("integers/checks_that_hold", |t| {
        // Plain operators, compiled with overflow checks, on operands that don't overflow.
        t.map(
            |[a, b, c]: [i32; 3]| {
                let (a, b, c) = (a % 1000, b % 1000, c % 1000);
                (a + b) * c - (a << 3) + (b >> 2) - -c
            },
            &crate::values::arrays::<i32, 3>(500),
        )
    });
    suite.case("integers/wide_products", |t| {
        t.map(
            |[a, b]: [u64; 2]| {
                let product = u128::from(a) * u128::from(b);
                let (quotient, rest) = (product / u128::from(b | 1), product % u128::from(b | 1));
                [
                    (product >> 64) as u64,
                    product as u64,
                    quotient as u64,
                    rest as u64,
                ]
            },
            &pairs::<u64>(),
        )
    });
    suite.case("integers/wrapper_types", |t| {
        use std::num::{NonZero, Saturating, Wrapping};
        t.map(
            |[a, b]: [i16; 2]| {
                let wrapped = Wrapping(a) * Wrapping(b) - Wrapping(7);
                let saturated = Saturating(a) + Saturating(b);
                let nonzero = NonZero::new(a).map_or(0, |a| a.leading_zeros() + a.get() as u32 % 3);
                (wrapped.0, saturated.0, nonzero)
            },
            &pairs::<i16>(),
        )
    });
}
