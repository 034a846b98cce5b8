//! Orderings and scopes of atomic operations.
//!
//! LLVM 22 selects the device's read-modify-write instructions without the ordering and scope that
//! were asked for: they are relaxed, and for the device. Here the ordering moves into fences, which it
//! selects correctly; an operation for the whole system becomes a loop of compare-exchange, of which
//! the same is true.
//!
//! Where the host is reached by PCIe, no operation that reads and writes is atomic for the host, whatever its scope, and
//! those for the whole system are errors to NVIDIA's tools. There it is one for the device, between fences for the system.
//! Which of both it is the application tells ([`nvptx::HOST_ATOMICS`]).

use inkwell::module::Module;
use legionella_abi::nvptx;
use llvm_sys::LLVMAtomicOrdering::{self, *};
use llvm_sys::LLVMAtomicRMWBinOp::{self, *};
use llvm_sys::core as c;
use llvm_sys::{LLVMIntPredicate, LLVMOpcode, LLVMTypeKind};

use super::super::scopes::{self, ALL};
use super::internal;
use crate::error::Error;
use crate::ir::{self, Builder, Type, Types, Value, llvm};

const TEXT: &std::ffi::CStr = ir::ir_text!("atomics.ll");

/// LLVM's name of the scope of a group.
pub(super) const GROUP: &str = "block";

/// LLVM's name of the scope of the device.
const DEVICE: &str = "device";

/// Mends all atomic operations of a module.
pub(super) fn mend(module: &Module<'_>) -> Result<(), Error> {
    for (operation, given) in scopes::settle(module, DEVICE) {
        let exchanges = operation.is(LLVMOpcode::LLVMAtomicCmpXchg);
        if !exchanges && !operation.is(LLVMOpcode::LLVMAtomicRMW) {
            continue;
        }
        if given == ALL {
            as_the_host_allows(module, operation)?;
        } else if !exchanges {
            order_by_fences(operation, given);
        }
    }
    Ok(())
}

/// Makes two of an operation for the whole system, one of which takes place.
fn as_the_host_allows<'m>(module: &'m Module<'_>, operation: Value<'m>) -> Result<(), Error> {
    if ir::global(module, nvptx::HOST_ATOMICS).is_none() {
        ir::link_text(module, TEXT)?;
    }
    let variable = ir::global(module, nvptx::HOST_ATOMICS)
        .ok_or_else(|| internal(format!("no {}", nvptx::HOST_ATOMICS)))?;
    let types = Types::of(module);
    let before = operation.block();
    let behind = before.split_before(operation);
    let ways = ["whole", "device"].map(|name| before.function().append_block(name));
    let enter = before.terminator();
    let at = Builder::before(enter);
    let told = at.load(types.i64, variable);
    let allowed = at.compare(LLVMIntPredicate::LLVMIntNE, told, types.i64.zero());
    at.branch_if(allowed, ways[0], ways[1]);
    enter.erase();

    let result = Builder::before(operation).phi(operation.ty());
    let [whole, device] = ways.map(|way| {
        let at = Builder::at_end(way);
        let copy = operation.duplicate();
        at.insert(copy);
        at.branch(behind);
        result.add_incoming(copy, way);
        copy
    });
    operation.replace_all_uses_with(result);
    operation.erase();
    let scope = scopes::scope(module, DEVICE);
    llvm!(c::LLVMSetAtomicSyncScopeID(device.raw(), scope));
    order_by_fences(device, ALL);
    match whole.is(LLVMOpcode::LLVMAtomicRMW) {
        true => by_exchange(module, whole),
        false => Ok(()),
    }
}

/// Makes an operation a relaxed one, between fences of a scope.
fn order_by_fences(operation: Value<'_>, scope: u32) {
    let (before, after) = match ordering(operation) {
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
    relax(operation);
    if let Some(ordering) = before {
        Builder::before(operation).fence(ordering, scope);
    }
    if let Some(ordering) = after
        && let Some(next) = operation.next()
    {
        Builder::before(next).fence(ordering, scope);
    }
}

/// The ordering of an operation, whether or not it finds what it expects.
fn ordering(operation: Value<'_>) -> LLVMAtomicOrdering {
    if operation.is(LLVMOpcode::LLVMAtomicRMW) {
        return llvm!(c::LLVMGetOrdering(operation.raw()));
    }
    let success = llvm!(c::LLVMGetCmpXchgSuccessOrdering(operation.raw()));
    let failure = llvm!(c::LLVMGetCmpXchgFailureOrdering(operation.raw()));
    match (success, failure) {
        (_, LLVMAtomicOrderingSequentiallyConsistent) => failure,
        (LLVMAtomicOrderingMonotonic, _) => failure,
        (LLVMAtomicOrderingRelease, LLVMAtomicOrderingAcquire) => LLVMAtomicOrderingAcquireRelease,
        _ => success,
    }
}

fn relax(operation: Value<'_>) {
    let relaxed = LLVMAtomicOrderingMonotonic;
    if operation.is(LLVMOpcode::LLVMAtomicRMW) {
        llvm!(c::LLVMSetOrdering(operation.raw(), relaxed));
    } else {
        llvm!(c::LLVMSetCmpXchgSuccessOrdering(operation.raw(), relaxed));
        llvm!(c::LLVMSetCmpXchgFailureOrdering(operation.raw(), relaxed));
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
