//! Fetches what later items will read, where items run one by one and each has a loop of its own.
//!
//! Such items often have a row of what lies one behind the other, such as a row of a sparse matrix: the
//! processor fetches ahead within a page, and waits at the next one's begin. Takes finished code; where a
//! loop of single elements begins that is in another loop, what lies a page behind its first element is
//! fetched. Whether a later item reads that can't be known, and if none does, little is lost.

use inkwell::module::Module;
use inkwell::targets::TargetMachine;
use llvm_sys::{LLVMOpcode, LLVMTypeKind};

use super::super::super::affine::Affine;
use super::super::regions::type_size;
use super::Streams;
use crate::ir::flow::{Blocks, Loops};
use crate::ir::{Block, Builder, Value};

/// Adds the fetches to the function that runs work-groups, whose blocks and loops these are.
pub(super) fn add<'m>(
    module: &'m Module<'_>,
    machine: &TargetMachine,
    (blocks, loops): (&Blocks<'m>, &Loops),
) {
    for one in loops.all() {
        let nodes: Vec<usize> = loops.nodes(one).collect();
        let innermost = nodes.iter().all(|node| loops.innermost(*node) == Some(one));
        let header = loops.header(one);
        if !innermost || loops.around(header).count() < 2 {
            continue;
        }
        let Some(before) = loops.entry(blocks.flow(), one) else {
            continue;
        };
        let turns = Turns {
            header: blocks.block(header),
            before: blocks.block(before),
            blocks: nodes.iter().map(|node| blocks.block(*node)).collect(),
        };
        turns.fetch(module, machine);
    }
}

/// A loop in which there is no other.
struct Turns<'m> {
    header: Block<'m>,
    before: Block<'m>,
    /// In the function's order, so that the same kernel always gives the same code.
    blocks: Vec<Block<'m>>,
}

impl<'m> Turns<'m> {
    fn fetch(&self, module: &'m Module<'_>, machine: &TargetMachine) {
        let Some((counter, first)) = self.counter() else {
            return;
        };
        let affine = Affine {
            lane: counter,
            header: self.header,
            blocks: &self.blocks.iter().copied().collect(),
            row: None,
        };
        let mut streams = Streams::new();
        for instruction in self.blocks.iter().flat_map(|block| block.instructions()) {
            let scalar = instruction.ty().kind() != LLVMTypeKind::LLVMVectorTypeKind;
            if scalar {
                streams.add(instruction, &affine, |ty| type_size(machine, ty));
            }
        }
        let at = Builder::before(self.before.terminator());
        streams.fetch(module, &at, |address| affine.repeat(address, &at, first));
    }

    /// What counts turns by one, and from where.
    fn counter(&self) -> Option<(Value<'m>, Value<'m>)> {
        self.header.phis().into_iter().find_map(|phi| {
            let incoming = phi.incoming();
            let (first, _) = *incoming.iter().find(|(_, from)| *from == self.before)?;
            let (next, _) = *incoming.iter().find(|(_, from)| *from != self.before)?;
            let counts = incoming.len() == 2
                && next.is_instruction()
                && next.is(LLVMOpcode::LLVMAdd)
                && next.operand(0) == phi
                && next.operand(1).constant_integer() == Some(1)
                && phi.ty().integer_width() == 64;
            counts.then_some((phi, first))
        })
    }
}
