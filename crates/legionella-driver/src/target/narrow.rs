//! Numbers of 64 bits that fit into 32, as such.
//!
//! Takes optimised code; gives the same with sums, products and comparisons of 32 bits where what is known of
//! their operands says that nothing is lost. Ids and extents of usual launches are such numbers, and on
//! a GPU each operation of 64 bits is two or more. Of tests whether one of several such products is beyond a bound, that of
//! the largest is left: those of the rows above and below an item's are known to be in order.

use std::collections::HashMap;

use inkwell::module::Module;
use llvm_sys::core as c;
use llvm_sys::{LLVMIntPredicate, LLVMOpcode};

use crate::ir::{self, Builder, Function, Type, Types, Value, llvm};

/// How many operations back something may be known from.
const DEPTH: u32 = 12;

/// Narrows what all functions compute.
pub(super) fn narrow(module: &Module<'_>) {
    for function in ir::functions(module) {
        if !function.is_declaration() {
            Narrow {
                types: Types::of(module),
                known: HashMap::new(),
            }
            .function(function);
        }
    }
}

struct Narrow<'m> {
    types: Types<'m>,
    /// The most that values can be.
    known: HashMap<Value<'m>, u64>,
}

impl<'m> Narrow<'m> {
    fn function(&mut self, function: Function<'m>) {
        for instruction in function.instructions() {
            if let Some(narrowed) = self.narrowed(instruction) {
                instruction.replace_all_uses_with(narrowed);
                instruction.erase();
            }
        }
    }

    /// An instruction's value computed with 32 bits, in front of it.
    fn narrowed(&mut self, instruction: Value<'m>) -> Option<Value<'m>> {
        use LLVMOpcode::*;
        let opcode = instruction.opcode()?;
        let i64 = self.types.i64;
        let wide = |value: Value<'m>| value.ty() == i64;
        match opcode {
            LLVMICmp if wide(instruction.operand(0)) => {
                let predicate = llvm!(c::LLVMGetICmpPredicate(instruction.raw()));
                let unsigned = !matches!(
                    predicate,
                    LLVMIntPredicate::LLVMIntSGT
                        | LLVMIntPredicate::LLVMIntSGE
                        | LLVMIntPredicate::LLVMIntSLT
                        | LLVMIntPredicate::LLVMIntSLE
                );
                let [a, b] = [instruction.operand(0), instruction.operand(1)];
                if !unsigned || !self.fits(a) || !self.fits(b) || a.is_constant() {
                    return None;
                }
                let at = Builder::before(instruction);
                let (a, b) = (self.half(&at, a), self.half(&at, b));
                Some(at.compare(predicate, a, b))
            }
            LLVMSelect if instruction.ty() == self.types.i1 => {
                let [first, yes, no] = [0, 1, 2].map(|index| instruction.operand(index));
                match (yes.constant_integer(), no.constant_integer()) {
                    (Some(1), _) => self.later_test(first, no, true),
                    (_, Some(0)) => self.later_test(first, yes, false),
                    _ => None,
                }
            }
            LLVMOr | LLVMAnd if instruction.ty() == self.types.i1 => {
                let [first, second] = [instruction.operand(0), instruction.operand(1)];
                self.later_test(first, second, opcode == LLVMOr)
            }
            LLVMCall if is_maximum(instruction) => {
                let [a, b] = [instruction.operand(0), instruction.operand(1)];
                let at_most = |this: &mut Self, a, b| this.is_at_most(a, b).then_some(b);
                at_most(self, a, b).or_else(|| at_most(self, b, a))
            }
            LLVMAdd | LLVMMul | LLVMAnd | LLVMOr | LLVMXor | LLVMShl | LLVMLShr | LLVMUDiv
            | LLVMURem | LLVMSelect
                if wide(instruction) && self.fits(instruction) =>
            {
                let operands = instruction.operands();
                let numbers = if opcode == LLVMSelect {
                    &operands[1..]
                } else {
                    &operands[..]
                };
                let by = operands[1].constant_integer();
                if matches!(opcode, LLVMShl | LLVMLShr) && by.is_none_or(|by| by >= 32) {
                    return None;
                }
                if !numbers.iter().all(|operand| self.fits(*operand)) {
                    return None;
                }
                let at = Builder::before(instruction);
                let halves: Vec<_> = (numbers.iter())
                    .map(|operand| self.half(&at, *operand))
                    .collect();
                let half = if opcode == LLVMSelect {
                    at.select(operands[0], halves[0], halves[1])
                } else {
                    at.binary(opcode, halves[0], halves[1])
                };
                let most = self.most(instruction, 0);
                let whole = at.zero_extend(half, self.types.i64);
                self.known.insert(whole, most);
                Some(whole)
            }
            _ => None,
        }
    }

    /// Of "this is beyond the bound, or that is", the one that holds whenever the other does; else of "both are within".
    fn later_test(
        &mut self,
        first: Value<'m>,
        second: Value<'m>,
        beyond: bool,
    ) -> Option<Value<'m>> {
        let (one, other) = (test(first)?, test(second)?);
        let alike = one.bound == other.bound && one.or_at == other.or_at;
        if !alike || one.beyond != beyond || other.beyond != beyond {
            return None;
        }
        // Neither is poison unless both are: nothing of what they compute wraps.
        if self.is_at_most(one.number, other.number) {
            Some(second)
        } else if self.is_at_most(other.number, one.number) {
            Some(first)
        } else {
            None
        }
    }

