//! Where the lanes of a warp are certainly together, so that they needn't ask.
//!
//! Takes a shim whose loops have the form that analyses expect, and the places where items meet; gives those to
//! which all lanes that the warp began with come at once. At the entry they are together. They stay so along
//! branches that all of them take alike, and no longer behind any other, which may lead some to a panic; nor
//! behind a call, in which some may panic. At an operation on matrices that found that all have come to it they
//! are together again. The other operations can be met at several places by one warp.

use super::super::meetings::{Kind, Site};
use super::super::uniform::Uniform;
use crate::ir::flow::{Blocks, Dominators, Loops};
use crate::ir::{Function, Value};

/// For each place, whether lanes are together when they come to it.
pub(super) fn at<'m>(entry: Function<'m>, sites: &[Site<'m>]) -> Vec<bool> {
    let Some(blocks) = Blocks::of(entry) else {
        return vec![false; sites.len()];
    };
    let flow = blocks.flow();
    let Ok(loops) = Loops::of(flow, &Dominators::of(flow)) else {
        return vec![false; sites.len()];
    };
    let uniform = Uniform::in_subgroups(&blocks, &loops);
    let instructions: Vec<Vec<Value<'m>>> = (0..flow.len())
        .map(|node| blocks.block(node).instructions())
        .collect();
    let mut found = vec![true; sites.len()];
    // Behind each block. Assumptions that only become weaker.
    let mut behind = vec![true; flow.len()];
    loop {
        let mut changed = false;
        for node in 0..flow.len() {
            let mut together = flow.predecessors(node).iter().all(|from| behind[*from]);
            for instruction in &instructions[node] {
                match sites.iter().position(|site| site.call == *instruction) {
                    Some(site) => {
                        found[site] = together;
                        together |= sites[site].kind == Kind::Matrix;
                    }
                    None => together &= !may_panic(*instruction),
                }
            }
            together &= !uniform.parts(node);
            changed |= behind[node] != together;
            behind[node] = together;
        }
        if !changed {
            return found;
        }
    }
}

/// Whether an instruction calls what isn't the machine's.
fn may_panic(instruction: Value<'_>) -> bool {
    let declared = |called: Function<'_>| called.is_declaration();
    instruction.is_call() && !instruction.called_function().is_some_and(declared)
}
