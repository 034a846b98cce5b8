//! Operands: registers, constants, and the machine's own values.

use std::fmt;

use crate::lanes::Type;

use super::text::number;

/// Where the condition masks of `vcc` are among scalar registers.
pub const VCC: u16 = 106;
/// The register that reads zero and keeps nothing.
pub const NULL: u16 = 124;
/// The register `m0`.
pub const M0: u16 = 125;
/// The execution mask.
pub const EXEC: u16 = 126;
/// Where what is written to the null register goes.
pub const DISCARD: u16 = 128;
/// Scalar registers in all: the widest load may be discarded.
pub const SCALARS: usize = 144;
/// The number of the first accumulation register among vector registers.
pub const ACCUMULATORS: u16 = 256;

/// A register, as messages name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// A vector register; from [`ACCUMULATORS`] on an accumulation register.
    Vector(u16),
    /// A scalar register.
    Scalar(u16),
}

impl fmt::Display for Register {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Register::Vector(number) if number >= ACCUMULATORS => {
                write!(formatter, "a{}", number - ACCUMULATORS)
            }
            Register::Vector(number) => write!(formatter, "v{number}"),
            Register::Scalar(VCC) => formatter.write_str("vcc_lo"),
            Register::Scalar(107) => formatter.write_str("vcc_hi"),
            Register::Scalar(M0) => formatter.write_str("m0"),
            Register::Scalar(EXEC) => formatter.write_str("exec_lo"),
            Register::Scalar(127) => formatter.write_str("exec_hi"),
            Register::Scalar(number) => write!(formatter, "s{number}"),
        }
    }
}

/// Values that the machine gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Special {
    /// The condition code.
    Scc,
    /// Whether `vcc` is zero.
    VccZero,
    /// Whether the execution mask is zero.
    ExecZero,
}

/// An operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand {
    /// There is none.
    None,
    /// Vector registers from this one on.
    Vector(u16),
    /// Scalar registers from this one on.
    Scalar(u16),
    /// A constant, of 64 bits where the operand has as many.
    Constant(u64),
    /// A value of the machine's.
    Special(Special),
}

/// An operand with the modifiers that are written around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// The operand.
    pub operand: Operand,
    /// `-`, `neg(…)`.
    pub negate: bool,
    /// `|…|`, `abs(…)`.
    pub absolute: bool,
    /// `sext(…)`.
    pub extend: bool,
    /// The half that a suffix `.l` or `.h` names.
    pub high: Option<bool>,
}

/// The upper half of addresses in a work-group's memory.
pub const SHARED_BASE: u64 = 0x0001_0000_0000_0000;
/// The upper half of addresses in a work-item's memory.
pub const PRIVATE_BASE: u64 = 0x0002_0000_0000_0000;

/// Reads an operand of a type.
///
/// Constants are as the type has them: floating-point notation becomes the bits of the type, a
/// literal for a 64-bit floating-point operand is its upper half, and others extend by their sign.
pub fn parse(text: &str, kind: Type) -> Option<Parsed> {
    let mut parsed = Parsed {
        operand: Operand::None,
        negate: false,
        absolute: false,
        extend: false,
        high: None,
    };
    let mut rest = text;
    // A number's own sign is part of it; before a register or a bar it negates.
    if let Some(inner) = rest.strip_prefix('-')
        && !inner.starts_with(|first: char| first.is_ascii_digit())
    {
        parsed.negate = true;
        rest = inner;
    }
    loop {
        if let Some(inner) = rest
            .strip_prefix("neg(")
            .and_then(|inner| inner.strip_suffix(')'))
        {
            parsed.negate = true;
            rest = inner;
        } else if let Some(inner) = rest
            .strip_prefix("abs(")
            .and_then(|inner| inner.strip_suffix(')'))
        {
            parsed.absolute = true;
            rest = inner;
        } else if let Some(inner) = rest
            .strip_prefix("sext(")
            .and_then(|inner| inner.strip_suffix(')'))
        {
            parsed.extend = true;
            rest = inner;
        } else if let Some(inner) = rest
            .strip_prefix('|')
            .and_then(|inner| inner.strip_suffix('|'))
        {
            parsed.absolute = true;
            rest = inner;
        } else {
            break;
        }
    }
    if let Some(name) = rest.strip_suffix(".l") {
        parsed.high = Some(false);
        rest = name;
    } else if let Some(name) = rest.strip_suffix(".h") {
        parsed.high = Some(true);
        rest = name;
    }
    parsed.operand = register(rest)
        .or_else(|| named(rest))
        .or_else(|| constant(rest, kind).map(Operand::Constant))?;
    Some(parsed)
}

