//! The targets: one module each, one line in [`TARGETS`] each.

mod affine;
mod ahead;
pub(crate) mod amdgpu;
mod barriers;
mod chain;
mod checks;
mod cold;
pub(crate) mod cpu;
mod first_reads;
mod guards;
mod immutable;
mod kernels;
mod linker;
mod machine;
mod meanwhile;
mod meetings;
mod narrow;
pub(crate) mod nvptx;
mod reaching;
mod scopes;
mod shared_memory;
mod signs;
mod strides;
mod uniform;
mod unroll;
mod variables;
mod wide;

use inkwell::module::Module;
use inkwell::targets::TargetMachine;
use legionella_abi::protocol::{Code, TargetSpec};

use crate::error::Error;
use crate::generate::Stages;
use crate::ir::debug::Lines;
use crate::lower::Lowered;
use crate::lower::atomics::Atomics;
use crate::lower::vendor::Vendor;
pub(crate) use meanwhile::Meanwhile;

/// What every target module offers, in the order in which it is used.
pub(crate) struct Target {
    /// As in [`TargetSpec::kind`].
    pub(crate) name: &'static str,
    /// LLVM's machine for a specification.
    pub(crate) machine: fn(&TargetSpec) -> Result<TargetMachine, Error>,
    /// Prefixes of LLVM's names of those `core::arch` operations that every machine of the target
    /// has.
    pub(crate) native: &'static [&'static str],
    /// Operations that most machines have an instruction for and this one has not: of floats, in
    /// LLVM's names, `fma`, `floor`, `ceil`, `trunc`, `round`, `rint`; and of
    /// [`legionella_abi::intrinsic`] those that the target doesn't bind.
    pub(crate) lacking: fn(&TargetMachine) -> Vec<&'static str>,
    /// What is known of the library of mathematical functions that the vendor has.
    pub(crate) vendor: Option<Vendor>,
    /// Scopes of atomic operations, and those that it has.
    pub(crate) atomics: Atomics,
    /// Gives a lowered kernel, whose data layout has just become the target's, the address spaces that
    /// this asks for.
    pub(crate) adapt: fn(&Module<'_>) -> Result<(), Error>,
    /// Whether the target binds Rust's allocator to one of its own; else that is the device library's
    /// heap.
    pub(crate) has_allocator: bool,
    /// Whether the target binds what work-items do with those that happen to be at the same place
    /// ([`legionella_abi::intrinsic::OPPORTUNISTIC`]); else each is by itself.
    pub(crate) peers: bool,
    /// Operations on matrices ([`legionella_abi::intrinsic::MATRICES`]) and copies to shared memory
    /// ([`legionella_abi::intrinsic::COPIES`]) that the machine has; the others are the device library's.
    pub(crate) matrices: fn(&TargetMachine) -> Vec<&'static str>,
    /// How lanes hold matrices ([`legionella_abi::intrinsic::MATRIX_ARRANGEMENT`]).
    pub(crate) arrangement: fn(&TargetMachine) -> u32,
    /// Functions of the device library that the target builds on where items of a group work
    /// together.
    pub(crate) support: &'static [&'static str],
    /// Whether work-items run in lockstep, so that branches may be costly. LLVM then does without
    /// passes that kernels need before anything else: iterators become plain loops by jump
    /// threading.
    pub(crate) lockstep: bool,
    /// What its code says of source lines.
    pub(crate) lines: Lines,
    /// Gives a lowered kernel the target's form and optimises it; some of it may be made meanwhile.
    pub(crate) optimise:
        fn(&Lowered<'_>, &TargetMachine, &mut Stages<'_>) -> Result<Meanwhile, Error>,
    /// Emits the code that the application loads, with what was made meanwhile.
    pub(crate) emit: fn(&Lowered<'_>, &TargetMachine, &Toolbox, Meanwhile) -> Result<Code, Error>,
}

/// Where the tools beside LLVM are that a target may need.
#[derive(Clone, Debug, Default)]
pub struct Toolbox {
    /// Sysroot of the toolchain that built the program.
    pub sysroot: Option<std::path::PathBuf>,
    /// The mathematical functions of the device's vendor, as LLVM bitcode.
    pub maths: Option<std::path::PathBuf>,
}

/// All targets.
pub(crate) static TARGETS: &[Target] = &[cpu::TARGET, nvptx::TARGET, amdgpu::TARGET];

/// The target of a specification.
pub(crate) fn find(spec: &TargetSpec) -> Result<&'static Target, Error> {
    TARGETS
        .iter()
        .find(|target| target.name == spec.kind)
        .ok_or_else(|| Error::UnknownTarget {
            name: spec.kind.clone(),
            known: names(),
        })
}

/// Names of all targets, for messages.
pub fn names() -> String {
    let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
    names.join(", ")
}
