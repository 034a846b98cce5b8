//! Finds what only runs when a kernel panics, and keeps the optimiser away from it.
//!
//! Formatting a panic's message takes far more code than most kernels; optimising it would be most
//! of the time spent on them.

use std::collections::BTreeSet;

use inkwell::module::Module;

use crate::ir;

/// Marks every function that some others reach only through functions that never return.
pub(super) fn mark(module: &Module<'_>, from: &[&str]) {
    let mut ahead: Vec<_> = from
        .iter()
        .filter_map(|name| ir::function(module, name))
        .filter(|function| !function.has_attribute("noreturn"))
        .collect();
    let mut often: BTreeSet<_> = ahead.iter().copied().collect();
    while let Some(function) = ahead.pop() {
        for instruction in function.instructions() {
            for used in ir::functions_in(instruction) {
                if !used.has_attribute("noreturn") && often.insert(used) {
                    ahead.push(used);
                }
            }
        }
    }
    for function in ir::functions(module) {
        if !function.is_declaration() && !often.contains(&function) {
            for attribute in ["alwaysinline", "inlinehint"] {
                function.remove_attribute(attribute);
            }
            for attribute in ["noinline", "optnone", "cold"] {
                function.add_attribute(attribute);
            }
        }
    }
}
