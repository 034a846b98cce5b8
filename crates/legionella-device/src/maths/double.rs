//! Mathematical functions of `f64` (see [`maths`](super)), from the crate `libm`, with its special
//! cases (C's Annex F) and errors. The functions have the names of the methods of `f64`.

macro_rules! from_libm {
    ($($(#[$docs:meta])* $name:ident($($argument:ident),+) = $function:ident;)*) => {
        $(
            $(#[$docs])*
            pub fn $name($($argument: f64),+) -> f64 {
                libm::$function($($argument),+)
            }
        )*
    };
}

from_libm! {
    /// `e` to the power of `x`.
    exp(x) = exp;
    /// 2 to the power of `x`.
    exp2(x) = exp2;
    /// `e^x - 1`, precise near zero.
    exp_m1(x) = expm1;
    /// The natural logarithm.
    ln(x) = log;
    /// The logarithm to base 2.
    log2(x) = log2;
    /// The logarithm to base 10.
    log10(x) = log10;
    /// `ln(1 + x)`, precise near zero.
    ln_1p(x) = log1p;
    /// `x` to the power of `y`.
    powf(x, y) = pow;
    /// The sine.
    sin(x) = sin;
    /// The cosine.
    cos(x) = cos;
    /// The tangent.
    tan(x) = tan;
    /// The arc sine.
    asin(x) = asin;
    /// The arc cosine.
    acos(x) = acos;
    /// The arc tangent.
    atan(x) = atan;
    /// The angle of the point (`x`, `y`).
    atan2(y, x) = atan2;
    /// The hyperbolic sine.
    sinh(x) = sinh;
    /// The hyperbolic cosine.
    cosh(x) = cosh;
    /// The hyperbolic tangent.
    tanh(x) = tanh;
    /// The cube root.
    cbrt(x) = cbrt;
    /// The length of the hypotenuse over `x` and `y`.
    hypot(x, y) = hypot;
    /// `x % y`: exact, with the sign of `x`.
    rem(x, y) = fmod;
    /// The gamma function.
    gamma(x) = tgamma;
    /// The error function.
    erf(x) = erf;
    /// One less the error function.
    erfc(x) = erfc;
    /// The largest integer that is not above `x`.
    floor(x) = floor;
    /// The smallest integer that is not below `x`.
    ceil(x) = ceil;
    /// The next integer towards zero.
    trunc(x) = trunc;
    /// The nearest integer, of two the one that is further from zero.
    round(x) = round;
    /// The nearest integer, of two the even one.
    round_ties_even(x) = rint;
    /// `a * b + c`, rounded once.
    mul_add(a, b, c) = fma;
}

/// The logarithm of the gamma function's magnitude, and its sign.
pub fn ln_gamma(x: f64) -> (f64, i32) {
    libm::lgamma_r(x)
}

/// `x - y` if that is positive, else zero.
pub fn abs_sub(x: f64, y: f64) -> f64 {
    if x <= y { 0.0 } else { x - y }
}

/// `x` to the power of an integer, by repeated squaring: the same products in the same order as the
/// compiler's own on the host. Less precise than [`powf`] for large powers.
pub fn powi(x: f64, n: i32) -> f64 {
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
