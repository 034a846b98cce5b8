//! Divisions that may run where they wouldn't have.
//!
//! LLVM 22's loop vectoriser computes a division whose operands are the same in all iterations for
//! the first lane alone, and under that lane's mask: where the first lane doesn't come to the
//! division, the others take over an undefined value. So no division is left that needs a mask: one
//! by zero, which the kernel never gets to, becomes one by one, and what is signed is done by
//! magnitude. The results of the divisions that the kernel gets to are as they were.

use llvm_sys::{LLVMIntPredicate, LLVMOpcode};

use crate::ir::{Builder, Function, Value};
use crate::target::uniform::is_total;

/// Rewrites all divisions of a function whose divisor isn't a constant.
pub(super) fn make_total(function: Function<'_>) {
    use LLVMOpcode::{LLVMSDiv, LLVMSRem, LLVMUDiv, LLVMURem};
    for division in function.instructions() {
        let operation = match division.opcode() {
            Some(operation @ (LLVMUDiv | LLVMURem | LLVMSDiv | LLVMSRem)) => operation,
            _ => continue,
        };
        if is_total(division) {
            continue;
        }
        let at = Builder::before(division);
        // An undefined divisor has to be one number for all that follows.
        let divisor = at.freeze(division.operand(1));
        if matches!(operation, LLVMUDiv | LLVMURem) {
            division.set_operand(1, one_for_zero(&at, divisor));
            continue;
        }
        let dividend = at.freeze(division.operand(0));
        let (size, negative) = magnitude(&at, dividend);
        let (by, other_negative) = magnitude(&at, divisor);
        let by = one_for_zero(&at, by);
        let (unsigned, minus) = if operation == LLVMSDiv {
            let differ = at.binary(LLVMOpcode::LLVMXor, negative, other_negative);
            (LLVMUDiv, differ)
        } else {
            (LLVMURem, negative)
        };
        let result = at.binary(unsigned, size, by);
        let negated = at.sub(result.ty().zero(), result);
        division.replace_all_uses_with(at.select(minus, negated, result));
        division.erase();
    }
}

fn one_for_zero<'m>(at: &Builder<'m>, divisor: Value<'m>) -> Value<'m> {
    let zero = divisor.ty().zero();
    let none = at.compare(LLVMIntPredicate::LLVMIntEQ, divisor, zero);
    at.select(none, divisor.ty().constant(1), divisor)
}

/// The magnitude of a signed number, and whether it is negative.
fn magnitude<'m>(at: &Builder<'m>, number: Value<'m>) -> (Value<'m>, Value<'m>) {
    let zero = number.ty().zero();
    let negative = at.compare(LLVMIntPredicate::LLVMIntSLT, number, zero);
    let negated = at.sub(zero, number);
    (at.select(negative, negated, number), negative)
}
