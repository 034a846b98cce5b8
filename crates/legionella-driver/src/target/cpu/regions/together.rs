//! The code of lanes that stay together: for a vector of items that are all there, as long as all
//! go the same way and none panics.
//!
//! ```text
//! if all lanes are there: region 0 together
//! region r together:
//!     what is the same for all, once; the rest as vectors, without masks
//!     all go the same way? to the next region together, or to the strip's end
//!     else: slots and next[lane] = r; region r, apart
//! ```
//!
//! This is vector code as it is built, so that no loop has to be made into it. A test that lanes may
//! answer differently is asked of all: of an index that grows with the lane, by its first and last
//! value. Where some would go one way and some another, or one would panic, all go back to where the
//! region began, which nobody may notice: a region that has written something by then is none of
//! these, and so [`prepare`] begins regions behind what writes. From there on the lanes are apart,
//! with masks, until the strip's end.

use std::collections::{BTreeSet, HashMap};

use llvm_sys::LLVMIntPredicate::*;
use llvm_sys::core as c;
use llvm_sys::{LLVMIntPredicate, LLVMOpcode, LLVMTypeKind};

use super::build::{Machine, Place};
use super::crossings::{at_start, incoming, returned};
use super::forms::{Form, Forms, is_called, is_sum};
use super::sharing::{is_lane_id, may_write};
use super::split::{Exit, Split, Target};
use super::vectors::{is_vectorised, storage};
use crate::ir::flow::Dominators;
use crate::ir::{self, Block, Builder, Function, Type, Types, Value, llvm};
use crate::target::uniform::computable;

/// Marks stores of what only the group's first item is asked for.
pub(in super::super) const FIRST_MATTERS: &str = "legionella.first";

/// Most instructions of a function that is there twice.
const MOST_INSTRUCTIONS: usize = 1200;

/// How often lanes stay together where they may part, and how often not: that is an estimate, by which
/// LLVM lays out code and computes what only lanes apart need with them.
pub(super) const MOSTLY: [u32; 2] = [256, 1];

/// Longest condition that is taken apart.
const DEEPEST: u32 = 6;

/// What lanes that stay together can run.
pub(super) struct Together<'m> {
    pub(super) forms: Forms<'m>,
    /// By region, whether there is code of it for them.
    plain: Vec<bool>,
}

/// Whether lanes may part at an instruction.
fn may_part<'m>(value: Value<'m>, forms: &Forms<'m>) -> bool {
    value.successors_differ() && forms.get(value.operand(0)) != Form::Same
        || is_sum(value) && forms.get(value) != Form::Same
}

/// Begins blocks where lanes may part behind something that writes; gives those that are to be heads
/// of regions.
pub(super) fn prepare<'m>(
    function: Function<'m>,
    lanes: u64,
    size: impl Fn(Type<'m>) -> u64,
) -> BTreeSet<Block<'m>> {
    let Some(blocks) = ir::flow::Blocks::of(function) else {
        return BTreeSet::new();
    };
    let flow = blocks.flow();
    let Ok(loops) = ir::flow::Loops::of(flow, &Dominators::of(flow)) else {
        return BTreeSet::new();
    };
    let order: Vec<_> = loops
        .order()
        .iter()
        .map(|number| blocks.block(*number))
        .collect();
    let forms = Forms::of(&order, lanes, &size);
    let mut points = Vec::new();
    // Whether something was written since the last head, at the end of each block.
    let mut written = HashMap::new();
    for &number in loops.order() {
        let from = flow.predecessors(number).iter();
        let begins_loop = loops.all().any(|one| loops.header(one) == number);
        let mut dirty = !begins_loop
            && (from.copied()).any(|from| written.get(&from).copied().unwrap_or_default());
        for value in blocks.block(number).instructions() {
            if dirty && may_part(value, &forms) {
                points.push(value);
                dirty = false;
            }
            dirty |= may_write(value);
        }
        written.insert(number, dirty);
    }
    let begin = |point: Value<'m>| {
        if point.block().instructions()[0] != point {
            point.block().split_before(point);
        }
        point.block()
    };
    points.into_iter().map(begin).collect()
}

