//! How values grow from row to row where rows of a group go side by side.
//!
//! Rows follow each other, and so an index made of the row's id grows by the same for each row: by a
//! number that is fixed for a launch, such as a group's width. Of such values the first row's is
//! computed, and a test is asked of the first and the last row for all of them.
//!
//! A sum grows modulo the numbers that there are. What is cut off below (`i / 16`) grows only if
//! nothing wraps ([`Growths::may_wrap`]), and if all rows have the same below: where rows begin at
//! multiples of what is cut off, as with [`Forms`].

use std::collections::{HashMap, HashSet};

use legionella_abi::intrinsic;
use llvm_sys::core as c;
use llvm_sys::{LLVMOpcode, LLVMTypeKind};

use super::forms::{Form, Forms, is_sum};
use super::rows::{Rows, is_row};
use super::sharing::is_lane_id;
use crate::ir::{Type, Value, llvm};
use crate::target::uniform::computable;

/// How much each row has more than the one before: a number that is fixed for all rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Growth<'m> {
    One,
    Times(Box<Growth<'m>>, Value<'m>),
    Scaled(Box<Growth<'m>>, u64),
    /// Shifted to the right.
    Cut(Box<Growth<'m>>, u64),
}

/// The growth of values, all of 64 bits or addresses.
#[derive(Default)]
pub(super) struct Growths<'m> {
    /// `None` if it isn't known.
    growths: HashMap<Value<'m>, Option<Growth<'m>>>,
}

