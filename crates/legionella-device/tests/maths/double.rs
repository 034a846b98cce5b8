//! Errors of the functions of `f64`, in units in the last place, against numbers of 320 bits from
//! the crate `astro-float`, which rounds each function correctly.

use astro_float_num::{BigFloat, Consts, RoundingMode};
use legionella_device::maths::f64 as ours;

use crate::measure::Worst;

/// Enough that what cancels in `e^x - 1` and the like leaves more than 64 bits.
const BITS: usize = 320;
const NEAREST: RoundingMode = RoundingMode::ToEven;

/// What a function is in exact arithmetic, of its argument or two.
type Exact = fn(&BigFloat, &BigFloat, &mut Consts) -> BigFloat;

/// A function, where it is measured, and its reference.
pub struct Function {
    pub name: &'static str,
    pub ours: fn(f64, f64) -> f64,
    exact: Exact,
    domain: Domain,
    /// The largest error that is allowed.
    pub limit: f64,
}

/// The arguments that a function is measured at: of either sign if `signed`, with all exponents
/// between two equally often.
struct Domain {
    signed: bool,
    exponents: (i32, i32),
    /// What makes arguments out of two such numbers.
    shape: fn(f64, f64) -> (f64, f64),
}

const fn of(signed: bool, least: i32, most: i32) -> Domain {
    Domain {
        signed,
        exponents: (least, most),
        shape: |x, y| (x, y),
    }
}

const fn shaped(domain: Domain, shape: fn(f64, f64) -> (f64, f64)) -> Domain {
    Domain { shape, ..domain }
}

/// `sinh`, `cosh` and `tanh` are quotients of `e^2x` and constants.
fn powers(x: &BigFloat, constants: &mut Consts) -> (BigFloat, BigFloat) {
    let up = x.exp(BITS, NEAREST, constants);
    let down = x.neg().exp(BITS, NEAREST, constants);
    (up, down)
}

fn one() -> BigFloat {
    BigFloat::from_f64(1.0, BITS)
}

fn twice(x: &BigFloat) -> BigFloat {
    x.mul(&BigFloat::from_f64(2.0, BITS), BITS, NEAREST)
}

fn atan2(y: &BigFloat, x: &BigFloat, constants: &mut Consts) -> BigFloat {
    let angle = y.div(x, BITS, NEAREST).atan(BITS, NEAREST, constants);
    let turn = constants.pi(BITS, NEAREST);
    match (x.is_negative(), y.is_negative()) {
        (false, _) => angle,
        (true, false) => angle.add(&turn, BITS, NEAREST),
        (true, true) => angle.sub(&turn, BITS, NEAREST),
    }
}

macro_rules! functions {
    ($($name:ident, $limit:literal, $domain:expr, $exact:expr;)*) => {
        &[$(Function {
            name: stringify!($name),
            ours: |x, y| call!($name, x, y),
            exact: $exact,
            domain: $domain,
            limit: $limit,
        }),*]
    };
}

macro_rules! call {
    (powf, $x:ident, $y:ident) => {
        ours::powf($x, $y)
    };
    (atan2, $x:ident, $y:ident) => {
        ours::atan2($x, $y)
    };
    (hypot, $x:ident, $y:ident) => {
        ours::hypot($x, $y)
    };
    ($name:ident, $x:ident, $y:ident) => {{
        let _ = $y;
        ours::$name($x)
    }};
}

pub const FUNCTIONS: &[Function] = functions! {
    exp, 1.0, of(true, -60, 9), |x, _, c| x.exp(BITS, NEAREST, c);
    exp2, 1.0, of(true, -60, 9), |x, _, c| BigFloat::from_f64(2.0, BITS).pow(x, BITS, NEAREST, c);
    exp_m1, 1.0, of(true, -60, 9), |x, _, c| x.exp(BITS, NEAREST, c).sub(&one(), BITS, NEAREST);
    ln, 1.0, of(false, -1022, 1023), |x, _, c| x.ln(BITS, NEAREST, c);
    log2, 1.0, of(false, -1022, 1023), |x, _, c| x.log2(BITS, NEAREST, c);
    log10, 1.0, of(false, -1022, 1023), |x, _, c| x.log10(BITS, NEAREST, c);
    ln_1p, 1.0, shaped(of(true, -60, 60), |x, y| (if x <= -1.0 { -x } else { x }, y)),
        |x, _, c| x.add(&one(), BITS, NEAREST).ln(BITS, NEAREST, c);
    sin, 1.0, of(true, -30, 60), |x, _, c| x.sin(BITS, NEAREST, c);
    cos, 1.0, of(true, -30, 60), |x, _, c| x.cos(BITS, NEAREST, c);
    tan, 1.0, of(true, -30, 60), |x, _, c| x.tan(BITS, NEAREST, c);
    asin, 1.0, of(true, -30, -1), |x, _, c| x.asin(BITS, NEAREST, c);
    acos, 1.0, of(true, -60, -1), |x, _, c| x.acos(BITS, NEAREST, c);
    atan, 1.0, of(true, -30, 60), |x, _, c| x.atan(BITS, NEAREST, c);
    sinh, 2.0, of(true, -30, 9), |x, _, c| {
        let (up, down) = powers(x, c);
        up.sub(&down, BITS, NEAREST).div(&twice(&one()), BITS, NEAREST)
    };
    cosh, 2.0, of(true, -30, 9), |x, _, c| {
        let (up, down) = powers(x, c);
        up.add(&down, BITS, NEAREST).div(&twice(&one()), BITS, NEAREST)
    };
    tanh, 3.0, of(true, -30, 5), |x, _, c| {
        let (up, down) = powers(x, c);
        up.sub(&down, BITS, NEAREST).div(&up.add(&down, BITS, NEAREST), BITS, NEAREST)
    };
    cbrt, 1.0, of(true, -1022, 1023), |x, _, _| x.cbrt(BITS, NEAREST);
    powf, 1.0, shaped(of(true, -40, 40), |x, y| {
        let x = x.abs();
        // As large as the result's exponent allows.
        (x, y / 2f64.powi(40) * 1000.0 / libm::log2(x).abs().max(1e-12))
    }), |x, y, c| x.pow(y, BITS, NEAREST, c);
    atan2, 2.0, of(true, -20, 20), atan2;
    hypot, 1.0, of(true, -20, 20), |x, y, _| {
        let squares = x.mul(x, BITS, NEAREST).add(&y.mul(y, BITS, NEAREST), BITS, NEAREST);
        squares.sqrt(BITS, NEAREST)
    };
};

