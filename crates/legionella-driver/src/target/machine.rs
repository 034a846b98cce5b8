//! What is the same for all GPUs where a module is given a machine and its passes.

use inkwell::module::Module;
use inkwell::targets::TargetMachine;

use super::kernels::Kernels;
use super::{narrow, variables};
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

/// Simplifies what the general optimiser leaves: copies of variables, loads that can run ahead, checks that are one.
pub(super) fn simplify_further(
    module: &Module<'_>,
    machine: &TargetMachine,
    built: &Kernels<'_>,
) -> Result<(), Error> {
    variables::split_copies(module);
    let promote = "function(sroa,early-cse<memssa>,instcombine<no-verify-fixpoint>)";
    run(module, machine, promote)?;
    run(module, machine, "function(loop-simplify,lcssa)")?;
    built.read_ahead();
    built.take_strides();
    run(module, machine, "function(simplifycfg)")?;
    built.join_checks();
    narrow::narrow(module);
    let simplify = "function(early-cse,instcombine<no-verify-fixpoint>)";
    run(module, machine, simplify)
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
