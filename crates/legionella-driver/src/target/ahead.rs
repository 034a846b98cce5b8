//! Turns of a loop begun before it is known that each of them may panic.
//!
//! Takes optimised code of kernels. Where a loop over elements has each tell where to go on reading, what it tells is
//! checked before that is read, so that the next turn's element is asked for only when the one before has been
//! checked: one access at a time is under way. Here a loop gets another in front of it that makes four turns at once:
//! it reads the elements of all four, checks them together, and then does the rest in order. If one of
//! them fails, it does nothing and leaves the turns to the loop that there was, which finds the panic that comes first.
//!
//! Elements that would not have been read, since a turn before panics, are read then all the same. So the
//! loop is entered only if all that it may read is part of a slice that the kernel was given, whose
//! address and length lie side by side in the argument block.

use std::collections::HashSet;

use llvm_sys::{LLVMIntPredicate, LLVMOpcode, LLVMTypeKind};

use super::chain::{Chain, Copies, Exit, round};
use super::checks::{claims, may_run_early};
use crate::ir::flow::{Blocks, LoopId, Loops};
use crate::ir::{Block, Builder, Function, Type, Types, Value};

/// Turns that are begun together.
const TURNS: u64 = 4;

/// Most instructions of such a loop.
const LONGEST: usize = 64;

/// Bytes between the address and the length of a slice.
const TO_LENGTH: u64 = 8;

/// Has loops of a kernel read ahead that leave for the block in which `state` is claimed. Each value of a loop that is
/// used behind it is so by a phi there, and each loop is entered from a block that leads nowhere else.
pub(super) fn read<'m>(kernel: Function<'m>, state: Value<'m>) {
    let (Some(blocks), [.., block]) = (Blocks::of(kernel), &kernel.parameters()[..]) else {
        return;
    };
    let flow = blocks.flow();
    let Ok(loops) = Loops::of(flow) else {
        return;
    };
    let found = loops.all().filter_map(|id| {
        let turning = Turning::of(&blocks, &loops, id, state)?;
        let reads = turning.reads(*block)?;
        Some((turning, reads))
    });
    let found: Vec<_> = found.collect();
    for (turning, reads) in found {
        turning.begin_together(&reads, *block);
    }
}

/// A loop that counts, and whose other ways out lead to a panic.
struct Turning<'m> {
    chain: Chain<'m>,
    counter: Value<'m>,
    first: Value<'m>,
    end: Value<'m>,
    /// Where it goes when it is done.
    exit: Block<'m>,
}

/// A slice that the kernel was given, of which a loop reads an element a turn.
struct Read<'m> {
    /// Address of what has the index 0.
    base: Value<'m>,
    /// Where the argument block has the slice's address, in bytes.
    offset: u64,
    /// The address that is there.
    start: Value<'m>,
    /// Bytes of what is read, and of an element of the slice at least.
    step: u64,
    least: u64,
}

impl<'m> Turning<'m> {
    fn of(blocks: &Blocks<'m>, loops: &Loops, id: LoopId, state: Value<'m>) -> Option<Self> {
        let chain = Chain::of(blocks, loops, id, LONGEST)?;
        let panics = |exit: &Exit<'m>| notes_panic(exit.to, state);
        if chain.exits.is_empty() || !chain.exits.iter().all(panics) {
            return None;
        }
        let Exit { test, if_true, to } = chain.end()?;
        let ends_if = match if_true {
            true => LLVMIntPredicate::LLVMIntEQ,
            false => LLVMIntPredicate::LLVMIntNE,
        };
        if test.predicate() != Some(ends_if) {
            return None;
        }
        let (next, end) = (test.operand(0), test.operand(1));
        if !chain.contains(next)
            || !next.is(LLVMOpcode::LLVMAdd)
            || next.operand(1).constant_integer() != Some(1)
            || chain.contains(end)
        {
            return None;
        }
        let counter = next.operand(0);
        let is_carried = chain.header().phis().contains(&counter);
        let counts = is_carried && round(counter, chain.latch()) == Some(next);
        Some(Turning {
            counter: counts.then_some(counter)?,
            first: round(counter, chain.before)?,
            end,
            exit: to,
            chain,
        })
    }

