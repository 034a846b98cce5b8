//! Loads of memory that nothing writes while a launch runs.
//!
//! Takes addresses that the entry shim said so of ([`legionella_abi::intrinsic::IMMUTABLE`]); gives
//! the loads that can reach nothing else the metadata by which LLVM reads them through the
//! read-only path (`ld.global.nc`) and moves them past writes.

use std::collections::BTreeSet;

use inkwell::module::Module;
use legionella_abi::intrinsic;
use llvm_sys::LLVMOpcode;
use llvm_sys::core as c;

use crate::ir::{self, Value, llvm};

/// Marks the loads and removes the intrinsic.
pub(super) fn mark(module: &Module<'_>) {
    let Some(function) = ir::function(module, intrinsic::IMMUTABLE) else {
        return;
    };
    let starts: Vec<Value<'_>> = function.value().users();
    let addresses = reached(&starts);
    for address in &addresses {
        for user in address.users() {
            if user.is(LLVMOpcode::LLVMLoad) && user.operand(0) == *address && is_plain(user) {
                user.set_empty_metadata("invariant.load");
            }
        }
    }
    crate::lower::forget_immutable(module);
}

fn is_plain(load: Value<'_>) -> bool {
    llvm!(c::LLVMGetVolatile(load.raw())) == 0
        && llvm!(c::LLVMGetOrdering(load.raw()))
            == llvm_sys::LLVMAtomicOrdering::LLVMAtomicOrderingNotAtomic
}

/// The addresses that come from `starts` alone.
fn reached<'m>(starts: &[Value<'m>]) -> BTreeSet<Value<'m>> {
    use LLVMOpcode::*;
    let mut found: BTreeSet<Value<'m>> = starts.iter().copied().collect();
    let mut ahead = starts.to_vec();
    while let Some(address) = ahead.pop() {
        for user in address.users() {
            let derived = match user.opcode() {
                Some(LLVMGetElementPtr) => user.operand(0) == address,
                Some(LLVMPHI | LLVMSelect | LLVMFreeze) => true,
                _ => false,
            };
            if derived && found.insert(user) {
                ahead.push(user);
            }
        }
    }
    // A choice between such an address and another is none; what comes from it is none either.
    loop {
        let before = found.len();
        let all = found.clone();
        found.retain(|value| {
            let from = match value.opcode() {
                Some(LLVMGetElementPtr | LLVMFreeze) => vec![value.operand(0)],
                Some(LLVMPHI) => value.incoming().into_iter().map(|(from, _)| from).collect(),
                Some(LLVMSelect) => vec![value.operand(1), value.operand(2)],
                _ => return true,
            };
            from.iter().all(|from| all.contains(from))
        });
        if found.len() == before {
            return found;
        }
    }
}
