//! Binds operations on matrices ([`legionella_abi::intrinsic::MATRICES`]) to those of a warp's matrix unit.
//!
//! Takes an entry shim with all lanes together at each of them; `matrices.ll` has what they become.

use inkwell::module::Module;
use legionella_abi::intrinsic;

use super::super::meetings::{calls, delete};
use super::{architectures, internal};
use crate::error::Error;
use crate::ir::{self, Builder};

const TEXT: &std::ffi::CStr = ir::ir_text!("matrices.ll");

/// What the functions of `matrices.ll` are called, followed by the operation's name behind its last dot.
const PREFIX: &str = "legionella.unit.";

/// The operations that a machine's matrix units have (PTX ISA, "Matrix multiply-accumulate operation using `mma`
/// instruction").
pub(super) fn bound(cpu: &str) -> Vec<&'static str> {
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
    bound
}

/// Binds the operations, if there are any.
pub(super) fn bind(module: &Module<'_>, cpu: &str) -> Result<(), Error> {
    let used = |name: &&str| !calls(module, name).is_empty();
    let used: Vec<_> = intrinsic::MATRICES.into_iter().filter(used).collect();
    if !used.is_empty() {
        ir::link_text(module, TEXT)?;
    }
    for name in used {
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
