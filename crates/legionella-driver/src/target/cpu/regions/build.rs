//! Writing a planned function down as code for a strip of items.
//!
//! ```text
//! for each W items of the strip:
//!     next[lane] = lane < items left ? 0 : done
//!     region 0
//!     dispatch: switch least of next { r => region r, done => end }
//! region r:
//!     what lanes share
//!     for each lane: load slots; if next[lane] == r { body }; store slots and next[lane]
//!     again, if a lane is at r and none can be before it; else dispatch
//! ```
//!
//! Slots and `next` are loaded and stored for all lanes, so that no access is conditional: LLVM then
//! makes the lane loop one piece of vector code and the slots registers. Where all lanes of a region
//! leave it the same way, `next` is only written once they have left ([`Way::Together`]).

use std::collections::HashMap;

use inkwell::module::Module;
use llvm_sys::LLVMIntPredicate::{LLVMIntEQ, LLVMIntUGE, LLVMIntULT};
use llvm_sys::core as c;
use llvm_sys::{LLVMOpcode, LLVMTypeKind};

use super::super::items::Ids;
use super::super::loops::{self, Counter, Parallel};
use super::crossings::{Copy, returned};
use super::sharing::{Sharing, is_lane_id};
use super::split::{Exit, Target};
use super::together::{self, Together};
use super::{Plan, vectors};
use crate::ir::{self, Block, Builder, Function, Type, Types, Value, llvm};

/// Where the code goes, and what it is given.
pub(in super::super) struct Site<'a, 'c, 'm> {
    pub(in super::super) module: &'m Module<'c>,
    pub(in super::super) function: Function<'m>,
    /// What the planned function is given.
    pub(in super::super) arguments: &'a [Value<'m>],
    /// Ids of the strip's first item.
    pub(in super::super) ids: &'a Ids<'m>,
    /// Items of the strip.
    pub(in super::super) len: Value<'m>,
    /// An array for each field of the item's result, with room for all lanes.
    pub(in super::super) results: Vec<Value<'m>>,
    /// What is done if any lane has panicked: its result's first field isn't 0.
    pub(in super::super) told: &'a Told<'a, 'm>,
}

/// Builds what is done at a place about the results of items: so many from an index in the strip on.
pub(in super::super) type Told<'a, 'm> =
    dyn Fn(Builder<'m>, Value<'m>, Value<'m>) -> Builder<'m> + 'a;

/// Bytes that slots are aligned to: a vector register.
const ALIGNMENT: u32 = 64;

/// A slot's memory.
#[derive(Clone, Copy)]
pub(super) struct Place<'m> {
    pub(super) ty: Type<'m>,
    pub(super) storage: Type<'m>,
    pub(super) memory: Value<'m>,
    /// Stands in for the memory in lane loops that stay scalar, so that the memory itself is only
    /// accessed as a whole and can become a register.
    shadow: Value<'m>,
    /// The value of the lane that runs.
    local: Value<'m>,
}

/// Memory for one value of each lane.
fn place<'m>(start: &Builder<'m>, lanes: u64, ty: Type<'m>, storage: Type<'m>) -> Place<'m> {
    let array = storage.array(lanes);
    Place {
        ty,
        storage,
        memory: start.alloca(array, ALIGNMENT),
        shadow: start.alloca(array, ALIGNMENT),
        local: start.alloca(storage, 8),
    }
}

/// How lanes leave a region.
#[derive(Clone, Copy)]
pub(super) enum Way {
    /// Each as it likes.
    Apart,
    /// All the same way, from that block.
    Together(usize),
}

/// Blocks of a region's code.
#[derive(Clone, Copy)]
pub(super) struct Frame<'m> {
    pub(super) before: Block<'m>,
    lane: Block<'m>,
    latch: Block<'m>,
    after: Block<'m>,
}

/// A value that lanes take along when they leave a region together, and the slot that it is for.
struct Taken<'m> {
    target: Target,
    from: Place<'m>,
    to: Place<'m>,
}

