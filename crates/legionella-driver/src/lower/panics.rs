//! Leads the compiled panic machinery, which was cut where it would enter `std`, to the device's
//! own panic functions.

use inkwell::module::Module;
use legionella_abi::cpu::Panic;
use legionella_abi::intrinsic;
use legionella_abi::protocol::Source;

use crate::extract::cuts::panic_of;
use crate::ir::{self, Types, Value};

/// Replaces every cut function by what it becomes on a device.
pub(super) fn redirect(module: &Module<'_>) {
    for function in ir::functions(module) {
        if !function.is_declaration() {
            continue;
        }
        let Some(target) = panic_of(&function.name()) else {
            continue;
        };
        if let Some(target) = ir::function(module, target) {
            function.value().replace_all_uses_with(target.value());
            function.delete();
        }
    }
    for name in intrinsic::FAILURES {
        if let Some(function) = ir::function(module, name) {
            for attribute in ["noreturn", "cold", "noinline", "nounwind"] {
                function.add_attribute(attribute);
            }
        }
    }
}

/// A constant [`Panic`], for panics that lowering itself puts in.
pub(super) fn report<'m>(
    module: &'m Module<'_>,
    message: &str,
    source: Option<&Source>,
) -> Value<'m> {
    let types = Types::of(module);
    let file = source.map_or("", |source| &source.file);
    let len = |text: &str| types.i64.constant(text.len() as u64);
    let number = |pick: fn(&Source) -> u32| types.i32.constant(source.map_or(0, pick).into());
    // The fields as `repr(C)` lays them out.
    const { assert!(std::mem::offset_of!(Panic, file_len) == 24 && size_of::<Panic>() == 40) };
    let fields = [
        ir::text(module, message),
        len(message),
        ir::text(module, file),
        len(file),
        number(|source| source.line),
        number(|source| source.column),
    ];
    ir::constant(module, &fields)
}
