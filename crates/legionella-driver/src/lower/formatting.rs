//! Finds what formats text, and asks for it to be small.
//!
//! Formatting takes far more code than most kernels. Inlined into each other, its functions would be
//! most of what a device's assembler is busy with, for seconds, and no faster where each work-item goes
//! its own way.

use inkwell::module::Module;

use crate::ir;

/// Parts of mangled names: of modules of `core` and `alloc`, and of all that implements their traits or
/// works on their types.
const FORMATTING: [&str; 4] = ["4core3fmt", "7flt2dec", "4core3num3fmt", "5alloc3fmt"];

/// Asks for small code.
pub(crate) fn keep_small(module: &Module<'_>) {
    for function in ir::functions(module) {
        let name = function.name();
        // What only panics is not optimised at all.
        let rare = function.has_attribute("optnone");
        if !rare && !function.is_declaration() && FORMATTING.iter().any(|part| name.contains(part))
        {
            function.remove_attribute("inlinehint");
            for attribute in ["minsize", "optsize"] {
                function.add_attribute(attribute);
            }
        }
    }
}
