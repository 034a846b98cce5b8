//! Values that come together where more than two ways do.
//!
//! Where lanes' ways part, LLVM makes one way of all blocks, and has values that cost nothing (parts of others, other
//! types, addresses next to others) computed before the ways part if only one of the ways has them. LLVM 22 then
//! takes them for those of ways that have none of their own, which is right only where two ways part and come together
//! at once (`StructurizeCFG::hoistZeroCostElseBlockPhiValues`, mended in LLVM's pull request 183792): elsewhere a lane
//! gets no value at all. So such values are computed here in the block before, where that pass doesn't look for them,
//! and a use that is no instruction keeps them there. Passes that make such values of others run before.

use inkwell::module::Module;
use inkwell::targets::TargetMachine;
use llvm_sys::LLVMOpcode;

use crate::error::Error;
use crate::ir::flow::{Blocks, Dominators};
use crate::ir::{self, Block, Builder, Function, Value};

/// Makes addresses next to others of sums, as LLVM would do next, and branches of switches: each of these has a block
/// before it, where fewer values come together.
const FIRST: &str =
    "function(separate-const-offset-from-gep,early-cse,lower-switch,unreachableblockelim)";

/// Keeps a value where it is, and is no instruction (LLVM Language Reference, "llvm.fake.use Intrinsic").
const USE: &str = "llvm.fake.use";

/// Computes what LLVM would move wrongly in the block before.
pub(super) fn keep_apart(module: &Module<'_>, machine: &TargetMachine) -> Result<(), Error> {
    super::in_each_function(module, machine, FIRST, in_function)
}

fn in_function<'m>(module: &'m Module<'_>, function: Function<'m>) {
    let Some(blocks) = Blocks::of(function) else {
        return;
    };
    let flow = blocks.flow();
    let dominators = Dominators::of(flow);
    for number in 1..flow.len() {
        let [next] = flow.successors(number) else {
            continue;
        };
        let back = dominators.dominates(*next, number);
        if back
            || is_diamond(flow.predecessors(*next), |node| {
                (flow.predecessors(node), flow.successors(node).len())
            })
        {
            continue;
        }
        let block = blocks.block(number);
        let before = blocks.block(dominators.immediate(number));
        // What is made of a value that moved can move as well.
        let mut again = true;
        while again {
            again = false;
            for phi in blocks.block(*next).phis() {
                let incoming = phi.incoming();
                if let Some((value, _)) = incoming.iter().find(|(_, from)| *from == block) {
                    again |= keep(module, *value, phi, block, before);
                }
            }
        }
    }
}

/// Whether two ways part and come together again at once, given where they come together from, and of a node
/// where its ways come from and how many lead on.
fn is_diamond<'f>(ways: &[usize], of: impl Fn(usize) -> (&'f [usize], usize)) -> bool {
    let [one, other] = ways else { return false };
    let ((from, on), (from_too, on_too)) = (of(*one), of(*other));
    from.len() == 1 && from == from_too && on == 1 && on_too == 1
}

/// Keeps a value that a phi has from a block in the block before, or where it is. Gives whether it moved.
fn keep<'m>(
    module: &'m Module<'_>,
    value: Value<'m>,
    phi: Value<'m>,
    block: Block<'m>,
    before: Block<'m>,
) -> bool {
    if !value.is_instruction() || !may_be_free(value) {
        return false;
    }
    let here = |value: Value<'m>| value.is_instruction() && value.block() == block;
    let moves = here(value);
    if moves && value.operands().into_iter().any(here) {
        return false;
    }
    if moves {
        value.detach();
        Builder::before(before.terminator()).insert(value);
    } else if !(value.users().into_iter()).all(|user| user == phi || here(user)) {
        // Others use it, so that it stays.
        return false;
    }
    let home = Builder::before(value.block().terminator());
    home.call(ir::intrinsic(module, USE, &[]), &[value]);
    moves
}

/// Whether an instruction may cost nothing.
fn may_be_free(value: Value<'_>) -> bool {
    use LLVMOpcode::*;
    match value.opcode() {
        Some(
            LLVMGetElementPtr | LLVMTrunc | LLVMZExt | LLVMSExt | LLVMPtrToInt | LLVMIntToPtr
            | LLVMBitCast | LLVMAddrSpaceCast | LLVMFPTrunc | LLVMFPExt | LLVMExtractValue
            | LLVMInsertValue | LLVMExtractElement | LLVMInsertElement | LLVMShuffleVector
            | LLVMFreeze | LLVMFNeg,
        ) => true,
        Some(LLVMCall) => {
            (value.called_function()).is_some_and(|called| called.name().starts_with("llvm.fabs."))
        }
        _ => false,
    }
}
