//! From a kernel's closure to a module that means the same without a host: no unwinding, no panic
//! machinery of `std`, no feature detection, all machine operations as declared intrinsics.
//!
//! Takes the bitcode of an image and the entry shim's symbol, gives [`Lowered`]. Knows no target.

pub(crate) mod atomics;
mod attributes;
pub(crate) mod baseline;
mod collective;
mod denied;
mod detection;
mod division;
pub(crate) mod formatting;
mod heap;
mod intrinsics;
mod maths;
mod panics;
mod rare;
mod relax;
pub(crate) mod vendor;

use std::path::Path;

use inkwell::context::{AsContextRef, Context};
use inkwell::module::Module;
use inkwell::targets::TargetMachine;
use legionella_abi::intrinsic::{self, Relaxation};
use llvm_sys::LLVMLinkage;
use llvm_sys::bit_reader::LLVMGetBitcodeModuleInContext2;
use llvm_sys::core as c;
use llvm_sys::prelude::LLVMContextRef;

use relax::Relaxed;
use vendor::Vendor;

pub(crate) use intrinsics::{HOST_CALLS, IDS, forget_immutable, work_in_groups};

use crate::error::Error;
use crate::ir::{self, Function, Pipeline, llvm};

/// One kernel's closure in device form.
pub(crate) struct Lowered<'ctx> {
    pub(crate) module: Module<'ctx>,
    /// Symbol of the entry shim, the only function that is visible from outside.
    pub(crate) entry: String,
}

/// Reads of an image's bitcode what one kernel reaches.
///
/// The image may hold hundreds of kernels, most of whose code would be read for nothing: it is read
/// lazily, and LLVM's linker, which takes over only what is visible and what that refers to, reads
/// the bodies that are needed.
pub(crate) fn kernel<'ctx>(
    context: &'ctx Context,
    bitcode: &[u8],
    entry: &str,
    machine: &TargetMachine,
) -> Result<Lowered<'ctx>, Error> {
    let failed = |reason: String| Error::Bitcode {
        origin: "the program's bundle".to_owned(),
        reason,
    };
    let image = read_lazily(context.as_ctx_ref(), bitcode)
        .ok_or_else(|| failed(String::from("LLVM can't read it")))?;
    if ir::function(&image, entry).is_none_or(Function::is_declaration) {
        return Err(Error::MissingKernel {
            kernel: crate::extract::kernel_name(entry),
        });
    }
    hide_all_but(&image, entry);
    let module = context.create_module("kernel");
    module
        .link_in_module(image)
        .map_err(|error| failed(error.to_string()))?;
    Pipeline {
        text: "globaldce",
        ..PLAIN
    }
    .run(&module, machine)?;
    Ok(Lowered {
        module,
        entry: entry.to_owned(),
    })
}

/// A module whose function bodies are read from `bitcode` when they are needed, so that it must not
/// outlive that; `None` if that is no bitcode.
fn read_lazily<'ctx>(context: LLVMContextRef, bitcode: &[u8]) -> Option<Module<'ctx>> {
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

/// Passes that neither vectorise nor unroll.
pub(crate) const PLAIN: Pipeline<'static> = Pipeline {
    text: "",
    vectorise: false,
    unroll: false,
    inline_threshold: 0,
};

/// Gives everything internal linkage except the entry shim, so that what it doesn't reach goes.
fn hide_all_but(module: &Module<'_>, entry: &str) {
    for function in ir::functions(module) {
        if !function.is_declaration() {
            let name = function.name();
            let visible = name == entry
                || intrinsic::ROOTS.contains(&name.as_str())
                || intrinsic::HEAP.contains(&name.as_str())
                || name.starts_with(intrinsic::MATHS_PREFIX)
                || name.starts_with(intrinsic::C_PREFIX);
            function.set_linkage(if visible {
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

/// What lowering must know of a target, which says what each means ([`crate::target::Target`]).
pub(crate) struct Abilities<'a> {
    pub(crate) lacking: &'a [&'static str],
    /// Sums of floats that the target adds atomically.
    pub(crate) atomic_sums: &'a [&'static str],
    pub(crate) has_allocator: bool,
    pub(crate) peers: bool,
    pub(crate) matrices: &'a [&'static str],
    pub(crate) support: &'a [&'static str],
    /// The library of mathematical functions for kernels that may have them, if there is one.
    pub(crate) vendor: Option<(&'a Vendor, &'a Path)>,
}

/// Lowers a kernel.
pub(crate) fn lower<'ctx>(
    kernel: Lowered<'ctx>,
    machine: &TargetMachine,
    target: &Abilities<'_>,
) -> Result<Lowered<'ctx>, Error> {
    let Lowered { module, entry } = kernel;
    let detects = detection::occurs(&module);
    if detects {
        denied::panic_instead(&module, &entry);
    }
    division::bind(&module);
    let relaxed = Relaxed::take(&module);
    relaxed.mark(&module);
    if let Some((vendor, library)) = target.vendor.filter(|_| relaxed.allows(Relaxation::Vendor)) {
        vendor::bind(&module, library, vendor, machine)?;
    }
    attributes::strip(&module);
    intrinsics::declare(&module, target.peers, target.matrices);
    atomics::declare(&module, target.atomic_sums);
    collective::mark(&module, &entry);
    let in_groups = intrinsics::work_in_groups(&module);
    Pipeline {
        text: "function(lower-invoke,simplifycfg)",
        ..PLAIN
    }
    .run(&module, machine)?;
    for function in ir::functions(&module) {
        function.remove_personality();
    }
    panics::redirect(&module);
    if !target.has_allocator {
        heap::redirect(&module);
    }
    if detects {
        detection::expose(&module);
        Pipeline {
            text: "always-inline,function(sroa,instcombine<no-verify-fixpoint>,simplifycfg)",
            ..PLAIN
        }
        .run(&module, machine)?;
        detection::never(&module);
    }
    maths::bind(
        &module,
        target.lacking,
        relaxed.allows(Relaxation::Approximate),
    );
    // What only the redirected calls and the bound operations needed is now unreachable or reached.
    for function in ir::functions(&module) {
        let name = function.name();
        let kept = name == entry || (in_groups && target.support.contains(&name.as_str()));
        if !function.is_declaration() && !kept {
            function.set_linkage(LLVMLinkage::LLVMInternalLinkage);
        }
    }
    Pipeline {
        text: "globaldce",
        ..PLAIN
    }
    .run(&module, machine)?;
    rare::mark(&module, &[&[entry.as_str()], target.support].concat());
    Ok(Lowered { module, entry })
}
