//! The loop that computes several terms at once.

use std::collections::HashMap;

use inkwell::module::Module;
use inkwell::targets::TargetMachine;
use llvm_sys::{LLVMIntPredicate, LLVMOpcode};

use super::super::fetches::PAGE;
use super::super::regions::type_size;
use super::{Elements, LANES, Step, Sum, is_silent};
use crate::ir::{self, Block, Builder, Types, Value};

impl<'m> Sum<'m> {
    /// Adds the loop before this one.
    pub(super) fn build(&self, module: &'m Module<'_>, machine: &TargetMachine) {
        let types = &Types::of(module);
        let header = self.way[0].block;
        let function = header.function();
        let [begin, turn, alone] =
            ["terms.begin", "terms.turn", "terms.alone"].map(|name| function.append_block(name));
        let mut last = self.before;
        for block in [begin, turn, alone] {
            block.move_after(last);
            last = block;
        }
        let entry = self.before.terminator();
        for (index, block) in self.before.successors().into_iter().enumerate() {
            if block == header {
                entry.set_successor(index as u32, begin);
            }
        }

        // What is left to the loop as it was, and from where.
        let rest = Builder::at_end(alone);
        let (rest_counter, rest_sum) = (rest.phi(types.i64), rest.phi(self.sum.ty()));
        rest.branch(header);
        let leave = |from: Block<'m>, counter, sum| {
            rest_counter.add_incoming(counter, from);
            rest_sum.add_incoming(sum, from);
        };
        let at = Builder::at_end(begin);
        let any = at.compare(LLVMIntPredicate::LLVMIntULT, self.first, self.end);
        at.branch_if(any, turn, alone);
        leave(begin, self.first, self.start);

        let at = Builder::at_end(turn);
        let (counter, sum) = (at.phi(types.i64), at.phi(self.sum.ty()));
        counter.add_incoming(self.first, begin);
        sum.add_incoming(self.start, begin);
        let left = at.sub(self.end, counter);
        let numbers: Vec<_> = (0..LANES).map(|lane| types.i64.constant(lane)).collect();
        let numbers = Value::vector(&numbers);
        let active = at.compare(LLVMIntPredicate::LLVMIntULT, numbers, at.splat(left, LANES));
        let mut lanes = Lanes {
            module,
            machine,
            types,
            sum: self,
            at,
            counter,
            active,
            same: HashMap::from([(self.counter, counter)]),
            each: HashMap::new(),
        };
        let turns = lanes.at.splat(counter, LANES);
        let turns = lanes.at.binary(LLVMOpcode::LLVMAdd, turns, numbers);
        lanes.each.insert(self.counter, turns);
        let mut go_on = |lanes: &mut Lanes<'_, 'm, '_>, out: Value<'m>| {
            let next = function.append_block("terms.on");
            next.move_after(lanes.at.block());
            leave(lanes.at.block(), counter, sum);
            lanes.at.branch_if(out, alone, next);
            lanes.at = Builder::at_end(next);
        };
        if let Some(ends) = self.page_ends(&lanes.at, types, counter, machine) {
            go_on(&mut lanes, ends);
        }
        for Step { block, leaves } in &self.way {
            for instruction in block.instructions() {
                lanes.instruction(instruction, &mut go_on);
            }
            if let Some((test, outcome)) = leaves {
                let out = lanes.any(*test, *outcome);
                go_on(&mut lanes, out);
            }
        }

