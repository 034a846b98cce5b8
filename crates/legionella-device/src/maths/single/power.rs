//! Powers: `e^(y ln x)` with the logarithm to some 36 bits.

use super::exp::{LN_2_REST, LN_2_SHORT, exp_of_sum};
use super::log::{ROOT_HALF, ratio, split};
use crate::maths::two::{Two, polynomial};

const TWO_THIRDS: Two = Two {
    h: 0.666_666_7,
    l: -1.986_821_5e-8,
};

/// `ln x` for a positive finite `x`.
fn ln_precise(x: f32) -> Two {
    let (n, k) = split(x, ROOT_HALF);
    let s = ratio(Two::from(n));
    let z = s.times(s);
    let tail = z.h * polynomial!(z.h; 0.195_282_52, 0.221_810_5, 0.285_719_57, 0.4);
    let third = Two::ordered_sum(TWO_THIRDS.h, tail);
    let third = Two {
        h: third.h,
        l: third.l + TWO_THIRDS.l,
    };
    let cubic = s.times(z.times(third));
    let near = Two::ordered_sum(s.h + s.h, cubic.h);
    let near_rest = near.l + (s.l + s.l + cubic.l);
    let sum = Two::ordered_sum(k * LN_2_SHORT, near.h);
    Two::ordered_sum(sum.h, sum.l + k.mul_add(LN_2_REST, near_rest))
}

/// Whether a number that is not negative is an integer, and whether that is odd.
fn integer(y: f32) -> (bool, bool) {
    /// From here on all numbers are integers, and the lowest bit is the unit.
    const UNIT: f32 = 8_388_608.0;
    let large = y >= UNIT;
    let sum = if large { y } else { y + UNIT };
    let whole = large | (sum - UNIT == y);
    let odd = (sum < 2.0 * UNIT) & (sum.to_bits() & 1 != 0);
    (whole, whole & odd)
}

/// `x` to the power of `y`.
pub fn powf(x: f32, y: f32) -> f32 {
    let base = x.abs();
    let product = Two::from(y).times(ln_precise(base));
    let (h, l) = (product.h, product.l);
    let (h, l) = if h > 89.0 { (89.0, 0.0) } else { (h, l) };
    let (h, l) = if h < -104.0 { (-104.0, 0.0) } else { (h, l) };
    let value = exp_of_sum(Two { h, l });

    let edge = if (base == 0.0) == (y > 0.0) {
        0.0
    } else {
        f32::INFINITY
    };
    let is_edge = (base == 0.0) | (base == f32::INFINITY);
    let value = if is_edge { edge } else { value };
    let (whole, odd) = integer(y.abs());
    let value = if x.is_sign_negative() & odd {
        -value
    } else {
        value
    };
    let no_root = (x < 0.0) & !whole & !is_edge;
    let undefined = no_root | x.is_nan() | y.is_nan();
    let value = if undefined { f32::NAN } else { value };
    let one = (y == 0.0) | (x == 1.0) | ((base == 1.0) & (y.abs() == f32::INFINITY));
    if one { 1.0 } else { value }
}

/// `x` to the power of an integer, by repeated squaring: the same products in the same order as the
/// compiler's own on the host. Less precise than [`powf`] for large powers.
pub fn powi(x: f32, n: i32) -> f32 {
    let mut left = n.unsigned_abs();
    let mut square = x;
    let mut result = 1.0;
    loop {
        if left & 1 != 0 {
            result *= square;
        }
        left >>= 1;
        if left == 0 {
            break;
        }
        square *= square;
    }
    if n < 0 { 1.0 / result } else { result }
}
