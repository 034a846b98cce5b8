//! Sums in order over what lies scattered, with the terms of several turns computed at once.
//!
//! An item that adds up elements in its own loop, such as a row of a sparse matrix times a vector, runs that loop
//! turn by turn: sums of floats keep their order. What a turn adds, however, needs no other turn.
//! Takes finished code; before a loop of this shape comes one that computes [`LANES`] terms as vectors and
//! then adds them one after the other, also of the last, shorter piece: short loops then end
//! where the processor foresees it more often. Where any of the lanes would leave the loop in another
//! way than by its end, for a panic mostly, the loop as it was goes on from there. Results are the same, bit
//! for bit.
//!
//! What a turn reads before it may leave the loop, later turns may not be meant to read. Lanes read it if all
//! of it lies in one page; where a page ends between them, the loop as it was goes on as well.

mod code;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashSet};

use inkwell::module::Module;
use inkwell::targets::TargetMachine;
use llvm_sys::{LLVMIntPredicate, LLVMOpcode, LLVMTypeKind};

use super::super::affine::Affine;
use super::regions::type_size;
use crate::error::Error;
use crate::ir::flow::{Blocks, Loops};
use crate::ir::{Block, Function, Pipeline, Value};

/// Terms that are computed at once. Of sixteen, short loops leave too many unused.
const LANES: u64 = 8;

/// What processors need for it: masks for each lane. Without, a shorter last piece costs more than it
/// brings.
const NEEDED: &str = "avx512vl";

/// What a loop computes is used behind it by way of phis only.
const CLOSE: Pipeline<'static> = Pipeline {
    text: "function(loop-simplify,lcssa)",
    ..crate::lower::PLAIN
};

/// Adds the loops to the function that runs work-groups.
pub(super) fn build(
    module: &Module<'_>,
    run: Function<'_>,
    machine: &TargetMachine,
) -> Result<(), Error> {
    let able = super::required_features(machine)
        .iter()
        .any(|feature| feature == NEEDED);
    if !able || find(run, machine, false).is_empty() {
        return Ok(());
    }
    CLOSE.run(module, machine)?;
    for sum in find(run, machine, true) {
        sum.build(module, machine);
    }
    Ok(())
}

/// The loops of that shape; how they are left may be looked at later.
fn find<'m>(run: Function<'m>, machine: &TargetMachine, closed: bool) -> Vec<Sum<'m>> {
    let Some(blocks) = Blocks::of(run) else {
        return Vec::new();
    };
    let flow = blocks.flow();
    let Ok(loops) = Loops::of(flow) else {
        return Vec::new();
    };
    let candidates = loops.all().filter_map(|one| {
        let [header, before] = [loops.header(one), loops.entry(flow, one)?];
        let all = loops.nodes(one).map(|node| blocks.block(node)).collect();
        Sum::of(blocks.block(header), blocks.block(before), all, machine)
    });
    candidates
        .filter(|sum| !closed || sum.is_closed())
        .collect()
}

/// A loop that adds up.
struct Sum<'m> {
    before: Block<'m>,
    /// Its blocks, one after the other, with how each is left but for the last.
    way: Vec<Step<'m>>,
    all: BTreeSet<Block<'m>>,
    /// What counts the turns, from where, and up to where: a turn is the last if its successor would be that.
    counter: Value<'m>,
    first: Value<'m>,
    end: Value<'m>,
    /// The sum before a turn, that before the first, and behind a turn.
    sum: Value<'m>,
    start: Value<'m>,
    added: Value<'m>,
    /// Where the loop ends.
    behind: Block<'m>,
}

struct Step<'m> {
    block: Block<'m>,
    /// The condition on which a turn doesn't go on, and its outcome then.
    leaves: Option<(Value<'m>, bool)>,
}

/// How a load finds its elements.
enum Elements {
    /// One behind the other. Whether they are read before it is known that each turn comes to that.
    InRow {
        early: bool,
    },
    Scattered,
}

