//! What surrounds the lane loops: memory for slots and `next`, the dispatch between regions, and where
//! lanes begin and end.

use llvm_sys::LLVMIntPredicate::{LLVMIntEQ, LLVMIntULT};
use llvm_sys::LLVMOpcode;

use std::collections::HashMap;

use super::super::rows::Parked;
use super::super::split::Target;
use super::super::{Plan, together, vectors};
use super::lanes::LaneLoop;
use super::{ALIGNMENT, Frame, Machine, Place, Site, Taken, Way, place};
use crate::ir::{self, Block, Builder, Type, Types, Value};

impl<'a, 'c, 'm> Machine<'a, 'c, 'm> {
    pub(super) fn new(
        plan: &'a Plan<'m>,
        site: Site<'a, 'c, 'm>,
        types: Types<'m>,
        first: [(&'static str, Value<'m>); 2],
        copies: Vec<Vec<(Value<'m>, Value<'m>)>>,
        outside: HashMap<Value<'m>, Value<'m>>,
    ) -> Self {
        let function = site.function;
        let start = Builder::before(function.blocks()[0].terminator());
        let lanes = plan.lanes;
        let place = |ty, storage| place(&start, lanes, ty, storage);
        let slots = plan.crossings.slots.iter().map(|slot| {
            let ty = slot.value.ty();
            match vectors::storage(ty) {
                Some(storage) if !slot.shared => place(ty, storage),
                _ => {
                    let memory = start.alloca(ty, 16);
                    Place {
                        ty,
                        storage: ty,
                        memory,
                        shadow: memory,
                        local: memory,
                    }
                }
            }
        });
        let slots = slots.collect();
        let results = plan
            .result_types()
            .into_iter()
            .filter_map(|ty| Some(place(ty, vectors::storage(ty)?)))
            .collect();
        let next = place(types.i32, types.i32);
        let memories = plan.function.instructions().into_iter();
        let memories = memories.filter(|instruction| instruction.is(LLVMOpcode::LLVMAlloca));
        let memories = memories.map(|alloca| {
            let memory = start.alloca(alloca.allocated().array(lanes), ALIGNMENT);
            (alloca, memory)
        });
        let memories = memories.collect();
        let frames = plan
            .split
            .regions
            .iter()
            .enumerate()
            .map(|(number, _)| Frame {
                before: function.append_block(&format!("region{number}")),
                lane: function.append_block(&format!("region{number}.lane")),
                latch: function.append_block(&format!("region{number}.latch")),
                after: function.append_block(&format!("region{number}.after")),
            });
        let frames = frames.collect();
        let [enter, dispatch] = ["enter", "dispatch"].map(|name| function.append_block(name));
        let entered = Builder::at_end(enter).phi(types.i32);
        Machine {
            plan,
            site,
            types,
            lanes,
            next,
            slots,
            results,
            memories,
            frames,
            enter,
            entered,
            dispatch,
            first,
            copies,
            outside,
        }
    }

