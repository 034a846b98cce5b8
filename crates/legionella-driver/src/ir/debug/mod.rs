//! Debug information: which functions and source lines an instruction comes from.
//!
//! What optimisation needs of it is the instructions' locations alone. [`lines`] makes of them what a
//! code generator takes, [`copies`] what LLVM's remarks can be traced by; [`writer`] builds for both.

mod copies;
mod lines;
mod writer;

pub(crate) use copies::{Copies, Place, name_loop};
pub(crate) use lines::Lines;

use inkwell::module::Module;
use legionella_abi::protocol::Source;
use llvm_sys::core as c;
use llvm_sys::debuginfo::{self as d, LLVMMetadataKind};
use llvm_sys::prelude::{LLVMContextRef, LLVMMetadataRef, LLVMValueRef};

use super::{Function, Value, llvm};

/// A function that an instruction stands in, by inlining or by itself.
pub(crate) struct Frame {
    /// Symbol of the function.
    pub(crate) function: String,
    /// Where in it.
    pub(crate) source: Option<Source>,
}

/// The frames of an instruction, innermost first; none without debug information.
pub(crate) fn frames(instruction: Value<'_>) -> Vec<Frame> {
    let context = context_of(instruction);
    locations(instruction)
        .filter_map(|location| frame(context, location))
        .collect()
}

/// The frame that a location stands for.
fn frame(context: LLVMContextRef, location: LLVMMetadataRef) -> Option<Frame> {
    let scope = llvm!(d::LLVMDILocationGetScope(location));
    let subprogram = Subprogram::around(context, scope)?;
    Some(Frame {
        function: subprogram.symbol(),
        source: path_of(scope).map(|file| Source {
            file,
            line: llvm!(d::LLVMDILocationGetLine(location)),
            column: llvm!(d::LLVMDILocationGetColumn(location)),
        }),
    })
}

/// The functions that an instruction stands in, as [`frames`] has them.
pub(crate) fn subprograms(instruction: Value<'_>) -> impl Iterator<Item = Subprogram> {
    let context = context_of(instruction);
    locations(instruction).filter_map(move |location| {
        let scope = llvm!(d::LLVMDILocationGetScope(location));
        Subprogram::around(context, scope)
    })
}

/// Whether a module says of any instruction where it comes from.
pub(crate) fn has_lines(module: &Module<'_>) -> bool {
    module.get_global_metadata_size("llvm.dbg.cu") > 0
}

/// Whether it is known where an instruction comes from.
pub(crate) fn is_located(instruction: Value<'_>) -> bool {
    !location(instruction).is_null()
}

/// The places that an instruction comes from, innermost first.
fn locations(instruction: Value<'_>) -> impl Iterator<Item = LLVMMetadataRef> {
    outwards(location(instruction))
}

/// The place that an instruction comes from; null if that is not known.
fn location(instruction: Value<'_>) -> LLVMMetadataRef {
    llvm!(d::LLVMInstructionGetDebugLoc(instruction.raw()))
}

/// A location and those that it was inlined at, in turn.
fn outwards(location: LLVMMetadataRef) -> impl Iterator<Item = LLVMMetadataRef> {
    let mut next = location;
    std::iter::from_fn(move || {
        let location = next;
        if location.is_null() {
            return None;
        }
        next = llvm!(d::LLVMDILocationGetInlinedAt(location));
        Some(location)
    })
}

/// What debug information has of a function.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Subprogram {
    context: LLVMContextRef,
    node: LLVMMetadataRef,
}

/// Positions among the operands of a subprogram.
const NAME: usize = 2;
const LINKAGE_NAME: usize = 3;

impl Subprogram {
    /// That of a function, if it has one.
    pub(crate) fn of(function: Function<'_>) -> Option<Self> {
        let node = llvm!(d::LLVMGetSubprogram(function.raw()));
        (!node.is_null()).then(|| Subprogram {
            context: context_of(function.value()),
            node,
        })
    }

