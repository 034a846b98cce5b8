//! Reads the operands of accesses to memory, and of exchanges between lanes by its crossbar.

use super::build::Builder;
use super::instruction::{Access, Action, Atomic, Crossbar, Kind, Space};
use super::memory::form;
use super::operand::Operand;
use super::text::number;
use crate::lanes::Type;

/// Exchanges between lanes.
pub const CROSSBAR: [&str; 3] = ["ds_permute_b32", "ds_bpermute_b32", "ds_swizzle_b32"];

impl Builder<'_> {
    pub(super) fn memory(&mut self, name: &str) -> Result<(), String> {
        let offset = self.line.value("offset").map_or(Some(0), number);
        match name {
            "ds_bpermute_b32" | "ds_permute_b32" => {
                let offset = offset.ok_or("the offset")?;
                self.destination(0, 1)?;
                self.source(0, 1, Type::B32)?;
                self.source(1, 2, Type::B32)?;
                self.instruction.kind = Kind::Crossbar(if name == "ds_permute_b32" {
                    Crossbar::Forward(offset)
                } else {
                    Crossbar::Backward(offset)
                });
                return Ok(());
            }
            "ds_swizzle_b32" => {
                let pattern = self.line.value("offset").unwrap_or("0");
                self.destination(0, 1)?;
                self.source(1, 1, Type::B32)?;
                self.instruction.kind = Kind::Crossbar(Crossbar::Swizzle(swizzle(pattern)?));
                return Ok(());
            }
            _ => {}
        }
        const KNOWN: &[&str] = &[
            "offset", "offset0", "offset1", "glc", "slc", "dlc", "sc0", "sc1", "nt", "scc", "offen",
        ];
        if let Some((name, _)) = self
            .line
            .modifiers
            .iter()
            .find(|(name, _)| !KNOWN.contains(name))
        {
            return Err(format!("the modifier {name}"));
        }
        let returns = self.line.has("glc") || self.line.has("sc0");
        let form = form(name, returns).ok_or("the mnemonic")?;
        let part = |name| {
            self.line
                .value(name)
                .map_or(Some(0), number)
                .ok_or("the offset")
        };
        let (offset, second) = match form.pair {
            Some(step) => (part("offset0")? * step, Some(part("offset1")? * step)),
            None => (offset.ok_or("the offset")?, None),
        };
        self.instruction.kind = Kind::Memory(Access {
            space: form.space,
            action: form.action,
            offset,
            second,
            coherent: ["glc", "sc0", "sc1"].iter().any(|name| self.line.has(name)),
        });
        if form.space == Space::Buffer {
            return self.buffer(form.action);
        }
        self.memory_operands(name, form.space, form.action, second.is_some())
    }

    fn memory_operands(
        &mut self,
        name: &str,
        space: Space,
        action: Action,
        pair: bool,
    ) -> Result<(), String> {
        let mut next = 0;
        let mut data = 0;
        match action {
            Action::Load { bytes, .. } => {
                let words = usize::from(bytes).div_ceil(4) * if pair { 2 } else { 1 };
                self.destination(0, words)?;
                next = 1;
            }
            Action::Store { bytes, .. } => data = usize::from(bytes).div_ceil(4),
            Action::Atomic { bytes, returns, .. } => {
                data = usize::from(bytes) / 4;
                if returns {
                    self.destination(0, data)?;
                    next = 1;
                }
            }
        }
        let based = matches!(space, Space::Global | Space::Scratch);
        let base = if based {
            self.operand(
                self.line.operands.len() - 1,
                Type::B64,
                if space == Space::Global { 2 } else { 1 },
            )?
            .operand
        } else {
            Operand::None
        };
        self.instruction.sources[3] = base;
        let wide = space == Space::Flat || (space == Space::Global && base == Operand::None);
        let address = self.operand(next, Type::B32, if wide { 2 } else { 1 })?;
        self.instruction.sources[0] = address.operand;
        if data == 0 {
            return Ok(());
        }
        let compares = matches!(
            action,
            Action::Atomic {
                operation: Atomic::CompareSwap,
                ..
            }
        );
        let packed = compares && space != Space::Local;
        let value = self
            .operand(next + 1, Type::B32, if packed { 2 * data } else { data })?
            .operand;
        self.instruction.sources[1] = value;
        if packed {
            let Operand::Vector(first) = value else {
                return Err("data that is no vector register".into());
            };
            self.instruction.sources[2] = Operand::Vector(first + data as u16);
        } else if compares || pair {
            let other = self.operand(next + 2, Type::B32, data)?.operand;
            self.instruction.sources[2] = other;
            // The older instruction has the value to compare with first.
            if name.contains("cmpst_") {
                self.instruction.sources.swap(1, 2);
            }
        }
        Ok(())
    }

    /// Accesses through a buffer's descriptor, which compiled code uses for scratch memory.
    fn buffer(&mut self, action: Action) -> Result<(), String> {
        let bytes = match action {
            Action::Load { bytes, .. } => {
                self.destination(0, usize::from(bytes).div_ceil(4))?;
                bytes
            }
            Action::Store { bytes, .. } => {
                self.instruction.sources[1] = self
                    .operand(0, Type::B32, usize::from(bytes).div_ceil(4))?
                    .operand;
                bytes
            }
            Action::Atomic { .. } => return Err("atomic access to a buffer".into()),
        };
        debug_assert!(bytes > 0);
        if self.line.has("offen") {
            self.instruction.sources[0] = self.operand(1, Type::B32, 1)?.operand;
        }
        self.operand(2, Type::B32, 4)?;
        self.instruction.sources[3] = self.operand(3, Type::B32, 1)?.operand;
        Ok(())
    }
}

/// The pattern of `ds_swizzle`: a number, or `swizzle(…)`.
fn swizzle(text: &str) -> Result<u16, String> {
    if let Some(value) = number(text) {
        return Ok(value as u16);
    }
    let unknown = || format!("the pattern {text}");
    let inner = text
        .strip_prefix("swizzle(")
        .and_then(|inner| inner.strip_suffix(')'))
        .ok_or_else(unknown)?;
    let parts: Vec<&str> = inner.split(',').map(str::trim).collect();
    let value = |at: usize| {
        parts
            .get(at)
            .and_then(|text| number(text))
            .map(|value| value as u16)
            .ok_or_else(unknown)
    };
    // Bits 14:10 flip, 9:5 set, 4:0 keep bits of the lane's number.
    Ok(match parts.first() {
        Some(&"QUAD_PERM") => {
            0x8000 | value(1)? | (value(2)? << 2) | (value(3)? << 4) | (value(4)? << 6)
        }
        Some(&"BITMASK_PERM") => {
            let mask = parts.get(1).ok_or_else(unknown)?.trim_matches('"');
            let bit = |set: &[char]| {
                mask.chars().fold(0u16, |bits, character| {
                    (bits << 1) | u16::from(set.contains(&character))
                })
            };
            (bit(&['i']) << 10) | (bit(&['1']) << 5) | bit(&['p', 'i'])
        }
        Some(&"SWAP") => (value(1)? << 10) | 0x1f,
        Some(&"REVERSE") => ((value(1)? - 1) << 10) | 0x1f,
        Some(&"BROADCAST") => {
            let (size, lane) = (value(1)?, value(2)?);
            (lane << 5) | (0x1f & !(size - 1))
        }
        _ => return Err(unknown()),
    })
}
