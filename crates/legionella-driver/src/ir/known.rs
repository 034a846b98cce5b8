//! What a branch has found out, told to what was computed before it.
//!
//! Where a branch is taken only if numbers are certain constants, LLVM puts these in their place behind it, but
//! what was computed of them ahead of the branch stays a computation. Takes such a branch; has the code that
//! it alone leads to use computations of its own, in which the constants stand.

use std::collections::{HashMap, HashSet};

use llvm_sys::LLVMIntPredicate::LLVMIntEQ;
use llvm_sys::LLVMOpcode;

use super::flow::{Blocks, Dominators};
use super::{Block, Builder, Function, Value};

/// Longest chain of computations that is looked through for a number that is known.
const DEEPEST: u32 = 16;

/// How the names of intrinsics begin that give a number for numbers.
const OF_NUMBERS: [&str; 6] = [
    "llvm.umin.",
    "llvm.umax.",
    "llvm.smin.",
    "llvm.smax.",
    "llvm.uadd.sat.",
    "llvm.usub.sat.",
];

/// Has all that the first way of a branch leads to, and nothing else does, use what the branch's condition says: each
/// number that it compares with a constant is that constant there, and what was computed of it before is
/// computed anew.
pub(crate) fn tell(branch: Value<'_>) {
    let block = branch.block();
    let [known, _] = branch.successors()[..] else {
        return;
    };
    let (Some(blocks), true) = (Blocks::of(block.function()), branch.successors_differ()) else {
        return;
    };
    if known.entries().len() != 1 {
        return;
    }
    let mut constants = HashMap::new();
    collect(branch.operand(0), &mut constants);
    let dominators = Dominators::of(blocks.flow());
    let first = blocks.number(known);
    let inside: HashSet<Block<'_>> = (0..blocks.flow().len())
        .filter(|number| dominators.dominates(first, *number))
        .map(|number| blocks.block(number))
        .collect();
    let mut instructions = known.instructions().into_iter();
    let Some(at) = instructions.find(|one| !one.is(LLVMOpcode::LLVMPHI)) else {
        return;
    };
    let mut telling = Telling {
        at: Builder::before(at),
        inside: &inside,
        known: constants
            .into_iter()
            .map(|(value, is)| (value, Some(is)))
            .collect(),
    };
    for instruction in inside.iter().flat_map(|block| block.instructions()) {
        for (index, operand) in instruction.operands().into_iter().enumerate() {
            if let Some(is) = telling.value(operand, DEEPEST) {
                instruction.set_operand(index as u32, is);
            }
        }
    }
}

/// What values are in the code that is told.
struct Telling<'a, 'm> {
    /// Where computations go: at the beginning of that code.
    at: Builder<'m>,
    inside: &'a HashSet<Block<'m>>,
    /// What was asked for already; nothing where a value is what it was.
    known: HashMap<Value<'m>, Option<Value<'m>>>,
}

impl<'m> Telling<'_, 'm> {
    /// What a value is there, if that is more than was known where it was computed.
    fn value(&mut self, value: Value<'m>, depth: u32) -> Option<Value<'m>> {
        if let Some(known) = self.known.get(&value) {
            return *known;
        }
        if depth == 0 || !is_computed(value) || self.inside.contains(&value.block()) {
            return None;
        }
        let operands: Vec<_> = (value.operands().into_iter())
            .map(|operand| self.value(operand, depth - 1))
            .collect();
        let is = operands.iter().any(Option::is_some).then(|| {
            let anew = value.duplicate();
            for (index, operand) in operands.into_iter().enumerate() {
                if let Some(operand) = operand {
                    anew.set_operand(index as u32, operand);
                }
            }
            self.at.insert(anew);
            anew
        });
        self.known.insert(value, is);
        is
    }
}

/// Whether a value is the result of its operands alone.
fn is_computed(value: Value<'_>) -> bool {
    use LLVMOpcode::*;
    let is_of_numbers = |function: Function<'_>| {
        let name = function.name();
        OF_NUMBERS.iter().any(|prefix| name.starts_with(prefix))
    };
    value.is_instruction()
        && match value.opcode() {
            Some(
                LLVMAdd | LLVMSub | LLVMMul | LLVMUDiv | LLVMSDiv | LLVMURem | LLVMSRem | LLVMShl
                | LLVMLShr | LLVMAShr | LLVMAnd | LLVMOr | LLVMXor | LLVMICmp | LLVMSelect
                | LLVMZExt | LLVMSExt | LLVMTrunc | LLVMGetElementPtr,
            ) => true,
            Some(LLVMCall) => value.called_function().is_some_and(is_of_numbers),
            _ => false,
        }
}

