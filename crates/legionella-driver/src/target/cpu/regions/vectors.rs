//! What LLVM's loop vectoriser makes of a region, and how many lanes suit a machine.

use inkwell::targets::TargetMachine;
use llvm_sys::{LLVMOpcode, LLVMTypeKind};

use super::super::overflow;
use super::Policy;
use super::split::Split;
use crate::ir::{Type, Types, Value};

/// The type that a lane's slot has in memory, so that the slots of all lanes can be read as a
/// vector; `None` if there is no such vector.
pub(in super::super) fn storage(ty: Type<'_>) -> Option<Type<'_>> {
    match ty.kind() {
        LLVMTypeKind::LLVMIntegerTypeKind if ty.integer_width() <= 64 => {
            let bits = ty.integer_width().next_power_of_two().max(8);
            Some(Types::of_type(ty).i8.integer(bits))
        }
        LLVMTypeKind::LLVMHalfTypeKind
        | LLVMTypeKind::LLVMFloatTypeKind
        | LLVMTypeKind::LLVMDoubleTypeKind
        | LLVMTypeKind::LLVMPointerTypeKind => Some(ty),
        _ => None,
    }
}

/// Bytes of a slot.
fn size(ty: Type<'_>) -> u64 {
    match ty.kind() {
        LLVMTypeKind::LLVMIntegerTypeKind => u64::from(ty.integer_width().div_ceil(8)),
        LLVMTypeKind::LLVMHalfTypeKind => 2,
        LLVMTypeKind::LLVMFloatTypeKind => 4,
        _ => 8,
    }
}

/// Intrinsics that have vector forms or leave no code.
const VECTORISED: [&str; 38] = [
    "abs",
    "assume",
    "bitreverse",
    "bswap",
    "ceil",
    "copysign",
    "ctlz",
    "ctpop",
    "cttz",
    "experimental.noalias.scope.decl",
    "fabs",
    "floor",
    "fma",
    "fmuladd",
    "fptosi.sat",
    "fptoui.sat",
    "fshl",
    "fshr",
    "lifetime.end",
    "lifetime.start",
    "maximum",
    "maxnum",
    "minimum",
    "minnum",
    "nearbyint",
    "rint",
    "round",
    "roundeven",
    "sadd.sat",
    "smax",
    "smin",
    "sqrt",
    "ssub.sat",
    "trunc",
    "uadd.sat",
    "umax",
    "umin",
    "usub.sat",
];

/// Whether the vectoriser takes calls of a function.
pub(super) fn is_vectorised(name: &str) -> bool {
    let Some(name) = name.strip_prefix("llvm.") else {
        return name.starts_with("legionella.");
    };
    VECTORISED.iter().any(|known| {
        let rest = name.strip_prefix(known);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

/// Why a loop over this instruction isn't vectorised; `None` if it is, or will be once arithmetic that
/// tells of overflow is made of plain operations.
pub(super) fn obstacle(instruction: Value<'_>) -> Option<String> {
    use LLVMOpcode::*;
    if overflow::is_pair(instruction) || overflow::is_part(instruction) {
        return None;
    }
    let types = instruction
        .operands()
        .into_iter()
        .map(|operand| operand.ty());
    let wide = |ty: Type<'_>| match ty.kind() {
        LLVMTypeKind::LLVMIntegerTypeKind => ty.integer_width() > 64,
        LLVMTypeKind::LLVMVectorTypeKind
        | LLVMTypeKind::LLVMFP128TypeKind
        | LLVMTypeKind::LLVMX86_FP80TypeKind => true,
        LLVMTypeKind::LLVMStructTypeKind | LLVMTypeKind::LLVMArrayTypeKind => {
            !instruction.is(LLVMRet)
        }
        _ => false,
    };
    if let Some(ty) = types.chain([instruction.ty()]).find(|ty| wide(*ty)) {
        return Some(format!("values of type {}", ty.text()));
    }
    match instruction.opcode()? {
        LLVMAtomicRMW | LLVMAtomicCmpXchg | LLVMFence => Some("atomic operations".to_owned()),
        LLVMLoad | LLVMStore if instruction.is_ordered() => {
            Some("atomic or volatile accesses".to_owned())
        }
        LLVMCall => {
            let name = instruction
                .called_function()
                .map(|function| function.name());
            let fine = name.as_deref().is_some_and(is_vectorised);
            (!fine).then(|| match name {
                Some(name) => format!("calls of {}", crate::extract::demangle(&name)),
                None => "calls by address".to_owned(),
            })
        }
        _ => None,
    }
}

/// Bytes of a machine's vectors.
fn vector_bytes(machine: &TargetMachine) -> u64 {
    let features = machine.get_feature_string().to_string_lossy().into_owned();
    let cpu = machine.get_cpu().to_string();
    let has = |feature: &str, level: &str| {
        features
            .split(',')
            .any(|one| one.strip_prefix('+') == Some(feature))
            || cpu == level
    };
    if has("avx512f", "x86-64-v4") {
        64
    } else if has("avx2", "x86-64-v3") {
        32
    } else {
        16
    }
}

/// How many lanes run together in phases, whose rows are short: one vector of 32-bit numbers.
pub(super) fn lanes_of_phases(machine: &TargetMachine) -> u64 {
    vector_bytes(machine) / 4
}

/// How many lanes run together: two vectors of 32-bit numbers, one if there is anything wider, if
/// the slots of that many lanes would not fit into the machine's registers, or if rows are short.
pub(super) fn lanes<'m>(
    machine: &TargetMachine,
    split: &Split<'m>,
    policy: Policy,
    slots: impl Iterator<Item = Type<'m>>,
) -> u64 {
    /// Vector registers that slots may take.
    const REGISTERS: u64 = 20;
    let bytes = vector_bytes(machine);
    let one = lanes_of_phases(machine);
    let slots: u64 = slots.filter_map(storage).map(size).sum();
    let numbers = split.regions.iter().flat_map(|region| &region.blocks);
    let wide = numbers
        .flat_map(|number| split.blocks.block(*number).instructions())
        .any(|instruction| {
            use LLVMOpcode::*;
            let ty = match instruction.opcode() {
                Some(LLVMStore) => instruction.operand(0).ty(),
                Some(LLVMLoad) => instruction.ty(),
                _ if instruction.ty().kind() == LLVMTypeKind::LLVMDoubleTypeKind => {
                    return true;
                }
                _ => return false,
            };
            !instruction.is_ordered()
                && ty.kind() != LLVMTypeKind::LLVMPointerTypeKind
                && storage(ty).is_some_and(|ty| size(ty) == 8)
                && !instruction
                    .operands()
                    .iter()
                    .any(|operand| operand.is_address_in_parameter())
        });
    if policy.is_for_phases() || wide || 2 * one * slots > REGISTERS * bytes {
        one
    } else {
        2 * one
    }
}