    /// Whether one product is at most another, as both are of one factor, and the other factors are in order.
    fn is_at_most(&mut self, one: Value<'m>, other: Value<'m>) -> bool {
        let mut product = |value: Value<'m>| {
            let fits = value.is(LLVMOpcode::LLVMMul) && {
                let [a, b] = [0, 1].map(|index| self.most(value.operand(index), 0));
                a.checked_mul(b)
                    .is_some_and(|most| most <= most_of(value.ty()))
            };
            fits.then(|| [value.operand(0), value.operand(1)])
        };
        let (Some(one), Some(other)) = (product(one), product(other)) else {
            return false;
        };
        let pairs = [(0, 0), (0, 1), (1, 0), (1, 1)];
        pairs.into_iter().any(|(a, b)| {
            one[a] == other[b] && {
                let (less, more) = (self.beside(one[1 - a]), self.beside(other[1 - b]));
                less.0 == more.0 && less.1 <= more.1
            }
        })
    }

    /// A number as another and what is added to that, which doesn't wrap.
    fn beside(&mut self, number: Value<'m>) -> (Value<'m>, u64) {
        let narrow = |value: Value<'m>| match value.is(LLVMOpcode::LLVMZExt) {
            true => value.operand(0),
            false => value,
        };
        let sum = narrow(number);
        if sum.is(LLVMOpcode::LLVMAdd)
            && let Some(more) = sum.operand(1).constant_integer()
            && let least = self.most(sum.operand(0), 0)
            && least
                .checked_add(more)
                .is_some_and(|most| most <= most_of(sum.ty()))
        {
            return (narrow(sum.operand(0)), more);
        }
        (sum, 0)
    }

    fn fits(&mut self, value: Value<'m>) -> bool {
        self.most(value, 0) <= u64::from(u32::MAX)
    }

    /// The lower half of a number of 64 bits.
    fn half(&self, at: &Builder<'m>, value: Value<'m>) -> Value<'m> {
        if let Some(constant) = value.constant_integer() {
            return self.types.i32.constant(constant);
        }
        if value.is_instruction() && value.is(LLVMOpcode::LLVMZExt) {
            let from = value.operand(0);
            return if from.ty() == self.types.i32 {
                from
            } else {
                at.zero_extend(from, self.types.i32)
            };
        }
        at.truncate(value, self.types.i32)
    }

    /// The most that a value can be, as an unsigned number.
    fn most(&mut self, value: Value<'m>, depth: u32) -> u64 {
        let all = most_of(value.ty());
        if let Some(constant) = value.constant_integer() {
            return constant;
        }
        if !value.is_instruction() || depth > DEPTH {
            return all;
        }
        if let Some(most) = self.known.get(&value) {
            return *most;
        }
        let most = self.most_of_operation(value, depth + 1).min(all);
        if depth == 0 {
            self.known.insert(value, most);
        }
        most
    }

    fn most_of_operation(&mut self, value: Value<'m>, depth: u32) -> u64 {
        use LLVMOpcode::*;
        let mut of = |index: u32| self.most(value.operand(index), depth);
        let bits = |number: u64| {
            number
                .checked_next_power_of_two()
                .map_or(u64::MAX, |p| (p - 1) | number)
        };
        match value.opcode() {
            Some(LLVMZExt) => of(0),
            Some(LLVMAnd) => of(0).min(of(1)),
            Some(LLVMOr | LLVMXor) => bits(of(0).max(of(1))),
            Some(LLVMAdd) => within(value, of(0).saturating_add(of(1))),
            Some(LLVMMul) => within(value, of(0).saturating_mul(of(1))),
            Some(LLVMShl) => match value.operand(1).constant_integer() {
                Some(by @ 0..64) => within(value, of(0).saturating_mul(1 << by)),
                _ => u64::MAX,
            },
            Some(LLVMLShr) => match value.operand(1).constant_integer() {
                Some(by @ 0..64) => of(0) >> by,
                _ => of(0),
            },
            Some(LLVMUDiv) => match value.operand(1).constant_integer() {
                Some(by @ 1..) => of(0) / by,
                _ => of(0),
            },
            Some(LLVMURem) => of(0).min(of(1).saturating_sub(1)),
            Some(LLVMSelect) => of(1).max(of(2)),
            Some(LLVMTrunc) => of(0),
            _ => u64::MAX,
        }
    }
}

