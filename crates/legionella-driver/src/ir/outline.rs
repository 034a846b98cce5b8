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
/// is entered elsewhere, or if its values are used behind it. Memory that only these blocks use becomes the
/// new function's: what is left there isn't found again at the next call.
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
    if !is_apart(from, first, &blocks) || ends(&blocks) || !until.phis().is_empty() {
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
    let is_own = |value: &Value<'m>| {
        value.is(LLVMOpcode::LLVMAlloca) && value.operand(0).is_constant() && !escapes(value)
    };
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

#[cfg(test)]
mod tests {
    use inkwell::context::Context;
    use inkwell::memory_buffer::MemoryBuffer;

    use super::*;
    use crate::ir;

    /// Outlines what lies between the second and the last block of a function; gives the types of what the new one is
    /// given, or nothing.
    fn outlined(body: &str) -> Option<Vec<String>> {
        crate::llvm::load(&crate::llvm::find(None).unwrap()).unwrap();
        let context = Context::create();
        let text = format!("define void @work(i64 %n, ptr %to) {{ {body} }}\0");
        let buffer = MemoryBuffer::create_from_memory_range_copy(text.as_bytes(), "work");
        let module = context.create_module_from_ir(buffer).unwrap();
        let before = module.print_to_string();
        let blocks = ir::function(&module, "work").unwrap().blocks();
        let made = outline(&module, blocks[1], blocks[blocks.len() - 1], "made");
        module.verify().unwrap();
        assert_eq!(made.is_none(), module.print_to_string() == before);
        let types = |function: Function<'_>| {
            let parameters = function.parameters().into_iter();
            parameters
                .map(|parameter| parameter.ty().text())
                .collect::<Vec<_>>()
        };
        made.map(types)
    }

    #[test]
    fn a_loop_takes_its_memory_along() {
        let given = outlined(
            "entry:
               %own = alloca i64
               %all = alloca i64
               %none = icmp eq i64 %n, 0
               br i1 %none, label %over, label %seldom
             seldom:
               br label %begin
             begin:
               br label %head
             head:
               %i = phi i64 [ 0, %begin ], [ %next, %head ]
               store i64 %i, ptr %own
               store i64 %i, ptr %all
               %next = add i64 %i, 1
               %more = icmp ult i64 %next, %n
               br i1 %more, label %head, label %over
             over:
               %last = load i64, ptr %all
               store i64 %last, ptr %to
               ret void",
        );
        assert_eq!(given, Some(vec!["ptr".to_owned(), "i64".to_owned()]));
    }

    #[test]
    fn what_is_not_by_itself_stays() {
        let used_behind = "entry:
               br label %seldom
             seldom:
               br label %begin
             begin:
               %sum = add i64 %n, 1
               br label %over
             over:
               store i64 %sum, ptr %to
               ret void";
        let entered_elsewhere = "entry:
               %none = icmp eq i64 %n, 0
               br i1 %none, label %begin, label %seldom
             seldom:
               br label %begin
             begin:
               store i64 %n, ptr %to
               br label %over
             over:
               ret void";
        let ends_there = "entry:
               br label %seldom
             seldom:
               br label %begin
             begin:
               %none = icmp eq i64 %n, 0
               br i1 %none, label %end, label %over
             end:
               ret void
             over:
               ret void";
        let comes_together = "entry:
               %none = icmp eq i64 %n, 0
               br i1 %none, label %over, label %seldom
             seldom:
               br label %begin
             begin:
               br label %over
             over:
               %what = phi i64 [ 0, %entry ], [ %n, %begin ]
               store i64 %what, ptr %to
               ret void";
        for body in [used_behind, entered_elsewhere, ends_there, comes_together] {
            assert_eq!(outlined(body), None);
        }
    }
}
