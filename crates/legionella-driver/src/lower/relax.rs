//! Liberties that a launch allows in its kernel's arithmetic of floats: told by the entry shim
//! ([`intrinsic::RELAX`]), said of each operation in LLVM's terms (Language Reference, "Fast-Math Flags").
//!
//! The device library's mathematical functions count on what they are, and stay so.

use inkwell::module::Module;
use legionella_abi::intrinsic::{self, Relaxation};
use llvm_sys::core as c;
use llvm_sys::{LLVMFastMathAllowContract, LLVMFastMathAllowReciprocal, LLVMFastMathApproxFunc};

use crate::ir::{self, llvm};

/// What a kernel may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Relaxed(u32);

impl Relaxed {
    /// What the entry shim asks for. Nothing refers to the intrinsic after that.
    pub(super) fn take(module: &Module<'_>) -> Relaxed {
        let mut relaxed = Relaxed(0);
        if let Some(function) = ir::function(module, intrinsic::RELAX) {
            for call in function.value().users() {
                // What is no constant asks for nothing.
                relaxed.0 |= call.operand(0).constant_integer().unwrap_or(0) as u32;
                call.erase();
            }
        }
        relaxed
    }

    pub(super) fn allows(self, relaxation: Relaxation) -> bool {
        self.0 & relaxation as u32 != 0
    }

    /// Says so of the operations.
    pub(super) fn mark(self, module: &Module<'_>) {
        let flags = [
            (Relaxation::Contract, LLVMFastMathAllowContract),
            (Relaxation::Reciprocal, LLVMFastMathAllowReciprocal),
            (Relaxation::Approximate, LLVMFastMathApproxFunc),
        ];
        let flags = flags
            .into_iter()
            .filter(|(relaxation, _)| self.allows(*relaxation))
            .fold(0, |flags, (_, flag)| flags | flag);
        if flags == 0 {
            return;
        }
        for function in ir::functions(module) {
            let name = function.name();
            let exact = [intrinsic::MATHS_PREFIX, intrinsic::FAST_PREFIX];
            if exact.iter().any(|prefix| name.starts_with(prefix)) {
                continue;
            }
            for instruction in function.instructions() {
                if llvm!(c::LLVMCanValueUseFastMathFlags(instruction.raw())) != 0 {
                    let flags = flags | llvm!(c::LLVMGetFastMathFlags(instruction.raw()));
                    llvm!(c::LLVMSetFastMathFlags(instruction.raw(), flags));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use inkwell::context::Context;
    use inkwell::memory_buffer::MemoryBuffer;

    fn marked(what: u32) -> String {
        crate::llvm::load(&crate::llvm::find(None).unwrap()).unwrap();
        let text = format!(
            "declare void @legionella.relax(i32, ptr)
             define float @entry(float %a, float %b) {{
               call void @legionella.relax(i32 {what}, ptr null)
               %product = fmul float %a, %b
               %sum = fadd nnan float %product, %a
               %quotient = fdiv float %sum, %b
               %r = call float @legionella.maths.exact(float %quotient)
               ret float %r
             }}
             define internal float @legionella.maths.exact(float %a) {{
               %square = fmul float %a, %a
               ret float %square
             }}\0"
        );
        let context = Context::create();
        let buffer = MemoryBuffer::create_from_memory_range_copy(text.as_bytes(), "kernel");
        let module = context.create_module_from_ir(buffer).unwrap();
        Relaxed::take(&module).mark(&module);
        module.verify().unwrap();
        module.print_to_string().to_string()
    }

    #[test]
    fn only_what_is_asked_for_is_said_of_the_kernel_alone() {
        let strict = marked(0);
        assert!(strict.contains("fmul float %a, %b") && strict.contains("fadd nnan float"));
        assert!(!strict.contains("call void @legionella.relax"));
        let contracted = marked(Relaxation::Contract as u32);
        assert!(
            contracted.contains("fmul contract float %a, %b"),
            "{contracted}"
        );
        assert!(
            contracted.contains("fadd nnan contract float"),
            "{contracted}"
        );
        let all = marked(7);
        assert!(all.contains("fdiv arcp contract afn float"), "{all}");
        assert!(all.contains("%square = fmul float %a, %a"), "{all}");
    }
}
