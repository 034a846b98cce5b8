//! Arithmetic on `f16`. Sums, products, quotients and roots are computed as `f32` and rounded, which
//! gives what rounding once would, since 24 bits are more than twice 11.

use half::f16;

use super::value::{exponent32, flush, fract32, fraction32, max32, min32};
use crate::lanes::{F16, F32, I16, U32};

const JOINS: bool = false;

/// `a * b + c`, rounded once.
#[inline(always)]
fn fused(a: f16, b: f16, c: f16) -> f16 {
    let (a, b, c) = (a.to_f64(), b.to_f64(), c.to_f64());
    // The product is exact. A sum that isn't becomes odd in its last bit, so that it lies on the
    // right side of every tie of the narrower type.
    let product = a * b;
    let sum = product + c;
    let part = sum - product;
    let error = (product - (sum - part)) + (c - part);
    let odd = if error == 0.0 || !sum.is_finite() || sum.to_bits() & 1 == 1 {
        sum
    } else if error > 0.0 {
        sum.next_up()
    } else {
        sum.next_down()
    };
    f16::from_f64(odd)
}

/// The division's last step: see `v_div_fixup_f32`.
#[inline(always)]
fn fixup(quotient: f16, denominator: f16, numerator: f16) -> f16 {
    let sign = numerator.is_sign_negative() != denominator.is_sign_negative();
    let signed = |bits: u16| f16::from_bits(bits | if sign { 0x8000 } else { 0 });
    let zero = |value: f16| value.to_bits() & 0x7fff == 0;
    if numerator.is_nan() {
        f16::from_bits(numerator.to_bits() | 0x200)
    } else if denominator.is_nan() {
        f16::from_bits(denominator.to_bits() | 0x200)
    } else if (zero(numerator) && zero(denominator))
        || (numerator.is_infinite() && denominator.is_infinite())
    {
        f16::from_bits(0xfe00)
    } else if zero(denominator) || numerator.is_infinite() {
        signed(0x7c00)
    } else if denominator.is_infinite() || zero(numerator) {
        signed(0)
    } else if !quotient.is_finite() {
        signed(0x7c00)
    } else {
        signed(quotient.to_bits() & 0x7fff)
    }
}

/// The value times a power of two, rounded once.
#[inline(always)]
fn ldexp(value: f16, power: i16) -> f16 {
    let power = i32::from(power).clamp(-60, 60);
    f16::from_f64(value.to_f64() * f64::from_bits(((power + 1023) as u64) << 52))
}

/// An operation of `f32`, rounded.
#[inline(always)]
fn by_f32<const N: usize>(values: [f16; N], operation: impl Fn([f32; N]) -> f32) -> f16 {
    f16::from_f32(operation(values.map(f16::to_f32)))
}

super::operations! {
    "v_add_f16" (a: F16, b: F16) -> F16 = by_f32([a, b], |[a, b]| a + b);
    "v_sub_f16" (a: F16, b: F16) -> F16 = by_f32([a, b], |[a, b]| a - b);
    "v_subrev_f16" (a: F16, b: F16) -> F16 = by_f32([a, b], |[a, b]| b - a);
    "v_mul_f16" (a: F16, b: F16) -> F16 = by_f32([a, b], |[a, b]| a * b);
    "v_fma_f16" (a: F16, b: F16, c: F16) -> F16 = fused(a, b, c);
    "v_fmac_f16" (a: F16, b: F16, c: F16) -> F16 = fused(a, b, c);
    "v_fmaak_f16" (a: F16, b: F16, c: F16) -> F16 = fused(a, b, c);
    "v_fmamk_f16" (a: F16, b: F16, c: F16) -> F16 = fused(a, b, c);
    "v_min_f16" (a: F16, b: F16) -> F16 = by_f32([a, b], |[a, b]| min32(a, b));
    "v_max_f16" (a: F16, b: F16) -> F16 = by_f32([a, b], |[a, b]| max32(a, b));
    "v_min3_f16" (a: F16, b: F16, c: F16) -> F16 = by_f32([a, b, c], |[a, b, c]| min32(min32(a, b), c));
    "v_max3_f16" (a: F16, b: F16, c: F16) -> F16 = by_f32([a, b, c], |[a, b, c]| max32(max32(a, b), c));
    "v_med3_f16" (a: F16, b: F16, c: F16) -> F16 =
        by_f32([a, b, c], |[a, b, c]| super::value::med3(a, b, c));
    "v_rcp_f16" (a: F16) -> F16 = by_f32([a], |[a]| 1.0 / a);
    "v_rsq_f16" (a: F16) -> F16 = f16::from_f64(1.0 / a.to_f64().sqrt());
    "v_sqrt_f16" (a: F16) -> F16 = by_f32([a], |[a]| a.sqrt());
    "v_exp_f16" (a: F16) -> F16 = f16::from_f64(a.to_f64().exp2());
    "v_log_f16" (a: F16) -> F16 = f16::from_f64(a.to_f64().log2());
    "v_sin_f16" (a: F16) -> F16 = f16::from_f64((a.to_f64().fract() * std::f64::consts::TAU).sin());
    "v_cos_f16" (a: F16) -> F16 = f16::from_f64((a.to_f64().fract() * std::f64::consts::TAU).cos());
    "v_fract_f16" (a: F16) -> F16 = {
        let fraction = by_f32([a], |[a]| fract32(a));
        // Rounding may reach 1, which is out of range.
        if fraction.to_bits() == 0x3c00 { f16::from_bits(0x3bff) } else { fraction }
    };
    "v_trunc_f16" (a: F16) -> F16 = by_f32([a], |[a]| a.trunc());
    "v_ceil_f16" (a: F16) -> F16 = by_f32([a], |[a]| a.ceil());
    "v_floor_f16" (a: F16) -> F16 = by_f32([a], |[a]| a.floor());
    "v_rndne_f16" (a: F16) -> F16 = by_f32([a], |[a]| a.round_ties_even());
    "v_frexp_mant_f16" (a: F16) -> F16 = by_f32([a], |[a]| fraction32(a));
    "v_frexp_exp_i16_f16" (a: F16) -> I16 = exponent32(a.to_f32()) as i16;
    "v_ldexp_f16" (a: F16, b: I16) -> F16 = ldexp(a, b);
    "v_div_fixup_f16" (a: F16, b: F16, c: F16) -> F16 = fixup(a, b, c);
    "v_fma_mix_f32" (a: F32, b: F32, c: F32) -> F32 = a.mul_add(b, c);
    "v_fma_mixlo_f16" (a: F32, b: F32, c: F32) -> F16 = f16::from_f32(a.mul_add(b, c));
    "v_dot2_f32_f16" (a: U32, b: U32, c: F32) -> F32 = {
        let halves = |word: u32| [f16::from_bits(word as u16), f16::from_bits((word >> 16) as u16)];
        let ([a0, a1], [b0, b1]) = (halves(a), halves(b));
        a1.to_f32().mul_add(b1.to_f32(), a0.to_f32().mul_add(b0.to_f32(), flush(c)))
    };
}
