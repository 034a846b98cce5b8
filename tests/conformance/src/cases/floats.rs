//! Strict IEEE arithmetic: every operation whose result the standard fixes to the bit.

use legionella::DeviceData;

use crate::bits::Bits;
use crate::suite::Suite;
use crate::values::{arrays, pairs, values};

/// A float that was made without arithmetic, whose bits are defined also if it is NaN.
#[derive(Clone, Copy, Debug, DeviceData)]
struct Exact<T>(T);

macro_rules! exact {
    ($($type:ident)*) => {$(
        impl Bits for Exact<$type> {
            const POISON: Self = Exact(<$type as Bits>::POISON);

            fn same(&self, other: &Self) -> bool {
                self.0.to_bits() == other.0.to_bits()
            }
        }
    )*};
}

exact!(f32 f64);

macro_rules! float {
    ($suite:ident, $type:ident, $bits:ident) => {{
        $suite.case(concat!("floats/", stringify!($type), "/signs"), |t| {
            let any = |bits: [$bits; 2]| {
                // Of a pair of any bits, the first often is a NaN, signalling or quiet.
                let [a, b] = bits.map(<$type>::from_bits);
                let exponent = <$type>::INFINITY.to_bits();
                [
                    if b > 0.0 {
                        <$type>::from_bits(bits[0] | exponent)
                    } else {
                        a
                    },
                    b,
                ]
            };
            let any: Vec<_> = pairs::<$bits>().into_iter().map(any).collect();
            t.map(
                |[a, b]: [$type; 2]| {
                    let turned = if b > 0.0 { -a } else { b.abs() };
                    let bits = a.to_bits();
                    let in_order = if bits >> ($bits::BITS - 1) == 0 {
                        bits | 1 << ($bits::BITS - 1)
                    } else {
                        !bits
                    };
                    (
                        [-a, -b, a.abs(), b.abs(), -a.abs(), a.copysign(b), turned].map(Exact),
                        in_order,
                        (-a * b, a.abs() + b),
                    )
                },
                &any,
            )
        });
        $suite.case(concat!("floats/", stringify!($type), "/arithmetic"), |t| {
            t.map(
                |[a, b]: [$type; 2]| [a + b, a - b, a * b, a / b, -a],
                &pairs::<$type>(),
            )
        });
        // Devices compute several in a row otherwise than one, and what follows from one that is rare.
        $suite.case(concat!("floats/", stringify!($type), "/quotients"), |t| {
            t.map(
                |[a, b, c, d]: [$type; 4]| {
                    let (first, second) = (a / b, c / d);
                    let less = if first < second { first } else { d.recip() };
                    let root = (a * a + b * b).sqrt();
                    (
                        [first, second, less.sqrt(), root, c / (root * root * root)],
                        [1.5 / a, b / 3.0, (c / 7.0) as i16 as $type, d.sqrt() / less],
                    )
                },
                &arrays::<$type, 4>(2000),
            )
        });
        $suite.case(concat!("floats/", stringify!($type), "/remainder"), |t| {
            t.map(|[a, b]: [$type; 2]| a % b, &pairs::<$type>())
        });
        $suite.case(concat!("floats/", stringify!($type), "/rounding"), |t| {
            t.map(
                |a: $type| {
                    [
                        a.floor(),
                        a.ceil(),
                        a.trunc(),
                        a.round(),
                        a.round_ties_even(),
                        a.fract(),
                        a.sqrt(),
                    ]
                },
                &values::<$type>(500),
            )
        });
        $suite.case(concat!("floats/", stringify!($type), "/order"), |t| {
            t.map(
                |[a, b]: [$type; 2]| {
                    (
                        [a < b, a <= b, a == b, a != b, a >= b, a > b],
                        a.total_cmp(&b) as i8,
                        a.partial_cmp(&b).map(|order| order as i8),
                        (a == 0.0 || b == 0.0 || a.is_nan() || b.is_nan())
                            .then_some([0.0, 0.0])
                            .unwrap_or([a.min(b), a.max(b)]),
                    )
                },
                &pairs::<$type>(),
            )
        });
        $suite.case(concat!("floats/", stringify!($type), "/fused"), |t| {
            t.map(
                |[a, b]: [$type; 2]| [a.mul_add(b, a), b.mul_add(-a, 1.0), a * b + a],
                &pairs::<$type>(),
            )
        });
        $suite.case(concat!("floats/", stringify!($type), "/bits"), |t| {
            t.map(
                |a: $type| {
                    (
                        if a.is_nan() { 0 } else { a.to_bits() },
                        (a.is_nan(), a.is_infinite(), a.is_finite(), a.is_normal()),
                        (a.is_subnormal(), a.is_sign_negative(), a.classify() as u8),
                        [
                            a.abs(),
                            a.signum(),
                            a.copysign(-1.0),
                            a.next_up(),
                            a.next_down(),
                        ],
                        if a.is_nan() { 0.0 } else { a.clamp(-1.0, 1.0) },
                        <$type>::from_bits((a.to_bits() ^ 1) & (<$bits>::MAX >> 2)),
                    )
                },
                &values::<$type>(500),
            )
        });
        $suite.case(concat!("floats/", stringify!($type), "/to_integers"), |t| {
            t.map(
                |a: $type| {
                    (
                        (a as u8, a as i8, a as u16, a as i16),
                        (a as u32, a as i32, a as u64, a as i64),
                        (a as u128, a as i128, a as usize, a as isize),
                        (a as f32, a as f64),
                    )
                },
                &values::<$type>(500),
            )
        });
        $suite.case(
            concat!("floats/", stringify!($type), "/sums_in_order"),
            |t| {
                t.map(
                    |terms: [$type; 33]| {
                        let sum: $type = terms.iter().sum();
                        let dot: $type = terms.iter().zip(&terms[1..]).map(|(a, b)| a * b).sum();
                        let product: $type = terms.iter().product();
                        [sum, dot, product]
                    },
                    &arrays::<$type, 33>(200),
                )
            },
        );
        $suite.case(concat!("floats/", stringify!($type), "/steps"), |t| {
            t.map(
                |a: $type| {
                    let mut x = if a.is_finite() { a.abs() % 1.0 } else { 0.3 };
                    for _ in 0..50 {
                        x = 3.7 * x * (1.0 - x);
                    }
                    x
                },
                &values::<$type>(300),
            )
        });
    }};
}

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    float!(suite, f32, u32);
    float!(suite, f64, u64);
    suite.case("floats/subnormals", |t| {
        t.map(
            |bits: u32| {
                let tiny = f32::from_bits(bits % 0x0100_0000);
                let wide = f64::from_bits(u64::from(bits) << 20);
                (
                    tiny * 0.5,
                    tiny + tiny,
                    tiny / 3.0,
                    wide * 0.25,
                    f64::from(tiny),
                    wide as f32,
                )
            },
            &values::<u32>(500),
        )
    });
    suite.case("floats/euclid", |t| {
        t.map(
            |[a, b]: [f64; 2]| {
                let (a, b) = (a % 1e6, if b == 0.0 { 2.0 } else { b % 1e3 });
                [a.rem_euclid(b), a.div_euclid(b)]
            },
            &arrays::<f64, 2>(500),
        )
    });
    suite.case("floats/degrees", |t| {
        t.map(
            |a: f64| [a.to_degrees(), a.to_radians(), a.recip(), a.midpoint(1.0)],
            &values::<f64>(300),
        )
    });
}
