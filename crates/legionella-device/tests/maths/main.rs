//! Errors and special cases of the mathematical functions. The full sweep is the example
//! `maths_error`.

mod double;
mod measure;

use legionella_device::maths::f32 as single;
use measure::{BINARY, UNARY, binary_worst, unary_worst};

/// Coprime to powers of two, so that all low bits occur.
const STRIDE: u32 = 20_011;

#[test]
fn single_precision_is_within_its_limits() {
    for function in UNARY {
        let worst = unary_worst(function, 0, STRIDE);
        let (name, error, at) = (function.name, worst.error, worst.at);
        assert!(error <= function.limit, "{name}({at:?}) is off by {error}");
    }
    for function in BINARY {
        let worst = binary_worst(function, 1, 200_000);
        let (name, error, at) = (function.name, worst.error, worst.at);
        assert!(error <= function.limit, "{name}({at:?}) is off by {error}");
    }
}

/// A function's name, ours and the host's.
type Pair<Float> = (&'static str, fn(Float) -> Float, fn(Float) -> Float);

#[test]
fn double_precision_is_within_its_limits() {
    for function in double::FUNCTIONS.iter().chain(double::COMPOSED) {
        let worst = double::worst(function, 2, 2_000);
        let (name, error, at) = (function.name, worst.error, worst.at);
        assert!(error <= function.limit, "{name}{at:?} is off by {error}");
    }
}

/// C's Annex F, section 10, and what the functions are at their singular points.
#[test]
fn special_cases() {
    use single::*;
    const INF: f32 = f32::INFINITY;
    const NAN: f32 = f32::NAN;
    let cases: &[(&str, f32, f32)] = &[
        ("exp(0)", exp(-0.0), 1.0),
        ("exp(inf)", exp(INF), INF),
        ("exp(-inf)", exp(-INF), 0.0),
        ("exp(nan)", exp(NAN), NAN),
        ("exp(89)", exp(89.0), INF),
        ("exp2(-149)", exp2(-149.0), f32::from_bits(1)),
        ("exp2(127)", exp2(127.0), 2f32.powi(127)),
        ("exp2(128)", exp2(128.0), INF),
        ("exp_m1(-0)", exp_m1(-0.0), -0.0),
        ("exp_m1(-inf)", exp_m1(-INF), -1.0),
        ("exp_m1(inf)", exp_m1(INF), INF),
        ("exp_m1(tiny)", exp_m1(f32::from_bits(1)), f32::from_bits(1)),
        ("ln(0)", ln(0.0), -INF),
        ("ln(-0)", ln(-0.0), -INF),
        ("ln(1)", ln(1.0), 0.0),
        ("ln(-1)", ln(-1.0), NAN),
        ("ln(inf)", ln(INF), INF),
        ("ln(-inf)", ln(-INF), NAN),
        ("ln(nan)", ln(NAN), NAN),
        ("log2(8)", log2(8.0), 3.0),
        ("log2(tiny)", log2(f32::from_bits(1)), -149.0),
        ("log10(1000)", log10(1000.0), 3.0),
        ("ln_1p(-1)", ln_1p(-1.0), -INF),
        ("ln_1p(-2)", ln_1p(-2.0), NAN),
        ("ln_1p(-0)", ln_1p(-0.0), -0.0),
        ("ln_1p(inf)", ln_1p(INF), INF),
        ("ln_1p(nan)", ln_1p(NAN), NAN),
        ("sin(-0)", sin(-0.0), -0.0),
        ("sin(inf)", sin(INF), NAN),
        ("cos(0)", cos(0.0), 1.0),
        ("cos(nan)", cos(NAN), NAN),
        ("tan(-0)", tan(-0.0), -0.0),
        ("tan(-inf)", tan(-INF), NAN),
        ("asin(-0)", asin(-0.0), -0.0),
        ("asin(2)", asin(2.0), NAN),
        ("acos(1)", acos(1.0), 0.0),
        ("acos(-2)", acos(-2.0), NAN),
        ("atan(-0)", atan(-0.0), -0.0),
        ("atan(-inf)", atan(-INF), -core::f32::consts::FRAC_PI_2),
        ("atan(nan)", atan(NAN), NAN),
        ("atan2(0, -0)", atan2(0.0, -0.0), core::f32::consts::PI),
        ("atan2(-0, 0)", atan2(-0.0, 0.0), -0.0),
        (
            "atan2(-1, 0)",
            atan2(-1.0, 0.0),
            -core::f32::consts::FRAC_PI_2,
        ),
        (
            "atan2(inf, inf)",
            atan2(INF, INF),
            core::f32::consts::FRAC_PI_4,
        ),
        ("atan2(1, inf)", atan2(1.0, INF), 0.0),
        ("atan2(1, -inf)", atan2(1.0, -INF), core::f32::consts::PI),
        ("atan2(nan, 1)", atan2(NAN, 1.0), NAN),
        ("sinh(-0)", sinh(-0.0), -0.0),
        ("sinh(-inf)", sinh(-INF), -INF),
        ("cosh(-inf)", cosh(-INF), INF),
        ("cosh(0)", cosh(0.0), 1.0),
        ("tanh(-inf)", tanh(-INF), -1.0),
        ("tanh(-0)", tanh(-0.0), -0.0),
        ("tanh(nan)", tanh(NAN), NAN),
        ("cbrt(-0)", cbrt(-0.0), -0.0),
        ("cbrt(-27)", cbrt(-27.0), -3.0),
        ("cbrt(-inf)", cbrt(-INF), -INF),
        ("cbrt(nan)", cbrt(NAN), NAN),
        ("hypot(3, 4)", hypot(3.0, -4.0), 5.0),
        ("hypot(inf, nan)", hypot(-INF, NAN), INF),
        ("hypot(nan, 1)", hypot(NAN, 1.0), NAN),
        ("hypot(0, 0)", hypot(-0.0, 0.0), 0.0),
        ("powf(nan, 0)", powf(NAN, 0.0), 1.0),
        ("powf(1, nan)", powf(1.0, NAN), 1.0),
        ("powf(2, nan)", powf(2.0, NAN), NAN),
        ("powf(-1, inf)", powf(-1.0, INF), 1.0),
        ("powf(-2, 3)", powf(-2.0, 3.0), -8.0),
        ("powf(-2, 0.5)", powf(-2.0, 0.5), NAN),
        ("powf(-0, -3)", powf(-0.0, -3.0), -INF),
        ("powf(-0, -2)", powf(-0.0, -2.0), INF),
        ("powf(-0, 3)", powf(-0.0, 3.0), -0.0),
        ("powf(-0, 0.5)", powf(-0.0, 0.5), 0.0),
        ("powf(0.5, inf)", powf(0.5, INF), 0.0),
        ("powf(0.5, -inf)", powf(0.5, -INF), INF),
        ("powf(-2, inf)", powf(-2.0, INF), INF),
        ("powf(-inf, 3)", powf(-INF, 3.0), -INF),
        ("powf(-inf, -3)", powf(-INF, -3.0), -0.0),
        ("powf(-inf, 0.5)", powf(-INF, 0.5), INF),
        ("powf(inf, -1)", powf(INF, -1.0), 0.0),
        ("powf(-1, 16777217)", powf(-1.0, 16_777_215.0), -1.0),
        ("powi(3, -2)", powi(3.0, -2), 1.0 / 9.0),
        ("powi(-1, MIN)", powi(-1.0, i32::MIN), 1.0),
        ("rem(-5.5, 2)", rem(-5.5, 2.0), -1.5),
    ];
    for (what, found, expected) in cases {
        let same = found.to_bits() == expected.to_bits() || (found.is_nan() && expected.is_nan());
        assert!(same, "{what} is {found:e}, not {expected:e}");
    }
}

#[test]
fn operations_that_machines_may_lack_are_exact() {
    let functions: &[Pair<f32>] = &[
        ("floor", single::floor, f32::floor),
        ("ceil", single::ceil, f32::ceil),
        ("trunc", single::trunc, f32::trunc),
        ("round", single::round, f32::round),
        (
            "round_ties_even",
            single::round_ties_even,
            f32::round_ties_even,
        ),
    ];
    let halves = (-9..=9).map(|half| half as f32 / 2.0);
    let all = (0..=u32::MAX).step_by(STRIDE as usize).map(f32::from_bits);
    let near = [0.499_999_97, 8_388_607.5, 8_388_609.0, 4_194_304.8].into_iter();
    for x in halves.chain(near).chain(all) {
        for (name, ours, host) in functions {
            let (found, expected) = (ours(x), host(x));
            let same = found.to_bits() == expected.to_bits() || x.is_nan();
            assert!(same, "{name}({x:e}) is {found:e}, not {expected:e}");
        }
    }
    let mut state = 1u64;
    let mut random = || {
        state = state
            .wrapping_mul(0x5851_f42d_4c95_7f2d)
            .wrapping_add(0x1405_7b7e_f767_814f);
        (state >> 32) as u32
    };
    for round in 0..300_000 {
        let (a, b, c) = (random(), random(), random());
        // Exponents apart by as much as matters, in every other round.
        let near = |bits: u32| f32::from_bits((bits & 0x87ff_ffff) | 0x3800_0000);
        let (a, b, c) = if round % 2 == 0 {
            (f32::from_bits(a), f32::from_bits(b), f32::from_bits(c))
        } else {
            (near(a), near(b), near(c))
        };
        let (found, expected) = (single::mul_add(a, b, c), a.mul_add(b, c));
        let same = found.to_bits() == expected.to_bits() || (found.is_nan() && expected.is_nan());
        assert!(same, "{a:e} * {b:e} + {c:e} is {found:e}, not {expected:e}");
    }
    // The product is half way between two numbers, and the sum decides.
    let tie = single::mul_add(1.0 + f32::EPSILON, 1.0 + f32::EPSILON, f32::from_bits(1));
    assert_eq!(
        tie,
        (1.0 + f32::EPSILON).mul_add(1.0 + f32::EPSILON, f32::from_bits(1))
    );
}
