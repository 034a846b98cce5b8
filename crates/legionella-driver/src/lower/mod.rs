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

use inkwell::context::Context;
use inkwell::module::Module;
use inkwell::targets::TargetMachine;
use legionella_abi::intrinsic::Relaxation;
use llvm_sys::LLVMLinkage;

use relax::Relaxed;

pub(crate) use reached::reached;

pub(crate) use intrinsics::{HOST_CALLS, IDS, forget_immutable, work_in_groups};

use crate::error::Error;
use crate::ir::{self, Pipeline};

/// One kernel's closure in device form.
pub(crate) struct Lowered<'ctx> {
    pub(crate) module: Module<'ctx>,
    /// Symbol of the entry shim, the only function that is visible from outside.
    pub(crate) entry: String,
}

/// Reads of a bundle's bitcode what one kernel reaches.
pub(crate) fn kernel<'ctx>(
    context: &'ctx Context,
    bitcode: &[u8],
    entry: &str,
) -> Result<Lowered<'ctx>, Error> {
    Ok(Lowered {
        module: reached(context, bitcode, &[entry])?,
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

/// Lowers a kernel. `lacking` are operations of floats that most machines have and this one has not;
/// `native` are sums of floats that it adds atomically; where it `has_allocator`, that is bound later, and
/// likewise what work-items do with their `peers`; `support` are functions of the device library that stay
/// if the kernel's items work together.
pub(crate) fn lower<'ctx>(
    kernel: Lowered<'ctx>,
    machine: &TargetMachine,
    lacking: &[&str],
    native: &[&str],
    has_allocator: bool,
    peers: bool,
    support: &[&str],
) -> Result<Lowered<'ctx>, Error> {
    let Lowered { module, entry } = kernel;
    let detects = detection::occurs(&module);
    if detects {
        denied::panic_instead(&module, &entry);
    }
    division::bind(&module);
    attributes::strip(&module);
    let relaxed = Relaxed::take(&module);
    relaxed.mark(&module);
    intrinsics::declare(&module, peers);
    atomics::declare(&module, native);
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
    if !has_allocator {
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
    maths::bind(&module, lacking, relaxed.allows(Relaxation::Approximate));
    // What only the redirected calls and the bound operations needed is now unreachable or reached.
    for function in ir::functions(&module) {
        let name = function.name();
        let kept = name == entry || (in_groups && support.contains(&name.as_str()));
        if !function.is_declaration() && !kept {
            function.set_linkage(LLVMLinkage::LLVMInternalLinkage);
        }
    }
    Pipeline {
        text: "globaldce",
        ..PLAIN
    }
    .run(&module, machine)?;
    rare::mark(&module, &[&[entry.as_str()], support].concat());
    Ok(Lowered { module, entry })
}
