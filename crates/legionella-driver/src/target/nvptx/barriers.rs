//! Barriers for the optimiser: inline assembly without instructions, such as `black_box` is made of.
//!
//! They are written for the host's assembler and its registers. What they are to keep LLVM from is
//! of no use to a kernel, so a value goes past them as it is.

use inkwell::module::Module;

use crate::ir;

/// Removes them; others than those have been refused.
pub(super) fn remove(module: &Module<'_>) {
    let types = ir::Types::of(module);
    for function in ir::functions(module) {
        for call in function.instructions() {
            if !call
                .callee()
                .is_some_and(|callee| callee.is_inline_assembly())
            {
                continue;
            }
            if call.ty() != types.void {
                let same = call
                    .operands()
                    .into_iter()
                    .find(|value| value.ty() == call.ty());
                // Nothing came in that could come out: any value will do.
                call.replace_all_uses_with(same.unwrap_or(call.ty().zero()));
            }
            call.erase();
        }
    }
}
