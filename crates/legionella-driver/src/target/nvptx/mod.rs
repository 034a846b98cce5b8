//! The NVIDIA target: a thread a work-item, and the code is a PTX text (contract:
//! [`legionella_abi::nvptx`]).
//!
//! [`kernels`] makes the functions that are launched, [`groups`] binds what the items of a group do
//! together, [`immutable`] says of which loads that they can't change, [`atomics`], [`memory`] and [`runtime`] replace what LLVM's code generator gets
//! wrong or has not; [`stack`] and [`barriers`] see to the rest.

mod architectures;
mod atomics;
mod barriers;
mod groups;
mod immutable;
mod kernels;
mod memory;
mod runtime;
mod stack;
mod wide;

use inkwell::OptimizationLevel;
use inkwell::module::Module;
use inkwell::targets::{
    CodeModel, FileType, InitializationConfig, RelocMode, Target as LlvmTarget, TargetMachine,
    TargetTriple,
};
use legionella_abi::protocol::{Code, TargetSpec};
use legionella_abi::{intrinsic, nvptx};

use super::{Target, Toolbox};
use crate::error::Error;
use crate::generate::Stages;
use crate::ir::debug::Lines;
use crate::ir::{self, Pipeline};
use crate::lower::Lowered;
use crate::lower::atomics::Atomics;

pub(super) const TARGET: Target = Target {
    name: "nvptx",
    machine,
    native: &[],
    lacking,
    // `atom.global.add.f32` takes subnormal numbers for zeros (PTX ISA, "atom").
    atomics: Atomics {
        group: atomics::GROUP,
        system: atomics::SYSTEM,
        native: &[intrinsic::ADD_F64],
    },
    has_allocator: true,
    support: &[intrinsic::BARRIER_FAILED],
    lockstep: true,
    lines: Lines::Directives,
    optimise,
    emit,
};

fn lacking(machine: &TargetMachine) -> Vec<&'static str> {
    let mut lacking = architectures::lacking(&machine.get_cpu().to_string());
    lacking.extend([intrinsic::PAUSE, intrinsic::PRINT_PORT]);
    lacking
}

fn machine(spec: &TargetSpec) -> Result<TargetMachine, Error> {
    LlvmTarget::initialize_nvptx(&InitializationConfig::default());
    let unknown = || Error::UnknownCpu {
        target: TARGET.name,
        cpu: spec.cpu.clone(),
        advice: architectures::ADVICE,
    };
    let architecture = architectures::machine(&spec.cpu).ok_or_else(unknown)?;
    let triple = TargetTriple::create("nvptx64-nvidia-cuda");
    let target = LlvmTarget::from_triple(&triple).map_err(|error| internal(error.to_string()))?;
    target
        .create_target_machine(
            &triple,
            &architecture.cpu,
            &architecture.features,
            OptimizationLevel::Aggressive,
            RelocMode::Default,
            CodeModel::Default,
        )
        .ok_or_else(unknown)
}

fn internal(reason: String) -> Error {
    Error::Internal {
        stage: "nvptx target",
        reason,
    }
}

fn optimise(
    kernel: &Lowered<'_>,
    machine: &TargetMachine,
    stages: &mut Stages<'_>,
) -> Result<(), Error> {
    let module = &kernel.module;
    immutable::mark(module);
    barriers::remove(module);
    let entry = ir::function(module, &kernel.entry)
        .ok_or_else(|| internal("the entry shim is gone".to_owned()))?;
    let in_groups = crate::lower::work_in_groups(module);
    let shared = groups::bind(module, entry)?;
    let mut built = kernels::build(module, entry, in_groups);
    stages.show("items", module)?;
    run(module, machine, "always-inline,globaldce")?;
    kernels::bind_ids(module, &built)?;
    built.settle(module, machine);
    atomics::mend(module)?;
    set_machine(module, machine);
    optimise_cold_code_too(module);
    Pipeline {
        text: "default<O3>",
        vectorise: true,
        unroll: true,
        inline_threshold: 275,
    }
    .run(module, machine)?;
    runtime::link(module, &built)?;
    memory::expand(module);
    set_machine(module, machine);
    let stack = stack::unknown_to_the_assembler(module, machine);
    built.tell_needs(module, stack, shared);
    run(module, machine, "globaldce")
}

fn run(module: &Module<'_>, machine: &TargetMachine, text: &str) -> Result<(), Error> {
    Pipeline {
        text,
        ..crate::lower::PLAIN
    }
    .run(module, machine)
}

fn set_machine(module: &Module<'_>, machine: &TargetMachine) {
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
fn optimise_cold_code_too(module: &Module<'_>) {
    for function in ir::functions(module) {
        if function.has_attribute("optnone") {
            function.remove_attribute("optnone");
            function.add_attribute("optsize");
        }
    }
}

fn emit(kernel: &Lowered<'_>, machine: &TargetMachine, _: &Toolbox) -> Result<Code, Error> {
    let module = &kernel.module;
    let mut bytes;
    if ir::function(module, nvptx::PANIC).is_some() {
        let work = without(module, machine, &[nvptx::PANIC])?;
        let panic = without(
            module,
            machine,
            &[nvptx::KERNEL, nvptx::LINE, nvptx::PLANE, nvptx::WIDE],
        )?;
        // No profiler looks at what panics, which is much code.
        panic.strip_debug_info();
        bytes = text(&work, machine)?;
        bytes.push(0);
        bytes.extend(text(&panic, machine)?);
    } else {
        bytes = text(module, machine)?;
    }
    Ok(Code {
        bytes,
        requires: architectures::required(&machine.get_cpu().to_string()),
    })
}

/// A copy of a module without some kernels and what only they need.
fn without<'ctx>(
    module: &Module<'ctx>,
    machine: &TargetMachine,
    kernels: &[&str],
) -> Result<Module<'ctx>, Error> {
    let copy = module.clone();
    for function in kernels.iter().filter_map(|name| ir::function(&copy, name)) {
        function.delete();
    }
    run(&copy, machine, "globaldce")?;
    Ok(copy)
}

/// The PTX of a module.
fn text(module: &Module<'_>, machine: &TargetMachine) -> Result<Vec<u8>, Error> {
    let text = machine
        .write_to_memory_buffer(module, FileType::Assembly)
        .map_err(|error| internal(error.to_string()))?;
    let text = text.as_slice();
    let last = text.iter().rposition(|&byte| byte != 0);
    Ok(text[..last.map_or(0, |last| last + 1)].to_vec())
}
