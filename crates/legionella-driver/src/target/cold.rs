//! Panics, taken out of the kernel's way.
//!
//! Takes a simplified entry shim and splits it in two: the *item* function, which instead of
//! panicking returns the number of the place where it would have, and the *cold* function, which
//! panics for a given place. A loop over items then has no exit but its own, and vectorises; the
//! cold function runs after the loop, if any item asked for it.
//!
//! The cold function needs values of the item: it recomputes those that depend on arguments and
//! ids alone, and the rest are returned along with the number and kept for each item.

use std::collections::{BTreeMap, BTreeSet};

use inkwell::module::Module;
use legionella_abi::intrinsic;
use llvm_sys::core as c;
use llvm_sys::{LLVMLinkage, LLVMOpcode, LLVMTypeKind};

use crate::ir::{self, Block, Builder, Function, Type, Types, Value, llvm};

/// Most values that are kept for each item; kernels that need more panic on the spot instead.
const MOST_CARRIED: usize = 6;

/// Longest computation that the cold function repeats instead of having its result carried.
const LONGEST_REPEAT: usize = 12;

/// An entry shim whose panics are deferred.
pub(in crate::target) struct Deferred<'m> {
    /// `fn(block, …) -> { i32 place, carried… }`, or `fn(block, …) -> i32` if nothing is carried,
    /// with the parameters that there were. Place 0 means that the item finished.
    pub(in crate::target) item: Function<'m>,
    /// `fn(block, i32 place, ids, …, carried…) -> !`, where `ids` is the address of all ids of the
    /// item, and behind it are the item's parameters but the first.
    pub(in crate::target) cold: Function<'m>,
    /// Types of the carried values.
    pub(in crate::target) carried: Vec<Type<'m>>,
    /// The places where an item panics only since others don't come to an operation.
    pub(in crate::target) apart: Vec<u32>,
}

/// How often an item goes on where it may panic, and how often not: that is an estimate, by which LLVM chooses
/// what is in registers.
const RARELY: [u32; 2] = [1, 2000];

impl Deferred<'_> {
    /// Tells LLVM that items rarely panic.
    pub(in crate::target) fn expect_none(&self) {
        let blocks = self.item.blocks();
        let leaves: BTreeSet<_> = blocks
            .iter()
            .filter(|block| block.terminator().is(LLVMOpcode::LLVMRet))
            .filter_map(|exit| exit.phis().first().copied())
            .flat_map(|place| place.incoming())
            .filter(|(place, _)| place.constant_integer().is_some_and(|place| place != 0))
            .map(|(_, leave)| leave)
            .collect();
        for block in blocks {
            let terminator = block.terminator();
            if let [one, other] = terminator.successors()[..]
                && terminator.is(LLVMOpcode::LLVMBr)
            {
                match [one, other].map(|next| leaves.contains(&next)) {
                    [true, false] => terminator.set_weights(RARELY),
                    [false, true] => terminator.set_weights([RARELY[1], RARELY[0]]),
                    _ => {}
                }
            }
        }
    }
}

/// Defers the panics of an entry shim; `None`, with nothing changed, if it has none or they depend
/// on memory of the item, which is gone after the loop.
pub(in crate::target) fn defer<'m>(
    module: &'m Module<'_>,
    entry: Function<'m>,
) -> Option<Deferred<'m>> {
    let region = Region::of(entry)?;
    let plan = region.plan(entry)?;
    Some(split(module, entry, &region, &plan))
}

/// The blocks from which every way ends in a panic, and which concern no other item.
struct Region<'m> {
    blocks: BTreeSet<Block<'m>>,
    /// Ways into the region: from a block outside, by the successor of that index. The place of
    /// the n-th is n + 1.
    edges: Vec<(Block<'m>, u32)>,
}

impl<'m> Region<'m> {
    fn of(entry: Function<'m>) -> Option<Self> {
        let all = entry.blocks();
        let mut blocks = BTreeSet::new();
        loop {
            let before = blocks.len();
            for block in &all {
                let terminator = block.terminator();
                let successors = terminator.successors();
                let ends = terminator.is(LLVMOpcode::LLVMUnreachable)
                    || (!successors.is_empty()
                        && successors.iter().all(|next| blocks.contains(next)));
                if ends && !block.instructions().into_iter().any(is_collective) {
                    blocks.insert(*block);
                }
            }
            if blocks.len() == before {
                break;
            }
        }
        if blocks.is_empty() || blocks.contains(all.first()?) {
            return None;
        }
        let mut edges = Vec::new();
        for block in all.iter().filter(|block| !blocks.contains(block)) {
            for (index, next) in block.successors().into_iter().enumerate() {
                if blocks.contains(&next) {
                    edges.push((*block, index as u32));
                }
            }
        }
        Some(Region { blocks, edges })
    }

