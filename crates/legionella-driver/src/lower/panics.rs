//! Leads the compiled panic machinery, which was cut where it would enter `std`, to the device's
//! own panic functions.

use inkwell::module::Module;
use legionella_abi::intrinsic;

use crate::extract::cuts::{Cut, cut};
use crate::ir;

/// Replaces every cut function by what it becomes on a device.
pub(super) fn redirect(module: &Module<'_>) {
    for function in ir::functions(module) {
        if !function.is_declaration() {
            continue;
        }
        let name = function.name();
        let target = match cut(&name) {
            Some(Cut::PanicHandler) => intrinsic::PANIC_HANDLER,
            Some(Cut::BeginPanic) if carries_text(&name) => intrinsic::PANIC_STR,
            Some(Cut::AllocError) => intrinsic::ALLOC_ERROR,
            _ => continue,
        };
        if let Some(target) = ir::function(module, target) {
            function.value().replace_all_uses_with(target.value());
            function.delete();
        }
    }
    for name in intrinsic::ROOTS {
        if let Some(function) = ir::function(module, name) {
            for attribute in ["noreturn", "cold", "noinline", "nounwind"] {
                function.add_attribute(attribute);
            }
        }
    }
}

/// Whether an instance of `begin_panic` is that for `&str`, whose message crosses as two words.
fn carries_text(symbol: &str) -> bool {
    format!("{:#}", rustc_demangle::demangle(symbol)).ends_with("::begin_panic::<&str>")
}
