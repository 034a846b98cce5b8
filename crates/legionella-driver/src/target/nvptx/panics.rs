//! The text of what panics, which is most of a small kernel's code and seldom run.
//!
//! It is [set aside](set_aside) while the work is optimised, and then made [beside](beside) the work's text, by
//! another thread, in a context of its own. That is optimised as much as keeps its stack small, which every thread
//! of the device has room for, and no further: the whole optimiser and code generator took two thirds of
//! the time until a small kernel's first launch.

use std::thread;

use inkwell::OptimizationLevel;
use inkwell::context::Context;
use inkwell::memory_buffer::MemoryBuffer;
use inkwell::module::Module;
use inkwell::targets::{CodeModel, RelocMode, Target as LlvmTarget, TargetMachine, TargetTriple};
use legionella_abi::nvptx;

use super::super::kernels;
use super::super::machine::{optimise_cold_code_too, run};
use super::{internal, text};
use crate::error::Error;
use crate::ir;

/// Variables go into registers, and what isn't needed goes.
const TIDY: &str = "function(sroa,early-cse,simplifycfg,instcombine<no-verify-fixpoint>,simplifycfg,dce),globaldce";

/// Has the optimiser leave functions alone that only the kernel for panics needs.
pub(super) fn set_aside(module: &Module<'_>, machine: &TargetMachine) -> Result<(), Error> {
    if ir::function(module, nvptx::PANIC).is_none() {
        return Ok(());
    }
    let work = kernels::without(module, machine, &[nvptx::PANIC])?;
    for function in ir::functions(module) {
        let is_work = ir::function(&work, &function.name()).is_some_and(|of| !of.is_declaration());
        if !is_work && !function.is_declaration() && !function.has_attribute("alwaysinline") {
            for attribute in ["optsize", "minsize"] {
                function.remove_attribute(attribute);
            }
            for attribute in ["optnone", "noinline"] {
                function.add_attribute(attribute);
            }
        }
    }
    Ok(())
}

/// Makes the text of what panics, if there is any, while `work` makes something else.
pub(super) fn beside<T>(
    module: &Module<'_>,
    machine: &TargetMachine,
    work: impl FnOnce() -> Result<T, Error>,
) -> Result<(T, Option<Vec<u8>>), Error> {
    if ir::function(module, nvptx::PANIC).is_none() {
        return Ok((work()?, None));
    }
    let panic = kernels::without(module, machine, &kernels::WORK)?;
    // No profiler looks at it.
    panic.strip_debug_info();
    let bitcode = panic.write_bitcode_to_memory().as_slice().to_vec();
    let triple = machine.get_triple();
    let triple = triple.as_str().to_string_lossy();
    let cpu = machine.get_cpu().to_string();
    let features = machine.get_feature_string().to_string_lossy();
    thread::scope(|scope| {
        let panic = scope.spawn(|| small(&bitcode, [&triple, &cpu, &features]));
        let made = work();
        let panic = panic.join();
        let panic = panic.map_err(|_| internal("the thread for panics has panicked".to_owned()))?;
        Ok((made?, Some(panic?)))
    })
}

/// The text of a module, with little effort.
fn small(bitcode: &[u8], [triple, cpu, features]: [&str; 3]) -> Result<Vec<u8>, Error> {
    let context = Context::create();
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
    optimise_cold_code_too(&module);
    run(&module, &machine, TIDY)?;
    text(&module, &machine)
}
