//! Splitting a function into regions.
//!
//! A region is a piece without cycles that is entered at its *head* only. Heads are the entry, the
//! headers of loops, the blocks that loops lead out to, what more than one region leads to, and what is asked for. A
//! region lies in one loop, and regions are numbered so that those of a loop follow each other,
//! each behind those that lead to it: lanes that run in the order of the numbers are in the same
//! turn of every loop that they are in together.

use std::collections::BTreeSet;

use llvm_sys::LLVMOpcode;

use super::Refusal;
use crate::ir::flow::{Blocks, Flow, Loops};
use crate::ir::{Block, Function, Value};

/// Where a lane goes that leaves a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Target {
    /// To the head of the region of that number.
    Region(usize),
    /// Out of the function.
    Return,
}

/// A way out of a region.
#[derive(Clone, Debug)]
pub(super) struct Exit {
    /// The block that is left.
    pub(super) from: usize,
    /// By which of its successors; `None` if it returns by itself.
    pub(super) successor: Option<u32>,
    /// Blocks of no region on the way: they only lead on, or only return.
    pub(super) via: Vec<usize>,
    pub(super) target: Target,
}

/// A piece of the function.
#[derive(Debug)]
pub(super) struct Region {
    /// Its blocks, the head first, each behind those that lead to it.
    pub(super) blocks: Vec<usize>,
    pub(super) exits: Vec<Exit>,
}

impl Region {
    pub(super) fn head(&self) -> usize {
        self.blocks[0]
    }

    /// The only block by which the region is left, if it is one.
    pub(super) fn only_exit(&self) -> Option<usize> {
        let first = self.exits.first()?.from;
        let only = self.exits.iter().all(|exit| exit.from == first);
        only.then_some(first)
    }
}

/// A function in regions.
pub(super) struct Split<'m> {
    pub(super) blocks: Blocks<'m>,
    pub(super) loops: Loops,
    pub(super) regions: Vec<Region>,
    /// For each block the number of its region; `None` for those that only lead on or return.
    owner: Vec<Option<usize>>,
}

impl<'m> Split<'m> {
    /// Splits a function whose loops have one latch each and exits of their own. The blocks of those
    /// numbers begin regions in any case.
    pub(super) fn of(function: Function<'m>, further: &BTreeSet<usize>) -> Result<Self, Refusal> {
        let blocks = Blocks::of(function).ok_or(Refusal::Unreachable)?;
        let flow = blocks.flow();
        let loops = Loops::of(flow).map_err(|_| Refusal::Irreducible)?;
        let passed: Vec<bool> = (0..flow.len())
            .map(|number| {
                let block = blocks.block(number);
                number != 0
                    && (only_returns(block)
                        || only_leads_on(block) && leads_ahead(&loops, flow, number))
            })
            .collect();
        let mut heads = further.clone();
        heads.insert(0);
        for one in loops.all() {
            let alone = |exit: usize| {
                only_returns(blocks.block(exit))
                    || (flow.predecessors(exit).iter()).all(|from| loops.contains(one, *from))
            };
            if loops.latches(one).len() != 1 || !loops.exits(one).all(alone) {
                return Err(Refusal::Irreducible);
            }
            heads.insert(loops.header(one));
            heads.extend(loops.exits(one));
        }
        // Until it is numbered, a region goes by its head.
        let mut owner: Vec<Option<usize>> = vec![None; flow.len()];
        for &number in loops.order() {
            let mut from = flow.predecessors(number).iter().map(|from| owner[*from]);
            let first = from.next().flatten();
            let joins = first.is_none() || from.any(|other| other != first);
            let begins = joins || heads.contains(&number);
            owner[number] = match () {
                // What would be a region of its own for nothing.
                () if passed[number] && (begins || only_returns(blocks.block(number))) => None,
                () if begins => Some(number),
                () => first,
            };
            if owner[number] == Some(number) {
                heads.insert(number);
            } else {
                heads.remove(&number);
            }
        }
        let mut in_order: Vec<_> = heads.into_iter().collect();
        in_order.sort_by_key(|head| loops.place(*head));
        let region_of = |head: usize| in_order.iter().position(|other| *other == head);
        let owner: Vec<_> = owner
            .into_iter()
            .map(|head| head.and_then(region_of))
            .collect();
        let mut regions: Vec<_> = in_order
            .iter()
            .map(|_| Region {
                blocks: Vec::new(),
                exits: Vec::new(),
            })
            .collect();
        for &number in loops.order() {
            let Some(own) = owner[number] else { continue };
            let region = &mut regions[own];
            region.blocks.push(number);
            let terminator = blocks.block(number).terminator();
            match terminator.opcode() {
                Some(LLVMOpcode::LLVMBr | LLVMOpcode::LLVMSwitch) => {}
                Some(LLVMOpcode::LLVMRet) => region.exits.push(Exit {
                    from: number,
                    successor: None,
                    via: Vec::new(),
                    target: Target::Return,
                }),
                Some(LLVMOpcode::LLVMUnreachable) => return Err(Refusal::PanicsOnTheSpot),
                _ => return Err(Refusal::Irreducible),
            }
            for (index, successor) in terminator.successors().into_iter().enumerate() {
                let mut to = blocks.number(successor);
                let mut via = Vec::new();
                let target = loop {
                    match owner[to] {
                        Some(other) => {
                            break (in_order[other] == to).then_some(Target::Region(other));
                        }
                        None => via.push(to),
                    }
                    match flow.successors(to) {
                        [next] => to = *next,
                        _ => break Some(Target::Return),
                    }
                };
                if let Some(target) = target {
                    region.exits.push(Exit {
                        from: number,
                        successor: Some(index as u32),
                        via,
                        target,
                    });
                }
            }
        }
        Ok(Split {
            blocks,
            loops,
            regions,
            owner,
        })
    }

