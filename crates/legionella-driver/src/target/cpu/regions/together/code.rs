//! Writing the code down: regions, blocks, and where lanes come apart.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

use llvm_sys::LLVMIntPredicate::{LLVMIntULE, LLVMIntULT};
use llvm_sys::LLVMOpcode;
use llvm_sys::core as c;

use super::super::super::items::Ids;
use super::super::build::{ALIGNMENT, Machine, Place};
use super::super::crossings::{at_start, incoming};
use super::super::forms::{Form, is_sum};
use super::super::growth::Growth;
use super::super::rows::{Beginning, Parked, PerRow, Rows};
use super::super::sharing::is_lane_id;
use super::super::split::{Split, Target};
use super::{Leaves, MOSTLY, Together, is_silent, leaves};
use crate::ir::flow::Dominators;
use crate::ir::{Block, Builder, Function, Types, Value, llvm};
use crate::target::uniform::computable;

/// Values grow by less than this from one row to the next, and from the first lane to the last, where
/// it is made use of that they do: by less than all numbers there are from the first of all to the last.
pub(super) const GROWTH_BOUND: u64 = 1 << 59;

/// Rows side by side.
pub(in super::super) struct Beside<'b, 'm> {
    pub(in super::super) rows: &'b Rows<'m>,
    /// What they have when they come apart.
    pub(in super::super) parked: &'b Parked<'m>,
    pub(in super::super) begin: Beginning<'m>,
}

/// The code under construction.
pub(super) struct Writer<'a, 'b, 'c, 'm> {
    pub(super) machine: &'b Machine<'a, 'c, 'm>,
    pub(super) together: &'b Together<'m>,
    dominators: Dominators,
    pub(super) types: Types<'m>,
    pub(super) lanes: u64,
    /// What differs from row to row, where rows go side by side, and where they are when they don't.
    side: Option<Beside<'b, 'm>>,
    /// How much values grow from row to row, computed where the code begins.
    steps: RefCell<Vec<(Growth<'m>, Value<'m>)>>,
    /// By region, whether there is code of it.
    plain: &'b [bool],
    /// Ids of the first lane, by intrinsic's name.
    ids: [(&'static str, Value<'m>); 2],
    /// The first lane's value of what is the same for all, or grows.
    pub(super) first: PerRow<'m>,
    /// The vector of what is neither.
    pub(super) all: PerRow<'m>,
    /// By block of the function, where its code begins.
    begins: HashMap<usize, Block<'m>>,
    /// By region, where lanes go that come apart in it.
    parted: HashMap<usize, Block<'m>>,
    /// The strip's end.
    over: Block<'m>,
}

/// Builds the code; gives where it begins. It leads to the regions, where lanes come apart, or to
/// `over`.
pub(in super::super) fn build<'m>(
    machine: &Machine<'_, '_, 'm>,
    together: &Together<'m>,
    over: Block<'m>,
) -> Block<'m> {
    let mut writer = Writer {
        machine,
        together,
        dominators: Dominators::of(machine.plan.split.blocks.flow()),
        types: Types::of(machine.site.module),
        lanes: machine.lanes,
        side: None,
        steps: RefCell::default(),
        plain: &together.plain,
        ids: machine.first,
        first: PerRow::default(),
        all: PerRow::default(),
        begins: HashMap::new(),
        parted: HashMap::new(),
        over,
    };
    writer.write()
}

