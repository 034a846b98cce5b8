//! Quotients and roots of floats whose rare cases are looked for together.
//!
//! The assembler makes of `div.rn.f32` and of `sqrt.rn.f32` an approximation by the device, a few fused operations that
//! round it as IEEE 754-2019 (5.4.1) wants, and, beside these, a branch: to a function that
//! scales what would be too large or too small on the way. Each is a block of its own, so that the next one's loads and
//! operations wait for it. Here several in a row are computed without a branch, and all of them again, by the assembler's
//! own, if one had an operand for which that isn't exact.
//!
//! The operations are those of the assembler (as `ptxas` 12.9 and 13 make them for `sm_70` to `sm_121`). Quotients are
//! exact for exponents that leave room for whatever they need on the way, which were tried with 4 × 10¹¹ random operands and
//! all numerators for 32,768 denominators, and reciprocals and roots with all operands.

use std::collections::{BTreeMap, HashMap, HashSet};

use inkwell::module::Module;
use llvm_sys::core as c;
use llvm_sys::{
    LLVMFastMathAllowReciprocal, LLVMFastMathApproxFunc, LLVMIntPredicate, LLVMOpcode, LLVMTypeKind,
};

use super::super::cold::substitute;
use crate::ir::{self, Block, Builder, Types, Value, llvm};

/// Most quotients and roots that are looked at together: what the others depend on is kept as long.
const MOST: usize = 8;

/// Of operands of quotients, the smallest exponent, as it is stored, and how many there are.
const EXPONENTS: [u64; 2] = [127 - 62, 124];

/// Of operands of roots, the smallest as a number of bits, 2⁻¹⁰¹, and how many there are up to infinity.
const ROOTS: [u64; 2] = [0x0d00_0000, 0x7280_0000];

/// How often no operand is rare where one is.
const USUAL: u32 = 1 << 20;

const ROOT: &str = "llvm.sqrt.f32";

/// Computes quotients and roots together, in all functions.
pub(super) fn compute_together(module: &Module<'_>) {
    for block in ir::functions(module)
        .into_iter()
        .flat_map(ir::Function::blocks)
    {
        for row in rows(block) {
            row.compute(module);
        }
    }
}

/// An operation that is rounded exactly.
#[derive(Clone, Copy)]
enum Operation<'m> {
    Quotient { of: Value<'m>, by: Value<'m> },
    Root { of: Value<'m> },
}

impl<'m> Operation<'m> {
    fn of(instruction: Value<'m>) -> Option<Self> {
        if instruction.ty().kind() != LLVMTypeKind::LLVMFloatTypeKind {
            return None;
        }
        let calls_root = || {
            let called = instruction.called_function();
            called.is_some_and(|called| called.name() == ROOT)
        };
        let found = if instruction.is(LLVMOpcode::LLVMFDiv) {
            let (of, by) = (instruction.operand(0), instruction.operand(1));
            let usual = [of, by].into_iter().all(is_usual_or_varies);
            usual.then_some(Operation::Quotient { of, by })?
        } else if instruction.is_call() && calls_root() {
            let of = instruction.operand(0);
            Operation::Root { of }
        } else {
            return None;
        };
        let flags = llvm!(c::LLVMGetFastMathFlags(instruction.raw()));
        let exact = flags & (LLVMFastMathAllowReciprocal | LLVMFastMathApproxFunc) == 0;
        exact.then_some(found)
    }

