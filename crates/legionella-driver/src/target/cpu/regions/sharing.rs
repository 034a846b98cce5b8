//! Which values lanes share.
//!
//! Whether a value is the same for all lanes that run a region together follows from how it is
//! computed and from where lanes spread (`ir::flow`). Only values that can be computed before
//! the region's loop over the lanes count as shared; a value that all lanes happen to compute alike,
//! but within the loop, is each lane's own.

use std::collections::{BTreeSet, HashSet};

use legionella_abi::intrinsic;
use llvm_sys::LLVMOpcode;

use super::split::Split;
use crate::ir::Value;
use crate::ir::flow::{LoopId, Spread};
use crate::target::uniform::computable;

/// Who has the same value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sharing {
    /// All items of a strip: it depends on arguments, sizes, and ids that they have in common.
    Strip,
    /// All lanes that run the value's region together.
    Region,
    /// Nobody.
    Lane,
}

/// The sharing of all values of a function.
pub(super) struct Sharings<'m> {
    strip: HashSet<Value<'m>>,
    lane: HashSet<Value<'m>>,
}

impl<'m> Sharings<'m> {
    pub(super) fn of(split: &Split<'m>) -> Self {
        let instructions = in_order(split);
        let mut strip = HashSet::new();
        for &value in &instructions {
            let shared = |operand: Value<'m>| !operand.is_instruction() || strip.contains(&operand);
            let known = computable(value) && !is_lane_id(value)
                || value.is(LLVMOpcode::LLVMLoad) && value.operand(0).is_address_in_parameter();
            if known && value.operands().into_iter().all(shared) {
                strip.insert(value);
            }
        }
        let mut analysis = Analysis {
            split,
            early: early_loads(split),
            sharings: Sharings {
                strip,
                lane: HashSet::new(),
            },
            branches: BTreeSet::new(),
            joins: BTreeSet::new(),
            left: BTreeSet::new(),
        };
        while analysis.turn(&instructions) {}
        analysis.sharings
    }

    pub(super) fn get(&self, value: Value<'m>) -> Sharing {
        if !value.is_instruction() || self.strip.contains(&value) {
            Sharing::Strip
        } else if self.lane.contains(&value) {
            Sharing::Lane
        } else {
            Sharing::Region
        }
    }
}

/// All instructions, operands first but for ways back.
fn in_order<'m>(split: &Split<'m>) -> Vec<Value<'m>> {
    let order = split.loops.order().iter();
    order
        .flat_map(|number| split.blocks.block(*number).instructions())
        .collect()
}

/// Assumptions that only shrink: everything is shared until something is found that speaks
/// against it.
struct Analysis<'a, 'm> {
    split: &'a Split<'m>,
    /// Loads that at least one lane of its region certainly does, before anything is written.
    early: HashSet<Value<'m>>,
    sharings: Sharings<'m>,
    /// Blocks whose branch lanes take differently.
    branches: BTreeSet<usize>,
    joins: BTreeSet<usize>,
    left: BTreeSet<LoopId>,
}

