//! Errors of the functions of `f32`, in units in the last place, against `libm`'s functions of `f64`,
//! whose own error is below 1e-8 of that unit.

use legionella_device::maths::f32 as ours;

/// A function of one argument with its reference.
pub struct Unary {
    pub name: &'static str,
    pub ours: fn(f32) -> f32,
    pub exact: fn(f64) -> f64,
    /// The largest error that is allowed.
    pub limit: f64,
}

/// A function of two arguments with its reference.
pub struct Binary {
    pub name: &'static str,
    pub ours: fn(f32, f32) -> f32,
    pub exact: fn(f64, f64) -> f64,
    /// The largest error that is allowed.
    pub limit: f64,
}

const fn unary(
    name: &'static str,
    ours: fn(f32) -> f32,
    exact: fn(f64) -> f64,
    limit: f64,
) -> Unary {
    Unary {
        name,
        ours,
        exact,
        limit,
    }
}

pub const UNARY: &[Unary] = &[
    unary("exp", ours::exp, libm::exp, 1.0),
    unary("exp2", ours::exp2, libm::exp2, 1.0),
    unary("exp_m1", ours::exp_m1, libm::expm1, 1.0),
    unary("ln", ours::ln, libm::log, 1.0),
    unary("log2", ours::log2, libm::log2, 1.0),
    unary("log10", ours::log10, libm::log10, 1.0),
    unary("ln_1p", ours::ln_1p, libm::log1p, 1.0),
    unary("sin", ours::sin, libm::sin, 1.0),
    unary("cos", ours::cos, libm::cos, 1.0),
    unary("tan", ours::tan, libm::tan, 1.0),
    unary("asin", ours::asin, libm::asin, 1.0),
    unary("acos", ours::acos, libm::acos, 1.0),
    unary("atan", ours::atan, libm::atan, 1.0),
    unary("sinh", ours::sinh, libm::sinh, 1.0),
    unary("cosh", ours::cosh, libm::cosh, 1.0),
    unary("tanh", ours::tanh, libm::tanh, 1.0),
    unary("cbrt", ours::cbrt, libm::cbrt, 1.0),
];

pub const BINARY: &[Binary] = &[
    Binary {
        name: "powf",
        ours: ours::powf,
        exact: libm::pow,
        limit: 1.0,
    },
    Binary {
        name: "atan2",
        ours: ours::atan2,
        exact: libm::atan2,
        limit: 1.0,
    },
    Binary {
        name: "hypot",
        ours: ours::hypot,
        exact: libm::hypot,
        limit: 1.0,
    },
];

/// The largest error seen, and where.
#[derive(Clone, Copy, Default)]
pub struct Worst<Argument> {
    pub error: f64,
    pub at: Argument,
}

/// Error of a result in units in the last place of the exact one; infinite if one is a NaN or an
/// infinity that the other is not.
pub fn error(found: f32, exact: f64) -> f64 {
    let nearest = exact as f32;
    if nearest.is_nan() || found.is_nan() {
        return if nearest.is_nan() == found.is_nan() {
            0.0
        } else {
            f64::INFINITY
        };
    }
    if exact == 0.0 || exact.is_infinite() || (nearest.is_infinite() && found == nearest) {
        let same = found.to_bits() == nearest.to_bits();
        return if same { 0.0 } else { f64::INFINITY };
    }
    let exponent = libm::ilogb(exact).clamp(-126, 127);
    // Beyond the largest number an infinity stands for the next one.
    let found = if found.is_infinite() {
        f64::from(found.signum()) * 2f64.powi(128)
    } else {
        f64::from(found)
    };
    (found - exact).abs() / 2f64.powi(exponent - 23)
}

/// Measures a function over all arguments of a stride, from `start`.
pub fn unary_worst(function: &Unary, start: u32, stride: u32) -> Worst<f32> {
    let mut worst = Worst::default();
    for bits in (start..=u32::MAX).step_by(stride as usize) {
        let x = f32::from_bits(bits);
        let error = error((function.ours)(x), (function.exact)(f64::from(x)));
        if error > worst.error {
            worst = Worst { error, at: x };
        }
    }
    worst
}

/// Measures a function over a number of random arguments: half of them of any magnitude, half
/// where the results of powers are in range.
pub fn binary_worst(function: &Binary, seed: u64, count: u64) -> Worst<(f32, f32)> {
    let mut worst = Worst::default();
    let mut random = Random::from(seed);
    for round in 0..count {
        let bits = random.next();
        let x = f32::from_bits(bits as u32);
        let y = f32::from_bits((bits >> 32) as u32);
        let (x, y) = if round % 2 == 1 {
            (x, y)
        } else {
            let power = 100.0 / libm::log(f64::from(x.abs()));
            (
                x.abs(),
                (power * (f64::from((bits >> 32) as i32) / 2f64.powi(31))) as f32,
            )
        };
        let error = error(
            (function.ours)(x, y),
            (function.exact)(f64::from(x), f64::from(y)),
        );
        if error > worst.error {
            worst = Worst { error, at: (x, y) };
        }
    }
    worst
}

/// Random numbers: the counter and mixing function of SplitMix64.
pub struct Random(u64);

impl From<u64> for Random {
    fn from(seed: u64) -> Self {
        Random(seed)
    }
}

impl Random {
    /// 64 random bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let bits = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }
}
