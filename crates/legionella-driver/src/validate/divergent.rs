//! Operations of a whole group that stand where only the group's first item comes, or all others.
//!
//! Takes a kernel whose collective operations are all in its own function. Looks only at branches of
//! which that is certain in every group of more than one item: whether ids are zero. What depends on
//! values of the program is found when the kernel runs, where each barrier knows who waits.

use std::collections::BTreeSet;

use legionella_abi::intrinsic;
use llvm_sys::core as c;
use llvm_sys::{LLVMIntPredicate, LLVMOpcode};

use crate::ir::{Block, Function, Value, llvm};

/// Calls that the first item of a group comes to without the others, or they without it.
pub(super) fn operations(kernel: Function<'_>) -> Vec<Value<'_>> {
    let collective: Vec<Value<'_>> = kernel
        .instructions()
        .into_iter()
        .filter(|instruction| is_collective(*instruction))
        .collect();
    let mut found = BTreeSet::new();
    if !collective.is_empty() {
        for block in kernel.blocks() {
            found.extend(apart(block, &collective));
        }
    }
    // In the order of the code.
    collective
        .into_iter()
        .filter(|call| found.contains(call))
        .collect()
}

/// What can be come to by one way out of a block alone, if items part there.
fn apart<'m>(block: Block<'m>, collective: &[Value<'m>]) -> Vec<Value<'m>> {
    let Some((first, others)) = parting(block.terminator()) else {
        return Vec::new();
    };
    let ways = [reached(first, block), reached(others, block)];
    let waits =
        |way: &BTreeSet<Block<'m>>| collective.iter().any(|call| way.contains(&call.block()));
    let ends = |way: &BTreeSet<Block<'m>>| {
        way.iter()
            .any(|block| block.terminator().is(LLVMOpcode::LLVMRet))
    };
    let mut found = Vec::new();
    for (way, other) in [(0, 1), (1, 0)] {
        // Those who take the other way may all panic.
        if ends(&ways[other]) || waits(&ways[other]) {
            let alone = |call: &&Value<'m>| {
                ways[way].contains(&call.block()) && !ways[other].contains(&call.block())
            };
            found.extend(collective.iter().filter(alone));
        }
    }
    found
}

/// Where a group's first item goes, and where all others go.
fn parting(terminator: Value<'_>) -> Option<(Block<'_>, Block<'_>)> {
    let successors = terminator.successors();
    match (terminator.opcode()?, &successors[..]) {
        (LLVMOpcode::LLVMBr, &[then, otherwise]) => match first_item(terminator.operand(0))? {
            true => Some((then, otherwise)),
            false => Some((otherwise, then)),
        },
        _ => None,
    }
}

/// Whether a condition holds for a group's first item and for no other (`true`), or the other way
/// round.
fn first_item(condition: Value<'_>) -> Option<bool> {
    let operands = || [condition.operand(0), condition.operand(1)];
    match condition.opcode()? {
        LLVMOpcode::LLVMICmp => {
            let [one, other] = operands();
            let sums = is_number(one) == Some(true) && is_negated_number(other)
                || is_number(other) == Some(true) && is_negated_number(one);
            let zero = other.constant_integer() == Some(0) && is_number(one) == Some(true) || sums;
            match llvm!(c::LLVMGetICmpPredicate(condition.raw())) {
                LLVMIntPredicate::LLVMIntEQ if zero => Some(true),
                LLVMIntPredicate::LLVMIntNE if zero => Some(false),
                _ => None,
            }
        }
        // `a && b` of two that hold for the first alone; `a || b` of two that don't.
        LLVMOpcode::LLVMAnd => (operands().map(first_item) == [Some(true); 2]).then_some(true),
        LLVMOpcode::LLVMOr => (operands().map(first_item) == [Some(false); 2]).then_some(false),
        LLVMOpcode::LLVMSelect => {
            let [first, yes, no] = [0, 1, 2].map(|index| condition.operand(index));
            let (constant, other) = match (yes.constant_integer(), no.constant_integer()) {
                (_, Some(0)) => (true, yes),
                (Some(1), _) => (false, no),
                _ => return None,
            };
            let same = first_item(first)? == constant && first_item(other)? == constant;
            same.then_some(constant)
        }
        LLVMOpcode::LLVMXor if condition.operand(1).constant_integer() == Some(1) => {
            first_item(condition.operand(0)).map(|holds| !holds)
        }
        _ => None,
    }
}

/// Whether a value is zero for the first item and for no other along the dimensions that it is made
/// of: a sum of ids and of their products with extents. `Some(false)` is an extent, which is never
/// zero: the size of a group, or the least of that and what is left of the grid. `None` is anything
/// else.
fn is_number(value: Value<'_>) -> Option<bool> {
    let operand = |index| is_number(value.operand(index));
    match value.opcode()? {
        LLVMOpcode::LLVMCall => match value.called_function()?.name().as_str() {
            intrinsic::LOCAL_ID => Some(true),
            intrinsic::GROUP_SIZE => Some(false),
            name if name.starts_with("llvm.umin.") => {
                let sides = [value.operand(0), value.operand(1)];
                let left = |side: &Value<'_>| is_of_grid(*side) == Some(true);
                let size = |side: &Value<'_>| is_number(*side) == Some(false);
                (sides.iter().any(size) && sides.iter().any(left)).then_some(false)
            }
            _ => None,
        },
        LLVMOpcode::LLVMAdd | LLVMOpcode::LLVMOr => (operand(0)? && operand(1)?).then_some(true),
        LLVMOpcode::LLVMMul => match (operand(0)?, operand(1)?) {
            (true, false) | (false, true) => Some(true),
            _ => None,
        },
        LLVMOpcode::LLVMZExt | LLVMOpcode::LLVMTrunc | LLVMOpcode::LLVMSExt => operand(0),
        _ => None,
    }
}

/// Whether a sum of ids and sizes has the grid's in it, as what is left of the grid where a group
/// begins; `None` if there is something else in it.
fn is_of_grid(value: Value<'_>) -> Option<bool> {
    match value.opcode()? {
        LLVMOpcode::LLVMCall => match value.called_function()?.name().as_str() {
            intrinsic::GRID_SIZE => Some(true),
            intrinsic::GLOBAL_ID | intrinsic::LOCAL_ID => Some(false),
            intrinsic::GROUP_ID | intrinsic::GROUP_SIZE => Some(false),
            _ => None,
        },
        LLVMOpcode::LLVMAdd | LLVMOpcode::LLVMSub | LLVMOpcode::LLVMMul => {
            let (one, other) = (is_of_grid(value.operand(0))?, is_of_grid(value.operand(1))?);
            Some(one || other)
        }
        _ => None,
    }
}

/// What simplification makes of one summand when a sum is compared with zero.
fn is_negated_number(value: Value<'_>) -> bool {
    value.is(LLVMOpcode::LLVMSub)
        && value.operand(0).constant_integer() == Some(0)
        && is_number(value.operand(1)) == Some(true)
}

/// The blocks that a way leads to which doesn't come back to where it began.
fn reached<'m>(from: Block<'m>, without: Block<'m>) -> BTreeSet<Block<'m>> {
    let mut reached = BTreeSet::from([from]);
    let mut ahead = vec![from];
    while let Some(block) = ahead.pop() {
        for next in block.successors() {
            if next != without && reached.insert(next) {
                ahead.push(next);
            }
        }
    }
    reached
}

fn is_collective(instruction: Value<'_>) -> bool {
    let called = instruction.is_call().then(|| instruction.called_function());
    let name = called.flatten().map(Function::name);
    name.is_some_and(|name| intrinsic::is_collective(&name))
}
