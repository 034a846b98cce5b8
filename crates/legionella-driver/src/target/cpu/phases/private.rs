//! Atomic operations that only items of one group see.
//!
//! The items of a group are one thread, so that what they do to their shared memory, or at the scope
//! of the group, needs no bus lock. Such operations still are obstacles to vectors: neighbours may
//! meet at one address. So they are found before regions are planned and keep being atomic, at the
//! scope of a thread; only when nothing is declared parallel any more they become plain.

use llvm_sys::core as c;
use llvm_sys::{LLVMAtomicOrdering, LLVMAtomicRMWBinOp, LLVMIntPredicate, LLVMOpcode};

use legionella_abi::intrinsic;

use crate::ir::{Builder, Function, Value, llvm};

/// The scope of a thread, in LLVM's name for it.
const THREAD: &str = "singlethread";

/// Narrows the scope of operations on shared memory.
pub(super) fn narrow(kernel: Function<'_>) {
    for instruction in kernel.instructions() {
        if address(instruction).is_some_and(is_shared) {
            llvm!(c::LLVMSetAtomicSyncScopeID(
                instruction.raw(),
                thread(instruction)
            ));
        }
    }
}

/// Makes operations at the scope of a thread plain.
pub(super) fn make_plain(function: Function<'_>) {
    for instruction in function.instructions() {
        let at_thread = address(instruction).is_some()
            && llvm!(c::LLVMGetAtomicSyncScopeID(instruction.raw())) == thread(instruction);
        if at_thread {
            make_one_plain(instruction);
        }
    }
}

fn thread(instruction: Value<'_>) -> u32 {
    let context = llvm!(c::LLVMGetTypeContext(instruction.ty().raw()));
    llvm!(c::LLVMGetSyncScopeID(
        context,
        THREAD.as_ptr().cast(),
        THREAD.len()
    ))
}

/// The address that an instruction operates on atomically, if it does.
fn address(instruction: Value<'_>) -> Option<Value<'_>> {
    let atomic = || {
        let none = LLVMAtomicOrdering::LLVMAtomicOrderingNotAtomic;
        llvm!(c::LLVMGetOrdering(instruction.raw())) != none
    };
    match instruction.opcode()? {
        LLVMOpcode::LLVMAtomicRMW | LLVMOpcode::LLVMAtomicCmpXchg => Some(instruction.operand(0)),
        LLVMOpcode::LLVMLoad if atomic() => Some(instruction.operand(0)),
        LLVMOpcode::LLVMStore if atomic() => Some(instruction.operand(1)),
        _ => None,
    }
}

/// Whether an address lies in the shared memory of the group.
fn is_shared(mut address: Value<'_>) -> bool {
    while address.is(LLVMOpcode::LLVMGetElementPtr) {
        address = address.operand(0);
    }
    let name = address.called_function().map(Function::name);
    let shared = [intrinsic::SHARED, intrinsic::DYNAMIC_SHARED];
    name.is_some_and(|name| shared.contains(&name.as_str()))
}

fn make_one_plain(instruction: Value<'_>) {
    let at = Builder::before(instruction);
    match instruction.opcode() {
        Some(LLVMOpcode::LLVMAtomicRMW) => {
            let [address, by] = [0, 1].map(|index| instruction.operand(index));
            let old = at.load(by.ty(), address);
            let operation = llvm!(c::LLVMGetAtomicRMWBinOp(instruction.raw()));
            let Some(new) = apply(&at, operation, old, by) else {
                old.erase();
                return;
            };
            at.store(new, address);
            instruction.replace_all_uses_with(old);
            instruction.erase();
        }
        Some(LLVMOpcode::LLVMAtomicCmpXchg) => {
            let [address, expected, new] = [0, 1, 2].map(|index| instruction.operand(index));
            let old = at.load(new.ty(), address);
            let same = at.compare(LLVMIntPredicate::LLVMIntEQ, old, expected);
            at.store(at.select(same, new, old), address);
            let result = at.with(instruction.ty().poison(), 0, old);
            instruction.replace_all_uses_with(at.with(result, 1, same));
            instruction.erase();
        }
        _ => llvm!(c::LLVMSetOrdering(
            instruction.raw(),
            LLVMAtomicOrdering::LLVMAtomicOrderingNotAtomic
        )),
    }
}

/// What an operation makes of what was there; `None` if it stays atomic, being of floats.
fn apply<'m>(
    at: &Builder<'m>,
    operation: LLVMAtomicRMWBinOp,
    old: Value<'m>,
    by: Value<'m>,
) -> Option<Value<'m>> {
    use LLVMAtomicRMWBinOp::*;
    use LLVMIntPredicate::*;
    let binary = |opcode| Some(at.binary(opcode, old, by));
    let choose = |predicate| Some(at.select(at.compare(predicate, old, by), old, by));
    match operation {
        LLVMAtomicRMWBinOpXchg => Some(by),
        LLVMAtomicRMWBinOpAdd => binary(LLVMOpcode::LLVMAdd),
        LLVMAtomicRMWBinOpSub => binary(LLVMOpcode::LLVMSub),
        LLVMAtomicRMWBinOpAnd => binary(LLVMOpcode::LLVMAnd),
        LLVMAtomicRMWBinOpOr => binary(LLVMOpcode::LLVMOr),
        LLVMAtomicRMWBinOpXor => binary(LLVMOpcode::LLVMXor),
        LLVMAtomicRMWBinOpMax => choose(LLVMIntSGT),
        LLVMAtomicRMWBinOpMin => choose(LLVMIntSLT),
        LLVMAtomicRMWBinOpUMax => choose(LLVMIntUGT),
        LLVMAtomicRMWBinOpUMin => choose(LLVMIntULT),
        _ => None,
    }
}
