//! From the disassembler's text to an instruction.

use crate::lanes::Type;
use crate::operation::canonical;

use super::instruction::{Instruction, Kind, Modifiers};
use super::modifiers::modifiers;
use super::operand::{DISCARD, EXEC, NULL, Operand, Parsed, Register, parse};
use super::plain::plain;
use super::text::{Line, number};

/// An instruction that can't be executed, and why.
pub fn unknown(why: &str, next: u32) -> Instruction {
    blank(Kind::Unknown(why.into()), next)
}

fn blank(kind: Kind, next: u32) -> Instruction {
    Instruction {
        kind,
        destination: Operand::None,
        carry: Operand::None,
        sources: [Operand::None; 4],
        modifiers: None,
        next,
        uses: Box::default(),
    }
}

/// Reads an instruction's text.
pub fn instruction(text: &str, slot: u32, next: u32) -> Instruction {
    if text.is_empty() {
        return unknown("what LLVM can't decode", next);
    }
    let built = match text.split_once(" :: ") {
        Some((first, second)) => dual(first, second, slot, next),
        None => Builder::new(text, slot, next)
            .build()
            .map(|mut instruction| {
                if let Some(plain) = plain(&instruction) {
                    instruction.kind = Kind::Plain(Box::new(plain));
                }
                instruction
            }),
    };
    built.unwrap_or_else(|why| unknown(&format!("`{text}`: {why}"), next))
}

fn dual(first: &str, second: &str, slot: u32, next: u32) -> Result<Instruction, String> {
    let half = |text: &str| Builder::new(&text.replacen("v_dual_", "v_", 1), slot, next).build();
    let pair = Box::new([half(first)?, half(second)?]);
    let uses = pair
        .iter()
        .flat_map(|half| half.uses.iter().copied())
        .collect();
    let kind = match (plain(&pair[0]), plain(&pair[1])) {
        (Some(first), Some(second)) => Kind::DualPlain(Box::new([first, second])),
        _ => Kind::Dual(pair),
    };
    let mut instruction = blank(kind, next);
    instruction.uses = uses;
    Ok(instruction)
}

/// Puts an instruction together.
pub(super) struct Builder<'a> {
    pub(super) line: Line<'a>,
    pub(super) text: &'a str,
    pub(super) name: String,
    pub(super) slot: u32,
    pub(super) instruction: Instruction,
    uses: Vec<(Register, u8)>,
    pub(super) modifiers: Modifiers,
}

