//! Binds operations on matrices ([`legionella_abi::intrinsic::MATRICES`]) to those of a wavefront's matrix unit.
//!
//! Takes an entry shim with all lanes together at each of them; `matrices.ll` has what they become, in the
//! arrangement of rows (`legionella_device::matrix`).

use inkwell::module::Module;
use legionella_abi::intrinsic;

use super::super::meetings::{calls, delete};
use super::internal;
use crate::error::Error;
use crate::ir::{self, Builder};

const TEXT: &std::ffi::CStr = ir::ir_text!("matrices.ll");

/// What the functions of `matrices.ll` are called, followed by the operation's name behind its last dot, and by
/// the unit's.
const PREFIX: &str = "legionella.unit.";

/// Matrix units.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    /// MFMA of gfx90a (AMD Instinct MI200 ISA, "Matrix Arithmetic Instructions").
    Mfma2,
    /// MFMA of gfx942 (AMD Instinct MI300 ISA, the same section).
    Mfma3,
    /// WMMA of gfx11 (RDNA3 ISA, "Wave Matrix Multiply Accumulate").
    Wmma3,
    /// WMMA of gfx12 (RDNA4 ISA, the same section).
    Wmma4,
}

impl Unit {
    /// That of a processor, if it has one. Those of generic processors are what their instructions have in
    /// common.
    fn of(cpu: &str) -> Option<Self> {
        match cpu {
            "gfx90a" => Some(Unit::Mfma2),
            "gfx942" => Some(Unit::Mfma3),
            "gfx12-generic" => Some(Unit::Wmma4),
            _ if cpu.starts_with("gfx11") => Some(Unit::Wmma3),
            _ if cpu.starts_with("gfx120") => Some(Unit::Wmma4),
            _ => None,
        }
    }

    /// What functions of `matrices.ll` are called for it.
    fn name(self) -> &'static str {
        match self {
            Unit::Mfma2 => "mfma2",
            Unit::Mfma3 => "mfma3",
            Unit::Wmma3 => "wmma3",
            Unit::Wmma4 => "wmma4",
        }
    }

    fn operations(self) -> &'static [&'static str] {
        const ALL: [&str; 6] = [
            intrinsic::MATRIX_F16,
            intrinsic::MATRIX_BF16,
            intrinsic::MATRIX_I8,
            intrinsic::MATRIX_U8,
            intrinsic::MATRIX_TF32,
            intrinsic::MATRIX_F64,
        ];
        match self {
            Unit::Mfma2 | Unit::Mfma3 => &ALL,
            Unit::Wmma3 | Unit::Wmma4 => &ALL[..4],
        }
    }
}

/// The operations that a processor's matrix unit has.
pub(super) fn bound(cpu: &str) -> Vec<&'static str> {
    Unit::of(cpu).map_or_else(Vec::new, |unit| unit.operations().to_vec())
}

/// How its lanes hold matrices.
pub(super) fn arrangement(cpu: &str) -> u32 {
    match Unit::of(cpu) {
        None => intrinsic::QUADS,
        Some(Unit::Wmma3) => intrinsic::ALTERNATE_ROWS,
        Some(_) => intrinsic::ROWS,
    }
}

/// Binds the operations, if there are any.
pub(super) fn bind(module: &Module<'_>, cpu: &str) -> Result<(), Error> {
    let Some(unit) = Unit::of(cpu) else {
        return Ok(());
    };
    let operations = unit.operations().iter().copied();
    let used: Vec<_> = operations
        .filter(|name| !calls(module, name).is_empty())
        .collect();
    if !used.is_empty() {
        ir::link_text(module, TEXT)?;
    }
    for name in used {
        let operation = name.rsplit('.').next().unwrap_or(name);
        let ours = format!("{PREFIX}{operation}.{}", unit.name());
        let ours = ir::function(module, &ours).ok_or_else(|| internal(format!("no {ours}")))?;
        for call in calls(module, name) {
            // All but the place.
            Builder::before(call).call(ours, &call.operands()[..3]);
            call.erase();
        }
    }
    for name in unit.operations() {
        delete(module, name);
    }
    ir::keep_inside(module, PREFIX);
    Ok(())
}
