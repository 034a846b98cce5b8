//! Numbers of 64 bits that fit into 32, as such.
//!
//! Takes optimised code; gives the same with sums, products and comparisons of 32 bits where what is known of
//! their operands says that nothing is lost. Ids and extents of usual launches are such numbers, and on
//! a GPU each operation of 64 bits is two or more.

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
