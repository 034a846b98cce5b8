//! Which values all items of a group, or of a subgroup, have in common.
//!
//! A value is *uniform* if every one of them that comes to it has the same one, provided that items race for
//! no memory, which is what kernels promise. Takes a function in the form that loops are analysed
//! in; knows nothing of where it is cut.

use std::collections::{BTreeSet, HashSet};

use legionella_abi::intrinsic::{self, PART_TOLD, SUBGROUP_BALLOT, SUBGROUP_SHUFFLE};
use llvm_sys::LLVMOpcode;

use crate::ir::flow::{Blocks, LoopId, Loops, Spread};
use crate::ir::{Block, Function, Value};

/// What differs from item to item.
pub(in crate::target) struct Uniform<'m> {
    varying: HashSet<Value<'m>>,
    /// Blocks whose branch items take differently.
    branches: BTreeSet<usize>,
    /// Loops that items leave in different turns.
    left: BTreeSet<LoopId>,
}

/// What is known of an instruction that is a target's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::target) enum Known {
    /// All items have the same.
    Same,
    /// Items may have different ones.
    Different,
    /// All have the same if its operands are.
    AsOperands,
}

impl<'m> Uniform<'m> {
    /// In a group.
    pub(in crate::target) fn of(blocks: &Blocks<'m>, loops: &Loops) -> Self {
        Self::among(blocks, loops, false, |_| None)
    }

