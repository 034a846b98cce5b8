//! The allocator of targets that have none: the device library's heap.

use inkwell::module::Module;
use llvm_sys::LLVMLinkage;

use crate::extract::cuts::{Cut, cut};
use crate::extract::heap;
use crate::ir::{self, Builder};

/// Leads calls of Rust's allocator to the accelerator's heap.
pub(super) fn redirect(module: &Module<'_>) {
    for function in ir::functions(module) {
        if !function.is_declaration() {
            continue;
        }
        let name = function.name();
        if cut(&name) == Some(Cut::AllocMarker) {
            Builder::at_end(function.append_block("entry")).ret(None);
            function.set_linkage(LLVMLinkage::LLVMInternalLinkage);
        } else if let Some(ours) = heap::of_function(&name)
            && let Some(ours) = ir::function(module, ours)
        {
            function.value().replace_all_uses_with(ours.value());
            function.delete();
        }
    }
}
