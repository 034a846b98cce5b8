//! Turns the device intrinsics into declarations that targets bind, and says what passes may
//! assume of them.

use inkwell::module::Module;
use legionella_abi::intrinsic;

use crate::ir;

/// Ids of the running work-item and sizes of its launch: the same value each time within an item.
pub(crate) const IDS: [&str; 5] = [
    intrinsic::GLOBAL_ID,
    intrinsic::GRID_SIZE,
    intrinsic::LOCAL_ID,
    intrinsic::GROUP_ID,
    intrinsic::GROUP_SIZE,
];

/// Discards the host's bodies.
pub(super) fn declare(module: &Module<'_>) {
    for name in IDS.into_iter().chain([intrinsic::IMMUTABLE]) {
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
    if let Some(panic) = ir::function(module, intrinsic::PANIC) {
        panic.drop_body();
        for attribute in ["noreturn", "cold", "nounwind"] {
            panic.add_attribute(attribute);
        }
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
