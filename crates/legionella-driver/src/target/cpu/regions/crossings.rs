//! What regions need of each other.
//!
//! A value that another region than its own uses has a *slot*, one for each lane or, if lanes share
//! the value, one for all, and so has each phi at a region's head. What is cheap to compute from
//! what every region has is computed again instead.

use std::collections::HashMap;

use llvm_sys::LLVMOpcode;

use super::super::overflow;
use super::Refusal;
use super::sharing::{Sharing, Sharings, is_lane_id};
use super::split::{Exit, Split, Target};
use super::vectors;
use crate::ir::{Block, Value};
use crate::target::uniform::computable;

/// Largest depth of a computation that is repeated rather than kept.
const DEEPEST_REPEAT: usize = 5;

/// A place for a value between regions.
pub(super) struct Slot<'m> {
    pub(super) value: Value<'m>,
    /// Whether there is one for all lanes.
    pub(super) shared: bool,
}

/// A slot's new value on a way out of a region.
#[derive(Clone, Copy)]
pub(super) struct Copy<'m> {
    pub(super) slot: usize,
    pub(super) value: Value<'m>,
    /// Whether lanes that don't go this way may need what is in the slot.
    pub(super) keep: bool,
}

/// What a region takes from outside and gives.
#[derive(Default)]
pub(super) struct Needs<'m> {
    /// Slots whose values it uses.
    pub(super) reads: Vec<usize>,
    /// Memory of the item whose address it uses.
    pub(super) addresses: Vec<Value<'m>>,
    /// Ids of the lane.
    pub(super) ids: Vec<Value<'m>>,
    /// Values to compute again, operands first.
    pub(super) repeats: Vec<Value<'m>>,
    /// For each way out what to put into slots.
    pub(super) copies: Vec<Vec<Copy<'m>>>,
    /// Values of its own that others use, with their slots.
    pub(super) gives: Vec<(Value<'m>, usize)>,
}

/// All slots, and who needs what.
pub(super) struct Crossings<'m> {
    pub(super) slots: Vec<Slot<'m>>,
    pub(super) needs: Vec<Needs<'m>>,
}

impl<'m> Crossings<'m> {
    pub(super) fn of(split: &Split<'m>, sharings: &Sharings<'m>) -> Result<Self, Refusal> {
        let mut search = Search {
            split,
            sharings,
            numbers: HashMap::new(),
            slots: Vec::new(),
        };
        let needs = (0..split.regions.len())
            .map(|region| search.needs(region))
            .collect::<Result<Vec<_>, _>>()?;
        let mut all = Crossings {
            slots: search.slots,
            needs,
        };
        for (number, slot) in all.slots.iter().enumerate() {
            let value = slot.value;
            let at_head = value.is(LLVMOpcode::LLVMPHI) && split.is_head(value.block());
            if let Some(owner) = split.owner(value.block()).filter(|_| !at_head) {
                all.needs[owner].gives.push((value, number));
            }
        }
        Ok(all)
    }
}

struct Search<'a, 'm> {
    split: &'a Split<'m>,
    sharings: &'a Sharings<'m>,
    numbers: HashMap<Value<'m>, usize>,
    slots: Vec<Slot<'m>>,
}

