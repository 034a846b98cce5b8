//! AMD's library of mathematical functions, which comes with ROCm ("OCML User Guide", section "Controls").
//!
//! Its code asks about the compilation by constants whose names begin with `__oclc_`.

use inkwell::module::Module;
use inkwell::targets::TargetMachine;
use legionella_abi::amdgpu;
use llvm_sys::LLVMLinkage;
use llvm_sys::core as c;

use super::architectures;
use crate::ir::{self, Type, llvm};
use crate::lower::vendor::{Float, Vendor};

pub(super) const VENDOR: Vendor = Vendor {
    symbol,
    tell,
    settle: |_| (),
};

const QUESTION: &str = "__oclc_";

fn symbol(function: &str, float: Float) -> String {
    match float {
        Float::Single => format!("__ocml_{function}_f32"),
        Float::Double => format!("__ocml_{function}_f64"),
    }
}

/// Subnormal numbers, infinities and NaN count, roots are exact.
fn tell(module: &Module<'_>, machine: &TargetMachine) {
    let cpu = machine.get_cpu().to_string();
    for global in ir::globals(module) {
        let name = global.name();
        let Some(question) = name
            .strip_prefix(QUESTION)
            .filter(|_| global.is_declaration())
        else {
            continue;
        };
        let answer = match question {
            "ISA_version" => u64::from(architectures::version(&cpu)),
            "wavefrontsize64" => u64::from(amdgpu::lanes(&cpu) == 64),
            "wavefrontsize_log2" => u64::from(amdgpu::lanes(&cpu).ilog2()),
            "correctly_rounded_sqrt32" => 1,
            // `daz_opt`, `finite_only_opt`, `unsafe_math_opt`: what would be less than exact.
            _ => 0,
        };
        let ty = Type::from_raw(llvm!(c::LLVMGlobalGetValueType(global.raw())));
        llvm!({
            c::LLVMSetInitializer(global.raw(), ty.constant(answer).raw());
            c::LLVMSetGlobalConstant(global.raw(), 1);
            c::LLVMSetLinkage(global.raw(), LLVMLinkage::LLVMInternalLinkage);
        });
    }
}
