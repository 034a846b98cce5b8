//! One function for all phases.
//!
//! Takes a kernel with its cuts, gives `step(block, context, phase)`: what an item does in a phase.
//! It comes from the phase's beginning, and where a cut was it leaves. What is used behind a cut is
//! *put* into a slot before and *got* from there behind, by calls of functions that say which; what is
//! cheap is computed again. A phase by itself is this function with a constant for the number.

use std::collections::{HashMap, HashSet};

use inkwell::module::Module;
use inkwell::targets::TargetMachine;
use llvm_sys::{LLVMLinkage, LLVMOpcode};

use super::super::regions::type_size;
use super::GIVEN;
use super::cut::{Cuts, Operation, alive};
use crate::ir::{self, Block, Builder, Function, Type, Types, Value};
use crate::target::uniform::computable;

/// What becomes of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One value for all items of a group.
    Uniform,
    /// A value of each item.
    Item,
    /// Memory of each item; its address is got.
    Memory,
    /// What each item gives to an operation of its subgroup.
    Operand,
    /// The lane whose value each item asks for.
    Lane,
    /// What each item gets of a shuffle.
    Result,
    /// What each subgroup gets of a ballot.
    Ballot,
    /// How each item comes out of a phase.
    Outcome,
}

/// A place for values between phases.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot<'m> {
    pub(super) kind: Kind,
    pub(super) ty: Type<'m>,
}

const GET: &str = "legionella.get.";
const PUT: &str = "legionella.put.";

/// The number of the slot that a call gets a value from.
pub(super) fn got(call: Value<'_>) -> Option<usize> {
    call.called_function()?
        .name()
        .strip_prefix(GET)?
        .parse()
        .ok()
}

/// The number of the slot that a call puts a value into.
pub(super) fn put(call: Value<'_>) -> Option<usize> {
    call.called_function()?
        .name()
        .strip_prefix(PUT)?
        .parse()
        .ok()
}

/// Says that a function does nothing but give a value, the same each time.
pub(super) fn give_only(function: Function<'_>) {
    // `memory` without a value is `memory(none)`.
    let attributes = [
        "nounwind",
        "willreturn",
        "nosync",
        "nofree",
        "speculatable",
        "memory",
    ];
    for attribute in attributes {
        function.add_attribute(attribute);
    }
}

/// Most steps of a computation that is repeated rather than kept, and how many of them may differ
/// from item to item.
const LONGEST_REPEAT: usize = 24;
const MOST_VARYING: usize = 8;

/// The kernel as one function of the phase, with the slots that it uses.
pub(super) struct Step<'m> {
    pub(super) function: Function<'m>,
    pub(super) slots: Vec<Slot<'m>>,
}

impl<'m> Step<'m> {
    /// Makes it of the kernel, which is gone then.
    pub(super) fn of(
        module: &'m Module<'_>,
        kernel: Function<'m>,
        cuts: &mut Cuts<'m>,
        machine: &TargetMachine,
    ) -> Self {
        let types = Types::of(module);
        let parameters = [types.ptr, types.ptr, types.i32];
        let function = ir::declare(module, "legionella.step", types.void, &parameters);
        function.set_linkage(LLVMLinkage::LLVMInternalLinkage);
        for attribute in ["alwaysinline", "nounwind"] {
            function.add_attribute(attribute);
        }
        let start = function.append_block("start");
        let mut slots = Slots {
            module,
            types: Types::of(module),
            all: Vec::new(),
        };
        slots.get_results(cuts);
        let mut alive = alive(cuts);
        let blocks = kernel.blocks();
        let mut last = start;
        for block in &blocks {
            block.move_after(last);
            last = *block;
        }
        kernel.parameters()[0].replace_all_uses_with(function.parameters()[0]);
        kernel.delete();
        let mut writer = Writer {
            machine,
            types,
            function,
            start,
            cuts,
            slots,
        };
        writer.memories(&blocks, &mut alive);
        writer.cut(&alive);
        for block in &blocks {
            let terminator = block.terminator();
            if terminator.is(LLVMOpcode::LLVMRet) {
                writer.slots.come_out(&Builder::before(terminator), 0);
            }
        }
        Step {
            function,
            slots: writer.slots.all,
        }
    }