impl<'m> Search<'_, 'm> {
    fn needs(&mut self, region: usize) -> Result<Needs<'m>, Refusal> {
        let mut needs = Needs::default();
        let split = self.split;
        for exit in &split.regions[region].exits {
            let copies = self.copies(region, exit)?;
            needs.copies.push(copies);
        }
        for &number in &split.regions[region].blocks {
            let block = split.blocks.block(number);
            let is_head = split.is_head(block);
            for instruction in block.instructions() {
                if instruction.is(LLVMOpcode::LLVMPHI) && is_head {
                    continue;
                }
                if is_lane_id(instruction) {
                    self.admit(instruction, region, &mut needs)?;
                }
                for operand in instruction.operands() {
                    self.admit(operand, region, &mut needs)?;
                }
            }
        }
        let copied: Vec<_> = needs
            .copies
            .iter()
            .flatten()
            .map(|copy| copy.value)
            .collect();
        for value in copied {
            self.admit(value, region, &mut needs)?;
        }
        for exit in &split.regions[region].exits {
            for value in returned(split, exit)? {
                self.admit(value, region, &mut needs)?;
            }
        }
        Ok(needs)
    }

    /// Sees to it that a region has a value that it uses.
    fn admit(
        &mut self,
        value: Value<'m>,
        region: usize,
        needs: &mut Needs<'m>,
    ) -> Result<(), Refusal> {
        fn add<T: PartialEq>(list: &mut Vec<T>, item: T) {
            if !list.contains(&item) {
                list.push(item);
            }
        }
        let sharing = self.sharings.get(value);
        if sharing == Sharing::Strip {
            return Ok(());
        }
        if value.is(LLVMOpcode::LLVMAlloca) {
            add(&mut needs.addresses, value);
            return Ok(());
        }
        if is_lane_id(value) {
            add(&mut needs.ids, value);
            return Ok(());
        }
        let at_head = value.is(LLVMOpcode::LLVMPHI) && self.split.is_head(value.block());
        if self.split.owner(value.block()) == Some(region) && !at_head {
            return Ok(());
        }
        if sharing == Sharing::Lane && self.is_cheap(value, DEEPEST_REPEAT) {
            if !needs.repeats.contains(&value) {
                for operand in value.operands() {
                    self.admit_repeated(operand, region, needs)?;
                }
                add(&mut needs.repeats, value);
            }
            return Ok(());
        }
        add(&mut needs.reads, self.slot(value)?);
        Ok(())
    }

    /// The same for an operand of what is repeated, which is repeated too, wherever it stands.
    fn admit_repeated(
        &mut self,
        value: Value<'m>,
        region: usize,
        needs: &mut Needs<'m>,
    ) -> Result<(), Refusal> {
        if self.is_everywhere(value) {
            return self.admit(value, region, needs);
        }
        if !needs.repeats.contains(&value) {
            for operand in value.operands() {
                self.admit_repeated(operand, region, needs)?;
            }
            needs.repeats.push(value);
        }
        Ok(())
    }

    /// Whether a value takes no vector register to be had in every region: what lanes share has a slot
    /// for all of them, and addresses that are computed from it again stay next to each other.
    fn is_everywhere(&self, value: Value<'m>) -> bool {
        self.sharings.get(value) != Sharing::Lane
            || value.is(LLVMOpcode::LLVMAlloca)
            || is_lane_id(value)
    }

    /// Whether a value is computed in few steps from what every region has.
    fn is_cheap(&self, value: Value<'m>, depth: usize) -> bool {
        use LLVMOpcode::*;
        if self.is_everywhere(value) {
            return true;
        }
        let light = !matches!(
            value.opcode(),
            // A frozen value is the same everywhere only if it is frozen once.
            Some(LLVMFreeze | LLVMFDiv | LLVMUDiv | LLVMURem | LLVMSDiv | LLVMSRem | LLVMCall)
        );
        depth > 0
            && light
            && computable(value)
            && value
                .operands()
                .into_iter()
                .all(|operand| self.is_cheap(operand, depth - 1))
    }

    fn slot(&mut self, value: Value<'m>) -> Result<usize, Refusal> {
        if let Some(number) = self.numbers.get(&value) {
            return Ok(*number);
        }
        let shared = self.sharings.get(value) == Sharing::Region;
        if !shared && vectors::storage(value.ty()).is_none() && !overflow::is_pair(value) {
            return Err(Refusal::Type(value.ty().text()));
        }
        let number = self.slots.len();
        self.slots.push(Slot { value, shared });
        self.numbers.insert(value, number);
        Ok(number)
    }

    fn copies(&mut self, region: usize, exit: &Exit) -> Result<Vec<Copy<'m>>, Refusal> {
        let Target::Region(to) = exit.target else {
            return Ok(Vec::new());
        };
        let head = self.split.blocks.block(self.split.regions[to].head());
        let keep = self.may_be_waited_for(region, to);
        let phis = head.phis().into_iter();
        phis.map(|phi| {
            Ok(Copy {
                slot: self.slot(phi)?,
                value: at_start(self.split, exit, phi),
                keep,
            })
        })
        .collect()
    }

    /// Whether lanes may be waiting at a region's head while those of another that leads to it run.
    fn may_be_waited_for(&self, from: usize, to: usize) -> bool {
        let split = self.split;
        if split.is_back(from, to) {
            return false;
        }
        let head = |region: usize| split.regions[region].head();
        let around = split.loops.innermost(head(from));
        let leaves = around.is_some_and(|one| !split.loops.contains(one, head(to)));
        let others = split.regions.iter().enumerate().any(|(number, region)| {
            number != from
                && !split.is_back(number, to)
                && (region.exits.iter()).any(|exit| exit.target == Target::Region(to))
        });
        leaves || others
    }
}

/// What a phi at the end of a way out is at its start.
pub(super) fn at_start<'m>(split: &Split<'m>, exit: &Exit, phi: Value<'m>) -> Value<'m> {
    let number = |value: Value<'m>| split.blocks.number(value.block());
    let mut way = exit.via.as_slice();
    if way.last() == Some(&number(phi)) {
        way = &way[..way.len() - 1];
    }
    let mut value = phi;
    loop {
        let from = way.last().copied().unwrap_or(exit.from);
        value = incoming(value, split.blocks.block(from));
        match way {
            [rest @ .., last]
                // What stands in for an id is a phi as well, elsewhere.
                if value.is(LLVMOpcode::LLVMPHI)
                    && value.block().function() == phi.block().function()
                    && number(value) == *last =>
            {
                way = rest;
            }
            // A value from before the way is the same all along it.
            _ => return value,
        }
    }
}

/// A phi's value for those who come from a block.
pub(super) fn incoming<'m>(phi: Value<'m>, from: Block<'m>) -> Value<'m> {
    phi.incoming()
        .into_iter()
        .find(|(_, block)| *block == from)
        .map_or_else(|| phi.ty().poison(), |(value, _)| value)
}

/// The function's result for those who leave it by a way, as fields where it has several.
pub(super) fn returned<'m>(split: &Split<'m>, exit: &Exit) -> Result<Vec<Value<'m>>, Refusal> {
    let Target::Return = exit.target else {
        return Ok(Vec::new());
    };
    let last = exit.via.last().copied().unwrap_or(exit.from);
    let terminator = split.blocks.block(last).terminator();
    let Some(result) = terminator.operands().first().copied() else {
        return Ok(Vec::new());
    };
    let at_exit = |value: Value<'m>| {
        let passed =
            value.is(LLVMOpcode::LLVMPHI) && exit.via.contains(&split.blocks.number(value.block()));
        if passed {
            at_start(split, exit, value)
        } else {
            value
        }
    };
    let ty = result.ty();
    if ty.field_count() == 0 {
        return Ok(vec![at_exit(result)]);
    }
    let fields = (0..ty.field_count()).map(|index| result.field(index).map(at_exit));
    fields
        .collect::<Option<_>>()
        .ok_or_else(|| Refusal::Type(ty.text()))
}