impl<'a> Builder<'a> {
    fn new(text: &'a str, slot: u32, next: u32) -> Builder<'a> {
        let line = Line::parse(text);
        let name = canonical(line.mnemonic).to_owned();
        Builder {
            line,
            text,
            name,
            slot,
            instruction: blank(Kind::Nothing, next),
            uses: Vec::new(),
            modifiers: Modifiers::default(),
        }
    }

    fn build(mut self) -> Result<Instruction, String> {
        let name = self.name.clone();
        if let Some(kind) = self.control(&name)? {
            self.instruction.kind = kind;
        } else if name.starts_with("s_") {
            self.scalar(&name)?;
        } else if name.starts_with("v_") {
            self.modifiers = modifiers(&self.line)?;
            self.vector(&name)?;
            let default = Modifiers {
                select_high: 0xff,
                ..Modifiers::default()
            };
            if self.modifiers != default {
                self.instruction.modifiers = Some(Box::new(self.modifiers));
            }
        } else {
            self.memory(&name)?;
        }
        self.instruction.uses = self.uses.into_boxed_slice();
        Ok(self.instruction)
    }

    // Operands.

    pub(super) fn operand(
        &mut self,
        index: usize,
        kind: Type,
        words: usize,
    ) -> Result<Parsed, String> {
        let text = self
            .line
            .operands
            .get(index)
            .ok_or_else(|| format!("operand {index} is missing"))?;
        let parsed = parse(text, kind).ok_or_else(|| format!("the operand {text}"))?;
        self.uses(parsed.operand, words);
        Ok(parsed)
    }

    pub(super) fn uses(&mut self, operand: Operand, words: usize) {
        let register = match operand {
            Operand::Vector(number) => Register::Vector(number),
            Operand::Scalar(NULL) => return,
            Operand::Scalar(number) => Register::Scalar(number),
            _ => return,
        };
        self.uses.push((register, words as u8));
    }

    pub(super) fn destination(&mut self, index: usize, words: usize) -> Result<(), String> {
        let parsed = self.operand(index, Type::B32, words)?;
        self.instruction.destination = discarded(parsed.operand);
        if parsed.high == Some(true) {
            self.modifiers.select |= 0x80;
        }
        Ok(())
    }

    /// A source of a vector instruction, with its modifiers.
    pub(super) fn source(&mut self, at: usize, index: usize, kind: Type) -> Result<(), String> {
        let parsed = self.operand(index, kind, kind.words())?;
        self.instruction.sources[at] = parsed.operand;
        self.modifiers.negate ^= u8::from(parsed.negate) << at;
        self.modifiers.absolute |= u8::from(parsed.absolute) << at;
        if parsed.high == Some(true) {
            self.modifiers.select |= 1 << at;
        }
        if parsed.extend {
            let parts = self.modifiers.parts.as_mut().ok_or("sext without parts")?;
            parts.extend |= 1 << at;
        }
        Ok(())
    }

    /// The sources of an operation, from this operand on; the last may be the destination.
    pub(super) fn sources(&mut self, first: usize, kinds: &[Type]) -> Result<(), String> {
        let listed = self.line.operands.len().saturating_sub(first);
        for (at, &kind) in kinds.iter().enumerate() {
            if at < listed {
                self.source(at, first + at, kind)?;
            } else if at + 1 == kinds.len() && accumulates(&self.name) {
                self.instruction.sources[at] = self.instruction.destination;
            } else {
                return Err(format!("{} sources instead of {}", listed, kinds.len()));
            }
        }
        if listed > kinds.len() {
            return Err(format!("{} sources instead of {}", listed, kinds.len()));
        }
        self.settle_selection(kinds.len());
        Ok(())
    }

    /// Moves the bit for the destination, which follows those of the sources, to bit 3.
    pub(super) fn settle_selection(&mut self, sources: usize) {
        let select = self.modifiers.select;
        let destination = (select >> sources) & 1 | (select >> 7);
        self.modifiers.select = (select & ((1 << sources) - 1)) | (destination << 3);
    }

    pub(super) fn scalar_operand(&mut self, index: usize, words: usize) -> Result<Operand, String> {
        let kind = if words == 2 { Type::B64 } else { Type::B32 };
        Ok(self.operand(index, kind, words)?.operand)
    }

    pub(super) fn immediate(&self, index: usize) -> Result<i64, String> {
        self.line
            .operands
            .get(index)
            .and_then(|text| number(text))
            .ok_or_else(|| format!("operand {index} is no number"))
    }

    /// An operand that is a mask: two registers of waves of 64, as its text says.
    pub(super) fn mask(&mut self, index: usize) -> Result<Operand, String> {
        let text = self.line.operands.get(index).copied().unwrap_or_default();
        let wide = matches!(text, "vcc" | "exec") || text.contains('[');
        Ok(self
            .operand(index, Type::B32, if wide { 2 } else { 1 })?
            .operand)
    }
}

/// A destination that keeps nothing, if it is the null register.
pub(super) fn discarded(operand: Operand) -> Operand {
    match operand {
        Operand::Scalar(NULL) => Operand::Scalar(DISCARD),
        Operand::Scalar(number) if number > EXEC + 1 => Operand::None,
        operand => operand,
    }
}

/// Whether the destination is the last source.
pub(super) fn accumulates(name: &str) -> bool {
    name.contains("fmac") || name.contains("_mac_") || name.starts_with("v_dot")
}
