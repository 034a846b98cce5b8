//! Whether all items of a group have come out of a phase alike.

use legionella_abi::intrinsic;
use llvm_sys::LLVMIntPredicate::{LLVMIntEQ, LLVMIntNE};
use llvm_sys::LLVMOpcode;

use super::super::loops::{self, Counter};
use super::run::{Place, Run, found};
use crate::error::Error;
use crate::ir::{Builder, Value};

impl<'m> Run<'_, '_, 'm> {
    /// Ends the group unless all items come out as the first; gives the place behind.
    pub(super) fn check(
        &self,
        at: Builder<'m>,
        array: Value<'m>,
        first: Value<'m>,
        places: Value<'m>,
        place: &Place<'m>,
    ) -> Result<Builder<'m>, Error> {
        let i32 = self.types().i32;
        let (zero, one) = (self.number(0), self.number(1));
        let function = self.loops.function;
        let outcome = |at: &Builder<'m>, rank| at.load(i32, at.element(i32, array, rank));
        let mut all = Counter::begin(function, &at, zero, place.items, one);
        let union = all.carry(i32.zero());
        let differs = all
            .body
            .binary(LLVMOpcode::LLVMXor, outcome(&all.body, all.index), first);
        let next = all.body.binary(LLVMOpcode::LLVMOr, union, differs);
        all.set_carried(next);
        let (at, latch) = all.finish();
        loops::keep_small(self.module, latch);
        let [failed, fine] = ["apart", "alike"].map(|name| self.block(name));
        at.branch_if(at.compare(LLVMIntNE, union, i32.zero()), failed, fine);

        // The first item that differs from item 0, which is among the items.
        let at = Builder::at_end(failed);
        let search = Counter::begin(function, &at, one, place.items, one);
        let other = outcome(&search.body, search.index);
        let [hit, go_on] = ["other", "next"].map(|name| self.block(name));
        let same = search.body.compare(LLVMIntEQ, other, first);
        search.body.branch_if(same, go_on, hit);
        let at = Builder::at_end(hit);
        let ended = at.compare(LLVMIntEQ, first, i32.zero());
        let waiting = at.select(ended, search.index, zero);
        let rest = at.select(ended, zero, search.index);
        self.note(&at, waiting, place);
        let place_of = |rank| {
            let index = at.resize(outcome(&at, rank), self.types().i64);
            let ptr = self.types().ptr;
            at.load(ptr, at.element(ptr, places, index))
        };
        let told = [place_of(waiting), place_of(rest)];
        at.call(found(self.module, intrinsic::BARRIER_FAILED)?, &told);
        at.unreachable();
        let (not_found, latch) = search.finish_from(Builder::at_end(go_on));
        loops::keep_plain(self.module, latch);
        not_found.branch(fine);
        Ok(Builder::at_end(fine))
    }

    /// Notes the item of a rank, where the application looks when it panics.
    fn note(&self, at: &Builder<'m>, rank: Value<'m>, place: &Place<'m>) {
        let progress = self.loops.function.parameters()[4];
        let divide = |a, b| at.binary(LLVMOpcode::LLVMUDiv, a, b);
        let [width, height, _] = place.count;
        let rows = divide(rank, width);
        let planes = divide(rows, height);
        let local = [
            at.sub(rank, at.mul(rows, width)),
            at.sub(rows, at.mul(planes, height)),
            planes,
        ];
        for (d, local) in local.into_iter().enumerate() {
            let id = at.add(place.base[d], local);
            self.loops.note(at, progress, d as u64, id);
        }
    }
}
