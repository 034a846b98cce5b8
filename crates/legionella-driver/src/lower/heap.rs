//! The allocator of targets that have none: the device library's heap.

use inkwell::module::Module;
use llvm_sys::LLVMLinkage;

use crate::extract::cuts::{Cut, cut};
use crate::extract::heap;
use crate::ir::{self, Builder};

/// Leads calls of Rust's allocator to the accelerator's heap, of which there is one in a kernel, however
/// many places allocate.
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
            ours.add_attribute("noinline");
            function.value().replace_all_uses_with(ours.value());
            function.delete();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use inkwell::context::Context;
    use inkwell::memory_buffer::MemoryBuffer;

    const TEXT: &str = "
        declare ptr @_RNvCs1234_7___rustc12___rust_alloc(i64, i64)
        declare void @_RNvCs1234_7___rustc14___rust_dealloc(ptr, i64, i64)
        declare void @_RNvCs1234_7___rustc35___rust_no_alloc_shim_is_unstable_v2()
        define ptr @legionella.heap.alloc(i64 %size, i64 %align) { ret ptr null }
        define void @legionella.heap.dealloc(ptr %memory, i64 %size, i64 %align) { ret void }
        define void @entry() {
          call void @_RNvCs1234_7___rustc35___rust_no_alloc_shim_is_unstable_v2()
          %memory = call ptr @_RNvCs1234_7___rustc12___rust_alloc(i64 8, i64 4)
          call void @_RNvCs1234_7___rustc14___rust_dealloc(ptr %memory, i64 8, i64 4)
          ret void
        }\0";

    #[test]
    fn the_allocator_becomes_the_heap() {
        crate::llvm::load(&crate::llvm::find(None).unwrap()).unwrap();
        let context = Context::create();
        let buffer = MemoryBuffer::create_from_memory_range_copy(TEXT.as_bytes(), "kernel");
        let module = context.create_module_from_ir(buffer).unwrap();
        redirect(&module);
        module.verify().unwrap();
        let text = module.print_to_string().to_string();
        assert!(
            text.contains("%memory = call ptr @legionella.heap.alloc(i64 8, i64 4)"),
            "{text}"
        );
        assert!(text.contains("call void @legionella.heap.dealloc(ptr %memory, i64 8, i64 4)"));
        assert!(!text.contains("declare"), "{text}");
    }
}
