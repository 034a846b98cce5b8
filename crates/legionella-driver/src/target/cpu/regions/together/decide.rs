//! Whether a condition holds for all lanes, or for none.

use llvm_sys::LLVMIntPredicate::{self, *};
use llvm_sys::LLVMOpcode;
use llvm_sys::core as c;

use super::super::forms::Form;
use super::code::Writer;
use crate::ir::{self, Builder, Value, llvm};

/// Longest condition that is taken apart.
const DEEPEST: u32 = 6;

impl<'m> Writer<'_, '_, '_, 'm> {
    /// Whether a condition holds for all lanes of all rows, and whether for none.
    pub(super) fn decide(&self, at: &Builder<'m>, test: Value<'m>) -> [Value<'m>; 2] {
        let both = |a, b| at.binary(LLVMOpcode::LLVMAnd, a, b);
        let rows = self.rows(test);
        let further = rows.clone().skip(1);
        let first = self.outcomes(at, test, rows.start, 0);
        further.fold(first, |[all, none], row| {
            let [further, no_further] = self.outcomes(at, test, row, 0);
            [both(all, further), both(none, no_further)]
        })
    }

    /// The same of one row.
    fn outcomes(&self, at: &Builder<'m>, test: Value<'m>, row: u64, depth: u32) -> [Value<'m>; 2] {
        let [and, or] = [LLVMOpcode::LLVMAnd, LLVMOpcode::LLVMOr]
            .map(|opcode| move |a, b| at.binary(opcode, a, b));
        let yes = self.types.i1.constant(1);
        if self.form(test) == Form::Same {
            let test = self.scalar(test, row);
            return [test, at.binary(LLVMOpcode::LLVMXor, test, yes)];
        }
        if let Some(known) = self.compared(at, test, row) {
            return known;
        }
        let constant = |index| test.operand(index).constant_integer();
        let part = |index| self.outcomes(at, test.operand(index), row, depth + 1);
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
        let all = at.cast(LLVMOpcode::LLVMBitCast, self.vector(at, test, row), bits);
        let ones = at.binary(LLVMOpcode::LLVMXor, bits.zero(), bits.constant(u64::MAX));
        [ones, bits.zero()].map(|these| at.compare(LLVMIntEQ, all, these))
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
        let most = ty.constant((u64::MAX >> (64 - width)) - span);
        let (low, bound) = (self.scalar(low, row), self.scalar(bound, row));
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
