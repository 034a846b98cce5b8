//! Operations on single values that take more than an expression.

/// Subnormal numbers become zeros of their sign.
#[inline(always)]
pub fn flush(value: f32) -> f32 {
    if value.abs() < f32::MIN_POSITIVE {
        0f32.copysign(value)
    } else {
        value
    }
}

/// Defines what `f32` and `f64` have alike.
macro_rules! both {
    ($float:ty, $bits:ty, $signed:ty, $mantissa:literal, $bias:literal,
     $min:ident $max:ident $quiet:ident $signals:ident $fract:ident $class:ident $fraction:ident
     $exponent:ident $biased:ident $fixup:ident $scale:ident,
     scale by $by:literal, far $far:literal, tiny $tiny:literal, under $under:literal, $ldexp:ident) => {
        /// Whether it is a signalling NaN.
        #[inline(always)]
        pub fn $signals(value: $float) -> bool {
            value.is_nan() && value.to_bits() & (1 << ($mantissa - 1)) == 0
        }

        /// A NaN that doesn't signal, of the same payload.
        #[inline(always)]
        pub fn $quiet(value: $float) -> $float {
            <$float>::from_bits(value.to_bits() | (1 << ($mantissa - 1)))
        }

        /// The smaller, in the mode IEEE: a quiet NaN gives way to a number, a signalling one
        /// is made quiet; the negative zero is the smaller.
        #[inline(always)]
        pub fn $min(a: $float, b: $float) -> $float {
            if $signals(a) {
                $quiet(a)
            } else if $signals(b) {
                $quiet(b)
            } else if a.is_nan() {
                b
            } else if b.is_nan() || a < b || (a == b && a.is_sign_negative()) {
                a
            } else {
                b
            }
        }

        /// The larger: see the smaller.
        #[inline(always)]
        pub fn $max(a: $float, b: $float) -> $float {
            if $signals(a) {
                $quiet(a)
            } else if $signals(b) {
                $quiet(b)
            } else if a.is_nan() {
                b
            } else if b.is_nan() || a > b || (a == b && a.is_sign_positive()) {
                a
            } else {
                b
            }
        }

        /// What is above the next lower integer; less than 1.
        #[inline(always)]
        pub fn $fract(value: $float) -> $float {
            let below_one = <$float>::from_bits((1.0 as $float).to_bits() - 1);
            let fraction = value - value.floor();
            if fraction > below_one {
                below_one
            } else {
                fraction
            }
        }

        /// Whether the class of a value is among those of a mask (`v_cmp_class`).
        #[inline(always)]
        pub fn $class(value: $float, mask: u32) -> bool {
            let negative = value.is_sign_negative();
            let class = match value.classify() {
                std::num::FpCategory::Nan => u32::from(!$signals(value)),
                std::num::FpCategory::Infinite => {
                    if negative {
                        2
                    } else {
                        9
                    }
                }
                std::num::FpCategory::Normal => {
                    if negative {
                        3
                    } else {
                        8
                    }
                }
                std::num::FpCategory::Subnormal => {
                    if negative {
                        4
                    } else {
                        7
                    }
                }
                std::num::FpCategory::Zero => {
                    if negative {
                        5
                    } else {
                        6
                    }
                }
            };
            (mask >> class) & 1 != 0
        }

        /// The significand between a half and one, with the sign.
        #[inline(always)]
        pub fn $fraction(value: $float) -> $float {
            if value == 0.0 || !value.is_finite() {
                return value;
            }
            $ldexp(value, -$exponent(value))
        }

        /// The power of two that goes with the significand.
        #[inline(always)]
        pub fn $exponent(value: $float) -> i32 {
            if value == 0.0 || !value.is_finite() {
                return 0;
            }
            let bits = value.abs().to_bits();
            let biased = (bits >> $mantissa) as i32;
            if biased != 0 {
                biased - ($bias - 1)
            } else {
                let top = <$bits>::BITS as i32 - 1 - bits.leading_zeros() as i32;
                top - ($mantissa - 1) - ($bias - 1)
            }
        }

        /// The exponent field.
        #[inline(always)]
        fn $biased(value: $float) -> i32 {
            (value.abs().to_bits() >> $mantissa) as i32
        }

        /// The last step of a division: `quotient` unless the operands are special
        /// (`v_div_fixup`: `denominator` is the second source, `numerator` the third).
        #[inline(always)]
        pub fn $fixup(quotient: $float, denominator: $float, numerator: $float) -> $float {
            let sign = numerator.is_sign_negative() != denominator.is_sign_negative();
            let signed = |value: $float| if sign { -value } else { value };
            if numerator.is_nan() {
                $quiet(numerator)
            } else if denominator.is_nan() {
                $quiet(denominator)
            } else if (numerator == 0.0 && denominator == 0.0)
                || (numerator.is_infinite() && denominator.is_infinite())
            {
                -$quiet(<$float>::INFINITY)
            } else if denominator == 0.0 || numerator.is_infinite() {
                signed(<$float>::INFINITY)
            } else if denominator.is_infinite() || numerator == 0.0 {
                signed(0.0)
            } else if $biased(numerator) - $biased(denominator) < $under {
                signed(0.0)
            } else if !quotient.is_finite() {
                // The steps before have overflowed: so does the quotient.
                signed(<$float>::INFINITY)
            } else {
                signed(quotient.abs())
            }
        }

        /// The first step of a division: an operand scaled so that the steps between neither
        /// overflow nor lose bits, and whether the quotient has to be scaled back
        /// (`v_div_scale`: `which` is either of the other two).
        ///
        /// Where the reciprocal of the denominator is subnormal the denominator is scaled down.
        #[inline(always)]
        pub fn $scale(which: $float, denominator: $float, numerator: $float) -> ($float, bool) {
            let is_denominator = which.to_bits() == denominator.to_bits();
            let is_numerator = which.to_bits() == numerator.to_bits();
            if numerator == 0.0 || denominator == 0.0 {
                (<$float>::NAN, false)
            } else if $biased(numerator) - $biased(denominator) >= $far {
                (
                    if is_denominator {
                        $ldexp(which, $by)
                    } else {
                        which
                    },
                    true,
                )
            } else if denominator.is_subnormal() {
                ($ldexp(which, $by), false)
            } else {
                let reciprocal = (1.0 / denominator).is_subnormal();
                let quotient = (numerator / denominator).abs() < <$float>::MIN_POSITIVE
                    && denominator.is_finite();
                if reciprocal && quotient {
                    (
                        if is_denominator {
                            $ldexp(which, -$by)
                        } else {
                            which
                        },
                        true,
                    )
                } else if reciprocal {
                    ($ldexp(which, -$by), false)
                } else if quotient {
                    (
                        if is_numerator {
                            $ldexp(which, $by)
                        } else {
                            which
                        },
                        true,
                    )
                } else if $biased(numerator) <= $tiny {
                    ($ldexp(which, $by), false)
                } else {
                    (which, false)
                }
            }
        }
    };
}

