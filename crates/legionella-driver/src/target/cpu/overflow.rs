//! Arithmetic that tells whether it overflowed, as arithmetic that can be vectorised.
//!
//! LLVM's operations for it give a pair, which its loop vectoriser doesn't take. Each has a form of
//! plain operations; on a processor's scalars it is slower, so it is for code that becomes vectors.

use llvm_sys::core as c;
use llvm_sys::{LLVMIntPredicate, LLVMOpcode};

use crate::ir::{Builder, Function, Value, llvm};

/// What is computed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Add,
    Sub,
    Mul,
}

/// What a call computes, and whether its operands are signed.
fn kind(value: Value<'_>) -> Option<(Kind, bool)> {
    let name = value.called_function()?.name();
    let name = name.strip_prefix("llvm.")?;
    let (operation, _) = name.split_once(".with.overflow.")?;
    let kind = match &operation[1..] {
        "add" => Kind::Add,
        "sub" => Kind::Sub,
        "mul" => Kind::Mul,
        _ => return None,
    };
    Some((kind, operation.starts_with('s')))
}

/// Whether a value is a pair that [`expand`] does away with.
pub(super) fn is_pair(value: Value<'_>) -> bool {
    let taken_apart = |user: Value<'_>| user.is(LLVMOpcode::LLVMExtractValue);
    kind(value).is_some()
        && matches!(value.operand(0).ty().integer_width(), 1..=32 | 64)
        && value.users().into_iter().all(taken_apart)
}

/// Whether a value is a part of such a pair.
pub(super) fn is_part(value: Value<'_>) -> bool {
    value.is(LLVMOpcode::LLVMExtractValue) && is_pair(value.operand(0))
}

/// Whether there is any.
pub(super) fn occurs(function: Function<'_>) -> bool {
    function.instructions().into_iter().any(is_pair)
}

/// Puts plain operations in place of all of them.
pub(super) fn expand(function: Function<'_>) {
    let mut pairs = function.instructions();
    pairs.retain(|value| is_pair(*value));
    for pair in pairs {
        let Some((kind, signed)) = kind(pair) else {
            continue;
        };
        let at = Builder::before(pair);
        let [a, b] = [0, 1].map(|index| pair.operand(index));
        let (result, overflow) = match (kind, signed) {
            (Kind::Mul, signed) => product(&at, a, b, signed),
            (Kind::Add, false) => {
                let sum = at.binary(LLVMOpcode::LLVMAdd, a, b);
                (sum, at.compare(LLVMIntPredicate::LLVMIntULT, sum, a))
            }
            (Kind::Sub, false) => {
                let difference = at.sub(a, b);
                (difference, at.compare(LLVMIntPredicate::LLVMIntULT, a, b))
            }
            // Of one sign, and the sum is of another.
            (Kind::Add, true) => {
                let sum = at.binary(LLVMOpcode::LLVMAdd, a, b);
                (sum, both_differ(&at, (sum, a), (sum, b)))
            }
            (Kind::Sub, true) => {
                let difference = at.sub(a, b);
                (difference, both_differ(&at, (a, b), (difference, a)))
            }
        };
        for part in pair.users() {
            let index = llvm!(*c::LLVMGetIndices(part.raw()));
            part.replace_all_uses_with(if index == 0 { result } else { overflow });
            part.erase();
        }
        pair.erase();
    }
}

/// Whether the numbers of both pairs have different signs.
fn both_differ<'m>(
    at: &Builder<'m>,
    one: (Value<'m>, Value<'m>),
    other: (Value<'m>, Value<'m>),
) -> Value<'m> {
    let differ = |(a, b)| at.binary(LLVMOpcode::LLVMXor, a, b);
    let both = at.binary(LLVMOpcode::LLVMAnd, differ(one), differ(other));
    at.compare(LLVMIntPredicate::LLVMIntSLT, both, both.ty().zero())
}

/// A product, and whether it doesn't fit.
fn product<'m>(
    at: &Builder<'m>,
    a: Value<'m>,
    b: Value<'m>,
    signed: bool,
) -> (Value<'m>, Value<'m>) {
    let ty = a.ty();
    let bits = ty.integer_width();
    if bits <= 32 {
        let wide = ty.integer(64);
        let widen = if signed {
            LLVMOpcode::LLVMSExt
        } else {
            LLVMOpcode::LLVMZExt
        };
        let [long_a, long_b] = [a, b].map(|value| at.cast(widen, value, wide));
        let long = at.mul(long_a, long_b);
        let result = at.cast(LLVMOpcode::LLVMTrunc, long, ty);
        let again = at.cast(widen, result, wide);
        let differs = at.compare(LLVMIntPredicate::LLVMIntNE, again, long);
        return (result, differs);
    }
    if !signed {
        return wide_product(at, a, b);
    }
    let zero = ty.zero();
    let is_negative = |value| at.compare(LLVMIntPredicate::LLVMIntSLT, value, zero);
    let size = |value| at.select(is_negative(value), at.sub(zero, value), value);
    let (size, too_large) = wide_product(at, size(a), size(b));
    let minus = at.binary(LLVMOpcode::LLVMXor, is_negative(a), is_negative(b));
    let result = at.select(minus, at.sub(zero, size), size);
    // What is more than the largest number has another sign than it should, if it isn't zero.
    let none = at.compare(LLVMIntPredicate::LLVMIntEQ, size, zero);
    let wrong = at.binary(LLVMOpcode::LLVMXor, is_negative(result), minus);
    let wrong = at.select(none, wrong.ty().zero(), wrong);
    (result, at.binary(LLVMOpcode::LLVMOr, too_large, wrong))
}

/// A product of unsigned numbers of 64 bits, from those of their halves.
fn wide_product<'m>(at: &Builder<'m>, a: Value<'m>, b: Value<'m>) -> (Value<'m>, Value<'m>) {
    let ty = a.ty();
    let half = ty.constant(32);
    let mask = ty.constant(u64::MAX >> 32);
    let high = |value| at.binary(LLVMOpcode::LLVMLShr, value, half);
    let low = |value| at.binary(LLVMOpcode::LLVMAnd, value, mask);
    let exists = |value: Value<'m>| at.compare(LLVMIntPredicate::LLVMIntNE, value, ty.zero());
    let both = at.binary(LLVMOpcode::LLVMAnd, exists(high(a)), exists(high(b)));
    // If one of them is zero, the sum of the mixed products is one of them.
    let mixed = [at.mul(high(a), low(b)), at.mul(low(a), high(b))];
    let mixed = at.binary(LLVMOpcode::LLVMOr, mixed[0], mixed[1]);
    let lowest = at.mul(low(a), low(b));
    let shifted = at.binary(LLVMOpcode::LLVMShl, mixed, half);
    let sum = at.binary(LLVMOpcode::LLVMAdd, lowest, shifted);
    let carry = at.compare(LLVMIntPredicate::LLVMIntULT, sum, lowest);
    let lost = at.binary(LLVMOpcode::LLVMOr, both, exists(high(mixed)));
    // The product is that of the whole numbers, whatever was lost of the sum.
    (at.mul(a, b), at.binary(LLVMOpcode::LLVMOr, lost, carry))
}