    /// The result if no operand is rare, and whether one is, for each.
    fn compute(self, at: &Builder<'m>, module: &'m Module<'_>) -> (Value<'m>, Vec<Value<'m>>) {
        let types = Types::of(module);
        let with = |name: &str, operands: &[Value<'m>]| {
            let variant: &[_] = if name.starts_with("llvm.nvvm.") {
                &[]
            } else {
                &[types.f32]
            };
            at.call(ir::intrinsic(module, name, variant), operands)
        };
        let fused = |a, b, sum| with("llvm.fma", &[a, b, sum]);
        let times = |a, b| at.binary(LLVMOpcode::LLVMFMul, a, b);
        match self {
            Operation::Quotient { of, by } => {
                let less = at.negate_float(by);
                let reciprocal = match by.constant_float() {
                    // Rounded to the nearest, as such a quotient wants it (P. Markstein, "Computation of Elementary Functions on
                    // the IBM RISC System/6000 Processor", IBM Journal of Research and Development 34, 1990).
                    Some(by) => types.f32.float(f64::from(1.0 / by as f32)),
                    None => {
                        let rough = with("llvm.nvvm.rcp.approx.ftz.f", &[by]);
                        let error = fused(less, rough, types.f32.float(1.0));
                        fused(rough, error, rough)
                    }
                };
                let rare = [of, by].into_iter().filter(|value| !value.is_constant());
                let rare = rare.map(|value| {
                    let bits = at.cast(LLVMOpcode::LLVMBitCast, value, types.i32);
                    let twice = at.binary(LLVMOpcode::LLVMShl, bits, types.i32.constant(1));
                    let [first, count] = EXPONENTS.map(|exponents| exponents << 24);
                    outside(at, twice, first, count)
                });
                let rare = rare.collect();
                if of.constant_float() == Some(1.0) {
                    return (reciprocal, rare);
                }
                let quotient = times(of, reciprocal);
                let rest = fused(less, quotient, of);
                (fused(reciprocal, rest, quotient), rare)
            }
            Operation::Root { of } => {
                let reciprocal = with("llvm.nvvm.rsqrt.approx.ftz.f", &[of]);
                let root = times(of, reciprocal);
                let half = times(reciprocal, types.f32.float(0.5));
                let rest = fused(at.negate_float(root), root, of);
                let bits = at.cast(LLVMOpcode::LLVMBitCast, of, types.i32);
                let rare = outside(at, bits, ROOTS[0], ROOTS[1]);
                (fused(rest, half, root), vec![rare])
            }
        }
    }
}

/// Whether an operand of a quotient isn't one of which it is known that it is rare.
fn is_usual_or_varies(value: Value<'_>) -> bool {
    let Some(number) = value.constant_float() else {
        return !value.is_constant();
    };
    let exponent = ((number as f32).to_bits() << 1) >> 24;
    let [first, count] = EXPONENTS;
    (first..first + count).contains(&exponent.into())
}

/// Whether a number is not one of `count` from the first on.
fn outside<'m>(at: &Builder<'m>, number: Value<'m>, first: u64, count: u64) -> Value<'m> {
    let ty = number.ty();
    let behind = at.sub(number, ty.constant(first));
    at.compare(LLVMIntPredicate::LLVMIntUGE, behind, ty.constant(count))
}

/// Operations of a block that are computed together, and what depends on them.
struct Row<'m> {
    operations: Vec<Value<'m>>,
    /// These, and what is computed of them, in order.
    uncertain: Vec<Value<'m>>,
    /// What writes them, and whatever is written behind that, up to `next`.
    writes: Vec<Value<'m>>,
    /// What comes behind all of it.
    next: Value<'m>,
}