    /// How each value from outside gets into the region; `None` if one can't.
    fn plan(&self, entry: Function<'m>) -> Option<Plan<'m>> {
        let mut plan = Plan::default();
        let blocks: Vec<_> = entry.blocks();
        for block in blocks.iter().filter(|block| self.blocks.contains(block)) {
            for instruction in block.instructions() {
                for operand in instruction.operands() {
                    self.admit(operand, &mut plan, 0)?;
                }
            }
        }
        (plan.carried.len() <= MOST_CARRIED).then_some(plan)
    }

    fn outside(&self, value: Value<'m>) -> bool {
        value.is_instruction() && !self.blocks.contains(&value.block())
    }

    fn admit(&self, value: Value<'m>, plan: &mut Plan<'m>, depth: usize) -> Option<()> {
        if !self.outside(value) || plan.repeated.contains(&value) || plan.moved.contains(&value) {
            return Some(());
        }
        if value.is(LLVMOpcode::LLVMAlloca) {
            let inside = |user: Value<'m>| !self.outside(user) || is_lifetime_marker(user);
            if !value.users().into_iter().all(inside) {
                return None;
            }
            plan.moved.push(value);
            return Some(());
        }
        if repeatable(value) {
            let mut trial = plan.clone();
            let operands_fit = depth < LONGEST_REPEAT
                && value
                    .operands()
                    .into_iter()
                    .all(|operand| self.admit(operand, &mut trial, depth + 1).is_some());
            if operands_fit && trial.carried.len() <= plan.carried.len() {
                *plan = trial;
                plan.repeated.push(value);
                return Some(());
            }
        }
        if !carriable(value) {
            return None;
        }
        if !plan.carried.contains(&value) {
            plan.carried.push(value);
        }
        Some(())
    }
}

/// How values from outside get into the cold function.
#[derive(Clone, Default)]
struct Plan<'m> {
    /// Kept for each item.
    carried: Vec<Value<'m>>,
    /// Computed again, operands first.
    repeated: Vec<Value<'m>>,
    /// Memory that only the region uses.
    moved: Vec<Value<'m>>,
}

/// Whether other items take part in an instruction: one that panics alone and later can't do it.
fn is_collective(instruction: Value<'_>) -> bool {
    instruction
        .called_function()
        .is_some_and(|function| function.has_attribute("convergent"))
}

fn is_lifetime_marker(instruction: Value<'_>) -> bool {
    instruction
        .called_function()
        .is_some_and(|function| function.name().starts_with("llvm.lifetime."))
}

/// Whether an instruction gives the same value whenever it runs during the launch.
fn repeatable(value: Value<'_>) -> bool {
    use LLVMOpcode::*;
    match value.opcode() {
        Some(
            LLVMAdd | LLVMSub | LLVMMul | LLVMShl | LLVMLShr | LLVMAShr | LLVMAnd | LLVMOr
            | LLVMXor | LLVMICmp | LLVMSelect | LLVMZExt | LLVMSExt | LLVMTrunc | LLVMGetElementPtr
            | LLVMExtractValue | LLVMFreeze,
        ) => true,
        // The argument block doesn't change during a launch; what it points to does.
        Some(LLVMLoad) => value.operand(0).is_address_in_parameter(),
        Some(LLVMCall) => value
            .called_function()
            .is_some_and(|function| crate::lower::IDS.contains(&function.name().as_str())),
        _ => false,
    }
}

/// Whether a value is a scalar that stays meaningful after the item has ended.
fn carriable(value: Value<'_>) -> bool {
    match value.ty().kind() {
        LLVMTypeKind::LLVMIntegerTypeKind => matches!(value.ty().integer_width(), 1..=64),
        LLVMTypeKind::LLVMFloatTypeKind | LLVMTypeKind::LLVMDoubleTypeKind => true,
        LLVMTypeKind::LLVMPointerTypeKind => !may_be_private(value, &mut BTreeSet::new()),
        _ => false,
    }
}

