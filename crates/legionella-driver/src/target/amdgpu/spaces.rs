//! Address spaces: variables on the stack and constants where the hardware has them.
//!
//! Takes a module in which all addresses are of one space, as on the host; gives it with variables in
//! scratch memory and constants in constant memory, whose addresses are converted where they are
//! taken. LLVM finds out by itself which accesses need no conversion ("User Guide for AMDGPU Backend",
//! section "Address Spaces").

use inkwell::module::Module;
use llvm_sys::core as c;
use llvm_sys::{LLVMLinkage, LLVMOpcode};

use crate::ir::{self, Builder, Function, Types, Value, llvm};

/// LLVM's numbers of the spaces.
pub(super) const GLOBAL: u32 = 1;
pub(super) const CONSTANT: u32 = 4;
pub(super) const PRIVATE: u32 = 5;

/// Moves variables on the stack. The module has the target's data layout.
pub(super) fn move_variables(module: &Module<'_>) {
    // All are found first: with a variable, instructions behind it change.
    let variables: Vec<_> = ir::functions(module)
        .into_iter()
        .flat_map(Function::instructions)
        .filter(|instruction| instruction.is(LLVMOpcode::LLVMAlloca))
        .collect();
    for variable in variables {
        move_variable(module, variable);
    }
}

fn move_variable(module: &Module<'_>, variable: Value<'_>) {
    let types = Types::of(module);
    let at = Builder::before(variable);
    let moved = at.allocas(
        variable.allocated(),
        variable.operand(0),
        variable.alignment(),
    );
    if moved.ty() == variable.ty() {
        return moved.erase();
    }
    let address = at.cast(LLVMOpcode::LLVMAddrSpaceCast, moved, types.ptr);
    for user in variable.users() {
        let name = user.called_function().map(Function::name);
        let marker = ["llvm.lifetime.start", "llvm.lifetime.end"]
            .into_iter()
            .find(|marker| name.as_ref().is_some_and(|name| name.starts_with(marker)));
        if let Some(marker) = marker {
            let marker = ir::intrinsic(module, marker, &[moved.ty()]);
            Builder::before(user).call(marker, &[moved]);
            user.erase();
        }
    }
    variable.replace_all_uses_with(address);
    variable.erase();
}

/// Moves what is global and in no space yet: constants, and, as there may be no others, what is called
/// one.
pub(super) fn move_constants(module: &Module<'_>) {
    let types = Types::of(module);
    for global in ir::globals(module) {
        // What is local to threads is refused, by that name.
        let local = llvm!(c::LLVMIsThreadLocal(global.raw())) != 0;
        if global.ty() != types.ptr || local {
            continue;
        }
        let constant = llvm!(c::LLVMIsGlobalConstant(global.raw())) != 0;
        let space = if constant { CONSTANT } else { GLOBAL };
        let name = ir::c_name(&global.name());
        let moved = llvm!({
            let ty = c::LLVMGlobalGetValueType(global.raw());
            let moved =
                c::LLVMAddGlobalInAddressSpace(module.as_mut_ptr(), ty, name.as_ptr(), space);
            let initial = c::LLVMGetInitializer(global.raw());
            if !initial.is_null() {
                c::LLVMSetInitializer(moved, initial);
            }
            c::LLVMSetGlobalConstant(moved, constant.into());
            let linkage = c::LLVMGetLinkage(global.raw());
            // What is private has no symbol, which relocations of vtables would need.
            c::LLVMSetLinkage(
                moved,
                if linkage == LLVMLinkage::LLVMPrivateLinkage {
                    LLVMLinkage::LLVMInternalLinkage
                } else {
                    linkage
                },
            );
            c::LLVMSetAlignment(moved, c::LLVMGetAlignment(global.raw()));
            c::LLVMSetUnnamedAddress(moved, c::LLVMGetUnnamedAddress(global.raw()));
            c::LLVMReplaceAllUsesWith(
                global.raw(),
                c::LLVMConstAddrSpaceCast(moved, types.ptr.raw()),
            );
            c::LLVMDeleteGlobal(global.raw());
            moved
        });
        llvm!(c::LLVMSetValueName2(
            moved,
            name.as_ptr(),
            name.as_bytes().len()
        ));
    }
}
