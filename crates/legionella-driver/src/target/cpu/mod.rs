//! The CPU target: the work-items of a group run as a loop that LLVM vectorises across them, and
//! the code is a shared object.
//!
//! [`cold`](super::cold) takes panics out of the kernel's way, [`divisions`] those that need a mask;
//! [`items`] builds the loops, [`guards`](super::guards) frees one of them of checks, [`regions`] does
//! kernels with loops of their own, for which [`overflow`] makes vectors of checked arithmetic;
//! [`phases`] cuts kernels whose items wait for each other, and those that can't be cut run as
//! [`coroutines`]; [`streaming`] has large arrays written past the caches, [`fetches`] what is read fetched ahead, [`sums`] has an item's sums
//! computed by vectors; [`host`] binds the
//! allocator, [`linker`](super::linker) links.

mod coroutines;
mod divisions;
mod fetches;
mod host;
mod items;
mod levels;
mod loops;
mod overflow;
mod phases;
mod regions;
mod streaming;
mod sums;
#[cfg(test)]
mod trial;

use inkwell::OptimizationLevel;
use inkwell::module::Module;
use inkwell::targets::{
    CodeModel, InitializationConfig, RelocMode, Target as LlvmTarget, TargetMachine, TargetTriple,
};
use legionella_abi::cpu::{self, SUBGROUP_SIZE};
use legionella_abi::intrinsic;
use legionella_abi::protocol::{Code, TargetSpec};
use llvm_sys::LLVMLinkage;

use super::linker::Linker;
use super::{Meanwhile, Target, Toolbox};
use crate::error::Error;
use crate::generate::Stages;
use crate::ir::debug::Lines;
use crate::ir::{self, Pipeline, Types};
use crate::lower::Lowered;
use crate::lower::atomics::Atomics;
use regions::Policy;

pub(super) const TARGET: Target = Target {
    name: "cpu",
    machine,
    native: levels::NATIVE_INTRINSICS,
    vendor: None,
    lacking,
    // The work-items of a group are one thread.
    atomics: Atomics {
        group: "singlethread",
        system: "",
        native: &[],
    },
    adapt: |_| Ok(()),
    has_allocator: true,
    peers: false,
    matrices: |_| Vec::new(),
    arrangement: |_| intrinsic::QUADS,
    support: &[
        intrinsic::CPU_RUN_GROUPS,
        intrinsic::ALLOC_ERROR,
        intrinsic::BARRIER_FAILED,
    ],
    lockstep: false,
    lines: Lines::None,
    optimise,
    emit,
};

/// What the linker calls shared objects of this machine.
const EMULATION: &str = if cfg!(target_arch = "aarch64") {
    "aarch64linux"
} else {
    "elf_x86_64"
};

/// How it links them.
const LINKING: &str =
    "-shared --gc-sections -z now --hash-style=gnu --no-rosegment -O2 --strip-debug";

fn machine(spec: &TargetSpec) -> Result<TargetMachine, Error> {
    let config = InitializationConfig::default();
    if cfg!(target_arch = "x86_64") {
        LlvmTarget::initialize_x86(&config);
    } else {
        LlvmTarget::initialize_aarch64(&config);
    }
    let triple = TargetTriple::create(triple_name());
    let target = LlvmTarget::from_triple(&triple).map_err(|error| internal(error.to_string()))?;
    let (cpu, features) = if matches!(spec.cpu.as_str(), "" | levels::NATIVE) {
        (
            TargetMachine::get_host_cpu_name().to_string(),
            TargetMachine::get_host_cpu_features().to_string(),
        )
    } else if levels::features(&spec.cpu).is_some() {
        (spec.cpu.clone(), String::new())
    } else {
        return Err(Error::UnknownCpu {
            target: TARGET.name,
            cpu: spec.cpu.clone(),
            advice: levels::ADVICE,
        });
    };
    target
        .create_target_machine(
            &triple,
            &cpu,
            &features,
            OptimizationLevel::Aggressive,
            RelocMode::PIC,
            CodeModel::Small,
        )
        .ok_or(Error::UnknownCpu {
            target: TARGET.name,
            cpu,
            advice: levels::ADVICE,
        })
}

