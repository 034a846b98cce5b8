//! Operations that the items of a group carry out together, kept where they are.
//!
//! LLVM may move, duplicate or merge a call unless it knows that other items depend on it: unless
//! the called function is `convergent`, and so is whatever leads there. rustc knows no such
//! functions. Barriers also have to end up in the kernel itself, which a target splits at them.

use std::collections::BTreeSet;

use inkwell::module::Module;
use legionella_abi::intrinsic;

use crate::ir::{self, Function};

/// Marks every function that leads to a collective operation as convergent, and to be inlined.
/// Comes before any pass of LLVM.
pub(super) fn mark(module: &Module<'_>, entry: &str) {
    let bound = intrinsic::MATRICES
        .into_iter()
        .filter_map(|name| ir::function(module, name))
        .filter(|function| function.is_declaration());
    let operations = intrinsic::COLLECTIVE
        .into_iter()
        .filter_map(|name| ir::function(module, name))
        .chain(bound);
    let mut ahead: Vec<Function<'_>> = operations.collect();
    let mut marked: BTreeSet<_> = ahead.iter().copied().collect();
    let mut by_address = false;
    while let Some(function) = ahead.pop() {
        let value = function.value();
        for user in value.users() {
            if user.is_call() && user.callee() == Some(value) {
                // rustc has this wish at calls as well as at functions.
                user.remove_call_attribute("noinline");
                ahead.extend(Some(user.block().function()).filter(|user| marked.insert(*user)));
            } else if !by_address {
                by_address = true;
                // Whatever is called by address may be one of these.
                for function in ir::functions(module) {
                    let indirect = function
                        .instructions()
                        .into_iter()
                        .filter(|instruction| instruction.is_indirect_call());
                    for call in indirect {
                        call.add_call_attribute("convergent");
                        ahead.extend(Some(function).filter(|user| marked.insert(*user)));
                    }
                }
            }
        }
    }
    for function in marked {
        function.add_attribute("convergent");
        if !function.is_declaration() && function.name() != entry {
            function.remove_attribute("noinline");
            function.add_attribute("alwaysinline");
        }
    }
}
