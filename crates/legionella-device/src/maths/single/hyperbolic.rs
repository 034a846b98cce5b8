//! Hyperbolic functions, from `e^x` and its reciprocal with both parts of their sums.

use super::exp::{clamp, mantissa, power_of_two, scale, split};
use crate::maths::two::{Two, polynomial};

/// `m` and `t` of `e^x = 2^n m` and `e^-x = 2^n t`, and `n`, for `x` between 0 and 90.
fn both(x: f32) -> (Two, Two, i32) {
    let (r, n) = split(Two::from(x));
    let m = mantissa(r);
    let t = m.reciprocal();
    let factor = power_of_two(0i32.wrapping_sub(n.wrapping_add(n).min(126)));
    let t = Two {
        h: t.h * factor,
        l: t.l * factor,
    };
    (m, t, n)
}

/// The hyperbolic sine.
pub fn sinh(x: f32) -> f32 {
    let magnitude = x.abs();
    let z = x * x;
    let tail = polynomial!(z; 2.791_538_2e-6, 0.000_198_414_2, 0.008_333_316, 0.166_666_67);
    let near_zero = (magnitude * z).mul_add(tail, magnitude);
    let (m, t, n) = both(clamp(magnitude, 0.0, 90.0));
    let difference = Two::ordered_sum(m.h, -t.h);
    let far = difference.h + (difference.l + (m.l - t.l));
    let far = scale(far, n.wrapping_sub(1));
    let value = if magnitude < 1.0 { near_zero } else { far };
    value.copysign(x)
}

/// The hyperbolic cosine.
pub fn cosh(x: f32) -> f32 {
    let (m, t, n) = both(clamp(x.abs(), 0.0, 90.0));
    let sum = Two::sum(m.h, t.h);
    scale(sum.h + (sum.l + (m.l + t.l)), n.wrapping_sub(1))
}

/// The hyperbolic tangent.
pub fn tanh(x: f32) -> f32 {
    let magnitude = x.abs();
    let z = x * x;
    let tail = polynomial!(z; 0.002_215_332_6, -0.008_249_388, 0.021_726_897, -0.053_950_977, 0.133_332_34, -0.333_333_3);
    let near_zero = (magnitude * z).mul_add(tail, magnitude);
    // 1 - 2 / (e^2x + 1)
    let (r, n) = split(Two::from(clamp(magnitude + magnitude, 0.0, 20.0)));
    let m = mantissa(r);
    let power = power_of_two(n);
    let divisor = Two::ordered_sum(m.h * power, 1.0);
    let quotient = Two {
        h: divisor.h,
        l: m.l.mul_add(power, divisor.l),
    }
    .reciprocal();
    let far = Two::ordered_sum(1.0, -2.0 * quotient.h);
    let far = far.h + (-2.0f32).mul_add(quotient.l, far.l);
    let value = if magnitude < 0.6 { near_zero } else { far };
    value.copysign(x)
}