    /// A function of one phase: `fn(block, context)`, which still is a call.
    pub(super) fn phase(&self, module: &'m Module<'_>, number: usize) -> Function<'m> {
        let types = Types::of(module);
        let name = format!("legionella.phase{number}");
        let function = ir::declare(module, &name, types.void, &[types.ptr, types.ptr]);
        function.add_attribute("nounwind");
        for parameter in [0, 1] {
            for attribute in ["readonly", "nofree"] {
                function.add_parameter_attribute(parameter, attribute, 0);
            }
        }
        let at = Builder::at_end(function.append_block("start"));
        let mut arguments = function.parameters();
        arguments.push(types.i32.constant(number as u64));
        at.call(self.function, &arguments);
        at.ret(None);
        function
    }
}

/// Slots as they come up.
struct Slots<'c, 'm> {
    module: &'m Module<'c>,
    types: Types<'m>,
    all: Vec<Slot<'m>>,
}

impl<'m> Slots<'_, 'm> {
    fn add(&mut self, kind: Kind, ty: Type<'m>) -> usize {
        self.all.push(Slot { kind, ty });
        self.all.len() - 1
    }

    /// The slot of a kind that there is once.
    fn only(&mut self, kind: Kind, ty: Type<'m>) -> usize {
        let known = self.all.iter().position(|slot| slot.kind == kind);
        known.unwrap_or_else(|| self.add(kind, ty))
    }

    fn get(&self, at: &Builder<'m>, slot: usize) -> Value<'m> {
        let Slot { kind, ty } = self.all[slot];
        let ty = if kind == Kind::Memory {
            self.types.ptr
        } else {
            ty
        };
        let function = ir::declare(self.module, &format!("{GET}{slot}"), ty, &[]);
        give_only(function);
        at.call(function, &[])
    }

    fn put(&self, at: &Builder<'m>, slot: usize, value: Value<'m>) {
        let name = format!("{PUT}{slot}");
        let function = ir::declare(self.module, &name, self.types.void, &[value.ty()]);
        for attribute in ["nounwind", "willreturn", "nosync", "nofree"] {
            function.add_attribute(attribute);
        }
        at.call(function, &[value]);
    }

    fn come_out(&mut self, at: &Builder<'m>, outcome: usize) {
        let slot = self.only(Kind::Outcome, self.types.i32);
        self.put(at, slot, self.types.i32.constant(outcome as u64));
    }

    /// Has what operations yield be got from slots behind them.
    fn get_results(&mut self, cuts: &mut Cuts<'m>) {
        for cut in &cuts.cuts {
            let kind = match cut.operation {
                Operation::Barrier { .. } => continue,
                Operation::Shuffle => Kind::Result,
                Operation::Ballot => Kind::Ballot,
            };
            let slot = self.only(kind, cut.call.ty());
            if let Some(behind) = cut.call.next() {
                let result = self.get(&Builder::before(behind), slot);
                cuts.uniform.admit_varying(result);
                cut.call.replace_all_uses_with(result);
            }
        }
    }
}

struct Writer<'a, 'c, 'm> {
    machine: &'a TargetMachine,
    types: Types<'m>,
    function: Function<'m>,
    start: Block<'m>,
    cuts: &'a Cuts<'m>,
    slots: Slots<'c, 'm>,
}

impl<'m> Writer<'_, '_, 'm> {
    /// Moves the item's memory to where every phase finds it: that which is used before a cut and
    /// behind it into slots.
    fn memories(&mut self, blocks: &[Block<'m>], alive: &mut [Vec<Value<'m>>]) {
        let at = Builder::at_end(self.start);
        for alloca in blocks.iter().flat_map(|block| block.allocas()) {
            let stays = self.cuts.outlives_a_phase(alloca, alive);
            for alive in alive.iter_mut() {
                alive.retain(|value| *value != alloca);
            }
            if !stays {
                alloca.detach();
                at.insert(alloca);
                continue;
            }
            for user in alloca.users() {
                let called = user.called_function().map(Function::name);
                if called.is_some_and(|name| name.starts_with("llvm.lifetime.")) {
                    user.erase();
                }
            }
            let size = type_size(self.machine, alloca.allocated());
            let size = size.next_multiple_of(alloca.alignment().into());
            let slot = self.slots.add(Kind::Memory, self.types.i8.array(size));
            let address = self.slots.get(&at, slot);
            alloca.replace_all_uses_with(address);
            alloca.erase();
        }
    }

