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

/// The symbol of what would replace an instruction: the remainder of floats, which machines don't
/// have, and conversions between floats and integers of 128 bits. For these code generators call
/// libraries that devices don't have.
///
/// # Safety
/// `instruction` must be a valid instruction.
pub(crate) unsafe fn of_instruction(instruction: LLVMValueRef) -> Option<String> {
    use LLVMOpcode::*;
    // SAFETY: as the caller says.
    let (opcode, result) = unsafe {
        (
            LLVMGetInstructionOpcode(instruction),
            LLVMTypeOf(instruction),
        )
    };
    // SAFETY: these instructions have one operand or two.
    let operand = || unsafe { LLVMTypeOf(LLVMGetOperand(instruction, 0)) };
    let operation = match opcode {
        LLVMFRem => format!("frem.{}", float(result)?),
        LLVMUIToFP if is_wide(operand()) => format!("uitofp.{}.i128", float(result)?),
        LLVMSIToFP if is_wide(operand()) => format!("sitofp.{}.i128", float(result)?),
        // What lies beyond the range has any value, so the ends of it as well.
        LLVMFPToUI if is_wide(result) => format!("fptoui.sat.i128.{}", float(operand())?),
        LLVMFPToSI if is_wide(result) => format!("fptosi.sat.i128.{}", float(operand())?),
        _ => return None,
    };
    Some(format!("{MATHS_PREFIX}{operation}"))
}

/// LLVM's name for a type of floats.
fn float(ty: LLVMTypeRef) -> Option<&'static str> {
    // SAFETY: the type of a valid value.
    match unsafe { LLVMGetTypeKind(ty) } {
        LLVMTypeKind::LLVMFloatTypeKind => Some("f32"),
        LLVMTypeKind::LLVMDoubleTypeKind => Some("f64"),
        _ => None,
    }
}

fn is_wide(ty: LLVMTypeRef) -> bool {
    // SAFETY: the type of a valid value.
    unsafe {
        LLVMGetTypeKind(ty) == LLVMTypeKind::LLVMIntegerTypeKind && LLVMGetIntTypeWidth(ty) == 128
    }
}