        // A sum stays what it is if -0 is added to it.
        let term = self
            .added
            .operands()
            .into_iter()
            .find(|value| *value != self.sum);
        let term = lanes.each(term.unwrap_or(self.sum));
        let at = &lanes.at;
        let nothing = at.splat(at.negate_float(self.sum.ty().zero()), LANES);
        let terms = at.select(active, term, nothing);
        let add = ir::intrinsic(module, "llvm.vector.reduce.fadd", &[terms.ty()]);
        let added = at.call(add, &[sum, terms]);
        let next = at.add(counter, types.i64.constant(LANES));
        let over = at.compare(LLVMIntPredicate::LLVMIntUGE, next, self.end);
        at.branch_if(over, self.behind, turn);
        counter.add_incoming(next, at.block());
        sum.add_incoming(added, at.block());
        let latch = self.way[self.way.len() - 1].block;
        for phi in self.behind.phis() {
            let incoming = phi.incoming();
            let value = incoming.iter().find(|(_, from)| *from == latch);
            let value = value.map_or(added, |(value, _)| *value);
            let value = if value == self.added { added } else { value };
            phi.add_incoming(value, at.block());
        }
        enter_from(self.counter, self.before, rest_counter, alone);
        enter_from(self.sum, self.before, rest_sum, alone);
    }

    /// Whether a page ends between what the first and the last lane read early, if they do: within one, all can be read if
    /// any can.
    fn page_ends(
        &self,
        at: &Builder<'m>,
        types: &Types<'m>,
        counter: Value<'m>,
        machine: &TargetMachine,
    ) -> Option<Value<'m>> {
        let affine = self.affine();
        let loads = self.way.iter().flat_map(|step| step.block.instructions());
        let early = loads.filter(|load| {
            load.is(LLVMOpcode::LLVMLoad)
                && matches!(
                    self.elements(*load, &affine, machine),
                    Some(Elements::InRow { early: true })
                )
        });
        let ends = early.map(|load| {
            let address = affine.repeat(load.operand(0), at, counter);
            let place = at.cast(LLVMOpcode::LLVMPtrToInt, address, types.i64);
            let in_page = types.i64.constant(PAGE - 1);
            let place = at.binary(LLVMOpcode::LLVMAnd, place, in_page);
            let last = types
                .i64
                .constant(PAGE - LANES * type_size(machine, load.ty()));
            at.compare(LLVMIntPredicate::LLVMIntUGT, place, last)
        });
        ends.reduce(|one, other| at.binary(LLVMOpcode::LLVMOr, one, other))
    }
}

/// Has a header's phi get its first value from another block than before.
fn enter_from<'m>(phi: Value<'m>, before: Block<'m>, value: Value<'m>, from: Block<'m>) {
    let fresh = Builder::before(phi).phi(phi.ty());
    for (old, block) in phi.incoming() {
        if block == before {
            fresh.add_incoming(value, from);
        } else {
            fresh.add_incoming(if old == phi { fresh } else { old }, block);
        }
    }
    phi.replace_all_uses_with(fresh);
    phi.erase();
}

/// Code of several turns in the making.
struct Lanes<'a, 'm, 'c> {
    module: &'m Module<'c>,
    machine: &'a TargetMachine,
    types: &'a Types<'m>,
    sum: &'a Sum<'m>,
    at: Builder<'m>,
    /// The first lane's turn.
    counter: Value<'m>,
    /// Which lanes have a turn.
    active: Value<'m>,
    /// What the first lane has.
    same: HashMap<Value<'m>, Value<'m>>,
    /// What each lane has, where they differ.
    each: HashMap<Value<'m>, Value<'m>>,
}

