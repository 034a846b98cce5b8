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

use std::collections::{BTreeSet, HashMap, HashSet};

use llvm_sys::core as c;
use llvm_sys::{LLVMIntPredicate, LLVMOpcode, LLVMTypeKind};

use super::checks::{claims, may_run_early};
use crate::ir::flow::{Blocks, LoopId, Loops};
use crate::ir::{Block, Builder, Function, Type, Types, Value, llvm};

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
    /// Where it is entered from.
    before: Block<'m>,
    /// Its blocks in the order in which they run.
    blocks: Vec<Block<'m>>,
    /// What makes it leave for a panic, and whether it does so if that is true.
    checks: Vec<(Value<'m>, bool)>,
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
        let outside = |block: &Block<'m>| !inside.contains(block);
        let mut entries = (flow.predecessors(loops.header(id)).iter())
            .map(|node| blocks.block(*node))
            .filter(outside);
        let before = entries
            .next()
            .filter(|block| block.successors().len() == 1)?;
        if entries.next().is_some() {
            return None;
        }

        let (mut chain, mut checks) = (vec![header], Vec::new());
        let mut last = header;
        while last != latch {
            let next = match last.successors()[..] {
                [next] => next,
                [yes, no]
                    if last.terminator().is(LLVMOpcode::LLVMBr)
                        && outside(&yes) != outside(&no) =>
                {
                    let (out, next) = if outside(&yes) { (yes, no) } else { (no, yes) };
                    notes_panic(out, state).then_some(())?;
                    checks.push((last.terminator().operand(0), out == yes));
                    next
                }
                _ => return None,
            };
            (inside.contains(&next) && !chain.contains(&next)).then_some(())?;
            chain.push(next);
            last = next;
        }
        if chain.len() != inside.len() || checks.is_empty() {
            return None;
        }
        let mut all = chain.iter().flat_map(|block| block.instructions());
        let length = all
            .clone()
            .filter(|one| !one.is(LLVMOpcode::LLVMPHI))
            .count();
        if length > LONGEST || !all.all(is_plain) {
            return None;
        }
        let [back, exit] = latch.successors()[..] else {
            return None;
        };
        let test = latch.terminator().operand(0);
        let (exit, ends_if) = if back == header {
            (exit, LLVMIntPredicate::LLVMIntNE)
        } else {
            (back, LLVMIntPredicate::LLVMIntEQ)
        };
        if !latch.terminator().is(LLVMOpcode::LLVMBr)
            || !outside(&exit)
            || !test.is_instruction()
            || !test.is(LLVMOpcode::LLVMICmp)
            || llvm!(c::LLVMGetICmpPredicate(test.raw())) != ends_if
        {
            return None;
        }
        let is_inside =
            |value: Value<'m>| value.is_instruction() && inside.contains(&value.block());
        let (next, end) = (test.operand(0), test.operand(1));
        if !is_inside(next)
            || !next.is(LLVMOpcode::LLVMAdd)
            || next.operand(1).constant_integer() != Some(1)
            || is_inside(end)
        {
            return None;
        }
        let counter = next.operand(0);
        let counts = header.phis().contains(&counter) && round(counter, latch) == Some(next);
        Some(Turning {
            before,
            blocks: chain,
            checks,
            counter: counts.then_some(counter)?,
            first: round(counter, before)?,
            end,
            exit,
        })
    }

    fn header(&self) -> Block<'m> {
        self.blocks[0]
    }

    fn latch(&self) -> Block<'m> {
        self.blocks[self.blocks.len() - 1]
    }

    fn contains(&self, value: Value<'m>) -> bool {
        value.is_instruction() && self.blocks.contains(&value.block())
    }

    /// What its checks read, each an element of a slice that the kernel was given; `None` if they read anything
    /// else, or depend on what must not be computed in vain, or read nothing.
    fn reads(&self, block: Value<'m>) -> Option<Vec<Read<'m>>> {
        let mut reads = Vec::new();
        let mut seen = HashSet::new();
        let mut ahead: Vec<_> = self.checks.iter().map(|(check, _)| *check).collect();
        while let Some(value) = ahead.pop() {
            if !self.contains(value) || !seen.insert(value) {
                continue;
            }
            if value.is(LLVMOpcode::LLVMPHI) {
                ahead.push(round(value, self.latch())?);
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
            || !self.contains(address)
            || !address.is(LLVMOpcode::LLVMGetElementPtr)
        {
            return None;
        }
        let [base, index] = address.operands()[..] else {
            return None;
        };
        let counts = index == self.counter
            || (self.contains(index)
                && index.is(LLVMOpcode::LLVMZExt)
                && index.operand(0) == self.counter);
        let step = bytes(load.ty())?;
        if !counts || self.contains(base) || bytes(address.element_type()) != Some(step) {
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
        let function = self.header().function();
        let [together, rest, done, again] =
            ["together", "rest", "done", "again"].map(|name| function.append_block(name));
        let (header, latch) = (self.header(), self.latch());
        let phis = header.phis();

        let enter = self.before.terminator();
        let at = Builder::before(enter);
        let may = self.may_enter(&at, reads, block);
        at.branch_if(may, together, header);
        enter.erase();

        let at = Builder::at_end(together);
        let mut copies = Copies {
            turning: self,
            of: HashMap::new(),
        };
        for phi in &phis {
            let own = at.phi(phi.ty());
            if let Some(first) = round(*phi, self.before) {
                own.add_incoming(first, self.before);
            }
            copies.of.insert((*phi, 0), own);
        }
        let mut leaves: Option<Value<'m>> = None;
        for turn in 0..TURNS {
            for (check, if_true) in &self.checks {
                let check = copies.early(*check, turn, &at);
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
            for block in &self.blocks {
                let all = block.instructions();
                for instruction in &all[..all.len() - 1] {
                    copies.late(*instruction, turn, &at);
                }
            }
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

/// Copies of what a loop computes, by the turn.
struct Copies<'a, 'm> {
    turning: &'a Turning<'m>,
    of: HashMap<(Value<'m>, u64), Value<'m>>,
}

impl<'m> Copies<'_, 'm> {
    /// The value of a turn, which was copied if it is of the loop.
    fn find(&self, value: Value<'m>, turn: u64) -> Value<'m> {
        if let Some(copy) = self.of.get(&(value, turn)) {
            return *copy;
        }
        match self.before(value, turn) {
            Some(next) if self.turning.contains(value) => self.find(next, turn - 1),
            _ => value,
        }
    }

    /// What a phi at the loop's head is of what the turn before computed.
    fn before(&self, value: Value<'m>, turn: u64) -> Option<Value<'m>> {
        let carried = self.turning.contains(value) && value.is(LLVMOpcode::LLVMPHI) && turn > 0;
        carried
            .then(|| round(value, self.turning.latch()))
            .flatten()
    }

    /// The value of a turn that may not come to pass.
    fn early(&mut self, value: Value<'m>, turn: u64, at: &Builder<'m>) -> Value<'m> {
        if !self.turning.contains(value) {
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

    /// Copies what a turn does that comes to pass.
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
fn round<'m>(phi: Value<'m>, from: Block<'m>) -> Option<Value<'m>> {
    let mut incoming = phi.incoming().into_iter();
    incoming
        .find(|(_, block)| *block == from)
        .map(|(value, _)| value)
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
fn is_a_hint(instruction: Value<'_>) -> bool {
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
