//! Natural loops, how they nest, and an order of all nodes in which each loop is one piece.

use std::collections::BTreeSet;

use super::{Dominators, Flow};

/// A loop, by its place in [`Loops`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct LoopId(usize);

/// A cycle that has more than one way in, which no loop describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Irreducible;

/// A loop: all nodes that lead back to its header without leaving.
#[derive(Debug)]
struct Loop {
    header: usize,
    nodes: BTreeSet<usize>,
    latches: Vec<usize>,
    exits: BTreeSet<usize>,
    parent: Option<LoopId>,
}

/// The loops of a flow.
#[derive(Debug)]
pub(crate) struct Loops {
    loops: Vec<Loop>,
    innermost: Vec<Option<LoopId>>,
    order: Vec<usize>,
    place: Vec<usize>,
}

impl Loops {
    /// Finds all loops.
    ///
    /// # Errors
    /// If there is a cycle with more than one way in.
    pub(crate) fn of(flow: &Flow) -> Result<Self, Irreducible> {
        let dominators = Dominators::of(flow);
        let mut loops = Vec::new();
        for header in 0..flow.len() {
            let latches: Vec<_> = flow
                .predecessors(header)
                .iter()
                .copied()
                .filter(|from| dominators.dominates(header, *from))
                .collect();
            if latches.is_empty() {
                continue;
            }
            let mut nodes = BTreeSet::from([header]);
            let mut ahead = latches.clone();
            while let Some(node) = ahead.pop() {
                if nodes.insert(node) {
                    ahead.extend(flow.predecessors(node));
                }
            }
            let exits = nodes
                .iter()
                .flat_map(|node| flow.successors(*node))
                .copied()
                .filter(|next| !nodes.contains(next))
                .collect();
            loops.push(Loop {
                header,
                nodes,
                latches,
                exits,
                parent: None,
            });
        }
        // Outer loops first: a loop is smaller than those around it.
        loops.sort_by_key(|one| (std::cmp::Reverse(one.nodes.len()), one.header));
        let mut innermost = vec![None; flow.len()];
        for index in 0..loops.len() {
            loops[index].parent = innermost[loops[index].header];
            for &node in &loops[index].nodes {
                innermost[node] = Some(LoopId(index));
            }
        }
        let mut all = Loops {
            loops,
            innermost,
            order: Vec::new(),
            place: vec![usize::MAX; flow.len()],
        };
        all.arrange(flow, None, 0);
        for (index, &node) in all.order.iter().enumerate() {
            all.place[node] = index;
        }
        let forward = |from: usize, to: usize| {
            all.place[from] < all.place[to] || dominators.dominates(to, from)
        };
        let reducible =
            (0..flow.len()).all(|from| (flow.successors(from).iter()).all(|to| forward(from, *to)));
        reducible.then_some(all).ok_or(Irreducible)
    }

    /// Appends the nodes of a loop, or of the whole flow, from its header or the entry on: each
    /// behind those that lead to it.
    fn arrange(&mut self, flow: &Flow, level: Option<LoopId>, start: usize) {
        let mut post = Vec::new();
        let mut seen = BTreeSet::from([start]);
        let mut path = vec![(start, self.ways_from(flow, level, start))];
        while let Some((node, ways)) = path.last_mut() {
            match ways.pop() {
                Some(next) => {
                    if seen.insert(next) {
                        let ways = self.ways_from(flow, level, next);
                        path.push((next, ways));
                    }
                }
                None => {
                    post.push(*node);
                    path.pop();
                }
            }
        }
        for node in post.into_iter().rev() {
            match self.child(level, node) {
                Some(inner) => self.arrange(flow, Some(inner), node),
                None => self.order.push(node),
            }
        }
    }

    /// Where one gets from a node within a level, where a loop inside counts as one node, its
    /// header.
    fn ways_from(&self, flow: &Flow, level: Option<LoopId>, node: usize) -> Vec<usize> {
        let nexts: Vec<usize> = match self.child(level, node) {
            Some(inner) => self.exits(inner).collect(),
            None => flow.successors(node).to_vec(),
        };
        let within = |next: &usize| match level {
            Some(outer) => self.contains(outer, *next) && *next != self.header(outer),
            None => true,
        };
        let mut ways: Vec<_> = nexts
            .into_iter()
            .filter(within)
            .map(|next| match self.child(level, next) {
                Some(inner) => self.header(inner),
                None => next,
            })
            .collect();
        ways.dedup();
        ways
    }

