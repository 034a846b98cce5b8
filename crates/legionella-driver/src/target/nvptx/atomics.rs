//! Orderings and scopes of atomic operations.
//!
//! LLVM 22 selects the device's read-modify-write instructions without the ordering and scope that
//! were asked for. Here the ordering moves into fences, which it selects correctly, and the
//! operation is left relaxed. Everything has the scope of the device, as Rust's atomics of a kernel
//! promise no more.

use inkwell::module::Module;
use llvm_sys::LLVMAtomicOrdering::*;
use llvm_sys::LLVMOpcode;
use llvm_sys::core as c;

use crate::ir::{self, Builder, Value, llvm};

/// LLVM's name of the scope.
const DEVICE: &str = "device";

/// Mends all atomic operations of a module.
pub(super) fn mend(module: &Module<'_>) {
    let scope = llvm!(c::LLVMGetSyncScopeID(
        c::LLVMGetModuleContext(module.as_mut_ptr()),
        DEVICE.as_ptr().cast(),
        DEVICE.len()
    ));
    for function in ir::functions(module) {
        for instruction in function.instructions() {
            if llvm!(c::LLVMIsAtomic(instruction.raw())) == 0 {
                continue;
            }
            if is_whole_system(instruction) {
                llvm!(c::LLVMSetAtomicSyncScopeID(instruction.raw(), scope));
            }
            if instruction.is(LLVMOpcode::LLVMAtomicRMW) {
                order_by_fences(instruction, scope);
            }
        }
    }
}

/// Whether an operation has no scope, or that of the thread, whose fences only bind the compiler.
fn is_whole_system(instruction: Value<'_>) -> bool {
    const SINGLE_THREAD: u32 = 0;
    const SYSTEM: u32 = 1;
    let scope = llvm!(c::LLVMGetAtomicSyncScopeID(instruction.raw()));
    debug_assert!(scope != SINGLE_THREAD || instruction.is(LLVMOpcode::LLVMFence));
    scope == SYSTEM
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
