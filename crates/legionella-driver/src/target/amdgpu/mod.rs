//! The AMD target: a lane a work-item, and the code is code objects for the HSA runtime (contract:
//! [`legionella_abi::amdgpu`]).
//!
//! [`spaces`] gives variables and constants their address spaces; [`registers`] says what kernels
//! ([`super::kernels`]) are made of; [`groups`] binds what the items of a group do together, [`matrices`] what
//! matrix units do, and [`runtime`] what is called; [`recursion`], [`halves`], [`merges`], [`turns`] and [`super::signs`] keep LLVM from what it gets wrong;
//! [`super::linker`] links.

mod architectures;
mod groups;
mod halves;
mod matrices;
mod merges;
mod missing;
mod ocml;
mod reach;
mod recursion;
mod registers;
mod runtime;
mod spaces;
mod together;
mod turns;
mod votes;

use inkwell::OptimizationLevel;
use inkwell::module::Module;
use inkwell::targets::{
    CodeModel, FileType, InitializationConfig, RelocMode, Target as LlvmTarget, TargetMachine,
    TargetTriple,
};
use legionella_abi::protocol::{Code, TargetSpec};
use legionella_abi::{amdgpu, gpu, intrinsic};
use llvm_sys::LLVMModuleFlagBehavior;
use llvm_sys::core as c;

use super::linker::Linker;
use super::machine::{optimise_cold_code_too, run, set_machine, simplify_further};
use super::signs::{self, Maker};
use super::{Meanwhile, Target, Toolbox, barriers, immutable, kernels, scopes, unroll};
use crate::error::Error;
use crate::generate::Stages;
use crate::ir::debug::Lines;
use crate::ir::{self, Pipeline, Types, llvm};
use crate::lower::Lowered;
use crate::lower::atomics::Atomics;

pub(super) const TARGET: Target = Target {
    name: "amdgpu",
    machine,
    native: &["llvm.amdgcn."],
    vendor: Some(ocml::VENDOR),
    lacking: |_| vec![intrinsic::EXCHANGE_IF_U128],
    // What adds floats in memory takes subnormal numbers for zeros on some processors, and doesn't
    // work in all memory.
    atomics: Atomics {
        group: "workgroup",
        system: scopes::SYSTEM,
        native: &[],
    },
    adapt,
    has_allocator: false,
    peers: false,
    matrices: |machine| matrices::bound(&machine.get_cpu().to_string()),
    arrangement: |machine| matrices::arrangement(&machine.get_cpu().to_string()),
    support: &[intrinsic::BARRIER_FAILED],
    lockstep: true,
    lines: Lines::Table,
    optimise,
    emit,
};

const TRIPLE: &str = "amdgcn-amd-amdhsa";

/// LLVM's name of the scope of the device.
const DEVICE_SCOPE: &str = "agent";

/// What the linker calls code objects.
const EMULATION: &str = "elf64_amdgpu";

/// How it links them: what tells of source lines stays.
const LINKING: &str = "-shared --gc-sections --hash-style=gnu --no-undefined -O2";

/// As for other targets: LLVM takes it times 11 for this one, and has the code generator look for minutes
/// at what then becomes of large kernels.
const INLINE_THRESHOLD: i32 = 275 / 11;

/// What a kernel could be told by the hardware or the runtime, and isn't: its arguments are all there is
/// ("User Guide for AMDGPU Backend", section "LLVM IR Attributes").
const UNTOLD: [&str; 10] = [
    "amdgpu-no-dispatch-ptr",
    "amdgpu-no-queue-ptr",
    "amdgpu-no-dispatch-id",
    "amdgpu-no-implicitarg-ptr",
    "amdgpu-no-hostcall-ptr",
    "amdgpu-no-heap-ptr",
    "amdgpu-no-default-queue",
    "amdgpu-no-completion-action",
    "amdgpu-no-multigrid-sync-arg",
    "uniform-work-group-size",
];

/// Most instructions of loops in loops that are unrolled as a whole: of longer ones, LLVM has all loads come first, for
/// which registers don't suffice.
const MOST_NESTED: u64 = 1024;

/// Scalar registers of a wavefront, on processors whose wavefronts share those of a part of a compute unit: with more,
/// there is no room for eight wavefronts. What exceeds them is kept in lanes of vector registers.
const MOST_SCALARS: &str = "96";

/// The most work-items of a group.
const LARGEST_GROUP: u64 = 1024;

fn machine(spec: &TargetSpec) -> Result<TargetMachine, Error> {
    LlvmTarget::initialize_amd_gpu(&InitializationConfig::default());
    let unknown = || Error::UnknownCpu {
        target: TARGET.name,
        cpu: spec.cpu.clone(),
        advice: architectures::ADVICE,
    };
    if !architectures::is_known(&spec.cpu) {
        return Err(unknown());
    }
    let triple = TargetTriple::create(TRIPLE);
    let target = LlvmTarget::from_triple(&triple).map_err(|error| internal(error.to_string()))?;
    target
        .create_target_machine(
            &triple,
            &spec.cpu,
            architectures::features(&spec.cpu),
            OptimizationLevel::Aggressive,
            RelocMode::PIC,
            CodeModel::Default,
        )
        .ok_or_else(unknown)
}

fn internal(reason: String) -> Error {
    Error::Internal {
        stage: "amdgpu target",
        reason,
    }
}

