//! Whether all items of a group come to the same operations in the same order.
//!
//! Takes a shim whose loops have the form that analyses expect; gives who comes to its operations. An
//! operation is one for all if no branch that items may take differently decides whether they come to it:
//! if it is behind the place where their ways are one again. A way that ends in a panic is none.

use std::collections::BTreeSet;

use llvm_sys::LLVMOpcode;

use super::super::meetings::Site;
use super::super::uniform::Uniform;
use crate::ir::Function;
use crate::ir::flow::{Blocks, Loops, PostDominators};

/// Who comes to a kernel's operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// All items of a group, always.
    All,
    /// All that have not panicked.
    AllThatLive,
    /// That can't be told.
    Some,
}

/// Who comes to all of some operations.
pub(super) fn of<'m>(entry: Function<'m>, sites: &[Site<'m>]) -> Reach {
    let Some(blocks) = Blocks::of(entry) else {
        return Reach::Some;
    };
    let flow = blocks.flow();
    let Ok(loops) = Loops::of(flow) else {
        return Reach::Some;
    };
    let uniform = Uniform::of(&blocks, &loops);
    let doomed = doomed(&blocks);
    let Some(after) = PostDominators::of(flow, &doomed) else {
        return Reach::Some;
    };
    let wanted: BTreeSet<usize> = sites
        .iter()
        .map(|site| blocks.number(site.call.block()))
        .collect();
    let parting = (0..flow.len()).filter(|node| uniform.parts(*node) && !doomed.contains(node));
    for branch in parting {
        if !after.decides(branch).is_disjoint(&wanted) {
            return Reach::Some;
        }
    }
    if doomed.is_empty() && !calls_others(entry) {
        Reach::All
    } else {
        Reach::AllThatLive
    }
}

/// Blocks from which every way ends in a panic.
fn doomed(blocks: &Blocks<'_>) -> BTreeSet<usize> {
    let flow = blocks.flow();
    let mut doomed = BTreeSet::new();
    loop {
        let before = doomed.len();
        for node in 0..flow.len() {
            let next = flow.successors(node);
            let terminator = blocks.block(node).terminator();
            let ends = terminator.is(LLVMOpcode::LLVMUnreachable)
                || !next.is_empty() && next.iter().all(|next| doomed.contains(next));
            if ends {
                doomed.insert(node);
            }
        }
        if doomed.len() == before {
            return doomed;
        }
    }
}

/// Whether a function calls any that isn't the machine's, and so may panic.
fn calls_others(entry: Function<'_>) -> bool {
    entry.instructions().into_iter().any(|instruction| {
        let declared = |called: Function<'_>| called.is_declaration();
        instruction.is_call() && !instruction.called_function().is_some_and(declared)
    })
}
