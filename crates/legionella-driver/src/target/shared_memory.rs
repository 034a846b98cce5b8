//! Memory that the items of a group share, on devices that have it in an address space of its own.

use std::collections::BTreeMap;

use inkwell::module::Module;
use legionella_abi::intrinsic;
use llvm_sys::LLVMOpcode;
use llvm_sys::core as c;

use super::kernels::SharedMemory;
use super::meetings::{calls, delete, first_instruction};
use crate::error::Error;
use crate::ir::{self, Builder, Function, Types, Value, llvm};

/// LLVM's number of the address space of shared memory.
pub(super) const SHARED: u32 = 3;

/// The memory whose size the launch gives.
const DYNAMIC: &str = "legionella_dynamic_shared";

/// One tile of shared memory.
#[derive(Clone, Copy)]
struct Tile {
    size: u64,
    align: u64,
}

/// Gives tiles their memory: variables, or parts of the launch's memory if they are too large for
/// that.
///
/// `most` are the bytes that code can ask for by itself. Tiles whose size is a multiple of `least`
/// are aligned to that.
pub(super) fn bind(
    module: &Module<'_>,
    entry: Function<'_>,
    most: u64,
    least: u64,
) -> Result<SharedMemory, Error> {
    let types = Types::of(module);
    let mut tiles: BTreeMap<u64, Tile> = BTreeMap::new();
    let asked = calls(module, intrinsic::SHARED);
    let numbers = |call: Value<'_>| -> Result<[u64; 3], Error> {
        let operand = |index| call.operand(index).constant_integer();
        match [operand(0), operand(1), operand(2)] {
            [Some(size), Some(align), Some(id)] => Ok([size, align, id]),
            _ => Err(Error::Internal {
                stage: "groups of a device",
                reason: "shared memory of no constant size".to_owned(),
            }),
        }
    };
    for call in &asked {
        let [size, align, id] = numbers(*call)?;
        let align = if size.is_multiple_of(least) {
            align.max(least)
        } else {
            align
        };
        tiles.insert(id, Tile { size, align });
    }
    let all: u64 = (tiles.values()).fold(0, |all: u64, tile| {
        all.next_multiple_of(tile.align.max(1))
            .saturating_add(tile.size)
    });
    let by_launch = all > most;
    let mut shared = SharedMemory {
        dynamic: by_launch || !calls(module, intrinsic::DYNAMIC_SHARED).is_empty(),
        front: 0,
    };
    let mut start = BTreeMap::new();
    let at = Builder::before(first_instruction(entry));
    let base = shared.dynamic.then(|| {
        let align = least.max(intrinsic::DYNAMIC_SHARED_ALIGN as u64);
        let global = variable(module, DYNAMIC, 0, align);
        at.cast(LLVMOpcode::LLVMAddrSpaceCast, global, types.ptr)
    });
    for (id, tile) in &tiles {
        let address = match base.filter(|_| by_launch) {
            Some(base) => {
                let offset = shared.front.next_multiple_of(tile.align.max(1));
                shared.front = offset.saturating_add(tile.size);
                at.element(types.i8, base, types.i64.constant(offset))
            }
            None => {
                let name = format!("legionella_shared_{id}");
                let global = variable(module, &name, tile.size.max(1), tile.align.max(16));
                at.cast(LLVMOpcode::LLVMAddrSpaceCast, global, types.ptr)
            }
        };
        start.insert(*id, address);
    }
    shared.front = shared
        .front
        .next_multiple_of(intrinsic::DYNAMIC_SHARED_ALIGN as u64);
    for call in asked {
        let [.., id] = numbers(call)?;
        call.replace_all_uses_with(start[&id]);
        call.erase();
    }
    for call in calls(module, intrinsic::DYNAMIC_SHARED) {
        if let Some(base) = base {
            let behind = at.element(types.i8, base, types.i64.constant(shared.front));
            call.replace_all_uses_with(behind);
        }
        call.erase();
    }
    delete(module, intrinsic::SHARED);
    delete(module, intrinsic::DYNAMIC_SHARED);
    Ok(shared)
}

/// A variable in shared memory; without a size, one of which the launch decides.
///
/// It is visible from outside, or LLVM would take it that nothing but this thread writes it.
fn variable<'m>(module: &'m Module<'_>, name: &str, size: u64, align: u64) -> Value<'m> {
    let types = Types::of(module);
    let ty = types.i8.array(size);
    let name = ir::c_name(name);
    llvm!({
        let global =
            c::LLVMAddGlobalInAddressSpace(module.as_mut_ptr(), ty.raw(), name.as_ptr(), SHARED);
        if size > 0 {
            c::LLVMSetInitializer(global, c::LLVMGetUndef(ty.raw()));
        }
        c::LLVMSetAlignment(global, align as u32);
        Value::from_raw(global)
    })
}