impl<'m> Growths<'m> {
    pub(super) fn get(&self, value: Value<'m>) -> Option<&Growth<'m>> {
        self.growths.get(&value)?.as_ref()
    }

    /// Whether any value is taken to grow that is cut off below.
    pub(super) fn any_is_cut(&self) -> bool {
        self.growths.keys().any(|value| self.may_wrap(*value))
    }

    /// Whether a value grows only if what it is made of doesn't wrap.
    pub(super) fn may_wrap(&self, value: Value<'m>) -> bool {
        value.is(LLVMOpcode::LLVMLShr) && self.get(value).is_some()
    }

    /// Of values in the order of a function, of which `rows` vary.
    pub(super) fn of(
        instructions: &[Value<'m>],
        rows: &Rows<'m>,
        low: &Low<'m>,
        forms: &Forms<'m>,
        size: impl Fn(Type<'m>) -> u64,
    ) -> Self {
        let mut search = Search {
            rows,
            low,
            forms,
            fixed: fixed(instructions, low),
            size,
            all: Growths::default(),
        };
        let varying = instructions.iter().copied();
        let varying: Vec<_> = varying.filter(|value| rows.vary(*value)).collect();
        let mut changed = true;
        while changed {
            changed = false;
            for &value in &varying {
                let Some(new) = search.growth(value) else {
                    continue;
                };
                let old = search.all.growths.get(&value);
                let growth = if old.is_some_and(|old| *old != new) {
                    None
                } else {
                    new
                };
                if old != Some(&growth) {
                    search.all.growths.insert(value, growth);
                    changed = true;
                }
            }
        }
        search.all
    }
}

struct Search<'a, 'm, S> {
    rows: &'a Rows<'m>,
    low: &'a Low<'m>,
    forms: &'a Forms<'m>,
    fixed: HashSet<Value<'m>>,
    size: S,
    all: Growths<'m>,
}

impl<'m, S: Fn(Type<'m>) -> u64> Search<'_, 'm, S> {
    /// Whether a value differs from row to row, and nothing has been found out of it yet.
    fn is_ahead(&self, value: Value<'m>) -> bool {
        self.rows.vary(value) && !self.all.growths.contains_key(&value)
    }

    /// What is known of a value's growth by now; `None` if nothing is.
    fn growth(&self, value: Value<'m>) -> Option<Option<Growth<'m>>> {
        use LLVMOpcode::*;
        let fits = value.ty().integer_width() == 64
            || value.ty().kind() == LLVMTypeKind::LLVMPointerTypeKind;
        if !fits || self.forms.get(value) == Form::Each {
            return Some(None);
        }
        if value.is(LLVMPHI) {
            let incoming = value.incoming().into_iter().map(|(other, _)| other);
            let known = incoming.filter(|other| !self.is_ahead(*other));
            let mut known = known.map(|other| self.all.get(other).cloned());
            let first = known.next()?;
            return Some(first.filter(|first| known.all(|other| other.as_ref() == Some(first))));
        }
        if value.operands().into_iter().any(|one| self.is_ahead(one)) {
            return None;
        }
        Some(self.made(value))
    }

    /// The growth of what is computed.
    fn made(&self, value: Value<'m>) -> Option<Growth<'m>> {
        use LLVMOpcode::*;
        let vary = |index| self.rows.vary(value.operand(index));
        let of = |index| self.all.get(value.operand(index)).cloned();
        let constant = |index| value.operand(index).constant_integer();
        let either = || match (vary(0), vary(1)) {
            (true, false) => of(0),
            (false, true) => of(1),
            _ => None,
        };
        match value.opcode()? {
            LLVMCall if is_row(value) => Some(Growth::One),
            LLVMCall if is_sum(value) && grows_by_lane(value, self.forms) => either(),
            LLVMAdd => either(),
            LLVMSub if !vary(1) => of(0),
            LLVMOr if llvm!(c::LLVMGetIsDisjoint(value.raw())) != 0 => either(),
            LLVMMul => {
                let by = value.operand(u32::from(vary(0)));
                if let Some(by) = by.constant_integer() {
                    return Some(Growth::Scaled(Box::new(either()?), by));
                }
                let is_fixed = !by.is_instruction() || self.fixed.contains(&by);
                is_fixed.then_some(Growth::Times(Box::new(either()?), by))
            }
            LLVMShl => {
                let by = constant(1).filter(|by| *by < 64)?;
                Some(Growth::Scaled(Box::new(of(0)?), 1 << by))
            }
            LLVMLShr => {
                let by = constant(1).filter(|by| *by < 64)?;
                let same = u64::from(self.low.same(value.operand(0))) >= by;
                same.then_some(Growth::Cut(Box::new(of(0)?), by))
            }
            LLVMGetElementPtr if value.operands().len() == 2 => {
                if !vary(1) {
                    return of(0);
                }
                let element = llvm!(c::LLVMGetGEPSourceElementType(value.raw()));
                let size = (self.size)(Type::from_raw(element));
                Some(Growth::Scaled(Box::new(either()?), size))
            }
            _ => None,
        }
    }
}

/// Values that are computed before all rows: of arguments, and of what is the same for all.
fn fixed<'m>(instructions: &[Value<'m>], low: &Low<'m>) -> HashSet<Value<'m>> {
    let mut fixed = HashSet::new();
    for &value in instructions {
        let known = computable(value) && !is_lane_id(value) && !low.any.vary(value)
            || value.is(LLVMOpcode::LLVMLoad) && value.operand(0).is_address_in_parameter();
        let is_fixed = |one: Value<'m>| !one.is_instruction() || fixed.contains(&one);
        if known && value.operands().into_iter().all(is_fixed) {
            fixed.insert(value);
        }
    }
    fixed
}

/// How many of their lowest bits values have in common in all rows.
pub(super) struct Low<'m> {
    /// What differs by any bit.
    any: Rows<'m>,
    same: HashMap<Value<'m>, u32>,
}

impl<'m> Low<'m> {
    pub(super) fn of(instructions: &[Value<'m>], any: Rows<'m>, forms: &Forms<'m>) -> Self {
        let mut low = Low {
            any,
            same: HashMap::new(),
        };
        let mut changed = true;
        while changed {
            changed = false;
            for &value in instructions.iter().filter(|value| low.any.vary(**value)) {
                let known = low.same(value);
                // Where lanes differ by nothing that is known, the first tells nothing of the others.
                let zeros = match forms.get(value) {
                    Form::Each => 0,
                    Form::Same | Form::Step(_) => forms.zeros(value),
                };
                let same = low.same_of(value, forms).max(zeros).min(known);
                if same != known || !low.same.contains_key(&value) {
                    changed |= same != known;
                    low.same.insert(value, same);
                }
            }
        }
        low
    }

    pub(super) fn same(&self, value: Value<'m>) -> u32 {
        self.same.get(&value).copied().unwrap_or(u64::BITS)
    }

    fn same_of(&self, value: Value<'m>, forms: &Forms<'m>) -> u32 {
        use LLVMOpcode::*;
        let of = |index| self.same(value.operand(index));
        match value.opcode() {
            Some(LLVMAdd | LLVMSub | LLVMMul | LLVMAnd | LLVMOr | LLVMXor) => of(0).min(of(1)),
            // One that saturates has all ones, and then rows part, if it grows from lane to lane.
            Some(LLVMCall) if is_sum(value) && grows_by_lane(value, forms) => of(0).min(of(1)),
            Some(LLVMShl) => match value.operand(1).constant_integer() {
                Some(by) => of(0).saturating_add(by as u32).min(u64::BITS),
                None => 0,
            },
            Some(LLVMTrunc) => of(0),
            Some(LLVMPHI) => {
                let incoming = value.incoming().into_iter();
                let same = incoming.map(|(other, _)| self.same(other));
                same.min().unwrap_or(0)
            }
            _ => 0,
        }
    }

    /// Whether all rows have the same of a value of which only low bits are left.
    pub(super) fn is_cut_to_same(&self, value: Value<'m>) -> bool {
        value.is(LLVMOpcode::LLVMAnd)
            && value
                .operand(1)
                .constant_integer()
                .is_some_and(|mask| u64::BITS - mask.leading_zeros() <= self.same(value.operand(0)))
    }
}

/// Whether each lane has more than the one before, by the same.
fn grows_by_lane<'m>(value: Value<'m>, forms: &Forms<'m>) -> bool {
    matches!(forms.get(value), Form::Step(_))
}

/// Names of the ids that rows have.
pub(super) const ROW_IDS: [&str; 2] = [intrinsic::GLOBAL_ID, intrinsic::LOCAL_ID];
