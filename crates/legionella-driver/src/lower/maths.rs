//! Binds LLVM's mathematical intrinsics to the functions of the device library, which give the
//! same bits on every target.

use inkwell::module::Module;
use legionella_abi::intrinsic::MATHS_PREFIX;
use llvm_sys::{LLVMOpcode, LLVMTypeKind};

use crate::ir::{self, Builder, Value};

/// Replaces each call of an intrinsic for which the device library has a function, and the
/// remainder instructions of floats, which LLVM expands inexactly on some targets.
pub(super) fn bind(module: &Module<'_>) {
    for function in ir::functions(module) {
        if let Some(operation) = function.name().strip_prefix("llvm.")
            && let Some(ours) = ir::function(module, &format!("{MATHS_PREFIX}{operation}"))
        {
            function.value().replace_all_uses_with(ours.value());
            function.delete();
        }
    }
    for function in ir::functions(module) {
        for instruction in function.instructions() {
            if instruction.is(LLVMOpcode::LLVMFRem) {
                bind_remainder(module, instruction);
            }
        }
    }
}

fn bind_remainder(module: &Module<'_>, instruction: Value<'_>) {
    let width = match instruction.ty().kind() {
        LLVMTypeKind::LLVMFloatTypeKind => "f32",
        LLVMTypeKind::LLVMDoubleTypeKind => "f64",
        _ => return,
    };
    if let Some(ours) = ir::function(module, &format!("{MATHS_PREFIX}frem.{width}")) {
        let call = Builder::before(instruction).call(ours, &instruction.operands());
        instruction.replace_all_uses_with(call);
        instruction.erase();
    }
}