/// A register of a number, or the first of a range.
fn register(text: &str) -> Option<Operand> {
    let (class, rest) = text.split_at_checked(1)?;
    let (class, rest) = match class {
        "v" | "s" | "a" => (class, rest),
        "t" => ("t", text.strip_prefix("ttmp")?),
        _ => return None,
    };
    let number = match rest.strip_prefix('[') {
        Some(range) => range.strip_suffix(']')?.split(':').next()?,
        None => rest,
    };
    let number: u16 = number.parse().ok()?;
    Some(match class {
        "v" => Operand::Vector(number),
        "a" => Operand::Vector(ACCUMULATORS + number),
        "s" => Operand::Scalar(number),
        _ => Operand::Scalar(108 + number),
    })
}

/// A register or value of a name.
fn named(text: &str) -> Option<Operand> {
    Some(match text {
        "vcc" | "vcc_lo" => Operand::Scalar(VCC),
        "vcc_hi" => Operand::Scalar(VCC + 1),
        "exec" | "exec_lo" => Operand::Scalar(EXEC),
        "exec_hi" => Operand::Scalar(EXEC + 1),
        "m0" => Operand::Scalar(M0),
        "null" => Operand::Scalar(NULL),
        "flat_scratch" | "flat_scratch_lo" => Operand::Scalar(102),
        "flat_scratch_hi" => Operand::Scalar(103),
        "xnack_mask" | "xnack_mask_lo" => Operand::Scalar(104),
        "xnack_mask_hi" => Operand::Scalar(105),
        "off" => Operand::None,
        "scc" | "src_scc" => Operand::Special(Special::Scc),
        "vccz" | "src_vccz" => Operand::Special(Special::VccZero),
        "execz" | "src_execz" => Operand::Special(Special::ExecZero),
        // The upper half is the aperture; instructions of 32 bits see that half too.
        "src_shared_base" => Operand::Constant(SHARED_BASE),
        "src_shared_limit" => Operand::Constant(SHARED_BASE | 0xffff_ffff),
        "src_private_base" => Operand::Constant(PRIVATE_BASE),
        "src_private_limit" => Operand::Constant(PRIVATE_BASE | 0xffff_ffff),
        _ => return None,
    })
}

/// The bits of a constant.
fn constant(text: &str, kind: Type) -> Option<u64> {
    if text.contains('.') && !text.starts_with("0x") {
        // 1/2π is a constant of its own, which is the nearest number of the operand's type.
        let value: f64 = text.parse().ok()?;
        return Some(match kind {
            Type::F16 | Type::B16 => u64::from(half::f16::from_f64(value).to_bits()),
            Type::F32 | Type::B32 => u64::from((value as f32).to_bits()),
            Type::F64 | Type::B64 => value.to_bits(),
        });
    }
    let text = text
        .strip_prefix("lit64(")
        .or_else(|| text.strip_prefix("lit("))
        .and_then(|inner| inner.strip_suffix(')'))
        .unwrap_or(text);
    let value = number(text)?;
    Some(match kind {
        Type::F64 if text.contains("0x") && value >> 32 == 0 => (value as u64) << 32,
        Type::F64 => value as u64,
        Type::B64 => value as u64,
        _ => u64::from(value as u32),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn constant_of(text: &str, kind: Type) -> Operand {
        parse(text, kind).unwrap().operand
    }

    #[test]
    fn constants_are_of_their_type() {
        assert_eq!(
            constant_of("1.0", Type::F32),
            Operand::Constant(0x3f80_0000)
        );
        assert_eq!(constant_of("1.0", Type::F16), Operand::Constant(0x3c00));
        assert_eq!(
            constant_of("-4.0", Type::F64),
            Operand::Constant((-4f64).to_bits())
        );
        assert_eq!(
            constant_of("0x40590000", Type::F64),
            Operand::Constant(100f64.to_bits())
        );
        assert_eq!(constant_of("-1", Type::B64), Operand::Constant(u64::MAX));
        assert_eq!(
            constant_of("0.15915494", Type::F32),
            Operand::Constant(0x3e22_f983)
        );
    }

    #[test]
    fn registers_have_modifiers() {
        let parsed = parse("-|v[4:5]|", Type::F64).unwrap();
        assert_eq!(parsed.operand, Operand::Vector(4));
        assert!(parsed.negate && parsed.absolute);
        assert_eq!(parse("v3.h", Type::F16).unwrap().high, Some(true));
        assert_eq!(
            parse("a7", Type::B32).unwrap().operand,
            Operand::Vector(263)
        );
        assert_eq!(
            parse("vcc_lo", Type::B32).unwrap().operand,
            Operand::Scalar(VCC)
        );
        assert!(parse("quux", Type::B32).is_none());
    }
}
