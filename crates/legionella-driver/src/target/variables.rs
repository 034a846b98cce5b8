//! Short copies from variables and to them as loads and stores, so that LLVM can keep the variables in registers.
//!
//! What is copied as a whole from place to place stays in memory otherwise, and that of a GPU's thread is far.
//! Takes optimised code; LLVM's own passes do the rest.

use inkwell::module::Module;
use llvm_sys::LLVMOpcode;

use crate::ir::{self, Builder, Types, Value};

/// The largest copy in bytes that becomes values in registers.
const LARGEST_IN_REGISTERS: u64 = 64;

/// Replaces short copies from variables and to them by loads and stores.
pub(super) fn split_copies(module: &Module<'_>) {
    let types = Types::of(module);
    for function in ir::functions(module) {
        if !function.name().starts_with("llvm.memcpy.") {
            continue;
        }
        for call in function.value().users() {
            let operands = call.operands();
            let [to, from, len, volatile, ..] = operands[..] else {
                continue;
            };
            let aligned = |argument| call.argument_attribute(argument, "align").unwrap_or(1);
            let align = aligned(0).min(aligned(1)).min(16);
            let Some(len) = len.constant_integer() else {
                continue;
            };
            let short = len <= LARGEST_IN_REGISTERS && align >= 4 && len % 4 == 0;
            let own = is_variable(to) || is_variable(from);
            if !short || !own || volatile.constant_integer() != Some(0) {
                continue;
            }
            let at = Builder::before(call);
            let mut place = 0;
            let mut parts = Vec::new();
            while place < len {
                let bytes = [16, 8, 4]
                    .into_iter()
                    .find(|bytes| align >= *bytes && place % bytes == 0 && place + bytes <= len);
                let Some(bytes) = bytes else { break };
                let ty = match bytes {
                    4 => types.i32,
                    _ => types.i32.vector(bytes / 4),
                };
                let within = |start| at.element(types.i8, start, types.i64.constant(place));
                let (from, to) = (within(from), within(to));
                let part = at.load(ty, from);
                part.set_alignment(bytes as u32);
                parts.push((part, to, bytes));
                place += bytes;
            }
            // The two may be the same.
            for (part, to, bytes) in parts {
                at.store(part, to).set_alignment(bytes as u32);
            }
            call.erase();
        }
    }
}

/// Whether an address is in a variable of a function.
fn is_variable(mut address: Value<'_>) -> bool {
    while address.is_instruction() && address.is(LLVMOpcode::LLVMGetElementPtr) {
        address = address.operand(0);
    }
    address.is_instruction() && address.is(LLVMOpcode::LLVMAlloca)
}
