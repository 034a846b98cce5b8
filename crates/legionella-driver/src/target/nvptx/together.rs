//! Where the lanes of a warp are certainly together, so that they needn't ask.
//!
//! Takes a shim whose loops have the form that analyses expect, and the places where items meet; gives those to
//! which all lanes that the warp began with come. At the entry they are together. They stay so along
//! branches that all of them take alike, and behind any other they are so again where all ways from it lead, or
//! never, where one of these ends in a panic; nor behind a call, in which some may panic. At an operation on
//! matrices that found that all have come to it they are together again. The other operations can be met at
//! several places by one warp.
//!
//! Also tells where all items of a group that have not ended come to the same barriers in the same order, whether or not
//! they are together in between.

use legionella_abi::intrinsic;

use super::super::meetings::{Kind, Site};
use super::super::uniform::Uniform;
use crate::ir::flow::{Blocks, Dominators, Flow, Loops};
use crate::ir::{Function, Value};

/// For each place, whether lanes are together when they come to it.
pub(super) fn at<'m>(entry: Function<'m>, sites: &[Site<'m>]) -> Vec<bool> {
    let Some(blocks) = Blocks::of(entry) else {
        return vec![false; sites.len()];
    };
    let flow = blocks.flow();
    let Ok(loops) = Loops::of(flow) else {
        return vec![false; sites.len()];
    };
    let uniform = Uniform::in_subgroups(&blocks, &loops);
    let ends = Ends::of(flow);
    let mut lanes = Lanes {
        flow,
        sites: sites.iter().collect(),
        instructions: (0..flow.len())
            .map(|node| blocks.block(node).instructions())
            .collect(),
        found: vec![true; sites.len()],
    };
    for node in 0..flow.len() {
        if uniform.parts(node) {
            lanes.part(flow.successors(node), |next| ends.all_come_to(next, node));
        }
        let calls = (0..lanes.instructions[node].len())
            .filter(|index| may_panic(lanes.instructions[node][*index]));
        for call in calls.collect::<Vec<_>>() {
            if !lanes.meet_again(node, call + 1) {
                lanes.part(flow.successors(node), |_| false);
            }
        }
    }
    lanes.found
}

/// Whether all items of a group that have not ended, wherever one of them waits at a barrier, come to that one, with one
/// label: what they find out there is only whether some have ended.
pub(super) fn only_ends_part<'m>(entry: Function<'m>, sites: &[Site<'m>]) -> bool {
    let Some(blocks) = Blocks::of(entry) else {
        return false;
    };
    let flow = blocks.flow();
    let Ok(loops) = Loops::of(flow) else {
        return false;
    };
    let uniform = Uniform::of(&blocks, &loops);
    let barriers = || sites.iter().filter(|site| site.kind == Kind::Barrier);
    if !barriers().all(|site| uniform.contains(site.call.operand(0))) {
        return false;
    }
    // From where a barrier is reached: who goes elsewhere has ended as far as others can tell.
    let mut leads = vec![false; flow.len()];
    let mut ahead: Vec<_> = barriers()
        .map(|site| blocks.number(site.call.block()))
        .collect();
    while let Some(node) = ahead.pop() {
        if !std::mem::replace(&mut leads[node], true) {
            ahead.extend(flow.predecessors(node));
        }
    }
    let next = NextBarriers::of(flow, &leads, |node| {
        barriers().any(|site| blocks.number(site.call.block()) == node)
    });
    let mut items = Lanes {
        flow,
        sites: barriers().collect(),
        instructions: (0..flow.len())
            .map(|node| blocks.block(node).instructions())
            .collect(),
        found: vec![true; barriers().count()],
    };
    for node in (0..flow.len()).filter(|node| uniform.parts(*node)) {
        let ways = flow.successors(node).iter().copied();
        let ways: Vec<_> = ways.filter(|way| leads[*way]).collect();
        if ways.len() > 1 {
            items.part(&ways, |node| next.all_come_to(node, &ways));
        }
    }
    items.found.into_iter().all(|together| together)
}

