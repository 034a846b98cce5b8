//! Reads the modifiers of vector instructions.

use super::instruction::{Modifiers, Part, Parts, Pattern, Permute, Rest};
use super::text::{Line, list, number};

/// Modifiers that say nothing of what is computed: caching, scheduling.
const HINTS: &[&str] = &["glc", "slc", "dlc", "sc0", "sc1", "nt", "scc"];

/// Reads a line's modifiers.
///
/// # Errors
/// The first modifier that is not known.
pub fn modifiers(line: &Line<'_>) -> Result<Modifiers, String> {
    let mut modifiers = Modifiers {
        select_high: 0xff,
        ..Modifiers::default()
    };
    let mut permute = Permute {
        pattern: Pattern::Quad([0, 1, 2, 3]),
        rows: 15,
        banks: 15,
        zero: false,
        inactive: false,
    };
    let mut permutes = false;
    let mut parts = Parts {
        sources: [Part::WHOLE; 2],
        extend: 0,
        destination: Part::WHOLE,
        rest: Rest::Zero,
    };
    let mut has_parts = false;
    for &(name, value) in &line.modifiers {
        let unknown = || match value {
            Some(value) => format!("the modifier {name}:{value}"),
            None => format!("the modifier {name}"),
        };
        let bits = || value.and_then(list).map(mask).ok_or_else(unknown);
        let small = || {
            value
                .and_then(number)
                .and_then(|value| u8::try_from(value).ok())
                .ok_or_else(unknown)
        };
        let part = || value.and_then(part).ok_or_else(unknown);
        match name {
            "clamp" => modifiers.clamp = true,
            "mul" => modifiers.multiply = if small()? == 2 { 1 } else { 2 },
            "div" => modifiers.multiply = 3,
            "op_sel" => modifiers.select = bits()?,
            "op_sel_hi" => modifiers.select_high = bits()?,
            "neg_lo" => modifiers.negate = bits()?,
            "neg_hi" => modifiers.negate_high = bits()?,
            "row_mask" => permute.rows = small()?,
            "bank_mask" => permute.banks = small()?,
            "bound_ctrl" => permute.zero = true,
            "dst_sel" => (parts.destination, has_parts) = (part()?, true),
            "src0_sel" => (parts.sources[0], has_parts) = (part()?, true),
            "src1_sel" => (parts.sources[1], has_parts) = (part()?, true),
            "dst_unused" => {
                parts.rest = match value {
                    Some("UNUSED_PAD") => Rest::Zero,
                    Some("UNUSED_SEXT") => Rest::Sign,
                    Some("UNUSED_PRESERVE") => Rest::Keep,
                    _ => return Err(unknown()),
                };
            }
            "fi" => permute.inactive = true,
            _ if HINTS.contains(&name) => {}
            _ => {
                permute.pattern = pattern(name, value).ok_or_else(unknown)?;
                permutes = true;
            }
        }
    }
    modifiers.permute = permutes.then_some(permute);
    modifiers.parts = has_parts.then_some(parts);
    Ok(modifiers)
}

/// A bit for each item of a list.
fn mask(list: Vec<u8>) -> u8 {
    list.iter()
        .enumerate()
        .fold(0, |mask, (at, bit)| mask | ((bit & 1) << at))
}

fn part(name: &str) -> Option<Part> {
    let (shift, bits) = match name {
        "DWORD" => (0, 32),
        "WORD_0" => (0, 16),
        "WORD_1" => (16, 16),
        "BYTE_0" => (0, 8),
        "BYTE_1" => (8, 8),
        "BYTE_2" => (16, 8),
        "BYTE_3" => (24, 8),
        _ => return None,
    };
    Some(Part { shift, bits })
}

fn pattern(name: &str, value: Option<&str>) -> Option<Pattern> {
    let by = || {
        value
            .and_then(number)
            .and_then(|value| u8::try_from(value).ok())
    };
    Some(match name {
        "quad_perm" => Pattern::Quad(list(value?)?.try_into().ok()?),
        "dpp8" => Pattern::Eight(list(value?)?.try_into().ok()?),
        "row_shl" => Pattern::ShiftLeft(by()?),
        "row_shr" => Pattern::ShiftRight(by()?),
        "row_ror" => Pattern::RotateRight(by()?),
        "row_mirror" => Pattern::Mirror,
        "row_half_mirror" => Pattern::HalfMirror,
        "row_share" | "row_newbcast" => Pattern::Share(by()?),
        "row_xmask" => Pattern::Xor(by()?),
        "row_bcast" if by()? == 15 => Pattern::Broadcast15,
        "row_bcast" if by()? == 31 => Pattern::Broadcast31,
        "wave_shl" => Pattern::WaveShiftLeft,
        "wave_shr" => Pattern::WaveShiftRight,
        "wave_rol" => Pattern::WaveRotateLeft,
        "wave_ror" => Pattern::WaveRotateRight,
        _ => return None,
    })
}
