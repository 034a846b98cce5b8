//! Orderings and scopes of atomic operations.
//!
//! LLVM 22 selects the device's read-modify-write instructions without the ordering and scope that
//! were asked for: they are relaxed, and for the device. Here the ordering moves into fences, which it
//! selects correctly; an operation for the whole system becomes a loop of compare-exchange, of which
//! the same is true.

use inkwell::module::Module;
use llvm_sys::LLVMAtomicOrdering::*;
use llvm_sys::LLVMAtomicRMWBinOp::{self, *};
use llvm_sys::core as c;
use llvm_sys::{LLVMIntPredicate, LLVMOpcode, LLVMTypeKind};

use super::super::scopes::{self, ALL};
use super::internal;
use crate::error::Error;
use crate::ir::{Builder, Type, Types, Value, llvm};

/// LLVM's name of the scope of a group.
pub(super) const GROUP: &str = "block";

/// LLVM's name of the scope of the device.
const DEVICE: &str = "device";

/// Mends all atomic operations of a module.
pub(super) fn mend(module: &Module<'_>) -> Result<(), Error> {
    for (operation, given) in scopes::settle(module, DEVICE) {
        if !operation.is(LLVMOpcode::LLVMAtomicRMW) {
            continue;
        }
        if given == ALL {
            by_exchange(module, operation)?;
        } else {
            order_by_fences(operation, given);
        }
    }
    Ok(())
}

fn order_by_fences(operation: Value<'_>, scope: u32) {
    let (before, after) = match llvm!(c::LLVMGetOrdering(operation.raw())) {
        LLVMAtomicOrderingAcquire => (None, Some(LLVMAtomicOrderingAcquire)),
        LLVMAtomicOrderingRelease => (Some(LLVMAtomicOrderingRelease), None),
        LLVMAtomicOrderingAcquireRelease => (
            Some(LLVMAtomicOrderingRelease),
            Some(LLVMAtomicOrderingAcquire),
        ),
        LLVMAtomicOrderingSequentiallyConsistent => (
            Some(LLVMAtomicOrderingSequentiallyConsistent),
            Some(LLVMAtomicOrderingAcquire),
        ),
        _ => return,
    };
    llvm!(c::LLVMSetOrdering(
        operation.raw(),
        LLVMAtomicOrderingMonotonic
    ));
    if let Some(ordering) = before {
        Builder::before(operation).fence(ordering, scope);
    }
    if let Some(ordering) = after
        && let Some(next) = operation.next()
    {
        Builder::before(next).fence(ordering, scope);
    }
}

/// Replaces an operation by a loop that tries to exchange the old value for the new one.
fn by_exchange<'m>(module: &'m Module<'_>, operation: Value<'m>) -> Result<(), Error> {
    let (address, operand) = (operation.operand(0), operation.operand(1));
    let kind = llvm!(c::LLVMGetAtomicRMWBinOp(operation.raw()));
    let ordering = llvm!(c::LLVMGetOrdering(operation.raw()));
    let bytes = llvm!(c::LLVMGetAlignment(operation.raw()));
    let types = Types::of(module);
    let bits = match operand.ty().kind() {
        LLVMTypeKind::LLVMFloatTypeKind => types.i32,
        LLVMTypeKind::LLVMDoubleTypeKind => types.i64,
        _ => operand.ty(),
    };
    let cast = |at: &Builder<'m>, value: Value<'m>, to: Type<'m>| {
        if value.ty() == to {
            value
        } else {
            at.cast(LLVMOpcode::LLVMBitCast, value, to)
        }
    };

    let before = operation.block();
    let behind = before.split_before(operation);
    let again = before.function().append_block("again");
    let enter = before.terminator();
    let at = Builder::before(enter);
    let first = at.load(bits, address);
    first.make_atomic(LLVMAtomicOrderingMonotonic, bytes);
    at.branch(again);
    enter.erase();
    let at = Builder::at_end(again);
    let old = at.phi(bits);
    let value = cast(&at, old, operand.ty());
    let new = combined(&at, kind, value, operand).ok_or_else(|| {
        internal(format!(
            "an atomic operation that is unknown: {operation:?}"
        ))
    })?;
    let failure = match ordering {
        LLVMAtomicOrderingRelease | LLVMAtomicOrderingMonotonic => LLVMAtomicOrderingMonotonic,
        LLVMAtomicOrderingAcquireRelease => LLVMAtomicOrderingAcquire,
        other => other,
    };
    let new = cast(&at, new, bits);
    let both = at.atomic_exchange_if(address, old, new, (ordering, failure));
    both.set_alignment(bytes);
    old.add_incoming(first, before);
    old.add_incoming(at.extract(both, 0), again);
    at.branch_if(at.extract(both, 1), behind, again);
    operation.replace_all_uses_with(cast(&Builder::before(operation), old, operand.ty()));
    operation.erase();
    Ok(())
}

/// What an operation makes of the old value.
fn combined<'m>(
    at: &Builder<'m>,
    kind: LLVMAtomicRMWBinOp,
    old: Value<'m>,
    operand: Value<'m>,
) -> Option<Value<'m>> {
    let by = |opcode| Some(at.binary(opcode, old, operand));
    let whichever = |predicate| Some(at.select(at.compare(predicate, old, operand), old, operand));
    match kind {
        LLVMAtomicRMWBinOpXchg => Some(operand),
        LLVMAtomicRMWBinOpAdd => by(LLVMOpcode::LLVMAdd),
        LLVMAtomicRMWBinOpSub => by(LLVMOpcode::LLVMSub),
        LLVMAtomicRMWBinOpAnd => by(LLVMOpcode::LLVMAnd),
        LLVMAtomicRMWBinOpOr => by(LLVMOpcode::LLVMOr),
        LLVMAtomicRMWBinOpXor => by(LLVMOpcode::LLVMXor),
        LLVMAtomicRMWBinOpFAdd => by(LLVMOpcode::LLVMFAdd),
        LLVMAtomicRMWBinOpNand => {
            let both = at.binary(LLVMOpcode::LLVMAnd, old, operand);
            let ones = at.compare(LLVMIntPredicate::LLVMIntEQ, old, old);
            let ones = at.cast(LLVMOpcode::LLVMSExt, ones, old.ty());
            Some(at.binary(LLVMOpcode::LLVMXor, both, ones))
        }
        LLVMAtomicRMWBinOpMax => whichever(LLVMIntPredicate::LLVMIntSGT),
        LLVMAtomicRMWBinOpMin => whichever(LLVMIntPredicate::LLVMIntSLT),
        LLVMAtomicRMWBinOpUMax => whichever(LLVMIntPredicate::LLVMIntUGT),
        LLVMAtomicRMWBinOpUMin => whichever(LLVMIntPredicate::LLVMIntULT),
        _ => None,
    }
}