/// Builds the code of rows side by side, which leaves what they have when they come apart.
/// `row_values` are those that were computed once a row, operands first.
pub(in super::super) fn build_side<'m>(
    machine: &Machine<'_, '_, 'm>,
    together: &Together<'m>,
    beside: Beside<'_, 'm>,
    row_values: &[Value<'m>],
) {
    let begin = beside.begin;
    let mut writer = Writer {
        machine,
        together,
        dominators: Dominators::of(machine.plan.split.blocks.flow()),
        types: Types::of(machine.site.module),
        lanes: machine.lanes,
        side: Some(beside),
        steps: RefCell::default(),
        plain: &together.side,
        ids: machine.first.map(|(name, _)| {
            let ids = begin.ids.of(name).map(|ids| ids[0]);
            (name, ids.unwrap_or(machine.site.len))
        }),
        first: PerRow::default(),
        all: PerRow::default(),
        begins: HashMap::new(),
        parted: HashMap::new(),
        over: begin.over,
    };
    let at = Builder::at_end(begin.block);
    writer.number_rows(&at, &begin.ids);
    let mut conditions = Vec::new();
    for value in row_values {
        let copies = writer.copies(&at, *value, writer.all_rows());
        conditions.extend(writer.grows(&at, *value, Form::Same, &copies));
        writer.first.insert(*value, copies);
    }
    let first = writer.write();
    conditions.extend(writer.small_steps(&at));
    let fine = (conditions.into_iter()).reduce(|a, b| at.binary(LLVMOpcode::LLVMAnd, a, b));
    match fine {
        Some(fine) => {
            let apart = writer.parted(0);
            at.branch_if(fine, first, apart).set_weights(MOSTLY);
        }
        None => {
            at.branch(first);
        }
    }
}