impl<'m> Together<'m> {
    /// Of a function in regions; `None` if no code is worth it.
    pub(super) fn of(
        split: &Split<'m>,
        lanes: u64,
        size: impl Fn(Type<'m>) -> u64,
    ) -> Option<Self> {
        let blocks: Vec<_> = (split.loops.order().iter())
            .map(|number| split.blocks.block(*number))
            .collect();
        let count: usize = blocks.iter().map(|block| block.instructions().len()).sum();
        if count > MOST_INSTRUCTIONS {
            return None;
        }
        let forms = Forms::of(&blocks, lanes, size);
        let plain: Vec<_> = (0..split.regions.len())
            .map(|region| is_plain(split, region, &forms))
            .collect();
        plain[0].then_some(Together { forms, plain })
    }

    /// How many regions there is code of.
    pub(super) fn count(&self) -> usize {
        self.plain.iter().filter(|plain| **plain).count()
    }
}

/// Whether there is code of a region for lanes that stay together.
fn is_plain<'m>(split: &Split<'m>, number: usize, forms: &Forms<'m>) -> bool {
    let region = &split.regions[number];
    if region
        .exits
        .iter()
        .any(|exit| leaves(split, exit).is_none())
    {
        return false;
    }
    let mut written: HashMap<usize, bool> = HashMap::new();
    for &block in &region.blocks {
        let from = split.blocks.flow().predecessors(block).iter();
        let mut dirty = block != region.head()
            && (from.copied()).any(|from| written.get(&from).copied().unwrap_or_default());
        for value in split.blocks.block(block).instructions() {
            if dirty && may_part(value, forms) || !is_supported(value, forms) {
                return false;
            }
            dirty |= may_write(value);
        }
        written.insert(block, dirty);
    }
    true
}

/// Where a way out of a region leads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leaves {
    To(usize),
    /// The item has ended.
    End,
    Panics,
}

fn leaves<'m>(split: &Split<'m>, exit: &Exit) -> Option<Leaves> {
    if let Target::Region(to) = exit.target {
        return Some(Leaves::To(to));
    }
    match returned(split, exit).ok()?.first() {
        None => Some(Leaves::End),
        Some(place) => match place.constant_integer()? {
            0 => Some(Leaves::End),
            _ => Some(Leaves::Panics),
        },
    }
}

/// What has no meaning in code.
fn is_silent(value: Value<'_>) -> bool {
    let called = value.called_function().map(Function::name);
    called.is_some_and(|name| {
        [
            "llvm.assume",
            "llvm.experimental.noalias.scope.decl",
            "llvm.lifetime.",
        ]
        .iter()
        .any(|silent| name.starts_with(silent))
    })
}

fn is_supported<'m>(value: Value<'m>, forms: &Forms<'m>) -> bool {
    use LLVMOpcode::*;
    let form = forms.get(value);
    let fits = |ty: Type<'m>| storage(ty).is_some();
    match value.opcode() {
        Some(LLVMBr | LLVMRet) => true,
        Some(LLVMSwitch) => forms.get(value.operand(0)) == Form::Same,
        Some(LLVMStore) => !value.is_ordered() && fits(value.operand(0).ty()),
        Some(LLVMLoad) => !value.is_ordered() && (form == Form::Same || fits(value.ty())),
        Some(LLVMCall) if is_silent(value) || is_lane_id(value) => true,
        Some(LLVMCall) if is_sum(value) && form != Form::Each => true,
        Some(LLVMCall) if form == Form::Each => {
            let name = value
                .called_function()
                .map(Function::name)
                .unwrap_or_default();
            let plain = value.operands().into_iter().rev().skip(1);
            name.starts_with("llvm.")
                && is_vectorised(&name)
                && fits(value.ty())
                && plain.into_iter().all(|operand| fits(operand.ty()))
        }
        Some(LLVMPHI) => form == Form::Same || fits(value.ty()),
        Some(LLVMAlloca) => true,
        Some(LLVMUDiv | LLVMURem | LLVMSDiv | LLVMSRem | LLVMFRem) if form != Form::Each => true,
        _ if !computable(value) && !value.is(LLVMFRem) && !is_division(value) => false,
        Some(LLVMExtractValue | LLVMInsertValue) => form == Form::Same,
        _ if form == Form::Each => fits(value.ty()),
        _ => true,
    }
}

