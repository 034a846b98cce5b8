//! The names under which the driver finds the functions: what rustc makes of the methods of floats,
//! after [`legionella_abi::intrinsic::MATHS_PREFIX`]. For an LLVM intrinsic that is its name without
//! `llvm.`, for a function of the C library its symbol, for an instruction its name and types.

use super::{double, single, wide};

macro_rules! export {
    ($($symbol:literal: fn $name:ident($($argument:ident: $type:ty),+) -> $result:ty = $function:path;)*) => {
        $(
            #[unsafe(export_name = concat!("legionella.maths.", $symbol))]
            extern "C" fn $name($($argument: $type),+) -> $result {
                $function($($argument),+)
            }
        )*
    };
}

export! {
    "exp.f32": fn exp_f32(x: f32) -> f32 = single::exp;
    "exp2.f32": fn exp2_f32(x: f32) -> f32 = single::exp2;
    "log.f32": fn log_f32(x: f32) -> f32 = single::ln;
    "log2.f32": fn log2_f32(x: f32) -> f32 = single::log2;
    "log10.f32": fn log10_f32(x: f32) -> f32 = single::log10;
    "sin.f32": fn sin_f32(x: f32) -> f32 = single::sin;
    "cos.f32": fn cos_f32(x: f32) -> f32 = single::cos;
    "pow.f32": fn pow_f32(x: f32, y: f32) -> f32 = single::powf;
    "powi.f32.i32": fn powi_f32(x: f32, n: i32) -> f32 = single::powi;
    "frem.f32": fn frem_f32(x: f32, y: f32) -> f32 = single::rem;
    "fma.f32": fn fma_f32(a: f32, b: f32, c: f32) -> f32 = single::mul_add;
    "floor.f32": fn floor_f32(x: f32) -> f32 = single::floor;
    "ceil.f32": fn ceil_f32(x: f32) -> f32 = single::ceil;
    "trunc.f32": fn trunc_f32(x: f32) -> f32 = single::trunc;
    "round.f32": fn round_f32(x: f32) -> f32 = single::round;
    "rint.f32": fn rint_f32(x: f32) -> f32 = single::round_ties_even;
    "tanf": fn tanf(x: f32) -> f32 = single::tan;
    "asinf": fn asinf(x: f32) -> f32 = single::asin;
    "acosf": fn acosf(x: f32) -> f32 = single::acos;
    "atanf": fn atanf(x: f32) -> f32 = single::atan;
    "atan2f": fn atan2f(y: f32, x: f32) -> f32 = single::atan2;
    "sinhf": fn sinhf(x: f32) -> f32 = single::sinh;
    "coshf": fn coshf(x: f32) -> f32 = single::cosh;
    "tanhf": fn tanhf(x: f32) -> f32 = single::tanh;
    "expm1f": fn expm1f(x: f32) -> f32 = single::exp_m1;
    "log1pf": fn log1pf(x: f32) -> f32 = single::ln_1p;
    "cbrtf": fn cbrtf(x: f32) -> f32 = single::cbrt;
    "hypotf": fn hypotf(x: f32, y: f32) -> f32 = single::hypot;
    "fdimf": fn fdimf(x: f32, y: f32) -> f32 = single::abs_sub;
    "tgammaf": fn tgammaf(x: f32) -> f32 = single::gamma;
    "erff": fn erff(x: f32) -> f32 = single::erf;
    "erfcf": fn erfcf(x: f32) -> f32 = single::erfc;

    "exp.f64": fn exp_f64(x: f64) -> f64 = double::exp;
    "exp2.f64": fn exp2_f64(x: f64) -> f64 = double::exp2;
    "log.f64": fn log_f64(x: f64) -> f64 = double::ln;
    "log2.f64": fn log2_f64(x: f64) -> f64 = double::log2;
    "log10.f64": fn log10_f64(x: f64) -> f64 = double::log10;
    "sin.f64": fn sin_f64(x: f64) -> f64 = double::sin;
    "cos.f64": fn cos_f64(x: f64) -> f64 = double::cos;
    "pow.f64": fn pow_f64(x: f64, y: f64) -> f64 = double::powf;
    "powi.f64.i32": fn powi_f64(x: f64, n: i32) -> f64 = double::powi;
    "frem.f64": fn frem_f64(x: f64, y: f64) -> f64 = double::rem;
    "fma.f64": fn fma_f64(a: f64, b: f64, c: f64) -> f64 = double::mul_add;
    "floor.f64": fn floor_f64(x: f64) -> f64 = double::floor;
    "ceil.f64": fn ceil_f64(x: f64) -> f64 = double::ceil;
    "trunc.f64": fn trunc_f64(x: f64) -> f64 = double::trunc;
    "round.f64": fn round_f64(x: f64) -> f64 = double::round;
    "rint.f64": fn rint_f64(x: f64) -> f64 = double::round_ties_even;
    "tan": fn tan(x: f64) -> f64 = double::tan;
    "asin": fn asin(x: f64) -> f64 = double::asin;
    "acos": fn acos(x: f64) -> f64 = double::acos;
    "atan": fn atan(x: f64) -> f64 = double::atan;
    "atan2": fn atan2(y: f64, x: f64) -> f64 = double::atan2;
    "sinh": fn sinh(x: f64) -> f64 = double::sinh;
    "cosh": fn cosh(x: f64) -> f64 = double::cosh;
    "tanh": fn tanh(x: f64) -> f64 = double::tanh;
    "expm1": fn expm1(x: f64) -> f64 = double::exp_m1;
    "log1p": fn log1p(x: f64) -> f64 = double::ln_1p;
    "cbrt": fn cbrt(x: f64) -> f64 = double::cbrt;
    "hypot": fn hypot(x: f64, y: f64) -> f64 = double::hypot;
    "fdim": fn fdim(x: f64, y: f64) -> f64 = double::abs_sub;
    "tgamma": fn tgamma(x: f64) -> f64 = double::gamma;
    "erf": fn erf(x: f64) -> f64 = double::erf;
    "erfc": fn erfc(x: f64) -> f64 = double::erfc;

    "uitofp.f32.i128": fn uitofp_f32(n: u128) -> f32 = wide::unsigned_to_single;
    "sitofp.f32.i128": fn sitofp_f32(n: i128) -> f32 = wide::signed_to_single;
    "uitofp.f64.i128": fn uitofp_f64(n: u128) -> f64 = wide::unsigned_to_double;
    "sitofp.f64.i128": fn sitofp_f64(n: i128) -> f64 = wide::signed_to_double;
    "fptoui.sat.i128.f32": fn fptoui_f32(x: f32) -> u128 = wide::single_to_unsigned;
    "fptosi.sat.i128.f32": fn fptosi_f32(x: f32) -> i128 = wide::single_to_signed;
    "fptoui.sat.i128.f64": fn fptoui_f64(x: f64) -> u128 = wide::double_to_unsigned;
    "fptosi.sat.i128.f64": fn fptosi_f64(x: f64) -> i128 = wide::double_to_signed;
}

/// As C has it: the sign goes through a pointer.
#[unsafe(export_name = "legionella.maths.lgammaf_r")]
extern "C" fn lgammaf_r(x: f32, sign: &mut i32) -> f32 {
    let (value, found) = single::ln_gamma(x);
    *sign = found;
    value
}

/// As C has it: the sign goes through a pointer.
#[unsafe(export_name = "legionella.maths.lgamma_r")]
extern "C" fn lgamma_r(x: f64, sign: &mut i32) -> f64 {
    let (value, found) = double::ln_gamma(x);
    *sign = found;
    value
}
