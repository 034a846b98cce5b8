//! Functions of `f32` that are quick and nearly right, for those who ask for them: by name, or for a
//! whole launch by `relaxed(kernel).approximate()`.
//!
//! They are for ordinary numbers: what NaN and infinities give is open, subnormal numbers may count as
//! zero, and results that would overflow are large. Results may differ between targets, each of which may
//! have instructions for some of these; here they are short polynomials, without branches. Limits of
//! their errors stand with each of them, and hold on every target.

// Fused operations are methods of `std`, not of `core`.
extern crate std;

use core::f32::consts::{LN_2, LOG2_E};

use super::two::polynomial;

/// Adding and subtracting this rounds to an integer, which is also in the sum's lowest bits.
const ROUNDER: f32 = 12_582_912.0;

/// `π` as a sum.
const PI: f32 = core::f32::consts::PI;
const PI_REST: f32 = -8.742_278e-8;

/// `2^x`, within 2⁻²¹ of the value. Saturates at the least and the greatest normal number.
#[inline]
pub fn exp2(x: f32) -> f32 {
    exp2_f32(x)
}

/// `e^x`, within `2⁻²¹ + 2⁻²³ |x|` of the value. Saturates as [`exp2`].
#[inline]
pub fn exp(x: f32) -> f32 {
    exp_f32(x)
}

/// The logarithm to base 2 of a positive normal number, within 2⁻²⁰ of the value, or of 1 if that is more.
#[inline]
pub fn log2(x: f32) -> f32 {
    log2_f32(x)
}

/// The natural logarithm, as [`log2`].
#[inline]
pub fn ln(x: f32) -> f32 {
    log_f32(x)
}

/// The logarithm to base 10, as [`log2`].
#[inline]
pub fn log10(x: f32) -> f32 {
    log10_f32(x)
}

/// `x^y` of a positive normal number, within `2⁻²¹ + 2⁻¹⁹ max(|y|, |y log₂ x|)` of the value. Saturates
/// as [`exp2`].
#[inline]
pub fn powf(x: f32, y: f32) -> f32 {
    pow_f32(x, y)
}

/// The sine, off by at most 2⁻¹⁹ where `|x|` is at most 1000.
#[inline]
pub fn sin(x: f32) -> f32 {
    sin_f32(x)
}

/// The cosine, as [`sin`].
#[inline]
pub fn cos(x: f32) -> f32 {
    cos_f32(x)
}

/// The tangent: the quotient of [`sin`] and [`cos`].
#[inline]
pub fn tan(x: f32) -> f32 {
    tanf(x)
}

/// The hyperbolic tangent, off by at most 2⁻²⁰.
#[inline]
pub fn tanh(x: f32) -> f32 {
    tanhf(x)
}

/// What targets and lowering know these functions by: [`legionella_abi::intrinsic::FAST_PREFIX`] and
/// what follows [`legionella_abi::intrinsic::MATHS_PREFIX`] for the exact ones.
macro_rules! export {
    ($($symbol:literal: fn $name:ident($($argument:ident),+) -> f32 $body:block)*) => {
        $(
            #[unsafe(export_name = concat!("legionella.fast.", $symbol))]
            extern "C" fn $name($($argument: f32),+) -> f32 $body
        )*

        /// All of them, to be named where lowering may need them.
        #[doc(hidden)]
        #[derive(Debug)]
        #[repr(C)]
        pub struct Table {
            $($name: extern "C" fn($(export!(@type $argument)),+) -> f32,)*
        }

        #[doc(hidden)]
        pub static TABLE: Table = Table { $($name,)* };
    };
    (@type $argument:ident) => { f32 };
}

