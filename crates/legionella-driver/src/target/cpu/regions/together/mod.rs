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

mod code;
mod decide;
mod values;

use std::collections::{BTreeSet, HashMap};

use llvm_sys::LLVMOpcode;

use super::crossings::returned;
use super::forms::{Form, Forms, is_sum};
use super::rows::{self, Rows};
use super::sharing::{is_lane_id, may_write};
use super::split::{Exit, Split, Target};
use super::vectors::{is_vectorised, storage};
use crate::ir::{self, Block, Function, Type, Value};
use crate::target::uniform::computable;

pub(super) use code::{Beside, build, build_side};

/// Marks stores of what only the group's first item is asked for.
pub(in super::super) const FIRST_MATTERS: &str = "legionella.first";

/// Most instructions of a function that is there twice.
const MOST_INSTRUCTIONS: usize = 1200;

/// How often lanes stay together where they may part, and how often not: that is an estimate, by which
/// LLVM lays out code and computes what only lanes apart need with them.
pub(in super::super) const MOSTLY: [u32; 2] = [1 << 16, 1];

/// What lanes that stay together can run.
pub(super) struct Together<'m> {
    pub(super) forms: Forms<'m>,
    /// By region, whether there is code of it for them.
    plain: Vec<bool>,
    /// The same for rows side by side, and what differs from row to row, if there is such code.
    side: Vec<bool>,
    pub(super) rows: Option<Rows<'m>>,
}

/// Whether lanes may part at an instruction.
fn may_part<'m>(value: Value<'m>, forms: &Forms<'m>, rows: Option<&Rows<'m>>) -> bool {
    let differs =
        |value| forms.get(value) != Form::Same || rows.is_some_and(|rows| rows.vary(value));
    value.successors_differ() && differs(value.operand(0))
        || is_sum(value) && forms.get(value) != Form::Same
        || rows.is_some_and(|rows| rows.growths.may_wrap(value))
}

/// Begins blocks where lanes may part behind something that writes; gives those that are to be heads
/// of regions.
pub(super) fn prepare<'m>(
    function: Function<'m>,
    lanes: u64,
    has_rows: bool,
    size: impl Fn(Type<'m>) -> u64,
) -> BTreeSet<Block<'m>> {
    let Some(blocks) = ir::flow::Blocks::of(function) else {
        return BTreeSet::new();
    };
    let flow = blocks.flow();
    let Ok(loops) = ir::flow::Loops::of(flow) else {
        return BTreeSet::new();
    };
    let order: Vec<_> = loops
        .order()
        .iter()
        .map(|number| blocks.block(*number))
        .collect();
    let forms = Forms::of(&order, lanes, &size);
    let rows = rows_of(&order, has_rows, &forms, &size);
    let mut points = Vec::new();
    // Whether something was written since the last head, at the end of each block.
    let mut written = HashMap::new();
    for &number in loops.order() {
        let from = flow.predecessors(number).iter();
        let begins_loop = loops.all().any(|one| loops.header(one) == number);
        let mut dirty = !begins_loop
            && (from.copied()).any(|from| written.get(&from).copied().unwrap_or_default());
        for value in blocks.block(number).instructions() {
            if dirty && may_part(value, &forms, rows.as_ref()) {
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
        has_rows: bool,
        size: impl Fn(Type<'m>) -> u64,
    ) -> Option<Self> {
        let blocks: Vec<_> = (split.loops.order().iter())
            .map(|number| split.blocks.block(*number))
            .collect();
        let count: usize = blocks.iter().map(|block| block.instructions().len()).sum();
        if count > MOST_INSTRUCTIONS {
            return None;
        }
        let forms = Forms::of(&blocks, lanes, &size);
        let plain = |rows: Option<&Rows<'m>>| -> Vec<bool> {
            let all = 0..split.regions.len();
            all.map(|region| is_plain(split, region, &forms, rows))
                .collect()
        };
        let rows = rows_of(&blocks, has_rows, &forms, &size);
        let side = plain(rows.as_ref());
        let rows = rows.filter(|_| side[0]);
        let plain = plain(None);
        plain[0].then_some(Together {
            forms,
            plain,
            side,
            rows,
        })
    }

    /// Whether any of it rests on sizes, in the first dimension, that are multiples of the lanes.
    pub(super) fn is_on_sizes(&self) -> bool {
        self.forms.on_sizes || self.rows.as_ref().is_some_and(|rows| rows.on_sizes)
    }

    /// How many regions there is code of.
    pub(super) fn count(&self) -> usize {
        self.plain.iter().filter(|plain| **plain).count()
    }
}

/// What differs from row to row of a function that is there for rows side by side, if it is worth it.
fn rows_of<'m>(
    blocks: &[Block<'m>],
    has_rows: bool,
    forms: &Forms<'m>,
    size: impl Fn(Type<'m>) -> u64,
) -> Option<Rows<'m>> {
    let instructions = || blocks.iter().flat_map(|block| block.instructions());
    let fits = instructions().count() <= rows::MOST_INSTRUCTIONS
        && !instructions().any(|instruction| instruction.is(LLVMOpcode::LLVMAlloca));
    (has_rows && fits).then(|| Rows::side_by_side(blocks, forms, size))
}

/// Whether there is code of a region for lanes that stay together.
fn is_plain<'m>(
    split: &Split<'m>,
    number: usize,
    forms: &Forms<'m>,
    rows: Option<&Rows<'m>>,
) -> bool {
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
            if dirty && may_part(value, forms, rows) || !is_supported(value, forms, rows) {
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

fn is_supported<'m>(value: Value<'m>, forms: &Forms<'m>, rows: Option<&Rows<'m>>) -> bool {
    use LLVMOpcode::*;
    let form = forms.get(value);
    let fits = |ty: Type<'m>| storage(ty).is_some();
    match value.opcode() {
        Some(LLVMBr | LLVMRet) => true,
        Some(LLVMSwitch) => {
            let by = value.operand(0);
            forms.get(by) == Form::Same && !rows.is_some_and(|rows| rows.vary(by))
        }
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
