//! Scopes of atomic operations in the names of a GPU: what is left without one is for the work-items on
//! the device, while LLVM takes it for the whole system.

use inkwell::module::Module;
use llvm_sys::core as c;

use crate::ir::{self, Function, Value, llvm};

/// What the scope of the system is called until operations without a scope have that of the device.
pub(super) const SYSTEM: &str = "legionella.system";

/// LLVM's number of the scope without a name, which is the system.
pub(super) const ALL: u32 = 1;

/// LLVM's number of a scope of that name.
pub(super) fn scope(module: &Module<'_>, name: &str) -> u32 {
    llvm!(c::LLVMGetSyncScopeID(
        c::LLVMGetModuleContext(module.as_mut_ptr()),
        name.as_ptr().cast(),
        name.len()
    ))
}

/// Gives all atomic operations the scopes that they were meant to have, where LLVM calls that of the
/// device `device`; gives the operations, each with its scope.
pub(super) fn settle<'m>(module: &'m Module<'_>, device: &str) -> Vec<(Value<'m>, u32)> {
    let (device, system) = (scope(module, device), scope(module, SYSTEM));
    ir::functions(module)
        .into_iter()
        .flat_map(Function::instructions)
        .filter(|operation| llvm!(c::LLVMIsAtomic(operation.raw())) != 0)
        .map(|operation| {
            let given = match llvm!(c::LLVMGetAtomicSyncScopeID(operation.raw())) {
                ALL => device,
                asked if asked == system => ALL,
                other => other,
            };
            llvm!(c::LLVMSetAtomicSyncScopeID(operation.raw(), given));
            (operation, given)
        })
        .collect()
}