    /// The loop directly inside a level that a node is part of.
    pub(crate) fn child(&self, level: Option<LoopId>, node: usize) -> Option<LoopId> {
        self.around(node)
            .take_while(|one| Some(*one) != level)
            .last()
    }

    /// All loops, outer ones first.
    pub(crate) fn all(&self) -> impl Iterator<Item = LoopId> + use<> {
        (0..self.loops.len()).map(LoopId)
    }

    /// The loops around a node, innermost first.
    pub(crate) fn around(&self, node: usize) -> impl Iterator<Item = LoopId> + '_ {
        std::iter::successors(self.innermost[node], |one| self.loops[one.0].parent)
    }

    /// The innermost loop around a node.
    pub(crate) fn innermost(&self, node: usize) -> Option<LoopId> {
        self.innermost[node]
    }

    /// The only node through which a loop is entered.
    pub(crate) fn header(&self, one: LoopId) -> usize {
        self.loops[one.0].header
    }

    /// The nodes of a loop, with those of the loops in it.
    pub(crate) fn nodes(&self, one: LoopId) -> impl Iterator<Item = usize> + '_ {
        self.loops[one.0].nodes.iter().copied()
    }

    /// Whether a node is part of a loop.
    pub(crate) fn contains(&self, one: LoopId, node: usize) -> bool {
        self.loops[one.0].nodes.contains(&node)
    }

    /// Nodes outside of a loop that it leads to.
    pub(crate) fn exits(&self, one: LoopId) -> impl Iterator<Item = usize> + '_ {
        self.loops[one.0].exits.iter().copied()
    }

    /// Nodes that lead back to the header.
    pub(crate) fn latches(&self, one: LoopId) -> &[usize] {
        &self.loops[one.0].latches
    }

    /// The only node that leads into a loop, of a flow that it is of; `None` if there are several.
    pub(crate) fn entry(&self, flow: &Flow, one: LoopId) -> Option<usize> {
        let mut outside = flow.predecessors(self.header(one)).to_vec();
        outside.retain(|node| !self.contains(one, *node));
        match outside[..] {
            [entry] => Some(entry),
            _ => None,
        }
    }

    /// Whether the way from a node to another leads back to the header of a loop around it.
    pub(crate) fn is_back(&self, from: usize, to: usize) -> bool {
        self.around(from).any(|one| self.header(one) == to)
    }

    /// All nodes, each behind those that lead to it but for ways back, and each loop in one piece.
    pub(crate) fn order(&self) -> &[usize] {
        &self.order
    }

    /// A node's place in the order.
    pub(crate) fn place(&self, node: usize) -> usize {
        self.place[node]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loops(successors: &[&[usize]]) -> Result<Loops, Irreducible> {
        let flow = Flow::new(successors.iter().map(|s| s.to_vec()).collect()).unwrap();
        Loops::of(&flow)
    }

    #[test]
    fn loops_nest() {
        // 0 → 1 { 2 { 3 → 2 } 4 → 1 } 5
        let all = loops(&[&[1], &[2], &[3], &[2, 4], &[1, 5], &[]]).unwrap();
        let [outer, inner] = all.all().collect::<Vec<_>>()[..] else {
            panic!("two loops")
        };
        assert_eq!((all.header(outer), all.header(inner)), (1, 2));
        assert_eq!(all.around(3).collect::<Vec<_>>(), [inner, outer]);
        assert_eq!(all.innermost(4), Some(outer));
        assert_eq!(all.exits(inner).collect::<Vec<_>>(), [4]);
        assert_eq!(all.latches(outer), [4]);
        assert!(all.is_back(4, 1) && !all.is_back(1, 2));
    }

    #[test]
    fn a_loop_stays_in_one_piece() {
        // The exit comes first among the header's successors, and leads far.
        let all = loops(&[&[1], &[4, 2], &[3], &[1], &[5], &[]]).unwrap();
        assert_eq!(all.order(), [0, 1, 2, 3, 4, 5]);
        assert_eq!(all.place(4), 4);
    }

    #[test]
    fn the_latch_of_a_loop_is_its_last() {
        // 1 { 2 or 3, 4 latch } 5; 3 leaves too.
        let all = loops(&[&[1], &[3, 2], &[4], &[4, 5], &[1], &[]]).unwrap();
        assert_eq!(all.order().last(), Some(&5));
        assert_eq!(all.place(4), 4);
    }

    #[test]
    fn two_ways_into_a_cycle_are_refused() {
        assert_eq!(loops(&[&[1, 2], &[2], &[1]]).unwrap_err(), Irreducible);
    }
}