pub(super) struct Machine<'a, 'c, 'm> {
    pub(super) plan: &'a Plan<'m>,
    pub(super) site: Site<'a, 'c, 'm>,
    types: Types<'m>,
    pub(super) lanes: u64,
    pub(super) next: Place<'m>,
    /// By slot; shared ones have their one value in `memory`.
    pub(super) slots: Vec<Place<'m>>,
    results: Vec<Place<'m>>,
    /// The item's own memory: that of all lanes.
    pub(super) memories: HashMap<Value<'m>, Value<'m>>,
    pub(super) frames: Vec<Frame<'m>>,
    dispatch: Block<'m>,
    /// Ids of the lane 0, by intrinsic's name.
    pub(super) first: [(&'static str, Value<'m>); 2],
    /// By region: what it computes again, with the copies to do so.
    copies: Vec<Vec<(Value<'m>, Value<'m>)>>,
    /// What stands for values of the function in all regions.
    pub(super) outside: HashMap<Value<'m>, Value<'m>>,
}

impl<'m> Plan<'m> {
    /// Builds the code at a place in another function; gives the place behind it. The planned
    /// function is gone then.
    pub(in super::super) fn build(self, site: Site<'_, '_, 'm>, at: Builder<'m>) -> Builder<'m> {
        let types = Types::of(site.module);
        let function = site.function;
        let zero = types.i64.zero();
        self.forget_lifetimes();
        let outside = self.move_strip_values(&site, &at);
        let gone = self.stood_in_for();
        let copies = self.copies();
        let strips = Counter::begin(
            function,
            &at,
            zero,
            site.len,
            types.i64.constant(self.lanes),
        );
        let body = Builder::at_end(strips.body.block());
        let first = [
            legionella_abi::intrinsic::GLOBAL_ID,
            legionella_abi::intrinsic::LOCAL_ID,
        ]
        .map(|name| {
            (
                name,
                body.add(site.ids.of(name).map_or(zero, |ids| ids[0]), strips.index),
            )
        });
        let left = body.sub(site.len, strips.index);
        let machine = Machine::new(&self, site, types, first, copies, outside);
        let over = function.append_block("strip.over");
        let apart = function.append_block("strip.apart");
        machine.clear_panics(&body);
        match &self.together {
            Some(together) => {
                let begin = together::build(&machine, together, over);
                let full = machine.may_run_together(&body, left, together);
                body.branch_if(full, begin, apart)
                    .set_weights(together::MOSTLY);
                function.trust_weights();
            }
            None => {
                body.branch(apart);
            }
        }
        machine.start(&Builder::at_end(apart), left);
        for region in 0..self.split.regions.len() {
            machine.region(region);
        }
        let finish = function.append_block("finish");
        machine.dispatch(finish);
        let end = machine.finish(Builder::at_end(finish), strips.index, left);
        end.branch(over);
        let replaced = machine.outside.keys().copied();
        let replaced: Vec<_> = replaced.filter(|value| value.is_instruction()).collect();
        self.function.drop_body();
        self.function.delete();
        for value in gone.into_iter().chain(replaced) {
            value.replace_all_uses_with(value.ty().poison());
            value.erase();
        }
        let (behind, latch) = strips.finish_from(Builder::at_end(over));
        loops::keep_rolled(machine.site.module, latch);
        behind
    }

    /// Drops the markers of when an item uses its memory: that of all lanes is in use all the time.
    fn forget_lifetimes(&self) {
        for instruction in self.function.instructions() {
            let called = instruction.called_function().map(Function::name);
            if called.is_some_and(|name| name.starts_with("llvm.lifetime.")) {
                instruction.erase();
            }
        }
    }

    /// Moves what is the same for all items of a strip to where it is computed once; gives what
    /// stands for the values that there are already.
    fn move_strip_values(
        &self,
        site: &Site<'_, '_, 'm>,
        at: &Builder<'m>,
    ) -> HashMap<Value<'m>, Value<'m>> {
        let mut outside = HashMap::new();
        for (parameter, argument) in self.function.parameters().into_iter().zip(site.arguments) {
            parameter.replace_all_uses_with(*argument);
            outside.insert(parameter, *argument);
        }
        for &number in self.split.loops.order() {
            for instruction in self.split.blocks.block(number).instructions() {
                if self.sharings.get(instruction) != Sharing::Strip {
                    continue;
                }
                let id = instruction
                    .called_function()
                    .and_then(|function| site.ids.of(&function.name()))
                    .zip(instruction.operand(0).constant_integer());
                if let Some((ids, dimension)) = id {
                    let id = ids[dimension as usize];
                    instruction.replace_all_uses_with(id);
                    outside.insert(instruction, id);
                } else {
                    instruction.detach();
                    instruction.forget_promises();
                    at.insert(instruction);
                }
            }
        }
        outside
    }

    /// For each region copies of what it computes again, before anything is changed.
    fn copies(&self) -> Vec<Vec<(Value<'m>, Value<'m>)>> {
        let copy = |value: &Value<'m>| (*value, value.duplicate());
        let needs = self.crossings.needs.iter();
        needs
            .map(|needs| needs.repeats.iter().map(copy).collect())
            .collect()
    }

    /// Instructions that have no meaning outside of the function: others stand in for them.
    fn stood_in_for(&self) -> Vec<Value<'m>> {
        let instructions = self.function.instructions().into_iter();
        let gone = instructions.filter(|value| {
            value.is(LLVMOpcode::LLVMAlloca)
                || is_lane_id(*value)
                || value.is(LLVMOpcode::LLVMPHI) && self.split.is_head(value.block())
        });
        gone.collect()
    }
}