impl<'m> Sum<'m> {
    fn of(
        header: Block<'m>,
        before: Block<'m>,
        all: BTreeSet<Block<'m>>,
        machine: &TargetMachine,
    ) -> Option<Self> {
        let (way, latch) = follow(header, &all)?;
        let outside = |value: Value<'m>| !value.is_instruction() || !all.contains(&value.block());
        let [one, other] = header.phis()[..] else {
            return None;
        };
        let integer = |phi: Value<'m>| phi.ty().integer_width() == 64;
        let (counter, sum) = if integer(one) {
            (one, other)
        } else {
            (other, one)
        };
        let comes = |phi: Value<'m>, from| {
            let incoming = phi.incoming();
            incoming
                .iter()
                .find(|(_, block)| *block == from)
                .map(|(value, _)| *value)
        };
        let (next, added) = (comes(counter, latch)?, comes(sum, latch)?);
        let adds = |value: Value<'m>, opcode| !outside(value) && value.is(opcode);
        let counts = integer(counter)
            && adds(next, LLVMOpcode::LLVMAdd)
            && next.operand(0) == counter
            && next.operand(1).constant_integer() == Some(1);
        let float = matches!(
            sum.ty().kind(),
            LLVMTypeKind::LLVMFloatTypeKind | LLVMTypeKind::LLVMDoubleTypeKind
        );
        let in_order = adds(added, LLVMOpcode::LLVMFAdd)
            && (added.operands().iter())
                .filter(|term| **term == sum)
                .count()
                == 1;
        if !counts || !float || !in_order {
            return None;
        }

