//! What is told of each kernel: how large its closure is, and where it is defined.

use std::collections::{HashMap, HashSet};
use std::ffi::CString;

use legionella_abi::protocol::Source;
use llvm_sys::core::*;
use llvm_sys::debuginfo::*;
use llvm_sys::prelude::*;

use super::ir::{body, constants, functions, name, text};
use super::linker::Gathered;
use super::{Entry, kernel_name};

/// Describes entries of a gathered module.
pub(super) fn entries(gathered: &Gathered, symbols: &[&str]) -> Vec<Entry> {
    // Once for all kernels: demangling every function takes longer than everything else here.
    // SAFETY: the module is valid while `gathered` is.
    let by_path: HashMap<String, LLVMValueRef> = unsafe { functions(gathered.module()) }
        .map(|function| {
            // SAFETY: as above.
            let symbol = unsafe { name(function) };
            (demangle(symbol), function)
        })
        .collect();
    let describe = |symbol: &&str| {
        let kernel = kernel_name(symbol);
        let terminated = CString::new(*symbol).unwrap_or_default();
        // SAFETY: the module is valid while `gathered` is.
        let shim = unsafe { LLVMGetNamedFunction(gathered.module(), terminated.as_ptr()) };
        Entry {
            symbol: (*symbol).to_owned(),
            instructions: instructions(shim),
            source: source(gathered, &by_path, shim, &kernel),
            kernel,
        }
    };
    symbols.iter().map(describe).collect()
}

/// Number of instructions in all functions that a function reaches, by call or by address.
fn instructions(root: LLVMValueRef) -> u64 {
    let mut seen = HashSet::new();
    let mut pending = vec![root];
    let mut count = 0;
    while let Some(value) = pending.pop() {
        if value.is_null() || !seen.insert(value) {
            continue;
        }
        // SAFETY: `value` is a constant of a valid module, and so are its operands.
        unsafe {
            if LLVMIsAFunction(value).is_null() {
                pending.extend(constants(value));
                continue;
            }
            for instruction in body(value) {
                count += 1;
                pending.extend(constants(instruction));
            }
        }
    }
    count
}

/// Where the function of a demangled path is defined. If it was inlined into the shim before there
/// was LLVM IR, the shim's instructions still tell.
fn source(
    gathered: &Gathered,
    by_path: &HashMap<String, LLVMValueRef>,
    shim: LLVMValueRef,
    path: &str,
) -> Option<Source> {
    // SAFETY: the module is valid while `gathered` is.
    unsafe {
        if let Some(subprogram) = by_path.get(path).map(|kernel| LLVMGetSubprogram(*kernel))
            && !subprogram.is_null()
        {
            return Some(position(subprogram));
        }
        let context = LLVMGetModuleContext(gathered.module());
        let mut seen = HashSet::new();
        for instruction in body(shim) {
            let mut location = LLVMInstructionGetDebugLoc(instruction);
            while !location.is_null() {
                let subprogram = subprogram(context, LLVMDILocationGetScope(location));
                if let Some(subprogram) = subprogram.filter(|found| seen.insert(*found))
                    && demangle(linkage_name(context, subprogram)) == path
                {
                    return Some(position(subprogram));
                }
                location = LLVMDILocationGetInlinedAt(location);
            }
        }
    }
    None
}

/// The subprogram that a scope of debug information lies in.
///
/// # Safety
/// `scope` must be null or valid metadata of `context`.
unsafe fn subprogram(
    context: LLVMContextRef,
    mut scope: LLVMMetadataRef,
) -> Option<LLVMMetadataRef> {
    /// Position of the enclosing scope among the operands of a lexical block.
    const SCOPE: usize = 1;
    // SAFETY: as the caller says.
    unsafe {
        while !scope.is_null() {
            match LLVMGetMetadataKind(scope) {
                LLVMMetadataKind::LLVMDISubprogramMetadataKind => return Some(scope),
                LLVMMetadataKind::LLVMDILexicalBlockMetadataKind
                | LLVMMetadataKind::LLVMDILexicalBlockFileMetadataKind => {
                    let enclosing = operand(context, scope, SCOPE)?;
                    scope = LLVMValueAsMetadata(enclosing);
                }
                _ => return None,
            }
        }
    }
    None
}

/// # Safety
/// `subprogram` must be a subprogram of `context`.
unsafe fn linkage_name<'context>(
    context: LLVMContextRef,
    subprogram: LLVMMetadataRef,
) -> &'context str {
    /// Position of the linkage name among the operands of a subprogram.
    const LINKAGE_NAME: usize = 3;
    // SAFETY: as the caller says.
    unsafe {
        let Some(name) = operand(context, subprogram, LINKAGE_NAME) else {
            return "";
        };
        let mut len = 0;
        let start = LLVMGetMDString(name, &mut len);
        text(start, len as usize)
    }
}

/// # Safety
/// `node` must be a node of `context`.
unsafe fn operand(
    context: LLVMContextRef,
    node: LLVMMetadataRef,
    index: usize,
) -> Option<LLVMValueRef> {
    // SAFETY: as the caller says; the buffer has room for all operands.
    unsafe {
        let node = LLVMMetadataAsValue(context, node);
        let mut operands = vec![std::ptr::null_mut(); LLVMGetMDNodeNumOperands(node) as usize];
        LLVMGetMDNodeOperands(node, operands.as_mut_ptr());
        operands
            .get(index)
            .copied()
            .filter(|value| !value.is_null())
    }
}

/// # Safety
/// `subprogram` must be a valid subprogram.
unsafe fn position(subprogram: LLVMMetadataRef) -> Source {
    let mut len = 0;
    // SAFETY: as the caller says; the strings are copied.
    unsafe {
        let file = LLVMDIScopeGetFile(subprogram);
        let name = if file.is_null() {
            String::new()
        } else {
            let start = LLVMDIFileGetFilename(file, &mut len);
            text(start, len as usize).to_owned()
        };
        Source {
            file: name,
            line: LLVMDISubprogramGetLine(subprogram),
            column: 0,
        }
    }
}

fn demangle(symbol: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(symbol))
}
