//! Comparisons, a bit a lane: `v_cmp_CONDITION_TYPE`, and the same for `v_cmpx`.

use half::f16;

use super::value::{class32, class64};
use super::{Comparison, Test};
use crate::lanes::{F16, F32, F64, I16, I32, I64, LANES, Lane, Lanes, U16, U32, U64};

/// Defines a comparison of two lane types.
macro_rules! comparison {
    ($left:ident, $right:ident, |$a:ident, $b:ident| $value:expr) => {{
        #[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,fma,bmi2"))]
        unsafe fn run(a: *const Lanes, b: *const Lanes) -> u32 {
            let mut mask = 0;
            for lane in 0..LANES {
                // SAFETY: the sources have their types' registers, by the caller's promise.
                let ($a, $b) = unsafe {
                    (
                        <$left as Lane>::get(a, lane),
                        <$right as Lane>::get(b, lane),
                    )
                };
                let holds: bool = $value;
                mask |= u32::from(holds) << lane;
            }
            mask
        }
        static COMPARISON: Comparison = Comparison {
            sources: [<$left as Lane>::TYPE, <$right as Lane>::TYPE],
            run: run as Test,
        };
        Some(&COMPARISON)
    }};
}

macro_rules! integers {
    ($condition:expr, $kind:ident) => {
        match $condition {
            "f" => comparison!($kind, $kind, |_a, _b| false),
            "lt" => comparison!($kind, $kind, |a, b| a < b),
            "eq" => comparison!($kind, $kind, |a, b| a == b),
            "le" => comparison!($kind, $kind, |a, b| a <= b),
            "gt" => comparison!($kind, $kind, |a, b| a > b),
            "ne" => comparison!($kind, $kind, |a, b| a != b),
            "ge" => comparison!($kind, $kind, |a, b| a >= b),
            "t" => comparison!($kind, $kind, |_a, _b| true),
            _ => None,
        }
    };
}

macro_rules! floats {
    ($condition:expr, $kind:ident) => {
        match $condition {
            "f" => comparison!($kind, $kind, |_a, _b| false),
            "lt" => comparison!($kind, $kind, |a, b| a < b),
            "eq" => comparison!($kind, $kind, |a, b| a == b),
            "le" => comparison!($kind, $kind, |a, b| a <= b),
            "gt" => comparison!($kind, $kind, |a, b| a > b),
            "lg" => comparison!($kind, $kind, |a, b| a < b || a > b),
            "ge" => comparison!($kind, $kind, |a, b| a >= b),
            "o" => comparison!($kind, $kind, |a, b| a.partial_cmp(&b).is_some()),
            "u" => comparison!($kind, $kind, |a, b| a.partial_cmp(&b).is_none()),
            "nge" => comparison!($kind, $kind, |a, b| !(a >= b)),
            "nlg" => comparison!($kind, $kind, |a, b| !(a < b || a > b)),
            "ngt" => comparison!($kind, $kind, |a, b| !(a > b)),
            "nle" => comparison!($kind, $kind, |a, b| !(a <= b)),
            "neq" => comparison!($kind, $kind, |a, b| a != b),
            "nlt" => comparison!($kind, $kind, |a, b| !(a < b)),
            "tru" | "t" => comparison!($kind, $kind, |_a, _b| true),
            _ => None,
        }
    };
}

/// The class of an `f16` (`v_cmp_class_f16`).
#[inline(always)]
fn class16(value: f16, mask: u32) -> bool {
    // Subnormal numbers and signalling NaNs of this type are neither as `f32`.
    let magnitude = value.to_bits() & 0x7fff;
    let negative = value.is_sign_negative();
    let class = match magnitude {
        0 => {
            if negative {
                5
            } else {
                6
            }
        }
        1..0x400 => {
            if negative {
                4
            } else {
                7
            }
        }
        0x400..0x7c00 => {
            if negative {
                3
            } else {
                8
            }
        }
        0x7c00 => {
            if negative {
                2
            } else {
                9
            }
        }
        0x7c01..0x7e00 => 0,
        _ => 1,
    };
    (mask >> class) & 1 != 0
}

/// What there may be between `v_cmp_` and the type; not every type has all.
pub const CONDITIONS: [&str; 19] = [
    "f", "lt", "eq", "le", "gt", "ne", "lg", "ge", "o", "u", "nge", "nlg", "ngt", "nle", "neq",
    "nlt", "tru", "t", "class",
];

/// The types.
pub const TYPES: [&str; 9] = [
    "u16", "i16", "u32", "i32", "u64", "i64", "f16", "f32", "f64",
];

/// The comparison of a condition and a type, as mnemonics have them after `v_cmp_` or `v_cmpx_`.
#[expect(
    clippy::neg_cmp_op_on_partial_ord,
    clippy::double_comparisons,
    reason = "as the ISA defines them"
)]
pub fn comparison(condition: &str, kind: &str) -> Option<&'static Comparison> {
    if !CONDITIONS.contains(&condition) || !TYPES.contains(&kind) {
        return None;
    }
    match (condition, kind) {
        ("class", "f16") => comparison!(F16, U32, |a, b| class16(a, b)),
        ("class", "f32") => comparison!(F32, U32, |a, b| class32(a, b)),
        ("class", "f64") => comparison!(F64, U32, |a, b| class64(a, b)),
        (_, "u16") => integers!(condition, U16),
        (_, "i16") => integers!(condition, I16),
        (_, "u32") => integers!(condition, U32),
        (_, "i32") => integers!(condition, I32),
        (_, "u64") => integers!(condition, U64),
        (_, "i64") => integers!(condition, I64),
        (_, "f16") => floats!(condition, F16),
        (_, "f32") => floats!(condition, F32),
        (_, "f64") => floats!(condition, F64),
        _ => None,
    }
}