        let [on_true, on_false] = latch.terminator().successors()[..] else {
            return None;
        };
        let (behind, ends) = if on_true == header {
            (on_false, LLVMIntPredicate::LLVMIntNE)
        } else {
            (on_true, LLVMIntPredicate::LLVMIntEQ)
        };
        let test = latch.terminator().operand(0);
        let compares = test.predicate() == Some(ends) && test.operand(0) == next;
        let end = compares.then(|| test.operand(1))?;
        let sum = Sum {
            before,
            way,
            counter,
            first: comes(counter, before)?,
            end,
            sum,
            start: comes(sum, before)?,
            added,
            behind,
            all: all.clone(),
        };
        (outside(end) && sum.fits(machine)).then_some(sum)
    }

    /// Whether all that turns do can be done for several at once, and some of it is scattered.
    fn fits(&self, machine: &TargetMachine) -> bool {
        let affine = self.affine();
        let mut scattered = false;
        let instructions = self.way.iter().flat_map(|step| step.block.instructions());
        for instruction in instructions {
            // The sum goes from turn to turn, and nothing else.
            let reads_sum = instruction.operands().contains(&self.sum);
            if reads_sum && instruction != self.added {
                return false;
            }
            use LLVMOpcode::*;
            let fine = match instruction.opcode() {
                Some(LLVMPHI) => instruction == self.counter || instruction == self.sum,
                Some(LLVMLoad) => match self.elements(instruction, &affine, machine) {
                    Some(Elements::Scattered) => {
                        scattered = true;
                        true
                    }
                    in_row => in_row.is_some(),
                },
                Some(LLVMGetElementPtr) => instruction.operands().len() == 2,
                Some(LLVMCall) => is_silent(instruction),
                Some(
                    LLVMAdd | LLVMSub | LLVMMul | LLVMAnd | LLVMOr | LLVMXor | LLVMShl | LLVMLShr
                    | LLVMAShr | LLVMFAdd | LLVMFSub | LLVMFMul | LLVMFDiv | LLVMICmp | LLVMZExt
                    | LLVMSExt | LLVMTrunc | LLVMFPExt | LLVMFPTrunc | LLVMSIToFP | LLVMUIToFP
                    | LLVMSelect | LLVMBr,
                ) => true,
                _ => false,
            };
            let one = matches!(
                instruction.ty().kind(),
                LLVMTypeKind::LLVMIntegerTypeKind
                    | LLVMTypeKind::LLVMFloatTypeKind
                    | LLVMTypeKind::LLVMDoubleTypeKind
                    | LLVMTypeKind::LLVMPointerTypeKind
                    | LLVMTypeKind::LLVMVoidTypeKind
            );
            if !fine || !one {
                return false;
            }
        }
        scattered
    }

    /// How a load of the loop finds its elements; `None` if lanes can't do so.
    fn elements(
        &self,
        load: Value<'m>,
        affine: &Affine<'_, 'm>,
        machine: &TargetMachine,
    ) -> Option<Elements> {
        let (ty, size) = (load.ty(), type_size(machine, load.ty()));
        // Vectors of other integers have no room between their elements.
        let whole = ty.kind() != LLVMTypeKind::LLVMIntegerTypeKind
            || u64::from(ty.integer_width()) == 8 * size;
        let aligned = u64::from(load.alignment()) >= size && size.is_power_of_two();
        if load.is_ordered() || !whole || !aligned {
            return None;
        }
        let last = self.way.iter().rposition(|step| step.leaves.is_some());
        let place = self
            .way
            .iter()
            .position(|step| step.block == load.block())?;
        let early = last.is_some_and(|last| place <= last);
        let address = load.operand(0);
        let in_row = address.is_instruction()
            && address.is(LLVMOpcode::LLVMGetElementPtr)
            && address.operands().len() == 2
            && affine.step(address.operand(0), 0) == Some(0)
            && affine.step(address.operand(1), 0) == Some(1)
            && type_size(machine, address.element_type()) == size;
        if in_row {
            return Some(Elements::InRow { early });
        }
        // What is the same for all turns was read before the loop, if that was possible.
        let differs = affine.step(address, 0) != Some(0);
        let gathers = matches!(size, 4 | 8);
        (differs && !early && gathers).then_some(Elements::Scattered)
    }

    fn affine(&self) -> Affine<'_, 'm> {
        Affine {
            lane: self.counter,
            header: self.way[0].block,
            blocks: &self.all,
            row: None,
        }
    }

    /// Whether what the loop computes is used behind it only as the sum, by phis where the loop ends, or on
    /// the other ways out of it.
    fn is_closed(&self) -> bool {
        let latch = self.way[self.way.len() - 1].block;
        let used: HashSet<_> = self.behind.phis().into_iter().collect();
        let at_end = used.iter().all(|phi| {
            phi.incoming().into_iter().all(|(value, from)| {
                from != latch
                    || value == self.added
                    || !value.is_instruction()
                    || !self.all.contains(&value.block())
            })
        });
        let all = self.all.iter().flat_map(|block| block.instructions());
        let users = all.flat_map(|instruction| instruction.users());
        let by_phis = users
            .filter(|user| !self.all.contains(&user.block()))
            .all(|user| user.is(LLVMOpcode::LLVMPHI));
        // On no other way there, as that would bring other values.
        let alone = self.behind.entries().len() == 1;
        at_end && by_phis && alone
    }
}

/// The blocks of a loop, if each leads to one other of it, and the last of them.
fn follow<'m>(header: Block<'m>, all: &BTreeSet<Block<'m>>) -> Option<(Vec<Step<'m>>, Block<'m>)> {
    let mut way = Vec::new();
    let mut block = header;
    loop {
        let successors = block.successors();
        if successors.contains(&header) {
            way.push(Step {
                block,
                leaves: None,
            });
            return (way.len() == all.len()).then_some((way, block));
        }
        let (next, leaves) = match successors[..] {
            [next] if all.contains(&next) => (next, None),
            [yes, no] if all.contains(&yes) != all.contains(&no) => {
                let leaves = !all.contains(&yes);
                let test = block.terminator().operand(0);
                (if leaves { no } else { yes }, Some((test, leaves)))
            }
            _ => return None,
        };
        way.push(Step { block, leaves });
        if way.len() > all.len() {
            return None;
        }
        block = next;
    }
}

/// Whether a call does nothing: it only tells LLVM something.
fn is_silent(call: Value<'_>) -> bool {
    let silent = ["llvm.experimental.noalias.scope.decl", "llvm.assume"];
    call.called_function()
        .is_some_and(|function| silent.contains(&function.name().as_str()))
}