export! {
    "exp2.f32": fn exp2_f32(x) -> f32 {
        let x = x.clamp(-126.0, 127.999_99);
        let sum = x + ROUNDER;
        let f = x - (sum - ROUNDER);
        let p = polynomial!(f; 0.001_339_086_3, 0.009_676_032, 0.055_503_57, 0.240_221_08, LN_2, 1.0);
        // The exponent is added to that of the polynomial, which is near one.
        f32::from_bits(p.to_bits().wrapping_add(sum.to_bits().wrapping_shl(23)))
    }

    "exp.f32": fn exp_f32(x) -> f32 {
        exp2_f32(x * LOG2_E)
    }

    "log2.f32": fn log2_f32(x) -> f32 {
        // From the root of a half on, numbers have the exponent of those above one.
        const ROOT: u32 = 0x3f35_04f3;
        let bits = x.to_bits();
        let exponent = (bits.wrapping_sub(ROOT) as i32) >> 23;
        let t = f32::from_bits(bits.wrapping_sub((exponent as u32).wrapping_shl(23))) - 1.0;
        let p = polynomial!(
            t; -0.142_759_73, 0.232_652_58, -0.249_271_82, 0.287_288_88, -0.360_225_18, 0.480_916_7,
            -0.721_352_93, LOG2_E
        );
        t.mul_add(p, exponent as f32)
    }

    "log.f32": fn log_f32(x) -> f32 {
        log2_f32(x) * LN_2
    }

    "log10.f32": fn log10_f32(x) -> f32 {
        log2_f32(x) * core::f32::consts::LOG10_2
    }

    "pow.f32": fn pow_f32(x, y) -> f32 {
        exp2_f32(y * log2_f32(x))
    }

    "sin.f32": fn sin_f32(x) -> f32 {
        let sum = x.mul_add(core::f32::consts::FRAC_1_PI, ROUNDER);
        let turns = sum - ROUNDER;
        signed_sine((-turns).mul_add(PI_REST, (-turns).mul_add(PI, x)), sum.to_bits())
    }

    "cos.f32": fn cos_f32(x) -> f32 {
        let sum = x.mul_add(core::f32::consts::FRAC_1_PI, -0.5) + ROUNDER;
        let turns = sum - ROUNDER + 0.5;
        let r = (-turns).mul_add(PI_REST, (-turns).mul_add(PI, x));
        -signed_sine(r, sum.to_bits())
    }

    "tanf": fn tanf(x) -> f32 {
        sin_f32(x) / cos_f32(x)
    }

    "tanhf": fn tanhf(x) -> f32 {
        1.0 - 2.0 / (exp2_f32(x * (2.0 * LOG2_E)) + 1.0)
    }
}

/// The sine of at most a right angle, with its sign changed if a number is odd.
#[inline(always)]
fn signed_sine(r: f32, turns: u32) -> f32 {
    let square = r * r;
    let p = polynomial!(square; -0.000_185_225_4, 0.008_313_191, -0.166_656_77, 0.999_999_2);
    f32::from_bits((r * p).to_bits() ^ turns.wrapping_shl(31))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every so many of all numbers within a range.
    fn sweep(from: f32, to: f32, check: impl Fn(f32)) {
        let mut x = from;
        let step = (to - from) / 200_003.0;
        while x < to {
            check(x);
            x += step;
        }
        // Small ones as well.
        for exponent in -120..0 {
            let x = 2f32.powi(exponent) * 1.337;
            [x, -x]
                .into_iter()
                .filter(|x| (from..to).contains(x))
                .for_each(&check);
        }
    }

    #[track_caller]
    fn near(what: &str, x: f32, found: f32, exact: f64, limit: f64) {
        let off = (f64::from(found) - exact).abs();
        assert!(
            off <= limit,
            "{what}({x:e}) is {found:e}, off by {off:e} of {limit:e}"
        );
    }

    #[test]
    fn errors_are_within_their_limits() {
        let unit = |bits: i32| 2f64.powi(-bits);
        sweep(-125.0, 127.9, |x| {
            let exact = f64::from(x).exp2();
            near("exp2", x, exp2(x), exact, exact * unit(21));
        });
        sweep(-86.0, 88.0, |x| {
            let exact = f64::from(x).exp();
            let limit = exact * (unit(21) + unit(23) * f64::from(x.abs()));
            near("exp", x, exp(x), exact, limit);
        });
        sweep(-1000.0, 1000.0, |x| {
            near("sin", x, sin(x), f64::from(x).sin(), unit(19));
            near("cos", x, cos(x), f64::from(x).cos(), unit(19));
            near("tanh", x, tanh(x), f64::from(x).tanh(), unit(20));
        });
        sweep(f32::MIN_POSITIVE, 2.0, |x| {
            for (name, found, exact) in [
                ("log2", log2(x), f64::from(x).log2()),
                ("ln", ln(x), f64::from(x).ln()),
                ("log10", log10(x), f64::from(x).log10()),
            ] {
                near(name, x, found, exact, unit(20) * exact.abs().max(1.0));
            }
        });
        sweep(0.01, 50.0, |x| {
            near(
                "log2",
                x,
                log2(x),
                f64::from(x).log2(),
                unit(20) * f64::from(x).log2().abs().max(1.0),
            );
            for y in [-3.0, -0.5, 0.1, 1.0, 2.5, 10.0] {
                let exact = f64::from(x).powf(f64::from(y));
                let size = (f64::from(y) * f64::from(x).log2())
                    .abs()
                    .max(f64::from(y).abs());
                near(
                    "powf",
                    x,
                    powf(x, y),
                    exact,
                    exact * (unit(21) + unit(19) * size),
                );
            }
        });
    }

    #[test]
    fn what_is_too_large_or_too_small_saturates() {
        assert!(exp2(1e9) > 3.4e38 && exp2(1e9).is_finite());
        assert!(exp(-1e9) < 1.2e-38 && exp(-1e9) >= 0.0);
        assert_eq!((tanh(100.0), tanh(-100.0)), (1.0, -1.0));
    }
}