impl<'a, 'c, 'm> Machine<'a, 'c, 'm> {
    fn new(
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
        let dispatch = function.append_block("dispatch");
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
            dispatch,
            first,
            copies,
            outside,
        }
    }

    /// A further slot.
    fn place(&self, ty: Type<'m>, storage: Type<'m>) -> Place<'m> {
        let start = Builder::before(self.site.function.blocks()[0].terminator());
        place(&start, self.lanes, ty, storage)
    }

    /// The number of a lane's `next` that has left the function.
    fn done(&self) -> Value<'m> {
        self.number(self.plan.split.regions.len())
    }

    pub(super) fn number(&self, region: usize) -> Value<'m> {
        self.types.i32.constant(region as u64)
    }

    /// All lanes to the first region, those beyond the strip's end out.
    fn start(&self, at: &Builder<'m>, left: Value<'m>) {
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
        at.branch(self.frames[0].before);
    }

    fn load_all(&self, at: &Builder<'m>, place: Place<'m>) -> Value<'m> {
        let all = at.load(place.storage.vector(self.lanes), place.memory);
        all.set_alignment(ALIGNMENT);
        all
    }

    pub(super) fn store_all(&self, at: &Builder<'m>, place: Place<'m>, all: Value<'m>) {
        at.store(all, place.memory).set_alignment(ALIGNMENT);
    }

    /// Reduces a vector by one of LLVM's intrinsics.
    fn reduce(
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
    fn dispatch(&self, finish: Block<'m>) {
        let at = Builder::at_end(self.dispatch);
        let next = self.load_all(&at, self.next);
        let least = self.reduce(&at, "umin", next, self.types.i32);
        let cases: Vec<_> = (1..self.frames.len())
            .map(|region| (self.number(region), self.frames[region].before))
            .collect();
        at.switch(least, finish, &cases);
    }

    /// Whether all lanes are there, and sizes are what the code of those that stay together rests on.
    fn may_run_together(
        &self,
        at: &Builder<'m>,
        left: Value<'m>,
        together: &Together<'m>,
    ) -> Value<'m> {
        let number = |value| self.types.i64.constant(value);
        let full = at.compare(LLVMIntUGE, left, number(self.lanes));
        if !together.forms.on_sizes {
            return full;
        }
        let ids = self.site.ids;
        let both = at.binary(LLVMOpcode::LLVMOr, ids.group_size[0], ids.grid[0]);
        let rest = at.binary(LLVMOpcode::LLVMAnd, both, number(self.lanes - 1));
        let even = at.compare(LLVMIntEQ, rest, number(0));
        at.binary(LLVMOpcode::LLVMAnd, full, even)
    }

    /// No lane has panicked, also those that aren't there.
    fn clear_panics(&self, at: &Builder<'m>) {
        if let Some(place) = self.results.first() {
            self.store_all(at, *place, place.storage.vector(self.lanes).zero());
        }
    }

    /// Hands the results of all lanes to the caller, if any has panicked.
    fn finish(&self, at: Builder<'m>, index: Value<'m>, left: Value<'m>) -> Builder<'m> {
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

    fn region(&self, number: usize) {
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
    fn after(&self, number: usize, way: Way) {
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
    fn together_to(&self, from: usize, target: Target, taken: &[Taken<'m>]) -> Block<'m> {
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

impl Plan<'_> {
    /// How lanes leave a region.
    pub(super) fn way(&self, number: usize) -> Way {
        let region = &self.split.regions[number];
        let together = region.only_exit().filter(|from| {
            let terminator = self.split.blocks.block(*from).terminator();
            let shared = !terminator.successors_differ()
                || self.sharings.get(terminator.operand(0)) != Sharing::Lane;
            let mut targets: Vec<_> = region.exits.iter().map(|exit| exit.target).collect();
            targets.sort_unstable();
            targets.dedup();
            shared && targets.len() == region.exits.len()
        });
        together.map_or(Way::Apart, Way::Together)
    }
}

impl<'m> Plan<'m> {
    fn result_types(&self) -> Vec<Type<'m>> {
        let result = llvm!(c::LLVMGetReturnType(self.function.signature().raw()));
        let result = Type::from_raw(result);
        match result.kind() {
            LLVMTypeKind::LLVMVoidTypeKind => Vec::new(),
            LLVMTypeKind::LLVMStructTypeKind => (0..result.field_count())
                .map(|index| result.field(index))
                .collect(),
            _ => vec![result],
        }
    }
}

/// The lane loop of a region under construction.
struct LaneLoop<'a, 'c, 'm> {
    machine: &'a Machine<'a, 'c, 'm>,
    number: usize,
    way: Way,
    frame: Frame<'m>,
    lane: Value<'m>,
    /// What stands for values from outside.
    inside: HashMap<Value<'m>, Value<'m>>,
    /// Places that are written, and whether lanes that write nothing keep what they had.
    written: Vec<(Place<'m>, bool)>,
    /// Values that wait until all leave.
    taken: Vec<Taken<'m>>,
    /// None if the loop stays scalar.
    claim: Option<Parallel<'m>>,
}

impl<'a, 'c, 'm> LaneLoop<'a, 'c, 'm> {
    /// Builds what comes before the region's own blocks.
    fn begin(machine: &'a Machine<'a, 'c, 'm>, number: usize, way: Way) -> Self {
        let plan = machine.plan;
        let frame = machine.frames[number];
        let needs = &plan.crossings.needs[number];
        let vectorised = plan.obstacles[number].is_none();
        let claim = vectorised.then(|| Parallel::new(machine.site.module));
        let mut one = LaneLoop {
            machine,
            number,
            way,
            frame,
            lane: machine.types.i64.zero(),
            inside: machine.outside.clone(),
            written: Vec::new(),
            taken: Vec::new(),
            claim,
        };
        one.taken = one.values_taken();
        one.written = one.places_written();
        let before = Builder::at_end(frame.before);
        one.share(&before);
        if !vectorised {
            for place in one.places_used() {
                let all = machine.load_all(&before, place);
                before.store(all, place.shadow).set_alignment(ALIGNMENT);
            }
        }
        before.branch(frame.lane);

        let at = Builder::at_end(frame.lane);
        one.lane = at.phi(machine.types.i64);
        one.lane
            .add_incoming(machine.types.i64.zero(), frame.before);
        for id in &needs.ids {
            let name = id.called_function().map(Function::name).unwrap_or_default();
            if let Some((_, first)) = machine.first.iter().find(|(known, _)| *known == name) {
                one.inside.insert(*id, at.add(*first, one.lane));
            }
        }
        for alloca in &needs.addresses {
            let memory = machine.memories[alloca];
            one.inside
                .insert(*alloca, at.element(alloca.allocated(), memory, one.lane));
        }
        let next = one.load(&at, machine.next);
        for &slot in needs
            .reads
            .iter()
            .filter(|slot| !plan.crossings.slots[**slot].shared)
        {
            let place = machine.slots[slot];
            let value = one.load(&at, place);
            one.inside.insert(plan.crossings.slots[slot].value, value);
        }
        for (value, copy) in &machine.copies[number] {
            at.insert(*copy);
            one.substitute(*copy);
            one.inside.insert(*value, *copy);
        }
        for (place, keep) in &one.written {
            let old = if *keep {
                one.load_stored(&at, *place)
            } else {
                place.storage.poison()
            };
            at.store(old, place.local);
        }
        let here = at.compare(LLVMIntEQ, next, machine.number(number));
        let head = plan.split.blocks.block(plan.split.regions[number].head());
        at.branch_if(here, head, frame.latch);
        one
    }

    /// What lanes share, before the loop: slots are read, values computed, slots written.
    fn share(&mut self, before: &Builder<'m>) {
        let machine = self.machine;
        let plan = machine.plan;
        let slots = &plan.crossings.slots;
        let needs = &plan.crossings.needs[self.number];
        for &slot in needs.reads.iter().filter(|slot| slots[**slot].shared) {
            let place = machine.slots[slot];
            self.inside
                .insert(slots[slot].value, before.load(place.ty, place.memory));
        }
        for &block in &plan.split.regions[self.number].blocks {
            let block = plan.split.blocks.block(block);
            let is_head = plan.split.is_head(block);
            for instruction in block.instructions() {
                let moves = plan.sharings.get(instruction) == Sharing::Region
                    && !instruction.is_void()
                    && !(is_head && instruction.is(LLVMOpcode::LLVMPHI));
                if moves {
                    instruction.detach();
                    self.substitute(instruction);
                    before.insert(instruction);
                }
            }
        }
        let given = needs.gives.iter().map(|(value, slot)| (*value, *slot));
        let copied = needs
            .copies
            .iter()
            .flatten()
            .map(|copy| (copy.value, copy.slot));
        let mut stored: Vec<(Value<'m>, usize)> = Vec::new();
        for one in given.chain(copied).filter(|(_, slot)| slots[*slot].shared) {
            if !stored.contains(&one) {
                stored.push(one);
                before.store(self.stand_in(one.0), machine.slots[one.1].memory);
            }
        }
    }

    /// Whether what goes to a target is put there when all leave, and not each turn anew.
    fn waits(&self, target: Target) -> bool {
        matches!(self.way, Way::Together(_)) && target != Target::Region(self.number)
    }

    fn values_taken(&self) -> Vec<Taken<'m>> {
        let machine = self.machine;
        let plan = machine.plan;
        let exits = plan.split.regions[self.number].exits.iter();
        let mut taken = Vec::new();
        for (exit, copies) in exits.zip(&plan.crossings.needs[self.number].copies) {
            if !self.waits(exit.target) {
                continue;
            }
            let slots = copies
                .iter()
                .filter(|copy| !plan.crossings.slots[copy.slot].shared);
            let mut places: Vec<_> = slots.map(|copy| machine.slots[copy.slot]).collect();
            if exit.target == Target::Return {
                places.extend(&machine.results);
            }
            taken.extend(places.into_iter().map(|to| Taken {
                target: exit.target,
                from: machine.place(to.ty, to.storage),
                to,
            }));
        }
        taken
    }

    fn places_written(&self) -> Vec<(Place<'m>, bool)> {
        let machine = self.machine;
        let plan = machine.plan;
        let needs = &plan.crossings.needs[self.number];
        let mut slots: Vec<(usize, bool)> = Vec::new();
        let given = needs.gives.iter().map(|(_, slot)| (*slot, false));
        let exits = plan.split.regions[self.number].exits.iter();
        let direct = exits.clone().zip(&needs.copies);
        let direct = direct.filter(|(exit, _)| !self.waits(exit.target));
        let copied = direct
            .flat_map(|(_, copies)| copies)
            .map(|copy| (copy.slot, copy.keep));
        for (slot, keep) in given.chain(copied) {
            if !plan.crossings.slots[slot].shared && !slots.iter().any(|(other, _)| *other == slot)
            {
                slots.push((slot, keep));
            }
        }
        let mut places: Vec<_> = slots
            .into_iter()
            .map(|(slot, keep)| (machine.slots[slot], keep))
            .collect();
        let returns = |exit: &Exit| exit.target == Target::Return && !self.waits(exit.target);
        if exits.clone().any(returns) {
            places.extend(machine.results.iter().map(|place| (*place, true)));
        }
        places.extend(self.taken.iter().map(|taken| (taken.from, false)));
        if matches!(self.way, Way::Apart) {
            places.push((machine.next, true));
        }
        places
    }

    /// Places that the loop accesses.
    fn places_used(&self) -> Vec<Place<'m>> {
        let machine = self.machine;
        let plan = machine.plan;
        let reads = &plan.crossings.needs[self.number].reads;
        let mut places = vec![machine.next];
        let read = reads
            .iter()
            .filter(|slot| !plan.crossings.slots[**slot].shared);
        places.extend(read.map(|slot| machine.slots[*slot]));
        places.extend(self.written.iter().map(|(place, _)| *place));
        places
    }

    /// The slot of the running lane.
    fn slot(&self, at: &Builder<'m>, place: Place<'m>) -> Value<'m> {
        let memory = if self.claim.is_some() {
            place.memory
        } else {
            place.shadow
        };
        at.element(place.storage, memory, self.lane)
    }

    fn load_stored(&self, at: &Builder<'m>, place: Place<'m>) -> Value<'m> {
        let value = at.load(place.storage, self.slot(at, place));
        self.mark(value);
        value
    }

    fn load(&self, at: &Builder<'m>, place: Place<'m>) -> Value<'m> {
        let value = self.load_stored(at, place);
        if place.ty == place.storage {
            value
        } else {
            at.resize(value, place.ty)
        }
    }

    fn mark(&self, access: Value<'m>) {
        if let Some(claim) = &self.claim {
            claim.mark(access);
        }
    }

    /// Puts a value of the running lane aside until the lane is done.
    fn keep(&self, at: &Builder<'m>, value: Value<'m>, place: Place<'m>) {
        let value = self.stand_in(value);
        let stored = if place.ty == place.storage {
            value
        } else {
            at.resize(value, place.storage)
        };
        at.store(stored, place.local);
    }

    fn stand_in(&self, value: Value<'m>) -> Value<'m> {
        self.inside.get(&value).copied().unwrap_or(value)
    }

    fn substitute(&self, instruction: Value<'m>) {
        let count = llvm!(c::LLVMGetNumOperands(instruction.raw())).max(0) as u32;
        for index in 0..count {
            if let Some(other) = self.inside.get(&instruction.operand(index)) {
                instruction.set_operand(index, *other);
            }
        }
    }

    /// The region's own instructions, now that they are in place.
    fn body(&self) {
        let plan = self.machine.plan;
        for &block in &plan.split.regions[self.number].blocks {
            let block = plan.split.blocks.block(block);
            let is_head = plan.split.is_head(block);
            for instruction in block.instructions() {
                if is_head && instruction.is(LLVMOpcode::LLVMPHI) {
                    continue;
                }
                self.substitute(instruction);
                if instruction.touches_memory() {
                    self.mark(instruction);
                }
            }
        }
        for (value, slot) in &plan.crossings.needs[self.number].gives {
            if !plan.crossings.slots[*slot].shared {
                let mut behind = value.next();
                while let Some(next) = behind.filter(|next| next.is(LLVMOpcode::LLVMPHI)) {
                    behind = next.next();
                }
                if let Some(behind) = behind {
                    self.keep(&Builder::before(behind), *value, self.machine.slots[*slot]);
                }
            }
        }
    }

    /// Leads the ways out of the region to the loop's latch.
    fn exits(&self) {
        let machine = self.machine;
        let split = &machine.plan.split;
        let exits = &split.regions[self.number].exits;
        let copies = &machine.plan.crossings.needs[self.number].copies;
        match self.way {
            Way::Together(from) => {
                let terminator = split.blocks.block(from).terminator();
                let at = Builder::before(terminator);
                for (exit, copies) in exits.iter().zip(copies) {
                    self.write(&at, exit, copies);
                }
                at.branch(self.frame.latch);
                terminator.detach();
                let after = Builder::at_end(self.frame.after);
                if terminator.successors_differ() {
                    after.insert(terminator);
                    for exit in exits {
                        if let Some(index) = exit.successor {
                            let to = machine.together_to(self.number, exit.target, &self.taken);
                            terminator.set_successor(index, to);
                        }
                    }
                } else {
                    let to = machine.together_to(self.number, exits[0].target, &self.taken);
                    after.branch(to);
                    terminator.delete_detached();
                }
            }
            Way::Apart => {
                for (exit, copies) in exits.iter().zip(copies) {
                    let terminator = split.blocks.block(exit.from).terminator();
                    let leave = machine.site.function.append_block("leave");
                    let at = Builder::at_end(leave);
                    self.write(&at, exit, copies);
                    let next = match exit.target {
                        Target::Region(to) => machine.number(to),
                        Target::Return => machine.done(),
                    };
                    at.store(next, machine.next.local);
                    at.branch(self.frame.latch);
                    match exit.successor {
                        Some(index) => terminator.set_successor(index, leave),
                        None => {
                            Builder::before(terminator).branch(leave);
                            terminator.erase();
                        }
                    }
                }
            }
        }
    }

    /// What a way out puts into slots.
    fn write(&self, at: &Builder<'m>, exit: &Exit, copies: &[Copy<'m>]) {
        let machine = self.machine;
        let slots = &machine.plan.crossings.slots;
        let own = copies.iter().filter(|copy| !slots[copy.slot].shared);
        let mut values: Vec<_> = own.clone().map(|copy| copy.value).collect();
        let mut places: Vec<_> = own.map(|copy| machine.slots[copy.slot]).collect();
        // Refused when the function was planned, if it can't be told.
        values.extend(returned(&machine.plan.split, exit).unwrap_or_default());
        if exit.target == Target::Return {
            places.extend(&machine.results);
        }
        if self.waits(exit.target) {
            let own = self
                .taken
                .iter()
                .filter(|taken| taken.target == exit.target);
            places = own.map(|taken| taken.from).collect();
        }
        for (value, place) in values.into_iter().zip(places) {
            self.keep(at, value, place);
        }
    }

    /// Builds what comes behind the region's own blocks.
    fn finish(self) {
        let machine = self.machine;
        let types = &machine.types;
        let at = Builder::at_end(self.frame.latch);
        for (place, _) in &self.written {
            let value = at.load(place.storage, place.local);
            let store = at.store(value, self.slot(&at, *place));
            self.mark(store);
        }
        let next = at.add(self.lane, types.i64.constant(1));
        self.lane.add_incoming(next, self.frame.latch);
        let more = at.compare(LLVMIntULT, next, types.i64.constant(machine.lanes));
        let done = machine.site.function.append_block("lanes.done");
        let latch = at.branch_if(more, self.frame.lane, done);
        match &self.claim {
            Some(claim) => claim.finish_lanes(latch, machine.lanes),
            None => loops::keep_rolled(machine.site.module, latch),
        }
        let at = Builder::at_end(done);
        if self.claim.is_none() {
            for (place, _) in &self.written {
                let all = at.load(place.storage.vector(machine.lanes), place.shadow);
                all.set_alignment(ALIGNMENT);
                machine.store_all(&at, *place, all);
            }
        }
        at.branch(self.frame.after);
    }
}
