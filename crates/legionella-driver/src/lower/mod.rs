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
mod reached;
mod relax;
pub(crate) mod vendor;

use std::path::Path;

use inkwell::context::Context;
use inkwell::module::Module;
use inkwell::targets::TargetMachine;
use legionella_abi::intrinsic::Relaxation;
use llvm_sys::LLVMLinkage;

use relax::Relaxed;
use vendor::Vendor;

pub(crate) use reached::reached;

pub(crate) use intrinsics::{HOST_CALLS, IDS, forget_immutable, is_of_groups, work_in_groups};

use crate::error::Error;
use crate::ir::{self, Pipeline};

/// One kernel's closure in device form.
pub(crate) struct Lowered<'ctx> {
    pub(crate) module: Module<'ctx>,
    /// Symbol of the entry shim, the only function that is visible from outside.
    pub(crate) entry: String,
}

/// Reads of a bundle's bitcode what one kernel reaches, and of what targets build on that which this one does.
pub(crate) fn kernel<'ctx>(
    context: &'ctx Context,
    bitcode: &[u8],
    entry: &str,
    support: &[&str],
) -> Result<Lowered<'ctx>, Error> {
    Ok(Lowered {
        module: reached(context, bitcode, &[entry], support)?,
        entry: entry.to_owned(),
    })
}

/// Passes that neither vectorise nor unroll.
pub(crate) const PLAIN: Pipeline<'static> = Pipeline {
    text: "",
    vectorise: false,
    unroll: false,
    inline_threshold: 0,
};

/// What lowering must know of a target, which says what each means ([`crate::target::Target`]).
pub(crate) struct Abilities<'a> {
    pub(crate) lacking: &'a [&'static str],
    /// Sums of floats that the target adds atomically.
    pub(crate) atomic_sums: &'a [&'static str],
    pub(crate) has_allocator: bool,
    pub(crate) peers: bool,
    pub(crate) matrices: &'a [&'static str],
    /// How lanes hold matrices.
    pub(crate) arrangement: u32,
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
    intrinsics::arrange(&module, target.arrangement);
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
