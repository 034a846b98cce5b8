//! Rounding to integers and the fused operation, for machines without instructions for them. They
//! are exact, so it makes no difference which a target uses.

/// From here on all numbers are integers.
const UNIT: f32 = 8_388_608.0;

/// Rounds a number that is not negative.
fn nearest(x: f32) -> f32 {
    if x < UNIT { (x + UNIT) - UNIT } else { x }
}

/// The nearest integer, of two the even one.
pub fn round_ties_even(x: f32) -> f32 {
    nearest(x.abs()).copysign(x)
}

/// The next integer towards zero.
pub fn trunc(x: f32) -> f32 {
    let magnitude = x.abs();
    let near = nearest(magnitude);
    let value = if near > magnitude { near - 1.0 } else { near };
    value.copysign(x)
}

/// The nearest integer, of two the one that is further from zero.
pub fn round(x: f32) -> f32 {
    let whole = trunc(x.abs());
    let up = x.abs() - whole >= 0.5;
    let value = if up { whole + 1.0 } else { whole };
    value.copysign(x)
}

/// The largest integer that is not above `x`.
pub fn floor(x: f32) -> f32 {
    let whole = trunc(x);
    let value = if whole > x { whole - 1.0 } else { whole };
    value.copysign(x)
}

/// The smallest integer that is not below `x`.
pub fn ceil(x: f32) -> f32 {
    let whole = trunc(x);
    let value = if whole < x { whole + 1.0 } else { whole };
    value.copysign(x)
}

/// `a * b + c`, rounded once.
///
/// The product is exact in `f64`. The sum is rounded there to odd, which the second rounding can't
/// tell from the exact sum (Boldo and Melquiond, "Emulation of FMA and correctly rounded sums").
pub fn mul_add(a: f32, b: f32, c: f32) -> f32 {
    let product = f64::from(a) * f64::from(b);
    let c = f64::from(c);
    let sum = product + c;
    let part = sum - product;
    let error = (product - (sum - part)) + (c - part);
    let bits = sum.to_bits();
    // Of the two neighbours the one with an odd last bit: `sum` itself, or the next number in the
    // direction of the error.
    let away = (error > 0.0) == (sum > 0.0);
    let odd = if away {
        bits.wrapping_add(1)
    } else {
        bits.wrapping_sub(1)
    };
    let inexact = (error != 0.0) & sum.is_finite() & (bits & 1 == 0);
    f64::from_bits(if inexact { odd } else { bits }) as f32
}
