//! Which nodes every way to a node passes.
//!
//! The algorithm is that of Cooper, Harvey and Kennedy, "A Simple, Fast Dominance Algorithm" (2001).

use super::Flow;

/// The dominator tree of a flow.
pub(crate) struct Dominators {
    /// For each node the nearest that dominates it; the entry's is itself.
    immediate: Vec<usize>,
}

impl Dominators {
    pub(crate) fn of(flow: &Flow) -> Self {
        let post_order = post_order(flow);
        let mut place = vec![0; flow.len()];
        for (index, &node) in post_order.iter().enumerate() {
            place[node] = index;
        }
        let mut immediate: Vec<Option<usize>> = vec![None; flow.len()];
        immediate[0] = Some(0);
        let mut changed = true;
        while changed {
            changed = false;
            for &node in post_order.iter().rev().filter(|node| **node != 0) {
                let known = flow
                    .predecessors(node)
                    .iter()
                    .filter(|from| immediate[**from].is_some());
                let nearest = known.copied().reduce(|a, b| meet(&immediate, &place, a, b));
                if immediate[node] != nearest {
                    immediate[node] = nearest;
                    changed = true;
                }
            }
        }
        // All nodes can be reached, so all have one.
        Dominators {
            immediate: immediate
                .into_iter()
                .map(Option::unwrap_or_default)
                .collect(),
        }
    }

    /// The nearest node that dominates another; the entry's is itself.
    pub(crate) fn immediate(&self, node: usize) -> usize {
        self.immediate[node]
    }

    /// Whether every way from the entry to `node` passes `dominator`, which may be the node itself.
    pub(crate) fn dominates(&self, dominator: usize, mut node: usize) -> bool {
        while node != dominator {
            if node == 0 {
                return false;
            }
            node = self.immediate[node];
        }
        true
    }
}

/// The nearest node that dominates both.
fn meet(immediate: &[Option<usize>], place: &[usize], mut a: usize, mut b: usize) -> usize {
    let up = |node: usize| immediate[node].unwrap_or_default();
    while a != b {
        while place[a] < place[b] {
            a = up(a);
        }
        while place[b] < place[a] {
            b = up(b);
        }
    }
    a
}

/// All nodes, each behind those that it leads to, but for ways back.
fn post_order(flow: &Flow) -> Vec<usize> {
    let mut order = Vec::with_capacity(flow.len());
    let mut seen = vec![false; flow.len()];
    seen[0] = true;
    let mut path = vec![(0, 0)];
    while let Some((node, next)) = path.last_mut() {
        match flow.successors(*node).get(*next) {
            Some(&successor) => {
                *next += 1;
                if !std::mem::replace(&mut seen[successor], true) {
                    path.push((successor, 0));
                }
            }
            None => {
                order.push(*node);
                path.pop();
            }
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn immediate(successors: &[&[usize]]) -> Vec<usize> {
        let flow = Flow::new(successors.iter().map(|s| s.to_vec()).collect()).unwrap();
        Dominators::of(&flow).immediate
    }

    #[test]
    fn a_diamond_is_dominated_by_its_top() {
        assert_eq!(immediate(&[&[1, 2], &[3], &[3], &[]]), [0, 0, 0, 0]);
    }

    #[test]
    fn a_loop_is_dominated_by_its_header() {
        // 0 → 1 → 2 → 3 → 1, 2 → 4
        let all = immediate(&[&[1], &[2], &[3, 4], &[1], &[]]);
        assert_eq!(all, [0, 0, 1, 2, 2]);
    }

    #[test]
    fn two_ways_into_a_cycle_leave_it_to_the_entry() {
        assert_eq!(immediate(&[&[1, 2], &[2], &[1]]), [0, 0, 0]);
    }

    #[test]
    fn nodes_dominate_themselves() {
        let flow = Flow::new(vec![vec![1], vec![2], vec![]]).unwrap();
        let dominators = Dominators::of(&flow);
        assert!(dominators.dominates(1, 1));
        assert!(dominators.dominates(1, 2));
        assert!(!dominators.dominates(2, 1));
    }
}
