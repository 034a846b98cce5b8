//! Binds what a kernel calls and neither it nor the device has, to the functions of `runtime.ll`.

use inkwell::module::Module;
use legionella_abi::{intrinsic, nvptx};
use llvm_sys::LLVMLinkage;
use llvm_sys::core as c;

use super::super::kernels::Kernels;
use super::super::reaching::Reaching;
use super::internal;
use crate::error::Error;
use crate::ir::{self, Builder, llvm};

const TEXT: &std::ffi::CStr = ir::ir_text!("runtime.ll");

/// Copies memory that does not overlap: to, from, length.
pub(super) const COPY: &str = "legionella.copy";
/// Copies memory: to, from, length.
pub(super) const MOVE: &str = "legionella.move";
/// Fills memory: to, byte, length.
pub(super) const FILL: &str = "legionella.fill";

const COMPARE: &str = "legionella.compare";
const TRAP: &str = "legionella.trap";
const PLACE: &str = "legionella.place";
const WAIT: &str = "legionella.wait";
const WAIT_OF: &str = "legionella.wait_of";
const WHO: &str = "legionella.whoami";
const LAUNCH: &str = "legionella.launch";
const ASK_PORT: &str = "legionella.port";
const ASK_HEAP: &str = "legionella.region";

/// Links the runtime in and leads calls there.
pub(super) fn link(module: &Module<'_>, kernels: &Kernels<'_>) -> Result<(), Error> {
    ir::link_text(module, TEXT)?;
    for function in ir::functions(module) {
        if function.is_declaration()
            && let Some(name) = implementation(&function.name())
            && let Some(ours) = ir::function(module, name)
            && ours.signature() == function.signature()
        {
            // Another promise than ours: it was made for the function that is called.
            function.value().replace_all_uses_with(ours.value());
            function.delete();
        }
    }
    for function in ir::functions(module) {
        let launched = kernels.functions().any(|kernel| kernel == function);
        if !function.is_declaration() && !launched {
            function.set_linkage(LLVMLinkage::LLVMInternalLinkage);
        }
    }
    let global =
        |name: &str| ir::global(module, name).ok_or_else(|| internal(format!("no {name}")));
    wait_for_own(module, kernels)?;
    let mut ending = Reaching::of(&[TRAP, intrinsic::PANIC, WAIT]);
    kernels.leave_place(module, global(PLACE)?, |call| ending.may_come_from(call));
    let mut asking = Reaching::of(&[WHO]);
    kernels.leave_launch(module, global(LAUNCH)?, false, |call| {
        asking.may_come_from(call)
    });
    for (name, accessor) in [(nvptx::PORT, ASK_PORT), (nvptx::HEAP, ASK_HEAP)] {
        let asked = ir::function(module, accessor)
            .is_some_and(|function| !function.value().users().is_empty());
        if !asked && let Some(function) = ir::function(module, accessor) {
            function.delete();
            // Its being there tells the application that it is to be set.
            llvm!(c::LLVMDeleteGlobal(global(name)?.raw()));
        }
    }
    Ok(())
}

/// Has kernels that wait by themselves give the state of their launch, so that none of them is to leave it.
fn wait_for_own(module: &Module<'_>, kernels: &Kernels<'_>) -> Result<(), Error> {
    let wait_of = ir::function(module, WAIT_OF);
    let wait_of = wait_of.ok_or_else(|| internal(format!("no {WAIT_OF}")))?;
    for (kernel, state) in kernels.states() {
        for call in kernel.instructions() {
            let called = call.called_function().filter(|_| call.is_call());
            if called.is_some_and(|called| called.name() == WAIT) {
                Builder::before(call).call(wait_of, &[state]);
                call.erase();
            }
        }
    }
    Ok(())
}

/// The function of the runtime that a declared function stands for.
fn implementation(symbol: &str) -> Option<&'static str> {
    Some(match symbol {
        "memcmp" | "bcmp" => COMPARE,
        "llvm.trap" => TRAP,
        intrinsic::PAUSE => WAIT,
        intrinsic::RUNNING_ITEM => WHO,
        intrinsic::PRINT_PORT => ASK_PORT,
        intrinsic::HEAP_REGION => ASK_HEAP,
        intrinsic::HEAP_SPREAD => "legionella.multiprocessor",
        _ => return None,
    })
}
