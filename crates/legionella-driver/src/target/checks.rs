//! Checks in a row as one.
//!
//! Takes optimised code of kernels. Where a work-item leaves for the block that notes its panic, and, if it
//! doesn't, only computes something before it may leave for that block again, both are computed and it
//! branches once: a GPU's branch costs more than what it skips, and loads behind it start the later. Which
//! of the checks it was is found out where the panic is noted. LLVM doesn't do this, since each
//! check leaves another value in that block.

use std::collections::BTreeMap;

use llvm_sys::LLVMOpcode;

use crate::ir::{Block, Builder, Function, Value};

/// Most instructions that are computed in vain if the check before them fails.
const MOST: usize = 32;

/// Joins checks of a kernel that leave for the block in which `state` is claimed, or, if items end `together`, for the
/// one in which they come together before.
pub(super) fn join<'m>(kernel: Function<'m>, state: Value<'m>, together: bool) {
    let claims = |block: &Block<'m>| claims(*block, state);
    let panicked: Vec<_> = kernel.blocks().into_iter().filter(claims).collect();
    let before = |block: &Block<'m>| {
        let mut all = kernel.blocks().into_iter();
        let mut leading = all.by_ref().filter(|one| one.successors().contains(block));
        let first = leading.next().filter(|one| !one.phis().is_empty());
        first.filter(|_| leading.next().is_none())
    };
    let meeting = panicked.iter().filter(|_| together).filter_map(before);
    for end in meeting.chain(panicked.iter().copied()).collect::<Vec<_>>() {
        // Where checks that were joined find out which of them it was, by the block that has them.
        let mut asides = BTreeMap::new();
        let mut changed = true;
        while changed {
            let blocks = kernel.blocks();
            changed = (blocks.into_iter()).any(|block| step(block, end, &mut asides));
        }
    }
}

/// Whether a block is one in which `state` is claimed, wherever its address may have come to be one of global memory.
pub(super) fn claims<'m>(block: Block<'m>, state: Value<'m>) -> bool {
    (block.instructions().into_iter()).any(|instruction| {
        instruction.is(LLVMOpcode::LLVMAtomicCmpXchg)
            && instruction.operand(0).in_any_space() == state
    })
}

/// Whether what is computed between a check and the one behind it is little and may run anyway.
fn may_join<'m>(next: Block<'m>, second: &Check<'m>, most: usize) -> bool {
    let mut skipped = next.instructions();
    skipped.pop();
    predecessors(next) == 1
        && skipped.len() <= most
        && second.onwards != next
        && skipped
            .iter()
            .all(|instruction| may_run_early(*instruction))
}

/// Moves what is computed between two checks in front of the first one's branch; gives whether that one
/// leaves, and whether either does.
fn both<'m>(
    end: Value<'m>,
    next: Block<'m>,
    first: &Check<'m>,
    second: &Check<'m>,
) -> [Value<'m>; 2] {
    let mut skipped = next.instructions();
    skipped.pop();
    let at = Builder::before(end);
    for instruction in skipped {
        instruction.detach();
        at.insert(instruction);
        if instruction.is(LLVMOpcode::LLVMLoad) {
            instruction.forget_promises();
        }
    }
    let (before, also) = (first.leaves(&at), second.leaves(&at));
    // Not an `or`: where the first check leaves, the second may be poison.
    [before, at.select(before, before.ty().constant(1), also)]
}

/// A phi in place of another, with nothing from some blocks; gives it.
fn without<'m>(phi: Value<'m>, sources: &[Block<'m>]) -> Value<'m> {
    let fresh = Builder::before(phi).phi(phi.ty());
    for (value, source) in phi.incoming() {
        if !sources.contains(&source) {
            fresh.add_incoming(if value == phi { fresh } else { value }, source);
        }
    }
    phi.replace_all_uses_with(fresh);
    phi.erase();
    fresh
}

/// A branch that leaves, or goes on.
struct Check<'m> {
    /// Whether it leaves.
    leaves: Value<'m>,
    /// Whether it does so if that is false.
    negated: bool,
    onwards: Block<'m>,
}

