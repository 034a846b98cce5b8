//! Reading of bitcode what some kernels reach.
//!
//! Takes bitcode that holds more than is asked for, gives a module without the rest. Bitcode is read
//! lazily, and LLVM's linker, which takes over only what is visible and what that refers to, reads
//! the bodies that are needed. Knows no target.

use std::collections::HashSet;

use inkwell::context::{AsContextRef, Context};
use inkwell::module::Module;
use legionella_abi::intrinsic;
use llvm_sys::LLVMLinkage;
use llvm_sys::bit_reader::LLVMGetBitcodeModuleInContext2;
use llvm_sys::core as c;
use llvm_sys::prelude::LLVMContextRef;

use super::PLAIN;
use crate::error::Error;
use crate::extract::NEEDS;
use crate::ir::{self, Function, Pipeline, llvm};

/// What entry shims reach, and the functions of the device library that lowering may bind its
/// operations to, but for those that targets build on and this one, which builds on `support`, doesn't.
pub(crate) fn reached<'ctx>(
    context: &'ctx Context,
    bitcode: &[u8],
    entries: &[&str],
    support: &[&str],
) -> Result<Module<'ctx>, Error> {
    let failed = |reason: String| Error::Bitcode {
        origin: "the program's bundle".to_owned(),
        reason,
    };
    let image = read_lazily(context.as_ctx_ref(), bitcode)
        .ok_or_else(|| failed(String::from("LLVM can't read it")))?;
    let missing = |entry: &&&str| ir::function(&image, entry).is_none_or(Function::is_declaration);
    if let Some(entry) = entries.iter().find(missing) {
        return Err(Error::MissingKernel {
            kernel: crate::extract::kernel_name(entry),
        });
    }
    let mut visible = HashSet::new();
    for entry in entries {
        let needs = ir::function(&image, entry).and_then(|shim| shim.text_attribute(NEEDS));
        let needs = needs.unwrap_or_else(|| intrinsic::ROOTS.join(","));
        visible.extend(needs.split(',').map(str::to_owned));
        visible.insert((*entry).to_owned());
    }
    visible.retain(|name| name != intrinsic::CPU_RUN_GROUPS || support.contains(&name.as_str()));
    hide_all_but(&image, &visible);
    let module = context.create_module("kernel");
    ir::link(&module, image).map_err(failed)?;
    Pipeline {
        text: "globaldce",
        ..PLAIN
    }
    .run_for_any_machine(&module)?;
    Ok(module)
}

/// A module whose function bodies are read from `bitcode` when they are needed, so that it must not
/// outlive that; `None` if that is no bitcode.
pub(super) fn read_lazily<'ctx>(context: LLVMContextRef, bitcode: &[u8]) -> Option<Module<'ctx>> {
    let mut module = std::ptr::null_mut();
    // SAFETY: the buffer refers to `bitcode` and is taken over; the module, of `context`, is new.
    unsafe {
        let buffer = c::LLVMCreateMemoryBufferWithMemoryRange(
            bitcode.as_ptr().cast(),
            bitcode.len(),
            c"bundle".as_ptr(),
            0,
        );
        let failed = LLVMGetBitcodeModuleInContext2(context, buffer, &mut module);
        (failed == 0).then(|| Module::new(module))
    }
}

/// Gives everything internal linkage except what is to be `visible`, so that what that doesn't reach
/// goes.
fn hide_all_but(module: &Module<'_>, visible: &HashSet<String>) {
    for function in ir::functions(module) {
        if !function.is_declaration() {
            function.set_linkage(if visible.contains(&function.name()) {
                LLVMLinkage::LLVMExternalLinkage
            } else {
                LLVMLinkage::LLVMInternalLinkage
            });
        }
    }
    for global in ir::globals(module) {
        if !global.is_declaration() {
            llvm!(c::LLVMSetLinkage(
                global.raw(),
                LLVMLinkage::LLVMInternalLinkage
            ));
        }
    }
}
