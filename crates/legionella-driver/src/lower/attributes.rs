//! Drops what the host's compilation said about the host.

use inkwell::module::Module;

use crate::ir;

const TEXT: [&str; 6] = [
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

/// Removes target attributes and code size preferences from every function; debug builds' refusal
/// to optimise goes with them.
pub(super) fn strip(module: &Module<'_>) {
    for function in ir::functions(module) {
        for name in TEXT {
            function.remove_text_attribute(name);
        }
        for name in ENUM {
            function.remove_attribute(name);
        }
        if function.has_attribute("optnone") {
            function.remove_attribute("optnone");
            function.remove_attribute("noinline");
        }
    }
}
