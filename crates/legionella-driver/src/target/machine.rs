//! What is the same for all GPUs where a module is given a machine and its passes.

use inkwell::module::Module;
use inkwell::targets::TargetMachine;

use crate::error::Error;
use crate::ir::{self, Pipeline};

/// Runs passes that neither vectorise nor unroll.
pub(super) fn run(module: &Module<'_>, machine: &TargetMachine, text: &str) -> Result<(), Error> {
    Pipeline {
        text,
        ..crate::lower::PLAIN
    }
    .run(module, machine)
}

/// Says of all functions for which machine they are compiled.
pub(super) fn set_machine(module: &Module<'_>, machine: &TargetMachine) {
    let cpu = machine.get_cpu().to_string();
    let features = machine.get_feature_string().to_string_lossy().into_owned();
    for function in ir::functions(module) {
        if !function.is_declaration() {
            function.set_text_attribute("target-cpu", &cpu);
            function.set_text_attribute("target-features", &features);
        }
    }
}

/// Unoptimised functions keep all their values in memory, and every thread that can be resident
/// has a stack: what formats a panic's message decides how large that must be.
pub(super) fn optimise_cold_code_too(module: &Module<'_>) {
    for function in ir::functions(module) {
        if function.has_attribute("optnone") {
            function.remove_attribute("optnone");
            function.add_attribute("optsize");
        }
    }
}
