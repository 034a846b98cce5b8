//! Values that grow with a lane, or with the turns of a loop, by what they are computed of.

use std::collections::BTreeSet;

use llvm_sys::LLVMOpcode;

use crate::ir::{Block, Builder, Value};

/// What is known of values that grow with the lane, which counts the turns of a loop.
pub(in crate::target) struct Affine<'a, 'm> {
    pub(in crate::target) lane: Value<'m>,
    pub(in crate::target) header: Block<'m>,
    /// The loop's blocks, with or without its header.
    pub(in crate::target) blocks: &'a BTreeSet<Block<'m>>,
    /// As in [`Quick::row`](super::guards::Quick::row).
    pub(in crate::target) row: Option<Value<'m>>,
}

impl<'m> Affine<'_, 'm> {
    /// How much a value grows from one lane to the next; `None` if that isn't constant.
    pub(in crate::target) fn step(&self, value: Value<'m>, depth: u32) -> Option<u64> {
        if value == self.lane {
            return Some(1);
        }
        let inside = value.is_instruction()
            && (self.blocks.contains(&value.block()) || value.block() == self.header);
        if !inside {
            return Some(0);
        }
        if depth > 12 {
            return None;
        }
        let of = |index| self.step(value.operand(index), depth + 1);
        let constant = |index: u32| value.operand(index).constant_integer();
        match value.opcode()? {
            LLVMOpcode::LLVMAdd => Some(of(0)?.wrapping_add(of(1)?)),
            LLVMOpcode::LLVMSub if of(1)? == 0 => of(0),
            LLVMOpcode::LLVMMul => match (of(0)?, of(1)?) {
                (0, 0) => Some(0),
                (step, 0) => Some(step.wrapping_mul(constant(1)?)),
                (0, step) => Some(step.wrapping_mul(constant(0)?)),
                _ => None,
            },
            LLVMOpcode::LLVMShl => match (of(0)?, of(1)?) {
                (0, 0) => Some(0),
                (step, 0) => step.checked_shl(u32::try_from(constant(1)?).ok()?),
                _ => None,
            },
            // The argument block is the only memory behind a parameter that a load in the loop
            // is of by a constant distance, and it doesn't change during a launch.
            LLVMOpcode::LLVMLoad if value.operand(0).is_address_in_parameter() => Some(0),
            LLVMOpcode::LLVMICmp
            | LLVMOpcode::LLVMSelect
            | LLVMOpcode::LLVMZExt
            | LLVMOpcode::LLVMTrunc
            | LLVMOpcode::LLVMSExt
            | LLVMOpcode::LLVMLShr
            | LLVMOpcode::LLVMAnd
            | LLVMOpcode::LLVMOr
            | LLVMOpcode::LLVMXor
            | LLVMOpcode::LLVMGetElementPtr => {
                let uniform = (0..value.operands().len() as u32).all(|index| of(index) == Some(0));
                uniform.then_some(0)
            }
            _ => None,
        }
    }

    /// Computes a value again, before the loop and for a given lane.
    pub(in crate::target) fn repeat(
        &self,
        value: Value<'m>,
        at: &Builder<'m>,
        lane: Value<'m>,
    ) -> Value<'m> {
        if value == self.lane {
            return lane;
        }
        if !value.is_instruction() || !self.blocks.contains(&value.block()) {
            return value;
        }
        let operands: Vec<_> = value
            .operands()
            .into_iter()
            .map(|operand| self.repeat(operand, at, lane))
            .collect();
        let copy = value.clone_speculatable();
        at.insert(copy);
        for (index, operand) in operands.into_iter().enumerate() {
            copy.set_operand(index as u32, operand);
        }
        copy
    }
}
