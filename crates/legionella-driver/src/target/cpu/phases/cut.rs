//! Where a kernel whose items wait for each other is cut.
//!
//! A *cut* is an operation that items carry out together. What an item does from the entry, or from
//! behind a cut, up to the next cut or its end is a *phase*; the cut it comes to, or the end, is the
//! phase's *outcome*. Takes a function in which each operation begins a block of its own, and finds
//! out whether all items of a group come out of each phase alike.

use std::collections::{BTreeMap, BTreeSet};

use legionella_abi::intrinsic;
use llvm_sys::LLVMOpcode;

use super::Refusal;
use crate::ir::flow::{Blocks, Loops};
use crate::ir::{Function, Value};
use crate::target::uniform::Uniform;

/// What items do together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Barrier { label: u64 },
    Shuffle,
    Ballot,
}

impl Operation {
    /// The operation that a call carries out; `None` if it is none.
    fn of(call: Value<'_>) -> Option<Result<Self, Refusal>> {
        let name = call.called_function()?.name();
        Some(match name.as_str() {
            intrinsic::BARRIER => match call.operand(0).constant_integer() {
                Some(label) => Ok(Operation::Barrier { label }),
                None => Err(Refusal::Label),
            },
            intrinsic::SUBGROUP_SHUFFLE => Ok(Operation::Shuffle),
            intrinsic::SUBGROUP_BALLOT => Ok(Operation::Ballot),
            _ => return None,
        })
    }
}

/// An operation of the kernel.
pub(super) struct Cut<'m> {
    pub(super) call: Value<'m>,
    pub(super) operation: Operation,
    /// Where in the source it stands: a constant address.
    pub(super) place: Value<'m>,
    /// The block that begins with it.
    pub(super) block: usize,
}

/// How an item comes out of a phase: 0 if it has ended, else one more than the number of the cut.
pub(super) type Outcome = usize;

/// What items do between two cuts.
pub(super) struct Phase {
    pub(super) outcomes: BTreeSet<Outcome>,
    /// Whether items may come out differently.
    pub(super) parts: bool,
    pub(super) instructions: usize,
}

/// A kernel with its cuts. The phase 0 begins at the entry, others behind the cut before.
pub(super) struct Cuts<'m> {
    pub(super) blocks: Blocks<'m>,
    pub(super) uniform: Uniform<'m>,
    pub(super) cuts: Vec<Cut<'m>>,
    pub(super) phases: Vec<Phase>,
}

/// Puts each operation of a function at the beginning of a block.
pub(super) fn separate(function: Function<'_>) {
    let mut operations = function.instructions();
    operations.retain(|instruction| Operation::of(*instruction).is_some());
    for operation in operations {
        operation.block().split_before(operation);
    }
}

impl<'m> Cuts<'m> {
    /// Of a function whose loops have one latch each, and where values leave loops by phis.
    pub(super) fn of(function: Function<'m>) -> Result<Self, Refusal> {
        let blocks = Blocks::of(function).ok_or(Refusal::Unreachable)?;
        let flow = blocks.flow();
        let loops = Loops::of(flow).map_err(|_| Refusal::Irreducible)?;
        if loops.all().any(|one| loops.latches(one).len() != 1) {
            return Err(Refusal::Irreducible);
        }
        let mut cuts = Vec::new();
        for &block in loops.order() {
            let first = blocks.block(block).instructions()[0];
            let Some(operation) = Operation::of(first) else {
                continue;
            };
            let place = first.operands().into_iter().rev().nth(1);
            cuts.push(Cut {
                call: first,
                operation: operation?,
                place: place
                    .filter(|place| place.is_constant())
                    .ok_or(Refusal::Place)?,
                block,
            });
        }
        let uniform = Uniform::of(&blocks, &loops);
        let mut all = Cuts {
            blocks,
            uniform,
            cuts,
            phases: Vec::new(),
        };
        let begins = std::iter::once(0).chain(all.cuts.iter().map(|cut| cut.block));
        let phases = begins
            .map(|begin| all.phase(begin))
            .collect::<Result<_, _>>()?;
        all.phases = phases;
        Ok(all)
    }

