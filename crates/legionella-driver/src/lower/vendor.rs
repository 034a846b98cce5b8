//! Puts the mathematical functions of the device's vendor in place of the device library's, in a kernel
//! that may have them.
//!
//! Takes the vendor's library, as LLVM bitcode in a file, and links those of its functions that the kernel
//! calls. Knows functions by their names in C; what the library calls them, and what its code asks
//! about the machine, the target says.

use std::collections::HashSet;
use std::path::Path;

use inkwell::context::AsContextRef;
use inkwell::module::Module;
use inkwell::targets::TargetMachine;
use legionella_abi::intrinsic::MATHS_PREFIX;
use llvm_sys::LLVMLinkage;
use llvm_sys::core as c;

use crate::error::Error;
use crate::extract::maths;
use crate::ir::{self, Function, Value, llvm};

/// What a target knows of its vendor's library.
pub(crate) struct Vendor {
    /// The symbol of a function, by its name in C (that of `double`), for a type of floats.
    pub(crate) symbol: fn(&str, Float) -> String,
    /// Tells the library's code, now in the module, what it asks about the machine.
    pub(crate) tell: fn(&Module<'_>, &TargetMachine),
    /// Has a function of the library mean to LLVM what it means to the vendor's compiler.
    pub(crate) settle: fn(Function<'_>),
}

/// What is noted on calls of assembly in the vendor's code, which is for the target's machines.
pub(crate) const ASSEMBLY: &str = "legionella-vendor-assembly";

/// A type of floats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Float {
    Single,
    Double,
}

/// The functions that are taken: what the device library computes exactly is left to it.
const FUNCTIONS: [&str; 23] = [
    "exp", "exp2", "log", "log2", "log10", "pow", "sin", "cos", "tan", "asin", "acos", "atan",
    "atan2", "sinh", "cosh", "tanh", "expm1", "log1p", "cbrt", "hypot", "tgamma", "erf", "erfc",
];

/// Replaces the operations that the library has functions for.
pub(super) fn bind(
    module: &Module<'_>,
    library: &Path,
    vendor: &Vendor,
    machine: &TargetMachine,
) -> Result<(), Error> {
    let operations: Vec<(Function<'_>, String)> = ir::functions(module)
        .into_iter()
        .filter(|function| function.is_declaration())
        .filter_map(|function| {
            let (name, float) = called(&function.name())?;
            Some((function, (vendor.symbol)(name, float)))
        })
        .collect();
    if operations.is_empty() {
        return Ok(());
    }
    let known: HashSet<String> = defined(module).map(|function| function.name()).collect();
    link(module, library, &operations)?;
    let theirs: Vec<_> = defined(module)
        .filter(|function| !known.contains(&function.name()))
        .collect();
    let instructions = theirs.iter().flat_map(|function| function.instructions());
    instructions
        .filter(|call| call.callee().is_some_and(Value::is_inline_assembly))
        .for_each(|call| call.note_on_call(ASSEMBLY));
    theirs.into_iter().for_each(vendor.settle);
    for (operation, symbol) in &operations {
        // One that a library lacks stays the device library's.
        if let Some(theirs) = ir::function(module, symbol)
            && theirs.signature() == operation.signature()
        {
            operation.value().replace_all_uses_with(theirs.value());
            operation.delete();
        }
    }
    (vendor.tell)(module, machine);
    Ok(())
}

/// The functions that have a body.
fn defined<'m>(module: &'m Module<'_>) -> impl Iterator<Item = Function<'m>> {
    let functions = ir::functions(module).into_iter();
    functions.filter(|function| !function.is_declaration())
}

/// Which function an operation is: an intrinsic of LLVM or a function of the C library.
fn called(symbol: &str) -> Option<(&'static str, Float)> {
    let operation = maths::of_function(symbol)?;
    let operation = operation.strip_prefix(MATHS_PREFIX)?;
    let known = |name: &str| FUNCTIONS.into_iter().find(|function| *function == name);
    let of = |suffix, float| Some((known(operation.strip_suffix(suffix)?)?, float));
    of(".f32", Float::Single)
        .or_else(|| of(".f64", Float::Double))
        // `erf` is a function of `double`, and `erff` one of `float`.
        .or_else(|| of("", Float::Double))
        .or_else(|| of("f", Float::Single))
}

/// Links the functions of these symbols, with what they call.
fn link(
    module: &Module<'_>,
    library: &Path,
    operations: &[(Function<'_>, String)],
) -> Result<(), Error> {
    let failed = |reason: String| Error::Bitcode {
        origin: library.display().to_string(),
        reason,
    };
    let bitcode = std::fs::read(library).map_err(|error| failed(error.to_string()))?;
    let context = module.get_context();
    let theirs = super::reached::read_lazily(context.as_ctx_ref(), &bitcode)
        .ok_or_else(|| failed(String::from("LLVM can't read it")))?;
    for function in defined(&theirs) {
        let name = function.name();
        let wanted = operations.iter().any(|(_, symbol)| *symbol == name);
        function.set_linkage(if wanted {
            LLVMLinkage::LLVMExternalLinkage
        } else {
            LLVMLinkage::LLVMInternalLinkage
        });
    }
    for global in ir::globals(&theirs) {
        if !global.is_declaration() && !global.name().starts_with("llvm.") {
            // Tables: these functions have no state, though not all libraries say so.
            llvm!({
                c::LLVMSetGlobalConstant(global.raw(), 1);
                c::LLVMSetLinkage(global.raw(), LLVMLinkage::LLVMInternalLinkage);
            });
        }
    }
    theirs.set_triple(&module.get_triple());
    // As LLVM has it: what the module's handle remembers is from before the kernel was linked into it.
    llvm!(c::LLVMSetDataLayout(
        theirs.as_mut_ptr(),
        c::LLVMGetDataLayoutStr(module.as_mut_ptr())
    ));
    ir::link(module, theirs).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_known_by_the_names_that_compilers_give_them() {
        assert_eq!(called("llvm.exp.f32"), Some(("exp", Float::Single)));
        assert_eq!(called("llvm.log.f64"), Some(("log", Float::Double)));
        assert_eq!(called("tanf"), Some(("tan", Float::Single)));
        assert_eq!(called("erf"), Some(("erf", Float::Double)));
        assert_eq!(called("erff"), Some(("erf", Float::Single)));
        for other in ["llvm.fma.f32", "llvm.powi.f32.i32", "fmodf", "f", "_RNvexp"] {
            assert_eq!(called(other), None, "{other}");
        }
    }
}
