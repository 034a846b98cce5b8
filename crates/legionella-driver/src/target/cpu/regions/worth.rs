//! Whether it pays to run a kernel's loops across items: not where neighbours access memory far from
//! each other's.
//!
//! An access that is contiguous within an item and not across items costs a vector of lanes as many
//! accesses as there are lanes. Where such accesses are much of what a loop does, the loop is better
//! vectorised, if at all, within each item. An estimate: it decides about speed alone.

use std::collections::HashSet;

use llvm_sys::LLVMOpcode;
use llvm_sys::core as c;

use super::sharing::{Sharing, Sharings, is_lane_id};
use super::split::Split;
use crate::ir::{Function, Type, Value, llvm};

/// Longest computation of an address that is looked through.
const DEEPEST: u32 = 16;

/// Accesses within loops that lanes make apart from each other, if they are too many for the
/// arithmetic beside them: at least one for two operations.
pub(super) fn scattered<'m>(
    split: &Split<'m>,
    sharings: &Sharings<'m>,
    size: impl Fn(Type<'m>) -> u64,
) -> Option<usize> {
    let strides = Strides {
        sharings,
        size: &size,
    };
    let (mut apart, mut arithmetic) = (0, 0);
    for region in &split.regions {
        if split.loops.innermost(region.head()).is_none() {
            continue;
        }
        let blocks = region.blocks.iter();
        for instruction in blocks.flat_map(|number| split.blocks.block(*number).instructions()) {
            if let Some((address, ty)) = access(instruction) {
                let stride = strides.of(address, &mut HashSet::new(), 0);
                let near = match stride {
                    Some(Stride::Any | Stride::Bytes(0)) => true,
                    Some(Stride::Bytes(bytes)) => bytes == size(ty),
                    None => false,
                };
                apart += usize::from(!near);
            } else if sharings.get(instruction) == Sharing::Lane && is_arithmetic(instruction) {
                arithmetic += 1;
            }
        }
    }
    (apart > 0 && 2 * apart >= arithmetic).then_some(apart)
}

/// The address of a load or store, and the type that is there.
fn access(instruction: Value<'_>) -> Option<(Value<'_>, Type<'_>)> {
    match instruction.opcode()? {
        LLVMOpcode::LLVMLoad => Some((instruction.operand(0), instruction.ty())),
        LLVMOpcode::LLVMStore => Some((instruction.operand(1), instruction.operand(0).ty())),
        _ => None,
    }
}

/// Whether an instruction is what loops are there for, and not how they find their way.
fn is_arithmetic(instruction: Value<'_>) -> bool {
    use LLVMOpcode::*;
    matches!(
        instruction.opcode(),
        Some(LLVMFAdd | LLVMFSub | LLVMFMul | LLVMFDiv | LLVMFNeg | LLVMCall)
            | Some(LLVMAdd | LLVMSub | LLVMMul | LLVMShl | LLVMLShr | LLVMAShr)
            | Some(LLVMAnd | LLVMOr | LLVMXor | LLVMSelect | LLVMFPToUI | LLVMFPToSI)
            | Some(LLVMUIToFP | LLVMSIToFP)
    )
}

/// How much a value differs from lane to lane.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stride {
    /// As much as any other value that meets it in a loop.
    Any,
    Bytes(u64),
}

struct Strides<'a, 'm, F> {
    sharings: &'a Sharings<'m>,
    size: &'a F,
}

impl<'m, F: Fn(Type<'m>) -> u64> Strides<'_, 'm, F> {
    /// `None` if that isn't the same for all lanes, or not known.
    fn of(&self, value: Value<'m>, open: &mut HashSet<Value<'m>>, depth: u32) -> Option<Stride> {
        use LLVMOpcode::*;
        if is_lane_id(value) {
            return Some(Stride::Bytes(1));
        }
        if self.sharings.get(value) != Sharing::Lane && !value.is(LLVMAlloca) {
            return Some(Stride::Bytes(0));
        }
        if depth > DEEPEST {
            return None;
        }
        let mut operand = |index| self.of(value.operand(index), open, depth + 1);
        match value.opcode()? {
            LLVMAdd => sum(operand(0)?, operand(1)?),
            LLVMSub if operand(1)? == Stride::Bytes(0) => operand(0),
            LLVMMul => {
                let factor = value.operand(1).constant_integer()?;
                Some(times(operand(0)?, factor))
            }
            LLVMShl => {
                let shift = value.operand(1).constant_integer()?;
                Some(times(operand(0)?, 1u64.checked_shl(shift as u32)?))
            }
            LLVMZExt | LLVMSExt | LLVMTrunc | LLVMFreeze => operand(0),
            // Indices that saturate are out of bounds.
            LLVMCall if is_saturating_sum(value) => sum(operand(0)?, operand(1)?),
            LLVMGetElementPtr if value.operands().len() == 2 => {
                let element = llvm!(c::LLVMGetGEPSourceElementType(value.raw()));
                let index = times(operand(1)?, (self.size)(Type::from_raw(element)));
                sum(operand(0)?, index)
            }
            LLVMPHI => {
                if !open.insert(value) {
                    return Some(Stride::Any);
                }
                let mut all = Stride::Any;
                for (incoming, _) in value.incoming() {
                    match (all, self.of(incoming, open, depth + 1)?) {
                        (Stride::Any, other) => all = other,
                        (_, Stride::Any) => {}
                        (one, other) if one == other => {}
                        _ => return None,
                    }
                }
                open.remove(&value);
                Some(all)
            }
            _ => None,
        }
    }
}

fn is_saturating_sum(call: Value<'_>) -> bool {
    let name = call.called_function().map(Function::name);
    name.is_some_and(|name| name.starts_with("llvm.uadd.sat."))
}

fn sum(one: Stride, other: Stride) -> Option<Stride> {
    Some(match (one, other) {
        (Stride::Bytes(one), Stride::Bytes(other)) => Stride::Bytes(one.wrapping_add(other)),
        _ => Stride::Any,
    })
}

fn times(stride: Stride, factor: u64) -> Stride {
    match stride {
        Stride::Bytes(bytes) => Stride::Bytes(bytes.wrapping_mul(factor)),
        Stride::Any => Stride::Any,
    }
}
