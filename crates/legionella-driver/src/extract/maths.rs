//! Which functions of the device library stand for which operations of floats: those whose symbols
//! are [`MATHS_PREFIX`] and the operation. Those for functions of the C library that have nothing to
//! do with floats are [`C_PREFIX`] and the name.

use legionella_abi::intrinsic::{C_FUNCTIONS, C_PREFIX, MATHS_PREFIX};
use llvm_sys::core::*;
use llvm_sys::prelude::*;
use llvm_sys::{LLVMOpcode, LLVMTypeKind};

/// The symbol of what would replace a declared function, if the device library has it: an intrinsic
/// of LLVM or a function of the C library.
pub(crate) fn of_function(symbol: &str) -> Option<String> {
    let ours = symbol.starts_with("_R") || symbol.starts_with("legionella");
    (!ours).then(|| {
        if C_FUNCTIONS.contains(&symbol) {
            return format!("{C_PREFIX}{symbol}");
        }
        let operation = symbol.strip_prefix("llvm.").unwrap_or(symbol);
        format!("{MATHS_PREFIX}{operation}")
    })
}

/// The symbol of what would replace an instruction, if it is the remainder of floats: machines don't
/// have it, and code generators call the C library.
///
/// # Safety
/// `instruction` must be a valid instruction.
pub(crate) unsafe fn of_instruction(instruction: LLVMValueRef) -> Option<String> {
    // SAFETY: as the caller says.
    let kind = unsafe {
        if LLVMGetInstructionOpcode(instruction) != LLVMOpcode::LLVMFRem {
            return None;
        }
        LLVMGetTypeKind(LLVMTypeOf(instruction))
    };
    let width = match kind {
        LLVMTypeKind::LLVMFloatTypeKind => "f32",
        LLVMTypeKind::LLVMDoubleTypeKind => "f64",
        _ => return None,
    };
    Some(format!("{MATHS_PREFIX}frem.{width}"))
}
