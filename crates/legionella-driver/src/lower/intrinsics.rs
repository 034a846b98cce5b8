//! Turns the device intrinsics into declarations that targets bind, and says what passes may
//! assume of them.

use inkwell::module::Module;
use legionella_abi::intrinsic;
use llvm_sys::LLVMLinkage;

use crate::ir::{self, Builder, Types, Value};

/// Ids of the running work-item and sizes of its launch: the same value each time within an item.
pub(crate) const IDS: [&str; 5] = [
    intrinsic::GLOBAL_ID,
    intrinsic::GRID_SIZE,
    intrinsic::LOCAL_ID,
    intrinsic::GROUP_ID,
    intrinsic::GROUP_SIZE,
];

/// Other operations that give the same value each time within an item.
const CONSTANT: [&str; 5] = [
    intrinsic::IMMUTABLE,
    intrinsic::SHARED,
    intrinsic::DYNAMIC_SHARED,
    intrinsic::SUBGROUP_SIZE,
    intrinsic::SUBGROUP_LANE,
];

/// What a kernel asks of its launch or of the application while it runs.
pub(crate) const HOST_CALLS: [&str; 5] = [
    intrinsic::PAUSE,
    intrinsic::RUNNING_ITEM,
    intrinsic::PRINT_PORT,
    intrinsic::HEAP_REGION,
    intrinsic::HEAP_SPREAD,
];

/// What `core::hint::spin_loop` is on the processors that programs are built for.
const SPINS: [&str; 2] = ["llvm.x86.sse2.pause", "llvm.aarch64.isb"];

/// Has loops that spin pause on every target, so that a launch in which one never ends can be cancelled.
fn pause_in_spin_loops(module: &Module<'_>) {
    let spins = SPINS.iter().filter_map(|name| ir::function(module, name));
    let calls: Vec<_> = spins.flat_map(|spin| spin.value().users()).collect();
    if calls.is_empty() {
        return;
    }
    let pause = ir::declare(module, intrinsic::PAUSE, Types::of(module).void, &[]);
    for call in calls {
        Builder::before(call).call(pause, &[]);
        call.erase();
    }
}

/// What only the items of a group together have.
fn of_groups() -> impl Iterator<Item = &'static str> {
    let memory = [
        intrinsic::SHARED,
        intrinsic::DYNAMIC_SHARED,
        intrinsic::SUBGROUP_LANE,
    ];
    let together = (intrinsic::COLLECTIVE.into_iter()).chain(intrinsic::MATRICES);
    memory.into_iter().chain(together)
}

/// Whether a function is an operation of what only the items of a group together have.
pub(crate) fn is_of_groups(symbol: &str) -> bool {
    of_groups().any(|operation| operation == symbol)
}

/// Whether a kernel uses what only the items of a group together have.
pub(crate) fn work_in_groups(module: &Module<'_>) -> bool {
    of_groups()
        .filter_map(|name| ir::function(module, name))
        .any(|function| !function.value().users().is_empty())
}