fn lacking(machine: &TargetMachine) -> Vec<&'static str> {
    let mut lacking = Vec::new();
    if cfg!(target_arch = "x86_64") {
        let features = required_features(machine);
        let has = |name: &str| features.iter().any(|feature| feature == name);
        if !has("fma") {
            lacking.push("fma");
        }
        if !has("sse4.1") {
            lacking.extend(["floor", "ceil", "trunc", "round", "rint"]);
        }
        if !has("cx16") {
            lacking.push(intrinsic::EXCHANGE_IF_U128);
        }
    }
    lacking
}

fn triple_name() -> &'static str {
    if cfg!(target_arch = "x86_64") {
        "x86_64-unknown-linux-gnu"
    } else {
        "aarch64-unknown-linux-gnu"
    }
}

fn internal(reason: String) -> Error {
    Error::Internal {
        stage: "cpu target",
        reason,
    }
}

/// From the item loop to code that is ready for the machine: what of LLVM's O3 comes after
/// simplification (`PassBuilder::addVectorPasses`). The vectoriser must see the loop over the
/// work-items before anything unrolls it; loops of the kernel's own are vectorised on the way.
const VECTORISE: &str = "function(mem2reg,instcombine<no-verify-fixpoint>,simplifycfg,\
    loop-mssa(loop-rotate,licm,simple-loop-unswitch<nontrivial>),simplifycfg,\
    instcombine<no-verify-fixpoint>,loop(indvars,loop-deletion),\
    loop-vectorize,loop-load-elim,simplifycfg,instcombine<no-verify-fixpoint>,sroa,early-cse,\
    slp-vectorizer,vector-combine,instcombine<no-verify-fixpoint>,loop-unroll<O3>,sroa,\
    instcombine<no-verify-fixpoint>,loop-mssa(licm),instsimplify,div-rem-pairs,simplifycfg),\
    globaldce,constmerge";

/// The same for regions. Slots must not be looked at by the peephole optimiser before they are
/// registers: it makes a load by a chosen address of two loads that are chosen between. The loop
/// vectoriser refuses some switches, also of those that are made of comparisons on the way. What only
/// lanes apart need goes back to where they are.
const VECTORISE_REGIONS: &str = "function(mem2reg,simplifycfg,early-cse,lower-switch,\
    loop-simplify,lcssa,loop-mssa(licm),loop-vectorize,simplifycfg,early-cse,sroa,\
    instcombine<no-verify-fixpoint>,simplifycfg,loop-mssa(licm),loop-unroll<O3>,gvn,\
    instcombine<no-verify-fixpoint>,adce,loop-mssa(licm),loop-sink,sink,instsimplify,div-rem-pairs,\
    simplifycfg),\
    globaldce,constmerge";

/// The general optimiser alone.
const WHOLE: Pipeline<'static> = Pipeline {
    text: "default<O3>",
    vectorise: true,
    unroll: true,
    inline_threshold: 275,
};

/// Makes one function of the loops and what they call.
const INLINE: Pipeline<'static> = Pipeline {
    text: "always-inline,globaldce",
    ..crate::lower::PLAIN
};

/// Says how many lanes a subgroup has.
fn bind_subgroup_size(module: &Module<'_>) {
    if let Some(function) = ir::function(module, intrinsic::SUBGROUP_SIZE) {
        let size = Types::of(module).i32.constant(SUBGROUP_SIZE.into());
        for call in function.value().users() {
            call.replace_all_uses_with(size);
            call.erase();
        }
        function.delete();
    }
}

fn optimise(
    kernel: &Lowered<'_>,
    machine: &TargetMachine,
    stages: &mut Stages<'_>,
) -> Result<Meanwhile, Error> {
    optimise_by(kernel, machine, stages, Policy::Worthwhile)?;
    Ok(Meanwhile::default())
}