/// Whether a pointer may lead into the item's own memory.
fn may_be_private<'m>(pointer: Value<'m>, seen: &mut BTreeSet<Value<'m>>) -> bool {
    if !pointer.is_instruction() || !seen.insert(pointer) {
        return false;
    }
    use LLVMOpcode::*;
    match pointer.opcode() {
        Some(LLVMGetElementPtr) => may_be_private(pointer.operand(0), seen),
        Some(LLVMPHI | LLVMSelect) => pointer
            .operands()
            .into_iter()
            .any(|operand| may_be_private(operand, seen)),
        Some(LLVMLoad) => !pointer.operand(0).is_address_in_parameter(),
        _ => true,
    }
}

/// Does it.
fn split<'m>(
    module: &'m Module<'_>,
    entry: Function<'m>,
    region: &Region<'m>,
    plan: &Plan<'m>,
) -> Deferred<'m> {
    let types = Types::of(module);
    let carried: Vec<_> = plan.carried.iter().map(|value| value.ty()).collect();
    let result = if carried.is_empty() {
        types.i32
    } else {
        let mut fields = vec![types.i32];
        fields.extend(&carried);
        Type::structure(&fields, types.i32)
    };
    let given = entry.parameters();
    let given_types: Vec<_> = given.iter().map(|parameter| parameter.ty()).collect();
    let item = ir::declare(module, "legionella.item", result, &given_types);
    let mut parameters = vec![types.ptr, types.i32, types.ptr];
    parameters.extend(&given_types[1..]);
    parameters.extend(&carried);
    let cold = ir::declare(module, "legionella.cold", types.void, &parameters);
    for function in [item, cold] {
        function.set_linkage(LLVMLinkage::LLVMInternalLinkage);
        // Not `noalias`: inlining would leave a marker of it in the lane loop that belongs to no
        // access group, and the loop would not count as parallel.
        for attribute in ["readonly", "nofree"] {
            function.add_parameter_attribute(0, attribute, 0);
        }
        function.add_attribute("nounwind");
    }
    item.add_attribute("alwaysinline");
    for attribute in ["noreturn", "noinline", "cold"] {
        cold.add_attribute(attribute);
    }

    let hot_blocks: Vec<_> = entry
        .blocks()
        .into_iter()
        .filter(|block| !region.blocks.contains(block))
        .collect();
    let cold_blocks: Vec<_> = entry
        .blocks()
        .into_iter()
        .filter(|block| region.blocks.contains(block))
        .collect();

    let misses_others = |block: &Block<'m>| {
        block.instructions().into_iter().any(|instruction| {
            (instruction.called_function())
                .is_some_and(|called| called.name() == intrinsic::BARRIER_FAILED)
        })
    };
    let apart = (1..)
        .zip(&region.edges)
        .filter(|(_, (from, index))| misses_others(&from.successors()[*index as usize]))
        .map(|(place, _)| place)
        .collect();

    // The cold function: an entry that recomputes and dispatches, then the region.
    let dispatch = cold.append_block("dispatch");
    let builder = Builder::at_end(dispatch);
    let mut inside: BTreeMap<Value<'m>, Value<'m>> = BTreeMap::new();
    let told = cold.parameters();
    inside.insert(given[0], told[0]);
    let others = given[1..].iter().chain(&plan.carried);
    inside.extend(others.copied().zip(told[3..].iter().copied()));
    for alloca in &plan.moved {
        for user in alloca.users() {
            if region.outside(user) {
                user.erase();
            }
        }
        llvm!(c::LLVMInstructionRemoveFromParent(alloca.raw()));
        builder.insert(*alloca);
    }
    for value in &plan.repeated {
        let copy = value.clone_speculatable();
        builder.insert(copy);
        substitute(copy, &inside);
        inside.insert(*value, copy);
    }
    let places: Vec<_> = region
        .edges
        .iter()
        .map(|_| cold.append_block("place"))
        .collect();
    let nowhere = cold.append_block("nowhere");
    Builder::at_end(nowhere).unreachable();
    let cases: Vec<_> = places
        .iter()
        .enumerate()
        .map(|(index, place)| (types.i32.constant(index as u64 + 1), *place))
        .collect();
    builder.switch(cold.parameters()[1], nowhere, &cases);

    // The item function: its blocks, and one exit where the places meet.
    let start = item.append_block("start");
    let mut last = start;
    for block in &hot_blocks {
        block.move_after(last);
        last = *block;
    }
    let mut last = nowhere;
    for block in &cold_blocks {
        block.move_after(last);
        last = *block;
    }
    let exit = item.append_block("exit");
    let exit_builder = Builder::at_end(exit);
    let place_phi = exit_builder.phi(types.i32);
    let carried_phis: Vec<_> = carried.iter().map(|ty| exit_builder.phi(*ty)).collect();
    if carried.is_empty() {
        exit_builder.ret(Some(place_phi));
    } else {
        let mut whole = exit_builder.with(result.poison(), 0, place_phi);
        for (index, phi) in carried_phis.iter().enumerate() {
            whole = exit_builder.with(whole, index as u32 + 1, *phi);
        }
        exit_builder.ret(Some(whole));
    }

    for (index, (from, successor)) in region.edges.iter().enumerate() {
        let terminator = from.terminator();
        let target = terminator.successors()[*successor as usize];
        Builder::at_end(places[index]).branch(target);
        for phi in target.phis() {
            let incoming = phi.incoming();
            if let Some((value, _)) = incoming.iter().find(|(_, block)| block == from) {
                let value = inside.get(value).copied().unwrap_or(*value);
                phi.add_incoming(value, places[index]);
            }
        }
        let leave = item.append_block("leave");
        Builder::at_end(leave).branch(exit);
        terminator.set_successor(*successor, leave);
        place_phi.add_incoming(types.i32.constant(index as u64 + 1), leave);
        for (phi, value) in carried_phis.iter().zip(&plan.carried) {
            let available = defined_on_the_way(*value, *from);
            phi.add_incoming(if available { *value } else { phi.ty().poison() }, leave);
        }
    }
    for block in &cold_blocks {
        for phi in block.phis() {
            forget_incoming(phi, &hot_blocks);
        }
        for instruction in block.instructions() {
            substitute(instruction, &inside);
        }
    }
    for block in &hot_blocks {
        let terminator = block.terminator();
        if terminator.is(LLVMOpcode::LLVMRet) {
            Builder::before(terminator).branch(exit);
            terminator.erase();
            place_phi.add_incoming(types.i32.zero(), *block);
            for phi in &carried_phis {
                phi.add_incoming(phi.ty().poison(), *block);
            }
        }
    }
    for (parameter, own) in given.into_iter().zip(item.parameters()) {
        parameter.replace_all_uses_with(own);
    }
    start.delete();
    entry.delete();
    Deferred {
        item,
        cold,
        carried,
        apart,
    }
}

