//! The NVIDIA target: a thread a work-item, and the code is a PTX text (contract:
//! [`legionella_abi::nvptx`]).
//!
//! [`registers`] says what its kernels ([`super::kernels`]) are made of, [`groups`] binds what the items of a
//! group do together, [`matrices`] and [`bands`] what its matrix units do, [`copies`] and [`parts`] what is copied
//! meanwhile, and [`peers`] what those do that happen to be at the same place, [`atomics`], [`memory`], [`runtime`] and [`super::signs`] replace what
//! LLVM's code generator or the assembler get wrong or have not; [`panics`] makes
//! the text of what panics; [`stack`] and [`barriers`] see to the rest.

mod addresses;
mod architectures;
mod atomics;
mod bands;
mod copies;
mod groups;
mod libdevice;
mod matrices;
mod memory;
mod panics;
mod parts;
mod peers;
mod quotients;
mod registers;
mod runtime;
mod stack;
mod together;

use inkwell::OptimizationLevel;
use inkwell::module::Module;
use inkwell::targets::{
    CodeModel, FileType, InitializationConfig, RelocMode, Target as LlvmTarget, TargetMachine,
    TargetTriple,
};
use legionella_abi::intrinsic;
use legionella_abi::protocol::{Code, TargetSpec};

use super::machine::{optimise_cold_code_too, run, set_machine, simplify_further};
use super::signs::{self, Maker};
use super::{Meanwhile, Target, Toolbox, barriers, immutable, kernels, scopes, unroll};
use crate::error::Error;
use crate::generate::Stages;
use crate::ir::debug::Lines;
use crate::ir::{self, Pipeline};
use crate::lower::Lowered;
use crate::lower::atomics::Atomics;

pub(super) const TARGET: Target = Target {
    name: "nvptx",
    machine,
    native: &["llvm.nvvm."],
    vendor: Some(libdevice::VENDOR),
    lacking,
    // `atom.global.add.f32` takes subnormal numbers for zeros (PTX ISA, "atom").
    atomics: Atomics {
        group: atomics::GROUP,
        system: scopes::SYSTEM,
        native: &[intrinsic::ADD_F64],
    },
    adapt: |_| Ok(()),
    has_allocator: false,
    peers: true,
    matrices: |machine| matrices::bound(&machine.get_cpu().to_string()),
    arrangement: |_| intrinsic::QUADS,
    support: &[intrinsic::BARRIER_FAILED],
    lockstep: true,
    lines: Lines::Directives,
    optimise,
    emit,
};

fn lacking(machine: &TargetMachine) -> Vec<&'static str> {
    architectures::lacking(&machine.get_cpu().to_string())
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

/// Most instructions of loops in loops that are unrolled as a whole.
const MOST_NESTED: u64 = 6144;

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
) -> Result<Meanwhile, Error> {
    let module = &kernel.module;
    run(module, machine, "mergefunc,globaldce")?;
    immutable::mark(module);
    barriers::remove(module);
    let entry = ir::function(module, &kernel.entry)
        .ok_or_else(|| internal("the entry shim is gone".to_owned()))?;
    let in_groups = crate::lower::work_in_groups(module);
    copies::bind(module)?;
    let shared = groups::bind(module, machine, entry)?;
    peers::bind(module, &machine.get_cpu().to_string())?;
    let mut built = kernels::build(module, &registers::DEVICE, entry, in_groups);
    stages.show("items", module)?;
    run(module, machine, "always-inline,globaldce")?;
    kernels::bind_ids(module, &built)?;
    built.settle(module, machine);
    atomics::mend(module)?;
    set_machine(module, machine);
    optimise_cold_code_too(module);
    let meanwhile = panics::begin(module, machine, &mut built)?;
    unroll::mark(module, MOST_NESTED);
    run(module, machine, "function(alignment-from-assumptions)")?;
    Pipeline {
        text: "default<O3>",
        vectorise: true,
        unroll: true,
        inline_threshold: 275,
    }
    .run(module, machine)?;
    simplify_further(module, machine, &built)?;
    if addresses::compute_by_distance(module) {
        let simplify = "function(early-cse,instcombine<no-verify-fixpoint>)";
        run(module, machine, simplify)?;
    }
    quotients::compute_together(module);
    runtime::link(module, &built)?;
    memory::expand(module);
    signs::keep_bits(module, Maker::Ptxas);
    set_machine(module, machine);
    let stack = stack::unknown_to_the_assembler(module, machine);
    built.tell_needs(module, stack, shared);
    run(module, machine, "always-inline,mergefunc,globaldce")?;
    Ok(meanwhile)
}

fn emit(
    kernel: &Lowered<'_>,
    machine: &TargetMachine,
    _: &Toolbox,
    meanwhile: Meanwhile,
) -> Result<Code, Error> {
    let mut bytes = text(&kernel.module, machine)?;
    if let Some(panic) = meanwhile.end()? {
        bytes.push(0);
        bytes.extend(panic);
    }
    Ok(Code {
        bytes,
        requires: architectures::required(&machine.get_cpu().to_string()),
    })
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
