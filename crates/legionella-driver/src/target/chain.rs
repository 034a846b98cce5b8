//! Loops whose blocks run in a row, and copies of their turns.
//!
//! Takes optimised code in which each value of a loop that is used behind it is so by a phi there. What makes several
//! turns of a loop one ([`super::ahead`], [`super::strides`]) finds here which loops it may copy, and copies them.

use std::collections::{BTreeSet, HashMap};

use llvm_sys::LLVMOpcode;

use crate::ir::flow::{Blocks, LoopId, Loops};
use crate::ir::{Block, Builder, Value};

/// A loop of no more than so many instructions that has no loop in it, and none of whose blocks is left out in a turn
/// but by leaving the loop. It writes nothing.
pub(super) struct Chain<'m> {
    /// Where it is entered from. That block leads nowhere else.
    pub(super) before: Block<'m>,
    /// Its blocks in the order in which they run.
    pub(super) blocks: Vec<Block<'m>>,
    /// Where it may be left, but for the last block.
    pub(super) exits: Vec<Exit<'m>>,
}

/// A branch out of a loop.
#[derive(Clone, Copy)]
pub(super) struct Exit<'m> {
    /// What decides.
    pub(super) test: Value<'m>,
    /// Whether the loop is left if that is true.
    pub(super) if_true: bool,
    /// Where to.
    pub(super) to: Block<'m>,
}

impl<'m> Chain<'m> {
    pub(super) fn of(
        blocks: &Blocks<'m>,
        loops: &Loops,
        id: LoopId,
        longest: usize,
    ) -> Option<Self> {
        let flow = blocks.flow();
        let nodes: Vec<_> = loops.nodes(id).collect();
        let innermost = nodes.iter().all(|node| loops.innermost(*node) == Some(id));
        let [latch] = *loops.latches(id) else {
            return None;
        };
        if !innermost {
            return None;
        }
        let (header, latch) = (blocks.block(loops.header(id)), blocks.block(latch));
        let inside: BTreeSet<_> = nodes.iter().map(|node| blocks.block(*node)).collect();
        let before = blocks.block(loops.entry(flow, id)?);
        if before.successors().len() != 1 {
            return None;
        }
        let (mut chain, mut exits) = (vec![header], Vec::new());
        let mut last = header;
        while last != latch {
            let next = match last.successors()[..] {
                [next] => next,
                [yes, no] => {
                    let exit = Exit::of(last, &inside)?;
                    exits.push(exit);
                    if exit.if_true { no } else { yes }
                }
                _ => return None,
            };
            (inside.contains(&next) && !chain.contains(&next)).then_some(())?;
            chain.push(next);
            last = next;
        }
        let carries = |block: &Block<'m>| !block.phis().is_empty();
        if chain.len() != inside.len() || chain[1..].iter().any(carries) {
            return None;
        }
        let mut all = chain.iter().flat_map(|block| block.instructions());
        let length = all
            .clone()
            .filter(|one| !one.is(LLVMOpcode::LLVMPHI))
            .count();
        (length <= longest && all.all(is_plain)).then_some(Chain {
            before,
            blocks: chain,
            exits,
        })
    }

    pub(super) fn header(&self) -> Block<'m> {
        self.blocks[0]
    }

    pub(super) fn latch(&self) -> Block<'m> {
        self.blocks[self.blocks.len() - 1]
    }

    /// The way out of the last block, if there is one.
    pub(super) fn end(&self) -> Option<Exit<'m>> {
        Exit::of(self.latch(), &self.blocks.iter().copied().collect())
    }

    pub(super) fn contains(&self, value: Value<'m>) -> bool {
        value.is_instruction() && self.blocks.contains(&value.block())
    }
}

impl<'m> Exit<'m> {
    /// The branch that ends a block, if it leads out of the loop of these blocks or stays in it.
    fn of(block: Block<'m>, inside: &BTreeSet<Block<'m>>) -> Option<Self> {
        let [yes, no] = block.successors()[..] else {
            return None;
        };
        let leaves = [yes, no].map(|next| !inside.contains(&next));
        let branches = block.terminator().is(LLVMOpcode::LLVMBr);
        (branches && leaves[0] != leaves[1]).then(|| Exit {
            test: block.terminator().operand(0),
            if_true: leaves[0],
            to: if leaves[0] { yes } else { no },
        })
    }
}

/// Copies of what a loop computes, by the turn.
pub(super) struct Copies<'a, 'm> {
    chain: &'a Chain<'m>,
    of: HashMap<(Value<'m>, u64), Value<'m>>,
}

impl<'a, 'm> Copies<'a, 'm> {
    pub(super) fn of(chain: &'a Chain<'m>) -> Self {
        Copies {
            chain,
            of: HashMap::new(),
        }
    }

