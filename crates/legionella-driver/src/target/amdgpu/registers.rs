//! What kernels are made of on AMD's devices: the kernel argument segment, and the registers that the
//! hardware sets ("User Guide for AMDGPU Backend", section "Initial Kernel Execution State").

use std::mem::offset_of;

use inkwell::module::Module;
use legionella_abi::amdgpu;

use super::super::kernels::{Device, EndTogether, Register};
use super::{groups, missing, spaces};
use crate::ir::{self, Block, Builder, Function, Type, Types, Value};

pub(super) const DEVICE: Device = Device {
    convention: AMDGPU_KERNEL,
    parameters: spaces::CONSTANT,
    by_value,
    launch: size_of::<amdgpu::Launch>(),
    largest_block: u64::MAX,
    read,
    leave,
    skip,
    records: Some(spaces::GLOBAL),
    together: Some(EndTogether {
        tells: missing::tells,
        miss_at_the_end: missing::miss_at_the_end,
    }),
    meet: None,
};

/// LLVM's number of the calling convention `amdgpu_kernel`.
const AMDGPU_KERNEL: u32 = 91;

/// Has a parameter passed by value, which is read where it is in the segment.
fn by_value(function: Function<'_>, parameter: u32, ty: Type<'_>, align: u64) {
    function.add_type_attribute(parameter, "byref", ty);
    function.add_parameter_attribute(parameter, "align", align);
    function.add_parameter_attribute(parameter, "noalias", 0);
    function.add_parameter_attribute(parameter, "readonly", 0);
}

/// Sizes of groups are told with the launch: so the code asks for no packet.
fn read<'m>(
    module: &'m Module<'_>,
    at: &Builder<'m>,
    launch: Value<'m>,
    register: Register,
    dimension: usize,
) -> Value<'m> {
    let name = match register {
        Register::Local => "workitem",
        Register::Group => "workgroup",
        Register::GroupSize => {
            let types = Types::of(module);
            let offset = offset_of!(amdgpu::Launch, group) + 4 * dimension;
            let place = at.element(types.i8, launch, types.i64.constant(offset as u64));
            return at.load(types.i32, place);
        }
    };
    let dimension = ["x", "y", "z"][dimension];
    let name = format!("llvm.amdgcn.{name}.id.{dimension}");
    at.call(ir::intrinsic(module, &name, &[]), &[])
}

/// Lanes of a wavefront end together, so that one which has nothing left to do waits for the others of
/// its own; those of others are told.
fn leave<'m>(module: &'m Module<'_>, block: Block<'m>) {
    let at = Builder::at_end(block);
    groups::leave(module, &at);
    at.ret(None);
}

fn skip<'m>(_: &'m Module<'_>, block: Block<'m>) {
    Builder::at_end(block).ret(None);
}