/// What `std` makes of others, measured as the host has it: it loses what cancels.
pub const COMPOSED: &[Function] = &[
    Function {
        name: "asinh",
        ours: |x, _| x.asinh(),
        exact: |x, _, c| x.asinh(BITS, NEAREST, c),
        domain: of(true, -30, 60),
        limit: 4.0,
    },
    Function {
        name: "acosh",
        ours: |x, _| x.acosh(),
        exact: |x, _, c| x.acosh(BITS, NEAREST, c),
        domain: shaped(of(false, -30, 60), |x, y| (1.0 + x, y)),
        limit: 100_000.0,
    },
    Function {
        name: "atanh",
        ours: |x, _| x.atanh(),
        exact: |x, _, c| x.atanh(BITS, NEAREST, c),
        domain: of(true, -30, -1),
        limit: 1_000.0,
    },
];

/// Error of a result in units in the last place of the exact one, which is neither zero nor beyond
/// the range of `f64`. Infinite if the result has another sign, or is not a number.
fn error(found: f64, exact: &BigFloat) -> f64 {
    let (Some(words), Some(exponent)) = (exact.mantissa_digits(), exact.exponent()) else {
        return f64::INFINITY;
    };
    if found.is_nan() || (found != 0.0 && (found < 0.0) != exact.is_negative()) {
        return f64::INFINITY;
    }
    // The value is `mantissa / 2^125 * 2^exponent`: three bits are left for what is found to be
    // above.
    let mut highest = words.iter().rev();
    let (high, low) = (highest.next().unwrap_or(&0), highest.next().unwrap_or(&0));
    let mantissa = (u128::from(*high) << 64 | u128::from(*low)) >> 3;
    let unit = (exponent - 1).max(-1022) - 52;
    // One unit in that scale.
    let shift = unit - exponent + 125;
    let (whole, beyond) = match found.is_infinite() {
        // An infinity stands for the number after the largest.
        true => (1u64 << 53, unit == 1023 - 52),
        false => {
            let magnitude = found.abs();
            let whole = if unit < 0 {
                // In two steps: 2^1074 is no number.
                magnitude * 2f64.powi(-unit / 2) * 2f64.powi(-unit - (-unit / 2))
            } else {
                magnitude / 2f64.powi(unit)
            };
            (whole as u64, whole <= 2f64.powi(54) && whole.fract() == 0.0)
        }
    };
    if !beyond || shift > 125 {
        return f64::INFINITY;
    }
    (u128::from(whole) << shift).abs_diff(mantissa) as f64 / 2f64.powi(shift)
}

/// Measures a function over a number of random arguments.
pub fn worst(function: &Function, seed: u64, count: u64) -> Worst<(f64, f64)> {
    let mut constants = Consts::new().expect("memory for constants");
    let mut worst = Worst::default();
    let mut random = crate::measure::Random::from(seed);
    for _ in 0..count {
        let (least, most) = function.domain.exponents;
        let mut argument = || {
            let bits = random.next();
            let range = (most - least + 1) as u64;
            let exponent = least + (random.next() % range) as i32;
            let magnitude = f64::from_bits(((exponent + 1023) as u64) << 52 | bits >> 12);
            match function.domain.signed && bits & 1 == 1 {
                true => -magnitude,
                false => magnitude,
            }
        };
        let (x, y) = (argument(), argument());
        let (x, y) = (function.domain.shape)(x, y);
        let exact = (function.exact)(
            &BigFloat::from_f64(x, BITS),
            &BigFloat::from_f64(y, BITS),
            &mut constants,
        );
        let outside = exact.is_zero()
            || exact
                .exponent()
                .is_some_and(|exponent| !(-1073..=1024).contains(&exponent));
        if outside {
            continue;
        }
        let error = error((function.ours)(x, y), &exact);
        if error > worst.error {
            worst = Worst { error, at: (x, y) };
        }
    }
    worst
}
