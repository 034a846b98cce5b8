//! Binds operations on matrices ([`legionella_abi::intrinsic::MATRICES`]) to those of a warp's matrix unit.
//!
//! Takes an entry shim with all lanes together at each of them; `matrices.ll` has what they become.

use std::collections::BTreeSet;

use inkwell::module::Module;
use legionella_abi::intrinsic;
use llvm_sys::LLVMOpcode;
use llvm_sys::core as c;

use super::super::meetings::{Kind, Site, calls, delete};
use super::{architectures, bands, internal};
use crate::error::Error;
use crate::ir::flow::{Blocks, Loops};
use crate::ir::metadata::{describe_loop, node, text};
use crate::ir::{self, Builder, Function, Value, llvm};

const TEXT: &std::ffi::CStr = ir::ir_text!("matrices.ll");

/// What the functions of `matrices.ll` are called, followed by the operation's name behind its last dot.
const PREFIX: &str = "legionella.unit.";

/// The operations that a machine's matrix units have (PTX ISA, "Matrix multiply-accumulate operation using `mma`
/// instruction").
pub(super) fn bound(cpu: &str) -> Vec<&'static str> {
    if !architectures::has_matrices(cpu) {
        return Vec::new();
    }
    let mut bound = vec![
        intrinsic::MATRIX_F16,
        intrinsic::MATRIX_I8,
        intrinsic::MATRIX_U8,
        intrinsic::MATRIX_ROWS,
        intrinsic::MATRIX_COLUMNS,
    ];
    if architectures::has_deep_matrices(cpu) {
        bound.extend([
            intrinsic::MATRIX_BF16,
            intrinsic::MATRIX_TF32,
            intrinsic::MATRIX_F64,
        ]);
    }
    if architectures::copies_by_itself(cpu) {
        bound.extend(intrinsic::COPIES);
    }
    if architectures::has_bands(cpu) {
        bound.extend(bands::OPERATIONS);
        bound.extend(intrinsic::PART_COPIES);
    }
    bound
}

/// Asks for loops to be unrolled as a whole in which parts of matrices are chosen by a number, so that these
/// come to lie in registers. A loop of unknown length, or a very long one, stays as it is.
pub(super) fn unroll<'m>(module: &'m Module<'_>, entry: Function<'m>, sites: &[Site<'m>]) {
    let Some(blocks) = Blocks::of(entry) else {
        return;
    };
    let Ok(loops) = Loops::of(blocks.flow()) else {
        return;
    };
    let matrices = sites.iter().filter(|site| site.kind == Kind::Matrix);
    let mut ahead: Vec<Value<'m>> = matrices
        .flat_map(|site| site.call.operands())
        .map(variable)
        .filter(|variable| variable.is(LLVMOpcode::LLVMAlloca))
        .collect();
    let mut seen = BTreeSet::new();
    let mut chosen = BTreeSet::new();
    while let Some(value) = ahead.pop() {
        if !seen.insert(value) {
            continue;
        }
        for user in value.users() {
            let number = blocks.number(user.block());
            chosen.extend(
                loops
                    .around(number)
                    .flat_map(|one| loops.latches(one).to_vec()),
            );
            ahead.extend(Some(user).filter(|user| user.is(LLVMOpcode::LLVMGetElementPtr)));
            if is_copy(user) {
                let both = [variable(user.operand(0)), variable(user.operand(1))];
                ahead.extend(
                    both.into_iter()
                        .filter(|one| one.is(LLVMOpcode::LLVMAlloca)),
                );
            }
        }
    }
    let context = llvm!(c::LLVMGetModuleContext(module.as_mut_ptr()));
    for latch in chosen {
        let full = node(context, &mut [text(context, "llvm.loop.unroll.full")]);
        describe_loop(context, blocks.block(latch).terminator(), &[full]);
    }
}

/// The variable that an address is in, or what else it begins with.
fn variable(address: Value<'_>) -> Value<'_> {
    let mut base = address;
    while base.is(LLVMOpcode::LLVMGetElementPtr) {
        base = base.operand(0);
    }
    base
}

/// Whether an instruction copies from one address to another.
fn is_copy(user: Value<'_>) -> bool {
    let name = user.called_function().map(Function::name);
    name.is_some_and(|name| name.starts_with("llvm.memcpy."))
}

/// Binds the operations, if there are any.
pub(super) fn bind(module: &Module<'_>, cpu: &str) -> Result<(), Error> {
    let used = |name: &&str| !calls(module, name).is_empty();
    let used: Vec<_> = intrinsic::MATRICES.into_iter().filter(used).collect();
    if !used.is_empty() {
        ir::link_text(module, TEXT)?;
    }
    bands::bind(module)?;
    for name in used
        .into_iter()
        .filter(|name| !bands::OPERATIONS.contains(name))
    {
        let operation = name.rsplit('.').next().unwrap_or(name);
        let shallow = match operation {
            "f16" | "i8" | "u8" if !architectures::has_deep_matrices(cpu) => ".shallow",
            _ => "",
        };
        let ours = format!("{PREFIX}{operation}{shallow}");
        let ours = ir::function(module, &ours).ok_or_else(|| internal(format!("no {ours}")))?;
        let parameters = ours.parameters().len();
        for call in calls(module, name) {
            // All but the place.
            let operands = call.operands();
            Builder::before(call).call(ours, &operands[..parameters]);
            call.erase();
        }
    }
    for name in intrinsic::MATRICES {
        delete(module, name);
    }
    ir::keep_inside(module, PREFIX);
    Ok(())
}
