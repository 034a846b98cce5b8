//! Arithmetic on `f32` and `f64`.
//!
//! What the instruction sets leave open: a NaN that an operation makes is the host's. Reciprocals, roots,
//! exponentials and logarithms of `f32`, which devices approximate, are correctly rounded here, and
//! take and give no subnormal numbers, as the devices': compiled code that is right for this is
//! right for them as far as it corrects both.

use super::value::{
    div_fixup32, div_fixup64, div_scale32, div_scale64, exponent32, exponent64, flush, fract32,
    fract64, fraction32, fraction64, ldexp32, ldexp64, max32, max64, med3, min32, min64, unscale32,
    unscale64,
};
use crate::lanes::{F32, F64, I32, U32};

const JOINS: bool = false;

/// A product and a sum, each rounded, without subnormal numbers (`v_mad_f32`).
#[inline(always)]
fn unfused(a: f32, b: f32, c: f32) -> f32 {
    flush(flush(flush(a) * flush(b)) + flush(c))
}

super::operations! {
    "v_add_f32" (a: F32, b: F32) -> F32 = a + b;
    "v_sub_f32" (a: F32, b: F32) -> F32 = a - b;
    "v_subrev_f32" (a: F32, b: F32) -> F32 = b - a;
    "v_mul_f32" (a: F32, b: F32) -> F32 = a * b;
    "v_mul_dx9_zero_f32" (a: F32, b: F32) -> F32 = if a == 0.0 || b == 0.0 { 0.0 } else { a * b };
    "v_fma_dx9_zero_f32" (a: F32, b: F32, c: F32) -> F32 =
        if a == 0.0 || b == 0.0 { 0.0 + c } else { a.mul_add(b, c) };
    "v_fma_f32" (a: F32, b: F32, c: F32) -> F32 = a.mul_add(b, c);
    "v_fmac_f32" (a: F32, b: F32, c: F32) -> F32 = a.mul_add(b, c);
    "v_fmaak_f32" (a: F32, b: F32, c: F32) -> F32 = a.mul_add(b, c);
    "v_fmamk_f32" (a: F32, b: F32, c: F32) -> F32 = a.mul_add(b, c);
    "v_mad_f32" (a: F32, b: F32, c: F32) -> F32 = unfused(a, b, c);
    "v_mac_f32" (a: F32, b: F32, c: F32) -> F32 = unfused(a, b, c);
    "v_madak_f32" (a: F32, b: F32, c: F32) -> F32 = unfused(a, b, c);
    "v_madmk_f32" (a: F32, b: F32, c: F32) -> F32 = unfused(a, b, c);
    "v_min_f32" (a: F32, b: F32) -> F32 = min32(a, b);
    "v_max_f32" (a: F32, b: F32) -> F32 = max32(a, b);
    "v_min3_f32" (a: F32, b: F32, c: F32) -> F32 = min32(min32(a, b), c);
    "v_max3_f32" (a: F32, b: F32, c: F32) -> F32 = max32(max32(a, b), c);
    "v_med3_f32" (a: F32, b: F32, c: F32) -> F32 = med3(a, b, c);
    "v_minmax_f32" (a: F32, b: F32, c: F32) -> F32 = max32(min32(a, b), c);
    "v_maxmin_f32" (a: F32, b: F32, c: F32) -> F32 = min32(max32(a, b), c);
    "v_rcp_f32" (a: F32) -> F32 = flush(1.0 / flush(a));
    "v_rcp_iflag_f32" (a: F32) -> F32 = flush(1.0 / flush(a));
    "v_rsq_f32" (a: F32) -> F32 = flush((1.0 / f64::from(flush(a)).sqrt()) as f32);
    "v_sqrt_f32" (a: F32) -> F32 = flush(a).sqrt();
    "v_exp_f32" (a: F32) -> F32 = flush(f64::from(flush(a)).exp2() as f32);
    "v_log_f32" (a: F32) -> F32 = flush(f64::from(flush(a)).log2() as f32);
    "v_sin_f32" (a: F32) -> F32 = (f64::from(a).fract() * std::f64::consts::TAU).sin() as f32;
    "v_cos_f32" (a: F32) -> F32 = (f64::from(a).fract() * std::f64::consts::TAU).cos() as f32;
    "v_fract_f32" (a: F32) -> F32 = fract32(a);
    "v_trunc_f32" (a: F32) -> F32 = a.trunc();
    "v_ceil_f32" (a: F32) -> F32 = a.ceil();
    "v_floor_f32" (a: F32) -> F32 = a.floor();
    "v_rndne_f32" (a: F32) -> F32 = a.round_ties_even();
    "v_frexp_mant_f32" (a: F32) -> F32 = fraction32(a);
    "v_frexp_exp_i32_f32" (a: F32) -> I32 = exponent32(a);
    "v_ldexp_f32" (a: F32, b: I32) -> F32 = ldexp32(a, b);
    "v_div_fixup_f32" (a: F32, b: F32, c: F32) -> F32 = div_fixup32(a, b, c);
    "v_div_scale_f32" (a: F32, b: F32, c: F32) -> F32 = div_scale32(a, b, c).0;
    "v_div_scale_f32.vcc" (a: F32, b: F32, c: F32) -> U32 = u32::from(div_scale32(a, b, c).1);
    "v_div_fmas_f32" (a: F32, b: F32, c: F32) -> F32 = a.mul_add(b, c);
    "v_div_fmas_f32.vcc" (a: F32, b: F32, c: F32) -> F32 = unscale32(a, b, c);
    "v_div_fmas_f64" (a: F64, b: F64, c: F64) -> F64 = a.mul_add(b, c);
    "v_div_fmas_f64.vcc" (a: F64, b: F64, c: F64) -> F64 = unscale64(a, b, c);
    "v_add_f64" (a: F64, b: F64) -> F64 = a + b;
    "v_mul_f64" (a: F64, b: F64) -> F64 = a * b;
    "v_fma_f64" (a: F64, b: F64, c: F64) -> F64 = a.mul_add(b, c);
    "v_fmac_f64" (a: F64, b: F64, c: F64) -> F64 = a.mul_add(b, c);
    "v_min_f64" (a: F64, b: F64) -> F64 = min64(a, b);
    "v_max_f64" (a: F64, b: F64) -> F64 = max64(a, b);
    "v_rcp_f64" (a: F64) -> F64 = 1.0 / a;
    "v_rsq_f64" (a: F64) -> F64 = 1.0 / a.sqrt();
    "v_sqrt_f64" (a: F64) -> F64 = a.sqrt();
    "v_fract_f64" (a: F64) -> F64 = fract64(a);
    "v_trunc_f64" (a: F64) -> F64 = a.trunc();
    "v_ceil_f64" (a: F64) -> F64 = a.ceil();
    "v_floor_f64" (a: F64) -> F64 = a.floor();
    "v_rndne_f64" (a: F64) -> F64 = a.round_ties_even();
    "v_frexp_mant_f64" (a: F64) -> F64 = fraction64(a);
    "v_frexp_exp_i32_f64" (a: F64) -> I32 = exponent64(a);
    "v_ldexp_f64" (a: F64, b: I32) -> F64 = ldexp64(a, b);
    "v_div_fixup_f64" (a: F64, b: F64, c: F64) -> F64 = div_fixup64(a, b, c);
    "v_div_scale_f64" (a: F64, b: F64, c: F64) -> F64 = div_scale64(a, b, c).0;
    "v_div_scale_f64.vcc" (a: F64, b: F64, c: F64) -> U32 = u32::from(div_scale64(a, b, c).1);
    "v_mul_legacy_f32" (a: F32, b: F32) -> F32 = if a == 0.0 || b == 0.0 { 0.0 } else { a * b };
    "v_fmac_dx9_zero_f32" (a: F32, b: F32, c: F32) -> F32 =
        if a == 0.0 || b == 0.0 { 0.0 + c } else { a.mul_add(b, c) };
}