    /// Parts the function at its cuts.
    fn cut(&mut self, alive: &[Vec<Value<'m>>]) {
        let blocks = &self.cuts.blocks;
        let kept: HashSet<_> = alive.iter().flatten().copied().collect();
        let mut kept: Vec<_> = kept.into_iter().collect();
        kept.sort_by_key(|value| {
            let block = blocks.number(value.block());
            let place = value
                .block()
                .instructions()
                .iter()
                .position(|one| one == value);
            (block, place)
        });
        let mut slots = HashMap::new();
        // By slot, the values that are kept in it.
        let mut kept_in: Vec<(usize, Vec<Value<'m>>)> = Vec::new();
        for &value in &kept {
            if self.is_cheap(value) {
                continue;
            }
            let kind = if self.cuts.uniform.contains(value) {
                Kind::Uniform
            } else {
                Kind::Item
            };
            let wanted = Slot {
                kind,
                ty: value.ty(),
            };
            let known = kept_in.iter_mut().find(|(slot, others)| {
                self.slots.all[*slot] == wanted && may_share(value, others, alive)
            });
            let slot = match known {
                Some((slot, others)) => {
                    others.push(value);
                    *slot
                }
                None => {
                    let slot = self.slots.add(kind, value.ty());
                    kept_in.push((slot, vec![value]));
                    slot
                }
            };
            slots.insert(value, slot);
        }
        let homes: HashMap<_, _> = {
            let at = Builder::at_end(self.start);
            let home = |value: &Value<'m>| (*value, at.alloca(value.ty(), 16));
            kept.iter().map(home).collect()
        };
        let mut resumes = Vec::new();
        for (number, alive) in alive.iter().enumerate() {
            let resume = self.part(number, alive, &slots, &homes);
            resumes.push((self.types.i32.constant(number as u64 + 1), resume));
        }
        for value in kept {
            demote(value, homes[&value]);
        }
        let at = Builder::at_end(self.start);
        at.switch(self.function.parameters()[2], blocks.block(0), &resumes);
    }

    /// Parts it at one cut; gives where an item begins behind.
    fn part(
        &mut self,
        number: usize,
        alive: &[Value<'m>],
        slots: &HashMap<Value<'m>, usize>,
        homes: &HashMap<Value<'m>, Value<'m>>,
    ) -> Block<'m> {
        let cut = &self.cuts.cuts[number];
        let behind = self.cuts.blocks.block(cut.block);
        let from = self.cuts.blocks.flow().predecessors(cut.block)[0];
        let [leave, resume] = ["leave", "resume"].map(|name| self.function.append_block(name));
        let terminator = self.cuts.blocks.block(from).terminator();
        Builder::before(terminator).branch(leave);
        terminator.erase();

        let at = Builder::at_end(leave);
        let mut given = Vec::new();
        if matches!(cut.operation, Operation::Shuffle | Operation::Ballot) {
            given.push((Kind::Operand, cut.call.operand(0)));
        }
        if cut.operation == Operation::Shuffle {
            given.push((Kind::Lane, cut.call.operand(1)));
        }
        for (kind, value) in given {
            let slot = self.slots.only(kind, value.ty());
            self.slots.put(&at, slot, value);
        }
        for value in alive {
            if let Some(slot) = slots.get(value) {
                self.slots.put(&at, *slot, *value);
            }
        }
        self.slots.come_out(&at, number + 1);
        at.ret(None);

        let at = Builder::at_end(resume);
        let mut repeated = HashMap::new();
        for value in alive {
            let again = match slots.get(value) {
                Some(slot) => self.slots.get(&at, *slot),
                None => self.repeat(&at, *value, &mut repeated),
            };
            at.store(again, homes[value]);
        }
        cut.call.erase();
        at.branch(behind);
        resume
    }

    /// Whether a value is the address of memory, which every phase has.
    fn is_memory(&self, value: Value<'m>) -> bool {
        value.block() == self.start
    }

    /// Whether a value is computed in few steps from what every phase has.
    fn is_cheap(&self, value: Value<'m>) -> bool {
        let mut steps = HashSet::new();
        let mut varying = 0;
        let mut ahead = vec![value];
        while let Some(value) = ahead.pop() {
            if !value.is_instruction() || self.is_memory(value) || !steps.insert(value) {
                continue;
            }
            varying += usize::from(!self.cuts.uniform.contains(value) && !is_id(value));
            let fine = is_repeatable(value) && varying <= MOST_VARYING;
            if !fine || steps.len() > LONGEST_REPEAT {
                return false;
            }
            ahead.extend(value.operands());
        }
        true
    }

    /// Computes a value again.
    fn repeat(
        &self,
        at: &Builder<'m>,
        value: Value<'m>,
        repeated: &mut HashMap<Value<'m>, Value<'m>>,
    ) -> Value<'m> {
        if !value.is_instruction() || self.is_memory(value) {
            return value;
        }
        if let Some(known) = repeated.get(&value) {
            return *known;
        }
        let copy = value.duplicate();
        for (index, operand) in value.operands().into_iter().enumerate() {
            copy.set_operand(index as u32, self.repeat(at, operand, repeated));
        }
        at.insert(copy);
        repeated.insert(value, copy);
        copy
    }
}

/// Whether a value goes where others are kept: no two of them are at any cut, and it is what one of
/// them becomes, so that it mostly lies there already (the sum that a loop begins with, and the one
/// that it ends with).
fn may_share<'m>(value: Value<'m>, others: &[Value<'m>], alive: &[Vec<Value<'m>>]) -> bool {
    let becomes = |other: &Value<'m>| is_led_on(value, *other) || is_led_on(*other, value);
    let meets = |alive: &Vec<Value<'m>>| {
        alive.contains(&value) && others.iter().any(|other| alive.contains(other))
    };
    others.iter().any(becomes) && !alive.iter().any(meets)
}