    /// What its checks read, each an element of a slice that the kernel was given; `None` if they read anything
    /// else, or depend on what must not be computed in vain, or read nothing.
    fn reads(&self, block: Value<'m>) -> Option<Vec<Read<'m>>> {
        let mut reads = Vec::new();
        let mut seen = HashSet::new();
        let mut ahead: Vec<_> = self.chain.exits.iter().map(|exit| exit.test).collect();
        while let Some(value) = ahead.pop() {
            if !self.chain.contains(value) || !seen.insert(value) {
                continue;
            }
            if value.is(LLVMOpcode::LLVMPHI) {
                ahead.push(round(value, self.chain.latch())?);
                continue;
            }
            if value.is(LLVMOpcode::LLVMLoad) && !value.operand(0).is_address_in_parameter() {
                reads.push(self.read(value, block)?);
            } else if !may_run_early(value) {
                return None;
            }
            ahead.extend(
                value
                    .operands()
                    .into_iter()
                    .filter(|value| value.as_function().is_none()),
            );
        }
        (!reads.is_empty()).then_some(reads)
    }

    /// What a load reads, if that is an element of a slice, the next one each turn.
    fn read(&self, load: Value<'m>, block: Value<'m>) -> Option<Read<'m>> {
        let address = load.operand(0);
        // Only what the kernel was given as `&[T]` is known not to change.
        if !load.has_metadata("invariant.load")
            || !self.chain.contains(address)
            || !address.is(LLVMOpcode::LLVMGetElementPtr)
        {
            return None;
        }
        let [base, index] = address.operands()[..] else {
            return None;
        };
        let counts = index == self.counter
            || (self.chain.contains(index)
                && index.is(LLVMOpcode::LLVMZExt)
                && index.operand(0) == self.counter);
        let step = bytes(load.ty())?;
        if !counts || self.chain.contains(base) || bytes(address.element_type()) != Some(step) {
            return None;
        }
        let mut start = base.in_any_space();
        while start.is_instruction() && start.is(LLVMOpcode::LLVMGetElementPtr) {
            start = start.operand(0).in_any_space();
        }
        if !start.is_instruction() || !start.is(LLVMOpcode::LLVMLoad) {
            return None;
        }
        let offset = start.operand(0).distance_from(block)?;
        // Whatever is a slice's length is looked at as a number.
        let is_length = |one: &Value<'m>| {
            one.is(LLVMOpcode::LLVMLoad)
                && one.ty().integer_width() == 64
                && one.operand(0).distance_from(block) == Some(offset + TO_LENGTH)
        };
        let has_length = load.block().function().instructions().iter().any(is_length);
        has_length.then_some(Read {
            base,
            offset,
            start,
            step,
            least: step.min(u64::from(load.alignment())),
        })
    }

    /// Puts the other loop in front of it.
    fn begin_together(&self, reads: &[Read<'m>], block: Value<'m>) {
        let function = self.chain.header().function();
        let [together, rest, done, again] =
            ["together", "rest", "done", "again"].map(|name| function.append_block(name));
        let (header, latch) = (self.chain.header(), self.chain.latch());
        let phis = header.phis();

        let enter = self.chain.before.terminator();
        let at = Builder::before(enter);
        let may = self.may_enter(&at, reads, block);
        at.branch_if(may, together, header);
        enter.erase();

        let at = Builder::at_end(together);
        let mut copies = Copies::of(&self.chain);
        copies.begin(&at);
        let mut leaves: Option<Value<'m>> = None;
        for turn in 0..TURNS {
            for Exit { test, if_true, .. } in &self.chain.exits {
                let check = copies.early(*test, turn, &at);
                let truth = check.ty().constant(1);
                let leaves_here = match if_true {
                    true => check,
                    false => at.binary(LLVMOpcode::LLVMXor, check, truth),
                };
                // Not an `or`: where an earlier check leaves, this one may be poison.
                leaves = Some(match leaves {
                    Some(before) => at.select(before, truth, leaves_here),
                    None => leaves_here,
                });
            }
        }
        if let Some(leaves) = leaves {
            at.branch_if(leaves, again, rest);
        }

        let at = Builder::at_end(rest);
        for turn in 0..TURNS {
            copies.rest(turn, &at);
        }
        let last = |value: Value<'m>| copies.find(value, TURNS - 1);
        let carried = |phi: Value<'m>| last(round(phi, latch).unwrap_or(phi));
        let left = at.sub(self.end, carried(self.counter));
        let more = at.compare(
            LLVMIntPredicate::LLVMIntUGE,
            left,
            left.ty().constant(TURNS),
        );
        at.branch_if(more, together, done);
        let at = Builder::at_end(done);
        let none = at.compare(LLVMIntPredicate::LLVMIntEQ, left, left.ty().zero());
        at.branch_if(none, self.exit, header);
        Builder::at_end(again).branch(header);

        for phi in &phis {
            let own = copies.find(*phi, 0);
            own.add_incoming(carried(*phi), rest);
            phi.add_incoming(own, again);
            phi.add_incoming(carried(*phi), done);
        }
        for phi in self.exit.phis() {
            if let Some(value) = round(phi, latch) {
                phi.add_incoming(last(value), done);
            }
        }
    }

    /// Whether there are turns enough, and all that they read is part of slices that the kernel was given.
    fn may_enter(&self, at: &Builder<'m>, reads: &[Read<'m>], block: Value<'m>) -> Value<'m> {
        use LLVMIntPredicate::*;
        let types = Types::of_type(self.counter.ty());
        let turns = at.sub(self.end, self.first);
        let mut may = at.compare(LLVMIntUGE, turns, turns.ty().constant(TURNS));
        let mut and = |condition: Value<'m>| may = at.binary(LLVMOpcode::LLVMAnd, may, condition);
        and(at.compare(LLVMIntULE, self.first, self.end));
        let end = match self.end.ty() == types.i64 {
            true => self.end,
            false => at.zero_extend(self.end, types.i64),
        };
        for read in reads {
            let place = read.offset + TO_LENGTH;
            let place = at.element(types.i8, block, types.i64.constant(place));
            let length = at.load(types.i64, place);
            let room = at.mul(length, types.i64.constant(read.least));
            let [base, start] = [read.base, read.start]
                .map(|address| at.cast(LLVMOpcode::LLVMPtrToInt, address, types.i64));
            let skipped = at.sub(base, start);
            and(at.compare(LLVMIntULE, skipped, room));
            let room = at.sub(room, skipped);
            let by = types.i64.constant(u64::from(read.step.trailing_zeros()));
            let elements = at.binary(LLVMOpcode::LLVMLShr, room, by);
            and(at.compare(LLVMIntULE, end, elements));
        }
        may
    }
}

/// Whether a block is the one in which `state` is claimed, or leads there alone without doing anything.
fn notes_panic<'m>(block: Block<'m>, state: Value<'m>) -> bool {
    if claims(block, state) {
        return true;
    }
    let instructions = block.instructions();
    let (last, others) = (block.terminator(), &instructions[..instructions.len() - 1]);
    let successors = last.successors();
    let passes_on = others.iter().all(|one| one.is(LLVMOpcode::LLVMPHI));
    passes_on && successors.len() == 1 && claims(successors[0], state)
}

/// Bytes of a number, if that is a power of two and no more than 8.
fn bytes(ty: Type<'_>) -> Option<u64> {
    match ty.kind() {
        LLVMTypeKind::LLVMHalfTypeKind | LLVMTypeKind::LLVMBFloatTypeKind => Some(2),
        LLVMTypeKind::LLVMFloatTypeKind => Some(4),
        LLVMTypeKind::LLVMDoubleTypeKind => Some(8),
        LLVMTypeKind::LLVMIntegerTypeKind => match ty.integer_width() {
            bits @ (8 | 16 | 32 | 64) => Some(u64::from(bits) / 8),
            _ => None,
        },
        _ => None,
    }
}
