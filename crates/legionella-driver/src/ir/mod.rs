//! LLVM IR as values to look at and change, for the passes that LLVM's pass pipelines don't have.
//!
//! Handles are copies of LLVM's pointers, tied to the lifetime of their module. As in LLVM, a
//! handle of an instruction, block or function that was erased must not be used again; the passes
//! of this crate erase only what they have no further handle of.

mod block;
mod builder;
pub(crate) mod debug;
pub(crate) mod flow;
mod function;
pub(crate) mod known;
pub(crate) mod metadata;
mod outline;
mod pipeline;
mod ty;
mod value;

pub(crate) use block::Block;
pub(crate) use builder::Builder;
pub(crate) use function::Function;
pub(crate) use outline::outline;
pub(crate) use pipeline::Pipeline;
pub(crate) use ty::Type;
pub(crate) use value::Value;

use std::ffi::CString;

use llvm_sys::prelude::LLVMModuleRef;

use crate::error::Error;
use std::ptr::NonNull;

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

/// The elements of one of LLVM's lists. The next one is looked up before an element is given out,
/// so that element may be deleted.
///
/// # Safety
/// `first` must be null or what `next` takes, and the list must stay valid.
pub(crate) unsafe fn list<T>(
    first: *mut T,
    next: unsafe extern "C" fn(*mut T) -> *mut T,
) -> impl Iterator<Item = *mut T> {
    let mut following = first;
    std::iter::from_fn(move || {
        let value = NonNull::new(following)?.as_ptr();
        // SAFETY: as the caller says.
        following = unsafe { next(value) };
        Some(value)
    })
}

/// The text of a file of IR beside the source file, as LLVM's parser takes it.
macro_rules! ir_text {
    ($file:literal) => {
        match std::ffi::CStr::from_bytes_with_nul(concat!(include_str!($file), "\0").as_bytes()) {
            Ok(text) => text,
            Err(_) => panic!("a zero within the text"),
        }
    };
}
pub(crate) use ir_text;

/// Links definitions that are given as text into a module.
pub(crate) fn link_text(
    module: &inkwell::module::Module<'_>,
    text: &std::ffi::CStr,
) -> Result<(), Error> {
    use llvm_sys::core as c;
    let failed = |reason: String| Error::Internal {
        stage: "linking of IR",
        reason,
    };
    let context = llvm!(c::LLVMGetModuleContext(module.as_mut_ptr()));
    let mut parsed = std::ptr::null_mut();
    let mut message = std::ptr::null_mut();
    // SAFETY: the text is terminated by a zero, as the parser requires, and outlives the buffer.
    // The module is new and of the same context.
    let added = unsafe {
        let buffer = c::LLVMCreateMemoryBufferWithMemoryRange(
            text.as_ptr(),
            text.count_bytes(),
            c"text".as_ptr(),
            1,
        );
        let result =
            llvm_sys::ir_reader::LLVMParseIRInContext2(context, buffer, &mut parsed, &mut message);
        c::LLVMDisposeMemoryBuffer(buffer);
        if result != 0 {
            let reason = std::ffi::CStr::from_ptr(message)
                .to_string_lossy()
                .into_owned();
            c::LLVMDisposeMessage(message);
            return Err(failed(reason));
        }
        inkwell::module::Module::new(parsed)
    };
    added.set_triple(&module.get_triple());
    added.set_data_layout(&module.get_data_layout());
    link(module, added).map_err(failed)
}

/// Links a module of the same context into another. Why LLVM refuses that, it tells the log.
///
/// `inkwell`'s own way leaves a handler of diagnostics behind, which writes to where it was called from.
pub(crate) fn link(
    module: &inkwell::module::Module<'_>,
    other: inkwell::module::Module<'_>,
) -> Result<(), String> {
    let (to, from) = (module.as_mut_ptr(), other.as_mut_ptr());
    // LLVM takes it over.
    std::mem::forget(other);
    match llvm!(llvm_sys::linker::LLVMLinkModules2(to, from)) {
        0 => Ok(()),
        _ => Err("LLVM can't link it".to_owned()),
    }
}

