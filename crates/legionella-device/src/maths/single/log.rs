//! Logarithms: the argument is split into `2^k m` with `m` near one, and `ln m` is
//! `2 artanh((m - 1) / (m + 1))`, or for the natural logarithm, which asks for less, a polynomial of `m - 1`.

use super::exp::{LN_2_REST, LN_2_SHORT, power_of_two};
use crate::maths::two::{Two, polynomial};

const LOG2_E: Two = Two {
    h: core::f32::consts::LOG2_E,
    l: 1.925_963e-8,
};
const LOG10_E: Two = Two {
    h: core::f32::consts::LOG10_E,
    l: -1.010_305e-8,
};
/// The leading 15 bits of the decimal logarithm of 2: its product with an exponent is exact.
const LOG10_2_SHORT: f32 = 0.301_025_4;
const LOG10_2_REST: f32 = 4.605_039e-6;

/// The least `m` of `x = 2^k m` where `m` is to be between the roots of 1/2 and of 2, and where it is to be at
/// most 1/3 from one.
pub(super) const ROOT_HALF: f32 = core::f32::consts::FRAC_1_SQRT_2;
const TWO_THIRDS: f32 = 2.0 / 3.0;

/// `k` of `x = 2^k m`, with `m` from `least` to twice that, for a normal positive `x`.
fn exponent(x: f32, least: f32) -> i32 {
    (x.to_bits().wrapping_sub(least.to_bits()) as i32) >> 23
}

/// `m - 1` and `k` of a positive `x = 2^k m`, with `m` from `least` to twice that.
pub(super) fn split(x: f32, least: f32) -> (f32, f32) {
    let small = x < f32::MIN_POSITIVE;
    let (normal, correction) = if small { (x * 8_388_608.0, 23) } else { (x, 0) };
    let k = exponent(normal, least);
    let mantissa = normal.to_bits().wrapping_sub((k as u32).wrapping_shl(23));
    let k = k.wrapping_sub(correction);
    (f32::from_bits(mantissa) - 1.0, k as f32)
}

/// `n / (2 + n)`.
pub(super) fn ratio(n: Two) -> Two {
    let h = 2.0 + n.h;
    let l = (n.h - (h - 2.0)) + n.l;
    let reciprocal = 1.0 / h;
    let quotient = n.h * reciprocal;
    let rest = (-quotient).mul_add(h, n.h) + (-quotient).mul_add(l, n.l);
    Two {
        h: quotient,
        l: reciprocal * rest,
    }
}

/// `ln(1 + n)` for `n` between -0.3 and 0.42, to about 30 bits.
fn ln_near_one(n: Two) -> Two {
    let s = ratio(n);
    let z = s.h * s.h;
    let tail = polynomial!(z; 0.240_283_34, 0.285_101_62, 0.400_008_5, 0.666_666_6);
    Two {
        h: s.h + s.h,
        l: (s.h * z).mul_add(tail, s.l + s.l),
    }
}

/// `ln(1 + x)` for `x` between -1/3 and 1/3, to about 27 bits, without a division: enough where nothing is
/// made of it but one `f32`.
fn ln_nearer_one(x: f32) -> Two {
    let tail = polynomial!(x; -0.128_744_87, 0.139_867_07, -0.121_883_44, 0.140_053_4, -0.166_801_81, 0.200_104_45, -0.249_998_05, 0.333_332_15, -0.5);
    Two {
        h: x,
        l: (x * x) * tail,
    }
}

/// The special cases that all logarithms share: `argument` is what the logarithm is of, `value` the
/// logarithm if it is positive and finite.
fn special(argument: f32, value: f32) -> f32 {
    let value = if argument == f32::INFINITY {
        argument
    } else {
        value
    };
    let otherwise = if argument == 0.0 {
        f32::NEG_INFINITY
    } else {
        f32::NAN
    };
    if argument > 0.0 { value } else { otherwise }
}

/// `k ln 2 + near`.
fn with_exponent(k: f32, near: Two) -> f32 {
    let sum = Two::ordered_sum(k * LN_2_SHORT, near.h);
    sum.h + (sum.l + k.mul_add(LN_2_REST, near.l))
}

/// The natural logarithm.
pub fn ln(x: f32) -> f32 {
    let (n, k) = split(x, TWO_THIRDS);
    special(x, with_exponent(k, ln_nearer_one(n)))
}

/// The logarithm to base 2.
pub fn log2(x: f32) -> f32 {
    let (n, k) = split(x, ROOT_HALF);
    let near = ln_near_one(Two::from(n)).times(LOG2_E);
    let sum = Two::ordered_sum(k, near.h);
    special(x, sum.h + (sum.l + near.l))
}

/// The logarithm to base 10.
pub fn log10(x: f32) -> f32 {
    let (n, k) = split(x, ROOT_HALF);
    let near = ln_near_one(Two::from(n)).times(LOG10_E);
    let sum = Two::ordered_sum(k * LOG10_2_SHORT, near.h);
    special(x, sum.h + (sum.l + k.mul_add(LOG10_2_REST, near.l)))
}

/// `ln(1 + x)`, precise near zero.
pub fn ln_1p(x: f32) -> f32 {
    let k = exponent(1.0 + x, ROOT_HALF);
    // (1 + x) / 2^k - 1, without the rounding of the sum.
    let scaled = f32::from_bits(x.to_bits().wrapping_sub((k as u32).wrapping_shl(23)));
    let one = power_of_two(0i32.wrapping_sub(k.min(126)));
    let n = Two::sum(scaled, one - 1.0);
    let value = with_exponent(k as f32, ln_near_one(n));
    let value = if x.abs() < 1e-9 { x } else { value };
    let value = if x == f32::INFINITY { x } else { value };
    let otherwise = if x == -1.0 {
        f32::NEG_INFINITY
    } else {
        f32::NAN
    };
    if x > -1.0 { value } else { otherwise }
}
