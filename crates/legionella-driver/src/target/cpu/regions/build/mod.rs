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

mod lanes;
mod machine;

use std::collections::HashMap;

use inkwell::module::Module;
use llvm_sys::LLVMIntPredicate::{LLVMIntEQ, LLVMIntUGE};
use llvm_sys::{LLVMOpcode, LLVMTypeKind};

use super::super::items::Ids;
use super::super::loops::{self, Counter};
use super::Plan;
use super::rows::{Rows, Side};
use super::sharing::{Sharing, is_lane_id};
use super::split::Target;
use super::together::{self, Together};
use crate::ir::{self, Block, Builder, Function, Type, Types, Value};

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
    /// Where there is a place that all rows come by, what is the same for them is computed.
    pub(in super::super) once: Option<&'a Builder<'m>>,
    /// Where code for rows side by side goes, if there is such code ([`Plan::has_side`]).
    pub(in super::super) side: Option<Side<'a, 'm>>,
}

/// Builds what is done at a place about the results of items: so many from an index in the strip on.
pub(in super::super) type Told<'a, 'm> =
    dyn Fn(Builder<'m>, Value<'m>, Value<'m>) -> Builder<'m> + 'a;

/// Bytes that slots are aligned to: a vector register.
pub(super) const ALIGNMENT: u32 = 64;

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
    /// Where the regions are entered, and at which.
    enter: Block<'m>,
    entered: Value<'m>,
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
        let (outside, row_values) = self.move_strip_values(&site, &at);
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
        let body = machine.side(body, &row_values);
        match &self.together {
            Some(together) => {
                let begin = together::build(&machine, together, over);
                let full = self.may_run_together(&body, left, machine.site.ids);
                body.branch_if(full, begin, apart)
                    .set_weights(together::MOSTLY);
                function.trust_weights();
            }
            None => {
                body.branch(apart);
            }
        }
        machine.start(&Builder::at_end(apart), left);
        let entrance = machine.entrance();
        for region in 0..self.split.regions.len() {
            machine.region(region);
        }
        let finish = function.append_block("finish");
        machine.dispatch(finish);
        let end = machine.finish(Builder::at_end(finish), strips.index, left);
        end.branch(over);
        let replaced = machine.outside.keys().copied();
        let replaced: Vec<_> = replaced.filter(|value| value.is_instruction()).collect();
        let name = format!("{}.apart", self.function.name());
        self.function.drop_body();
        self.function.delete();
        for value in gone.into_iter().chain(replaced) {
            value.replace_all_uses_with(value.ty().poison());
            value.erase();
        }
        if self.together.is_some() {
            ir::outline(machine.site.module, entrance, over, &name);
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

    /// How many rows there may be code for that go side by side, the most first.
    pub(in super::super) fn rows(&self) -> &[u64] {
        let rows = (self.together.as_ref()).and_then(|all| all.rows.as_ref());
        rows.map_or(&[], |rows| &rows.counts)
    }

    /// Whether all lanes are there, and sizes are what the code of those that stay together rests on.
    pub(in super::super) fn may_run_together(
        &self,
        at: &Builder<'m>,
        left: Value<'m>,
        ids: &Ids<'m>,
    ) -> Value<'m> {
        let number = |value| left.ty().constant(value);
        let full = at.compare(LLVMIntUGE, left, number(self.lanes));
        if !(self.together.as_ref()).is_some_and(Together::is_on_sizes) {
            return full;
        }
        let both = at.binary(LLVMOpcode::LLVMOr, ids.group_size[0], ids.grid[0]);
        let rest = at.binary(LLVMOpcode::LLVMAnd, both, number(self.lanes - 1));
        let even = at.compare(LLVMIntEQ, rest, number(0));
        at.binary(LLVMOpcode::LLVMAnd, full, even)
    }

    /// How many items a vector has.
    pub(in super::super) fn lanes(&self) -> u64 {
        self.lanes
    }

    /// Moves what is the same for all items of a strip to where it is computed once, a strip or for all
    /// rows; gives what stands for the values that there are already, and what was computed once a
    /// strip only.
    fn move_strip_values(
        &self,
        site: &Site<'_, '_, 'm>,
        at: &Builder<'m>,
    ) -> (HashMap<Value<'m>, Value<'m>>, Vec<Value<'m>>) {
        let mut outside = HashMap::new();
        let mut of_rows = Vec::new();
        let rows = Rows::of(&self.function.blocks());
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
                    match site.once.filter(|_| !rows.vary(instruction)) {
                        Some(once) => once.insert(instruction),
                        None => {
                            at.insert(instruction);
                            of_rows.push(instruction);
                        }
                    }
                }
            }
        }
        (outside, of_rows)
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
        let result = self.function.signature().result();
        match result.kind() {
            LLVMTypeKind::LLVMVoidTypeKind => Vec::new(),
            LLVMTypeKind::LLVMStructTypeKind => (0..result.field_count())
                .map(|index| result.field(index))
                .collect(),
            _ => vec![result],
        }
    }
}
