//! Rows of a group that go through its code side by side.
//!
//! What a row costs beside its items' arithmetic (loop counters, tests, addresses, what all items load)
//! is paid once for several rows, and their arithmetic overlaps. Here stands which values differ from
//! row to row, and where rows that come apart leave what they have, each to go on by itself. Knows
//! nothing of the code that they run.

use std::collections::{HashMap, HashSet};

use llvm_sys::LLVMOpcode;

use super::super::items::Ids;
use super::build::{ALIGNMENT, Place};
use super::forms::{Form, Forms};
use super::growth::{Growths, Low, ROW_IDS};
use crate::ir::{Block, Builder, Type, Types, Value};

/// How many rows go side by side, the most of them first: as many as have their sums in registers, and
/// few where there are fewer. `sums` are values that each row has from turn to turn of a loop.
fn counts(lanes: u64, sums: usize) -> Vec<u64> {
    /// Registers for what a row doesn't keep.
    const OTHERS: u64 = 8;
    const COUNTS: [u64; 2] = [16, 8];
    const FEWEST: u64 = 4;
    // Of vectors of 64 bytes machines have twice as many.
    let registers = if lanes < 16 { 16 } else { 32 };
    let fits = |rows: &u64| rows * sums.max(1) as u64 + OTHERS <= registers;
    let more = COUNTS.into_iter().filter(fits);
    more.chain([FEWEST]).collect()
}

/// Most instructions of a function whose code is there for so many rows as well.
pub(super) const MOST_INSTRUCTIONS: usize = 300;

/// Which values differ from row to row where all items go the same way.
#[derive(Default)]
pub(super) struct Rows<'m> {
    vary: HashSet<Value<'m>>,
    /// How many go side by side, the most first.
    pub(super) counts: Vec<u64>,
    pub(super) growths: Growths<'m>,
    /// Whether any of this rests on sizes, in the first dimension, that are multiples of the lanes.
    pub(super) on_sizes: bool,
}

impl<'m> Rows<'m> {
    /// Of the values in some blocks of a function; what comes from elsewhere is the same for all.
    pub(super) fn of(blocks: &[Block<'m>]) -> Self {
        let mut rows = Rows::default();
        rows.spread(&instructions(blocks), is_row_id, |_| false);
        rows
    }

    /// The same of blocks in order, the headers of loops first, where all lanes are at one place and sizes are multiples of them, by
    /// which more is known.
    pub(super) fn side_by_side(
        blocks: &[Block<'m>],
        forms: &Forms<'m>,
        size: impl Fn(Type<'m>) -> u64,
    ) -> Self {
        let all = instructions(blocks);
        let low = Low::of(&all, Rows::of(blocks), forms);
        let mut rows = Rows::default();
        // All are of one plane.
        rows.spread(&all, is_row, |value| low.is_cut_to_same(value));
        let is_own = |value: &Value<'m>| forms.get(*value) == Form::Each && rows.vary(*value);
        let sums = blocks.iter().enumerate().flat_map(|(number, block)| {
            let comes_back = move |phi: &Value<'m>| {
                let incoming = phi.incoming().into_iter();
                incoming
                    .map(|(_, from)| from)
                    .any(|from| blocks[number..].contains(&from))
            };
            block.phis().into_iter().filter(comes_back)
        });
        rows.counts = counts(forms.lanes(), sums.filter(is_own).count());
        rows.growths = Growths::of(&all, &rows, &low, forms, size);
        rows.on_sizes =
            rows.growths.any_is_cut() || all.iter().any(|value| low.is_cut_to_same(*value));
        rows
    }

    /// Finds what differs, but for some values that don't although they are made of what does.
    fn spread(
        &mut self,
        instructions: &[Value<'m>],
        begins: impl Fn(Value<'m>) -> bool,
        but: impl Fn(Value<'m>) -> bool,
    ) {
        let mut changed = true;
        while changed {
            changed = false;
            for &value in instructions {
                let varies = begins(value)
                    || value.is(LLVMOpcode::LLVMAlloca)
                    || value.operands().into_iter().any(|one| self.vary(one));
                changed |= varies && !but(value) && self.vary.insert(value);
            }
        }
    }

    pub(super) fn vary(&self, value: Value<'m>) -> bool {
        self.vary.contains(&value)
    }
}

fn instructions<'m>(blocks: &[Block<'m>]) -> Vec<Value<'m>> {
    let blocks = blocks.iter();
    blocks.flat_map(|block| block.instructions()).collect()
}

/// Whether a call asks for the item's row in its plane.
pub(super) fn is_row(call: Value<'_>) -> bool {
    is_row_id(call) && call.operand(0).constant_integer() == Some(1)
}

/// Whether a call asks for an id that is of the item's row or plane.
fn is_row_id(value: Value<'_>) -> bool {
    value.is(LLVMOpcode::LLVMCall)
        && (value.called_function())
            .is_some_and(|function| ROW_IDS.contains(&function.name().as_str()))
        && value.operand(0).constant_integer() != Some(0)
}

/// Where code for rows side by side goes, and what it is given.
#[derive(Clone, Copy)]
pub(in super::super) struct Beginning<'m> {
    pub(in super::super) count: u64,
    /// Where it is built.
    pub(in super::super) block: Block<'m>,
    /// Ids of the first row's first lane.
    pub(in super::super) ids: Ids<'m>,
    /// Where it goes when all have ended.
    pub(in super::super) over: Block<'m>,
    /// Where it goes when they come apart: the rows resume one after the other.
    pub(in super::super) apart: Block<'m>,
}

/// All code for rows side by side, and which row of them goes by itself.
pub(in super::super) struct Side<'a, 'm> {
    pub(in super::super) begins: &'a [Beginning<'m>],
    /// Whether the row of the site resumes, and which of those side by side it is.
    pub(in super::super) resumes: Value<'m>,
    pub(in super::super) row: Value<'m>,
}

