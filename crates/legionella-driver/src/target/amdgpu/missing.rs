//! How items panic that miss others of their group: at the kernel's end, where the others have come too, since one of
//! those may be about to panic by itself, in the same wavefront, and that is what the launch shall fail with.
//!
//! Takes a shim whose operations are bound ([`super::groups`]). An item that panics by itself ends its wavefront.

use inkwell::module::Module;
use legionella_abi::intrinsic;
use llvm_sys::LLVMOpcode;

use super::super::meetings::calls;
use super::votes;
use crate::ir::{Builder, Function, Types, Value};

/// Whether an item tells that it panicked: only if no other of its wavefront does so for a reason of its own, where it
/// did just since it missed others.
pub(super) fn tells<'m>(
    module: &'m Module<'_>,
    at: &Builder<'m>,
    panicked: Value<'m>,
    apart: Value<'m>,
) -> Value<'m> {
    let types = Types::of(module);
    let not = |bit| at.binary(LLVMOpcode::LLVMXor, bit, types.i1.constant(1));
    let own_reason = at.binary(LLVMOpcode::LLVMAnd, panicked, not(apart));
    let others = votes::any(module, at, own_reason);
    let first = at.binary(LLVMOpcode::LLVMOr, not(apart), not(others));
    at.binary(LLVMOpcode::LLVMAnd, panicked, first)
}

/// Has items that miss others go to the shim's end, and panic there. An item that panics by itself ends its wavefront
/// before.
pub(super) fn miss_at_the_end<'m>(module: &'m Module<'_>, entry: Function<'m>) {
    let calls: Vec<_> = calls(module, intrinsic::BARRIER_FAILED)
        .into_iter()
        .filter(|call| call.block().function() == entry)
        .collect();
    if calls.is_empty() {
        return;
    }
    let types = Types::of(module);
    let [end, miss, out, done] =
        ["end", "miss", "panic", "done"].map(|name| entry.append_block(name));
    let at = Builder::at_end(end);
    let (misses, place, other) = (at.phi(types.i1), at.phi(types.ptr), at.phi(types.ptr));
    // The vote keeps those that miss others from going on alone.
    let any = votes::any(module, &at, misses);
    at.branch_if(any, miss, done);
    Builder::at_end(miss).branch_if(misses, out, done);
    for block in entry.blocks() {
        let terminator = block.terminator();
        if block != done && terminator.is(LLVMOpcode::LLVMRet) {
            Builder::before(terminator).branch(end);
            terminator.erase();
            misses.add_incoming(types.i1.zero(), block);
            for phi in [place, other] {
                phi.add_incoming(types.ptr.poison(), block);
            }
        }
    }
    let at = Builder::at_end(out);
    let failed = calls[0].called_function();
    if let Some(failed) = failed {
        at.call(failed, &[place, other]);
    }
    at.unreachable();
    Builder::at_end(done).ret(None);
    for call in calls {
        let block = call.block();
        // What follows a call that doesn't return is never done.
        let rest = block.split_before(call);
        for (phi, operand) in [(place, 0), (other, 1)] {
            phi.add_incoming(call.operand(operand), block);
        }
        misses.add_incoming(types.i1.constant(1), block);
        let branch = block.terminator();
        Builder::before(branch).branch(end);
        branch.erase();
        rest.delete();
    }
}
