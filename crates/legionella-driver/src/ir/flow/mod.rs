//! Control flow by numbers: what follows what in a function, and what analyses find in that.
//!
//! A [`Flow`] is a graph whose node 0 is the entry. The analyses know nothing but the graph, so that
//! they are tested without IR: [`Dominators`] and [`PostDominators`], [`Loops`] with an order in which they stay
//! together, and [`Spread`], how far the ways part that lanes take from a branch.

mod dominators;
mod loops;
mod post_dominators;
mod spread;

pub(crate) use dominators::Dominators;
pub(crate) use loops::{LoopId, Loops};
pub(crate) use post_dominators::PostDominators;
pub(crate) use spread::Spread;

use std::collections::HashMap;

use super::{Block, Function};

/// A graph of control flow. Every node can be reached from node 0.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    successors: Vec<Vec<usize>>,
    predecessors: Vec<Vec<usize>>,
}

impl Flow {
    /// The graph with these successors, each listed once; `None` if there is a node that can't be
    /// reached, or none at all.
    pub(crate) fn new(successors: Vec<Vec<usize>>) -> Option<Self> {
        let mut predecessors = vec![Vec::new(); successors.len()];
        let mut reached = vec![false; successors.len()];
        let mut ahead = vec![0];
        *reached.first_mut()? = true;
        while let Some(node) = ahead.pop() {
            for &next in &successors[node] {
                predecessors[next].push(node);
                if !std::mem::replace(&mut reached[next], true) {
                    ahead.push(next);
                }
            }
        }
        reached.iter().all(|reached| *reached).then_some(Flow {
            successors,
            predecessors,
        })
    }

    /// How many nodes there are.
    pub(crate) fn len(&self) -> usize {
        self.successors.len()
    }

    /// Where a node's ways lead, each place once.
    pub(crate) fn successors(&self, node: usize) -> &[usize] {
        &self.successors[node]
    }

    /// Where the ways into a node come from, each place once.
    pub(crate) fn predecessors(&self, node: usize) -> &[usize] {
        &self.predecessors[node]
    }
}

/// The blocks of a function and their flow.
pub(crate) struct Blocks<'m> {
    blocks: Vec<Block<'m>>,
    numbers: HashMap<Block<'m>, usize>,
    flow: Flow,
}

impl<'m> Blocks<'m> {
    /// Numbers the blocks of a function in its own order; `None` if some can't be reached.
    pub(crate) fn of(function: Function<'m>) -> Option<Self> {
        let blocks = function.blocks();
        let numbers: HashMap<_, _> = blocks.iter().copied().zip(0..).collect();
        let successors = blocks.iter().map(|block| {
            let mut next: Vec<usize> = Vec::new();
            for successor in block.successors() {
                let number = numbers[&successor];
                if !next.contains(&number) {
                    next.push(number);
                }
            }
            next
        });
        let flow = Flow::new(successors.collect())?;
        Some(Blocks {
            blocks,
            numbers,
            flow,
        })
    }

    /// The block of a number.
    pub(crate) fn block(&self, number: usize) -> Block<'m> {
        self.blocks[number]
    }

    /// The number of a block.
    pub(crate) fn number(&self, block: Block<'m>) -> usize {
        self.numbers[&block]
    }

    /// What follows what.
    pub(crate) fn flow(&self) -> &Flow {
        &self.flow
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_are_known_from_both_ends() {
        let flow = Flow::new(vec![vec![1, 2], vec![2], vec![]]).unwrap();
        assert_eq!(flow.len(), 3);
        assert_eq!(flow.successors(0), [1, 2]);
        let mut from = flow.predecessors(2).to_vec();
        from.sort_unstable();
        assert_eq!(from, [0, 1]);
    }

    #[test]
    fn nodes_out_of_reach_are_refused() {
        assert!(Flow::new(vec![vec![], vec![0]]).is_none());
        assert!(Flow::new(vec![]).is_none());
    }
}
