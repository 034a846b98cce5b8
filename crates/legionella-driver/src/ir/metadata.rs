//! Metadata that LLVM's C API has no functions for: what is said of loops, on the branch that goes round.

use llvm_sys::core as c;
use llvm_sys::prelude::{LLVMContextRef, LLVMMetadataRef};

use super::{Value, llvm};

/// A property whose value is an integer of that many bits.
pub(crate) fn property(
    context: LLVMContextRef,
    name: &str,
    bits: u32,
    value: u64,
) -> LLVMMetadataRef {
    let value = llvm!(c::LLVMValueAsMetadata(c::LLVMConstInt(
        c::LLVMIntTypeInContext(context, bits),
        value,
        0
    )));
    node(context, &mut [text(context, name), value])
}

/// Attaches properties to the loop of a latch.
pub(crate) fn describe_loop(
    context: LLVMContextRef,
    latch: Value<'_>,
    properties: &[LLVMMetadataRef],
) {
    // A loop's node refers to itself first, which keeps loops apart.
    let placeholder = llvm!(llvm_sys::debuginfo::LLVMTemporaryMDNode(
        context,
        std::ptr::null_mut(),
        0
    ));
    let mut parts = vec![placeholder];
    parts.extend(properties);
    let whole = node(context, &mut parts);
    llvm!(llvm_sys::debuginfo::LLVMMetadataReplaceAllUsesWith(
        placeholder,
        whole
    ));
    llvm!(c::LLVMSetMetadata(
        latch.raw(),
        kind(context, "llvm.loop"),
        c::LLVMMetadataAsValue(context, whole)
    ));
}

pub(crate) fn kind(context: LLVMContextRef, name: &str) -> u32 {
    llvm!(c::LLVMGetMDKindIDInContext(
        context,
        name.as_ptr().cast(),
        name.len() as u32
    ))
}

pub(crate) fn text(context: LLVMContextRef, text: &str) -> LLVMMetadataRef {
    llvm!(c::LLVMMDStringInContext2(
        context,
        text.as_ptr().cast(),
        text.len()
    ))
}

pub(crate) fn node(context: LLVMContextRef, parts: &mut [LLVMMetadataRef]) -> LLVMMetadataRef {
    llvm!(c::LLVMMDNodeInContext2(
        context,
        parts.as_mut_ptr(),
        parts.len()
    ))
}
