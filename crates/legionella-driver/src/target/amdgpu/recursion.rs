//! How many registers a kernel needs that reaches recursion.
//!
//! LLVM computes that from the functions that a kernel calls, and takes a call through a pointer for one of
//! any function. In a cycle of calls it forgets such calls, and functions that it comes to later
//! (`MCResourceInfo::assignResourceInfoExpr` of LLVM 22), and the device gives the kernel too few. So a
//! kernel that reaches a cycle gets a call through a pointer of its own, which is never made.

use std::collections::BTreeMap;

use inkwell::module::Module;

use super::super::kernels::Kernels;
use super::internal;
use crate::error::Error;
use crate::ir::{self, Builder, Function};

/// The function of `runtime.ll` that could call any other.
const ANY: &str = "legionella.any_function";

/// Has kernels that reach recursion ask for as many registers as any function needs.
pub(super) fn ask_for_registers(module: &Module<'_>, kernels: &Kernels<'_>) -> Result<(), Error> {
    let any = ir::function(module, ANY).ok_or_else(|| internal(format!("no {ANY}")))?;
    for kernel in kernels.functions() {
        if reaches_cycle(kernel, &mut BTreeMap::new())
            && let Some(entry) = kernel.blocks().first()
        {
            // Behind the variables on the stack: in a block of their own they would be new ones each time.
            Builder::before(entry.terminator()).call(any, &[]);
        }
    }
    Ok(())
}

/// Depth-first, where `seen` says of each function whether it is still being looked at.
fn reaches_cycle<'m>(function: Function<'m>, seen: &mut BTreeMap<Function<'m>, bool>) -> bool {
    if let Some(open) = seen.get(&function) {
        return *open;
    }
    seen.insert(function, true);
    let instructions = function.instructions().into_iter();
    let called = instructions.filter_map(|instruction| {
        (instruction.is_call())
            .then(|| instruction.called_function())
            .flatten()
    });
    let found = called.into_iter().any(|called| reaches_cycle(called, seen));
    seen.insert(function, false);
    found
}
