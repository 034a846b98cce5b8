//! Copies of memory that LLVM's code generator would expand into loops over bytes.

use inkwell::module::Module;

use crate::ir::{self, Builder, Value};

use super::runtime;

/// The largest copy in bytes that LLVM expands into wide accesses by itself.
const LARGEST_INLINE: u64 = 127;

/// LLVM's intrinsics, with the functions of the runtime that do the same.
const COPIES: [(&str, &str); 3] = [
    ("llvm.memcpy.", runtime::COPY),
    ("llvm.memmove.", runtime::MOVE),
    ("llvm.memset.", runtime::FILL),
];

/// Replaces large copies, and those of unknown size, by calls of the runtime.
pub(super) fn expand(module: &Module<'_>) {
    for function in ir::functions(module) {
        let name = function.name();
        let Some((_, ours)) = COPIES.iter().find(|(prefix, _)| name.starts_with(prefix)) else {
            continue;
        };
        let Some(ours) = ir::function(module, ours) else {
            continue;
        };
        for call in function.value().users() {
            let operands = call.operands();
            let [to, from, len, ..] = operands[..] else {
                continue;
            };
            if len
                .constant_integer()
                .is_some_and(|len| len <= LARGEST_INLINE)
            {
                continue;
            }
            let at = Builder::before(call);
            at.call(ours, &[to, from, widened(&at, module, len)]);
            call.erase();
        }
    }
}

/// A length as 64 bits.
fn widened<'m>(at: &Builder<'m>, module: &'m Module<'_>, len: Value<'m>) -> Value<'m> {
    let types = ir::Types::of(module);
    if len.ty() == types.i64 {
        return len;
    }
    at.zero_extend(len, types.i64)
}