/// Gives the functions whose names begin so internal linkage, so that what is not used goes.
pub(crate) fn keep_inside(module: &inkwell::module::Module<'_>, prefix: &str) {
    for function in functions(module) {
        if !function.is_declaration() && function.name().starts_with(prefix) {
            function.set_linkage(llvm_sys::LLVMLinkage::LLVMInternalLinkage);
        }
    }
}

/// All functions of a module, declarations included.
pub(crate) fn functions<'m>(module: &'m inkwell::module::Module<'_>) -> Vec<Function<'m>> {
    use llvm_sys::core as c;
    let all = llvm!(list(
        c::LLVMGetFirstFunction(module.as_mut_ptr()),
        c::LLVMGetNextFunction
    ));
    all.map(Function::from_raw).collect()
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
    use llvm_sys::core as c;
    let all = llvm!(list(
        c::LLVMGetFirstGlobal(module.as_mut_ptr()),
        c::LLVMGetNextGlobal
    ));
    all.map(Value::from_raw).collect()
}

/// The global variable of that name.
pub(crate) fn global<'m>(module: &'m inkwell::module::Module<'_>, name: &str) -> Option<Value<'m>> {
    let name = c_name(name);
    let found = llvm!(llvm_sys::core::LLVMGetNamedGlobal(
        module.as_mut_ptr(),
        name.as_ptr()
    ));
    (!found.is_null()).then(|| Value::from_raw(found))
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

/// The address of a constant struct of these fields.
pub(crate) fn constant<'m>(
    module: &'m inkwell::module::Module<'_>,
    fields: &[Value<'m>],
) -> Value<'m> {
    use llvm_sys::core as c;
    let mut raw: Vec<_> = fields.iter().map(|field| field.raw()).collect();
    let context = llvm!(c::LLVMGetModuleContext(module.as_mut_ptr()));
    let value = llvm!(c::LLVMConstStructInContext(
        context,
        raw.as_mut_ptr(),
        raw.len() as u32,
        0
    ));
    hidden(module, value)
}

/// The address of a constant text, which ends without a zero.
pub(crate) fn text<'m>(module: &'m inkwell::module::Module<'_>, text: &str) -> Value<'m> {
    use llvm_sys::core as c;
    let context = llvm!(c::LLVMGetModuleContext(module.as_mut_ptr()));
    let value = llvm!(c::LLVMConstStringInContext2(
        context,
        text.as_ptr().cast(),
        text.len(),
        1
    ));
    hidden(module, value)
}

/// A constant of the module's own, which has no name.
fn hidden<'m>(
    module: &'m inkwell::module::Module<'_>,
    value: llvm_sys::prelude::LLVMValueRef,
) -> Value<'m> {
    use llvm_sys::core as c;
    llvm!({
        let global = c::LLVMAddGlobal(module.as_mut_ptr(), c::LLVMTypeOf(value), c"".as_ptr());
        c::LLVMSetInitializer(global, value);
        c::LLVMSetGlobalConstant(global, 1);
        c::LLVMSetLinkage(global, llvm_sys::LLVMLinkage::LLVMPrivateLinkage);
        c::LLVMSetUnnamedAddress(global, llvm_sys::LLVMUnnamedAddr::LLVMGlobalUnnamedAddr);
        Value::from_raw(global)
    })
}

/// An intrinsic of LLVM, at these types if it has variants.
pub(crate) fn intrinsic<'m>(
    module: &'m inkwell::module::Module<'_>,
    name: &str,
    variant: &[Type<'m>],
) -> Function<'m> {
    intrinsic_in(module.as_mut_ptr(), name, variant)
}

fn intrinsic_in<'m>(module: LLVMModuleRef, name: &str, variant: &[Type<'m>]) -> Function<'m> {
    use llvm_sys::core as c;
    let mut raw: Vec<_> = variant.iter().map(|ty| ty.raw()).collect();
    let id = llvm!(c::LLVMLookupIntrinsicID(name.as_ptr().cast(), name.len()));
    Function::from_raw(llvm!(c::LLVMGetIntrinsicDeclaration(
        module,
        id,
        raw.as_mut_ptr(),
        raw.len()
    )))
}