/// Discards the host's bodies; where the target binds [`intrinsic::OPPORTUNISTIC`] operations, theirs as
/// well, and those of the [`intrinsic::MATRICES`], [`intrinsic::COPIES`] and [`intrinsic::PART_COPIES`] that it binds.
/// Loops that spin pause.
pub(super) fn declare(module: &Module<'_>, peers: bool, matrices: &[&str]) {
    for name in IDS.into_iter().chain(CONSTANT) {
        if let Some(function) = ir::function(module, name) {
            function.drop_body();
            function.remove_attribute("noinline");
            for attribute in ["nounwind", "willreturn", "nosync", "nofree", "speculatable"] {
                function.add_attribute(attribute);
            }
            // The encoding of `memory(none)`.
            function.add_attribute("memory");
        }
    }
    for name in intrinsic::COLLECTIVE {
        if let Some(function) = ir::function(module, name) {
            function.drop_body();
            for attribute in ["nounwind", "nofree", "convergent"] {
                function.add_attribute(attribute);
            }
        }
    }
    for name in intrinsic::MATRICES {
        let Some(function) = ir::function(module, name) else {
            continue;
        };
        function.remove_attribute("noinline");
        if matrices.contains(&name) {
            function.drop_body();
            for attribute in ["nounwind", "nofree", "convergent"] {
                function.add_attribute(attribute);
            }
        } else {
            function.add_attribute("alwaysinline");
        }
    }
    let copies = intrinsic::COPIES.into_iter().chain(intrinsic::PART_COPIES);
    for name in copies {
        let Some(function) = ir::function(module, name) else {
            continue;
        };
        function.remove_attribute("noinline");
        if !matrices.contains(&name) {
            function.add_attribute("alwaysinline");
            continue;
        }
        function.drop_body();
        for attribute in ["nounwind", "nofree"] {
            function.add_attribute(attribute);
        }
        if name == intrinsic::COPY_REACHES {
            for attribute in ["willreturn", "nosync", "speculatable", "memory"] {
                function.add_attribute(attribute);
            }
        }
    }
    for name in intrinsic::OPPORTUNISTIC {
        let Some(function) = ir::function(module, name) else {
            continue;
        };
        if peers {
            function.drop_body();
            for attribute in ["nounwind", "nofree", "convergent"] {
                function.add_attribute(attribute);
            }
        } else {
            function.remove_attribute("noinline");
            function.add_attribute("alwaysinline");
        }
    }
    for name in intrinsic::CPU_BOUND {
        if let Some(function) = ir::function(module, name) {
            function.drop_body();
            function.remove_attribute("noinline");
        }
    }
    pause_in_spin_loops(module);
    for name in HOST_CALLS {
        if let Some(function) = ir::function(module, name) {
            function.drop_body();
            for attribute in ["nounwind", "nofree"] {
                function.add_attribute(attribute);
            }
        }
    }
    answer(module, intrinsic::ON_DEVICE, true);
    let has = |names: &[&str]| names.iter().all(|name| matrices.contains(name));
    let loads = has(&[intrinsic::MATRIX_ROWS, intrinsic::MATRIX_COLUMNS]);
    answer(module, intrinsic::MATRIX_LOADS, loads);
    let bands = has(&[intrinsic::MATRIX_BAND_STEP, intrinsic::MATRIX_BAND_END]);
    answer(module, intrinsic::MATRIX_BANDS, bands);
    answer(module, intrinsic::PARTS, has(&intrinsic::PART_COPIES));
    if let Some(panic) = ir::function(module, intrinsic::PANIC) {
        panic.drop_body();
        for attribute in ["noreturn", "cold", "nounwind"] {
            panic.add_attribute(attribute);
        }
    }
}

/// Says how lanes hold matrices on the target.
pub(super) fn arrange(module: &Module<'_>, arrangement: u32) {
    let arrangement = Types::of(module).i32.constant(arrangement.into());
    answer_with(module, intrinsic::MATRIX_ARRANGEMENT, arrangement);
}

/// Has a function return yes or no.
fn answer(module: &Module<'_>, name: &str, yes: bool) {
    answer_with(module, name, Types::of(module).i1.constant(yes.into()));
}

/// Has a function return a constant.
fn answer_with<'m>(module: &'m Module<'_>, name: &str, answer: Value<'m>) {
    if let Some(function) = ir::function(module, name) {
        function.drop_body();
        Builder::at_end(function.append_block("answer")).ret(Some(answer));
        function.remove_attribute("noinline");
        function.add_attribute("alwaysinline");
        function.set_linkage(LLVMLinkage::LLVMInternalLinkage);
    }
}

/// Replaces every address that was said to be of immutable memory by the address, for targets that
/// don't use it.
pub(crate) fn forget_immutable(module: &Module<'_>) {
    let Some(function) = ir::function(module, intrinsic::IMMUTABLE) else {
        return;
    };
    for call in function.value().users() {
        call.replace_all_uses_with(call.operand(0));
        call.erase();
    }
    function.delete();
}
