//! Reading LLVM modules through the C API: lists as iterators, names as strings.

use llvm_sys::LLVMLinkage;
use llvm_sys::core::*;
use llvm_sys::prelude::*;

use crate::ir::list;

/// The name of a value, which lives as long as the value does and is not renamed.
///
/// # Safety
/// `value` must be valid for as long as the result is used.
pub(super) unsafe fn name<'value>(value: LLVMValueRef) -> &'value str {
    let mut len = 0;
    // SAFETY: LLVM gives that many bytes.
    let bytes = unsafe {
        let start = LLVMGetValueName2(value, &mut len);
        std::slice::from_raw_parts(start.cast::<u8>(), len)
    };
    str::from_utf8(bytes).unwrap_or_default()
}

/// # Safety
/// `global` must be a valid global value.
pub(super) unsafe fn is_local(global: LLVMValueRef) -> bool {
    // SAFETY: as the caller says.
    let linkage = unsafe { LLVMGetLinkage(global) };
    matches!(
        linkage,
        LLVMLinkage::LLVMInternalLinkage | LLVMLinkage::LLVMPrivateLinkage
    )
}

/// # Safety
/// `module` must be valid for as long as the iterator is used.
pub(super) unsafe fn functions(module: LLVMModuleRef) -> impl Iterator<Item = LLVMValueRef> {
    // SAFETY: as the caller says.
    unsafe { list(LLVMGetFirstFunction(module), LLVMGetNextFunction) }
}

/// # Safety
/// As for [`functions`].
pub(super) unsafe fn globals(module: LLVMModuleRef) -> impl Iterator<Item = LLVMValueRef> {
    // SAFETY: as the caller says.
    unsafe { list(LLVMGetFirstGlobal(module), LLVMGetNextGlobal) }
}

/// # Safety
/// `function` must be a valid function, unchanged while the iterator is used.
pub(super) unsafe fn body(function: LLVMValueRef) -> impl Iterator<Item = LLVMValueRef> {
    // SAFETY: as the caller says.
    let blocks = unsafe { list(LLVMGetFirstBasicBlock(function), LLVMGetNextBasicBlock) };
    blocks.flat_map(|block| {
        // SAFETY: as above.
        unsafe { list(LLVMGetFirstInstruction(block), LLVMGetNextInstruction) }
    })
}

/// The operands of a value that are constants: functions, variables, expressions of them.
///
/// # Safety
/// `user` must be a valid instruction or constant.
pub(super) unsafe fn constants(user: LLVMValueRef) -> impl Iterator<Item = LLVMValueRef> {
    // SAFETY: as the caller says; a negative count does not occur.
    let count = unsafe { LLVMGetNumOperands(user) }.max(0) as u32;
    (0..count).filter_map(move |index| {
        // SAFETY: the index is below the number of operands.
        let operand = unsafe { LLVMGetOperand(user, index) };
        // SAFETY: an operand is a valid value, or null.
        (!operand.is_null() && unsafe { LLVMIsConstant(operand) } != 0).then_some(operand)
    })
}
