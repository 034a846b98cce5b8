//! Conversions between floats and integers of 128 bits, by operations of integers alone: code
//! generators of devices have neither an instruction nor a library for them.
//!
//! Rounding is to nearest, ties to even; towards integers it is towards zero, with the ends of the
//! range for what lies beyond and 0 for what is no number. So Rust defines `as`.

/// A format of floats: how many bits its mantissa has, with the first, which is not stored, and
/// what is added to exponents.
struct Format {
    digits: u32,
    bias: u32,
}

const SINGLE: Format = Format {
    digits: f32::MANTISSA_DIGITS,
    bias: (f32::MAX_EXP - 1) as u32,
};

const DOUBLE: Format = Format {
    digits: f64::MANTISSA_DIGITS,
    bias: (f64::MAX_EXP - 1) as u32,
};

impl Format {
    /// The bits of the float that is nearest to a number.
    fn nearest(&self, number: u128) -> u64 {
        const HALF: u128 = 1 << 127;
        if number == 0 {
            return 0;
        }
        let leading = number.leading_zeros();
        let shifted = number << leading;
        let kept = (shifted >> (128 - self.digits)) as u64;
        let rest = shifted << self.digits;
        let up = rest > HALF || (rest == HALF && kept & 1 == 1);
        // The first bit of the mantissa is added to the exponent, and so is a carry out of it.
        let below = u64::from(127 - leading + self.bias - 1);
        (below << (self.digits - 1)) + kept + u64::from(up)
    }

    /// The whole part of a float without sign; `None` if it has more than 128 bits, as have
    /// infinity and what is no number.
    fn whole(&self, bits: u64) -> Option<u128> {
        let stored = self.digits - 1;
        let exponent = (bits >> stored) as u32;
        let mantissa = u128::from(bits & ((1 << stored) - 1) | 1 << stored);
        let Some(power) = exponent.checked_sub(self.bias) else {
            return Some(0);
        };
        if power >= 128 {
            return None;
        }
        Some(if power >= stored {
            mantissa << (power - stored)
        } else {
            mantissa >> (stored - power)
        })
    }

    fn to_unsigned(&self, magnitude: u64, negative: bool) -> u128 {
        if negative {
            return 0;
        }
        self.whole(magnitude).unwrap_or(u128::MAX)
    }

    fn to_signed(&self, magnitude: u64, negative: bool) -> i128 {
        let whole = self.whole(magnitude).unwrap_or(u128::MAX);
        match (i128::try_from(whole), negative) {
            (Ok(whole), false) => whole,
            (Ok(whole), true) => -whole,
            (Err(_), false) => i128::MAX,
            (Err(_), true) => i128::MIN,
        }
    }
}

pub(super) fn unsigned_to_single(number: u128) -> f32 {
    f32::from_bits(SINGLE.nearest(number) as u32)
}

pub(super) fn signed_to_single(number: i128) -> f32 {
    let magnitude = unsigned_to_single(number.unsigned_abs());
    if number < 0 { -magnitude } else { magnitude }
}

pub(super) fn unsigned_to_double(number: u128) -> f64 {
    f64::from_bits(DOUBLE.nearest(number))
}

pub(super) fn signed_to_double(number: i128) -> f64 {
    let magnitude = unsigned_to_double(number.unsigned_abs());
    if number < 0 { -magnitude } else { magnitude }
}

pub(super) fn single_to_unsigned(x: f32) -> u128 {
    if x.is_nan() {
        return 0;
    }
    SINGLE.to_unsigned(x.abs().to_bits().into(), x < 0.0)
}

pub(super) fn single_to_signed(x: f32) -> i128 {
    if x.is_nan() {
        return 0;
    }
    SINGLE.to_signed(x.abs().to_bits().into(), x < 0.0)
}

pub(super) fn double_to_unsigned(x: f64) -> u128 {
    if x.is_nan() {
        return 0;
    }
    DOUBLE.to_unsigned(x.abs().to_bits(), x < 0.0)
}

pub(super) fn double_to_signed(x: f64) -> i128 {
    if x.is_nan() {
        return 0;
    }
    DOUBLE.to_signed(x.abs().to_bits(), x < 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of every length, with few and with many bits, and neighbours of ties.
    fn numbers() -> impl Iterator<Item = u128> {
        let mut state = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c834_u128;
        (0..128 * 200).map(move |round| {
            state = state
                .wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645)
                .wrapping_add(1);
            let number = (state ^ state >> 64) >> (round % 128);
            match round % 5 {
                0 => number,
                1 => number & !(u128::MAX >> 60),
                2 => (1 << (round % 128)) - 1,
                3 => number >> 30 << 30 | 1 << 29,
                _ => ((number >> 70) << 70) | ((1 << 69) - 1),
            }
        })
    }

    #[test]
    fn integers_round_as_the_host_does() {
        for number in numbers().chain([0, u128::MAX]) {
            assert_eq!(
                unsigned_to_single(number).to_bits(),
                (number as f32).to_bits()
            );
            assert_eq!(
                unsigned_to_double(number).to_bits(),
                (number as f64).to_bits()
            );
            let signed = number as i128;
            assert_eq!(
                signed_to_single(signed).to_bits(),
                (signed as f32).to_bits()
            );
            assert_eq!(
                signed_to_double(signed).to_bits(),
                (signed as f64).to_bits()
            );
        }
    }

    #[test]
    fn floats_are_cut_off_as_the_host_does() {
        let bits = numbers().map(|number| (number ^ number >> 64) as u64);
        let special = [
            f64::NAN,
            f64::INFINITY,
            -f64::INFINITY,
            -0.0,
            1e38,
            -1.7e38,
            3.5e38,
        ];
        for x in bits.map(f64::from_bits).chain(special) {
            assert_eq!(double_to_unsigned(x), x as u128, "{x}");
            assert_eq!(double_to_signed(x), x as i128, "{x}");
            let x = x as f32;
            assert_eq!(single_to_unsigned(x), x as u128, "{x}");
            assert_eq!(single_to_signed(x), x as i128, "{x}");
        }
        for power in 0..=128 {
            for sign in [1.0, -1.0] {
                let x = sign * 2f64.powi(power);
                assert_eq!(double_to_signed(x), x as i128, "{x}");
                assert_eq!(single_to_unsigned(x as f32), x as f32 as u128, "{x}");
            }
        }
    }
}
