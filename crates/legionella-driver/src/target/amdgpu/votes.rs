//! What the lanes of a wavefront tell each other: votes, and values of another lane.
//!
//! Lanes that are not here count as none; a value comes from a lane that is.

use inkwell::module::Module;
use llvm_sys::{LLVMIntPredicate, LLVMOpcode};

use crate::ir::{self, Builder, Function, Types, Value};

/// The function that gives the lanes which say yes, a bit each.
pub(super) fn ballot<'m>(module: &'m Module<'_>) -> Function<'m> {
    ir::intrinsic(module, "llvm.amdgcn.ballot", &[Types::of(module).i64])
}

/// The lanes that say yes.
pub(super) fn vote<'m>(module: &'m Module<'_>, at: &Builder<'m>, yes: Value<'m>) -> Value<'m> {
    at.call(ballot(module), &[yes])
}

/// Whether any lane says yes.
pub(super) fn any<'m>(module: &'m Module<'_>, at: &Builder<'m>, yes: Value<'m>) -> Value<'m> {
    let none = Types::of(module).i64.zero();
    at.compare(LLVMIntPredicate::LLVMIntNE, vote(module, at, yes), none)
}

/// The value of another lane.
pub(super) fn shuffle<'m>(
    module: &'m Module<'_>,
    at: &Builder<'m>,
    value: Value<'m>,
    lane: Value<'m>,
) -> Value<'m> {
    // The lane is told by the address of its part in memory of 4 bytes a lane.
    let two = Types::of(module).i32.constant(2);
    let address = at.binary(LLVMOpcode::LLVMShl, lane, two);
    let permute = ir::intrinsic(module, "llvm.amdgcn.ds.bpermute", &[]);
    at.call(permute, &[address, value])
}
