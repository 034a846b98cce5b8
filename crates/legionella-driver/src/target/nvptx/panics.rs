//! The text of what panics, which is most of a small kernel's code and seldom run.
//!
//! It is taken out of the kernel before that is optimised, so that nothing is done to it twice, and another thread
//! makes it meanwhile, in a context of its own. It is optimised as much as keeps its stack small, which every thread
//! of the device has room for, and no further: the whole optimiser and code generator took two thirds of
//! the time until a small kernel's first launch.

use inkwell::OptimizationLevel;
use inkwell::context::Context;
use inkwell::memory_buffer::MemoryBuffer;
use inkwell::module::Module;
use inkwell::targets::{CodeModel, RelocMode, Target as LlvmTarget, TargetMachine, TargetTriple};

use super::super::kernels::{self, Kernels};
use super::super::machine::{run, set_machine};
use super::super::meanwhile::Meanwhile;
use super::super::signs::{self, Maker};
use super::{internal, memory, registers, runtime, text};
use crate::error::Error;
use crate::ir;
use crate::llvm::diagnostics;

/// Variables go into registers, and what isn't needed goes.
const TIDY: &str = "always-inline,globaldce,\
    function(sroa,early-cse,simplifycfg,instcombine<no-verify-fixpoint>,simplifycfg,dce),globaldce";

/// Takes the kernel for panics out of a module, if there is one, with what only that needs, and has its text made.
pub(super) fn begin(
    module: &Module<'_>,
    machine: &TargetMachine,
    built: &mut Kernels<'_>,
) -> Result<Meanwhile, Error> {
    if !built.panic_later() {
        return Ok(Meanwhile::default());
    }
    let bitcode = module.write_bitcode_to_memory().as_slice().to_vec();
    built.drop_panic();
    run(module, machine, "globaldce")?;
    let triple = machine.get_triple().as_str().to_string_lossy().into_owned();
    let cpu = machine.get_cpu().to_string();
    let features = machine.get_feature_string().to_string_lossy().into_owned();
    Meanwhile::begin(move || small(&bitcode, [&triple, &cpu, &features]))
}

/// The text of what panics in a module, with little effort.
fn small(bitcode: &[u8], [triple, cpu, features]: [&str; 3]) -> Result<Vec<u8>, Error> {
    let context = Context::create();
    diagnostics::log(&context);
    let buffer = MemoryBuffer::create_from_memory_range(bitcode, "panic");
    let module = Module::parse_bitcode_from_buffer(&buffer, &context)
        .map_err(|error| internal(error.to_string()))?;
    let triple = TargetTriple::create(triple);
    let target = LlvmTarget::from_triple(&triple).map_err(|error| internal(error.to_string()))?;
    let machine = target
        .create_target_machine(
            &triple,
            cpu,
            features,
            OptimizationLevel::None,
            RelocMode::Default,
            CodeModel::Default,
        )
        .ok_or_else(|| internal(format!("no machine {cpu}")))?;
    for work in kernels::WORK
        .iter()
        .filter_map(|name| ir::function(&module, name))
    {
        work.delete();
    }
    run(&module, &machine, "globaldce")?;
    // No profiler looks at it.
    module.strip_debug_info();
    let panic = Kernels::of_panic(&module, &registers::DEVICE)
        .ok_or_else(|| internal("the kernel for panics is gone".to_owned()))?;
    runtime::link(&module, &panic)?;
    memory::expand(&module);
    set_machine(&module, &machine);
    run(&module, &machine, TIDY)?;
    signs::keep_bits(&module, Maker::Ptxas);
    text(&module, &machine)
}