/// The types that passes build with.
pub(crate) struct Types<'m> {
    pub(crate) void: Type<'m>,
    pub(crate) i1: Type<'m>,
    pub(crate) i8: Type<'m>,
    pub(crate) i32: Type<'m>,
    pub(crate) i64: Type<'m>,
    pub(crate) f32: Type<'m>,
    pub(crate) ptr: Type<'m>,
    pub(crate) token: Type<'m>,
}

impl<'m> Types<'m> {
    pub(crate) fn of(module: &'m inkwell::module::Module<'_>) -> Self {
        Types::in_context(llvm!(llvm_sys::core::LLVMGetModuleContext(
            module.as_mut_ptr()
        )))
    }

    /// Those of the context that a type is of.
    pub(crate) fn of_type(ty: Type<'m>) -> Self {
        Types::in_context(llvm!(llvm_sys::core::LLVMGetTypeContext(ty.raw())))
    }

    fn in_context(context: llvm_sys::prelude::LLVMContextRef) -> Self {
        use llvm_sys::core as c;
        let ty = Type::from_raw;
        Types {
            void: ty(llvm!(c::LLVMVoidTypeInContext(context))),
            i1: ty(llvm!(c::LLVMInt1TypeInContext(context))),
            i8: ty(llvm!(c::LLVMInt8TypeInContext(context))),
            i32: ty(llvm!(c::LLVMInt32TypeInContext(context))),
            i64: ty(llvm!(c::LLVMInt64TypeInContext(context))),
            f32: ty(llvm!(c::LLVMFloatTypeInContext(context))),
            ptr: ty(llvm!(c::LLVMPointerTypeInContext(context, 0))),
            token: ty(llvm!(c::LLVMTokenTypeInContext(context))),
        }
    }
}

/// A metadata node without operands that is equal to itself only. The C API has no function for
/// it, but reads it.
pub(crate) fn distinct_node(
    module: &inkwell::module::Module<'_>,
) -> llvm_sys::prelude::LLVMMetadataRef {
    use llvm_sys::core as c;
    const TEXT: &std::ffi::CStr = c"!node = !{!0}\n!0 = distinct !{}\n";
    let context = llvm!(c::LLVMGetModuleContext(module.as_mut_ptr()));
    let mut parsed = std::ptr::null_mut();
    let mut message = std::ptr::null_mut();
    // SAFETY: the text is terminated by a zero, as the parser requires, and outlives the buffer. A
    // distinct node belongs to its context and stays when the module that it came in goes.
    unsafe {
        let buffer = c::LLVMCreateMemoryBufferWithMemoryRange(
            TEXT.as_ptr(),
            TEXT.count_bytes(),
            c"node".as_ptr(),
            1,
        );
        let failed =
            llvm_sys::ir_reader::LLVMParseIRInContext2(context, buffer, &mut parsed, &mut message);
        c::LLVMDisposeMemoryBuffer(buffer);
        assert_eq!(failed, 0, "LLVM reads a constant text");
        let mut list = [std::ptr::null_mut()];
        c::LLVMGetNamedMetadataOperands(parsed, c"node".as_ptr(), list.as_mut_ptr());
        let node = c::LLVMValueAsMetadata(list[0]);
        c::LLVMDisposeModule(parsed);
        node
    }
}

/// Functions that an instruction mentions, as callee or by address, through constants too.
pub(crate) fn functions_in(instruction: Value<'_>) -> Vec<Function<'_>> {
    let mut found = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    let mut ahead = instruction.operands();
    while let Some(value) = ahead.pop() {
        if let Some(function) = value.as_function() {
            found.push(function);
        } else if value.is_constant() && seen.insert(value) {
            ahead.extend(value.operands());
        }
    }
    found
}
