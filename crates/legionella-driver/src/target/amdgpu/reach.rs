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
use crate::ir::flow::{Blocks, Dominators, Flow, Loops};

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
    let Ok(loops) = Loops::of(flow, &Dominators::of(flow)) else {
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
        if after
            .undecided(flow, &doomed, branch)
            .intersection(&wanted)
            .next()
            .is_some()
        {
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

/// Which nodes all ways from a node to the end pass, if they don't end in a panic.
struct PostDominators {
    /// Of the flow turned round, in which node 0 is the end and others have one more than their number.
    turned: Dominators,
}

impl PostDominators {
    /// `None` if there are nodes without a way to the end.
    fn of(flow: &Flow, doomed: &BTreeSet<usize>) -> Option<Self> {
        let mut from: Vec<Vec<usize>> = vec![Vec::new(); flow.len() + 1];
        for node in 0..flow.len() {
            if doomed.contains(&node) {
                // Somewhere, so that every node is reached.
                from[0].push(node + 1);
                continue;
            }
            let next = flow.successors(node).iter();
            let next: Vec<_> = next.filter(|next| !doomed.contains(next)).collect();
            if next.is_empty() {
                from[0].push(node + 1);
            }
            for next in next {
                from[next + 1].push(node + 1);
            }
        }
        let turned = Flow::new(from)?;
        Some(PostDominators {
            turned: Dominators::of(&turned),
        })
    }

    /// The nodes that a branch decides about: those on the ways from it to the first that all of them
    /// pass.
    fn undecided(&self, flow: &Flow, doomed: &BTreeSet<usize>, branch: usize) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let mut ahead = flow.successors(branch).to_vec();
        while let Some(node) = ahead.pop() {
            let passed = node != branch && self.turned.dominates(node + 1, branch + 1);
            if !doomed.contains(&node) && !passed && found.insert(node) {
                ahead.extend(flow.successors(node));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn undecided(successors: &[&[usize]], doomed: &[usize], branch: usize) -> Vec<usize> {
        let flow = Flow::new(successors.iter().map(|s| s.to_vec()).collect()).unwrap();
        let doomed = doomed.iter().copied().collect();
        let after = PostDominators::of(&flow, &doomed).unwrap();
        after
            .undecided(&flow, &doomed, branch)
            .into_iter()
            .collect()
    }

    #[test]
    fn a_branch_decides_until_its_ways_are_one_again() {
        assert_eq!(undecided(&[&[1, 2], &[3], &[3], &[]], &[], 0), [1, 2]);
    }

    #[test]
    fn an_early_return_decides_about_all_that_follows() {
        assert_eq!(
            undecided(&[&[1, 2], &[3], &[3, 4], &[], &[]], &[], 0),
            [1, 2, 3, 4]
        );
    }

    #[test]
    fn a_panic_is_no_way() {
        // 0 panics in 1, else goes on to 2.
        assert!(undecided(&[&[1, 2], &[], &[]], &[1], 0).is_empty());
    }

    #[test]
    fn who_leaves_a_loop_decides_about_all_of_it() {
        // 1 { 2 → 1 or 3 } 3
        assert_eq!(undecided(&[&[1], &[2], &[1, 3], &[]], &[], 2), [1, 2]);
    }
}
