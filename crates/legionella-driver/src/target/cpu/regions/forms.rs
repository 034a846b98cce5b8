//! How values differ from lane to lane where all lanes go the same way.
//!
//! With all lanes at one place in one turn of every loop, more is the same for all than `sharing`
//! can know, and what isn't often grows by a constant from lane to lane: ids, and indices and
//! addresses made of them. Knows nothing of regions.
//!
//! Some of this rests on where vectors begin: the first lane's id within its group is a multiple of
//! the lanes, and so may sizes be ([`Forms::on_sizes`]). What is then cut off an index by a power of
//! two (`i % 16`) still grows, and what remains (`i / 16`) is the same for all.

use std::collections::HashMap;

use legionella_abi::intrinsic;
use llvm_sys::core as c;
use llvm_sys::{LLVMOpcode, LLVMTypeKind};

use super::sharing::is_lane_id;
use crate::ir::{Block, Function, Type, Value, llvm};
use crate::target::uniform::computable;

/// How a value differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// All lanes have the same.
    Same,
    /// Each lane has this much more than the one before, modulo the type's values.
    Step(u64),
    /// Nothing is known.
    Each,
}

/// Zeros at the end of the numbers that are multiples of anything.
const ANY: u32 = 64;

/// The forms of a function's values.
pub(super) struct Forms<'m> {
    lanes: u64,
    forms: HashMap<Value<'m>, Form>,
    /// By value, how many of the lowest bits are zero in the first lane.
    zeros: HashMap<Value<'m>, u32>,
    /// Whether any form rests on sizes, in the first dimension, that are multiples of the lanes.
    pub(super) on_sizes: bool,
}

impl<'m> Forms<'m> {
    /// Of the values in some blocks of a function; what comes from elsewhere is the same for all.
    pub(super) fn of(blocks: &[Block<'m>], lanes: u64, size: impl Fn(Type<'m>) -> u64) -> Self {
        let mut all = Forms {
            lanes,
            forms: HashMap::new(),
            zeros: HashMap::new(),
            on_sizes: false,
        };
        let instructions: Vec<_> = blocks
            .iter()
            .flat_map(|block| block.instructions())
            .collect();
        for &value in &instructions {
            all.zeros.insert(value, ANY);
        }
        // Assumptions that only shrink.
        let mut changed = true;
        while changed {
            changed = false;
            for &value in &instructions {
                let zeros = all.zeros_of(value).min(all.zeros(value));
                if zeros != all.zeros(value) {
                    all.zeros.insert(value, zeros);
                    changed = true;
                }
                if value.operands().into_iter().any(|one| all.is_ahead(one))
                    && !value.is(LLVMOpcode::LLVMPHI)
                {
                    continue;
                }
                let old = all.forms.get(&value).copied();
                let new = all.form_of(value, &size);
                let form = old.map_or(new, |old| worse(old, new));
                if old != Some(form) {
                    all.forms.insert(value, form);
                    changed = true;
                }
            }
        }
        all
    }

    pub(super) fn get(&self, value: Value<'m>) -> Form {
        self.forms.get(&value).copied().unwrap_or(Form::Same)
    }

    pub(super) fn lanes(&self) -> u64 {
        self.lanes
    }

    /// Whether nothing has been found out of a value yet, but will be.
    fn is_ahead(&self, value: Value<'m>) -> bool {
        self.zeros.contains_key(&value) && !self.forms.contains_key(&value)
    }

    /// How much the last lane has more than the first.
    pub(super) fn span(&self, step: u64) -> u64 {
        step.wrapping_mul(self.lanes - 1)
    }

    /// How many of a value's lowest bits are zero in the first lane.
    pub(super) fn zeros(&self, value: Value<'m>) -> u32 {
        if let Some(zeros) = self.zeros.get(&value) {
            return *zeros;
        }
        if let Some(number) = value.constant_integer() {
            return if number == 0 {
                ANY
            } else {
                number.trailing_zeros()
            };
        }
        0
    }

