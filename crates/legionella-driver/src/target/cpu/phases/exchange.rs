//! What items of a subgroup exchange between two phases.

use legionella_abi::cpu;
use llvm_sys::LLVMOpcode;

use super::super::loops::{self, Counter, Parallel};
use super::cut::Operation;
use super::run::Run;
use super::step::Kind;
use crate::ir::{Block, Builder, Value};

impl<'m> Run<'_, '_, 'm> {
    /// Where one goes to begin a phase.
    pub(super) fn way(&self, operation: Operation, begin: Block<'m>) -> Block<'m> {
        if matches!(operation, Operation::Barrier { .. }) {
            return begin;
        }
        let way = self.block("exchange");
        let at = Builder::at_end(way);
        let behind = match operation {
            Operation::Shuffle => self.shuffle(at),
            _ => self.ballot(at),
        };
        behind.branch(begin);
        way
    }

    fn arrays<const N: usize>(&self, at: &Builder<'m>, kinds: [Kind; N]) -> [Value<'m>; N] {
        kinds.map(|kind| match self.frame.only(kind) {
            Some(slot) => self.frame.array(at, self.context, slot),
            None => self.types().ptr.zero(),
        })
    }

    /// Gives each item the value of the lane that it asks for.
    fn shuffle(&self, at: Builder<'m>) -> Builder<'m> {
        let types = self.types();
        let kinds = [Kind::Operand, Kind::Lane, Kind::Result];
        let [operands, lanes, results] = self.arrays(&at, kinds);
        let mask = u64::from(cpu::SUBGROUP_SIZE) - 1;
        let claim = Parallel::new(self.module);
        let all = Counter::begin(
            self.loops.function,
            &at,
            self.number(0),
            self.linear_len,
            self.number(1),
        );
        let at = &all.body;
        let and = |a, b| at.binary(LLVMOpcode::LLVMAnd, a, b);
        let own = |array| at.element(types.i32, array, all.index);
        let asked = at.load(types.i32, own(lanes));
        let lane = and(asked, types.i32.constant(mask));
        let first = and(all.index, self.number(!mask));
        let other = at.add(first, at.resize(lane, types.i64));
        let value = at.load(types.i32, at.element(types.i32, operands, other));
        let store = at.store(value, own(results));
        for access in [asked, value, store] {
            claim.mark(access);
        }
        let (behind, latch) = all.finish();
        claim.finish(latch);
        behind
    }

    /// Collects the bits of each subgroup.
    fn ballot(&self, at: Builder<'m>) -> Builder<'m> {
        let types = self.types();
        let [operands, results] = self.arrays(&at, [Kind::Operand, Kind::Ballot]);
        let (zero, one) = (self.number(0), self.number(1));
        let size = self.number(cpu::SUBGROUP_SIZE.into());
        let count = at.binary(LLVMOpcode::LLVMUDiv, self.linear_len, size);
        let function = self.loops.function;
        let subgroups = Counter::begin(function, &at, zero, count, one);
        let first = subgroups.body.mul(subgroups.index, size);
        let mut lanes = Counter::begin(function, &subgroups.body, zero, size, one);
        let bits = lanes.carry(zero);
        let at = &lanes.body;
        let place = at.element(types.i32, operands, at.add(first, lanes.index));
        let bit = at.binary(
            LLVMOpcode::LLVMAnd,
            at.load(types.i32, place),
            types.i32.constant(1),
        );
        let bit = at.binary(LLVMOpcode::LLVMShl, at.resize(bit, types.i64), lanes.index);
        let next = at.binary(LLVMOpcode::LLVMOr, bits, bit);
        lanes.set_carried(next);
        let (at, latch) = lanes.finish();
        loops::keep_small(self.module, latch);
        at.store(bits, at.element(types.i64, results, subgroups.index));
        let (behind, latch) = subgroups.finish_from(at);
        loops::keep_rolled(self.module, latch);
        behind
    }
}
