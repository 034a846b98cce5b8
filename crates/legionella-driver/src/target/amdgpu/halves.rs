//! Loads of 16 bits and less from variables on the stack.
//!
//! Where such values become halves of registers, LLVM's instruction selection makes loads of halves, and
//! forgets that each lane loads from memory of its own (`AMDGPUDAGToDAGISel::matchLoadD16FromBuildVector` of
//! LLVM 22, whose nodes `SITargetLowering::isSDNodeSourceOfDivergence` doesn't know): where all lanes have one
//! address, what is computed from the value is computed for the first lane alone. So each value goes
//! through an empty instruction that hides where it comes from.

use std::collections::BTreeSet;

use inkwell::module::Module;
use llvm_sys::LLVMOpcode;

use super::{internal, spaces};
use crate::error::Error;
use crate::ir::{self, Builder, Function, Type, Types, Value};

/// The function of `runtime.ll` that hides where a value comes from.
const HIDE: &str = "legionella.hide";

/// Widest loads that may become loads of halves, in bits.
const WIDEST: u32 = 16;

/// Hides what small loads load.
pub(super) fn hide_loads(module: &Module<'_>) -> Result<(), Error> {
    let hide = ir::function(module, HIDE).ok_or_else(|| internal(format!("no {HIDE}")))?;
    let types = Types::of(module);
    let stack = types.ptr.pointer_in(spaces::PRIVATE);
    let loads = ir::functions(module)
        .into_iter()
        .flat_map(Function::instructions)
        .filter(|instruction| instruction.is(LLVMOpcode::LLVMLoad));
    for load in loads {
        let width = load.ty().integer_width();
        if width == 0 || width > WIDEST || !is_on_stack(load.operand(0), stack) {
            continue;
        }
        let Some(next) = load.next() else {
            continue;
        };
        let at = Builder::before(next);
        let users = load.users();
        let wide = at.zero_extend(load, types.i32);
        let hidden = at.truncate(at.call(hide, &[wide]), load.ty());
        for user in users {
            user.replace_operand(load, hidden);
        }
    }
    Ok(())
}

/// Whether an address may be one of a variable on the stack, of a type `stack`.
fn is_on_stack<'m>(address: Value<'m>, stack: Type<'m>) -> bool {
    let mut seen = BTreeSet::new();
    let mut open = vec![address];
    while let Some(value) = open.pop() {
        if !seen.insert(value) {
            continue;
        }
        if value.ty() == stack {
            return true;
        }
        match value.opcode() {
            Some(
                LLVMOpcode::LLVMGetElementPtr
                | LLVMOpcode::LLVMAddrSpaceCast
                | LLVMOpcode::LLVMBitCast
                | LLVMOpcode::LLVMFreeze,
            ) => open.push(value.operand(0)),
            Some(LLVMOpcode::LLVMSelect) => open.extend([value.operand(1), value.operand(2)]),
            Some(LLVMOpcode::LLVMPHI) => {
                open.extend(value.incoming().into_iter().map(|(value, _)| value));
            }
            _ => {}
        }
    }
    false
}