impl<'m> Analysis<'_, 'm> {
    /// Looks at everything once; gives whether anything was found.
    fn turn(&mut self, instructions: &[Value<'m>]) -> bool {
        let mut found = false;
        for &value in instructions {
            if self.sharings.get(value) == Sharing::Region && !self.may_be_shared(value) {
                self.sharings.lane.insert(value);
                found = true;
            }
            let parts =
                value.successors_differ() && self.sharings.get(value.operand(0)) == Sharing::Lane;
            let number = self.split.blocks.number(value.block());
            if parts && self.branches.insert(number) {
                let spread = Spread::from(self.split.blocks.flow(), &self.split.loops, number);
                self.joins.extend(spread.joins);
                self.left.extend(spread.left);
                found = true;
            }
        }
        found
    }

    fn may_be_shared(&self, value: Value<'m>) -> bool {
        if value.is(LLVMOpcode::LLVMPHI) {
            return self.may_be_shared_phi(value);
        }
        let shared = |operand| self.sharings.get(operand) != Sharing::Lane;
        let movable = computable(value) && !is_lane_id(value) || self.early.contains(&value);
        movable && value.operands().into_iter().all(shared)
    }

    /// A phi is shared if it stands between regions, so that its value is known before the loop over
    /// the lanes, and all lanes that come have come with the same value.
    fn may_be_shared_phi(&self, phi: Value<'m>) -> bool {
        let block = phi.block();
        let incoming = phi.incoming();
        let shared = |value| self.sharings.get(value) != Sharing::Lane;
        let between = self.split.is_head(block) || self.split.owner(block).is_none();
        if !between || !incoming.iter().all(|(value, _)| shared(*value)) {
            return false;
        }
        // Which of several ways out of a region was taken is only known within the loop. A block
        // that only leads on may be on the way out of any.
        let differ = |a: &(Value<'m>, _), b: &(Value<'m>, _)| {
            let (from, other) = (self.split.owner(a.1), self.split.owner(b.1));
            a.0 != b.0 && (from == other || from.is_none() || other.is_none())
        };
        if (incoming.iter()).any(|a| incoming.iter().any(|b| differ(a, b))) {
            return false;
        }
        if !self.joins.contains(&self.split.blocks.number(block)) {
            return true;
        }
        incoming.iter().all(|(value, _)| *value == incoming[0].0)
            && self.outlasts(incoming[0].0, block)
    }

    /// Whether a value is the same for lanes that come to a block in different turns of loops.
    fn outlasts(&self, value: Value<'m>, block: crate::ir::Block<'m>) -> bool {
        if !value.is_instruction() || self.sharings.get(value) == Sharing::Strip {
            return true;
        }
        let from = self.split.blocks.number(value.block());
        let to = self.split.blocks.number(block);
        let around = self.split.loops.around(from);
        around
            .filter(|one| !self.split.loops.contains(*one, to))
            .all(|one| !self.left.contains(&one))
    }
}

/// Whether a value is an id that grows with the lane.
pub(super) fn is_lane_id(value: Value<'_>) -> bool {
    value.is(LLVMOpcode::LLVMCall)
        && value.called_function().is_some_and(|function| {
            [intrinsic::GLOBAL_ID, intrinsic::LOCAL_ID].contains(&function.name().as_str())
        })
        && value.operand(0).constant_integer() == Some(0)
}

/// Blocks in loops that load what lanes share, but within a region, so that each lane loads it. Once
/// they are heads, it is loaded once.
pub(super) fn heads_to_be<'m>(split: &Split<'m>, sharings: &Sharings<'m>) -> BTreeSet<usize> {
    let in_loops = split
        .regions
        .iter()
        .filter(|region| split.loops.innermost(region.head()).is_some());
    let others = in_loops.flat_map(|region| region.blocks[1..].iter().copied());
    others
        .filter(|number| {
            let instructions = split.blocks.block(*number).instructions().into_iter();
            let mut early = instructions.take_while(|instruction| !may_write(*instruction));
            early.any(|instruction| {
                instruction.is(LLVMOpcode::LLVMLoad)
                    && !instruction.is_ordered()
                    && sharings.get(instruction) == Sharing::Lane
                    && sharings.get(instruction.operand(0)) != Sharing::Lane
            })
        })
        .collect()
}

/// Loads in heads, up to the first instruction that may write.
fn early_loads<'m>(split: &Split<'m>) -> HashSet<Value<'m>> {
    let heads = split
        .regions
        .iter()
        .map(|region| split.blocks.block(region.head()));
    heads
        .flat_map(|head| {
            let instructions = head.instructions().into_iter();
            instructions.take_while(|instruction| !may_write(*instruction))
        })
        .filter(|instruction| instruction.is(LLVMOpcode::LLVMLoad) && !instruction.is_ordered())
        .collect()
}

pub(super) fn may_write(instruction: Value<'_>) -> bool {
    use LLVMOpcode::*;
    match instruction.opcode() {
        Some(LLVMStore | LLVMAtomicRMW | LLVMAtomicCmpXchg | LLVMFence) => true,
        Some(LLVMLoad) => instruction.is_ordered(),
        Some(LLVMCall) => !instruction.called_function().is_some_and(|function| {
            let name = function.name();
            function.has_attribute("speculatable")
                || [
                    "llvm.assume",
                    "llvm.experimental.noalias.scope.decl",
                    "llvm.lifetime.",
                ]
                .iter()
                .any(|quiet| name.starts_with(quiet))
        }),
        _ => false,
    }
}