fn is_division(value: Value<'_>) -> bool {
    use LLVMOpcode::*;
    matches!(
        value.opcode(),
        Some(LLVMUDiv | LLVMURem | LLVMSDiv | LLVMSRem)
    )
}

/// The code under construction.
struct Writer<'a, 'b, 'c, 'm> {
    machine: &'b Machine<'a, 'c, 'm>,
    together: &'b Together<'m>,
    dominators: Dominators,
    types: Types<'m>,
    lanes: u64,
    /// The first lane's value of what is the same for all, or grows.
    first: HashMap<Value<'m>, Value<'m>>,
    /// The vector of what is neither.
    all: HashMap<Value<'m>, Value<'m>>,
    /// By block of the function, where its code begins.
    begins: HashMap<usize, Block<'m>>,
    /// By region, where lanes go that come apart in it.
    parted: HashMap<usize, Block<'m>>,
    /// The strip's end.
    over: Block<'m>,
}

/// Builds the code; gives where it begins. It leads to the regions, where lanes come apart, or to
/// `over`.
pub(super) fn build<'m>(
    machine: &Machine<'_, '_, 'm>,
    together: &Together<'m>,
    over: Block<'m>,
) -> Block<'m> {
    let split = &machine.plan.split;
    let mut writer = Writer {
        machine,
        together,
        dominators: Dominators::of(split.blocks.flow()),
        types: Types::of(machine.site.module),
        lanes: machine.lanes,
        first: HashMap::new(),
        all: HashMap::new(),
        begins: HashMap::new(),
        parted: HashMap::new(),
        over,
    };
    let mut reached = BTreeSet::from([0]);
    let mut ahead = vec![0];
    while let Some(region) = ahead.pop() {
        if together.plain[region] {
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
        writer.begin(region);
    }
    for &region in &reached {
        writer.region(region);
    }
    writer.begins[&split.regions[0].head()]
}

