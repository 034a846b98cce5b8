//! How much stack a kernel needs, where the assembler can't tell.

use std::collections::BTreeMap;

use inkwell::module::Module;
use inkwell::targets::TargetMachine;
use legionella_abi::nvptx;
use llvm_sys::LLVMOpcode;
use llvm_sys::core as c;
use llvm_sys::target as t;

use crate::ir::{self, Function, llvm};

/// Bytes of all variables on the stack of the functions in a module, if its kernel reaches recursion
/// or a call through a pointer, and else 0.
pub(super) fn unknown_to_the_assembler(module: &Module<'_>, machine: &TargetMachine) -> u64 {
    let kernel = ir::function(module, nvptx::KERNEL);
    if !kernel.is_some_and(|kernel| descends(kernel, &mut BTreeMap::new())) {
        return 0;
    }
    let data = machine.get_target_data();
    let variables = ir::functions(module)
        .into_iter()
        .flat_map(Function::instructions)
        .filter(|instruction| instruction.is(LLVMOpcode::LLVMAlloca));
    let bytes: u64 = variables
        .map(|variable| {
            let ty = llvm!(c::LLVMGetAllocatedType(variable.raw()));
            llvm!(t::LLVMABISizeOfType(data.as_mut_ptr(), ty))
        })
        .sum();
    bytes.max(1)
}

/// Depth-first, where `seen` says of each function whether it is still being looked at.
fn descends<'m>(function: Function<'m>, seen: &mut BTreeMap<Function<'m>, bool>) -> bool {
    if let Some(open) = seen.get(&function) {
        return *open;
    }
    seen.insert(function, true);
    for instruction in function.instructions() {
        if !instruction.is_call() {
            continue;
        }
        let deep = match (instruction.called_function(), instruction.callee()) {
            (Some(called), _) => descends(called, seen),
            (None, callee) => !callee.is_some_and(|callee| callee.is_inline_assembly()),
        };
        if deep {
            return true;
        }
    }
    seen.insert(function, false);
    false
}