    /// Phis of what a loop carries from turn to turn, with what it begins with: those of the first copied turn.
    pub(super) fn begin(&mut self, at: &Builder<'m>) {
        for phi in self.chain.header().phis() {
            let own = at.phi(phi.ty());
            if let Some(first) = round(phi, self.chain.before) {
                own.add_incoming(first, self.chain.before);
            }
            self.of.insert((phi, 0), own);
        }
    }

    /// The value of a turn, which was copied if it is of the loop.
    pub(super) fn find(&self, value: Value<'m>, turn: u64) -> Value<'m> {
        if let Some(copy) = self.of.get(&(value, turn)) {
            return *copy;
        }
        match self.before(value, turn) {
            Some(next) if self.chain.contains(value) => self.find(next, turn - 1),
            _ => value,
        }
    }

    /// Has what follows take another value for that of a turn.
    pub(super) fn put(&mut self, value: Value<'m>, turn: u64, copy: Value<'m>) {
        self.of.insert((value, turn), copy);
    }

    /// What a phi at the loop's head is of what the turn before computed.
    fn before(&self, value: Value<'m>, turn: u64) -> Option<Value<'m>> {
        let carried = self.chain.contains(value) && value.is(LLVMOpcode::LLVMPHI) && turn > 0;
        carried.then(|| round(value, self.chain.latch())).flatten()
    }

    /// The value of a turn that may not come to pass.
    pub(super) fn early(&mut self, value: Value<'m>, turn: u64, at: &Builder<'m>) -> Value<'m> {
        if !self.chain.contains(value) {
            return value;
        }
        if let Some(copy) = self.of.get(&(value, turn)) {
            return *copy;
        }
        if let Some(next) = self.before(value, turn) {
            return self.early(next, turn - 1, at);
        }
        let operands: Vec<_> = (value.operands().into_iter())
            .map(|operand| self.early(operand, turn, at))
            .collect();
        self.copy(value.clone_speculatable(), operands, (value, turn), at)
    }

    /// Copies what a turn does that comes to pass and isn't there yet.
    pub(super) fn rest(&mut self, turn: u64, at: &Builder<'m>) {
        for block in &self.chain.blocks {
            for instruction in block.instructions() {
                self.late(instruction, turn, at);
            }
        }
    }

    fn late(&mut self, value: Value<'m>, turn: u64, at: &Builder<'m>) {
        let copied = self.of.contains_key(&(value, turn));
        if copied || value.is(LLVMOpcode::LLVMPHI) || is_a_hint(value) || is_branch(value) {
            return;
        }
        let operands: Vec<_> = (value.operands().into_iter())
            .map(|operand| self.find(operand, turn))
            .collect();
        self.copy(value.duplicate(), operands, (value, turn), at);
    }

    fn copy(
        &mut self,
        copy: Value<'m>,
        operands: Vec<Value<'m>>,
        of: (Value<'m>, u64),
        at: &Builder<'m>,
    ) -> Value<'m> {
        at.insert(copy);
        for (index, operand) in (0..).zip(operands) {
            copy.set_operand(index, operand);
        }
        self.of.insert(of, copy);
        copy
    }
}

/// What a phi is when its block is entered from another.
pub(super) fn round<'m>(phi: Value<'m>, from: Block<'m>) -> Option<Value<'m>> {
    let mut incoming = phi.incoming().into_iter();
    incoming
        .find(|(_, block)| *block == from)
        .map(|(value, _)| value)
}

/// Whether an instruction may be copied: it has no effect but its value.
fn is_plain(instruction: Value<'_>) -> bool {
    use LLVMOpcode::*;
    match instruction.opcode() {
        Some(LLVMLoad) => !instruction.is_ordered(),
        Some(LLVMCall) => {
            is_a_hint(instruction)
                || instruction.called_function().is_some_and(|called| {
                    called.name().starts_with("llvm.") && called.has_attribute("speculatable")
                })
        }
        Some(LLVMStore | LLVMAtomicRMW | LLVMAtomicCmpXchg | LLVMFence | LLVMAlloca) => false,
        _ => !instruction.is_call(),
    }
}

/// Whether an instruction tells LLVM something and does nothing.
pub(super) fn is_a_hint(instruction: Value<'_>) -> bool {
    instruction.is(LLVMOpcode::LLVMCall)
        && instruction.called_function().is_some_and(|called| {
            let name = called.name();
            [
                "llvm.assume",
                "llvm.experimental.noalias.scope.decl",
                "llvm.dbg.",
            ]
            .iter()
            .any(|hint| name.starts_with(hint))
        })
}

fn is_branch(instruction: Value<'_>) -> bool {
    instruction.is(LLVMOpcode::LLVMBr)
}
