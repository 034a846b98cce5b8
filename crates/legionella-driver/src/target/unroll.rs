//! Short loops that count, several turns at once.
//!
//! Takes simplified code; asks LLVM to unroll the loops that it would leave because what a GPU is thought
//! to gain by that is little, as the vendor's compiler does: their counters and addresses, of 64 bits each,
//! cost as much as a few operations of floats. What encloses only loops that are unrolled as a whole can be so
//! itself. Loops whose counter is the index of an array of the item's own are unrolled as
//! a whole, since an array is in registers only if all of its indices are known.

use std::collections::BTreeSet;

use inkwell::module::Module;
use llvm_sys::LLVMOpcode;
use llvm_sys::core as c;

use crate::ir::flow::{Blocks, LoopId, Loops};
use crate::ir::metadata::{describe_loop, node, property, text};
use crate::ir::{self, Block, Function, Types, Value, llvm};

/// Turns that become one.
const TURNS: u64 = 4;

/// Most instructions of a loop of which several turns become one.
const LONGEST: u64 = 128;

/// Most turns of a loop that is unrolled as a whole, and most instructions that it then has.
const MOST_TURNS: u64 = 32;
const MOST_INSTRUCTIONS: u64 = 2560;

/// Most instructions of a loop that is unrolled as a whole for the sake of an item's own array.
const MOST_FOR_ARRAYS: u64 = 4096;

/// Asks for it in all functions. A loop that is unrolled as a whole with the loops in it has `most_nested` instructions
/// then at most, where addresses and what is found in registers count as well.
pub(super) fn mark(module: &Module<'_>, most_nested: u64) {
    let context = llvm!(c::LLVMGetModuleContext(module.as_mut_ptr()));
    for function in ir::functions(module) {
        function.blocks().into_iter().for_each(settle_advances);
        for (latch, whole) in latches(function, most_nested) {
            let how = if whole {
                node(context, &mut [text(context, "llvm.loop.unroll.full")])
            } else {
                property(context, "llvm.loop.unroll.count", 32, TURNS)
            };
            describe_loop(context, latch, &[how]);
        }
    }
}

/// Has what is carried round a loop not depend on whether the loop ends, which the branch behind it decides
/// by the same condition: a slice's iterator goes on to the next element only if there is one, and LLVM
/// doesn't see that it is a counter.
fn settle_advances(block: Block<'_>) {
    let terminator = block.terminator();
    let successors = block.successors();
    if !terminator.is(LLVMOpcode::LLVMBr) || successors.len() != 2 || successors[0] == successors[1]
    {
        return;
    }
    let condition = terminator.operand(0);
    for value in block.instructions() {
        let choices = if value.is(LLVMOpcode::LLVMSelect) && value.operand(0) == condition {
            [value.operand(1), value.operand(2)]
        } else if value.is(LLVMOpcode::LLVMZExt) && value.operand(0) == condition {
            [value.ty().constant(1), value.ty().zero()]
        } else {
            continue;
        };
        for (choice, successor) in choices.into_iter().zip(&successors) {
            if is_for(value, block, *successor) {
                value.replace_all_uses_with(choice);
                break;
            }
        }
    }
}

/// Whether a value matters on one of the ways out of its block only: directly, or through an address that
/// is computed of it.
fn is_for<'m>(value: Value<'m>, block: Block<'m>, successor: Block<'m>) -> bool {
    value.users().into_iter().all(|user| {
        if user.is(LLVMOpcode::LLVMPHI) {
            let incoming = user.incoming();
            let mut places = incoming.iter().filter(|(incoming, _)| *incoming == value);
            return user.block() == successor && places.all(|(_, from)| *from == block);
        }
        let computes = user.is(LLVMOpcode::LLVMGetElementPtr) || user.is(LLVMOpcode::LLVMAdd);
        computes && user.block() == block && is_for(user, block, successor)
    })
}

/// The branches that go round of the loops of a function that are to be unrolled, and whether as a whole.
fn latches<'m>(function: Function<'m>, most_nested: u64) -> Vec<(Value<'m>, bool)> {
    if function.is_declaration() || function.has_attribute("optsize") {
        return Vec::new();
    }
    let Some(blocks) = Blocks::of(function) else {
        return Vec::new();
    };
    let flow = blocks.flow();
    let Ok(loops) = Loops::of(flow) else {
        return Vec::new();
    };
    let found = loops.all().filter_map(|id| {
        let (latch, inside) = bounds(&blocks, &loops, id)?;
        let whole = unrolled(&blocks, &loops, id, most_nested).is_some();
        let is_short = || {
            let innermost = loops
                .nodes(id)
                .all(|node| loops.innermost(node) == Some(id));
            let counts = turns(blocks.block(loops.header(id)), &inside).is_some();
            innermost && counts && length(&inside) <= LONGEST && is_plain(&inside)
        };
        (whole || is_short()).then_some((latch, whole))
    });
    found.collect()
}

/// The branch that goes round of a loop about which nothing is said yet, and the loop's blocks.
fn bounds<'m>(
    blocks: &Blocks<'m>,
    loops: &Loops,
    id: LoopId,
) -> Option<(Value<'m>, BTreeSet<Block<'m>>)> {
    let [latch] = *loops.latches(id) else {
        return None;
    };
    let latch = blocks.block(latch).terminator();
    let inside = loops.nodes(id).map(|node| blocks.block(node)).collect();
    (!latch.has_metadata("llvm.loop")).then_some((latch, inside))
}

