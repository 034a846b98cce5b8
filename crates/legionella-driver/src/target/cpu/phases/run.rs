//! The loop over groups, and within it the phases in their order.
//!
//! ```text
//! for each group:
//!     phase 0: for each row of items, for each strip of it: regions, or items one by one
//!     uniform values that items gave are taken over
//!     by the outcome: the next phase, or the next group
//! ```
//!
//! Where items may come out of a phase differently, it is checked that they don't; else the group ends
//! with the device library's message of a barrier that can't be met.

use inkwell::module::Module;
use legionella_abi::{cpu, intrinsic};
use llvm_sys::LLVMIntPredicate::{LLVMIntEQ, LLVMIntNE, LLVMIntUGT};
use llvm_sys::{LLVMLinkage, LLVMOpcode};

use super::super::items::{self, Ids, Loops, STRIP, Slots};
use super::super::loops::{self, Counter, Parallel};
use super::super::regions::Site;
use super::cut::{Operation, Outcome};
use super::frame::{Frame, Order, word};
use super::step::Kind;
use super::{Part, Phases, internal, set_linkage};
use crate::error::Error;
use crate::ir::{self, Block, Builder, Function, Types, Value};

/// Alignment of all memory of a group.
const ALIGN: u64 = intrinsic::DYNAMIC_SHARED_ALIGN as u64;

/// Elements of an array come in multiples of this, so that each array begins at a vector's boundary.
const PADDING: u64 = 64;

/// Most items of a group; for more there is no memory anyway.
const MOST_ITEMS: u64 = 1 << 32;

/// What longer rows of a group count as, so that the items can be counted at all.
const MOST_IN_A_ROW: u64 = 1 << 40;

/// Builds the code's entry.
pub(super) fn build(module: &Module<'_>, phases: Phases<'_>) -> Result<(), Error> {
    let Phases {
        parts,
        frame,
        shared_size,
        operations,
        places,
    } = phases;
    let loops = Loops::new(module);
    set_linkage(places, LLVMLinkage::LLVMPrivateLinkage);
    let run = Run::begin(module, &loops, &frame, shared_size)?;
    run.groups(parts, &operations, places)
}

