//! Whether a condition holds for all lanes, or for none.

use llvm_sys::LLVMIntPredicate::{self, *};
use llvm_sys::LLVMOpcode;
use llvm_sys::core as c;

use super::super::forms::Form;
use super::code::{GROWTH_BOUND, Writer};
use crate::ir::{self, Builder, Value, llvm};

/// Longest condition that is taken apart.
const DEEPEST: u32 = 6;

impl<'m> Writer<'_, '_, '_, 'm> {
    /// Whether a condition holds for all lanes of all rows, and whether for none.
    pub(super) fn decide(&self, at: &Builder<'m>, test: Value<'m>) -> [Value<'m>; 2] {
        self.outcomes_of_rows(at, test, 0)
    }

    fn outcomes_of_rows(&self, at: &Builder<'m>, test: Value<'m>, depth: u32) -> [Value<'m>; 2] {
        let rows = self.rows(test);
        if rows.end == 1 {
            return self.outcomes(at, test, 0, depth);
        }
        if let Some(known) = self.compared_in_rows(at, test) {
            return known;
        }
        let part = |index| self.outcomes_of_rows(at, test.operand(index), depth + 1);
        if let Some(made) = Made::of(test).filter(|_| depth <= DEEPEST) {
            return made.outcomes(at, part);
        }
        let both = |a, b| at.binary(LLVMOpcode::LLVMAnd, a, b);
        let further = rows.clone().skip(1);
        let first = self.outcomes(at, test, rows.start, depth);
        further.fold(first, |[all, none], row| {
            let [further, no_further] = self.outcomes(at, test, row, depth);
            [both(all, further), both(none, no_further)]
        })
    }

    /// The same of one row.
    fn outcomes(&self, at: &Builder<'m>, test: Value<'m>, row: u64, depth: u32) -> [Value<'m>; 2] {
        let yes = self.types.i1.constant(1);
        if self.form(test) == Form::Same {
            let test = self.scalar(test, row);
            return [test, at.binary(LLVMOpcode::LLVMXor, test, yes)];
        }
        if let Some(known) = self.compared(at, test, row) {
            return known;
        }
        let part = |index| self.outcomes(at, test.operand(index), row, depth + 1);
        if let Some(made) = Made::of(test).filter(|_| depth <= DEEPEST) {
            return made.outcomes(at, part);
        }
        let bits = self.types.i8.integer(self.lanes as u32);
        let all = at.cast(LLVMOpcode::LLVMBitCast, self.vector(at, test, row), bits);
        let ones = at.binary(LLVMOpcode::LLVMXor, bits.zero(), bits.constant(u64::MAX));
        [ones, bits.zero()].map(|these| at.compare(LLVMIntEQ, all, these))
    }

    /// Of an index that grows from row to row, compared with what is the same for all: by the first
    /// row's first lane and the last row's last.
    fn compared_in_rows(&self, at: &Builder<'m>, test: Value<'m>) -> Option<[Value<'m>; 2]> {
        if !test.is(LLVMOpcode::LLVMICmp) {
            return None;
        }
        let (left, right) = (test.operand(0), test.operand(1));
        let predicate = llvm!(c::LLVMGetICmpPredicate(test.raw()));
        let (low, bound, predicate) = match (self.rows(left).end, self.rows(right).end) {
            (2.., 1) => (left, right, predicate),
            (1, 2..) => (right, left, mirrored(predicate)),
            _ => return None,
        };
        let span = match (self.form(low), self.form(bound)) {
            (Form::Same, Form::Same) => 0,
            (Form::Step(step), Form::Same) if step < 1 << 32 => self.together.forms.span(step),
            _ => return None,
        };
        let is_known = matches!(predicate, LLVMIntULT | LLVMIntUGE | LLVMIntULE | LLVMIntUGT);
        if !is_known || low.ty().integer_width() != 64 || span >= GROWTH_BOUND {
            return None;
        }
        let span = at.add(self.last_row(at, low)?, self.types.i64.constant(span));
        Some(self.compared_up_to(
            at,
            predicate,
            [self.scalar(low, 0), self.scalar(bound, 0)],
            span,
        ))
    }

    /// The same of an index that grows, compared with what is the same for all.
    fn compared(&self, at: &Builder<'m>, test: Value<'m>, row: u64) -> Option<[Value<'m>; 2]> {
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
        let is_known = matches!(
            predicate,
            LLVMIntULT | LLVMIntUGE | LLVMIntULE | LLVMIntUGT | LLVMIntEQ | LLVMIntNE
        );
        let values = [self.scalar(low, row), self.scalar(bound, row)];
        is_known.then(|| self.compared_up_to(at, predicate, values, ty.constant(span)))
    }

    /// The same of an index of which the first is the least, and the last has so much more, with a bound.
    fn compared_up_to(
        &self,
        at: &Builder<'m>,
        predicate: LLVMIntPredicate,
        [low, bound]: [Value<'m>; 2],
        span: Value<'m>,
    ) -> [Value<'m>; 2] {
        let ty = low.ty();
        let most = ty.constant(u64::MAX >> (64 - ty.integer_width()));
        let grows = || at.compare(LLVMIntULE, low, at.sub(most, span));
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
        match predicate {
            LLVMIntULT => below(),
            LLVMIntUGE => swapped(below()),
            LLVMIntULE => at_most(),
            LLVMIntUGT => swapped(at_most()),
            LLVMIntNE => swapped(equal()),
            _ => equal(),
        }
    }
}

/// A condition that is made of others.
enum Made {
    Not,
    Both(u32),
    Either(u32),
}

impl Made {
    /// How a condition is made of its operand 0 and another.
    fn of(test: Value<'_>) -> Option<Self> {
        let constant = |index| test.operand(index).constant_integer();
        match test.opcode()? {
            LLVMOpcode::LLVMXor if constant(1).is_some_and(|by| by != 0) => Some(Made::Not),
            LLVMOpcode::LLVMAnd => Some(Made::Both(1)),
            LLVMOpcode::LLVMOr => Some(Made::Either(1)),
            LLVMOpcode::LLVMSelect if constant(2) == Some(0) => Some(Made::Both(1)),
            LLVMOpcode::LLVMSelect if constant(1).is_some_and(|by| by != 0) => {
                Some(Made::Either(2))
            }
            _ => None,
        }
    }

    /// Whether it holds for all, and whether for none, by the same of its parts.
    fn outcomes<'m>(
        self,
        at: &Builder<'m>,
        part: impl Fn(u32) -> [Value<'m>; 2],
    ) -> [Value<'m>; 2] {
        let [and, or] = [LLVMOpcode::LLVMAnd, LLVMOpcode::LLVMOr]
            .map(|opcode| move |a, b| at.binary(opcode, a, b));
        let [all, none] = part(0);
        match self {
            Made::Not => [none, all],
            Made::Both(other) => {
                let [other_all, other_none] = part(other);
                [and(all, other_all), or(none, other_none)]
            }
            Made::Either(other) => {
                let [other_all, other_none] = part(other);
                [or(all, other_all), and(none, other_none)]
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