/// What is known of the lanes so far: assumptions that only become weaker.
struct Lanes<'a, 'm> {
    flow: &'a Flow,
    sites: Vec<&'a Site<'m>>,
    instructions: Vec<Vec<Value<'m>>>,
    found: Vec<bool>,
}

impl Lanes<'_, '_> {
    /// Lanes that are not together come to some nodes, and from there on, up to nodes where all are.
    fn part(&mut self, nodes: &[usize], all_come_to: impl Fn(usize) -> bool) {
        let mut ahead = nodes.to_vec();
        let mut seen = vec![false; self.flow.len()];
        while let Some(node) = ahead.pop() {
            let is_known = std::mem::replace(&mut seen[node], true);
            if is_known || all_come_to(node) || self.meet_again(node, 0) {
                continue;
            }
            ahead.extend(self.flow.successors(node));
        }
    }

    /// Lanes that are not together run a node from an instruction on; gives whether they are together at
    /// its end.
    fn meet_again(&mut self, node: usize, from: usize) -> bool {
        for instruction in &self.instructions[node][from..] {
            let is_here = |site: &&Site<'_>| site.call == *instruction;
            if let Some(site) = self.sites.iter().position(is_here) {
                self.found[site] = false;
                if self.sites[site].kind == Kind::Matrix {
                    return true;
                }
            }
        }
        false
    }
}

/// How a flow ends: its post-dominators, of which there are none if a way never ends.
struct Ends(Option<Dominators>);

impl Ends {
    fn of(flow: &Flow) -> Self {
        // The same flow backwards, from a node where all ways end.
        let ends = (0..flow.len()).filter(|node| flow.successors(*node).is_empty());
        let mut back = vec![ends.map(|node| node + 1).collect::<Vec<_>>()];
        back.extend((0..flow.len()).map(|node| {
            let before = flow.predecessors(node).iter();
            before.map(|before| before + 1).collect()
        }));
        Ends(Flow::new(back).as_ref().map(Dominators::of))
    }

    /// Whether every way from one node leads to another.
    fn all_come_to(&self, node: usize, from: usize) -> bool {
        (self.0.as_ref()).is_some_and(|ends| ends.dominates(node + 1, from + 1))
    }
}

/// The ways to the barriers that are the next to be met: post-dominators of the flow that ends at them, without what leads
/// to none.
struct NextBarriers(Option<Dominators>);

impl NextBarriers {
    fn of(flow: &Flow, leads: &[bool], is_barrier: impl Fn(usize) -> bool) -> Self {
        let barrier: Vec<_> = (0..flow.len()).map(is_barrier).collect();
        // The same flow backwards, from a node behind all barriers. What leads to none lies there as well, by itself.
        let ends = (0..flow.len()).filter(|node| barrier[*node] || !leads[*node]);
        let mut back = vec![ends.map(|node| node + 1).collect::<Vec<_>>()];
        back.extend((0..flow.len()).map(|node| {
            let before = flow.predecessors(node).iter().copied();
            let before = before.filter(|before| leads[node] && !barrier[*before]);
            before.map(|before| before + 1).collect()
        }));
        NextBarriers(Flow::new(back).as_ref().map(Dominators::of))
    }

    /// Whether all that go these ways, each of which leads to a barrier, come to a node before the next barrier they meet.
    fn all_come_to(&self, node: usize, ways: &[usize]) -> bool {
        (self.0.as_ref()).is_some_and(|ends| {
            let comes = |way: &usize| ends.dominates(node + 1, way + 1);
            ways.iter().all(comes)
        })
    }
}

/// Whether an instruction calls what isn't the machine's, or may end the item.
fn may_panic(instruction: Value<'_>) -> bool {
    let goes_on =
        |called: Function<'_>| called.is_declaration() && called.name() != intrinsic::PAUSE;
    instruction.is_call() && !instruction.called_function().is_some_and(goes_on)
}
