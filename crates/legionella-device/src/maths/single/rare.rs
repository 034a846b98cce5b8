//! Functions that are not worth straight-line code: remainders need as many steps as the exponents
//! are apart, the others exist in unstable Rust only. From the crate `libm`.

/// `x % y`: exact, with the sign of `x`.
pub fn rem(x: f32, y: f32) -> f32 {
    libm::fmodf(x, y)
}

/// `x - y` if that is positive, else zero.
pub fn abs_sub(x: f32, y: f32) -> f32 {
    if x <= y { 0.0 } else { x - y }
}

/// The gamma function.
pub fn gamma(x: f32) -> f32 {
    libm::tgammaf(x)
}

/// The logarithm of the gamma function's magnitude, and its sign.
pub fn ln_gamma(x: f32) -> (f32, i32) {
    libm::lgammaf_r(x)
}

/// The error function.
pub fn erf(x: f32) -> f32 {
    libm::erff(x)
}

/// One less the error function.
pub fn erfc(x: f32) -> f32 {
    libm::erfcf(x)
}
