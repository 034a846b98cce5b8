//! Debug information: which source lines an instruction comes from.

use legionella_abi::protocol::Source;
use llvm_sys::core as c;
use llvm_sys::debuginfo::{self as d, LLVMMetadataKind};
use llvm_sys::prelude::{LLVMContextRef, LLVMMetadataRef, LLVMValueRef};

use super::{Value, llvm};

/// A function that an instruction stands in, by inlining or by itself.
pub(crate) struct Frame {
    /// Symbol of the function.
    pub(crate) function: String,
    /// Where in it.
    pub(crate) source: Option<Source>,
}

/// The frames of an instruction, innermost first; none without debug information.
pub(crate) fn frames(instruction: Value<'_>) -> Vec<Frame> {
    let context = llvm!(c::LLVMGetTypeContext(instruction.ty().raw()));
    let mut frames = Vec::new();
    let mut location = llvm!(d::LLVMInstructionGetDebugLoc(instruction.raw()));
    while !location.is_null() {
        let scope = llvm!(d::LLVMDILocationGetScope(location));
        if let Some(subprogram) = subprogram(context, scope) {
            frames.push(Frame {
                function: linkage_name(context, subprogram),
                source: file_of(scope).map(|file| Source {
                    file,
                    line: llvm!(d::LLVMDILocationGetLine(location)),
                    column: llvm!(d::LLVMDILocationGetColumn(location)),
                }),
            });
        }
        location = llvm!(d::LLVMDILocationGetInlinedAt(location));
    }
    frames
}

/// The subprogram that a scope lies in.
fn subprogram(context: LLVMContextRef, mut scope: LLVMMetadataRef) -> Option<LLVMMetadataRef> {
    /// Position of the enclosing scope among the operands of a lexical block.
    const SCOPE: usize = 1;
    while !scope.is_null() {
        match llvm!(d::LLVMGetMetadataKind(scope)) {
            LLVMMetadataKind::LLVMDISubprogramMetadataKind => return Some(scope),
            LLVMMetadataKind::LLVMDILexicalBlockMetadataKind
            | LLVMMetadataKind::LLVMDILexicalBlockFileMetadataKind => {
                scope = llvm!(c::LLVMValueAsMetadata(operand(context, scope, SCOPE)?));
            }
            _ => return None,
        }
    }
    None
}

fn linkage_name(context: LLVMContextRef, subprogram: LLVMMetadataRef) -> String {
    /// Positions of the names among the operands of a subprogram.
    const NAME: usize = 2;
    const LINKAGE_NAME: usize = 3;
    let name =
        operand(context, subprogram, LINKAGE_NAME).or_else(|| operand(context, subprogram, NAME));
    let Some(name) = name else {
        return String::new();
    };
    let mut len = 0;
    let start = llvm!(c::LLVMGetMDString(name, &mut len));
    text(start, len)
}

fn operand(context: LLVMContextRef, node: LLVMMetadataRef, index: usize) -> Option<LLVMValueRef> {
    let node = llvm!(c::LLVMMetadataAsValue(context, node));
    let count = llvm!(c::LLVMGetMDNodeNumOperands(node)) as usize;
    let mut operands = vec![std::ptr::null_mut(); count];
    llvm!(c::LLVMGetMDNodeOperands(node, operands.as_mut_ptr()));
    let found = operands.get(index).copied()?;
    (!found.is_null()).then_some(found)
}

fn file_of(scope: LLVMMetadataRef) -> Option<String> {
    let file = llvm!(d::LLVMDIScopeGetFile(scope));
    if file.is_null() {
        return None;
    }
    let mut len = 0;
    let start = llvm!(d::LLVMDIFileGetFilename(file, &mut len));
    let name = text(start, len);
    if name.starts_with('/') {
        return Some(name);
    }
    let start = llvm!(d::LLVMDIFileGetDirectory(file, &mut len));
    let directory = text(start, len);
    Some(if directory.is_empty() {
        name
    } else {
        format!("{directory}/{name}")
    })
}

fn text(start: *const std::ffi::c_char, len: u32) -> String {
    if start.is_null() {
        return String::new();
    }
    let bytes = llvm!(std::slice::from_raw_parts(start.cast::<u8>(), len as usize));
    String::from_utf8_lossy(bytes).into_owned()
}