    fn zeros_of(&self, value: Value<'m>) -> u32 {
        use LLVMOpcode::*;
        let of = |index| self.zeros(value.operand(index));
        match value.opcode() {
            Some(LLVMAdd | LLVMSub | LLVMOr | LLVMXor) => of(0).min(of(1)),
            Some(LLVMAnd) => of(0).max(of(1)),
            Some(LLVMMul) => (of(0) + of(1)).min(ANY),
            Some(LLVMShl) => match value.operand(1).constant_integer() {
                Some(by) => (of(0) + by as u32).min(ANY),
                None => of(0),
            },
            Some(LLVMSelect) => of(1).min(of(2)),
            Some(LLVMZExt | LLVMSExt | LLVMTrunc | LLVMFreeze) => of(0),
            Some(LLVMPHI) => {
                let incoming = value.incoming().into_iter();
                incoming
                    .map(|(value, _)| self.zeros(value))
                    .min()
                    .unwrap_or(0)
            }
            Some(LLVMCall) if is_multiple(value) => self.lanes.trailing_zeros(),
            Some(LLVMCall) if is_called(value, "umin") || is_called(value, "umax") => {
                of(0).min(of(1))
            }
            // One that saturates is no multiple of anything; then lanes part, if it grows.
            Some(LLVMCall) if is_sum(value) => match self.forms.get(&value) {
                Some(Form::Same) => 0,
                _ => of(0).min(of(1)),
            },
            _ => 0,
        }
    }

    fn form_of(&mut self, value: Value<'m>, size: &impl Fn(Type<'m>) -> u64) -> Form {
        use LLVMOpcode::*;
        if is_lane_id(value) {
            return Form::Step(1);
        }
        if value.is(LLVMAlloca) {
            return Form::Step(size(value.allocated()));
        }
        let operands = value.operands();
        let all_same = operands.iter().all(|one| self.get(*one) == Form::Same);
        let can_step = matches!(
            value.ty().kind(),
            LLVMTypeKind::LLVMIntegerTypeKind | LLVMTypeKind::LLVMPointerTypeKind
        ) && value.ty().integer_width() <= 64;
        match value.opcode() {
            Some(LLVMPHI) => {
                let incoming = value.incoming().into_iter().map(|(other, _)| other);
                let known = incoming.filter(|other| !self.is_ahead(*other));
                let forms = known.map(|other| self.get(other));
                forms.reduce(meet).unwrap_or(Form::Same)
            }
            Some(LLVMLoad) if all_same && !value.is_ordered() => Form::Same,
            Some(LLVMUDiv | LLVMURem | LLVMSDiv | LLVMSRem) if all_same => Form::Same,
            Some(LLVMFreeze) if all_same => Form::Same,
            _ if value.is_void() => Form::Same,
            _ if all_same && computable(value) => Form::Same,
            _ if !can_step => Form::Each,
            Some(opcode) => self.step_of(value, opcode, size),
            None => Form::Each,
        }
    }

    fn step_of(
        &mut self,
        value: Value<'m>,
        opcode: LLVMOpcode,
        size: &impl Fn(Type<'m>) -> u64,
    ) -> Form {
        use LLVMOpcode::*;
        let form = |index| self.get(value.operand(index));
        let constant = |index| value.operand(index).constant_integer();
        let step = |index| match form(index) {
            Form::Same => Some(0),
            Form::Step(step) => Some(step),
            Form::Each => None,
        };
        let found = match opcode {
            LLVMAdd => step(0).zip(step(1)).map(|(a, b)| a.wrapping_add(b)),
            LLVMSub => step(0).zip(step(1)).map(|(a, b)| a.wrapping_sub(b)),
            LLVMOr if llvm!(c::LLVMGetIsDisjoint(value.raw())) != 0 => {
                step(0).zip(step(1)).map(|(a, b)| a.wrapping_add(b))
            }
            LLVMMul => step(0).zip(constant(1)).map(|(a, b)| a.wrapping_mul(b)),
            LLVMShl => step(0)
                .zip(constant(1))
                .map(|(a, b)| a.wrapping_shl(b as u32)),
            LLVMTrunc => step(0),
            LLVMSelect if form(0) == Form::Same && form(1) == form(2) => step(1),
            LLVMGetElementPtr if value.operands().len() == 2 => {
                let element = llvm!(c::LLVMGetGEPSourceElementType(value.raw()));
                let size = size(Type::from_raw(element));
                step(0)
                    .zip(step(1))
                    .map(|(base, index)| base.wrapping_add(index.wrapping_mul(size)))
            }
            // One that saturates does so in the last lane first.
            LLVMCall if is_sum(value) => {
                let width = value.ty().integer_width();
                let small = |step: &u64| {
                    width >= 16 && *step < 1 << 32 && self.span(*step) < 1 << (width - 2)
                };
                let steps = step(0).filter(small).zip(step(1).filter(small));
                steps.map(|(a, b)| a + b).filter(small)
            }
            LLVMAnd | LLVMLShr => return self.cut(value, opcode),
            _ => None,
        };
        match found {
            // The difference of two that grow alike.
            Some(0) => Form::Same,
            Some(step) => Form::Step(step),
            None => Form::Each,
        }
    }

    /// An index whose low or high bits are cut off.
    fn cut(&mut self, value: Value<'m>, opcode: LLVMOpcode) -> Form {
        let (Form::Step(step), Some(by)) = (
            self.get(value.operand(0)),
            value.operand(1).constant_integer(),
        ) else {
            return Form::Each;
        };
        let width = value.ty().integer_width();
        let zeros = self.zeros(value.operand(0)).min(width - 1);
        // All lanes lie between two multiples of `1 << zeros`.
        if step >= 1 << 32 || self.span(step) >= 1 << zeros {
            return Form::Each;
        }
        self.on_sizes = true;
        let low = 1u64 << zeros;
        match opcode {
            LLVMOpcode::LLVMLShr if by < u64::from(width) && by >= u64::from(zeros) => Form::Same,
            LLVMOpcode::LLVMAnd if by & (low - 1) == low - 1 => Form::Step(step),
            LLVMOpcode::LLVMAnd if by & (low - 1) == 0 => Form::Same,
            // Fewer zeros would do as well.
            LLVMOpcode::LLVMLShr if by < u64::from(width) && self.span(step) < 1 << by => {
                Form::Same
            }
            LLVMOpcode::LLVMAnd if (by + 1).is_power_of_two() && self.span(step) <= by => {
                Form::Step(step)
            }
            _ => Form::Each,
        }
    }
}