    /// A further slot.
    pub(super) fn place(&self, ty: Type<'m>, storage: Type<'m>) -> Place<'m> {
        let start = Builder::before(self.site.function.blocks()[0].terminator());
        place(&start, self.lanes, ty, storage)
    }

    /// The number of a lane's `next` that has left the function.
    pub(super) fn done(&self) -> Value<'m> {
        self.number(self.plan.split.regions.len())
    }

    pub(in super::super) fn number(&self, region: usize) -> Value<'m> {
        self.types.i32.constant(region as u64)
    }

    /// All lanes to the first region, those beyond the strip's end out.
    pub(super) fn start(&self, at: &Builder<'m>, left: Value<'m>) {
        let lanes = self.types.i64.constant(self.lanes);
        let count = at.resize(at.minimum(left, lanes), self.types.i32);
        let numbers: Vec<_> = (0..self.lanes)
            .map(|lane| self.types.i32.constant(lane))
            .collect();
        let active = at.compare(
            LLVMIntULT,
            Value::vector(&numbers),
            at.splat(count, self.lanes),
        );
        let first = at.splat(self.number(0), self.lanes);
        let next = at.select(active, first, at.splat(self.done(), self.lanes));
        self.store_all(at, self.next, next);
        self.enter(at, self.number(0));
    }

    pub(super) fn load_all(&self, at: &Builder<'m>, place: Place<'m>) -> Value<'m> {
        let all = at.load(place.storage.vector(self.lanes), place.memory);
        all.set_alignment(ALIGNMENT);
        all
    }

    pub(in super::super) fn store_all(&self, at: &Builder<'m>, place: Place<'m>, all: Value<'m>) {
        at.store(all, place.memory).set_alignment(ALIGNMENT);
    }

    /// Reduces a vector by one of LLVM's intrinsics.
    pub(super) fn reduce(
        &self,
        at: &Builder<'m>,
        operation: &str,
        vector: Value<'m>,
        element: Type<'m>,
    ) -> Value<'m> {
        let name = format!(
            "llvm.vector.reduce.{operation}.v{}i{}",
            self.lanes,
            element.integer_width()
        );
        let function = ir::declare(self.site.module, &name, element, &[vector.ty()]);
        at.call(function, &[vector])
    }

    /// Chooses the region that runs next.
    pub(super) fn dispatch(&self, finish: Block<'m>) {
        let at = Builder::at_end(self.dispatch);
        let next = self.load_all(&at, self.next);
        let least = self.reduce(&at, "umin", next, self.types.i32);
        let cases: Vec<_> = (1..self.frames.len())
            .map(|region| (self.number(region), self.frames[region].before))
            .collect();
        at.switch(least, finish, &cases);
    }

    /// Has all lanes be at a region, and goes there.
    pub(in super::super) fn begin_at(&self, at: &Builder<'m>, region: Value<'m>) {
        self.store_all(at, self.next, at.splat(region, self.lanes));
        self.enter(at, region);
    }

    /// Goes to where some lanes are, and none before them.
    fn enter(&self, at: &Builder<'m>, region: Value<'m>) {
        self.entered.add_incoming(region, at.block());
        at.branch(self.enter);
    }

    /// Builds where the regions are entered; gives the last block that isn't theirs.
    pub(super) fn entrance(&self) -> Block<'m> {
        let function = self.site.function;
        let begin = function.append_block("regions");
        Builder::at_end(self.enter).branch(begin);
        let at = Builder::at_end(begin);
        self.clear_panics(&at);
        // Nobody goes back to region 0, so that the dispatch doesn't know it.
        let at_first = at.compare(LLVMIntEQ, self.entered, self.number(0));
        at.branch_if(at_first, self.frames[0].before, self.dispatch);
        self.enter
    }

    /// Builds the code for rows side by side, and where a row resumes; gives where one begins that
    /// doesn't.
    pub(super) fn side(&self, at: Builder<'m>, row_values: &[Value<'m>]) -> Builder<'m> {
        let Some((side, together)) = self.site.side.as_ref().zip(self.plan.together.as_ref())
        else {
            return at;
        };
        let Some(rows) = &together.rows else {
            return at;
        };
        let function = self.site.function;
        let slots = self.plan.crossings.slots.iter().zip(&self.slots);
        let slots: Vec<_> = slots.map(|(slot, place)| (*place, slot.shared)).collect();
        let parked = {
            let start = Builder::before(function.blocks()[0].terminator());
            let types = Types::of(self.site.module);
            Parked::new(
                &start,
                types,
                rows.counts[0],
                self.lanes,
                slots.iter().copied(),
            )
        };
        let [resume, fresh] = ["row.resume", "row.begin"].map(|name| function.append_block(name));
        at.branch_if(side.resumes, resume, fresh)
            .set_weights([together::MOSTLY[1], together::MOSTLY[0]]);
        let at = Builder::at_end(resume);
        for (number, (place, shared)) in slots.into_iter().enumerate() {
            let from = parked.slot(&at, number, side.row);
            if shared {
                at.store(at.load(place.storage, from), place.memory);
            } else {
                let all = at.load(place.storage.vector(self.lanes), from);
                all.set_alignment(1);
                self.store_all(&at, place, all);
            }
        }
        let region = parked.region(&at);
        self.begin_at(&at, region);
        for begin in side.begins {
            let beside = together::Beside {
                rows,
                parked: &parked,
                begin: *begin,
            };
            together::build_side(self, together, beside, row_values);
        }
        Builder::at_end(fresh)
    }

    /// No lane has panicked, also those that aren't there.
    fn clear_panics(&self, at: &Builder<'m>) {
        if let Some(place) = self.results.first() {
            self.store_all(at, *place, place.storage.vector(self.lanes).zero());
        }
    }

    /// Hands the results of all lanes to the caller, if any has panicked.
    pub(super) fn finish(&self, at: Builder<'m>, index: Value<'m>, left: Value<'m>) -> Builder<'m> {
        let Some(place) = self.results.first() else {
            return at;
        };
        let function = self.site.function;
        let all = self.load_all(&at, *place);
        let any = self.reduce(&at, "or", all, place.storage);
        let none = at.compare(LLVMIntEQ, any, place.storage.zero());
        let [told, fine] = ["strip.told", "strip.fine"].map(|name| function.append_block(name));
        at.branch_if(none, fine, told);
        let at = Builder::at_end(told);
        for (place, array) in self.results.iter().zip(&self.site.results) {
            let all = self.load_all(&at, *place);
            at.store(all, *array).set_alignment(1);
        }
        let count = at.minimum(left, self.types.i64.constant(self.lanes));
        (self.site.told)(at, index, count).branch(fine);
        Builder::at_end(fine)
    }

    pub(super) fn region(&self, number: usize) {
        let plan = self.plan;
        let region = &plan.split.regions[number];
        let way = plan.way(number);
        let lane = LaneLoop::begin(self, number, way);
        let mut last = self.frames[number].lane;
        for &block in &region.blocks {
            let block = plan.split.blocks.block(block);
            block.move_after(last);
            last = block;
        }
        lane.body();
        lane.exits();
        lane.finish();
        self.after(number, way);
    }

    /// Where it goes on when the lane loop of a region is done.
    pub(super) fn after(&self, number: usize, way: Way) {
        let frame = self.frames[number];
        let at = Builder::at_end(frame.after);
        if let Way::Together(_) = way {
            // The terminator was moved here, and its ways were led on.
            return;
        }
        let region = &self.plan.split.regions[number];
        let again = region
            .exits
            .iter()
            .any(|exit| exit.target == Target::Region(number));
        let forward = region.exits.iter().all(|exit| match exit.target {
            Target::Region(to) => to >= number,
            Target::Return => true,
        });
        // Nobody is before this region, so that who is at it, or else at the one behind, comes next. Region
        // 0 is left through the dispatch, which is the only way into its loop then.
        let behind = number != 0
            && region
                .exits
                .iter()
                .any(|exit| exit.target == Target::Region(number + 1));
        let next = match (again, behind) {
            _ if !forward => None,
            (true, _) => Some(number),
            (false, true) => Some(number + 1),
            (false, false) => None,
        };
        let Some(next) = next else {
            at.branch(self.dispatch);
            return;
        };
        let there = at.compare(
            LLVMIntEQ,
            self.load_all(&at, self.next),
            at.splat(self.number(next), self.lanes),
        );
        let any = self.reduce(&at, "or", there, self.types.i1);
        at.branch_if(any, self.frames[next].before, self.dispatch);
    }

    /// A block in which all lanes of a region go on to a target.
    pub(super) fn together_to(
        &self,
        from: usize,
        target: Target,
        taken: &[Taken<'m>],
    ) -> Block<'m> {
        let region = match target {
            Target::Region(to) if to == from => return self.frames[from].before,
            Target::Region(to) => to,
            Target::Return => self.plan.split.regions.len(),
        };
        let block = self.site.function.append_block("together");
        let at = Builder::at_end(block);
        let next = self.load_all(&at, self.next);
        let here = at.compare(LLVMIntEQ, next, at.splat(self.number(from), self.lanes));
        let there = at.splat(self.number(region), self.lanes);
        self.store_all(&at, self.next, at.select(here, there, next));
        for one in taken.iter().filter(|one| one.target == target) {
            let new = self.load_all(&at, one.from);
            let old = self.load_all(&at, one.to);
            self.store_all(&at, one.to, at.select(here, new, old));
        }
        // Nobody can wait at a region between. Region 0 is left through the dispatch, which is the
        // only way into its loop then.
        let direct = region == from + 1 && from != 0 && region < self.frames.len();
        at.branch(if direct {
            self.frames[region].before
        } else {
            self.dispatch
        });
        block
    }
}
