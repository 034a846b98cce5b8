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

use std::collections::HashMap;

use inkwell::module::Module;
use legionella_abi::intrinsic;
use llvm_sys::LLVMIntPredicate::{LLVMIntEQ, LLVMIntUGT};
use llvm_sys::{LLVMLinkage, LLVMOpcode};

use super::super::items::{Loops, bind_told_ids};
use super::super::loops::{self, Counter};
use super::cut::{Operation, Outcome};
use super::frame::{Frame, Order, WORD, word};
use super::step::Kind;
use super::{Part, Phases, internal, items, set_linkage};
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

/// Builds the code's entry. `known` are attributes of the argument block's address.
pub(super) fn build(
    module: &Module<'_>,
    phases: Phases<'_>,
    known: &[(&str, Option<u64>)],
) -> Result<(), Error> {
    let Phases {
        parts,
        frame,
        shared_size,
        operations,
        places,
    } = phases;
    let loops = Loops::new(module);
    for (name, value) in known {
        if let Some(value) = value {
            loops.function.add_parameter_attribute(0, name, *value);
        }
    }
    set_linkage(places, LLVMLinkage::LLVMPrivateLinkage);
    let run = Run::begin(module, &loops, &frame, shared_size)?;
    run.groups(parts, &operations, places)
}

/// The function under construction.
pub(super) struct Run<'a, 'c, 'm> {
    pub(super) module: &'m Module<'c>,
    pub(super) loops: &'a Loops<'m>,
    pub(super) frame: &'a Frame<'m>,
    /// What follows is computed at the beginning.
    start: Builder<'m>,
    pub(super) context: Value<'m>,
    /// Words of the context that are written once, or once a group.
    kept: HashMap<u64, Value<'m>>,
    pub(super) grid: [Value<'m>; 3],
    pub(super) group_size: [Value<'m>; 3],
    groups: [Value<'m>; 3],
    /// Elements of an array by linear ids.
    pub(super) linear_len: Value<'m>,
}

/// Where a group lies.
#[derive(Clone, Copy)]
pub(super) struct Place<'m> {
    pub(super) group: [Value<'m>; 3],
    pub(super) base: [Value<'m>; 3],
    pub(super) count: [Value<'m>; 3],
    pub(super) items: Value<'m>,
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
        let mut kept = HashMap::new();
        let mut keep = |word: u64, value: Value<'m>| {
            at.store(value, frame.word(&at, context, word));
            kept.insert(word, value);
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
            kept,
            grid,
            group_size,
            groups,
            linear_len,
        })
    }

    pub(super) fn types(&self) -> &Types<'m> {
        &self.loops.types
    }

    pub(super) fn number(&self, value: u64) -> Value<'m> {
        self.types().i64.constant(value)
    }

    pub(super) fn block(&self, name: &str) -> Block<'m> {
        self.loops.function.append_block(name)
    }

    /// Builds the loop over groups, which ends the function.
    fn groups(
        mut self,
        parts: Vec<Part<'m>>,
        operations: &[Operation],
        places: Value<'m>,
    ) -> Result<(), Error> {
        let parameters = self.loops.function.parameters();
        let [first, end] = [parameters[2], parameters[3]];
        let all = Counter::begin(self.loops.function, &self.start, first, end, self.number(1));
        let place = self.enter(&all.body, all.index);
        for d in 0..3 {
            self.kept.insert(word::COUNT + d, place.count[d as usize]);
            self.kept.insert(word::GROUP + d, place.group[d as usize]);
        }
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
            let at = items::build(&self, part, Builder::at_end(begin), &place, &mut cold);
            for slot in gives {
                self.frame.take_over(&at, self.context, slot);
            }
            self.come_out(at, &outcomes, places, &ways, &place)?;
        }
        let (behind, latch) = all.finish_from(Builder::at_end(done));
        loops::keep_rolled(self.module, latch);
        behind.ret(None);
        for cold in cold {
            bind_told_ids(cold);
        }
        self.give_kept();
        self.forget_ids()
    }

    /// Has words of the context be known where they are asked for, but for what was outlined.
    fn give_kept(&self) {
        for address in self.context.users() {
            let offset = address.distance_from(self.context);
            let word = offset
                .filter(|offset| offset % WORD == 0)
                .map(|offset| offset / WORD);
            let Some(value) = word.and_then(|word| self.kept.get(&word)) else {
                continue;
            };
            for load in address.users() {
                if load.is(LLVMOpcode::LLVMLoad) && load.ty() == value.ty() {
                    load.replace_all_uses_with(*value);
                    load.erase();
                }
            }
        }
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

pub(super) fn found<'m>(module: &'m Module<'_>, name: &str) -> Result<Function<'m>, Error> {
    ir::function(module, name).ok_or_else(|| internal(format!("the function {name} is gone")))
}