/// Replaces operands by what stands for them.
pub(super) fn substitute<'m>(instruction: Value<'m>, by: &BTreeMap<Value<'m>, Value<'m>>) {
    let count = llvm!(c::LLVMGetNumOperands(instruction.raw())).max(0) as u32;
    for index in 0..count {
        if let Some(other) = by.get(&instruction.operand(index)) {
            instruction.set_operand(index, *other);
        }
    }
}

/// Whether a value is certainly computed before `block` ends: it is if its block dominates.
///
/// Dominance is decided by reachability: without the value's block, `block` can't be reached.
fn defined_on_the_way<'m>(value: Value<'m>, block: Block<'m>) -> bool {
    let home = value.block();
    if home == block {
        return true;
    }
    // The first block is the one that `split` builds and drops again.
    let Some(start) = home.function().blocks().into_iter().nth(1) else {
        return false;
    };
    let mut seen = BTreeSet::from([home]);
    let mut ahead = vec![start];
    while let Some(next) = ahead.pop() {
        if !seen.insert(next) {
            continue;
        }
        if next == block {
            return false;
        }
        ahead.extend(next.successors());
    }
    true
}

/// Drops the ways into a phi that come from other blocks than its function's.
fn forget_incoming<'m>(phi: Value<'m>, from: &[Block<'m>]) {
    let kept: Vec<_> = phi
        .incoming()
        .into_iter()
        .filter(|(_, block)| !from.contains(block))
        .collect();
    let fresh = Builder::before(phi).phi(phi.ty());
    for (value, block) in kept {
        fresh.add_incoming(if value == phi { fresh } else { value }, block);
    }
    phi.replace_all_uses_with(fresh);
    phi.erase();
}
