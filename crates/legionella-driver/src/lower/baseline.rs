//! Operations of `core::arch` that crates use without asking, because every processor of the host's
//! architecture has them, in a form that every machine has.
//!
//! Most of them are plain IR already; the few that LLVM has intrinsics for are in `baseline.ll`.

use inkwell::module::Module;

use crate::error::Error;
use crate::ir;

const TEXT: &std::ffi::CStr = crate::ir::ir_text!("baseline.ll");

/// What LLVM's names and ours start with.
const THEIRS: &str = "llvm.x86.";
const OURS: &str = "legionella.x86.";

/// Replaces the operations that the machine does not have, by their names' prefixes in `native`.
pub(crate) fn replace(module: &Module<'_>, native: &[&str]) -> Result<(), Error> {
    let lacking: Vec<_> = (ir::functions(module).into_iter())
        .filter(|function| {
            let name = function.name();
            name.starts_with(THEIRS) && !native.iter().any(|prefix| name.starts_with(prefix))
        })
        .collect();
    if lacking.is_empty() {
        return Ok(());
    }
    ir::link_text(module, TEXT)?;
    for function in lacking {
        let ours = function.name().replacen(THEIRS, OURS, 1);
        if let Some(ours) = ir::function(module, &ours)
            && ours.signature() == function.signature()
        {
            function.value().replace_all_uses_with(ours.value());
            function.delete();
        }
    }
    for function in ir::functions(module) {
        if function.name().starts_with(OURS) {
            function.set_linkage(llvm_sys::LLVMLinkage::LLVMInternalLinkage);
        }
    }
    Ok(())
}
