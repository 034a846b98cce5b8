//! Binds what a kernel calls and neither it nor the device has, to the functions of `runtime.ll`.

use inkwell::module::Module;
use legionella_abi::{gpu, intrinsic};
use llvm_sys::{LLVMLinkage, LLVMOpcode};

use super::super::kernels::Kernels;
use super::super::reaching::Reaching;
use super::{groups, internal};
use crate::error::Error;
use crate::ir::{self, Builder, Function, Value};

const TEXT: &std::ffi::CStr = ir::ir_text!("runtime.ll");

const TRAP: &str = "legionella.trap";
const PLACE: &str = "legionella.place";
const LAUNCH: &str = "legionella.launch";

/// Links the runtime in and leads calls there.
pub(super) fn link(module: &Module<'_>, kernels: &Kernels<'_>) -> Result<(), Error> {
    let divisions = wide_divisions(module);
    ir::link_text(module, TEXT)?;
    for (division, name) in divisions {
        if let Some(ours) = ir::function(module, name) {
            let result = Builder::before(division).call(ours, &division.operands());
            division.replace_all_uses_with(result);
            division.erase();
        }
    }
    for function in ir::functions(module) {
        if function.is_declaration()
            && let Some(name) = implementation(&function.name())
            && let Some(ours) = ir::function(module, name)
            && ours.signature() == function.signature()
        {
            // Another promise than ours: it was made for the function that is called.
            function.value().replace_all_uses_with(ours.value());
            function.delete();
        }
    }
    forget_if_undefined(module, groups::PANICKED);
    for function in ir::functions(module) {
        let launched = kernels.functions().any(|kernel| kernel == function);
        if !function.is_declaration() && !launched {
            function.set_linkage(LLVMLinkage::LLVMInternalLinkage);
        }
    }
    let global =
        |name: &str| ir::global(module, name).ok_or_else(|| internal(format!("no {name}")));
    let mut ending = Reaching::of(&[TRAP, intrinsic::PANIC, intrinsic::PAUSE]);
    kernels.leave_place(module, global(PLACE)?, |call| ending.may_come_from(call));
    let mut asking = Reaching::of(&[intrinsic::RUNNING_ITEM]);
    kernels.leave_launch(module, global(LAUNCH)?, true, |call| {
        asking.may_come_from(call)
    });
    Ok(())
}

/// All divisions of 128 bits, with the function of the runtime that does each.
fn wide_divisions<'m>(module: &'m Module<'_>) -> Vec<(Value<'m>, &'static str)> {
    let instructions = ir::functions(module)
        .into_iter()
        .flat_map(Function::instructions);
    instructions
        .filter(|instruction| instruction.ty().integer_width() == 128)
        .filter_map(|instruction| {
            let name = match instruction.opcode()? {
                LLVMOpcode::LLVMUDiv => "legionella.udiv",
                LLVMOpcode::LLVMURem => "legionella.urem",
                LLVMOpcode::LLVMSDiv => "legionella.sdiv",
                LLVMOpcode::LLVMSRem => "legionella.srem",
                _ => return None,
            };
            Some((instruction, name))
        })
        .collect()
}

/// Removes the variables that the application sets from code that doesn't use them.
pub(super) fn drop_unused(module: &Module<'_>) {
    for name in [gpu::HEAP, gpu::PORT] {
        if let Some(variable) = ir::global(module, name)
            && variable.users().is_empty()
        {
            variable.delete_global();
        }
    }
}

/// Removes the calls of a function that nothing defines.
fn forget_if_undefined(module: &Module<'_>, name: &str) {
    let Some(function) = ir::function(module, name).filter(|function| function.is_declaration())
    else {
        return;
    };
    for call in function.value().users() {
        call.erase();
    }
    function.delete();
}

/// The function of the runtime that a declared function stands for.
fn implementation(symbol: &str) -> Option<&'static str> {
    Some(match symbol {
        "memcmp" | "bcmp" => "legionella.compare",
        "llvm.trap" => TRAP,
        _ => return None,
    })
}
