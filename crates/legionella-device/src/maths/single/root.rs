//! Cube root and length of a hypotenuse. Arguments are scaled so that nothing on the way leaves the
//! normal numbers.

use crate::maths::two::Two;

/// The cube root.
pub fn cbrt(x: f32) -> f32 {
    const POWER_60: f32 = 1_152_921_504_606_846_976.0;
    const POWER_20: f32 = 1_048_576.0;
    let magnitude = x.abs();
    let (factor, inverse) = if magnitude > POWER_60 {
        (1.0 / POWER_60, POWER_20)
    } else if magnitude < 1.0 / POWER_60 {
        (POWER_60, 1.0 / POWER_20)
    } else {
        (1.0, 1.0)
    };
    let a = magnitude * factor;
    // A third of the exponent: within 4 %. Then Halley's step: within 2e-5.
    let guess = f32::from_bits((a.to_bits() / 3).wrapping_add(0x2a51_37a0));
    let cube = guess * guess * guess;
    let root = guess * ((cube + (a + a)) / ((cube + cube) + a));
    // Newton's step, with what is missing to `a` computed exactly.
    let square = Two::product(root, root);
    let cube = Two::product(square.h, root);
    let missing = (a - cube.h) - square.l.mul_add(root, cube.l);
    let root = root + missing / (3.0 * square.h);
    let ordinary = (magnitude > 0.0) & (magnitude < f32::INFINITY);
    if ordinary {
        (root * inverse).copysign(x)
    } else {
        x + x
    }
}

/// The length of the hypotenuse over `x` and `y`.
pub fn hypot(x: f32, y: f32) -> f32 {
    const POWER_40: f32 = 1_099_511_627_776.0;
    const POWER_80: f32 = POWER_40 * POWER_40;
    let (x, y) = (x.abs(), y.abs());
    let (long, short) = if x > y { (x, y) } else { (y, x) };
    let (factor, inverse) = if long > POWER_40 {
        (1.0 / POWER_80, POWER_80)
    } else if long < 1.0 / POWER_40 {
        (POWER_80, 1.0 / POWER_80)
    } else {
        (1.0, 1.0)
    };
    let long = Two::product(long * factor, long * factor);
    let short = Two::product(short * factor, short * factor);
    let sum = Two::ordered_sum(long.h, short.h);
    let root = sum.h.sqrt();
    let missing = (-root).mul_add(root, sum.h) + (sum.l + (long.l + short.l));
    let correction = missing / (root + root);
    let length = if root > 0.0 { root + correction } else { root } * inverse;
    let endless = (x == f32::INFINITY) | (y == f32::INFINITY);
    let undefined = x.is_nan() | y.is_nan();
    let length = if undefined { f32::NAN } else { length };
    if endless { f32::INFINITY } else { length }
}
