//! Binds copies to shared memory that go on while threads do ([`legionella_abi::intrinsic::COPIES`]) to `cp.async`.
//!
//! Takes an entry shim that has asked for them, on a machine that has them; other machines keep what the device
//! library has in their place.

use inkwell::module::Module;
use legionella_abi::intrinsic;
use llvm_sys::LLVMOpcode;

use super::super::meetings::{calls, delete};
use super::{bands, internal};
use crate::error::Error;
use crate::ir::{self, Builder, Type, Types, Value};

/// LLVM's numbers of the address spaces of buffers and of shared memory.
const GLOBAL: u32 = 1;
const SHARED: u32 = 3;

/// Binds the operations, if there are any: before those on bands are bound.
pub(super) fn bind(module: &Module<'_>) -> Result<(), Error> {
    let types = Types::of(module);
    let of = |name: &str| ir::intrinsic(module, name, &[]);
    for call in bound(module, intrinsic::COPY_REACHES) {
        let is_global = of("llvm.nvvm.isspacep.global");
        call.replace_all_uses_with(Builder::before(call).call(is_global, &[call.operand(0)]));
        call.erase();
    }
    for call in bound(module, intrinsic::COPY_BEGIN) {
        let at = Builder::before(call);
        let to = within(&at, call.operand(0), types.ptr.pointer_in(SHARED));
        let from = within(&at, call.operand(1), types.ptr.pointer_in(GLOBAL));
        let copy = of("llvm.nvvm.cp.async.cg.shared.global.16.s");
        at.call(copy, &[to, from, call.operand(2)]);
        call.erase();
    }
    for call in bound(module, intrinsic::COPY_CLOSE) {
        Builder::before(call).call(of("llvm.nvvm.cp.async.commit.group"), &[]);
        call.erase();
    }
    // What a product of bands reads has to be made known to what reads it (PTX ISA, "Async Proxy").
    let fence = bands::are_used(module).then(|| of("llvm.nvvm.fence.proxy.async.shared_cta"));
    for call in bound(module, intrinsic::COPY_WAIT) {
        let sets = call.operand(0);
        if sets.constant_integer().is_none() {
            return Err(internal(
                "copies are waited for in no constant number".to_owned(),
            ));
        }
        let at = Builder::before(call);
        at.call(of("llvm.nvvm.cp.async.wait.group"), &[sets]);
        if let Some(fence) = fence {
            at.call(fence, &[]);
        }
        call.erase();
    }
    for name in intrinsic::COPIES {
        if ir::function(module, name).is_some_and(|function| function.is_declaration()) {
            delete(module, name);
        }
    }
    Ok(())
}

/// An address as one of an address space.
fn within<'m>(at: &Builder<'m>, address: Value<'m>, space: Type<'m>) -> Value<'m> {
    at.cast(LLVMOpcode::LLVMAddrSpaceCast, address, space)
}

/// The calls of an operation that the machine has.
fn bound<'m>(module: &'m Module<'_>, name: &str) -> Vec<Value<'m>> {
    let declared = ir::function(module, name).is_some_and(|function| function.is_declaration());
    if declared {
        calls(module, name)
    } else {
        Vec::new()
    }
}