    /// The one that a scope lies in.
    fn around(context: LLVMContextRef, mut scope: LLVMMetadataRef) -> Option<Self> {
        /// Position of the enclosing scope among the operands of a lexical block.
        const SCOPE: usize = 1;
        while !scope.is_null() {
            match llvm!(d::LLVMGetMetadataKind(scope)) {
                LLVMMetadataKind::LLVMDISubprogramMetadataKind => {
                    return Some(Subprogram {
                        context,
                        node: scope,
                    });
                }
                LLVMMetadataKind::LLVMDILexicalBlockMetadataKind
                | LLVMMetadataKind::LLVMDILexicalBlockFileMetadataKind => {
                    scope = llvm!(c::LLVMValueAsMetadata(operand(context, scope, SCOPE)?));
                }
                _ => return None,
            }
        }
        None
    }

    /// The function's symbol; its short name if that is all there is.
    pub(crate) fn symbol(self) -> String {
        let name = operand(self.context, self.node, LINKAGE_NAME)
            .or_else(|| operand(self.context, self.node, NAME));
        let Some(name) = name else {
            return String::new();
        };
        let mut len = 0;
        let start = llvm!(c::LLVMGetMDString(name, &mut len));
        text(start, len)
    }

    /// Makes the symbol the name too: LLVM's reduction of debug information to lines keeps only
    /// that.
    pub(crate) fn name_by_symbol(self) {
        if let Some(symbol) = operand(self.context, self.node, LINKAGE_NAME) {
            let node = llvm!(c::LLVMMetadataAsValue(self.context, self.node));
            let symbol = llvm!(c::LLVMValueAsMetadata(symbol));
            llvm!(c::LLVMReplaceMDNodeOperandWith(node, NAME as u32, symbol));
        }
    }

    /// Where the function is defined, in a file as the compiler was given it.
    pub(crate) fn position(self) -> Source {
        let file = llvm!(d::LLVMDIScopeGetFile(self.node));
        Source {
            file: if file.is_null() {
                String::new()
            } else {
                name_of(file)
            },
            line: llvm!(d::LLVMDISubprogramGetLine(self.node)),
            column: 0,
        }
    }

    /// The same, with the file's whole path.
    pub(crate) fn definition(self) -> Option<Source> {
        path_of(self.node).map(|file| Source {
            file,
            ..self.position()
        })
    }
}

fn context_of(value: Value<'_>) -> LLVMContextRef {
    llvm!(c::LLVMGetTypeContext(value.ty().raw()))
}

fn operand(context: LLVMContextRef, node: LLVMMetadataRef, index: usize) -> Option<LLVMValueRef> {
    let node = llvm!(c::LLVMMetadataAsValue(context, node));
    let count = llvm!(c::LLVMGetMDNodeNumOperands(node)) as usize;
    let mut operands = vec![std::ptr::null_mut(); count];
    llvm!(c::LLVMGetMDNodeOperands(node, operands.as_mut_ptr()));
    let found = operands.get(index).copied()?;
    (!found.is_null()).then_some(found)
}

/// The whole path of a scope's file.
fn path_of(scope: LLVMMetadataRef) -> Option<String> {
    let file = llvm!(d::LLVMDIScopeGetFile(scope));
    if file.is_null() {
        return None;
    }
    let name = name_of(file);
    if name.starts_with('/') {
        return Some(name);
    }
    let directory = directory_of(file);
    if copies::is_number(&name) {
        return Some(directory);
    }
    Some(if directory.is_empty() {
        name
    } else {
        format!("{directory}/{name}")
    })
}

fn name_of(file: LLVMMetadataRef) -> String {
    let mut len = 0;
    let start = llvm!(d::LLVMDIFileGetFilename(file, &mut len));
    text(start, len)
}

fn directory_of(file: LLVMMetadataRef) -> String {
    let mut len = 0;
    let start = llvm!(d::LLVMDIFileGetDirectory(file, &mut len));
    text(start, len)
}

fn text(start: *const std::ffi::c_char, len: u32) -> String {
    if start.is_null() {
        return String::new();
    }
    let bytes = llvm!(std::slice::from_raw_parts(start.cast::<u8>(), len as usize));
    String::from_utf8_lossy(bytes).into_owned()
}