impl<'m> Check<'m> {
    /// The check that ends a block, if one of its successors is `out`.
    fn of(block: Block<'m>, out: Block<'m>) -> Option<Self> {
        let terminator = block.terminator();
        let successors = block.successors();
        if !terminator.is(LLVMOpcode::LLVMBr) || successors.len() != 2 {
            return None;
        }
        let negated = successors[1] == out;
        if successors[0] == successors[1] || (successors[0] != out && !negated) {
            return None;
        }
        Some(Check {
            leaves: terminator.operand(0),
            negated,
            onwards: successors[usize::from(!negated)],
        })
    }

    fn leaves(&self, at: &Builder<'m>) -> Value<'m> {
        if self.negated {
            let truth = self.leaves.ty().constant(1);
            return at.binary(LLVMOpcode::LLVMXor, self.leaves, truth);
        }
        self.leaves
    }
}

/// Joins the check that ends a block with the one behind it, if that can be.
fn step<'m>(
    block: Block<'m>,
    panicked: Block<'m>,
    asides: &mut BTreeMap<Block<'m>, Block<'m>>,
) -> bool {
    let out = asides.get(&block).copied().unwrap_or(panicked);
    let Some(first) = Check::of(block, out) else {
        return false;
    };
    let next = first.onwards;
    // What has an aside of its own is joined from the front on.
    let Some(second) = Check::of(next, panicked).filter(|_| next != block) else {
        return false;
    };
    if !may_join(next, &second, MOST) {
        return false;
    }
    let end = block.terminator();
    let [before, leaves] = both(end, next, &first, &second);
    let aside = *asides.entry(block).or_insert_with(|| {
        let aside = block.function().append_block("aside");
        Builder::at_end(aside).branch(panicked);
        aside
    });
    let tell = Builder::before(aside.terminator());
    for phi in panicked.phis() {
        let from = |source: Block<'m>| {
            let mut incoming = phi.incoming().into_iter();
            incoming.find(|(_, block)| *block == source)
        };
        let (Some((earlier, _)), Some((later, _))) =
            (from(if out == aside { aside } else { block }), from(next))
        else {
            continue;
        };
        let value = match (earlier.is_poison(), later.is_poison()) {
            _ if earlier == later => earlier,
            (true, _) => later,
            (_, true) => earlier,
            _ => tell.select(before, earlier, later),
        };
        without(phi, &[block, next, aside]).add_incoming(value, aside);
    }
    for phi in second.onwards.phis() {
        phi.replace_incoming_block(next, block);
    }
    Builder::before(end).branch_if(leaves, aside, second.onwards);
    end.erase();
    next.delete();
    true
}

/// How many branches lead to a block.
fn predecessors(block: Block<'_>) -> usize {
    (block.function().blocks().into_iter())
        .flat_map(Block::successors)
        .filter(|successor| *successor == block)
        .count()
}

/// Whether an instruction may run where nobody asked for its result.
pub(super) fn may_run_early(instruction: Value<'_>) -> bool {
    use LLVMOpcode::*;
    match instruction.opcode() {
        Some(
            LLVMAdd | LLVMSub | LLVMMul | LLVMShl | LLVMLShr | LLVMAShr | LLVMAnd | LLVMOr
            | LLVMXor | LLVMICmp | LLVMFCmp | LLVMZExt | LLVMSExt | LLVMTrunc | LLVMGetElementPtr
            | LLVMSelect | LLVMBitCast | LLVMAddrSpaceCast | LLVMPtrToInt | LLVMExtractValue
            | LLVMFreeze,
        ) => true,
        // The argument block, which all of is readable.
        Some(LLVMLoad) => instruction.operand(0).is_address_in_parameter(),
        Some(LLVMCall) => instruction
            .called_function()
            .is_some_and(|called| called.has_attribute("speculatable")),
        _ => false,
    }
}
