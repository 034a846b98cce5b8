//! Which nodes every way from a node to the end passes.
//!
//! They are the dominators of the flow turned round. Ways that are not to count as ways to the end, as they end in a
//! panic, are left out.

use std::collections::BTreeSet;

use super::{Dominators, Flow};

/// The post-dominator tree of a flow.
pub(crate) struct PostDominators<'a> {
    flow: &'a Flow,
    doomed: &'a BTreeSet<usize>,
    /// Of the flow turned round, in which node 0 is the end and others have one more than their number.
    turned: Dominators,
}

impl<'a> PostDominators<'a> {
    /// Of a flow without its `doomed` nodes, whose successors all are doomed too. `None` if there are other nodes
    /// without a way to the end.
    pub(crate) fn of(flow: &'a Flow, doomed: &'a BTreeSet<usize>) -> Option<Self> {
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
        let turned = Dominators::of(&turned);
        Some(PostDominators {
            flow,
            doomed,
            turned,
        })
    }

    /// Whether every way from `node` to the end passes `other`, which may be the node itself.
    pub(crate) fn passes(&self, node: usize, other: usize) -> bool {
        self.turned.dominates(other + 1, node + 1)
    }

    /// The nodes that a branch decides about: those on the ways from it to the first that all of them
    /// pass.
    pub(crate) fn decides(&self, branch: usize) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let mut ahead = self.flow.successors(branch).to_vec();
        while let Some(node) = ahead.pop() {
            let passed = node != branch && self.passes(branch, node);
            if !self.doomed.contains(&node) && !passed && found.insert(node) {
                ahead.extend(self.flow.successors(node));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(successors: &[&[usize]]) -> Flow {
        Flow::new(successors.iter().map(|s| s.to_vec()).collect()).unwrap()
    }

    fn decides(successors: &[&[usize]], doomed: &[usize], branch: usize) -> Vec<usize> {
        let (flow, doomed) = (flow(successors), doomed.iter().copied().collect());
        let after = PostDominators::of(&flow, &doomed).unwrap();
        after.decides(branch).into_iter().collect()
    }

    #[test]
    fn every_way_passes_where_a_diamond_ends() {
        let (flow, none) = (flow(&[&[1, 2], &[3], &[3], &[]]), BTreeSet::new());
        let after = PostDominators::of(&flow, &none).unwrap();
        assert!(after.passes(0, 3) && after.passes(1, 3) && after.passes(1, 1));
        assert!(!after.passes(0, 1) && !after.passes(3, 0));
    }

    #[test]
    fn a_loop_without_an_end_has_none() {
        assert!(PostDominators::of(&flow(&[&[1], &[1]]), &BTreeSet::new()).is_none());
    }

    #[test]
    fn a_branch_decides_until_its_ways_are_one_again() {
        assert_eq!(decides(&[&[1, 2], &[3], &[3], &[]], &[], 0), [1, 2]);
    }

    #[test]
    fn an_early_return_decides_about_all_that_follows() {
        let successors: [&[usize]; 5] = [&[1, 2], &[3], &[3, 4], &[], &[]];
        assert_eq!(decides(&successors, &[], 0), [1, 2, 3, 4]);
    }

    #[test]
    fn a_panic_is_no_way() {
        // 0 panics in 1, else goes on to 2.
        assert!(decides(&[&[1, 2], &[], &[]], &[1], 0).is_empty());
    }

    #[test]
    fn who_leaves_a_loop_decides_about_all_of_it() {
        // 1 { 2 → 1 or 3 } 3
        assert_eq!(decides(&[&[1], &[2], &[1, 3], &[]], &[], 2), [1, 2]);
    }
}