/// How many instructions a loop has that is unrolled as a whole, with all loops in it; `None` if it isn't.
fn unrolled(blocks: &Blocks<'_>, loops: &Loops, id: LoopId, most_nested: u64) -> Option<u64> {
    let (_, inside) = bounds(blocks, loops, id)?;
    let turns =
        turns(blocks.block(loops.header(id)), &inside)?.filter(|turns| *turns <= MOST_TURNS)?;
    let (mut own, mut within) = (BTreeSet::new(), BTreeSet::new());
    for node in loops.nodes(id) {
        match loops.child(Some(id), node) {
            Some(next) => within.extend([next]),
            None => own.extend([blocks.block(node)]),
        }
    }
    let mut instructions = length(&own);
    for next in &within {
        instructions += unrolled(blocks, loops, *next, most_nested)?;
    }
    let (most, may) = match (within.is_empty(), has_own_array(&inside)) {
        (true, true) => (MOST_FOR_ARRAYS, true),
        (true, false) => (MOST_INSTRUCTIONS, is_plain(&inside)),
        (false, _) => (most_nested, is_plain(&inside)),
    };
    let all = turns * instructions;
    (may && all <= most).then_some(all)
}

/// How many instructions blocks have.
fn length(blocks: &BTreeSet<Block<'_>>) -> u64 {
    let all = blocks.iter().flat_map(|block| block.instructions());
    all.filter(|one| !one.is(LLVMOpcode::LLVMPHI)).count() as u64
}

/// Whether a loop accesses memory of the item's own at an index that it computes.
fn has_own_array(inside: &BTreeSet<Block<'_>>) -> bool {
    let mut instructions = inside.iter().flat_map(|block| block.instructions());
    instructions.any(|address| {
        let by_index = address.is(LLVMOpcode::LLVMGetElementPtr)
            && (address.operands()[1..].iter())
                .any(|index| index.is_instruction() && inside.contains(&index.block()));
        let mut base = address;
        while base.is_instruction() && base.is(LLVMOpcode::LLVMGetElementPtr) {
            base = base.operand(0).in_any_space();
        }
        by_index && base.is_instruction() && base.is(LLVMOpcode::LLVMAlloca)
    })
}

/// Whether a loop does nothing that threads do together or in an order.
fn is_plain(inside: &BTreeSet<Block<'_>>) -> bool {
    let plain = |called: Function<'_>| {
        let name = called.name();
        let is = |prefix: &&str| name.starts_with(*prefix);
        [
            "llvm.assume",
            "llvm.lifetime.",
            "llvm.memcpy.",
            "llvm.memset.",
        ]
        .iter()
        .any(is)
            || name.starts_with("llvm.") && called.has_attribute("speculatable")
    };
    let mut instructions = inside.iter().flat_map(|block| block.instructions());
    instructions.all(|instruction| {
        llvm!(c::LLVMIsAtomic(instruction.raw())) == 0
            && (!instruction.is_call() || instruction.called_function().is_some_and(plain))
    })
}

/// How often a loop turns, if that is known, where one comparison of what grows by a constant with what
/// stays is all that ends it.
fn turns<'m>(header: Block<'m>, inside: &BTreeSet<Block<'m>>) -> Option<Option<u64>> {
    let leaves = |block: &&Block<'m>| block.successors().iter().any(|next| !inside.contains(next));
    let exits: Vec<_> = inside.iter().filter(leaves).collect();
    let [exit] = exits[..] else { return None };
    let terminator = exit.terminator();
    if !terminator.is(LLVMOpcode::LLVMBr) || exit.successors().len() != 2 {
        return None;
    }
    let test = terminator.operand(0);
    if !test.is_instruction() || !test.is(LLVMOpcode::LLVMICmp) {
        return None;
    }
    let stays = |value: Value<'m>| !value.is_instruction() || !inside.contains(&value.block());
    let is_counter = |value: Value<'m>| {
        value.is_instruction() && value.is(LLVMOpcode::LLVMPHI) && value.block() == header
    };
    let step = |value: Value<'m>| {
        let by_constant = value.is_instruction()
            && (value.is(LLVMOpcode::LLVMAdd) || value.is(LLVMOpcode::LLVMGetElementPtr))
            && value.operands().len() == 2
            && value.operand(1).is_constant();
        by_constant.then(|| (value.operand(0), value.operand(1)))
    };
    let counter = |value: Value<'m>| match step(value) {
        Some((before, _)) if is_counter(before) => Some(before),
        _ => is_counter(value).then_some(value),
    };
    let [a, b] = [test.operand(0), test.operand(1)];
    let (counter, end) = match (counter(a), counter(b)) {
        (Some(counter), _) if stays(b) => (counter, b),
        (_, Some(counter)) if stays(a) => (counter, a),
        _ => return None,
    };
    let (within, before): (Vec<_>, Vec<_>) =
        (counter.incoming().into_iter()).partition(|(_, from)| inside.contains(from));
    let [(next, _)] = within[..] else { return None };
    let (_, step) = step(next).filter(|(from, _)| *from == counter)?;
    let known = || {
        let (first, step) = (before.first()?.0, step.constant_integer()?);
        let distance = if next.is(LLVMOpcode::LLVMGetElementPtr) {
            let in_bytes = next.element_type() == Types::of_type(first.ty()).i8;
            in_bytes.then(|| end.distance_from(first)).flatten()
        } else {
            end.constant_integer()?
                .checked_sub(first.constant_integer()?)
        };
        Some(distance?.div_ceil(step))
    };
    Some(known())
}