impl<'m> Lanes<'_, 'm, '_> {
    /// A value as a vector.
    fn each(&mut self, value: Value<'m>) -> Value<'m> {
        if let Some(known) = self.each.get(&value) {
            return *known;
        }
        let same = self.same.get(&value).copied().unwrap_or(value);
        self.at.splat(same, LANES)
    }

    /// Whether a condition has an outcome for any lane that has a turn.
    fn any(&mut self, condition: Value<'m>, outcome: bool) -> Value<'m> {
        let mut each = self.each(condition);
        if !outcome {
            let ones = self.at.splat(self.types.i1.constant(1), LANES);
            each = self.at.binary(LLVMOpcode::LLVMXor, each, ones);
        }
        self.any_of(each)
    }

    fn any_of(&self, each: Value<'m>) -> Value<'m> {
        let each = self.at.select(self.active, each, each.ty().zero());
        let or = ir::intrinsic(self.module, "llvm.vector.reduce.or", &[each.ty()]);
        self.at.call(or, &[each])
    }

    /// Does what a turn does, for all.
    fn instruction(
        &mut self,
        instruction: Value<'m>,
        go_on: &mut impl FnMut(&mut Self, Value<'m>),
    ) {
        use LLVMOpcode::*;
        let Some(opcode) = instruction.opcode() else {
            return;
        };
        let skipped = matches!(opcode, LLVMPHI | LLVMBr)
            || opcode == LLVMCall && is_silent(instruction)
            || instruction == self.sum.added;
        if skipped {
            return;
        }
        let operands = instruction.operands();
        let differ = operands
            .iter()
            .any(|operand| self.each.contains_key(operand));
        if !differ {
            let copy = instruction.clone_speculatable();
            self.at.insert(copy);
            for (index, operand) in operands.into_iter().enumerate() {
                let operand = self.same.get(&operand).copied().unwrap_or(operand);
                copy.set_operand(index as u32, operand);
            }
            self.same.insert(instruction, copy);
            return;
        }
        let vector = instruction.ty().vector(LANES);
        let value = match opcode {
            LLVMLoad => self.load(instruction, go_on),
            LLVMGetElementPtr => {
                let (base, index) = (self.each(operands[0]), self.each(operands[1]));
                self.at.address(instruction.element_type(), base, &[index])
            }
            LLVMICmp => {
                let (a, b) = (self.each(operands[0]), self.each(operands[1]));
                let how = instruction.predicate();
                self.at
                    .compare(how.unwrap_or(LLVMIntPredicate::LLVMIntEQ), a, b)
            }
            LLVMSelect => {
                let [test, yes, no] = [0, 1, 2].map(|index| self.each(operands[index]));
                self.at.select(test, yes, no)
            }
            LLVMZExt | LLVMSExt | LLVMTrunc | LLVMFPExt | LLVMFPTrunc | LLVMSIToFP | LLVMUIToFP => {
                let from = self.each(operands[0]);
                self.at.cast(opcode, from, vector)
            }
            _ => {
                let (a, b) = (self.each(operands[0]), self.each(operands[1]));
                self.at.binary(opcode, a, b)
            }
        };
        value.take_float_rules(instruction);
        self.each.insert(instruction, value);
    }

    fn load(&mut self, load: Value<'m>, go_on: &mut impl FnMut(&mut Self, Value<'m>)) -> Value<'m> {
        let affine = self.sum.affine();
        let vector = load.ty().vector(LANES);
        let address = load.operand(0);
        let nothing = vector.zero();
        if let Some(Elements::InRow { .. }) = self.sum.elements(load, &affine, self.machine) {
            let first = affine.repeat(address, &self.at, self.counter);
            let masked = ir::intrinsic(self.module, "llvm.masked.load", &[vector, self.types.ptr]);
            return self.at.call(masked, &[first, self.active, nothing]);
        }
        let addresses = match self.narrow(address) {
            Some((base, index, element)) => {
                let types = self.types;
                let zero = self.at.splat(types.i32.zero(), LANES);
                let large = self.at.compare(LLVMIntPredicate::LLVMIntSLT, index, zero);
                let large = self.any_of(large);
                go_on(self, large);
                let index = self
                    .at
                    .cast(LLVMOpcode::LLVMSExt, index, types.i64.vector(LANES));
                self.at.address(element, base, &[index])
            }
            None => self.each(address),
        };
        let gather = ir::intrinsic(self.module, "llvm.masked.gather", &[vector, addresses.ty()]);
        self.at.call(gather, &[addresses, self.active, nothing])
    }

    /// Base, index and element of an address that lanes have by an index of 32 bits in one array: lanes find
    /// elements twice as fast by these, if they count as signed.
    fn narrow(&mut self, address: Value<'m>) -> Option<(Value<'m>, Value<'m>, ir::Type<'m>)> {
        let by_index = address.is_instruction() && address.is(LLVMOpcode::LLVMGetElementPtr);
        let (base, index) = by_index.then(|| (address.operand(0), address.operand(1)))?;
        let wide = index.is_instruction()
            && index.is(LLVMOpcode::LLVMZExt)
            && index.operand(0).ty() == self.types.i32
            && !self.each.contains_key(&base)
            && self.each.contains_key(&index);
        wide.then(|| {
            let base = self.same.get(&base).copied().unwrap_or(base);
            (base, self.each(index.operand(0)), address.element_type())
        })
    }
}
