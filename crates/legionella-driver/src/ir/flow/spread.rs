//! How far lanes spread from a branch that they take differently.
//!
//! Lanes run in the order of [`Loops::order`], those at the least place first, so lanes of one loop
//! are in the same turn of it. What a value is then may still differ between lanes that run
//! together, in two places: where ways that started at the branch *join*, by the way that a lane
//! came, and where lanes have left a loop in different turns, which are joins of the ways out.
//! Loops are expected to have one latch each: at the header nothing joins then.

use std::collections::{BTreeMap, BTreeSet};

use super::{Flow, LoopId, Loops};

/// What follows from a branch that lanes take differently.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Spread {
    /// Nodes where two ways from the branch meet that share no node before.
    pub(crate) joins: BTreeSet<usize>,
    /// Loops that some lanes leave while others stay.
    pub(crate) left: BTreeSet<LoopId>,
}

impl Spread {
    /// Of a branch at the end of a node.
    pub(crate) fn from(flow: &Flow, loops: &Loops, branch: usize) -> Self {
        let mut walk = Walk {
            loops,
            way: BTreeMap::new(),
            ahead: BTreeSet::new(),
            round: BTreeSet::new(),
            spread: Spread::default(),
        };
        for &next in flow.successors(branch) {
            walk.step(branch, next, next);
        }
        let mut level = loops.innermost(branch);
        loop {
            let first = walk.ahead.first().map(|place| loops.order()[*place]);
            if let Some(one) = level
                && first.is_none_or(|node| !loops.contains(one, node))
            {
                // All ways through this loop have been followed.
                if walk.round.contains(&one) {
                    if first.is_none() {
                        // All are at the header.
                        return walk.spread;
                    }
                    // Those that stay leave later, by any exit.
                    walk.spread.left.insert(one);
                    for exit in loops.exits(one) {
                        walk.arrive(exit, loops.header(one));
                    }
                }
                level = loops.around(loops.header(one)).nth(1);
                continue;
            }
            let Some(node) = first else {
                return walk.spread;
            };
            if walk.ahead.len() == 1 && !level.is_some_and(|one| walk.round.contains(&one)) {
                // All that haven't returned are together again.
                return walk.spread;
            }
            walk.ahead.pop_first();
            let way = walk.way[&node];
            for &next in flow.successors(node) {
                walk.step(node, next, way);
            }
        }
    }
}

/// Ways that are being followed.
struct Walk<'a> {
    loops: &'a Loops,
    /// For each node that was reached, on which way: the node where that way began.
    way: BTreeMap<usize, usize>,
    /// Places of the nodes whose successors are to be looked at.
    ahead: BTreeSet<usize>,
    /// Loops around the branch that a way leads round.
    round: BTreeSet<LoopId>,
    spread: Spread,
}

impl Walk<'_> {
    fn step(&mut self, from: usize, to: usize, way: usize) {
        let back = self
            .loops
            .around(from)
            .find(|one| self.loops.header(*one) == to);
        match back {
            // Of a loop further inside, nothing is known that isn't known of its header already.
            Some(one) => {
                self.round.insert(one);
            }
            None => self.arrive(to, way),
        }
    }

    fn arrive(&mut self, node: usize, way: usize) {
        let known = self.way.entry(node).or_insert(way);
        if *known != way {
            *known = node;
            self.spread.joins.insert(node);
        }
        self.ahead.insert(self.loops.place(node));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(successors: &[&[usize]], branch: usize) -> (Spread, Loops) {
        let flow = Flow::new(successors.iter().map(|s| s.to_vec()).collect()).unwrap();
        let loops = Loops::of(&flow).unwrap();
        (Spread::from(&flow, &loops, branch), loops)
    }

    #[test]
    fn a_diamond_joins_at_its_bottom() {
        let (spread, _) = spread(&[&[1, 2], &[3], &[3], &[4], &[]], 0);
        assert_eq!(spread.joins, BTreeSet::from([3]));
    }

    #[test]
    fn an_early_return_joins_nowhere() {
        let (spread, _) = spread(&[&[1, 2], &[], &[3], &[]], 0);
        assert!(spread.joins.is_empty());
    }

    #[test]
    fn lanes_leave_a_loop_in_different_turns() {
        // 1 { 2 → 1 or 3 } 3
        let (spread, loops) = spread(&[&[1], &[2], &[1, 3], &[]], 2);
        assert_eq!(spread.left, loops.all().collect());
        assert_eq!(spread.joins, BTreeSet::from([3]));
    }

    #[test]
    fn ways_that_meet_within_a_loop_leave_it_whole() {
        // 1 { 2 or 3, 4 } 5
        let (spread, _) = spread(&[&[1], &[2, 3], &[4], &[4], &[1, 5], &[]], 1);
        assert!(spread.left.is_empty());
        assert_eq!(spread.joins, BTreeSet::from([4]));
    }

    #[test]
    fn a_break_on_one_side_does_not_join_at_the_header() {
        // 1 { 2 or 3; 3 may break to 6; 4 latch } 5: lanes that go on have come to 4 on two ways,
        // but the header sees them after they have joined.
        let (spread, loops) = spread(&[&[1], &[2, 3], &[4], &[4, 6], &[1, 5], &[7], &[7], &[]], 1);
        assert_eq!(spread.left, loops.all().collect());
        assert!(!spread.joins.contains(&1));
        assert!(spread.joins.contains(&4));
        assert!(spread.joins.contains(&7));
    }

    #[test]
    fn those_who_stay_leave_later_by_any_exit() {
        // 1 may leave to 4 by a test of its own, 2 to 5; both lead to 6.
        let (spread, _) = spread(&[&[1], &[2, 4], &[3, 5], &[1], &[6], &[6], &[]], 2);
        // At 4 all who come have left in the same turn; at 6 the two ways meet.
        assert_eq!(spread.joins, BTreeSet::from([5, 6]));
    }

    #[test]
    fn ways_round_a_loop_without_an_end_meet_at_its_header() {
        // 1 { 2 or 3 → 1 }, left by nobody; 0 may skip it.
        let (spread, _) = spread(&[&[1, 4], &[2, 3], &[1], &[1], &[]], 1);
        assert!(spread.joins.is_empty() && spread.left.is_empty());
    }
}