both!(f32, u32, i32, 23, 127,
    min32 max32 quiet32 signals32 fract32 class32 fraction32 exponent32 biased32 div_fixup32 div_scale32,
    scale by 64, far 96, tiny 23, under -150, ldexp32);
both!(f64, u64, i64, 52, 1023,
    min64 max64 quiet64 signals64 fract64 class64 fraction64 exponent64 biased64 div_fixup64 div_scale64,
    scale by 128, far 768, tiny 53, under -1075, ldexp64);

/// The value times a power of two, rounded once.
#[inline(always)]
pub fn ldexp32(value: f32, power: i32) -> f32 {
    // Exact in `f64`, whose range holds every product: a power beyond 300 leaves that of `f32`.
    let factor = f64::from_bits(((power.clamp(-300, 300) + 1023) as u64) << 52);
    (f64::from(value) * factor) as f32
}

/// The value times a power of two, rounded once.
#[inline(always)]
pub fn ldexp64(value: f64, power: i32) -> f64 {
    let two_to = |power: i32| f64::from_bits(((power + 1023) as u64) << 52);
    let mut value = value;
    let mut power = power.clamp(-2300, 2300);
    while power > 1023 {
        value *= two_to(1023);
        power -= 1023;
    }
    // Downwards in steps that leave 53 bits of room, so that only the last one rounds.
    while power < -1022 {
        value *= two_to(-969);
        power += 969;
    }
    value * two_to(power)
}

/// Limited to the range from 0 to 1; 0 of a NaN (mode DX10_CLAMP).
#[inline(always)]
pub fn saturate(value: f64) -> f64 {
    if value > 0.0 { value.min(1.0) } else { 0.0 }
}

/// The median of three; of a NaN, the smallest.
#[inline(always)]
pub fn med3(a: f32, b: f32, c: f32) -> f32 {
    if a.is_nan() || b.is_nan() || c.is_nan() {
        return min32(min32(a, b), c);
    }
    let largest = max32(max32(a, b), c);
    if largest == a {
        max32(b, c)
    } else if largest == b {
        max32(a, c)
    } else {
        max32(a, b)
    }
}

/// Defines `v_div_fmas` where the lane's bit is set.
macro_rules! unscaled {
    ($name:ident, $down:ident, $float:ty, $bits:ty, $biased:ident, $bias:literal, $mantissa:literal,
     $by:literal, $ldexp:ident) => {
        /// `(a * b + c)` scaled down, rounded once.
        #[inline(always)]
        fn $down(a: $float, b: $float, c: $float) -> $float {
            let rounded = a.mul_add(b, c);
            if $biased(rounded) > $by || rounded == 0.0 || !rounded.is_finite() {
                return $ldexp(rounded, -$by);
            }
            // The result is subnormal: its bits are rounded by what is shifted out, and by what
            // rounding the sum has left out.
            let product = a * b;
            let product_error = a.mul_add(b, -product);
            let sum = product + c;
            let part = sum - product;
            let sum_error = (product - (sum - part)) + (c - part);
            let error = ((sum - rounded) + (sum_error + product_error)) * rounded.signum();
            let one: $bits = 1;
            let significand = (rounded.to_bits() & ((one << $mantissa) - 1)) | (one << $mantissa);
            let shift = ($by + 1 - $biased(rounded)) as u32;
            if shift > $mantissa + 1 {
                return (0.0 as $float).copysign(rounded);
            }
            let kept = significand >> shift;
            let left = significand & ((one << shift) - 1);
            let tie = one << (shift - 1);
            let up =
                left > tie || (left == tie && (error > 0.0 || (error == 0.0 && kept & 1 == 1)));
            <$float>::from_bits(kept + <$bits>::from(up)).copysign(rounded)
        }

        /// `v_div_fmas` of a lane whose bit is set: a sum scaled back from `v_div_scale`, rounded once.
        #[inline(always)]
        pub fn $name(a: $float, b: $float, c: $float) -> $float {
            if $biased(c) > $bias {
                $ldexp(a.mul_add(b, c), $by)
            } else {
                $down(a, b, c)
            }
        }
    };
}

unscaled!(unscale32, down32, f32, u32, biased32, 127, 23, 64, ldexp32);
unscaled!(
    unscale64, down64, f64, u64, biased64, 1023, 52, 128, ldexp64
);
