//! Binds copies of whole parts of matrices to shared memory ([`legionella_abi::intrinsic::PART_COPIES`]) to TMA, by
//! which one thread has all of a part copied.
//!
//! Takes an entry shim; `parts.ll` has what the operations become. The maps by which the machine finds its way
//! in a matrix are made by the group that copies, in memory that the code has for them: a launch gives nothing. Of that
//! memory a group has a place for itself while its copies are open, and finds the maps there that the last one left: of
//! the same matrices, most of the time. A group whose items can't go on ends its copies first ([`Parts::end`]), so that
//! none writes shared memory that may be another group's by then.

use inkwell::module::Module;
use legionella_abi::intrinsic;

use super::super::meetings::{behind_variables, calls, delete};
use super::internal;
use crate::error::Error;
use crate::ir::{self, Builder, Function, Types};

const TEXT: &std::ffi::CStr = ir::ir_text!("parts.ll");

/// What the functions of `parts.ll` are called, followed by the operation's name behind its last dot.
const PREFIX: &str = "legionella.tma.";

const READY: &str = "legionella.tma.ready";
const END: &str = "legionella.tma.end";

/// Bytes of shared memory that copies need beside that of the stages.
pub(super) const SHARED: u64 = 512;

/// The copies of a shim that has any.
#[derive(Clone, Copy)]
pub(super) struct Parts<'m> {
    end: Function<'m>,
}

impl<'m> Parts<'m> {
    /// Declares what there is besides the operations, if the shim has these.
    pub(super) fn of(module: &'m Module<'_>) -> Option<Self> {
        if calls(module, intrinsic::PART_OPEN).is_empty() {
            return None;
        }
        let types = Types::of(module);
        Some(Parts {
            end: ir::declare(module, END, types.void, &[]),
        })
    }

    /// Ends all copies that have begun, by the first item; of all others nothing.
    pub(super) fn end(self, at: &Builder<'m>) {
        at.call(self.end, &[]);
    }
}

/// Binds the operations of a shim that has them.
pub(super) fn bind<'m>(module: &'m Module<'_>, entry: Function<'m>) -> Result<(), Error> {
    ir::link_text(module, TEXT)?;
    let function = |name: &str| {
        ir::function(module, name).ok_or_else(|| internal(format!("the function {name} is gone")))
    };
    Builder::before(behind_variables(entry)).call(function(READY)?, &[]);
    for name in intrinsic::PART_COPIES {
        let operation = name.rsplit('.').next().unwrap_or(name);
        let ours = function(&format!("{PREFIX}{operation}"))?;
        for call in calls(module, name) {
            // All but what is called.
            let operands = call.operands();
            let parameters = ours.parameters().len();
            let result = Builder::before(call).call(ours, &operands[..parameters]);
            if !call.users().is_empty() {
                call.replace_all_uses_with(result);
            }
            call.erase();
        }
        delete(module, name);
    }
    ir::keep_inside(module, PREFIX);
    Ok(())
}