fn adapt(module: &Module<'_>) -> Result<(), Error> {
    spaces::move_variables(module);
    spaces::move_constants(module);
    Ok(())
}

fn optimise(
    kernel: &Lowered<'_>,
    machine: &TargetMachine,
    stages: &mut Stages<'_>,
) -> Result<Meanwhile, Error> {
    let module = &kernel.module;
    immutable::mark(module);
    barriers::remove(module);
    let entry = ir::function(module, &kernel.entry)
        .ok_or_else(|| internal("the entry shim is gone".to_owned()))?;
    let cpu = machine.get_cpu().to_string();
    let in_groups = crate::lower::work_in_groups(module);
    let shared = groups::bind(module, machine, entry, amdgpu::lanes(&cpu))?;
    matrices::bind(module, &cpu)?;
    let mut built = kernels::build(module, &registers::DEVICE, entry, in_groups);
    stages.show("items", module)?;
    run(module, machine, "always-inline,globaldce")?;
    kernels::bind_ids(module, &built)?;
    built.bind_state(module, groups::STATE)?;
    built.settle(module, machine);
    scopes::settle(module, DEVICE_SCOPE);
    prepare(module, machine);
    optimise_cold_code_too(module);
    unroll::mark(module, MOST_NESTED);
    Pipeline {
        text: "default<O3>",
        vectorise: true,
        unroll: true,
        inline_threshold: INLINE_THRESHOLD,
    }
    .run(module, machine)?;
    simplify_further(module, machine, &built)?;
    runtime::link(module, &built)?;
    recursion::ask_for_registers(module, &built)?;
    halves::hide_loads(module)?;
    spaces::move_constants(module);
    built.tell_needs(module, 0, shared);
    prepare(module, machine);
    set_code_object_version(module, architectures::code_object(&cpu));
    run(module, machine, "always-inline,globaldce")?;
    runtime::drop_unused(module);
    merges::keep_apart(module, machine)?;
    turns::keep_apart(module, machine)?;
    signs::keep_bits(module, Maker::Amdgpu);
    Ok(Meanwhile::default())
}

/// Says of all functions what they are compiled for.
fn prepare(module: &Module<'_>, machine: &TargetMachine) {
    set_machine(module, machine);
    let defined = ir::functions(module).into_iter();
    for function in defined.filter(|function| !function.is_declaration()) {
        for attribute in UNTOLD {
            function.set_text_attribute(attribute, "true");
        }
        let largest = match function.name().as_str() {
            gpu::LINE | gpu::PLANE | gpu::WIDE | gpu::WIDE_PLANE => amdgpu::USUAL_GROUP,
            gpu::PANIC => 1,
            gpu::KERNEL => LARGEST_GROUP,
            _ => continue,
        };
        function.set_text_attribute("amdgpu-flat-work-group-size", &format!("1,{largest}"));
        if machine.get_cpu().to_string_lossy().starts_with("gfx9") {
            function.set_text_attribute("amdgpu-num-sgpr", MOST_SCALARS);
        }
    }
}

/// Runs LLVM's passes `first`, and then what looks at each function that has code.
fn in_each_function(
    module: &Module<'_>,
    machine: &TargetMachine,
    first: &str,
    look: impl for<'m> Fn(&'m Module<'_>, ir::Function<'m>),
) -> Result<(), Error> {
    run(module, machine, first)?;
    for function in ir::functions(module) {
        if !function.is_declaration() {
            look(module, function);
        }
    }
    Ok(())
}

fn set_code_object_version(module: &Module<'_>, version: u64) {
    const FLAG: &str = "amdhsa_code_object_version";
    let version = Types::of(module).i32.constant(version);
    llvm!(c::LLVMAddModuleFlag(
        module.as_mut_ptr(),
        LLVMModuleFlagBehavior::LLVMModuleFlagBehaviorError,
        FLAG.as_ptr().cast(),
        FLAG.len(),
        c::LLVMValueAsMetadata(version.raw())
    ));
}

fn emit(
    kernel: &Lowered<'_>,
    machine: &TargetMachine,
    toolbox: &Toolbox,
    _: Meanwhile,
) -> Result<Code, Error> {
    let module = &kernel.module;
    let object = |module: &Module<'_>| -> Result<Vec<u8>, Error> {
        let linker = Linker::start(toolbox, EMULATION)?;
        let object = machine
            .write_to_memory_buffer(module, FileType::Object)
            .map_err(|error| internal(error.to_string()))?;
        linker.link(object.as_slice(), LINKING)
    };
    let (work, panic) = if ir::function(module, gpu::PANIC).is_some() {
        let work = kernels::without(module, machine, &[gpu::PANIC])?;
        let panic = kernels::without(module, machine, &kernels::WORK)?;
        // Nobody asks for the lines of what panics, which is much code.
        panic.strip_debug_info();
        runtime::drop_unused(&work);
        runtime::drop_unused(&panic);
        (object(&work)?, object(&panic)?)
    } else {
        (object(module)?, Vec::new())
    };
    let header = amdgpu::Header {
        work: work.len() as u64,
        panic: panic.len() as u64,
    };
    Ok(Code {
        bytes: [&header.to_bytes()[..], &work, &panic].concat(),
        requires: architectures::required(&machine.get_cpu().to_string()),
    })
}