/// Memory for what rows have that have come apart.
pub(super) struct Parked<'m> {
    /// By slot: an element for each row.
    slots: Vec<(Value<'m>, Type<'m>)>,
    /// The region that they are at.
    region: Value<'m>,
    types: Types<'m>,
}

impl<'m> Parked<'m> {
    /// `slots` are what lanes keep, and whether they share it.
    pub(super) fn new(
        start: &Builder<'m>,
        types: Types<'m>,
        rows: u64,
        lanes: u64,
        slots: impl Iterator<Item = (Place<'m>, bool)>,
    ) -> Self {
        let slots = slots.map(|(place, shared)| {
            let element = if shared {
                place.storage
            } else {
                place.storage.array(lanes)
            };
            (start.alloca(element.array(rows), ALIGNMENT), element)
        });
        Parked {
            slots: slots.collect(),
            region: start.alloca(types.i32, 4),
            types,
        }
    }

    /// Where a row has a slot's value.
    pub(super) fn slot(&self, at: &Builder<'m>, slot: usize, row: Value<'m>) -> Value<'m> {
        let (memory, element) = self.slots[slot];
        at.element(element, memory, row)
    }

    pub(super) fn set_region(&self, at: &Builder<'m>, region: Value<'m>) {
        at.store(region, self.region);
    }

    pub(super) fn region(&self, at: &Builder<'m>) -> Value<'m> {
        at.load(self.types.i32, self.region)
    }
}

/// What values are in each of the rows: one value if it is the same in all.
#[derive(Default)]
pub(super) struct PerRow<'m>(HashMap<Value<'m>, Vec<Value<'m>>>);

impl<'m> PerRow<'m> {
    pub(super) fn get(&self, value: Value<'m>, row: u64) -> Option<Value<'m>> {
        let all = self.0.get(&value)?;
        Some(*all.get(row as usize).unwrap_or(&all[0]))
    }

    pub(super) fn insert(&mut self, value: Value<'m>, is: Vec<Value<'m>>) {
        self.0.insert(value, is);
    }

    /// Of the next row, from the first on.
    pub(super) fn push(&mut self, value: Value<'m>, is: Value<'m>) {
        self.0.entry(value).or_default().push(is);
    }
}
