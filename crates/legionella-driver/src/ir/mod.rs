//! LLVM IR as values to look at and change, for the passes that LLVM's pass pipelines don't have.
//!
//! Handles are copies of LLVM's pointers, tied to the lifetime of their module. As in LLVM, a
//! handle of an instruction, block or function that was erased must not be used again; the passes
//! of this crate erase only what they have no further handle of.

mod builder;
mod pipeline;
mod value;

pub(crate) use builder::Builder;
pub(crate) use pipeline::Pipeline;
pub(crate) use value::{Block, Function, Type, Value};

use std::ffi::CString;

/// Calls LLVM through one of the handles below.
///
/// The one place for the argument: every handle was given out by LLVM for a module that its
/// lifetime keeps alive, and is of the kind that the called function takes, because the methods
/// that give out handles check it.
macro_rules! llvm {
    ($call:expr) => {
        // SAFETY: see the macro.
        unsafe { $call }
    };
}
pub(crate) use llvm;

/// A name for LLVM; names with a zero byte don't occur in IR.
pub(crate) fn c_name(name: &str) -> CString {
    CString::new(name).unwrap_or_default()
}

/// All functions of a module, declarations included.
pub(crate) fn functions<'m>(module: &'m inkwell::module::Module<'_>) -> Vec<Function<'m>> {
    let mut all = Vec::new();
    let mut next = llvm!(llvm_sys::core::LLVMGetFirstFunction(module.as_mut_ptr()));
    while !next.is_null() {
        all.push(Function::from_raw(next));
        next = llvm!(llvm_sys::core::LLVMGetNextFunction(next));
    }
    all
}

/// The function of that name.
pub(crate) fn function<'m>(
    module: &'m inkwell::module::Module<'_>,
    name: &str,
) -> Option<Function<'m>> {
    let name = c_name(name);
    let found = llvm!(llvm_sys::core::LLVMGetNamedFunction(
        module.as_mut_ptr(),
        name.as_ptr()
    ));
    (!found.is_null()).then(|| Function::from_raw(found))
}

/// All global variables of a module, declarations included.
pub(crate) fn globals<'m>(module: &'m inkwell::module::Module<'_>) -> Vec<Value<'m>> {
    let mut all = Vec::new();
    let mut next = llvm!(llvm_sys::core::LLVMGetFirstGlobal(module.as_mut_ptr()));
    while !next.is_null() {
        all.push(Value::from_raw(next));
        next = llvm!(llvm_sys::core::LLVMGetNextGlobal(next));
    }
    all
}

/// The function of that name, declared if the module has none.
pub(crate) fn declare<'m>(
    module: &'m inkwell::module::Module<'_>,
    name: &str,
    result: Type<'m>,
    parameters: &[Type<'m>],
) -> Function<'m> {
    if let Some(found) = function(module, name) {
        return found;
    }
    let ty = result.function(parameters);
    let name = c_name(name);
    Function::from_raw(llvm!(llvm_sys::core::LLVMAddFunction(
        module.as_mut_ptr(),
        name.as_ptr(),
        ty.raw()
    )))
}

/// The types that passes build with.
pub(crate) struct Types<'m> {
    pub(crate) void: Type<'m>,
    pub(crate) i1: Type<'m>,
    pub(crate) i8: Type<'m>,
    pub(crate) i32: Type<'m>,
    pub(crate) i64: Type<'m>,
    pub(crate) ptr: Type<'m>,
}

impl<'m> Types<'m> {
    pub(crate) fn of(module: &'m inkwell::module::Module<'_>) -> Self {
        use llvm_sys::core as c;
        let context = llvm!(c::LLVMGetModuleContext(module.as_mut_ptr()));
        let ty = Type::from_raw;
        Types {
            void: ty(llvm!(c::LLVMVoidTypeInContext(context))),
            i1: ty(llvm!(c::LLVMInt1TypeInContext(context))),
            i8: ty(llvm!(c::LLVMInt8TypeInContext(context))),
            i32: ty(llvm!(c::LLVMInt32TypeInContext(context))),
            i64: ty(llvm!(c::LLVMInt64TypeInContext(context))),
            ptr: ty(llvm!(c::LLVMPointerTypeInContext(context, 0))),
        }
    }
}
