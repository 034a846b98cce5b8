//! Handles of basic blocks.

use std::marker::PhantomData;

use llvm_sys::LLVMOpcode;
use llvm_sys::core as c;
use llvm_sys::prelude::LLVMBasicBlockRef;

use super::{Function, Value, list, llvm};

/// A basic block.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Block<'m>(LLVMBasicBlockRef, PhantomData<&'m ()>);

impl<'m> Block<'m> {
    pub(crate) fn from_raw(raw: LLVMBasicBlockRef) -> Self {
        Block(raw, PhantomData)
    }

    pub(crate) fn raw(self) -> LLVMBasicBlockRef {
        self.0
    }

    /// The function that the block is part of.
    pub(crate) fn function(self) -> Function<'m> {
        Function::from_raw(llvm!(c::LLVMGetBasicBlockParent(self.0)))
    }

    pub(crate) fn instructions(self) -> Vec<Value<'m>> {
        let first = llvm!(c::LLVMGetFirstInstruction(self.0));
        let all = llvm!(list(first, c::LLVMGetNextInstruction));
        all.map(Value::from_raw).collect()
    }

    /// Instructions that reserve memory of the function for a fixed size.
    pub(crate) fn allocas(self) -> Vec<Value<'m>> {
        let fixed = |instruction: &Value<'m>| {
            instruction.is(LLVMOpcode::LLVMAlloca) && instruction.operand(0).is_constant()
        };
        self.instructions().into_iter().filter(fixed).collect()
    }

    pub(crate) fn phis(self) -> Vec<Value<'m>> {
        self.instructions()
            .into_iter()
            .take_while(|instruction| instruction.is(LLVMOpcode::LLVMPHI))
            .collect()
    }

    pub(crate) fn terminator(self) -> Value<'m> {
        Value::from_raw(llvm!(c::LLVMGetBasicBlockTerminator(self.0)))
    }

    pub(crate) fn successors(self) -> Vec<Block<'m>> {
        self.terminator().successors()
    }

    /// Terminators that lead to the block.
    pub(crate) fn entries(self) -> Vec<Value<'m>> {
        Value::from_raw(llvm!(c::LLVMBasicBlockAsValue(self.0))).users()
    }

    /// Moves the block behind another, which may be in another function.
    pub(crate) fn move_after(self, other: Block<'m>) {
        llvm!(c::LLVMMoveBasicBlockAfter(self.0, other.0));
    }

    /// Splits the block before an instruction that is no phi: what starts there moves to a new block,
    /// which this one branches to.
    pub(crate) fn split_before(self, instruction: Value<'m>) -> Block<'m> {
        let function = self.function();
        let behind = function.append_block("behind");
        behind.move_after(self);
        let mut moved = self.instructions();
        if let Some(index) = moved.iter().position(|other| *other == instruction) {
            moved.drain(..index);
        }
        let at = super::Builder::at_end(behind);
        for instruction in moved {
            instruction.detach();
            at.insert(instruction);
        }
        for next in behind.successors() {
            for phi in next.phis() {
                phi.replace_incoming_block(self, behind);
            }
        }
        super::Builder::at_end(self).branch(behind);
        behind
    }

    /// Removes a block. Nothing may refer to it any more.
    pub(crate) fn delete(self) {
        llvm!(c::LLVMDeleteBasicBlock(self.0));
    }
}