    /// In a group, or in what the target's own instructions are known for.
    pub(in crate::target) fn with_known(
        blocks: &Blocks<'m>,
        loops: &Loops,
        known: impl Fn(Value<'m>) -> Option<Known>,
    ) -> Self {
        Self::among(blocks, loops, false, known)
    }

    /// In a subgroup: what its lanes find out together is uniform as well.
    pub(in crate::target) fn in_subgroups(blocks: &Blocks<'m>, loops: &Loops) -> Self {
        Self::among(blocks, loops, true, |_| None)
    }

    fn among(
        blocks: &Blocks<'m>,
        loops: &Loops,
        in_subgroups: bool,
        known: impl Fn(Value<'m>) -> Option<Known>,
    ) -> Self {
        let order = loops.order().iter();
        let instructions: Vec<_> = order
            .flat_map(|number| blocks.block(*number).instructions())
            .collect();
        let mut analysis = Analysis {
            blocks,
            loops,
            in_subgroups,
            known,
            found: Uniform {
                varying: HashSet::new(),
                branches: BTreeSet::new(),
                left: BTreeSet::new(),
            },
            joins: BTreeSet::new(),
        };
        while analysis.turn(&instructions) {}
        analysis.found
    }

    pub(in crate::target) fn contains(&self, value: Value<'m>) -> bool {
        !self.varying.contains(&value)
    }

    /// Has a value count as one that differs from item to item.
    pub(in crate::target) fn admit_varying(&mut self, value: Value<'m>) {
        self.varying.insert(value);
    }

    /// Whether items may take different ways out of a block.
    pub(in crate::target) fn parts(&self, block: usize) -> bool {
        self.branches.contains(&block)
    }

    /// Whether items may leave a loop in different turns.
    pub(in crate::target) fn is_left_in_turns(&self, one: LoopId) -> bool {
        self.left.contains(&one)
    }
}

/// Assumptions that only shrink: everything is uniform until something is found that speaks against
/// it.
struct Analysis<'a, 'm, F> {
    blocks: &'a Blocks<'m>,
    loops: &'a Loops,
    in_subgroups: bool,
    known: F,
    found: Uniform<'m>,
    joins: BTreeSet<usize>,
}

impl<'m, F: Fn(Value<'m>) -> Option<Known>> Analysis<'_, 'm, F> {
    /// Looks at everything once; gives whether anything was found.
    fn turn(&mut self, instructions: &[Value<'m>]) -> bool {
        let mut changed = false;
        for &value in instructions {
            if self.found.contains(value) && self.varies(value) {
                self.found.varying.insert(value);
                changed = true;
            }
            let parts = value.successors_differ() && !self.found.contains(value.operand(0));
            let number = self.blocks.number(value.block());
            if parts && self.found.branches.insert(number) {
                let spread = Spread::from(self.blocks.flow(), self.loops, number);
                self.joins.extend(spread.joins);
                self.found.left.extend(spread.left);
                changed = true;
            }
        }
        changed
    }

    fn varies(&self, value: Value<'m>) -> bool {
        let of_uniform = || {
            let mut operands = value.operands().into_iter();
            operands.all(|operand| self.found.contains(operand))
        };
        match (self.known)(value) {
            Some(Known::Same) => return false,
            Some(Known::Different) => return true,
            Some(Known::AsOperands) => return !of_uniform(),
            None => {}
        }
        match value.opcode() {
            Some(LLVMOpcode::LLVMPHI) => self.phi_varies(value),
            // What is frozen may be frozen to something else by each item.
            Some(LLVMOpcode::LLVMFreeze) => true,
            Some(LLVMOpcode::LLVMLoad) => value.is_ordered() || !of_uniform(),
            Some(LLVMOpcode::LLVMCall) if is_of_the_item(value) => true,
            Some(LLVMOpcode::LLVMCall) if self.in_subgroups && calls(value, SUBGROUP_BALLOT) => {
                false
            }
            Some(LLVMOpcode::LLVMCall) if self.in_subgroups && calls(value, SUBGROUP_SHUFFLE) => {
                !self.found.contains(value.operand(1))
            }
            Some(LLVMOpcode::LLVMCall) if calls(value, PART_TOLD) => false,
            _ if value.is_void() => false,
            Some(LLVMOpcode::LLVMUDiv | LLVMOpcode::LLVMURem) => !of_uniform(),
            Some(LLVMOpcode::LLVMSDiv | LLVMOpcode::LLVMSRem) => !of_uniform(),
            _ => !computable(value) || !of_uniform(),
        }
    }

    fn phi_varies(&self, phi: Value<'m>) -> bool {
        let incoming = phi.incoming();
        if incoming
            .iter()
            .any(|(value, _)| !self.found.contains(*value))
        {
            return true;
        }
        let number = self.blocks.number(phi.block());
        if !self.joins.contains(&number) {
            return false;
        }
        let first = incoming[0].0;
        !incoming.iter().all(|(value, _)| *value == first) || !self.outlasts(first, phi.block())
    }

    /// Whether a value is the same for items that come to a block in different turns of loops.
    fn outlasts(&self, value: Value<'m>, block: Block<'m>) -> bool {
        if !value.is_instruction() {
            return true;
        }
        let to = self.blocks.number(block);
        let around = self.loops.around(self.blocks.number(value.block()));
        around
            .filter(|one| !self.loops.contains(*one, to))
            .all(|one| !self.found.left.contains(&one))
    }
}

/// Whether a call is of that function.
fn calls(call: Value<'_>, name: &str) -> bool {
    let called = call.called_function().map(Function::name);
    called.as_deref() == Some(name)
}

/// Whether a call asks for what each item of a group has for itself.
fn is_of_the_item(call: Value<'_>) -> bool {
    let own = [
        intrinsic::GLOBAL_ID,
        intrinsic::LOCAL_ID,
        intrinsic::SUBGROUP_LANE,
    ];
    let name = call.called_function().map(Function::name);
    name.is_some_and(|name| own.contains(&name.as_str()))
}

/// Whether an instruction gives a value by its operands alone, and may run where it wouldn't.
pub(in crate::target) fn computable(value: Value<'_>) -> bool {
    use LLVMOpcode::*;
    match value.opcode() {
        Some(
            LLVMAdd | LLVMSub | LLVMMul | LLVMShl | LLVMLShr | LLVMAShr | LLVMAnd | LLVMOr
            | LLVMXor | LLVMICmp | LLVMSelect | LLVMZExt | LLVMSExt | LLVMTrunc | LLVMBitCast
            | LLVMGetElementPtr | LLVMExtractValue | LLVMInsertValue | LLVMFreeze | LLVMFAdd
            | LLVMFSub | LLVMFMul | LLVMFDiv | LLVMFNeg | LLVMFCmp | LLVMFPTrunc | LLVMFPExt
            | LLVMFPToUI | LLVMFPToSI | LLVMUIToFP | LLVMSIToFP | LLVMPtrToInt | LLVMIntToPtr,
        ) => true,
        Some(LLVMUDiv | LLVMURem | LLVMSDiv | LLVMSRem) => is_total(value),
        Some(LLVMCall) => value
            .called_function()
            .is_some_and(|function| function.has_attribute("speculatable")),
        _ => false,
    }
}

/// Whether a division has a result whatever its operands are.
pub(in crate::target) fn is_total(division: Value<'_>) -> bool {
    let divisor = division.operand(1);
    if divisor.is(LLVMOpcode::LLVMSelect) {
        return divisor.operand(1).constant_integer() == Some(1);
    }
    let all_ones = u64::MAX >> (64 - divisor.ty().integer_width().clamp(1, 64));
    match (divisor.constant_integer(), division.opcode()) {
        (None | Some(0), _) => false,
        (Some(_), Some(LLVMOpcode::LLVMUDiv | LLVMOpcode::LLVMURem)) => true,
        // The least number by -1 has no result.
        (Some(by), _) => by != all_ones,
    }
}
