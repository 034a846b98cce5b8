//! Trigonometric functions. The argument is reduced by Payne and Hanek's method, which is right for
//! all of them, in integers: the bits of 2/π that matter for a number are multiplied with its
//! mantissa. Its cost is the same for all arguments, so that work-items don't diverge.

use crate::maths::two::{Two, polynomial};

const HALF_PI: Two = Two {
    h: core::f32::consts::FRAC_PI_2,
    l: -4.371_139e-8,
};

/// 2/π in binary, after 26 zeros: bit 0 has weight 2^25.
const TWO_OVER_PI: [u32; 8] = [
    0x0000_0028,
    0xbe60_db93,
    0x9105_4a7f,
    0x09d5_f47d,
    0x4d37_7036,
    0xd8a5_664f,
    0x10e4_107f,
    0x9458_eaf7,
];

/// Arguments below this, which is less than π/4, are not reduced.
const SMALL: f32 = 0.75;

/// `x = q π/2 + r` with `r` between -π/4 and π/4, for a finite `x` that is not negative. Of `q`, the
/// lowest two bits are right.
fn reduce(x: f32) -> (Two, u32) {
    let bits = x.to_bits();
    let mantissa = (bits & 0x007f_ffff) | 0x0080_0000;
    // For numbers from 1/2 on.
    let start = (bits >> 23).wrapping_sub(126);
    let (word, shift) = (start >> 5, start & 31);
    // Bits before `start` only contribute multiples of four quarter turns.
    let [a, b, c, d] = words(word);
    let window = |high: u32, low: u32| {
        high.wrapping_shl(shift) | (low >> 1).wrapping_shr(31u32.wrapping_sub(shift))
    };
    let wide = |word: u32| u64::from(mantissa).wrapping_mul(u64::from(word));
    let turns = (wide(window(a, b)) << 32)
        .wrapping_add(wide(window(b, c)))
        .wrapping_add(wide(window(c, d)) >> 32);
    let quarter = turns.wrapping_add(1 << 61) >> 62;
    let fraction = turns.wrapping_sub(quarter << 62) as i64;

    // 62 bits after the point, in three exact pieces.
    let high = (fraction >> 32) as i32;
    let low = fraction as u32;
    let middle = (((high & 0xff) << 12) as u32 | (low >> 20)) as i32;
    let first = (high >> 8) as f32 * (0.5 / 2_097_152.0);
    let second = middle as f32 * (0.25 / 1_099_511_627_776.0);
    let third = (low & 0x000f_ffff) as i32 as f32 * (0.25 / 1_152_921_504_606_846_976.0);
    let sum = Two::ordered_sum(first, second);
    let fraction = Two::ordered_sum(sum.h, sum.l + third);
    let reduced = fraction.times(HALF_PI).normal();

    if x < SMALL {
        (Two::from(x), 0)
    } else {
        (reduced, quarter as u32)
    }
}

/// Four words of 2/π from a position up to 4 on, by selection: a table in memory would be a gather.
fn words(position: u32) -> [u32; 4] {
    let [a, b, c, d, e, f, g, h] = TWO_OVER_PI;
    let one = if position & 1 != 0 {
        [b, c, d, e, f, g, h]
    } else {
        [a, b, c, d, e, f, g]
    };
    let [a, b, c, d, e, f, _] = one;
    let [a, b, c, d] = if position & 2 != 0 {
        [c, d, e, f]
    } else {
        [a, b, c, d]
    };
    if position & 4 != 0 {
        let [_, _, _, _, e, f, g, h] = TWO_OVER_PI;
        [e, f, g, h]
    } else {
        [a, b, c, d]
    }
}

/// `1 - r²/2`, and `r²` with its rounding error.
struct Square {
    z: Two,
    cosine: f32,
}

fn square(r: Two) -> Square {
    let z = Two::product(r.h, r.h);
    Square {
        z,
        cosine: (-0.5f32).mul_add(z.h, 1.0),
    }
}

fn sine_near_zero(r: Two, square: &Square) -> f32 {
    let z = square.z.h;
    let tail = polynomial!(z; 2.804_443_7e-6, -0.000_198_503, 0.008_333_373, -0.166_666_67);
    r.h + (r.h * z).mul_add(tail, r.l * square.cosine)
}

fn cosine_near_zero(r: Two, square: &Square) -> f32 {
    let Two { h: z, l: z_rest } = square.z;
    let tail = polynomial!(z; -2.866_178_8e-7, 2.481_973_8e-5, -0.001_388_897_4, 0.041_666_668);
    let rounding = (-0.5f32).mul_add(z, 1.0 - square.cosine);
    let rest = (-0.5f32).mul_add(z_rest, -r.h * r.l);
    square.cosine + (rounding + (z * z).mul_add(tail, rest))
}

/// `sin(r + q π/2)`.
fn rotated(r: Two, q: u32) -> f32 {
    let square = square(r);
    let (sine, cosine) = (sine_near_zero(r, &square), cosine_near_zero(r, &square));
    let value = if q & 1 != 0 { cosine } else { sine };
    f32::from_bits(value.to_bits() ^ ((q & 2) << 30))
}

/// The sine.
pub fn sin(x: f32) -> f32 {
    let (r, q) = reduce(x.abs());
    let value = rotated(r, q);
    let value = f32::from_bits(value.to_bits() ^ (x.to_bits() & 0x8000_0000));
    if x.is_finite() { value } else { f32::NAN }
}

/// The cosine.
pub fn cos(x: f32) -> f32 {
    let (r, q) = reduce(x.abs());
    let value = rotated(r, q.wrapping_add(1));
    if x.is_finite() { value } else { f32::NAN }
}

/// The tangent.
pub fn tan(x: f32) -> f32 {
    let (r, q) = reduce(x.abs());
    let z = Two::product(r.h, r.h);
    let tail = polynomial!(
        z.h;
        0.004_414_241_3,
        7.436_027e-6,
        0.010_905_751,
        0.021_252_548,
        0.054_066_382,
        0.133_325_96
    );
    let tail = Two::ordered_sum(0.333_333_52, z.h * tail);
    let cubic = Two::from(r.h).times(z.times(tail));
    let sum = Two::ordered_sum(r.h, cubic.h);
    // The derivative is 1 + tan².
    let rest = (sum.h * sum.h).mul_add(r.l, r.l);
    let tangent = Two {
        h: sum.h,
        l: sum.l + (cubic.l + rest),
    };
    // A zero has no reciprocal, and only the argument zero has that tangent, in quarter turn 0.
    let reciprocal = tangent.reciprocal().round();
    let value = if q & 1 != 0 {
        -reciprocal
    } else {
        tangent.round()
    };
    let value = f32::from_bits(value.to_bits() ^ (x.to_bits() & 0x8000_0000));
    if x.is_finite() { value } else { f32::NAN }
}
