//! The one thing that crates write in assembly because Rust has no operation for it: x86's division
//! of two words by one. Recognised as the compiler writes it down, and replaced by a division that
//! every target has.

use inkwell::module::Module;
use legionella_abi::intrinsic;
use llvm_sys::core as c;
use llvm_sys::{LLVMIntPredicate, LLVMLinkage, LLVMOpcode};

use super::panics;
use crate::ir::{self, Builder, Function, Type, Types, Value, debug, llvm};

/// `div`, whose operand is what follows the two results. Intel SDM, volume 2, "DIV".
const TEXT: &str = "div ${2:q}";

/// Operands when the quotient comes first, and when the remainder does: both results, the divisor,
/// and what is divided, in the registers of the results.
const QUOTIENT_FIRST: &str = "=&{ax},=&{dx},r,0,1";
const REMAINDER_FIRST: &str = "=&{dx},=&{ax},r,0,1";

/// Replaces all divisions by assembly. Where the processor would fault, since the quotient doesn't
/// fit, the work-item panics as Rust's own division does.
pub(super) fn bind(module: &Module<'_>) {
    let types = Types::of(module);
    for function in ir::functions(module) {
        for call in function.instructions() {
            if let Some(order) = call.callee().and_then(order) {
                divide(module, call, order, &types);
            }
        }
    }
}

/// Which result comes first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Quotient,
    Remainder,
}

fn order(callee: Value<'_>) -> Option<Order> {
    let (text, constraints) = callee.inline_assembly()?;
    // What it clobbers follows the operands.
    let is = |operands: &str| {
        constraints
            .strip_prefix(operands)
            .is_some_and(only_clobbers)
    };
    if text.trim() != TEXT {
        None
    } else if is(QUOTIENT_FIRST) {
        Some(Order::Quotient)
    } else if is(REMAINDER_FIRST) {
        Some(Order::Remainder)
    } else {
        None
    }
}

fn only_clobbers(constraints: &str) -> bool {
    constraints
        .split(',')
        .all(|part| part.is_empty() || part.starts_with("~{"))
}

/// Puts a call of [`division`] in the place of the assembly.
fn divide<'m>(module: &'m Module<'_>, call: Value<'m>, order: Order, types: &Types<'m>) {
    let (divisor, high, low) = match order {
        Order::Quotient => (call.operand(0), call.operand(2), call.operand(1)),
        Order::Remainder => (call.operand(0), call.operand(1), call.operand(2)),
    };
    let frames = debug::frames(call);
    let source = frames.into_iter().next().and_then(|frame| frame.source);
    let report = panics::report(module, "attempt to divide with overflow", source.as_ref());
    let at = Builder::before(call);
    let both = at.call(division(module, types), &[high, low, divisor, report]);
    let both = match order {
        Order::Quotient => both,
        Order::Remainder => {
            let swapped = at.with(call.ty().poison(), 0, at.extract(both, 1));
            at.with(swapped, 1, at.extract(both, 0))
        }
    };
    call.replace_all_uses_with(both);
    call.erase();
}

/// `fn(high, low, divisor, report) -> { quotient, remainder }`, which panics with the report where
/// the quotient has more than 64 bits.
fn division<'m>(module: &'m Module<'_>, types: &Types<'m>) -> Function<'m> {
    const NAME: &str = "legionella.divide_two_words";
    if let Some(division) = ir::function(module, NAME) {
        return division;
    }
    let word = types.i64;
    let both = Type::structure(&[word, word], word);
    let division = ir::declare(module, NAME, both, &[word, word, word, types.ptr]);
    division.set_linkage(LLVMLinkage::LLVMInternalLinkage);
    division.add_attribute("alwaysinline");
    let parameters = division.parameters();
    let [high, low, divisor, report] = parameters[..] else {
        unreachable!("the function was declared with four parameters");
    };
    let start = Builder::at_end(division.append_block("start"));
    let overflow = division.append_block("overflow");
    let fits = division.append_block("fits");
    // Also if the divisor is 0.
    let too_large = start.compare(LLVMIntPredicate::LLVMIntUGE, high, divisor);
    start.branch_if(too_large, overflow, fits);

    let at = Builder::at_end(overflow);
    let panic = ir::declare(module, intrinsic::PANIC, types.void, &[types.ptr]);
    at.call(panic, &[report]);
    at.unreachable();

    let at = Builder::at_end(fits);
    let double = Type::from_raw(llvm!(c::LLVMInt128TypeInContext(c::LLVMGetTypeContext(
        word.raw()
    ))));
    let shifted = at.binary(
        LLVMOpcode::LLVMShl,
        at.cast(LLVMOpcode::LLVMZExt, high, double),
        double.constant(64),
    );
    let low_half = at.cast(LLVMOpcode::LLVMZExt, low, double);
    let dividend = at.binary(LLVMOpcode::LLVMOr, shifted, low_half);
    let by = at.cast(LLVMOpcode::LLVMZExt, divisor, double);
    let quotient = at.binary(LLVMOpcode::LLVMUDiv, dividend, by);
    let quotient = at.cast(LLVMOpcode::LLVMTrunc, quotient, word);
    let remainder = at.sub(low, at.mul(quotient, divisor));
    let result = at.with(both.poison(), 0, quotient);
    at.ret(Some(at.with(result, 1, remainder)));
    division
}
