//! Numbers of other kinds: big, fixed-point, half-precision, complex, rational.

use crate::suite::Suite;
use crate::values::{arrays, pairs, values};

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    suite.case("crates/num-bigint", |t| {
        use num_bigint::{BigInt, BigUint};
        t.bytes::<500, _, _>(
            |[a, b]: [i128; 2]| {
                let (x, y) = (BigInt::from(a), BigInt::from(b | 1));
                let product: BigInt = &x * &y * &x + 12345;
                let power = BigUint::from(a.unsigned_abs())
                    .modpow(&17u32.into(), &b.unsigned_abs().max(3).into());
                let parsed = BigInt::parse_bytes(b"-123456789012345678901234567890", 10);
                format!(
                    "{product} {} {power:x} {} {:?}",
                    &product / &y,
                    product.bits(),
                    parsed.map(|p| p % y)
                )
            },
            &arrays::<i128, 2>(20),
        )
    });
    suite.case("crates/num-bigint_factorial", |t| {
        use num_bigint::BigUint;
        t.bytes::<400, _, _>(
            |n: u32| {
                (1..=n)
                    .map(BigUint::from)
                    .fold(BigUint::from(1u8), |a, b| a * b)
                    .to_string()
            },
            &[0, 1, 20, 50, 120],
        )
    });
    suite.case("crates/ruint", |t| {
        use ruint::aliases::U256;
        t.map(
            |[a, b]: [u128; 2]| {
                let x: U256 = (U256::from(a) << 100) | U256::from(b);
                let y: U256 = U256::from(b | 1) * U256::from(a | 3);
                let (sum, carried) = x.overflowing_add(y << 77);
                let modulus = U256::from(u128::MAX);
                (
                    sum.to_le_bytes::<32>(),
                    carried,
                    (x / y).to_be_bytes::<32>(),
                    x.mul_mod(y, modulus).to_le_bytes::<32>(),
                    x.pow_mod(U256::from(65_537), modulus).into_limbs(),
                    y.leading_zeros() as u32,
                )
            },
            &arrays::<u128, 2>(20),
        )
    });
    suite.case("crates/fixed", |t| {
        use fixed::types::{I16F16, U8F24};
        t.map(
            |[a, b]: [i32; 2]| {
                let (x, y) = (I16F16::from_bits(a), I16F16::from_bits(b | 1));
                (
                    [
                        x.wrapping_mul(y),
                        x.wrapping_div(y),
                        x.saturating_add(y),
                        x.checked_rem(y).unwrap_or(y),
                    ]
                    .map(I16F16::to_bits),
                    x.checked_mul(y).map(|z| z.to_num::<f64>()),
                    U8F24::saturating_from_num(f64::from(a) / 1e7).to_bits(),
                    x.saturating_to_num::<i8>(),
                )
            },
            &pairs::<i32>(),
        )
    });
    suite.case("crates/half", |t| {
        use half::{bf16, f16};
        t.map(
            |[a, b]: [u16; 2]| {
                let (x, y) = (f16::from_bits(a), f16::from_bits(b));
                let wide = bf16::from_bits(a);
                (
                    [x.to_f32() * y.to_f32(), wide.to_f32()],
                    (x + y).to_f32(),
                    if x.is_nan() {
                        0
                    } else {
                        f16::from_f64(x.to_f64() / 3.0).to_bits()
                    },
                    if wide.is_nan() {
                        0
                    } else {
                        bf16::from_f32(wide.to_f32() * 1.01).to_bits()
                    },
                    x.partial_cmp(&y).map(|order| order as i8),
                )
            },
            &pairs::<u16>(),
        )
    });
    suite.case("crates/num-complex", |t| {
        use num_complex::Complex;
        t.map(
            |[a, b, c, d]: [f64; 4]| {
                let (x, y) = (Complex::new(a, b), Complex::new(c, d));
                let z = x * y + x / y - y.conj();
                [z.re, z.im, x.norm_sqr(), x.powu(3).re]
            },
            &arrays::<f64, 4>(100),
        )
    });
    suite.case("crates/num-rational", |t| {
        use num_rational::Ratio;
        t.map(
            |[a, b, c]: [i32; 3]| {
                let (a, b, c) = (
                    i64::from(a % 10_000),
                    i64::from(b % 10_000),
                    i64::from(c % 10_000),
                );
                let (x, y) = (Ratio::new(a, b | 1), Ratio::new(c, 77));
                let z = x * y - x + y / 3;
                (*z.numer(), *z.denom(), z.floor().to_integer(), x < y)
            },
            &arrays::<i32, 3>(100),
        )
    });
    suite.case("crates/libm_free_rounding", |t| {
        // `half` and `fixed` agree with plain arithmetic on what both can represent.
        t.map(
            |x: i16| half::f16::from_f32(f32::from(x % 2048)).to_f32() == f32::from(x % 2048),
            &values::<i16>(200),
        )
    });
}