    /// Whether memory of the item is used before a cut and behind it, where `alive` says which values
    /// are used behind each.
    pub(super) fn outlives_a_phase(&self, memory: Value<'m>, alive: &[Vec<Value<'m>>]) -> bool {
        let users = memory.users().into_iter();
        let used = users.filter(|user| user.is_instruction() && !is_lifetime_marker(*user));
        let mut reached: BTreeSet<_> = used.map(|user| self.blocks.number(user.block())).collect();
        let mut ahead: Vec<_> = reached.iter().copied().collect();
        while let Some(block) = ahead.pop() {
            let next = self.blocks.flow().successors(block).iter();
            ahead.extend(next.copied().filter(|next| reached.insert(*next)));
        }
        let cuts = self.cuts.iter().zip(alive);
        cuts.into_iter().any(|(cut, alive)| {
            let from = self.blocks.flow().predecessors(cut.block);
            alive.contains(&memory) && from.iter().any(|from| reached.contains(from))
        })
    }

    fn phase(&self, begin: usize) -> Result<Phase, Refusal> {
        let flow = self.blocks.flow();
        let ways = Ways {
            blocks: &self.blocks,
            cuts: &self.cuts,
        };
        let reached = ways.reached(begin);
        let sizes = reached.iter().map(|block| self.blocks.block(*block));
        let instructions = sizes.map(|block| block.instructions().len()).sum();
        let outcomes = ways.outcomes(&reached);
        let mut parts = false;
        for &block in &reached {
            if !self.uniform.parts(block) {
                continue;
            }
            // Where items come together again before they come out, it is decided behind.
            if (reached.iter()).any(|meeting| ways.all_come_by(block, *meeting)) {
                continue;
            }
            let sides = flow.successors(block).iter();
            let sides: Vec<_> = sides.map(|next| ways.outcomes_by(*next)).collect();
            for (number, side) in sides.iter().enumerate() {
                let others = sides[number + 1..].iter().flatten();
                for (one, other) in others.flat_map(|b| side.iter().map(move |a| (*a, *b))) {
                    if one != other {
                        parts = true;
                        self.refuse_mix(one, other)?;
                    }
                }
            }
        }
        Ok(Phase {
            outcomes,
            parts,
            instructions,
        })
    }

    /// Refuses what is more than a mistake if some items come out by one way and others by another.
    fn refuse_mix(&self, one: Outcome, other: Outcome) -> Result<(), Refusal> {
        let operation =
            |outcome: Outcome| outcome.checked_sub(1).map(|cut| self.cuts[cut].operation);
        match (operation(one), operation(other)) {
            (Some(Operation::Barrier { label }), Some(Operation::Barrier { label: other })) => {
                if label == other {
                    return Err(Refusal::Alike);
                }
                Ok(())
            }
            (Some(Operation::Shuffle | Operation::Ballot), _)
            | (_, Some(Operation::Shuffle | Operation::Ballot)) => Err(Refusal::Subgroup),
            _ => Ok(()),
        }
    }
}

/// Ways through a function that end at cuts.
struct Ways<'a, 'm> {
    blocks: &'a Blocks<'m>,
    cuts: &'a [Cut<'m>],
}

impl Ways<'_, '_> {
    fn cut_at(&self, block: usize) -> Option<usize> {
        self.cuts.iter().position(|cut| cut.block == block)
    }

    /// Blocks that an item comes through that begins at one.
    fn reached(&self, begin: usize) -> BTreeSet<usize> {
        let mut reached = BTreeSet::from([begin]);
        let mut ahead = vec![begin];
        while let Some(block) = ahead.pop() {
            for &next in self.blocks.flow().successors(block) {
                if self.cut_at(next).is_none() && reached.insert(next) {
                    ahead.push(next);
                }
            }
        }
        reached
    }

    /// Whether items that leave a block come to another before they come out, by whichever way.
    fn all_come_by(&self, block: usize, other: usize) -> bool {
        let mut reached = BTreeSet::from([other]);
        let mut ahead = vec![block];
        while let Some(from) = ahead.pop() {
            let block = self.blocks.block(from);
            if block.terminator().is(LLVMOpcode::LLVMRet) {
                return false;
            }
            for &next in self.blocks.flow().successors(from) {
                if self.cut_at(next).is_some() {
                    return false;
                }
                if reached.insert(next) {
                    ahead.push(next);
                }
            }
        }
        block != other
    }

    /// Outcomes by the blocks that were reached. An item that panics has none.
    fn outcomes(&self, reached: &BTreeSet<usize>) -> BTreeSet<Outcome> {
        let mut outcomes = BTreeSet::new();
        for &block in reached {
            let next = self.blocks.flow().successors(block).iter();
            outcomes.extend(next.filter_map(|next| Some(self.cut_at(*next)? + 1)));
            if self
                .blocks
                .block(block)
                .terminator()
                .is(LLVMOpcode::LLVMRet)
            {
                outcomes.insert(0);
            }
        }
        outcomes
    }

    fn outcomes_by(&self, next: usize) -> BTreeSet<Outcome> {
        match self.cut_at(next) {
            Some(cut) => BTreeSet::from([cut + 1]),
            None => self.outcomes(&self.reached(next)),
        }
    }
}

fn is_lifetime_marker(instruction: Value<'_>) -> bool {
    let called = instruction.called_function().map(Function::name);
    called.is_some_and(|name| name.starts_with("llvm.lifetime."))
}

/// For each cut the values that are used behind it and come from before.
pub(super) fn alive<'m>(cuts: &Cuts<'m>) -> Vec<Vec<Value<'m>>> {
    let flow = cuts.blocks.flow();
    let mut at: BTreeMap<usize, Vec<Value<'m>>> = BTreeMap::new();
    for number in 0..flow.len() {
        for value in cuts.blocks.block(number).instructions() {
            if value.is_void() {
                continue;
            }
            for block in alive_in(cuts, value, number) {
                at.entry(block).or_default().push(value);
            }
        }
    }
    let cuts = cuts.cuts.iter();
    cuts.map(|cut| at.remove(&cut.block).unwrap_or_default())
        .collect()
}

/// Blocks at whose beginning a value is still needed that is computed in another.
fn alive_in<'m>(cuts: &Cuts<'m>, value: Value<'m>, home: usize) -> BTreeSet<usize> {
    let mut alive = BTreeSet::new();
    let mut ahead = Vec::new();
    for user in value.users() {
        if !user.is_instruction() {
            continue;
        }
        if user.is(LLVMOpcode::LLVMPHI) {
            let incoming = user.incoming().into_iter();
            let from = incoming.filter(|(other, _)| *other == value);
            ahead.extend(from.map(|(_, block)| cuts.blocks.number(block)));
        } else {
            ahead.push(cuts.blocks.number(user.block()));
        }
    }
    while let Some(block) = ahead.pop() {
        if block != home && alive.insert(block) {
            ahead.extend(cuts.blocks.flow().predecessors(block));
        }
    }
    alive
}
