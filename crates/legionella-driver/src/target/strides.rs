//! Turns of a loop that steps through memory, several under one test.
//!
//! Takes optimised code of kernels. A loop whose counter grows by a number that the launch gives, as where all items of
//! a grid take turns at the elements of a slice, is left by LLVM as it is: a turn waits for what it reads before the
//! next begins, and each tests its counter once for the loop's end and once for each slice. Here such a loop gets another in
//! front of it that makes four turns at once, whose loads are all under way together. All of its tests ask whether the
//! counter is below something that stays, so that one test of the last of four turns answers for them all, and
//! nothing is read in vain. What is left of the turns, and whatever leaves the loop, is for the loop that there was.

use llvm_sys::{LLVMIntPredicate, LLVMOpcode};

use super::chain::{Chain, Copies, Exit, round};
use crate::ir::flow::{Blocks, LoopId, Loops};
use crate::ir::{Builder, Function, Value};

/// Turns that are made at once.
const TURNS: u64 = 4;

/// Most instructions of such a loop.
const LONGEST: usize = 32;

/// Has loops of a kernel make several turns at once. Each value of a loop that is used behind it is so by a phi there,
/// and each loop is entered from a block that leads nowhere else.
pub(super) fn take(kernel: Function<'_>) {
    let Some(blocks) = Blocks::of(kernel) else {
        return;
    };
    let Ok(loops) = Loops::of(blocks.flow()) else {
        return;
    };
    let found: Vec<_> = loops
        .all()
        .filter_map(|id| Stride::of(&blocks, &loops, id))
        .collect();
    for stride in found {
        stride.make_longer();
    }
}

/// A loop that goes on while its counter is below each of some bounds.
struct Stride<'m> {
    chain: Chain<'m>,
    counter: Value<'m>,
    next: Value<'m>,
    first: Value<'m>,
    /// How much the counter grows in a turn.
    step: Value<'m>,
    bounds: Vec<Value<'m>>,
    /// How the last block leaves it, if it does.
    end: Option<Exit<'m>>,
}

impl<'m> Stride<'m> {
    fn of(blocks: &Blocks<'m>, loops: &Loops, id: LoopId) -> Option<Self> {
        let chain = Chain::of(blocks, loops, id, LONGEST)?;
        // What LLVM has unrolled says so.
        if chain.latch().terminator().has_metadata("llvm.loop") {
            return None;
        }
        let mut instructions = chain.blocks.iter().flat_map(|block| block.instructions());
        let reads = instructions
            .any(|one| one.is(LLVMOpcode::LLVMLoad) && !one.operand(0).is_address_in_parameter());
        let mut phis = chain.header().phis().into_iter();
        let grows = |counter: Value<'m>| {
            let next = round(counter, chain.latch())
                .filter(|next| chain.contains(*next) && next.is(LLVMOpcode::LLVMAdd))?;
            let [a, b] = [next.operand(0), next.operand(1)];
            let step = if a == counter { b } else { a };
            let is_stride = (a == counter || b == counter) && !chain.contains(step);
            is_stride.then_some((counter, next, step))
        };
        let end = chain.end();
        let of = |(counter, next, step)| {
            let ends = end.map(|end| (end, next));
            let tests = chain.exits.iter().map(|exit| (*exit, counter)).chain(ends);
            let bounds = tests.map(|(exit, of)| bound(&chain, exit, of));
            let bounds: Vec<_> = bounds.collect::<Option<_>>()?;
            (!bounds.is_empty()).then_some((counter, next, step, bounds))
        };
        let (counter, next, step, bounds) =
            phis.find_map(|phi| of(grows(phi)?)).filter(|_| reads)?;
        Some(Stride {
            counter,
            next,
            first: round(counter, chain.before)?,
            step,
            bounds,
            end,
            chain,
        })
    }

    /// Puts the other loop in front of it.
    fn make_longer(&self) {
        let function = self.chain.header().function();
        let [together, done] = ["together", "done"].map(|name| function.append_block(name));
        let (header, latch) = (self.chain.header(), self.chain.latch());

        let enter = self.chain.before.terminator();
        let at = Builder::before(enter);
        let limit = self.limit(&at);
        let is_below =
            |at: &Builder<'m>, counter| at.compare(LLVMIntPredicate::LLVMIntULT, counter, limit);
        at.branch_if(is_below(&at, self.first), together, header);
        enter.erase();

        let at = Builder::at_end(together);
        let mut copies = Copies::of(&self.chain);
        copies.begin(&at);
        for turn in 0..TURNS {
            copies.rest(turn, &at);
            let reached = copies.find(self.next, turn);
            copies.put(self.next, turn, at.unforeseen(reached));
        }
        let last = |value: Value<'m>| copies.find(value, TURNS - 1);
        let carried = |phi: Value<'m>| last(round(phi, latch).unwrap_or(phi));
        at.branch_if(is_below(&at, carried(self.counter)), together, done);

        let at = Builder::at_end(done);
        match self.end {
            Some(Exit {
                test,
                if_true: true,
                to,
            }) => at.branch_if(last(test), to, header),
            Some(Exit {
                test,
                if_true: false,
                to,
            }) => at.branch_if(last(test), header, to),
            None => at.branch(header),
        };
        for phi in header.phis() {
            copies.find(phi, 0).add_incoming(carried(phi), together);
            phi.add_incoming(carried(phi), done);
        }
        for phi in self.end.iter().flat_map(|end| end.to.phis()) {
            if let Some(value) = round(phi, latch) {
                phi.add_incoming(last(value), done);
            }
        }
    }

    /// What the counter is below if it is below each bound in four turns from there on, and doesn't wrap before the
    /// last of them.
    fn limit(&self, at: &Builder<'m>) -> Value<'m> {
        use LLVMIntPredicate::LLVMIntUGE;
        let ty = self.counter.ty();
        let zero = ty.zero();
        // A bound may be poison where the loop would be left before it is looked at.
        let step = at.freeze(self.step);
        let most = u64::MAX >> (u64::BITS - ty.integer_width());
        let fits = at.compare(LLVMIntUGE, ty.constant(most / TURNS), step);
        let ahead = at.mul(step, ty.constant(TURNS - 1));
        let before = |bound: &Value<'m>| {
            let bound = at.freeze(*bound);
            let reaches = at.compare(LLVMIntUGE, bound, ahead);
            at.select(reaches, at.sub(bound, ahead), zero)
        };
        let least = self.bounds.iter().map(before);
        let least = least.reduce(|a, b| at.minimum(a, b)).unwrap_or(zero);
        at.select(fits, least, zero)
    }
}

/// What a value is compared with, if a loop goes on while it is below that, which stays.
fn bound<'m>(chain: &Chain<'m>, exit: Exit<'m>, of: Value<'m>) -> Option<Value<'m>> {
    use LLVMIntPredicate::*;
    let predicate = exit.test.predicate()?;
    let [a, b] = [exit.test.operand(0), exit.test.operand(1)];
    let (bound, below) = if a == of {
        (b, [LLVMIntULT, LLVMIntUGE])
    } else {
        (a, [LLVMIntUGT, LLVMIntULE])
    };
    let goes_on = below[usize::from(exit.if_true)];
    let stays = (a == of || b == of) && !chain.contains(bound);
    (stays && predicate == goes_on && bound.ty().integer_width() <= 64).then_some(bound)
}
