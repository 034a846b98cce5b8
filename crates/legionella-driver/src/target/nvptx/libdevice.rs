//! NVIDIA's library of mathematical functions, which comes with CUDA ("Libdevice User's Guide").
//!
//! Its code asks about the compilation by `__nvvm_reflect`, with the name of what it wants to know, and shifts by more bits than
//! there are, as the machine can: `pow` does so to see whether a large or small exponent is odd.

use inkwell::module::Module;
use inkwell::targets::TargetMachine;
use llvm_sys::core as c;
use llvm_sys::{LLVMIntPredicate, LLVMOpcode};

use super::architectures;
use crate::ir::{self, Builder, Function, Value, llvm};
use crate::lower::vendor::{Float, Vendor};

pub(super) const VENDOR: Vendor = Vendor {
    symbol,
    tell,
    settle,
};

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

/// Shifts by a number's width or more leave nothing of it, or its sign (PTX ISA, "shl", "shr"); to LLVM they are poison.
fn settle(function: Function<'_>) {
    use LLVMOpcode::{LLVMAShr, LLVMLShr, LLVMShl};
    for shift in function.instructions() {
        if !matches!(shift.opcode(), Some(LLVMShl | LLVMLShr | LLVMAShr)) {
            continue;
        }
        let (by, width) = (shift.operand(1), shift.ty().integer_width());
        if by.is_constant() || width == 0 {
            continue;
        }
        let at = Builder::before(shift);
        let last = by.ty().constant(u64::from(width) - 1);
        let within = at.compare(LLVMIntPredicate::LLVMIntULE, by, last);
        let least = at.select(within, by, last);
        shift.set_operand(1, least);
        if !shift.is(LLVMAShr)
            && let Some(next) = shift.next()
        {
            let at = Builder::before(next);
            let settled = at.select(within, shift, shift.ty().zero());
            shift.replace_all_uses_with(settled);
            settled.set_operand(1, shift);
        }
    }
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
