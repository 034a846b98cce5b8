//! Reads vector arithmetic.

use super::build::{Builder, accumulates, discarded};
use super::instruction::{Kind, Modifiers};
use super::matrix::{Factor, product};
use super::operand::{M0, Operand, VCC};
use crate::lanes::Type;
use crate::operation::{self, compare};

/// Those that are more than an operation on lanes.
const SPECIAL: [&str; 28] = [
    "v_readlane_b32",
    "v_readfirstlane_b32",
    "v_writelane_b32",
    "v_mbcnt_lo_u32_b32",
    "v_mbcnt_hi_u32_b32",
    "v_swap_b32",
    "v_permlane16_b32",
    "v_permlanex16_b32",
    "v_permlane64_b32",
    "v_movrels_b32",
    "v_movreld_b32",
    "v_cndmask_b32",
    "v_cndmask_b16",
    "v_add_co_u32",
    "v_sub_co_u32",
    "v_subrev_co_u32",
    "v_add_co_ci_u32",
    "v_sub_co_ci_u32",
    "v_subrev_co_ci_u32",
    "v_div_scale_f32",
    "v_div_scale_f64",
    "v_mad_u64_u32",
    "v_mad_i64_i32",
    "v_div_fmas_f32",
    "v_div_fmas_f64",
    "v_fma_mix_f32",
    "v_fma_mixlo_f16",
    "v_fma_mixhi_f16",
];

/// The mnemonics, and others that no machine has: not each operation has a packed form, nor each type each condition.
pub fn names() -> Vec<String> {
    let mut names: Vec<String> = SPECIAL.map(str::to_owned).to_vec();
    for name in operation::names() {
        names.push(name.to_owned());
        if let Some(rest) = name.strip_prefix("v_") {
            names.push(format!("v_pk_{rest}"));
            names.push(format!("v_pk_{}", rest.replace("_nc", "")));
        }
    }
    for condition in compare::CONDITIONS {
        for kind in compare::TYPES {
            if compare::comparison(condition, kind).is_some() {
                names.push(format!("v_cmp_{condition}_{kind}"));
                names.push(format!("v_cmpx_{condition}_{kind}"));
            }
        }
    }
    names
}