/// That a number is beyond a bound, or that it is within.
struct Test<'m> {
    number: Value<'m>,
    bound: Value<'m>,
    beyond: bool,
    /// Or at it.
    or_at: bool,
}

/// What a comparison tests, whose second operand is the bound.
fn test(comparison: Value<'_>) -> Option<Test<'_>> {
    use LLVMIntPredicate::*;
    if !comparison.is(LLVMOpcode::LLVMICmp) {
        return None;
    }
    let [a, b] = [0, 1].map(|index| comparison.operand(index));
    let (beyond, or_at) = match llvm!(c::LLVMGetICmpPredicate(comparison.raw())) {
        LLVMIntUGT => (true, false),
        LLVMIntUGE => (true, true),
        LLVMIntULT => (false, false),
        LLVMIntULE => (false, true),
        _ => return None,
    };
    // Products are what is tested.
    let (number, bound, beyond) = match b.is(LLVMOpcode::LLVMMul) {
        true => (b, a, !beyond),
        false => (a, b, beyond),
    };
    Some(Test {
        number,
        bound,
        beyond,
        or_at,
    })
}

/// Whether an instruction is the larger of two numbers of 64 bits.
fn is_maximum(instruction: Value<'_>) -> bool {
    let called = instruction.called_function().map(Function::name);
    called.as_deref() == Some("llvm.umax.i64")
}

/// The most of a sum or product: `most`, unless it wraps, which may give anything; but what is said to
/// wrap neither as a signed number nor as an unsigned one is no negative number.
fn within(value: Value<'_>, most: u64) -> u64 {
    let all = most_of(value.ty());
    if most <= all {
        return most;
    }
    let flags = llvm!(c::LLVMGetNUW(value.raw()) != 0 && c::LLVMGetNSW(value.raw()) != 0);
    if flags { all / 2 } else { all }
}

fn most_of(ty: Type<'_>) -> u64 {
    match ty.integer_width() {
        bits @ 1..64 => (1 << bits) - 1,
        _ => u64::MAX,
    }
}
