//! Code for processor features that detection denies, made a panic.
//!
//! A function with `#[target_feature]` may only be called where the processor has the feature, and
//! in a program that asks, the question is what tells. On a device the answer is "none"
//! ([`super::detection`]). Where it is asked next to the call, LLVM sees that the call never
//! happens; where the answer is kept in a value, a table or a function pointer, it does not. So the
//! bodies go: what is left can be lowered, and should the program call such a function after all,
//! the panic names it.

use inkwell::module::Module;
use legionella_abi::intrinsic;

use super::panics;
use crate::extract::demangle;
use crate::ir::debug::Subprogram;
use crate::ir::{self, Builder, Function, Types};

/// What compilers take for granted on a processor of any kind, in LLVM's names: x86-64 psABI,
/// section 3.1.1, the baseline; AArch64's base architecture.
const BASELINE: [&str; 12] = [
    "64bit",
    "cmov",
    "cx8",
    "fp-armv8",
    "fxsr",
    "mmx",
    "neon",
    "outline-atomics",
    "sse",
    "sse2",
    "v8a",
    "x87",
];

/// Processors by whose name nothing beyond the baseline is allowed.
const PLAIN: [&str; 3] = ["", "generic", "x86-64"];

/// Attributes of a function that a panic need not have.
const PROMISES: [&str; 8] = [
    "alwaysinline",
    "inlinehint",
    "memory",
    "mustprogress",
    "nofree",
    "norecurse",
    "nosync",
    "willreturn",
];

/// Gives a body that panics to all functions that were compiled for features beyond those that the
/// whole program was, which its entry shim tells. A program that was compiled for a certain
/// processor is left as it is: it doesn't ask for what it was promised.
pub(super) fn panic_instead(module: &Module<'_>, entry: &str) {
    let Some(entry) = ir::function(module, entry) else {
        return;
    };
    let processor = entry.text_attribute("target-cpu").unwrap_or_default();
    if !PLAIN.contains(&processor.as_str()) {
        return;
    }
    let given = features(entry);
    let types = Types::of(module);
    let panic = ir::declare(module, intrinsic::PANIC, types.void, &[types.ptr]);
    for function in ir::functions(module) {
        let extra = |name: &String| !given.contains(name) && !BASELINE.contains(&name.as_str());
        if !function.is_declaration() && features(function).iter().any(extra) {
            let name = demangle(&function.name());
            let message = format!("reached `{name}`, code for a feature that detection denies");
            let source = Subprogram::of(function).and_then(Subprogram::definition);
            let report = panics::report(module, &message, source.as_ref());
            function.drop_body();
            function.set_linkage(llvm_sys::LLVMLinkage::LLVMInternalLinkage);
            for attribute in PROMISES {
                function.remove_attribute(attribute);
            }
            for attribute in ["cold", "noinline", "noreturn"] {
                function.add_attribute(attribute);
            }
            let builder = Builder::at_end(function.append_block("denied"));
            builder.call(panic, &[report]);
            builder.unreachable();
        }
    }
}

/// The features that a function was compiled for, beside those of its processor.
fn features(function: Function<'_>) -> Vec<String> {
    let list = function
        .text_attribute("target-features")
        .unwrap_or_default();
    list.split(',')
        .filter_map(|feature| feature.strip_prefix('+'))
        .map(str::to_owned)
        .collect()
}
