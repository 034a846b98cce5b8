//! Fetches what the next turn of a loop around phases will read.
//!
//! Such a loop turns seldom and in between computes from shared memory: what it fills that with comes
//! from memory or from far caches, in rows that no processor foresees. Takes the finished code; an
//! integer that a group keeps from turn to turn is read from where it lies and written back larger. What
//! a vector is loaded from then is, a turn later, further on by what that makes of its address.
//!
//! A fetch changes nothing but the time, so that what is told here need not be right.

use std::collections::HashMap;

use inkwell::module::Module;
use inkwell::targets::TargetMachine;
use llvm_sys::{LLVMOpcode, LLVMTypeKind};

use super::super::regions::type_size;
use super::{LINE, fetch};
use crate::ir::flow::{Blocks, Loops};
use crate::ir::{Builder, Function, Types, Value};

/// Least bytes of a vector that is worth a fetch.
const LEAST: u64 = 32;

/// Most operations between what is kept and an address.
const DEPTH: u32 = 16;

/// Adds the fetches to the function that runs work-groups.
pub(super) fn add<'m>(
    module: &'m Module<'_>,
    run: Function<'m>,
    machine: &TargetMachine,
    (blocks, loops): (&Blocks<'m>, &Loops),
) {
    let types = Types::of(module);
    for block in run.blocks() {
        let mut steps = Steps {
            types: &types,
            machine,
            known: HashMap::new(),
        };
        let level = loops.innermost(blocks.number(block));
        let turns_with = |kept: Value<'_>| loops.innermost(blocks.number(kept.block())) == level;
        for load in block.instructions() {
            let vector = load.is(LLVMOpcode::LLVMLoad)
                && load.ty().kind() == LLVMTypeKind::LLVMVectorTypeKind
                && type_size(machine, load.ty()) >= LEAST;
            if !vector {
                continue;
            }
            let at = Builder::before(load);
            let Some(step) = steps.of(load.operand(0), &at, &turns_with, DEPTH) else {
                continue;
            };
            if step.constant_integer().is_none_or(|bytes| bytes >= LINE) {
                fetch(module, &at, load.operand(0), step);
            }
        }
    }
}

/// How much values grow from one turn to the next, as far as told in a block.
struct Steps<'a, 'm> {
    types: &'a Types<'m>,
    machine: &'a TargetMachine,
    known: HashMap<Value<'m>, Option<Value<'m>>>,
}

impl<'m> Steps<'_, 'm> {
    /// How much a number or an address, in bytes, grows; `None` if it stays.
    fn of(
        &mut self,
        value: Value<'m>,
        at: &Builder<'m>,
        turns_with: &impl Fn(Value<'m>) -> bool,
        depth: u32,
    ) -> Option<Value<'m>> {
        if !value.is_instruction() || depth == 0 {
            return None;
        }
        if let Some(known) = self.known.get(&value) {
            return *known;
        }
        let mut of = |index| self.of(value.operand(index), at, turns_with, depth - 1);
        let step = match value.opcode()? {
            LLVMOpcode::LLVMLoad => kept_step(value).filter(|_| turns_with(value)),
            LLVMOpcode::LLVMAdd => sum(at, of(0), of(1)),
            LLVMOpcode::LLVMMul => match (of(0), of(1)) {
                (Some(step), None) => Some(at.mul(step, value.operand(1))),
                (None, Some(step)) => Some(at.mul(step, value.operand(0))),
                _ => None,
            },
            LLVMOpcode::LLVMShl => match (of(0), of(1)) {
                (Some(step), None) => Some(at.binary(LLVMOpcode::LLVMShl, step, value.operand(1))),
                _ => None,
            },
            LLVMOpcode::LLVMGetElementPtr if value.operands().len() == 2 => {
                let (base, index) = (of(0), of(1));
                let size = type_size(self.machine, value.element_type());
                let index = index.filter(|index| index.ty() == self.types.i64);
                let bytes = index.map(|index| at.mul(index, self.types.i64.constant(size)));
                sum(at, base, bytes)
            }
            _ => None,
        };
        self.known.insert(value, step);
        step
    }
}

fn sum<'m>(at: &Builder<'m>, a: Option<Value<'m>>, b: Option<Value<'m>>) -> Option<Value<'m>> {
    match (a, b) {
        (Some(a), Some(b)) => Some(at.binary(LLVMOpcode::LLVMAdd, a, b)),
        (one, other) => one.or(other),
    }
}

/// By how much larger what was read from memory is written back.
fn kept_step(load: Value<'_>) -> Option<Value<'_>> {
    load.users().into_iter().find_map(|more| {
        let grows = more.is(LLVMOpcode::LLVMAdd) && more.operand(0) == load;
        let step = grows.then(|| more.operand(1))?;
        let written = |user: &Value<'_>| user.is(LLVMOpcode::LLVMStore) && user.operand(0) == more;
        (step.is_constant() && more.users().iter().any(written)).then_some(step)
    })
}
