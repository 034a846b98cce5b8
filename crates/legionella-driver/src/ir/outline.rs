//! Blocks of a function that become a function of their own.
//!
//! What runs seldom weighs on what runs often as long as both are one function: values that only the
//! former needs are computed ahead of loops and take registers. Takes a block that leads to the blocks in question
//! and the one block where they lead to; gives the function that the former now calls.

use std::collections::HashSet;

use inkwell::module::Module;
use llvm_sys::{LLVMLinkage, LLVMOpcode};

use super::{Block, Builder, Function, Types, Value};

/// Makes a function of all that is reached from the end of `from` before `until`, and has `from` call it
/// and go on at `until`. `None`, and nothing is changed, if that is not all that `from` leads to, if it
/// is entered elsewhere, or if its values are used behind it.
pub(crate) fn outline<'m>(
    module: &'m Module<'_>,
    from: Block<'m>,
    until: Block<'m>,
    name: &str,
) -> Option<Function<'m>> {
    let function = from.function();
    let [first] = from.successors()[..] else {
        return None;
    };
    let blocks = reached(first, until);
    if !is_apart(from, first, &blocks) || ends(&blocks) {
        return None;
    }
    let instructions: Vec<_> = (blocks.iter())
        .flat_map(|block| block.instructions())
        .collect();
    let inside: HashSet<_> = instructions.iter().copied().collect();
    let escapes = |value: &Value<'m>| value.users().iter().any(|user| !inside.contains(user));
    if instructions.iter().any(escapes) {
        return None;
    }
    let mut seen = HashSet::new();
    let given: Vec<_> = (instructions.iter())
        .flat_map(|instruction| instruction.operands())
        .filter(|value| value.is_instruction() || value.is_argument())
        .filter(|value| !inside.contains(value) && seen.insert(*value))
        .collect();
    let is_own = |value: &Value<'m>| value.is(LLVMOpcode::LLVMAlloca) && !escapes(value);
    let (own, given): (Vec<_>, Vec<_>) = given.into_iter().partition(is_own);

    let outlined = declare(module, function, &given, name);
    let start = outlined.append_block("start");
    let end = outlined.append_block("end");
    let at = Builder::at_end(start);
    for memory in own {
        memory.detach();
        at.insert(memory);
    }
    at.branch(first);
    Builder::at_end(end).ret(None);
    let before = Builder::before(from.terminator());
    before.call(outlined, &given);
    from.terminator().set_successor(0, until);
    let parameters = outlined.parameters();
    for instruction in &instructions {
        for (index, operand) in instruction.operands().into_iter().enumerate() {
            if let Some(number) = given.iter().position(|value| *value == operand) {
                instruction.set_operand(index as u32, parameters[number]);
            }
        }
    }
    let mut last = start;
    for block in blocks {
        let terminator = block.terminator();
        for (index, next) in terminator.successors().into_iter().enumerate() {
            if next == until {
                terminator.set_successor(index as u32, end);
            }
        }
        block.move_after(last);
        last = block;
    }
    Some(outlined)
}

fn reached<'m>(first: Block<'m>, until: Block<'m>) -> Vec<Block<'m>> {
    let mut seen = HashSet::from([first, until]);
    let mut blocks = vec![first];
    let mut next = 0;
    while let Some(block) = blocks.get(next).copied() {
        next += 1;
        let successors = block.successors().into_iter();
        blocks.extend(successors.filter(|successor| seen.insert(*successor)));
    }
    blocks
}

/// Whether blocks are only entered from one, at the first of them.
fn is_apart<'m>(from: Block<'m>, first: Block<'m>, blocks: &[Block<'m>]) -> bool {
    let inside: HashSet<_> = blocks.iter().copied().collect();
    let entered_elsewhere = |block: &Block<'m>| {
        let mut entries = block.entries().into_iter().map(Value::block);
        entries.any(|entry| !inside.contains(&entry) && (entry, *block) != (from, first))
    };
    first.phis().is_empty() && !inside.contains(&from) && !blocks.iter().any(entered_elsewhere)
}

/// Whether the function ends in one of some blocks.
fn ends(blocks: &[Block<'_>]) -> bool {
    let mut ends = blocks.iter().map(|block| block.terminator());
    ends.any(|terminator| terminator.is(LLVMOpcode::LLVMRet))
}

/// A function that is given what some values are, and what is known of those that are parameters.
fn declare<'m>(
    module: &'m Module<'_>,
    function: Function<'m>,
    given: &[Value<'m>],
    name: &str,
) -> Function<'m> {
    const KNOWN: [&str; 5] = ["noundef", "readonly", "noalias", "align", "dereferenceable"];
    let parameters: Vec<_> = given.iter().map(|value| value.ty()).collect();
    let outlined = super::declare(module, name, Types::of(module).void, &parameters);
    outlined.set_linkage(LLVMLinkage::LLVMInternalLinkage);
    outlined.add_attribute("noinline");
    outlined.add_attribute("nounwind");
    let of_function = function.parameters();
    for (number, value) in given.iter().enumerate() {
        let Some(parameter) = of_function.iter().position(|one| one == value) else {
            continue;
        };
        for known in KNOWN {
            if let Some(value) = function.parameter_attribute(parameter as u32, known) {
                outlined.add_parameter_attribute(number as u32, known, value);
            }
        }
    }
    outlined
}
