//! Inverse trigonometric functions.

use crate::maths::two::{Two, polynomial};

const HALF_PI: Two = Two {
    h: core::f32::consts::FRAC_PI_2,
    l: -4.371_139e-8,
};
const PI: Two = Two {
    h: core::f32::consts::PI,
    l: -8.742_278e-8,
};

/// `constant - x` for an `x` that is not larger.
fn from_constant(constant: Two, x: Two) -> Two {
    let sum = Two::ordered_sum(constant.h, -x.h);
    Two {
        h: sum.h,
        l: sum.l + (constant.l - x.l),
    }
}

fn choose(condition: bool, yes: Two, no: Two) -> Two {
    if condition { yes } else { no }
}

/// `(asin(√z) - √z) / √z³`, for `z` at most 1/4.
fn arc_sine_tail(z: f32) -> f32 {
    polynomial!(z; 0.037_549_77, 0.014_409_406, 0.031_817_46, 0.044_515_43, 0.075_005_15, 0.166_666_6)
}

/// The arc sine of `x` if that is at most 1/2, and the arc cosine of `x` if that is at least 1/2.
fn near_zero_and_near_one(x: f32) -> (Two, Two) {
    let z = x * x;
    let near_zero = Two {
        h: x,
        l: x * z * arc_sine_tail(z),
    };
    // acos x = 2 asin √((1 - x) / 2)
    let z = 0.5f32.mul_add(-x, 0.5);
    let root = z.sqrt();
    let rest = (-root).mul_add(root, z) / (root + root);
    let rest = if root > 0.0 { rest } else { 0.0 };
    let near_one = Two {
        h: root + root,
        l: 2.0 * (root * z).mul_add(arc_sine_tail(z), rest),
    };
    (near_zero, near_one)
}

/// The arc sine.
pub fn asin(x: f32) -> f32 {
    let magnitude = x.abs();
    let (sine, cosine) = near_zero_and_near_one(magnitude);
    let value = choose(magnitude <= 0.5, sine, from_constant(HALF_PI, cosine));
    value.round().copysign(x)
}

/// The arc cosine.
pub fn acos(x: f32) -> f32 {
    let magnitude = x.abs();
    let (sine, cosine) = near_zero_and_near_one(magnitude);
    let sine = Two {
        h: sine.h.copysign(x),
        l: if x < 0.0 { -sine.l } else { sine.l },
    };
    let outside = choose(x < 0.0, from_constant(PI, cosine), cosine);
    choose(magnitude <= 0.5, from_constant(HALF_PI, sine), outside).round()
}

/// The arc tangent of a sum between 0 and 1.
fn arc_tangent(x: Two) -> Two {
    let z = Two::product(x.h, x.h);
    let tail = polynomial!(
        z.h;
        0.001_088_218_2,
        -0.007_186_720_6,
        0.022_252_446,
        -0.044_339_675,
        0.067_156_38,
        -0.087_990_88,
        0.110_548_1,
        -0.142_792_68,
        0.199_996_23
    );
    let tail = Two::ordered_sum(-0.333_333_25, z.h * tail);
    let cubic = Two::from(x.h).times(z.times(tail));
    let sum = Two::ordered_sum(x.h, cubic.h);
    // The derivative, 1 / (1 + x²), need not be precise.
    let rest = x.l * (-0.5f32).mul_add(z.h, 1.0);
    Two {
        h: sum.h,
        l: sum.l + (cubic.l + rest),
    }
}

/// The arc tangent.
pub fn atan(x: f32) -> f32 {
    let magnitude = x.abs();
    let large = magnitude > 1.0;
    let inverse = Two::from(magnitude).reciprocal();
    let inverse = choose(magnitude < f32::INFINITY, inverse, Two::from(0.0));
    let value = arc_tangent(choose(large, inverse, Two::from(magnitude)));
    let value = choose(large, from_constant(HALF_PI, value), value);
    value.round().copysign(x)
}

/// The angle of the point (`x`, `y`).
pub fn atan2(y: f32, x: f32) -> f32 {
    /// Keeps the rounding error of the quotient of tiny numbers a normal number.
    const LARGER: f32 = 68_719_476_736.0;
    let (width, height) = (x.abs(), y.abs());
    let steep = height > width;
    let (small, large) = if steep {
        (width, height)
    } else {
        (height, width)
    };
    let factor = if large < 1e27 { LARGER } else { 1.0 };
    let (a, b) = (small * factor, large * factor);
    let quotient = a / b;
    let rest = (-quotient).mul_add(b, a) / b;
    let ordinary = (large > 0.0) & (large < f32::INFINITY);
    let extreme = if small == f32::INFINITY { 1.0 } else { 0.0 };
    let ratio = choose(
        ordinary,
        Two {
            h: quotient,
            l: rest,
        },
        Two::from(extreme),
    );
    let value = arc_tangent(ratio);
    let value = choose(steep, from_constant(HALF_PI, value), value);
    let value = choose(x.is_sign_negative(), from_constant(PI, value), value);
    let value = value.round().copysign(y);
    if x.is_nan() | y.is_nan() {
        f32::NAN
    } else {
        value
    }
}