    /// The region of a block; `None` if the block only leads on or returns.
    pub(super) fn owner(&self, block: Block<'m>) -> Option<usize> {
        self.owner[self.blocks.number(block)]
    }

    /// Whether a block is the head of its region.
    pub(super) fn is_head(&self, block: Block<'m>) -> bool {
        let number = self.blocks.number(block);
        self.owner[number].is_some_and(|own| self.regions[own].head() == number)
    }

    /// Whether a way from a region to another leads back to the header of a loop.
    pub(super) fn is_back(&self, from: usize, to: usize) -> bool {
        let (from, to) = (self.regions[from].head(), self.regions[to].head());
        self.loops.is_back(from, to)
    }
}

/// Whether a block does nothing but return what comes in.
fn only_returns(block: Block<'_>) -> bool {
    use LLVMOpcode::{LLVMInsertValue, LLVMPHI, LLVMRet};
    let quiet = |instruction: Value<'_>| {
        matches!(
            instruction.opcode(),
            Some(LLVMPHI | LLVMInsertValue | LLVMRet)
        )
    };
    block.terminator().is(LLVMRet) && block.instructions().into_iter().all(quiet)
}

/// Whether a block does nothing but lead on to another, for whose phis its own are.
fn only_leads_on(block: Block<'_>) -> bool {
    let [next] = block.successors()[..] else {
        return false;
    };
    let mut rest = block.instructions().into_iter();
    rest.all(|instruction| {
        let for_next = |user: Value<'_>| user.is(LLVMOpcode::LLVMPHI) && user.block() == next;
        instruction.is(LLVMOpcode::LLVMBr)
            || instruction.is(LLVMOpcode::LLVMPHI) && instruction.users().into_iter().all(for_next)
    })
}

/// Whether a block neither begins a loop nor leads back to the beginning of one: lanes that wait
/// must not do so in front of those that they have to stay together with.
fn leads_ahead(loops: &Loops, flow: &Flow, number: usize) -> bool {
    let begins = loops.all().any(|one| loops.header(one) == number);
    !begins
        && !flow
            .successors(number)
            .iter()
            .any(|next| loops.is_back(number, *next))
}
