//! From the disassembler's text to an instruction.

use crate::lanes::Type;
use crate::operation::{self, canonical, compare, scalar};

use super::instruction::{
    Access, Action, Condition, Crossbar, Hardware, HardwareField, Instruction, Kind, Modifiers,
    Space,
};
use super::matrix::{Factor, product};
use super::memory::form;
use super::modifiers::modifiers;
use super::operand::{DISCARD, EXEC, M0, NULL, Operand, Parsed, Register, VCC, parse};
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
struct Builder<'a> {
    line: Line<'a>,
    text: &'a str,
    name: String,
    slot: u32,
    instruction: Instruction,
    uses: Vec<(Register, u8)>,
    modifiers: Modifiers,
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

    fn operand(&mut self, index: usize, kind: Type, words: usize) -> Result<Parsed, String> {
        let text = self
            .line
            .operands
            .get(index)
            .ok_or_else(|| format!("operand {index} is missing"))?;
        let parsed = parse(text, kind).ok_or_else(|| format!("the operand {text}"))?;
        self.uses(parsed.operand, words);
        Ok(parsed)
    }

    fn uses(&mut self, operand: Operand, words: usize) {
        let register = match operand {
            Operand::Vector(number) => Register::Vector(number),
            Operand::Scalar(NULL) => return,
            Operand::Scalar(number) => Register::Scalar(number),
            _ => return,
        };
        self.uses.push((register, words as u8));
    }

    fn destination(&mut self, index: usize, words: usize) -> Result<(), String> {
        let parsed = self.operand(index, Type::B32, words)?;
        self.instruction.destination = discarded(parsed.operand);
        if parsed.high == Some(true) {
            self.modifiers.select |= 0x80;
        }
        Ok(())
    }

    /// A source of a vector instruction, with its modifiers.
    fn source(&mut self, at: usize, index: usize, kind: Type) -> Result<(), String> {
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
    fn sources(&mut self, first: usize, kinds: &[Type]) -> Result<(), String> {
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
    fn settle_selection(&mut self, sources: usize) {
        let select = self.modifiers.select;
        let destination = (select >> sources) & 1 | (select >> 7);
        self.modifiers.select = (select & ((1 << sources) - 1)) | (destination << 3);
    }

    fn scalar_operand(&mut self, index: usize, words: usize) -> Result<Operand, String> {
        let kind = if words == 2 { Type::B64 } else { Type::B32 };
        Ok(self.operand(index, kind, words)?.operand)
    }

    fn immediate(&self, index: usize) -> Result<i64, String> {
        self.line
            .operands
            .get(index)
            .and_then(|text| number(text))
            .ok_or_else(|| format!("operand {index} is no number"))
    }

    /// An operand that is a mask: two registers of waves of 64, as its text says.
    fn mask(&mut self, index: usize) -> Result<Operand, String> {
        let text = self.line.operands.get(index).copied().unwrap_or_default();
        let wide = matches!(text, "vcc" | "exec") || text.contains('[');
        Ok(self
            .operand(index, Type::B32, if wide { 2 } else { 1 })?
            .operand)
    }

    // Instructions that are neither arithmetic nor memory.

    fn control(&mut self, name: &str) -> Result<Option<Kind>, String> {
        let branch = |builder: &Builder<'_>, condition| {
            Ok(Some(Kind::Branch {
                condition,
                target: builder.target(0)?,
            }))
        };
        Ok(Some(match name {
            "s_nop"
            | "s_delay_alu"
            | "s_clause"
            | "s_inst_prefetch"
            | "s_set_inst_prefetch_distance"
            | "s_icache_inv"
            | "s_dcache_inv"
            | "s_dcache_wb"
            | "s_setprio"
            | "s_sendmsg"
            | "s_ttracedata"
            | "s_ttracedata_imm"
            | "s_sendmsghalt"
            | "s_wait_idle"
            | "s_waitcnt_depctr"
            | "s_waitcnt_expcnt"
            | "s_version"
            | "s_incperflevel"
            | "s_decperflevel"
            | "s_wakeup"
            | "buffer_gl0_inv"
            | "buffer_gl1_inv"
            | "buffer_wbl2"
            | "buffer_inv"
            | "buffer_invl2"
            | "buffer_wbinvl1"
            | "buffer_wbinvl1_vol"
            | "s_gl1_inv"
            | "v_nop"
            | "ds_nop"
            | "s_wait_event" => Kind::Nothing,
            "s_branch" => return branch(self, Condition::Always),
            "s_cbranch_scc0" => return branch(self, Condition::Scc(false)),
            "s_cbranch_scc1" => return branch(self, Condition::Scc(true)),
            "s_cbranch_vccz" => return branch(self, Condition::VccZero(true)),
            "s_cbranch_vccnz" => return branch(self, Condition::VccZero(false)),
            "s_cbranch_execz" => return branch(self, Condition::ExecZero(true)),
            "s_cbranch_execnz" => return branch(self, Condition::ExecZero(false)),
            "s_barrier" => Kind::Barrier,
            "s_endpgm" => Kind::End,
            "s_trap" => Kind::Trap(self.immediate(0)? as u32),
            "s_sleep" => Kind::Sleep,
            "s_waitcnt" | "s_waitcnt_vmcnt" | "s_waitcnt_lgkmcnt" | "s_waitcnt_vscnt" => {
                self.wait(name)?
            }
            "s_getpc_b64" => {
                self.destination(0, 2)?;
                Kind::GetPc
            }
            "s_setpc_b64" => {
                self.instruction.sources[0] = self.scalar_operand(0, 2)?;
                Kind::SetPc
            }
            "s_swappc_b64" => {
                self.destination(0, 2)?;
                self.instruction.sources[0] = self.scalar_operand(1, 2)?;
                Kind::SwapPc
            }
            "s_call_b64" => {
                self.destination(0, 2)?;
                Kind::Call(self.target(1)?)
            }
            "s_memtime" | "s_memrealtime" => {
                self.destination(0, 2)?;
                Kind::Time {
                    real: name == "s_memrealtime",
                }
            }
            "s_sendmsg_rtn_b64" if self.text.contains("MSG_RTN_GET_REALTIME") => {
                self.destination(0, 2)?;
                Kind::Time { real: true }
            }
            "s_getreg_b32" => {
                self.destination(0, 1)?;
                Kind::GetRegister(self.hardware(1)?)
            }
            "s_setreg_b32" | "s_setreg_imm32_b32" => {
                self.instruction.sources[0] = self.scalar_operand(1, 1)?;
                Kind::SetRegister(self.hardware(0)?)
            }
            "s_round_mode" | "s_denorm_mode" => {
                let offset = if name == "s_round_mode" { 0 } else { 4 };
                self.instruction.sources[0] = Operand::Constant(self.immediate(0)? as u64);
                Kind::SetRegister(HardwareField {
                    register: Hardware::Mode,
                    offset,
                    bits: 4,
                })
            }
            _ => return Ok(None),
        }))
    }

    fn target(&self, index: usize) -> Result<u32, String> {
        let distance = self.immediate(index)? as i16;
        self.instruction
            .next
            .checked_add_signed(i32::from(distance))
            .ok_or_else(|| format!("it leads out of the code from slot {}", self.slot))
    }

    fn wait(&self, name: &str) -> Result<Kind, String> {
        let count = |counter: &str| {
            let (_, rest) = self.text.split_once(counter)?;
            let (digits, _) = rest.strip_prefix('(')?.split_once(')')?;
            digits.parse().ok()
        };
        let immediate = || self.immediate(1).map(|count| Some(count as u8));
        let (mut vector, mut local, mut store) = (None, None, None);
        match name {
            "s_waitcnt_vmcnt" => vector = immediate()?,
            "s_waitcnt_lgkmcnt" => local = immediate()?,
            "s_waitcnt_vscnt" => store = immediate()?,
            _ => {
                vector = count("vmcnt");
                local = count("lgkmcnt");
                if self
                    .line
                    .operands
                    .first()
                    .is_some_and(|text| number(text) == Some(0))
                {
                    (vector, local) = (Some(0), Some(0));
                }
            }
        }
        Ok(Kind::Wait {
            vector,
            local,
            store,
        })
    }

    fn hardware(&self, index: usize) -> Result<HardwareField, String> {
        let text = self.line.operands.get(index).copied().unwrap_or_default();
        let unknown = || format!("the hardware register {text}");
        let inner = text
            .strip_prefix("hwreg(")
            .and_then(|inner| inner.strip_suffix(')'))
            .ok_or_else(unknown)?;
        let mut parts = inner.split(',').map(str::trim);
        let register = match parts.next() {
            Some("HW_REG_MODE") => Hardware::Mode,
            Some("HW_REG_HW_ID" | "HW_REG_HW_ID1" | "HW_REG_HW_ID2" | "HW_REG_XCC_ID") => {
                Hardware::Id
            }
            Some("HW_REG_SHADER_CYCLES") => Hardware::Cycles,
            _ => return Err(unknown()),
        };
        let mut field = |default| match parts.next() {
            Some(text) => number(text).map(|value| value as u8).ok_or_else(unknown),
            None => Ok(default),
        };
        Ok(HardwareField {
            register,
            offset: field(0)?,
            bits: field(32)?,
        })
    }

    // Scalar instructions.

    fn scalar(&mut self, name: &str) -> Result<(), String> {
        if let Some(words) = name.strip_prefix("s_load_").and_then(load_words) {
            self.destination(0, words)?;
            self.instruction.sources[0] = self.scalar_operand(1, 2)?;
            let mut offset = self.line.value("offset").and_then(number).unwrap_or(0);
            match self.line.operands.get(2).and_then(|text| number(text)) {
                Some(immediate) => offset += immediate,
                None => self.instruction.sources[1] = self.scalar_operand(2, 1)?,
            }
            self.instruction.kind = Kind::ScalarLoad {
                words: words as u8,
                offset,
            };
            return Ok(());
        }
        for (middle, write) in [("_saveexec_b", false), ("_wrexec_b", true)] {
            if let Some((operation, bits)) = name.split_once(middle)
                && let Some(run) = scalar::mask_operation(&operation[2..])
            {
                let words = if bits == "64" { 2 } else { 1 };
                self.destination(0, words)?;
                self.instruction.sources[0] = self.scalar_operand(1, words)?;
                self.instruction.kind = Kind::SaveExec {
                    run,
                    wide: words == 2,
                    write,
                };
                return Ok(());
            }
        }
        let operation = scalar::find(name).ok_or("the mnemonic")?;
        let mut next = 0;
        if operation.output != 0 || operation.reads_destination {
            self.destination(0, operation.output.max(1))?;
            next = 1;
        }
        for (at, &words) in operation.sources.iter().enumerate() {
            self.instruction.sources[at] = self.scalar_operand(next + at, words)?;
        }
        self.instruction.kind = Kind::Scalar(operation);
        Ok(())
    }

    // Vector instructions.

    fn vector(&mut self, name: &str) -> Result<(), String> {
        let kind = match name {
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

    // Memory.

    fn memory(&mut self, name: &str) -> Result<(), String> {
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
                operation: super::instruction::Atomic::CompareSwap,
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

/// A destination that keeps nothing, if it is the null register.
fn discarded(operand: Operand) -> Operand {
    match operand {
        Operand::Scalar(NULL) => Operand::Scalar(DISCARD),
        Operand::Scalar(number) if number > EXEC + 1 => Operand::None,
        operand => operand,
    }
}

/// Whether the destination is the last source.
fn accumulates(name: &str) -> bool {
    name.contains("fmac") || name.contains("_mac_") || name.starts_with("v_dot")
}

fn load_words(kind: &str) -> Option<usize> {
    Some(match kind {
        "b32" | "dword" => 1,
        "b64" | "dwordx2" => 2,
        "b128" | "dwordx4" => 4,
        "b256" | "dwordx8" => 8,
        "b512" | "dwordx16" => 16,
        _ => return None,
    })
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
