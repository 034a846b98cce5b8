//! The loop over the lanes of one region.

use std::collections::HashMap;

use llvm_sys::LLVMIntPredicate::{LLVMIntEQ, LLVMIntULT};
use llvm_sys::LLVMOpcode;
use llvm_sys::core as c;

use super::super::super::loops::{self, Parallel};
use super::super::crossings::{Copy, returned};
use super::super::sharing::Sharing;
use super::super::split::{Exit, Target};
use super::{ALIGNMENT, Frame, Machine, Place, Taken, Way};
use crate::ir::{Builder, Function, Value, llvm};

/// The lane loop of a region under construction.
pub(super) struct LaneLoop<'a, 'c, 'm> {
    machine: &'a Machine<'a, 'c, 'm>,
    number: usize,
    way: Way,
    frame: Frame<'m>,
    lane: Value<'m>,
    /// Zero for a lane that is at the region, which LLVM can't know before the loop is vectors.
    nothing: Value<'m>,
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
    pub(super) fn begin(machine: &'a Machine<'a, 'c, 'm>, number: usize, way: Way) -> Self {
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
            nothing: machine.types.i32.zero(),
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
        one.nothing = at.binary(LLVMOpcode::LLVMXor, next, machine.number(number));
        let here = at.compare(LLVMIntEQ, next, machine.number(number));
        let head = plan.split.blocks.block(plan.split.regions[number].head());
        at.branch_if(here, head, frame.latch);
        one
    }

    /// What lanes share, before the loop: slots are read, values computed, slots written.
    pub(super) fn share(&mut self, before: &Builder<'m>) {
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
    pub(super) fn waits(&self, target: Target) -> bool {
        matches!(self.way, Way::Together(_)) && target != Target::Region(self.number)
    }

    pub(super) fn values_taken(&self) -> Vec<Taken<'m>> {
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

    pub(super) fn places_written(&self) -> Vec<(Place<'m>, bool)> {
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
    pub(super) fn places_used(&self) -> Vec<Place<'m>> {
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
    pub(super) fn slot(&self, at: &Builder<'m>, place: Place<'m>) -> Value<'m> {
        let memory = if self.claim.is_some() {
            place.memory
        } else {
            place.shadow
        };
        at.element(place.storage, memory, self.lane)
    }

    pub(super) fn load_stored(&self, at: &Builder<'m>, place: Place<'m>) -> Value<'m> {
        let value = at.load(place.storage, self.slot(at, place));
        self.mark(value);
        value
    }

    pub(super) fn load(&self, at: &Builder<'m>, place: Place<'m>) -> Value<'m> {
        let value = self.load_stored(at, place);
        if place.ty == place.storage {
            value
        } else {
            at.resize(value, place.ty)
        }
    }

    pub(super) fn mark(&self, access: Value<'m>) {
        if let Some(claim) = &self.claim {
            claim.mark(access);
        }
    }

    /// Puts a value of the running lane aside until the lane is done.
    pub(super) fn keep(&self, at: &Builder<'m>, value: Value<'m>, place: Place<'m>) {
        let value = self.stand_in(value);
        let stored = if place.ty == place.storage {
            value
        } else {
            at.resize(value, place.storage)
        };
        at.store(stored, place.local);
    }

    pub(super) fn stand_in(&self, value: Value<'m>) -> Value<'m> {
        self.inside.get(&value).copied().unwrap_or(value)
    }

    pub(super) fn substitute(&self, instruction: Value<'m>) {
        let count = llvm!(c::LLVMGetNumOperands(instruction.raw())).max(0) as u32;
        for index in 0..count {
            if let Some(other) = self.inside.get(&instruction.operand(index)) {
                instruction.set_operand(index, *other);
            }
        }
    }

    /// The region's own instructions, now that they are in place.
    pub(super) fn body(&self) {
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
                if divides(instruction) {
                    self.make_own(instruction);
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

    /// Has a division be each lane's own. LLVM 22's vectoriser finds out that lanes have an operand in
    /// common which is cut off an id that begins at a multiple of the lanes, and then computes the
    /// division for the first lane alone, under that lane's mask: where it isn't at the division, the
    /// others take over an undefined value.
    fn make_own(&self, division: Value<'m>) {
        let at = Builder::before(division);
        let dividend = division.operand(0);
        let nothing = at.resize(self.nothing, dividend.ty());
        division.set_operand(0, at.binary(LLVMOpcode::LLVMXor, dividend, nothing));
    }

    /// Leads the ways out of the region to the loop's latch.
    pub(super) fn exits(&self) {
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
    pub(super) fn write(&self, at: &Builder<'m>, exit: &Exit, copies: &[Copy<'m>]) {
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
    pub(super) fn finish(self) {
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

/// Whether an instruction divides numbers by what isn't constant.
fn divides(instruction: Value<'_>) -> bool {
    use LLVMOpcode::{LLVMSDiv, LLVMSRem, LLVMUDiv, LLVMURem};
    let opcode = instruction.opcode();
    matches!(opcode, Some(LLVMUDiv | LLVMURem | LLVMSDiv | LLVMSRem))
        && !instruction.operand(1).is_constant()
        && instruction.ty().integer_width() > 0
}