/// Whether a call asks for what is a multiple of the lanes: the id of the item in its group, that of the
/// first lane, or sizes in the first dimension. Of global ids nothing is known.
fn is_multiple(call: Value<'_>) -> bool {
    let all = [
        intrinsic::LOCAL_ID,
        intrinsic::GROUP_SIZE,
        intrinsic::GRID_SIZE,
    ];
    let name = call.called_function().map(Function::name);
    name.is_some_and(|name| all.contains(&name.as_str()))
        && call.operand(0).constant_integer() == Some(0)
}

/// What is known of a value that is one or the other.
fn meet(one: Form, other: Form) -> Form {
    if one == other { one } else { Form::Each }
}

/// Forms only get worse while they are looked for, so that the search ends.
fn worse(old: Form, new: Form) -> Form {
    match (old, new) {
        (Form::Same, new) => new,
        (old, new) if old == new => old,
        _ => Form::Each,
    }
}

/// Whether a call is of an intrinsic of LLVM, of whichever type.
pub(super) fn is_called(call: Value<'_>, name: &str) -> bool {
    let called = call.called_function().map(Function::name);
    let rest = called
        .as_deref()
        .and_then(|called| called.strip_prefix("llvm."));
    let rest = rest.and_then(|rest| rest.strip_prefix(name));
    rest.is_some_and(|rest| rest.starts_with('.'))
}

/// Whether a call is a sum that saturates, which only counts as a sum where it doesn't.
pub(super) fn is_sum(call: Value<'_>) -> bool {
    call.is(LLVMOpcode::LLVMCall) && is_called(call, "uadd.sat")
}