/// Those of a block.
fn rows(block: Block<'_>) -> Vec<Row<'_>> {
    let end = block.terminator();
    let begun = || Row {
        operations: Vec::new(),
        uncertain: Vec::new(),
        writes: Vec::new(),
        next: end,
    };
    let (mut rows, mut row, mut uncertain) = (Vec::new(), begun(), HashSet::new());
    for next in block.instructions() {
        let is_operation = Operation::of(next).is_some();
        let is_uncertain = next.operands().iter().any(|one| uncertain.contains(one));
        let is_write = next.is(LLVMOpcode::LLVMStore) && !next.is_ordered();
        if is_write && (is_uncertain || !row.writes.is_empty()) {
            row.writes.push(next);
            continue;
        }
        let is_full = is_operation && row.operations.len() == MOST;
        let may_stay = match is_uncertain {
            true => may_be_repeated(next),
            false => row.writes.is_empty() || may_pass_writes(next),
        };
        if next == end || is_full || !may_stay {
            rows.push(Row { next, ..row });
            row = begun();
            uncertain.clear();
            if !is_operation {
                continue;
            }
        }
        if is_operation {
            row.operations.push(next);
        }
        if is_operation || is_uncertain {
            row.uncertain.push(next);
            uncertain.insert(next);
        }
    }
    rows.retain(|row| row.operations.len() > 1);
    rows
}

/// Whether an instruction may come before writes that it is behind.
fn may_pass_writes(instruction: Value<'_>) -> bool {
    !instruction.touches_memory()
        || may_be_repeated(instruction)
        || (instruction.is(LLVMOpcode::LLVMLoad) && instruction.has_metadata("invariant.load"))
}

/// Whether an instruction has no effect but its value, also where an operand is wrong.
fn may_be_repeated(instruction: Value<'_>) -> bool {
    use LLVMOpcode::*;
    match instruction.opcode() {
        Some(
            LLVMFAdd | LLVMFSub | LLVMFMul | LLVMFDiv | LLVMFNeg | LLVMFCmp | LLVMFPExt
            | LLVMFPTrunc | LLVMFPToSI | LLVMFPToUI | LLVMSIToFP | LLVMUIToFP | LLVMAdd | LLVMSub
            | LLVMMul | LLVMShl | LLVMLShr | LLVMAShr | LLVMAnd | LLVMOr | LLVMXor | LLVMICmp
            | LLVMZExt | LLVMSExt | LLVMTrunc | LLVMBitCast | LLVMSelect | LLVMGetElementPtr
            | LLVMAddrSpaceCast | LLVMPtrToInt | LLVMExtractElement | LLVMInsertElement
            | LLVMShuffleVector | LLVMExtractValue | LLVMInsertValue,
        ) => true,
        Some(LLVMCall) => instruction.called_function().is_some_and(|called| {
            called.name().starts_with("llvm.") && called.has_attribute("speculatable")
        }),
        _ => false,
    }
}

impl<'m> Row<'m> {
    /// Computes them. What is behind moves to another block.
    fn compute(self, module: &'m Module<'_>) {
        let block = self.next.block();
        for write in &self.writes {
            write.detach();
            Builder::before(self.next).insert(*write);
        }
        let behind = block.split_before(*self.writes.first().unwrap_or(&self.next));
        let again = block.function().append_block("again");
        let copies = self.repeat(again, behind);

        let mut values: HashMap<Value<'m>, Value<'m>> = HashMap::new();
        let mut rare: Option<Value<'m>> = None;
        for instruction in &self.operations {
            let at = Builder::before(*instruction);
            let Some(operation) = Operation::of(*instruction) else {
                continue;
            };
            let (result, each) = operation.compute(&at, module);
            rare = each.into_iter().fold(rare, |before, one| match before {
                // Not an `or`: behind a rare operand, others may be poison.
                Some(before) => Some(at.select(before, before.ty().constant(1), one)),
                None => Some(one),
            });
            instruction.replace_all_uses_with(result);
            values.insert(*instruction, result);
        }
        let Some(rare) = rare else { return };
        let end = block.terminator();
        let branch = Builder::before(end).branch_if(rare, again, behind);
        branch.set_weights([1, USUAL]);
        end.erase();
        for instruction in self.uncertain {
            let value = *values.get(&instruction).unwrap_or(&instruction);
            merge(value, block, copies[&instruction], again, behind);
            if value != instruction {
                instruction.erase();
            }
        }
    }

    /// Copies what there is to the end of a block, which then leads to `behind`.
    fn repeat(&self, again: Block<'m>, behind: Block<'m>) -> BTreeMap<Value<'m>, Value<'m>> {
        let at = Builder::at_end(again);
        let mut copies = BTreeMap::new();
        for instruction in &self.uncertain {
            let copy = instruction.duplicate();
            at.insert(copy);
            substitute(copy, &copies);
            copies.insert(*instruction, copy);
        }
        at.branch(behind);
        copies
    }
}

/// Has what uses a value of a block behind it use that of another block if it comes from there.
fn merge<'m>(
    value: Value<'m>,
    block: Block<'m>,
    other: Value<'m>,
    again: Block<'m>,
    behind: Block<'m>,
) {
    let users: Vec<_> = (value.users().into_iter())
        .filter(|user| user.block() != block || user.is(LLVMOpcode::LLVMPHI))
        .collect();
    let Some(start) = behind.instructions().first().copied() else {
        return;
    };
    if users.is_empty() {
        return;
    }
    let phi = Builder::before(start).phi(value.ty());
    for user in users {
        user.replace_operand(value, phi);
    }
    phi.add_incoming(value, block);
    phi.add_incoming(other, again);
}
