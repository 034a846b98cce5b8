//! Barriers for the optimiser: inline assembly without instructions, such as `black_box` is made of.
//!
//! They are written for the host's assembler and its registers. What they are to keep LLVM from is
//! of no use to a kernel, so values go past them as they are: out comes what went into the same
//! register, or, where nothing did, any value (LLVM Language Reference, "Inline Asm Constraint
//! String").

use inkwell::module::Module;

use crate::ir::{self, Builder, Value};
use crate::lower::vendor;

/// Removes them; others than those have been refused.
pub(super) fn remove(module: &Module<'_>) {
    for function in ir::functions(module) {
        for call in function.instructions() {
            let assembly = call.callee().and_then(Value::inline_assembly);
            // What the vendor's code has is for this machine.
            let assembly = assembly.filter(|_| !call.is_call_with_note(vendor::ASSEMBLY));
            let Some((_, constraints)) = assembly else {
                continue;
            };
            if !call.is_void() {
                call.replace_all_uses_with(result(call, &constraints));
            }
            call.erase();
        }
    }
}

/// What comes out.
fn result<'m>(call: Value<'m>, constraints: &str) -> Value<'m> {
    let at = Builder::before(call);
    let operands = call.operands();
    let sources = sources(constraints);
    let source = |output: usize| {
        let input = sources.get(output).copied().flatten()?;
        operands.get(input).copied()
    };
    let fields = call.ty().field_count();
    if fields == 0 {
        let same = source(0).filter(|value| value.ty() == call.ty());
        return same.unwrap_or(call.ty().zero());
    }
    (0..fields).fold(call.ty().zero(), |whole, field| {
        match source(field as usize).filter(|value| value.ty() == call.ty().field(field)) {
            Some(value) => at.with(whole, field, value),
            None => whole,
        }
    })
}

/// For each output the input that is in the same register.
fn sources(constraints: &str) -> Vec<Option<usize>> {
    let parts = || constraints.split(',');
    let inputs: Vec<&str> = parts()
        .filter(|part| !part.starts_with(['=', '~', '!']) && !part.is_empty())
        .collect();
    parts()
        .filter(|part| part.starts_with('='))
        .enumerate()
        .map(|(output, _)| {
            let tied = output.to_string();
            inputs.iter().position(|input| **input == tied)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::sources;

    #[test]
    fn outputs_are_what_went_into_their_registers() {
        assert_eq!(sources("=&r,0,~{memory}"), [Some(0)]);
        assert_eq!(sources("=&r,=&r,r,1,0"), [Some(2), Some(1)]);
        assert_eq!(sources("=r,r"), [None]);
        assert_eq!(sources("r,~{memory}"), []);
    }
}