impl Builder<'_> {
    pub(super) fn vector(&mut self, name: &str) -> Result<(), String> {
        let kind = match name {
            _ if SPECIAL.contains(&name) => self.special(name)?,
            _ if name.starts_with("v_cmp") => self.comparison(name)?,
            _ if name.starts_with("v_pk_") => self.packed(name)?,
            _ if name.starts_with("v_mfma_") || name.starts_with("v_wmma_") => self.matrix(name)?,
            _ => {
                let mut operation = operation::find(name).ok_or("the mnemonic")?;
                if self.modifiers.clamp && !operation.output.is_float() {
                    operation =
                        operation::find(&format!("{name}.clamp")).ok_or("the modifier clamp")?;
                    self.modifiers.clamp = false;
                }
                self.destination(0, operation.output.words())?;
                self.sources(1, operation.sources)?;
                Kind::Vector(operation)
            }
        };
        self.instruction.kind = kind;
        Ok(())
    }

    fn special(&mut self, name: &str) -> Result<Kind, String> {
        Ok(match name {
            "v_readlane_b32" => {
                self.destination(0, 1)?;
                self.source(0, 1, Type::B32)?;
                self.source(1, 2, Type::B32)?;
                Kind::ReadLane
            }
            "v_readfirstlane_b32" => {
                self.destination(0, 1)?;
                self.source(0, 1, Type::B32)?;
                Kind::ReadFirstLane
            }
            "v_writelane_b32" => {
                self.destination(0, 1)?;
                self.source(0, 1, Type::B32)?;
                self.source(1, 2, Type::B32)?;
                Kind::WriteLane
            }
            "v_mbcnt_lo_u32_b32" | "v_mbcnt_hi_u32_b32" => {
                self.destination(0, 1)?;
                self.sources(1, &[Type::B32, Type::B32])?;
                Kind::CountBelow {
                    high: name.contains("_hi_"),
                }
            }
            "v_swap_b32" => {
                self.destination(0, 1)?;
                self.source(0, 1, Type::B32)?;
                Kind::Swap
            }
            "v_permlane16_b32" | "v_permlanex16_b32" => {
                self.destination(0, 1)?;
                for at in 0..3 {
                    self.source(at, at + 1, Type::B32)?;
                }
                Kind::PermuteRow {
                    across: name.contains('x'),
                }
            }
            "v_permlane64_b32" => {
                self.destination(0, 1)?;
                self.source(0, 1, Type::B32)?;
                Kind::PermuteHalves
            }
            "v_movrels_b32" | "v_movreld_b32" => {
                self.destination(0, 1)?;
                self.source(0, 1, Type::B32)?;
                self.uses(Operand::Scalar(M0), 1);
                Kind::MoveRelative {
                    source: name == "v_movrels_b32",
                }
            }
            "v_cndmask_b32" | "v_cndmask_b16" => {
                let half = name.ends_with("16");
                let kind = if half { Type::F16 } else { Type::F32 };
                self.destination(0, 1)?;
                self.source(0, 1, kind)?;
                self.source(1, 2, kind)?;
                // Of the two-operand form on waves of either size the mask is `vcc`.
                self.instruction.sources[2] = match self.line.operands.get(3) {
                    Some(_) => self.mask(3)?,
                    None => Operand::Scalar(VCC),
                };
                self.settle_selection(2);
                Kind::Select { half }
            }
            "v_add_co_u32" | "v_sub_co_u32" | "v_subrev_co_u32" | "v_add_co_ci_u32"
            | "v_sub_co_ci_u32" | "v_subrev_co_ci_u32" => {
                let carry_in = name.contains("_ci_");
                self.destination(0, 1)?;
                self.instruction.carry = discarded(self.mask(1)?);
                self.source(0, 2, Type::B32)?;
                self.source(1, 3, Type::B32)?;
                if carry_in {
                    self.instruction.sources[2] = self.mask(4)?;
                }
                Kind::Carry {
                    subtract: name.starts_with("v_sub"),
                    reverse: name.starts_with("v_subrev"),
                    carry_in,
                }
            }
            "v_div_scale_f32" | "v_div_scale_f64" | "v_mad_u64_u32" | "v_mad_i64_i32" => {
                let suffix = if name.starts_with("v_mad") {
                    "carry"
                } else {
                    "vcc"
                };
                let first = operation::find(name).ok_or("the mnemonic")?;
                let second = operation::find(&format!("{name}.{suffix}")).ok_or("the mnemonic")?;
                self.destination(0, first.output.words())?;
                self.instruction.carry = discarded(self.mask(1)?);
                self.sources(2, first.sources)?;
                Kind::VectorAndMask(first, second)
            }
            "v_div_fmas_f32" | "v_div_fmas_f64" => {
                let first = operation::find(name).ok_or("the mnemonic")?;
                let second = operation::find(&format!("{name}.vcc")).ok_or("the mnemonic")?;
                self.destination(0, first.output.words())?;
                self.sources(1, first.sources)?;
                self.uses(Operand::Scalar(VCC), 1);
                Kind::VectorByMask(first, second)
            }
            "v_fma_mix_f32" | "v_fma_mixlo_f16" | "v_fma_mixhi_f16" => self.mixed(name)?,
            _ => return Err("the mnemonic".into()),
        })
    }

    fn comparison(&mut self, name: &str) -> Result<Kind, String> {
        let exec = name.starts_with("v_cmpx_");
        let rest = name
            .trim_start_matches("v_cmpx_")
            .trim_start_matches("v_cmp_");
        let (condition, kind) = rest.rsplit_once('_').ok_or("the mnemonic")?;
        let test = compare::comparison(condition, kind).ok_or("the mnemonic")?;
        let mut first = 0;
        if self.line.operands.len() > 2 {
            self.instruction.carry = discarded(self.mask(0)?);
            first = 1;
        }
        self.sources(first, &test.sources)?;
        Ok(Kind::Compare { test, exec })
    }

    fn packed(&mut self, name: &str) -> Result<Kind, String> {
        let rest = &name["v_pk_".len()..];
        let plain = match rest {
            "add_u16" | "sub_u16" | "add_i16" | "sub_i16" => {
                let (verb, kind) = rest.split_at(3);
                format!("v_{verb}_nc{kind}")
            }
            _ => format!("v_{rest}"),
        };
        let mut operation = operation::find(&plain).ok_or("the mnemonic")?;
        if self.modifiers.clamp && !operation.output.is_float() {
            operation = operation::find(&format!("{plain}.clamp")).ok_or("the modifier clamp")?;
            self.modifiers.clamp = false;
        }
        let words = if operation.output.is_half() { 1 } else { 2 };
        self.destination(0, words)?;
        let count = self.line.operands.len() - 1;
        let sources = if rest == "mov_b32" {
            2
        } else {
            operation.sources.len()
        };
        for at in 0..sources {
            if at < count {
                // Modifiers before operands are of both halves.
                let parsed = self.operand(
                    at + 1,
                    operation.sources[at.min(operation.sources.len() - 1)],
                    words,
                )?;
                self.instruction.sources[at] = parsed.operand;
                self.modifiers.negate ^= u8::from(parsed.negate) << at;
                self.modifiers.negate_high ^= u8::from(parsed.negate) << at;
            } else if accumulates(&plain) {
                self.instruction.sources[at] = self.instruction.destination;
            } else {
                return Err(format!("{count} sources instead of {sources}"));
            }
        }
        Ok(if words == 1 {
            Kind::Packed(operation)
        } else {
            Kind::PackedWords(operation)
        })
    }

    fn matrix(&mut self, name: &str) -> Result<Kind, String> {
        let mut product = product(name).ok_or("the mnemonic")?;
        let wide = product.factor == Factor::F64;
        self.destination(0, product.sum_words())?;
        for (at, words) in [
            product.factor_words(),
            product.factor_words(),
            product.sum_words(),
        ]
        .into_iter()
        .enumerate()
        {
            let kind = match (product.factor, at) {
                (Factor::I8, _) => Type::B32,
                _ if wide => Type::F64,
                _ => Type::F32,
            };
            self.instruction.sources[at] = self.operand(at + 1, kind, words)?.operand;
            if let (Operand::Constant(value), false) = (self.instruction.sources[at], wide) {
                // Every word of it.
                self.instruction.sources[at] = Operand::Constant(value << 32 | value & 0xffff_ffff);
            }
        }
        let Modifiers { negate, .. } = self.modifiers;
        if product.whole && product.factor == Factor::I8 {
            // The modifier that negates other factors says which are signed.
            product.signed = [negate & 1 != 0, negate & 2 != 0];
            self.modifiers.negate &= !3;
        }
        let default = Modifiers {
            select: self.modifiers.select,
            select_high: self.modifiers.select_high,
            ..Modifiers::default()
        };
        if self.modifiers != default {
            return Err("the modifiers".into());
        }
        Ok(Kind::Matrix(product))
    }

    fn mixed(&mut self, name: &str) -> Result<Kind, String> {
        let operation = operation::find(if name == "v_fma_mix_f32" {
            name
        } else {
            "v_fma_mixlo_f16"
        })
        .ok_or("the mnemonic")?;
        self.destination(0, 1)?;
        // Without `op_sel_hi` all sources are of 32 bits, unlike with the packed instructions.
        if !self.line.has("op_sel_hi") {
            self.modifiers.select_high = 0;
        }
        for at in 0..3 {
            let kind = if (self.modifiers.select_high >> at) & 1 == 1 {
                Type::F16
            } else {
                Type::F32
            };
            self.source(at, at + 1, kind)?;
        }
        self.modifiers.select &= 7;
        if name == "v_fma_mixhi_f16" {
            self.modifiers.select |= 8;
        }
        Ok(Kind::Mixed(operation))
    }
}
