//! Drops what the host's compilation said about the host.

use inkwell::module::Module;

use crate::extract::NEEDS;
use crate::ir;

const TEXT: [&str; 7] = [
    NEEDS,
    "target-cpu",
    "target-features",
    "tune-cpu",
    "probe-stack",
    "frame-pointer",
    "stack-protector-buffer-size",
];

const ENUM: [&str; 6] = [
    "uwtable",
    "nonlazybind",
    "sspstrong",
    "ssp",
    "optsize",
    "minsize",
];

/// Removes target attributes and code size preferences from every function, debug builds' refusal
/// to optimise, and the wish not to be inlined where it isn't for a cold path: it was made for a
/// program whose functions are shared by many callers.
pub(super) fn strip(module: &Module<'_>) {
    for function in ir::functions(module) {
        for name in TEXT {
            function.remove_text_attribute(name);
        }
        for name in ENUM {
            function.remove_attribute(name);
        }
        function.remove_attribute("optnone");
        if !function.has_attribute("cold") {
            function.remove_attribute("noinline");
        }
    }
}
