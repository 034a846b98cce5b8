//! NVIDIA's library of mathematical functions, which comes with CUDA ("Libdevice User's Guide").
//!
//! Its code asks about the compilation by `__nvvm_reflect`, with the name of what it wants to know.

use inkwell::module::Module;
use inkwell::targets::TargetMachine;
use llvm_sys::core as c;

use super::architectures;
use crate::ir::{self, Value, llvm};
use crate::lower::vendor::{Float, Vendor};

pub(super) const VENDOR: Vendor = Vendor { symbol, tell };

const QUESTION: &str = "__nvvm_reflect";

fn symbol(function: &str, float: Float) -> String {
    match float {
        Float::Single => format!("__nv_{function}f"),
        Float::Double => format!("__nv_{function}"),
    }
}

/// Subnormal numbers count, roots and quotients are exact.
fn tell(module: &Module<'_>, machine: &TargetMachine) {
    let Some(question) = ir::function(module, QUESTION) else {
        return;
    };
    for call in question.value().users() {
        let answer = match text(call.operand(0)).as_deref() {
            Some("__CUDA_ARCH") => architectures::number(&machine.get_cpu().to_string()) * 10,
            Some("__CUDA_PREC_SQRT" | "__CUDA_PREC_DIV") => 1,
            // `__CUDA_FTZ`, and as for the compiler what is not known.
            _ => 0,
        };
        call.replace_all_uses_with(call.ty().constant(u64::from(answer)));
        call.erase();
    }
    question.delete();
}

/// The text that a constant's address stands for.
fn text(address: Value<'_>) -> Option<String> {
    let constant = llvm!(c::LLVMIsAGlobalVariable(address.raw()));
    if constant.is_null() {
        return None;
    }
    let initial = llvm!(c::LLVMGetInitializer(constant));
    if initial.is_null() || llvm!(c::LLVMIsConstantString(initial)) == 0 {
        return None;
    }
    let mut len = 0;
    // SAFETY: LLVM gives the text of a constant string, and its length, as long as the module lives.
    let bytes = unsafe {
        let start = c::LLVMGetAsString(initial, &mut len);
        std::slice::from_raw_parts(start.cast::<u8>(), len)
    };
    let text = String::from_utf8_lossy(bytes);
    Some(text.trim_end_matches('\0').to_owned())
}