fn optimise_by(
    kernel: &Lowered<'_>,
    machine: &TargetMachine,
    stages: &mut Stages<'_>,
    policy: Policy,
) -> Result<(), Error> {
    let module = &kernel.module;
    crate::lower::forget_immutable(module);
    bind_subgroup_size(module);
    if crate::lower::work_in_groups(module) {
        let built = phases::build(module, &kernel.entry, machine, stages, policy)?;
        for name in [intrinsic::ALLOC_ERROR, intrinsic::BARRIER_FAILED] {
            if let Some(function) = ir::function(module, name) {
                function.set_linkage(LLVMLinkage::LLVMInternalLinkage);
            }
        }
        let in_phases = built.is_ok();
        let pipeline = match built {
            Ok(()) => {
                INLINE.run(module, machine)?;
                phases::finish(module, machine)?;
                Pipeline {
                    text: VECTORISE_REGIONS,
                    ..WHOLE
                }
            }
            Err(refusal) => {
                stages.tell("way", format_args!("coroutines: {refusal}\n"));
                coroutines::build(module, &kernel.entry, machine, stages)?;
                WHOLE
            }
        };
        host::bind(module);
        set_machine(kernel, machine);
        pipeline.run(module, machine)?;
        if in_phases {
            finish(module, machine, true)?;
        }
        return Ok(());
    }
    if let Some(unused) = ir::function(module, intrinsic::CPU_RUN_GROUPS) {
        unused.set_linkage(LLVMLinkage::LLVMInternalLinkage);
    }
    let run = items::build(module, &kernel.entry, machine, stages, policy)?;
    stages.show("items", module)?;
    INLINE.run(module, machine)?;
    let in_regions = run.is_in_regions();
    let text = if in_regions {
        VECTORISE_REGIONS
    } else {
        VECTORISE
    };
    items::bind_ids(module, run)?;
    host::bind(module);
    set_machine(kernel, machine);
    Pipeline { text, ..WHOLE }.run(module, machine)?;
    if !in_regions {
        streaming::build(module, machine)?;
    }
    finish(module, machine, false)
}

/// What is done when nothing becomes vectors any more by itself.
fn finish(module: &Module<'_>, machine: &TargetMachine, in_phases: bool) -> Result<(), Error> {
    let Some(run) = ir::function(module, cpu::RUN) else {
        return Ok(());
    };
    fetches::build(module, run, machine, in_phases);
    sums::build(module, run, machine)
}

fn set_machine(kernel: &Lowered<'_>, machine: &TargetMachine) {
    let cpu = machine.get_cpu().to_string();
    let features = machine.get_feature_string().to_string_lossy().into_owned();
    for function in ir::functions(&kernel.module) {
        if !function.is_declaration() {
            function.set_text_attribute("target-cpu", &cpu);
            // A stack that overflows must do so in the guard below it, not beyond.
            function.set_text_attribute("probe-stack", "inline-asm");
            if !features.is_empty() {
                function.set_text_attribute("target-features", &features);
            }
            if levels::runs_wide_vectors(&cpu) {
                function.set_text_attribute("prefer-vector-width", "512");
            }
        }
    }
}

fn emit(
    kernel: &Lowered<'_>,
    machine: &TargetMachine,
    toolbox: &Toolbox,
    _: Meanwhile,
) -> Result<Code, Error> {
    let linker = Linker::start(toolbox, EMULATION)?;
    let object = machine
        .write_to_memory_buffer(&kernel.module, inkwell::targets::FileType::Object)
        .map_err(|error| internal(error.to_string()))?;
    let bytes = linker.link(object.as_slice(), LINKING)?;
    Ok(Code {
        bytes,
        requires: required_features(machine),
    })
}

/// The features that the code may use, in LLVM's names.
fn required_features(machine: &TargetMachine) -> Vec<String> {
    if let Some(features) = levels::features(&machine.get_cpu().to_string()) {
        return features.iter().map(|name| (*name).to_owned()).collect();
    }
    let all = machine.get_feature_string().to_string_lossy().into_owned();
    all.split(',')
        .filter_map(|feature| feature.strip_prefix('+'))
        .map(str::to_owned)
        .collect()
}
