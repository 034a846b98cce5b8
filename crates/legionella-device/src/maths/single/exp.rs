//! Exponential functions: the argument is split into `n ln 2 + r`, and `e^r` is a polynomial. Where more is
//! made of it than one `f32`, its leading terms are added exactly.

use crate::maths::two::{Two, polynomial};

const LN_2: Two = Two {
    h: core::f32::consts::LN_2,
    l: -1.904_654_2e-9,
};
/// The leading 15 bits of ln 2: its product with an exponent is exact.
pub(super) const LN_2_SHORT: f32 = 0.693_145_75;
/// The rest of ln 2.
pub(super) const LN_2_REST: f32 = 1.428_606_8e-6;

/// Adding and subtracting this rounds to an integer, which is also in the sum's lowest bits.
const ROUNDER: f32 = 12_582_912.0;

/// `2^n` for an exponent of normal numbers.
pub(super) fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) as u32).wrapping_shl(23))
}

/// `x 2^n`, rounded once, for `x` near one and any `n` between -252 and 254.
pub(super) fn scale(x: f32, n: i32) -> f32 {
    let half = n >> 1;
    x * power_of_two(half) * power_of_two(n.wrapping_sub(half))
}

/// An integer in the range of `i32` nearest to `x`, as both types. Nothing is known of it for NaN.
fn nearest(x: f32) -> (f32, i32) {
    let sum = x + ROUNDER;
    let integer = sum.to_bits().wrapping_sub(ROUNDER.to_bits()) as i32;
    (sum - ROUNDER, integer)
}

/// `e^x = 2^n (1 + r)` with `n` the integer and `r`, at most 0.42, the sum: the second part is small
/// and rounded, the first exact.
pub(super) fn split(x: Two) -> (Two, i32) {
    let (n, integer) = nearest(x.h * core::f32::consts::LOG2_E);
    let rest = (-n).mul_add(LN_2_SHORT, x.h);
    let r = Two::sum(rest, (-n).mul_add(LN_2_REST, x.l));
    (less_one(r), integer)
}

/// `e^r - 1` for `r` at most `ln 2 / 2`.
fn less_one(r: Two) -> Two {
    let tail = polynomial!(r.h; 0.000_199_533_9, 0.001_393_577_5, 0.008_333_198, 0.041_666_456, 0.166_666_67, 0.5);
    Two {
        h: r.h,
        l: (r.h * r.h).mul_add(tail, r.l),
    }
}

/// `1 + r` of [`split`].
pub(super) fn mantissa(r: Two) -> Two {
    let one = Two::ordered_sum(1.0, r.h);
    Two::ordered_sum(one.h, one.l + r.l)
}

/// `e^x` for a sum whose first part is between -104 and 89.
pub(super) fn exp_of_sum(x: Two) -> f32 {
    let (r, n) = split(x);
    scale(mantissa(r).h, n)
}

/// `x`, but at least `low` and at most `high`. NaN stays.
pub(super) fn clamp(x: f32, low: f32, high: f32) -> f32 {
    let x = if x > high { high } else { x };
    if x < low { low } else { x }
}

/// `e` to the power of `x`.
pub fn exp(x: f32) -> f32 {
    let x = clamp(x, -104.0, 89.0);
    let (n, integer) = nearest(x * core::f32::consts::LOG2_E);
    let r = (-n).mul_add(LN_2_REST, (-n).mul_add(LN_2_SHORT, x));
    // Of least relative error for `r` at most `ln 2 / 2`; the last step rounds what is near one.
    let power = polynomial!(r; 0.001_381_835_9, 0.008_368_716, 0.041_668_296, 0.166_665_21, 0.499_999_94, 1.0, 1.0);
    scale(power, integer)
}

/// 2 to the power of `x`.
pub fn exp2(x: f32) -> f32 {
    let x = clamp(x, -151.0, 129.0);
    let (n, integer) = nearest(x);
    let r = less_one(Two::from(x - n).times(LN_2));
    scale(mantissa(r).h, integer)
}

/// `e^x - 1`, precise near zero.
pub fn exp_m1(x: f32) -> f32 {
    let (r, n) = split(Two::from(clamp(x, -20.0, 89.0)));
    // Half of the result, because `2^n` itself may be beyond the largest number.
    let power = power_of_two(n.wrapping_sub(1));
    let whole = Two::sum(power, -0.5);
    let sum = Two::sum(whole.h, power * r.h);
    let half = sum.h + power.mul_add(r.l, sum.l + whole.l);
    if x.abs() < 1e-9 { x } else { half + half }
}