impl<'m> Writer<'_, '_, '_, 'm> {
    fn form(&self, value: Value<'m>) -> Form {
        self.together.forms.get(value)
    }

    fn split(&self) -> &Split<'m> {
        &self.machine.plan.split
    }

    /// Makes the blocks of a region, with phis.
    fn begin(&mut self, region: usize) {
        let machine = self.machine;
        let split = &machine.plan.split;
        let blocks = &split.regions[region].blocks;
        let count = if self.together.plain[region] {
            blocks.len()
        } else {
            1
        };
        for &number in &blocks[..count] {
            let name = format!("region{region}.together");
            let begin = machine.site.function.append_block(&name);
            let at = Builder::at_end(begin);
            for phi in split.blocks.block(number).phis() {
                if self.form(phi) == Form::Each {
                    self.all.insert(phi, at.phi(phi.ty().vector(self.lanes)));
                } else {
                    self.first.insert(phi, at.phi(phi.ty()));
                }
            }
            self.begins.insert(number, begin);
        }
    }

    fn region(&mut self, number: usize) {
        let machine = self.machine;
        let split = &machine.plan.split;
        let region = &split.regions[number];
        if !self.together.plain[number] {
            let at = Builder::at_end(self.begins[&region.head()]);
            self.part(&at, number);
            return;
        }
        for &block in &region.blocks {
            let mut at = Builder::at_end(self.begins[&block]);
            for value in split.blocks.block(block).instructions() {
                if value.is(LLVMOpcode::LLVMPHI) {
                    continue;
                }
                if value == split.blocks.block(block).terminator() {
                    self.terminator(&at, number, block, value);
                } else {
                    at = self.instruction(at, number, value);
                }
            }
        }
    }

    /// The first lane's value.
    fn scalar(&self, value: Value<'m>) -> Value<'m> {
        self.first.get(&value).copied().unwrap_or(value)
    }

    /// The values of all lanes.
    fn vector(&self, at: &Builder<'m>, value: Value<'m>) -> Value<'m> {
        match self.form(value) {
            Form::Each => self.all[&value],
            Form::Same => at.splat(self.scalar(value), self.lanes),
            Form::Step(step) => {
                let first = self.scalar(value);
                let ty = first.ty();
                let number = if ty.integer_width() > 0 {
                    ty
                } else {
                    self.types.i64
                };
                let steps = (0..self.lanes).map(|lane| number.constant(step.wrapping_mul(lane)));
                let steps = Value::vector(&steps.collect::<Vec<_>>());
                if ty.integer_width() > 0 {
                    let first = at.splat(first, self.lanes);
                    at.binary(LLVMOpcode::LLVMAdd, first, steps)
                } else {
                    at.address(self.types.i8, first, &[steps])
                }
            }
        }
    }

    /// The value of one lane.
    fn lane(&self, at: &Builder<'m>, value: Value<'m>, lane: u64) -> Value<'m> {
        match self.form(value) {
            Form::Each => at.element_of(self.all[&value], self.types.i32.constant(lane)),
            Form::Same => self.scalar(value),
            Form::Step(step) => {
                let first = self.scalar(value);
                let ty = first.ty();
                let by = step.wrapping_mul(lane);
                if ty.integer_width() > 0 {
                    at.binary(LLVMOpcode::LLVMAdd, first, ty.constant(by))
                } else {
                    at.address(self.types.i8, first, &[self.types.i64.constant(by)])
                }
            }
        }
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
        for (slot, place) in machine.plan.crossings.slots.iter().zip(&machine.slots) {
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
            if slot.shared {
                at.store(self.lane(at, value, 0), place.memory);
            } else {
                self.put(at, value, *place);
            }
        }
        let here = at.splat(machine.number(region), self.lanes);
        machine.store_all(at, machine.next, here);
        at.branch(machine.frames[region].before);
    }

    fn put(&self, at: &Builder<'m>, value: Value<'m>, place: Place<'m>) {
        let mut all = self.vector(at, value);
        if place.ty != place.storage {
            let to = place.storage.vector(self.lanes);
            all = at.cast(LLVMOpcode::LLVMZExt, all, to);
        }
        self.machine.store_all(at, place, all);
    }

    /// The code of an instruction; gives the place behind it.
    fn instruction(&mut self, at: Builder<'m>, region: usize, value: Value<'m>) -> Builder<'m> {
        use LLVMOpcode::*;
        let machine = self.machine;
        if is_silent(value) {
            return at;
        }
        if let Some(known) = machine.outside.get(&value) {
            self.first.insert(value, *known);
            return at;
        }
        if is_lane_id(value) {
            let name = value
                .called_function()
                .map(Function::name)
                .unwrap_or_default();
            let first = machine.first.iter().find(|(known, _)| *known == name);
            self.first.extend(first.map(|(_, first)| (value, *first)));
            return at;
        }
        match (value.opcode(), self.form(value)) {
            (Some(LLVMAlloca), _) => {
                self.first.insert(value, machine.memories[&value]);
            }
            (Some(LLVMStore), _) => self.store(&at, value),
            (_, Form::Each) => {
                let all = self.each(&at, value);
                self.all.insert(value, all);
            }
            (_, form) => {
                let copy = value.duplicate();
                for index in 0..llvm!(c::LLVMGetNumOperands(value.raw())).max(0) as u32 {
                    let operand = value.operand(index);
                    if let Some(first) = self.first.get(&operand) {
                        copy.set_operand(index, *first);
                    } else if self.form(operand) == Form::Each {
                        copy.set_operand(index, self.lane(&at, operand, 0));
                    }
                }
                at.insert(copy);
                self.first.insert(value, copy);
                if let Form::Step(step) = form
                    && is_sum(value)
                {
                    // Nobody's sum saturates, so that they grow.
                    let most = u64::MAX >> (64 - value.ty().integer_width());
                    let span = self.together.forms.span(step);
                    let most = value.ty().constant(most.wrapping_sub(span));
                    let grows = at.compare(LLVMIntULE, copy, most);
                    return self.demand(at, region, grows);
                }
            }
        }
        at
    }

    /// The vector of an instruction's results.
    fn each(&self, at: &Builder<'m>, value: Value<'m>) -> Value<'m> {
        use LLVMOpcode::*;
        let all = |index| self.vector(at, value.operand(index));
        let ty = value.ty().vector(self.lanes);
        let result = match value.opcode() {
            Some(LLVMLoad) => return self.load(at, value),
            Some(LLVMCall) => self.call(at, value),
            Some(LLVMICmp) => {
                let predicate = llvm!(c::LLVMGetICmpPredicate(value.raw()));
                at.compare(predicate, all(0), all(1))
            }
            Some(LLVMFCmp) => {
                let predicate = llvm!(c::LLVMGetFCmpPredicate(value.raw()));
                at.compare_floats(predicate, all(0), all(1))
            }
            Some(LLVMSelect) => {
                let test = value.operand(0);
                let test = match self.form(test) {
                    Form::Same => self.scalar(test),
                    _ => self.vector(at, test),
                };
                at.select(test, all(1), all(2))
            }
            Some(LLVMFNeg) => at.negate_float(all(0)),
            Some(LLVMFreeze) => at.freeze(all(0)),
            Some(LLVMGetElementPtr) => {
                let element = llvm!(c::LLVMGetGEPSourceElementType(value.raw()));
                let part = |operand: Value<'m>| match self.form(operand) {
                    Form::Same => self.scalar(operand),
                    _ => self.vector(at, operand),
                };
                let parts: Vec<_> = value.operands().into_iter().map(part).collect();
                at.address(Type::from_raw(element), parts[0], &parts[1..])
            }
            Some(opcode) if value.operands().len() == 1 => at.cast(opcode, all(0), ty),
            Some(opcode) => at.binary(opcode, all(0), all(1)),
            None => ty.poison(),
        };
        result.take_float_rules(value);
        result
    }

    fn call(&self, at: &Builder<'m>, value: Value<'m>) -> Value<'m> {
        let module = self.machine.site.module;
        let name = value
            .called_function()
            .map(Function::name)
            .unwrap_or_default();
        let mut operands = value.operands();
        // The last is the function.
        operands.pop();
        let mut variant = vec![value.ty().vector(self.lanes)];
        if is_called(value, "fptosi.sat") || is_called(value, "fptoui.sat") {
            variant.push(operands[0].ty().vector(self.lanes));
        }
        let has_switch = ["abs", "ctlz", "cttz"]
            .iter()
            .any(|name| is_called(value, name));
        let arguments = operands.iter().enumerate().map(|(index, operand)| {
            if has_switch && index == 1 {
                *operand
            } else {
                self.vector(at, *operand)
            }
        });
        let arguments: Vec<_> = arguments.collect();
        at.call(
            ir::intrinsic(module, base_name(&name), &variant),
            &arguments,
        )
    }

    /// Whether an address is that of neighbouring elements of a type.
    fn is_dense(&self, address: Value<'m>, ty: Type<'m>) -> bool {
        let bytes = match ty.kind() {
            LLVMTypeKind::LLVMIntegerTypeKind => {
                let width = ty.integer_width();
                if width < 8 || !width.is_power_of_two() {
                    return false;
                }
                u64::from(width / 8)
            }
            LLVMTypeKind::LLVMHalfTypeKind => 2,
            LLVMTypeKind::LLVMFloatTypeKind => 4,
            LLVMTypeKind::LLVMDoubleTypeKind | LLVMTypeKind::LLVMPointerTypeKind => 8,
            _ => return false,
        };
        self.form(address) == Form::Step(bytes)
    }

    fn load(&self, at: &Builder<'m>, load: Value<'m>) -> Value<'m> {
        let (address, ty) = (load.operand(0), load.ty());
        if self.is_dense(address, ty) {
            let all = at.load(ty.vector(self.lanes), self.scalar(address));
            all.set_alignment(load.alignment());
            return all;
        }
        let mut all = ty.vector(self.lanes).poison();
        for lane in 0..self.lanes {
            let one = load.duplicate();
            one.set_operand(0, self.lane(at, address, lane));
            at.insert(one);
            all = at.with_element(all, self.types.i32.constant(lane), one);
        }
        all
    }

    fn store(&self, at: &Builder<'m>, store: Value<'m>) {
        let (value, address) = (store.operand(0), store.operand(1));
        let one = |lane| {
            let copy = store.duplicate();
            copy.set_operand(0, self.lane(at, value, lane));
            copy.set_operand(1, self.lane(at, address, lane));
            at.insert(copy);
        };
        if store.has_metadata(FIRST_MATTERS) {
            one(0);
        } else if self.form(address) == Form::Same {
            one(self.lanes - 1);
        } else if self.is_dense(address, value.ty()) {
            let all = at.store(self.vector(at, value), self.scalar(address));
            all.set_alignment(store.alignment());
        } else {
            (0..self.lanes).for_each(one);
        }
    }

    /// Whether a condition holds for all lanes, and whether for none.
    fn outcomes(&self, at: &Builder<'m>, test: Value<'m>, depth: u32) -> [Value<'m>; 2] {
        let [and, or] = [LLVMOpcode::LLVMAnd, LLVMOpcode::LLVMOr]
            .map(|opcode| move |a, b| at.binary(opcode, a, b));
        let yes = self.types.i1.constant(1);
        if self.form(test) == Form::Same {
            let test = self.scalar(test);
            return [test, at.binary(LLVMOpcode::LLVMXor, test, yes)];
        }
        if let Some(known) = self.compared(at, test) {
            return known;
        }
        let constant = |index| test.operand(index).constant_integer();
        let part = |index| self.outcomes(at, test.operand(index), depth + 1);
        let pair = match test.opcode() {
            _ if depth > DEEPEST => None,
            Some(LLVMOpcode::LLVMXor) if constant(1).is_some_and(|by| by != 0) => {
                let [all, none] = part(0);
                return [none, all];
            }
            Some(LLVMOpcode::LLVMAnd) => Some((true, 1)),
            Some(LLVMOpcode::LLVMOr) => Some((false, 1)),
            Some(LLVMOpcode::LLVMSelect) if constant(2) == Some(0) => Some((true, 1)),
            Some(LLVMOpcode::LLVMSelect) if constant(1).is_some_and(|by| by != 0) => {
                Some((false, 2))
            }
            _ => None,
        };
        if let Some((is_and, other)) = pair {
            let ([all, none], [other_all, other_none]) = (part(0), part(other));
            return if is_and {
                [and(all, other_all), or(none, other_none)]
            } else {
                [or(all, other_all), and(none, other_none)]
            };
        }
        let bits = self.types.i8.integer(self.lanes as u32);
        let all = at.cast(LLVMOpcode::LLVMBitCast, self.vector(at, test), bits);
        let ones = at.binary(LLVMOpcode::LLVMXor, bits.zero(), bits.constant(u64::MAX));
        [ones, bits.zero()].map(|these| at.compare(LLVMIntEQ, all, these))
    }

    /// The same of an index that grows, compared with what is the same for all.
    fn compared(&self, at: &Builder<'m>, test: Value<'m>) -> Option<[Value<'m>; 2]> {
        if !test.is(LLVMOpcode::LLVMICmp) {
            return None;
        }
        let (left, right) = (test.operand(0), test.operand(1));
        let predicate = llvm!(c::LLVMGetICmpPredicate(test.raw()));
        let (low, step, bound, predicate) = match (self.form(left), self.form(right)) {
            (Form::Step(step), Form::Same) => (left, step, right, predicate),
            (Form::Same, Form::Step(step)) => (right, step, left, mirrored(predicate)),
            _ => return None,
        };
        let ty = low.ty();
        let width = ty.integer_width();
        let span = self.together.forms.span(step);
        if width < 16 || step >= 1 << 32 || span >= 1 << (width - 2) {
            return None;
        }
        let most = ty.constant((u64::MAX >> (64 - width)) - span);
        let (low, bound) = (self.scalar(low), self.scalar(bound));
        let span = ty.constant(span);
        let grows = || at.compare(LLVMIntULE, low, most);
        let both = |a, b| at.binary(LLVMOpcode::LLVMAnd, a, b);
        let below = || {
            let name = "llvm.usub.sat";
            let least = ir::intrinsic(self.machine.site.module, name, &[ty]);
            let all = at.compare(LLVMIntULT, low, at.call(least, &[bound, span]));
            [all, both(at.compare(LLVMIntUGE, low, bound), grows())]
        };
        let at_most = || {
            let room = at.compare(LLVMIntUGE, bound, span);
            let all = both(room, at.compare(LLVMIntULE, low, at.sub(bound, span)));
            [all, both(at.compare(LLVMIntUGT, low, bound), grows())]
        };
        let equal = || {
            let apart = at.sub(bound, low);
            let none = at.compare(LLVMIntUGT, apart, span);
            [self.types.i1.zero(), none]
        };
        let swapped = |[all, none]: [Value<'m>; 2]| [none, all];
        Some(match predicate {
            LLVMIntULT => below(),
            LLVMIntUGE => swapped(below()),
            LLVMIntULE => at_most(),
            LLVMIntUGT => swapped(at_most()),
            LLVMIntEQ => equal(),
            LLVMIntNE => swapped(equal()),
            _ => return None,
        })
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
            if self.form(phi) == Form::Each {
                let all = self.vector(&at, value);
                self.all[&phi].add_incoming(all, way);
            } else {
                let first = self.lane(&at, value, 0);
                self.first[&phi].add_incoming(first, way);
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
        if self.form(test) == Form::Same {
            let parted = ways
                .iter()
                .any(Option::is_none)
                .then(|| self.parted(region));
            let copy = terminator.duplicate();
            copy.set_operand(0, self.scalar(test));
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
        let [all, none] = self.outcomes(at, test, 0);
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

/// The predicate with its sides exchanged.
fn mirrored(predicate: LLVMIntPredicate) -> LLVMIntPredicate {
    match predicate {
        LLVMIntULT => LLVMIntUGT,
        LLVMIntUGT => LLVMIntULT,
        LLVMIntULE => LLVMIntUGE,
        LLVMIntUGE => LLVMIntULE,
        LLVMIntSLT => LLVMIntSGT,
        LLVMIntSGT => LLVMIntSLT,
        LLVMIntSLE => LLVMIntSGE,
        LLVMIntSGE => LLVMIntSLE,
        other => other,
    }
}

/// The name of an intrinsic without the types that it is of.
fn base_name(name: &str) -> &str {
    let mut end = name.len();
    let is_type = |part: &str| {
        let rest = part.trim_start_matches(['i', 'f', 'p']);
        rest.len() < part.len() && rest.chars().all(|digit| digit.is_ascii_digit())
    };
    while let Some((before, last)) = name[..end].rsplit_once('.')
        && is_type(last)
    {
        end = before.len();
    }
    &name[..end]
}
