//! What neighbouring work-items of a thread read, before any of them writes.
//!
//! Takes the quick loop over a thread's items ([`super::wide`]). Where what is read may lie where an item writes, as by
//! raw pointers, LLVM leaves reads and writes in order, and makes one access of neither. But items of a launch don't come in an
//! order: what one reads, no other writes, unless by atomic operations. So reads which an item makes before it writes anything
//! are made for all items in front of the loop, where LLVM makes one of them.

use llvm_sys::LLVMOpcode;

use super::chain::is_a_hint;
use super::guards::Quick;
use crate::ir::{Block, Builder, Function, Types, Value};

/// Makes such reads of `width` items at the end of the block that leads into the loop, once it is settled what that assumes.
pub(super) fn make<'m>(quick: &Quick<'m>, enter: Block<'m>, width: u64) {
    let neighbours = quick.neighbours();
    let Some(entry) = enter.function().blocks().first().copied() else {
        return;
    };
    let allocas = Builder::before(entry.instructions()[0]);
    for read in before_writes(quick) {
        if read.has_metadata("invariant.load") || !neighbours.contains(&read.operand(0)) {
            continue;
        }
        let (ty, lane) = (read.ty(), quick.lane);
        let i64 = Types::of_type(lane.ty()).i64;
        let all = allocas.alloca(ty.array(width), read.alignment());
        let at = Builder::before(enter.terminator());
        for item in 0..width {
            let number = i64.constant(item);
            let address = quick.before_loop_of(read.operand(0), &at, number);
            let value = at.load(ty, address);
            value.set_alignment(read.alignment());
            at.store(value, at.element(ty, all, number));
        }
        let at = Builder::before(read);
        let own = at.load(ty, at.element(ty, all, lane));
        read.replace_all_uses_with(own);
        read.erase();
    }
}

/// Reads of an item that each comes to before it writes anything, and before it meets others.
fn before_writes<'m>(quick: &Quick<'m>) -> Vec<Value<'m>> {
    use LLVMOpcode::*;
    let mut found = Vec::new();
    let mut passed = vec![quick.header];
    let mut next = quick.header.successors().first().copied();
    while let Some(block) = next.filter(|block| !passed.contains(block)) {
        passed.push(block);
        for instruction in block.instructions() {
            match instruction.opcode() {
                Some(LLVMLoad) if !instruction.is_ordered() => found.push(instruction),
                Some(LLVMCall) if is_without_effect(instruction) => {}
                _ if instruction.touches_memory() => return found,
                _ => {}
            }
        }
        next = onwards(block);
    }
    found
}

/// Where a block leads, if that is always the same.
fn onwards(block: Block<'_>) -> Option<Block<'_>> {
    match block.successors()[..] {
        [next] => Some(next),
        [yes, no] if block.terminator().is(LLVMOpcode::LLVMBr) => {
            let test = block.terminator().operand(0).constant_integer()?;
            Some(if test != 0 { yes } else { no })
        }
        _ => None,
    }
}

/// Whether a call computes something, or tells LLVM something.
fn is_without_effect(call: Value<'_>) -> bool {
    let computes = |called: Function<'_>| called.has_attribute("speculatable");
    is_a_hint(call) || call.called_function().is_some_and(computes)
}