/// Most phis by which a value is followed.
const MOST_PHIS: usize = 8;

/// Whether phis lead from one value to another.
fn is_led_on<'m>(from: Value<'m>, to: Value<'m>) -> bool {
    let mut seen = vec![to];
    let mut next = 0;
    while let Some(&phi) = seen.get(next).filter(|_| next < MOST_PHIS) {
        next += 1;
        if !phi.is(LLVMOpcode::LLVMPHI) {
            continue;
        }
        for (incoming, _) in phi.incoming() {
            if incoming == from {
                return true;
            }
            if !seen.contains(&incoming) {
                seen.push(incoming);
            }
        }
    }
    false
}

/// Whether a call asks for an id or a size, or for the group's memory.
fn is_id(value: Value<'_>) -> bool {
    let name = value.called_function().map(Function::name);
    name.is_some_and(|name| {
        crate::lower::IDS.contains(&name.as_str()) || GIVEN.contains(&name.as_str())
    })
}

/// Whether an instruction is light, and gives the same whenever it runs during the launch.
fn is_repeatable(value: Value<'_>) -> bool {
    use LLVMOpcode::*;
    const LIGHT: [&str; 5] = ["umin", "umax", "smin", "smax", "abs"];
    match value.opcode() {
        Some(LLVMLoad) => value.operand(0).is_address_in_parameter() && !value.is_ordered(),
        Some(LLVMCall) => {
            let name = value.called_function().map(Function::name);
            is_id(value)
                || name.is_some_and(|name| {
                    let rest = name.strip_prefix("llvm.");
                    let first = rest.and_then(|rest| rest.split('.').next());
                    first.is_some_and(|first| LIGHT.contains(&first))
                })
        }
        Some(LLVMFreeze | LLVMFDiv | LLVMUDiv | LLVMURem | LLVMSDiv | LLVMSRem) => false,
        _ => computable(value),
    }
}

/// Has a value's users load it from memory, where it is stored when it is known.
fn demote<'m>(value: Value<'m>, home: Value<'m>) {
    let ty = value.ty();
    for user in value.users() {
        let count = user.operands().len() as u32;
        if user.is(LLVMOpcode::LLVMPHI) {
            let mut loaded: HashMap<Block<'m>, Value<'m>> = HashMap::new();
            for (index, (incoming, from)) in user.incoming().into_iter().enumerate() {
                if incoming == value {
                    let load = *loaded
                        .entry(from)
                        .or_insert_with(|| Builder::before(from.terminator()).load(ty, home));
                    user.set_operand(index as u32, load);
                }
            }
            continue;
        }
        let load = Builder::before(user).load(ty, home);
        for index in (0..count).filter(|index| user.operand(*index) == value) {
            user.set_operand(index, load);
        }
    }
    let mut behind = value.next();
    while let Some(next) = behind.filter(|next| next.is(LLVMOpcode::LLVMPHI)) {
        behind = next.next();
    }
    if let Some(behind) = behind {
        Builder::before(behind).store(value, home);
    }
}
