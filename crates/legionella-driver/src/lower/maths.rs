//! Binds the mathematical operations that machines don't have to the functions of the device library,
//! which give the same bits on every target: LLVM's intrinsics, functions of the C library, and the
//! remainder of floats. With them go the few other functions of the C library that it has.

use inkwell::module::Module;
use legionella_abi::intrinsic::{FAST_PREFIX, MATHS_PREFIX};

use crate::extract::maths;
use crate::ir::{self, Builder, Function};

/// Operations that most machines have. The device library's functions for them give the same bits,
/// but cost more.
const USUAL: [&str; 6] = ["fma", "floor", "ceil", "trunc", "round", "rint"];

/// Functions of the device library that are too large to have a copy at each call, or can't be part
/// of a vectorised loop anyway.
const LARGE: [&str; 6] = [
    "frem.f32",
    "powi.f32.i32",
    "tgammaf",
    "erff",
    "erfcf",
    "lgammaf_r",
];

/// Replaces all operations for which there is a function: by one that is nearly right if `approximate`
/// ones will do. Of the [`USUAL`] ones, only those that `lacking` says the machine has not.
pub(super) fn bind(module: &Module<'_>, lacking: &[&str], approximate: bool) {
    for function in ir::functions(module) {
        if function.is_declaration()
            && !is_native(&function.name(), lacking)
            && let Some(ours) = quick(module, &function.name(), approximate)
                .or_else(|| replacement(module, maths::of_function(&function.name())))
            && ours.signature() == function.signature()
        {
            function.value().replace_all_uses_with(ours.value());
            function.delete();
        }
    }
    for function in ir::functions(module) {
        for instruction in function.instructions() {
            // SAFETY: the instruction belongs to the module.
            let symbol = unsafe { maths::of_instruction(instruction.raw()) };
            if let Some(ours) = replacement(module, symbol) {
                let call = Builder::before(instruction).call(ours, &instruction.operands());
                instruction.replace_all_uses_with(call);
                instruction.erase();
            }
        }
    }
}

fn is_native(symbol: &str, lacking: &[&str]) -> bool {
    let operation = symbol
        .strip_prefix("llvm.")
        .and_then(|name| name.split('.').next());
    operation.is_some_and(|name| USUAL.contains(&name) && !lacking.contains(&name))
}

/// The device library's approximation of an operation, if such will do and it has one.
fn quick<'m>(module: &'m Module<'_>, name: &str, approximate: bool) -> Option<Function<'m>> {
    let exact = maths::of_function(name).filter(|_| approximate)?;
    let operation = exact.strip_prefix(MATHS_PREFIX)?;
    let function = ir::function(module, &format!("{FAST_PREFIX}{operation}"))?;
    function.remove_attribute("noinline");
    function.add_attribute("alwaysinline");
    Some(function)
}

/// The device library's function of a symbol, if it has that and the program reaches it.
fn replacement<'m>(module: &'m Module<'_>, symbol: Option<String>) -> Option<Function<'m>> {
    let symbol = symbol?;
    let function = ir::function(module, &symbol).filter(|function| !function.is_declaration())?;
    let Some(operation) = symbol.strip_prefix(MATHS_PREFIX) else {
        return Some(function);
    };
    // Straight-line code: a loop over work-items is vectorised only with the call gone.
    let single = operation.ends_with(".f32") || operation.ends_with('f');
    if single && !LARGE.contains(&operation) {
        function.remove_attribute("noinline");
        function.add_attribute("alwaysinline");
    }
    Some(function)
}