/// What a condition says of numbers if it holds.
fn collect<'m>(condition: Value<'m>, known: &mut HashMap<Value<'m>, Value<'m>>) {
    let [a, b] = match condition.operands()[..] {
        [a, b] => [a, b],
        // `a and b` as a choice, in which `b` matters only if `a` holds.
        [a, b, no] if no.constant_integer() == Some(0) => [a, b],
        _ => return,
    };
    match condition.opcode() {
        Some(LLVMOpcode::LLVMAnd | LLVMOpcode::LLVMSelect) => {
            collect(a, known);
            collect(b, known);
        }
        Some(LLVMOpcode::LLVMICmp)
            if condition.predicate() == Some(LLVMIntEQ)
                && a.is_instruction()
                && b.constant_integer().is_some() =>
        {
            known.insert(a, b);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use inkwell::context::Context;
    use inkwell::memory_buffer::MemoryBuffer;

    use super::*;
    use crate::ir;

    /// Tells of the branch at the end of a function's first block; gives the body.
    fn told(body: &str) -> String {
        crate::llvm::load(&crate::llvm::find(None).unwrap()).unwrap();
        let context = Context::create();
        let text = format!(
            "declare i64 @llvm.umin.i64(i64, i64)
             define void @work(i64 %n, i64 %m, ptr %to) {{ {body} }}\0"
        );
        let buffer = MemoryBuffer::create_from_memory_range_copy(text.as_bytes(), "work");
        let module = context.create_module_from_ir(buffer).unwrap();
        let work = ir::function(&module, "work").unwrap();
        tell(work.blocks()[0].terminator());
        module.verify().unwrap();
        let lines = work.instructions().into_iter();
        let lines: Vec<_> = lines
            .map(|line| format!("{line:?}").trim().to_owned())
            .collect();
        lines.join("\n")
    }

    #[test]
    fn what_was_computed_before_is_computed_of_constants() {
        let told = told(
            "entry:
               %count = call i64 @llvm.umin.i64(i64 %n, i64 %m)
               %size = mul i64 %count, %m
               %other = mul i64 %m, 3
               %is_count = icmp eq i64 %count, 16
               %few = icmp ult i64 %m, 9
               %both = and i1 %is_count, %few
               br i1 %both, label %known, label %else
             known:
               store i64 %size, ptr %to
               store i64 %count, ptr %to
               store i64 %other, ptr %to
               ret void
             else:
               store i64 %size, ptr %to
               ret void",
        );
        assert!(told.contains("= mul i64 16, %m"), "{told}");
        assert!(told.contains("store i64 16, ptr %to"), "{told}");
        assert_eq!(
            told.matches("store i64 %other, ptr %to").count(),
            1,
            "{told}"
        );
        assert_eq!(
            told.matches("store i64 %size, ptr %to").count(),
            1,
            "{told}"
        );
    }

    #[test]
    fn code_that_others_come_to_is_told_nothing() {
        let told = told(
            "entry:
               %size = add i64 %n, 1
               %count = mul i64 %n, 2
               %is_known = icmp eq i64 %count, 16
               br i1 %is_known, label %known, label %over
             known:
               br label %over
             over:
               %sum = phi i64 [ %size, %known ], [ %count, %entry ]
               store i64 %count, ptr %to
               store i64 %sum, ptr %to
               ret void",
        );
        assert!(told.contains("store i64 %count, ptr %to"), "{told}");
        assert!(
            told.contains("[ %size, %known ], [ %count, %entry ]"),
            "{told}"
        );
    }

    #[test]
    fn either_of_two_conditions_says_nothing() {
        let told = told(
            "entry:
               %count = mul i64 %n, 2
               %is_known = icmp eq i64 %count, 16
               %few = icmp ult i64 %m, 9
               %any = or i1 %is_known, %few
               br i1 %any, label %known, label %else
             known:
               store i64 %count, ptr %to
               ret void
             else:
               ret void",
        );
        assert!(told.contains("store i64 %count, ptr %to"), "{told}");
    }
}
