//! Values that all lanes have in common in each turn of a loop, and that lanes take along which leave it in different
//! turns.
//!
//! LLVM has them in scalar registers in the loop, and copies them into vector registers at its end, where each lane
//! gets that of its last turn. But where there is another copy in the loop, LLVM 22 takes that one, which isn't marked as
//! belonging there (`PeepholeOptimizer::foldRedundantCopy`), and then leaves it out and copies the scalar register
//! behind the loop (`SIFoldOperandsImpl`): all lanes get the value of the last lane's last turn. So such values go through
//! an empty instruction in vector registers before the loop is left.

use inkwell::module::Module;
use inkwell::targets::TargetMachine;
use legionella_abi::gpu;
use llvm_sys::{LLVMOpcode, LLVMTypeKind};

use super::super::kernels;
use super::super::uniform::{Known, Uniform};
use crate::error::Error;
use crate::ir::flow::{Blocks, Loops};
use crate::ir::{Builder, Function, Type, Types, Value};

/// Has what outlasts loops pass by the end of each, and by no other way.
const FIRST: &str = "function(loop-simplify,lcssa)";

/// Widest integer that an instruction has in registers as it is.
const WIDEST: u32 = 64;

/// Has lanes keep what they had in the turn in which they left a loop.
pub(super) fn keep_apart(module: &Module<'_>, machine: &TargetMachine) -> Result<(), Error> {
    super::in_each_function(module, machine, FIRST, in_function)
}

fn in_function<'m>(module: &'m Module<'_>, function: Function<'m>) {
    let Some(blocks) = Blocks::of(function) else {
        return;
    };
    let flow = blocks.flow();
    let Ok(loops) = Loops::of(flow) else {
        return;
    };
    let name = function.name();
    let is_kernel = name == gpu::PANIC || kernels::WORK.contains(&name.as_str());
    let uniform = Uniform::with_known(&blocks, &loops, |value| known(value, is_kernel));
    // Whether lanes take a value along out of a loop in different turns.
    let apart = |value: Value<'m>, to: usize| {
        let around = loops.around(blocks.number(value.block()));
        let mut left = around.filter(|one| !loops.contains(*one, to));
        left.any(|one| uniform.is_left_in_turns(one))
    };
    for number in 0..flow.len() {
        for phi in blocks.block(number).phis() {
            for (index, (value, from)) in phi.incoming().into_iter().enumerate() {
                if value.is_instruction() && uniform.contains(value) && apart(value, number) {
                    let at = Builder::before(from.terminator());
                    phi.set_operand(index as u32, of_the_lane(module, &at, value));
                }
            }
        }
    }
}

/// What is known of the machine's own instructions, and of what a function gets: a kernel's arguments are the same for
/// all lanes.
fn known(value: Value<'_>, in_kernel: bool) -> Option<Known> {
    if !in_kernel && (value.operands().iter()).any(|operand| operand.is_argument()) {
        return Some(Known::Different);
    }
    if value.is(LLVMOpcode::LLVMFreeze) {
        return Some(Known::AsOperands);
    }
    let called = value.called_function()?.name();
    let starts = |names: &[&str]| names.iter().any(|name| called.starts_with(name));
    if starts(&["llvm.amdgcn.workitem.id.", "llvm.amdgcn.mbcnt."]) {
        Some(Known::Different)
    } else if starts(&[
        "llvm.amdgcn.ballot.",
        "llvm.amdgcn.readfirstlane",
        "llvm.amdgcn.readlane",
    ]) {
        Some(Known::Same)
    } else {
        None
    }
}

/// A value in vector registers.
fn of_the_lane<'m>(module: &'m Module<'_>, at: &Builder<'m>, value: Value<'m>) -> Value<'m> {
    let types = Types::of(module);
    let ty = value.ty();
    let parts = |count: u32| {
        (0..count).fold(value, |whole, index| {
            let part = of_the_lane(module, at, at.extract(value, index));
            at.with(whole, index, part)
        })
    };
    match ty.kind() {
        LLVMTypeKind::LLVMIntegerTypeKind => match ty.integer_width() {
            // Whether something holds is a bit of each lane already.
            1 => value,
            32 | WIDEST => hide(at, value),
            width if width < WIDEST => {
                let wide = if width < 32 { types.i32 } else { types.i64 };
                at.truncate(hide(at, at.zero_extend(value, wide)), ty)
            }
            width => {
                let rest = ty.integer(width - WIDEST);
                let distance = ty.constant(WIDEST.into());
                let low = of_the_lane(module, at, at.truncate(value, types.i64));
                let high = at.binary(LLVMOpcode::LLVMLShr, value, distance);
                let high = of_the_lane(module, at, at.truncate(high, rest));
                let high = at.binary(LLVMOpcode::LLVMShl, at.zero_extend(high, ty), distance);
                at.binary(LLVMOpcode::LLVMOr, high, at.zero_extend(low, ty))
            }
        },
        LLVMTypeKind::LLVMHalfTypeKind | LLVMTypeKind::LLVMBFloatTypeKind => {
            let bits = at.cast(LLVMOpcode::LLVMBitCast, value, types.i32.integer(16));
            at.cast(LLVMOpcode::LLVMBitCast, of_the_lane(module, at, bits), ty)
        }
        LLVMTypeKind::LLVMFloatTypeKind
        | LLVMTypeKind::LLVMDoubleTypeKind
        | LLVMTypeKind::LLVMPointerTypeKind => hide(at, value),
        LLVMTypeKind::LLVMStructTypeKind => parts(ty.field_count()),
        LLVMTypeKind::LLVMVectorTypeKind => {
            let (bits, len) = (small_bits(ty.element()), ty.vector_len());
            if bits != 0 && (bits * len).is_multiple_of(32) {
                let words = types.i32.vector(bits * len / 32);
                let bits = at.cast(LLVMOpcode::LLVMBitCast, value, words);
                return at.cast(LLVMOpcode::LLVMBitCast, of_the_lane(module, at, bits), ty);
            }
            (0..len).fold(value, |whole, index| {
                let index = types.i32.constant(index);
                let part = of_the_lane(module, at, at.element_of(value, index));
                at.with_element(whole, index, part)
            })
        }
        // Arrays are not in registers.
        _ => value,
    }
}

/// Bits of a type of which several share a register; 0 for others.
fn small_bits(ty: Type<'_>) -> u64 {
    match ty.kind() {
        LLVMTypeKind::LLVMHalfTypeKind | LLVMTypeKind::LLVMBFloatTypeKind => 16,
        _ => match ty.integer_width() {
            bits @ (8 | 16) => bits.into(),
            _ => 0,
        },
    }
}

/// The same value, of which LLVM doesn't know where it comes from.
fn hide<'m>(at: &Builder<'m>, value: Value<'m>) -> Value<'m> {
    at.assembly("", "=v,0", value.ty(), &[value])
}
