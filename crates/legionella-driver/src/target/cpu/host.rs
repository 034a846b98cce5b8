//! Binds what generated code needs from the application: the allocator and the panic hook, through
//! the pointer that the application sets (contract: [`legionella_abi::cpu::Host`]).

use inkwell::module::Module;
use legionella_abi::{cpu, intrinsic};
use llvm_sys::LLVMLinkage;
use llvm_sys::core as c;

use crate::extract::cuts::{Cut, cut};
use crate::ir::{self, Builder, Function, Types, Value, llvm};

/// Gives every function that the application provides a body that calls it.
pub(super) fn bind(module: &Module<'_>) {
    let types = Types::of(module);
    let host = pointer(module, cpu::HOST, &types);
    for function in ir::functions(module) {
        if !function.is_declaration() {
            continue;
        }
        let name = function.name();
        let field = if name == intrinsic::PANIC {
            std::mem::offset_of!(cpu::Host, panic)
        } else if name == intrinsic::CPU_SCRATCH {
            std::mem::offset_of!(cpu::Host, scratch)
        } else if name == intrinsic::PAUSE {
            std::mem::offset_of!(cpu::Host, pause)
        } else if name == intrinsic::RUNNING_ITEM {
            std::mem::offset_of!(cpu::Host, running_item)
        } else if name == intrinsic::PRINT_PORT {
            load_port(module, function, &types);
            continue;
        } else {
            match cut(&name) {
                Some(Cut::Alloc) => std::mem::offset_of!(cpu::Host, alloc),
                Some(Cut::AllocZeroed) => std::mem::offset_of!(cpu::Host, alloc_zeroed),
                Some(Cut::Dealloc) => std::mem::offset_of!(cpu::Host, dealloc),
                Some(Cut::Realloc) => std::mem::offset_of!(cpu::Host, realloc),
                Some(Cut::AllocMarker) => {
                    nothing(function);
                    continue;
                }
                _ => continue,
            }
        };
        call_through(function, host, field, &types);
    }
}

/// A body that gives what the application has set the exported variable for printing to.
fn load_port<'m>(module: &'m Module<'_>, function: Function<'m>, types: &Types<'m>) {
    let builder = Builder::at_end(function.append_block("entry"));
    let port = builder.load(types.ptr, pointer(module, cpu::PORT, types));
    builder.ret(Some(port));
    function.set_linkage(LLVMLinkage::LLVMInternalLinkage);
}

/// An exported variable that the application sets.
fn pointer<'m>(module: &'m Module<'_>, name: &str, types: &Types<'m>) -> Value<'m> {
    let name = ir::c_name(name);
    let global = llvm!(c::LLVMAddGlobal(
        module.as_mut_ptr(),
        types.ptr.raw(),
        name.as_ptr()
    ));
    llvm!(c::LLVMSetInitializer(global, types.ptr.zero().raw()));
    llvm!(c::LLVMSetExternallyInitialized(global, 1));
    Value::from_raw(global)
}

/// A body that hands its arguments to the function at `field` of the host's table.
fn call_through<'m>(function: Function<'m>, host: Value<'m>, field: usize, types: &Types<'m>) {
    let builder = Builder::at_end(function.append_block("entry"));
    let table = builder.load(types.ptr, host);
    let slot = builder.element(types.i8, table, types.i64.constant(field as u64));
    let pointer = builder.load(types.ptr, slot);
    let result = builder.call_pointer(function.signature(), pointer, &function.parameters());
    function.set_linkage(LLVMLinkage::LLVMInternalLinkage);
    // The pointer is loaded from memory, which the declaration promised not to touch.
    for attribute in ["memory", "allockind", "speculatable"] {
        function.remove_attribute(attribute);
    }
    // It names a function that no longer says what it allocates.
    function.remove_text_attribute("alloc-variant-zeroed");
    if function.has_attribute("noreturn") {
        function.add_attribute("noinline");
        builder.unreachable();
    } else {
        builder.ret(Some(result).filter(|result| result.ty() != types.void));
    }
}

/// A body that does nothing, for markers without effect.
fn nothing(function: Function<'_>) {
    let builder = Builder::at_end(function.append_block("entry"));
    builder.ret(None);
    function.set_linkage(LLVMLinkage::LLVMInternalLinkage);
}
