//! Signs of floats, without arithmetic.
//!
//! A negation or absolute value changes one bit, also of a NaN (IEEE 754-2019, 5.5.1), and LLVM makes them of what a
//! program does to a float's bits as an integer. But their instructions are often additions of zero, behind which a signalling
//! NaN is a quiet one, or any NaN the one of the device: `ptxas` makes `FADD` of `neg.f32` and `abs.f32` (and `DADD`, `HADD2`),
//! and LLVM 22 `v_pk_add_f32` of two negations at once (`SIInstructions.td`). So where such a value goes into
//! anything but arithmetic, whose NaNs have no particular bits, its bit is changed as an integer's. Arithmetic takes
//! the sign of an operand for nothing.

use inkwell::module::Module;
use llvm_sys::{LLVMOpcode, LLVMTypeKind};

use crate::ir::{self, Builder, Type, Value};

/// Absolute values, of whatever type.
const ABSOLUTE: &str = "llvm.fabs.";

/// Functions whose results, if NaN, have no particular bits.
const ARITHMETIC: [&str; 14] = [
    "llvm.fma.",
    "llvm.fmuladd.",
    "llvm.sqrt.",
    "llvm.floor.",
    "llvm.ceil.",
    "llvm.trunc.",
    "llvm.rint.",
    "llvm.nearbyint.",
    "llvm.round.",
    "llvm.roundeven.",
    "llvm.minnum.",
    "llvm.maxnum.",
    "llvm.minimum.",
    "llvm.maximum.",
];

/// Who makes arithmetic of what changes signs.
#[derive(Clone, Copy)]
pub(super) enum Maker {
    /// LLVM, of negations of more than one `f32` at once.
    Amdgpu,
    /// The assembler, of all. LLVM makes negations again of operations on integers that it sees through.
    Ptxas,
}

/// Makes operations on integers of what changes the signs of floats, where their bits matter.
pub(super) fn keep_bits(module: &Module<'_>, maker: Maker) {
    let changes = ir::functions(module)
        .into_iter()
        .flat_map(ir::Function::instructions)
        .filter_map(|instruction| Some((instruction, Change::of(instruction)?)));
    for (instruction, change) in changes {
        if !maker.takes(change, instruction.ty()) {
            continue;
        }
        let (arithmetic, other): (Vec<_>, Vec<_>) =
            (instruction.users().into_iter()).partition(|user| is_arithmetic(*user));
        if other.is_empty() {
            continue;
        }
        let as_integer = maker.as_integer(change, instruction);
        for user in other {
            user.replace_operand(instruction, as_integer);
        }
        if arithmetic.is_empty() {
            instruction.erase();
        }
    }
}

impl Maker {
    fn takes(self, change: Change, ty: Type<'_>) -> bool {
        let element = element(ty);
        match self {
            Maker::Amdgpu => {
                element != ty
                    && matches!(change, Change::Negated)
                    && element.kind() == LLVMTypeKind::LLVMFloatTypeKind
            }
            Maker::Ptxas => width(element).is_some(),
        }
    }

    /// The result of an instruction that changes signs, by integers, in front of it.
    fn as_integer<'m>(self, change: Change, instruction: Value<'m>) -> Value<'m> {
        let (at, from) = (Builder::before(instruction), instruction.operand(0));
        let ty = instruction.ty();
        let element = element(ty);
        if element == ty {
            return self.one(&at, change, from);
        }
        let index = |index| element.integer(32).constant(index);
        (0..ty.vector_len()).fold(ty.poison(), |vector, number| {
            let changed = self.one(&at, change, at.element_of(from, index(number)));
            at.with_element(vector, index(number), changed)
        })
    }

    fn one<'m>(self, at: &Builder<'m>, change: Change, value: Value<'m>) -> Value<'m> {
        let ty = value.ty();
        let width = width(ty).expect("a float that has been looked at");
        let sign = 1 << (width - 1);
        let (opcode, name, mask) = match change {
            Change::Negated => (LLVMOpcode::LLVMXor, "xor", sign),
            Change::Cleared => (LLVMOpcode::LLVMAnd, "and", sign - 1),
        };
        let integer = ty.integer(width);
        let bits = at.cast(LLVMOpcode::LLVMBitCast, value, integer);
        let changed = match self {
            Maker::Amdgpu => at.binary(opcode, bits, integer.constant(mask)),
            Maker::Ptxas => {
                let constraints = match width {
                    16 => "=h,h",
                    32 => "=r,r",
                    _ => "=l,l",
                };
                let text = format!("{name}.b{width} $0, $1, {mask:#x};");
                at.computation(&text, constraints, integer, &[bits])
            }
        };
        at.cast(LLVMOpcode::LLVMBitCast, changed, ty)
    }
}

/// The type of a vector's elements, or the type itself.
fn element(ty: Type<'_>) -> Type<'_> {
    if ty.kind() == LLVMTypeKind::LLVMVectorTypeKind {
        ty.element()
    } else {
        ty
    }
}

/// Bits of a float.
fn width(element: Type<'_>) -> Option<u32> {
    match element.kind() {
        LLVMTypeKind::LLVMHalfTypeKind | LLVMTypeKind::LLVMBFloatTypeKind => Some(16),
        LLVMTypeKind::LLVMFloatTypeKind => Some(32),
        LLVMTypeKind::LLVMDoubleTypeKind => Some(64),
        _ => None,
    }
}

/// How a sign is changed.
#[derive(Clone, Copy)]
enum Change {
    Negated,
    Cleared,
}

impl Change {
    fn of(instruction: Value<'_>) -> Option<Self> {
        if instruction.is(LLVMOpcode::LLVMFNeg) {
            return Some(Change::Negated);
        }
        calls(instruction, &[ABSOLUTE]).then_some(Change::Cleared)
    }
}

/// Whether a value goes into arithmetic alone, by an instruction, maybe with another sign.
fn is_arithmetic(user: Value<'_>) -> bool {
    use LLVMOpcode::*;
    match user.opcode() {
        Some(
            LLVMFAdd | LLVMFSub | LLVMFMul | LLVMFDiv | LLVMFRem | LLVMFCmp | LLVMFPTrunc
            | LLVMFPExt | LLVMFPToSI | LLVMFPToUI,
        ) => true,
        _ if Change::of(user).is_some() => user.users().into_iter().all(is_arithmetic),
        _ => calls(user, &ARITHMETIC),
    }
}

/// Whether an instruction calls one of some functions.
fn calls(instruction: Value<'_>, some: &[&str]) -> bool {
    let called = instruction.called_function();
    called.is_some_and(|called| {
        let name = called.name();
        some.iter().any(|some| name.starts_with(some))
    })
}