impl<'m> Writer<'_, '_, '_, 'm> {
    fn write(&mut self) -> Block<'m> {
        let machine = self.machine;
        let split = &machine.plan.split;
        let mut reached = BTreeSet::from([0]);
        let mut ahead = vec![0];
        while let Some(region) = ahead.pop() {
            if self.plain[region] {
                for exit in &split.regions[region].exits {
                    if let Target::Region(to) = exit.target
                        && reached.insert(to)
                    {
                        ahead.push(to);
                    }
                }
            }
        }
        for &region in &reached {
            self.begin(region);
        }
        for &region in &reached {
            self.region(region);
        }
        self.begins[&split.regions[0].head()]
    }

    /// Says what stands for the ids of each row.
    fn number_rows(&mut self, at: &Builder<'m>, first: &Ids<'m>) {
        let of_site = self.machine.site.ids;
        for (of_site, of_side) in [(of_site.global, first.global), (of_site.local, first.local)] {
            let rows = self
                .all_rows()
                .map(|row| at.add(of_side[1], self.types.i64.constant(row)));
            self.first.insert(of_site[1], rows.collect());
            self.first.insert(of_site[2], vec![of_side[2]]);
        }
    }

    pub(super) fn form(&self, value: Value<'m>) -> Form {
        self.together.forms.get(value)
    }

    /// The rows that have a value of their own, or one for all.
    pub(super) fn rows(&self, value: Value<'m>) -> std::ops::Range<u64> {
        let vary = (self.side.as_ref()).is_some_and(|side| side.rows.vary(value));
        if vary { self.all_rows() } else { 0..1 }
    }

    /// The rows that have a phi of their own.
    fn rows_of_phi(&self, phi: Value<'m>) -> std::ops::Range<u64> {
        let grows = self.growth(phi).is_some();
        if grows { 0..1 } else { self.rows(phi) }
    }

    /// How much a value has more in each row than in the one before, if that is the same for all.
    fn growth(&self, value: Value<'m>) -> Option<Value<'m>> {
        let side = self.side.as_ref()?;
        let growth = side.rows.growths.get(value)?;
        Some(self.step(&Builder::at_end(side.begin.block), growth))
    }

    fn step(&self, at: &Builder<'m>, growth: &Growth<'m>) -> Value<'m> {
        let known = |(of, _): &&(Growth<'m>, Value<'m>)| of == growth;
        if let Some((_, step)) = self.steps.borrow().iter().find(known) {
            return *step;
        }
        let number = |value| self.types.i64.constant(value);
        let step = match growth {
            Growth::One => number(1),
            Growth::Scaled(of, by) => at.mul(self.step(at, of), number(*by)),
            Growth::Cut(of, by) => at.binary(LLVMOpcode::LLVMLShr, self.step(at, of), number(*by)),
            Growth::Times(of, by) => {
                let by = self.machine.outside.get(by).copied().unwrap_or(*by);
                at.mul(self.step(at, of), by)
            }
        };
        self.steps.borrow_mut().push((growth.clone(), step));
        step
    }

    /// Whether everything grows by less than is made use of, if anything grows.
    fn small_steps(&self, at: &Builder<'m>) -> Option<Value<'m>> {
        let steps = self.steps.borrow();
        let steps = steps.iter().map(|(_, step)| *step);
        // As it is a power of two, no number is as large if all of them together have no such bit.
        let all = steps.reduce(|a, b| at.binary(LLVMOpcode::LLVMOr, a, b))?;
        Some(at.compare(LLVMIntULT, all, self.types.i64.constant(GROWTH_BOUND)))
    }

    /// How much the last row has more than the first.
    pub(super) fn last_row(&self, at: &Builder<'m>, value: Value<'m>) -> Option<Value<'m>> {
        let step = self.growth(value)?;
        Some(at.mul(step, self.types.i64.constant(self.all_rows().end - 1)))
    }

    /// The first lane's values of an instruction, in some rows.
    fn copies(
        &self,
        at: &Builder<'m>,
        value: Value<'m>,
        rows: std::ops::Range<u64>,
    ) -> Vec<Value<'m>> {
        let Some(step) = self.growth(value).filter(|_| rows.end > 1) else {
            return rows.map(|row| self.copy(at, value, row)).collect();
        };
        self.rows_from(at, self.copy(at, value, 0), step)
    }

    /// What all rows have of a value that grows, by what the first has.
    fn rows_from(&self, at: &Builder<'m>, first: Value<'m>, step: Value<'m>) -> Vec<Value<'m>> {
        let mut all = vec![first];
        for row in self.all_rows().skip(1) {
            // Machines add one or two steps to an address where they make use of it.
            let by = if row % 3 == 0 { 3 } else { row % 3 };
            let from = all[(row - by) as usize];
            let by = at.mul(step, self.types.i64.constant(by));
            all.push(match from.ty().integer_width() {
                0 => at.address(self.types.i8, from, &[by]),
                // It may wrap.
                _ => at.binary(LLVMOpcode::LLVMAdd, from, by),
            });
        }
        all
    }

    /// All rows side by side.
    pub(super) fn all_rows(&self) -> std::ops::Range<u64> {
        0..self.side.as_ref().map_or(1, |side| side.begin.count)
    }

    fn split(&self) -> &Split<'m> {
        &self.machine.plan.split
    }

    /// Makes the blocks of a region, with phis.
    fn begin(&mut self, region: usize) {
        let machine = self.machine;
        let split = &machine.plan.split;
        let blocks = &split.regions[region].blocks;
        let count = if self.plain[region] { blocks.len() } else { 1 };
        for &number in &blocks[..count] {
            let name = format!("region{region}.together");
            let begin = machine.site.function.append_block(&name);
            let at = Builder::at_end(begin);
            for phi in split.blocks.block(number).phis() {
                let (all, ty) = match self.form(phi) {
                    Form::Each => (true, phi.ty().vector(self.lanes)),
                    _ => (false, phi.ty()),
                };
                let phis = self.rows_of_phi(phi).map(|_| at.phi(ty)).collect();
                let map = if all { &mut self.all } else { &mut self.first };
                map.insert(phi, phis);
            }
            for phi in split.blocks.block(number).phis() {
                if let Some(step) = self.growth(phi) {
                    let all = self.rows_from(&at, self.scalar(phi, 0), step);
                    self.first.insert(phi, all);
                }
            }
            self.begins.insert(number, begin);
        }
    }

    fn region(&mut self, number: usize) {
        let machine = self.machine;
        let split = &machine.plan.split;
        let region = &split.regions[number];
        if !self.plain[number] {
            let at = Builder::at_end(self.begins[&region.head()]);
            self.part(&at, number);
            return;
        }
        for &block in &region.blocks {
            let mut at = Builder::at_end(self.begins[&block]);
            let mut put_off = Vec::new();
            for value in split.blocks.block(block).instructions() {
                if value.is(LLVMOpcode::LLVMPHI) {
                    continue;
                }
                if self.is_row_by_row(value) {
                    put_off.push(value);
                    continue;
                }
                let terminator = split.blocks.block(block).terminator();
                let needs = |one: &Value<'m>| put_off.contains(one);
                if value == terminator || value.operands().iter().any(needs) {
                    self.row_by_row(&at, &mut put_off);
                }
                if value == terminator {
                    self.terminator(&at, number, block, value);
                } else {
                    at = self.instruction(at, number, value);
                }
            }
        }
    }

    /// Whether an instruction is arithmetic of each row's own, which can wait until it is asked for what
    /// it gives.
    fn is_row_by_row(&self, value: Value<'m>) -> bool {
        let known = self.machine.outside.contains_key(&value);
        let is_own = self.form(value) == Form::Each && self.rows(value).end > 1;
        is_own && !known && computable(value)
    }

    /// The code of what was put off: all of one row, then all of the next, so that what is only an
    /// operand of the next instruction isn't there of all rows at once.
    fn row_by_row(&mut self, at: &Builder<'m>, put_off: &mut Vec<Value<'m>>) {
        for row in self.all_rows() {
            for &value in put_off.iter() {
                let is = self.each(at, value, row);
                self.all.push(value, is);
            }
        }
        put_off.clear();
    }

    /// Goes on only if a condition holds; else lanes part.
    fn demand(&mut self, at: Builder<'m>, region: usize, condition: Value<'m>) -> Builder<'m> {
        let parted = self.parted(region);
        let on = self.machine.site.function.append_block("together.on");
        at.branch_if(condition, on, parted).set_weights(MOSTLY);
        Builder::at_end(on)
    }

    /// Where lanes go that part in a region.
    fn parted(&mut self, region: usize) -> Block<'m> {
        if let Some(known) = self.parted.get(&region) {
            return *known;
        }
        let block = self.machine.site.function.append_block("parted");
        self.part(&Builder::at_end(block), region);
        self.parted.insert(region, block);
        block
    }

    /// Has all lanes begin a region apart.
    fn part(&self, at: &Builder<'m>, region: usize) {
        let machine = self.machine;
        let split = self.split();
        let head = split.regions[region].head();
        let slots = machine.plan.crossings.slots.iter().zip(&machine.slots);
        for (number, (slot, place)) in slots.enumerate() {
            let value = slot.value;
            let block = split.blocks.number(value.block());
            let known = if block == head {
                value.is(LLVMOpcode::LLVMPHI)
            } else {
                self.dominators.dominates(block, head)
            };
            if !known {
                continue;
            }
            // Computed here, so that nobody else has to who doesn't ask for each row's.
            let rows = self.growth(value).filter(|_| self.all_rows().end > 1);
            let rows = rows.map(|step| self.rows_from(at, self.scalar(value, 0), step));
            let first = |row: u64| match &rows {
                Some(rows) => rows[row as usize],
                None => self.scalar(value, row),
            };
            if slot.shared {
                self.park(at, number, value, |row| {
                    self.lane_from(at, value, 0, row, first(row))
                });
            } else {
                self.park(at, number, value, |row| {
                    self.kept(at, self.vector_from(at, value, row, first(row)), *place)
                });
            }
        }
        match &self.side {
            Some(side) => {
                side.parked.set_region(at, machine.number(region));
                at.branch(side.begin.apart);
            }
            None => {
                machine.begin_at(at, machine.number(region));
            }
        }
    }

    /// Keeps a slot's value where the regions find it, or that of each row.
    fn park(
        &self,
        at: &Builder<'m>,
        slot: usize,
        value: Value<'m>,
        of_row: impl Fn(u64) -> Value<'m>,
    ) {
        for row in self.all_rows() {
            let is = of_row(if self.rows(value).end > 1 { row } else { 0 });
            let to = match &self.side {
                Some(side) => side.parked.slot(at, slot, self.types.i64.constant(row)),
                None => self.machine.slots[slot].memory,
            };
            let store = at.store(is, to);
            if !self.machine.plan.crossings.slots[slot].shared {
                store.set_alignment(if self.side.is_some() { 1 } else { ALIGNMENT });
            }
        }
    }

    /// All lanes' values as a slot has them.
    fn kept(&self, at: &Builder<'m>, all: Value<'m>, place: Place<'m>) -> Value<'m> {
        if place.ty == place.storage {
            return all;
        }
        at.cast(LLVMOpcode::LLVMZExt, all, place.storage.vector(self.lanes))
    }

    /// The code of an instruction; gives the place behind it.
    fn instruction(&mut self, at: Builder<'m>, region: usize, value: Value<'m>) -> Builder<'m> {
        use LLVMOpcode::*;
        let machine = self.machine;
        if is_silent(value) {
            return at;
        }
        if let Some(known) = machine.outside.get(&value) {
            let rows = self.rows(value).map(|row| self.scalar(*known, row));
            let rows = rows.collect();
            self.first.insert(value, rows);
            return at;
        }
        if is_lane_id(value) {
            let name = value
                .called_function()
                .map(Function::name)
                .unwrap_or_default();
            if let Some((_, first)) = self.ids.iter().find(|(known, _)| *known == name) {
                self.first.insert(value, vec![*first]);
            }
            return at;
        }
        match (value.opcode(), self.form(value)) {
            (Some(LLVMAlloca), _) => {
                self.first.insert(value, vec![machine.memories[&value]]);
            }
            (Some(LLVMStore), _) => self.store(&at, value),
            (_, Form::Each) => {
                let all = self.rows(value).map(|row| self.each(&at, value, row));
                let all = all.collect();
                self.all.insert(value, all);
            }
            (_, form) => {
                let copies = self.copies(&at, value, self.rows(value));
                self.first.insert(value, copies.clone());
                if let Some(condition) = self.grows(&at, value, form, &copies) {
                    return self.demand(at, region, condition);
                }
            }
        }
        at
    }

    /// Whether a value grows as it is taken to, where that isn't certain.
    fn grows(
        &self,
        at: &Builder<'m>,
        value: Value<'m>,
        form: Form,
        copies: &[Value<'m>],
    ) -> Option<Value<'m>> {
        if (self.side.as_ref()).is_some_and(|side| side.rows.growths.may_wrap(value)) {
            let of = value.operand(0);
            let most = at.sub(self.types.i64.constant(u64::MAX), self.last_row(at, of)?);
            return Some(at.compare(LLVMIntULE, self.scalar(of, 0), most));
        }
        let Form::Step(step) = form else {
            return None;
        };
        if !is_sum(value) {
            return None;
        }
        // Nobody's sum saturates, so that they grow.
        let most = u64::MAX >> (64 - value.ty().integer_width());
        let span = self.together.forms.span(step);
        let most = value.ty().constant(most.wrapping_sub(span));
        if let Some(further) = self.last_row(at, value) {
            return Some(at.compare(LLVMIntULE, copies[0], at.sub(most, further)));
        }
        let grow = copies.iter().map(|one| at.compare(LLVMIntULE, *one, most));
        grow.reduce(|a, b| at.binary(LLVMOpcode::LLVMAnd, a, b))
    }

    /// The first lane's value of an instruction.
    fn copy(&self, at: &Builder<'m>, value: Value<'m>, row: u64) -> Value<'m> {
        let copy = value.duplicate();
        for index in 0..llvm!(c::LLVMGetNumOperands(value.raw())).max(0) as u32 {
            let operand = value.operand(index);
            if let Some(first) = self.first.get(operand, row) {
                copy.set_operand(index, first);
            } else if self.form(operand) == Form::Each {
                copy.set_operand(index, self.lane(at, operand, 0, row));
            }
        }
        at.insert(copy);
        copy
    }

    /// The way out of a block by one of its successors; `None` if items panic there.
    fn way(&mut self, region: usize, block: usize, successor: Option<u32>) -> Option<Block<'m>> {
        let machine = self.machine;
        let split = &machine.plan.split;
        let exits = &split.regions[region].exits;
        let exit = (exits.iter()).find(|exit| exit.from == block && exit.successor == successor);
        let to = match exit.map(|exit| leaves(split, exit)) {
            Some(Some(Leaves::To(region))) => split.regions[region].head(),
            Some(Some(Leaves::End)) => return Some(self.over),
            Some(_) => return None,
            None => {
                let successors = split.blocks.block(block).successors();
                split.blocks.number(successors[successor? as usize])
            }
        };
        let way = machine.site.function.append_block("together.way");
        let at = Builder::at_end(way);
        for phi in split.blocks.block(to).phis() {
            let value = match exit {
                Some(exit) => at_start(split, exit, phi),
                None => incoming(phi, split.blocks.block(block)),
            };
            for row in self.rows_of_phi(phi) {
                let (is, known) = if self.form(phi) == Form::Each {
                    (self.vector(&at, value, row), self.all.get(phi, row))
                } else {
                    (self.lane(&at, value, 0, row), self.first.get(phi, row))
                };
                if let Some(known) = known {
                    known.add_incoming(is, way);
                }
            }
        }
        at.branch(self.begins[&to]);
        Some(way)
    }

    fn terminator(&mut self, at: &Builder<'m>, region: usize, block: usize, terminator: Value<'m>) {
        let count = terminator.successors().len() as u32;
        if count == 0 {
            let way = self.way(region, block, None);
            let to = way.unwrap_or_else(|| self.parted(region));
            at.branch(to);
            return;
        }
        let ways: Vec<_> = (0..count)
            .map(|index| self.way(region, block, Some(index)))
            .collect();
        if !terminator.successors_differ() {
            let to = ways[0].unwrap_or_else(|| self.parted(region));
            at.branch(to);
            return;
        }
        let test = terminator.operand(0);
        if self.form(test) == Form::Same && self.rows(test).end == 1 {
            let parted = ways
                .iter()
                .any(Option::is_none)
                .then(|| self.parted(region));
            let copy = terminator.duplicate();
            copy.set_operand(0, self.scalar(test, 0));
            at.insert(copy);
            match ways[..] {
                [Some(_), None] => copy.set_weights(MOSTLY),
                [None, Some(_)] => copy.set_weights([MOSTLY[1], MOSTLY[0]]),
                _ => {}
            }
            for (index, way) in ways.into_iter().enumerate() {
                if let Some(to) = way.or(parted) {
                    copy.set_successor(index as u32, to);
                }
            }
            return;
        }
        let [all, none] = self.decide(at, test);
        let parted = self.parted(region);
        match (ways[0], ways[1]) {
            (Some(yes), Some(no)) => {
                let or = self.machine.site.function.append_block("together.or");
                at.branch_if(all, yes, or);
                let branch = Builder::at_end(or).branch_if(none, no, parted);
                branch.set_weights(MOSTLY);
            }
            (Some(yes), None) => {
                at.branch_if(all, yes, parted).set_weights(MOSTLY);
            }
            (None, Some(no)) => {
                at.branch_if(none, no, parted).set_weights(MOSTLY);
            }
            (None, None) => {
                at.branch(parted);
            }
        }
    }
}