/// The function under construction.
struct Run<'a, 'c, 'm> {
    module: &'m Module<'c>,
    loops: &'a Loops<'m>,
    frame: &'a Frame<'m>,
    /// What follows is computed at the beginning.
    start: Builder<'m>,
    context: Value<'m>,
    grid: [Value<'m>; 3],
    group_size: [Value<'m>; 3],
    groups: [Value<'m>; 3],
    /// Elements of an array by linear ids.
    linear_len: Value<'m>,
}

/// Where a group lies.
#[derive(Clone, Copy)]
struct Place<'m> {
    group: [Value<'m>; 3],
    base: [Value<'m>; 3],
    count: [Value<'m>; 3],
    items: Value<'m>,
}

impl<'a, 'c, 'm> Run<'a, 'c, 'm> {
    /// Builds what comes before the loop over groups: sizes, memory.
    fn begin(
        module: &'m Module<'c>,
        loops: &'a Loops<'m>,
        frame: &'a Frame<'m>,
        shared_size: u64,
    ) -> Result<Self, Error> {
        let Loops { types, function } = loops;
        let launch = function.parameters()[1];
        let at = Builder::at_end(function.append_block("start"));
        let word = |index: u64| {
            at.load(
                types.i64,
                at.element(types.i64, launch, types.i64.constant(index)),
            )
        };
        let grid = [word(0), word(1), word(2)];
        let group_size = [word(3), word(4), word(5)];
        let groups = [word(6), word(7), word(8)];
        let dynamic = word(9);
        let context = at.alloca(types.i8.array(frame.context_size), PADDING as u32);

        let number = |value| types.i64.constant(value);
        let up = |value: Value<'m>, to: u64| {
            let sum = at.add(value, number(to - 1));
            at.binary(LLVMOpcode::LLVMAnd, sum, number(to.wrapping_neg()))
        };
        let count = [0, 1, 2].map(|d| at.minimum(group_size[d], grid[d]));
        // The launch checked that the items of a grid can be counted. Those of a whole group, up to
        // the last that there is, may be too many for that.
        let rank_len = up(at.mul(count[0], at.mul(count[1], count[2])), PADDING);
        let wide = |value| {
            at.resize(
                at.minimum(value, number(MOST_IN_A_ROW)),
                types.i8.integer(128),
            )
        };
        let [width, height] = [0, 1].map(|d| wide(group_size[d]));
        let last = [0, 1, 2].map(|d| wide(at.sub(count[d], number(1))));
        let row = at.add(at.mul(last[2], height), last[1]);
        let linear = at.add(at.mul(row, width), last[0]);
        let too_many = at.compare(LLVMIntUGT, linear, linear.ty().constant(MOST_ITEMS));
        let linear_len = up(at.add(at.resize(linear, types.i64), number(1)), PADDING);
        let mut end = number(shared_size.next_multiple_of(ALIGN));
        let dynamic_offset = end;
        end = at.add(end, up(dynamic, ALIGN));
        let mut offsets = Vec::new();
        for (slot, array) in frame.arrays() {
            end = up(end, ALIGN);
            offsets.push((slot, end));
            let len = match array.order {
                Order::Rank => rank_len,
                Order::Linear => linear_len,
            };
            end = at.add(end, at.mul(len, number(array.size)));
        }
        let size = at.select(too_many, number(u64::MAX), end);
        let scratch = ir::declare(module, intrinsic::CPU_SCRATCH, types.ptr, &[types.i64; 2]);
        let memory = at.call(scratch, &[size, number(ALIGN)]);
        let byte = |offset| at.element(types.i8, memory, offset);
        let keep = |word: u64, value: Value<'m>| {
            at.store(value, frame.word(&at, context, word));
        };
        keep(word::SHARED, memory);
        keep(word::DYNAMIC_SHARED, byte(dynamic_offset));
        for (slot, offset) in offsets {
            keep(word::SLOTS + slot as u64, byte(offset));
        }
        for d in 0..3 {
            keep(word::GRID + d, grid[d as usize]);
            keep(word::GROUP_SIZE + d, group_size[d as usize]);
        }
        let [none, there] = ["no_memory", "memory"].map(|name| function.append_block(name));
        let missing = at.compare(LLVMIntEQ, memory, types.ptr.zero());
        at.branch_if(missing, none, there);
        let fails = Builder::at_end(none);
        fails.call(
            found(module, intrinsic::ALLOC_ERROR)?,
            &[number(ALIGN), size],
        );
        fails.unreachable();
        Ok(Run {
            module,
            loops,
            frame,
            start: Builder::at_end(there),
            context,
            grid,
            group_size,
            groups,
            linear_len,
        })
    }

    fn types(&self) -> &Types<'m> {
        &self.loops.types
    }

    fn number(&self, value: u64) -> Value<'m> {
        self.types().i64.constant(value)
    }

    fn block(&self, name: &str) -> Block<'m> {
        self.loops.function.append_block(name)
    }

    /// Builds the loop over groups, which ends the function.
    fn groups(
        self,
        parts: Vec<Part<'m>>,
        operations: &[Operation],
        places: Value<'m>,
    ) -> Result<(), Error> {
        let parameters = self.loops.function.parameters();
        let [first, end] = [parameters[2], parameters[3]];
        let all = Counter::begin(self.loops.function, &self.start, first, end, self.number(1));
        let place = self.enter(&all.body, all.index);
        let done = self.block("group.done");
        let begins: Vec<_> = parts
            .iter()
            .enumerate()
            .map(|(number, _)| self.block(&format!("phase{number}")))
            .collect();
        // Where one goes for an outcome: operations of subgroups are carried out on the way.
        let ways: Vec<_> = std::iter::once(done)
            .chain(
                (operations.iter().zip(&begins[1..]))
                    .map(|(operation, begin)| self.way(*operation, *begin)),
            )
            .collect();
        all.body.branch(begins[0]);
        let mut cold = Vec::new();
        for (part, begin) in parts.into_iter().zip(begins) {
            let outcomes: Vec<_> = part.outcome.outcomes.iter().copied().collect();
            let places = part.outcome.parts.then_some(places);
            let gives = part.uses.gives.clone();
            let at = self.items(part, Builder::at_end(begin), &place, &mut cold);
            for slot in gives {
                self.frame.take_over(&at, self.context, slot);
            }
            self.come_out(at, &outcomes, places, &ways, &place)?;
        }
        let (behind, latch) = all.finish_from(Builder::at_end(done));
        loops::keep_rolled(self.module, latch);
        behind.ret(None);
        for cold in cold {
            items::bind_told_ids(cold);
        }
        self.forget_ids()
    }

    /// What is known of a group when it begins.
    fn enter(&self, at: &Builder<'m>, index: Value<'m>) -> Place<'m> {
        let divide = |a, b| at.binary(LLVMOpcode::LLVMUDiv, a, b);
        let rows = divide(index, self.groups[0]);
        let planes = divide(rows, self.groups[1]);
        let group = [
            at.sub(index, at.mul(rows, self.groups[0])),
            at.sub(rows, at.mul(planes, self.groups[1])),
            planes,
        ];
        let base = [0, 1, 2].map(|d| at.mul(group[d], self.group_size[d]));
        let count =
            [0, 1, 2].map(|d| at.minimum(self.group_size[d], at.sub(self.grid[d], base[d])));
        for d in 0..3 {
            let keep = |first: u64, value| {
                at.store(value, self.frame.word(at, self.context, first + d as u64));
            };
            keep(word::COUNT, count[d]);
            keep(word::GROUP, group[d]);
        }
        // Lanes that don't exist give zero to operations of subgroups.
        if let Some(slot) = self.frame.only(Kind::Operand) {
            let types = self.types();
            let set = ir::intrinsic(self.module, "llvm.memset", &[types.ptr, types.i64]);
            let array = self.frame.array(at, self.context, slot);
            let bytes = at.mul(self.linear_len, self.number(4));
            at.call(set, &[array, types.i8.zero(), bytes, types.i1.zero()]);
        }
        let items = at.mul(count[0], at.mul(count[1], count[2]));
        Place {
            group,
            base,
            count,
            items,
        }
    }

    /// Has all items of a group run a phase; gives the place behind.
    fn items(
        &self,
        part: Part<'m>,
        before: Builder<'m>,
        place: &Place<'m>,
        cold: &mut Vec<Function<'m>>,
    ) -> Builder<'m> {
        let function = self.loops.function;
        let parameters = function.parameters();
        let progress = parameters[4];
        let arguments = [parameters[0], self.context];
        let (zero, one) = (self.number(0), self.number(1));
        let slots = part
            .shape
            .deferred()
            .map(|deferred| Slots::new(self.loops, deferred));
        cold.extend(slots.as_ref().map(|slots| slots.cold));

        let planes = Counter::begin(function, &before, zero, place.count[2], one);
        let z = planes.body.add(place.base[2], planes.index);
        let rows = Counter::begin(function, &planes.body, zero, place.count[1], one);
        let y = rows.body.add(place.base[1], rows.index);
        self.loops.note(&rows.body, progress, 1, y);
        self.loops.note(&rows.body, progress, 2, z);
        // Only what is looked at behind each strip needs strips.
        let strips = (slots.is_some() && part.plan.is_err()).then(|| {
            Counter::begin(
                function,
                &rows.body,
                zero,
                place.count[0],
                self.number(STRIP),
            )
        });
        let (first, len, at) = match &strips {
            Some(strips) => {
                let at = Builder::at_end(strips.body.block());
                let left = at.sub(place.count[0], strips.index);
                (strips.index, at.minimum(left, self.number(STRIP)), at)
            }
            None => (zero, place.count[0], Builder::at_end(rows.body.block())),
        };
        let ids = Ids {
            global: [at.add(place.base[0], first), y, z],
            local: [first, rows.index, planes.index],
            group: place.group,
            grid: self.grid,
            group_size: self.group_size,
        };
        let note = |at: &Builder<'m>, lane| {
            let ids = ids.at_lane(at, lane);
            self.loops.note(at, progress, 0, ids.global[0]);
            ids
        };
        let mut after = match part.plan {
            Ok(plan) => {
                let told = |at: Builder<'m>, first, count| match &slots {
                    Some(slots) => {
                        let note = |at: &Builder<'m>, lane| note(at, at.add(first, lane));
                        self.loops
                            .panic_first(self.module, at, slots, &arguments, count, note)
                    }
                    None => at,
                };
                let site = Site {
                    module: self.module,
                    function,
                    arguments: &arguments,
                    ids: &ids,
                    len,
                    results: slots.as_ref().map_or_else(Vec::new, Slots::arrays),
                    told: &told,
                };
                plan.build(site, at)
            }
            Err(_) => {
                let slots = slots.as_ref();
                let after = self.one_by_one(part.shape.body(), &arguments, slots, &ids, len, at);
                match slots {
                    Some(slots) => {
                        self.loops
                            .look(self.module, after, slots, &arguments, len, note)
                    }
                    None => after,
                }
            }
        };
        for one in strips.into_iter().chain([rows, planes]) {
            let (behind, latch) = one.finish_from(after);
            loops::keep_rolled(self.module, latch);
            after = behind;
        }
        after
    }

    /// Has the items of a strip run a phase one after the other.
    fn one_by_one(
        &self,
        item: Function<'m>,
        arguments: &[Value<'m>],
        slots: Option<&Slots<'m>>,
        ids: &Ids<'m>,
        len: Value<'m>,
        at: Builder<'m>,
    ) -> Builder<'m> {
        self.frame.bind_ids(item);
        let function = self.loops.function;
        let lanes = Counter::begin(function, &at, self.number(0), len, self.number(1));
        let ids = ids.at_lane(&lanes.body, lanes.index);
        let progress = function.parameters()[4];
        self.loops.note(&lanes.body, progress, 0, ids.global[0]);
        for (d, id) in ids.local.into_iter().enumerate() {
            let word = self
                .frame
                .word(&lanes.body, self.context, word::LOCAL + d as u64);
            lanes.body.store(id, word);
        }
        let result = self.loops.call_item(&lanes.body, item, arguments);
        if let Some(slots) = slots {
            slots.keep(&lanes.body, result, lanes.index, None);
        }
        let (behind, latch) = lanes.finish();
        loops::keep_rolled(self.module, latch);
        behind
    }

    /// Goes on by the outcome of a phase. `places` are those where items wait, if some may differ in
    /// that.
    fn come_out(
        &self,
        at: Builder<'m>,
        outcomes: &[Outcome],
        places: Option<Value<'m>>,
        ways: &[Block<'m>],
        place: &Place<'m>,
    ) -> Result<(), Error> {
        let i32 = self.types().i32;
        let slot = self.frame.only(Kind::Outcome);
        let (Some(slot), [one, others @ ..]) = (slot, outcomes) else {
            // Every item panics.
            at.branch(ways[0]);
            return Ok(());
        };
        if others.is_empty() {
            at.branch(ways[*one]);
            return Ok(());
        }
        let array = self.frame.array(&at, self.context, slot);
        let first = at.load(i32, array);
        let at = match places {
            Some(places) => self.check(at, array, first, places, place)?,
            None => at,
        };
        let cases: Vec<_> = others
            .iter()
            .map(|outcome| (i32.constant(*outcome as u64), ways[*outcome]))
            .collect();
        at.switch(first, ways[*one], &cases);
        Ok(())
    }

    /// Ends the group unless all items come out as the first; gives the place behind.
    fn check(
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

    /// Where one goes to begin a phase.
    fn way(&self, operation: Operation, begin: Block<'m>) -> Block<'m> {
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

    /// Every id was bound where it was asked for.
    fn forget_ids(&self) -> Result<(), Error> {
        for name in crate::lower::IDS.into_iter().chain(super::GIVEN) {
            let Some(function) = ir::function(self.module, name) else {
                continue;
            };
            if let Some(call) = function.value().users().first() {
                let user = call.block().function().name();
                return Err(internal(format!("{user} asks for {name} out of line")));
            }
            function.delete();
        }
        Ok(())
    }
}

fn found<'m>(module: &'m Module<'_>, name: &str) -> Result<Function<'m>, Error> {
    ir::function(module, name).ok_or_else(|| internal(format!("the function {name} is gone")))
}
