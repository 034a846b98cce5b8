//! What kernels are made of on NVIDIA's devices: parameters, and special registers.

use inkwell::module::Module;
use legionella_abi::nvptx;

use super::super::kernels::{Device, Register};
use crate::ir::{self, Block, Builder, Function, Type, Types, Value};

pub(super) const DEVICE: Device = Device {
    convention: PTX_KERNEL,
    parameters: 0,
    by_value,
    launch: size_of::<nvptx::Launch>(),
    largest_block: nvptx::LARGEST_BLOCK,
    read,
    leave,
    skip: leave,
    records: None,
    together: None,
    meet: Some(meet),
};

/// LLVM's number of the calling convention `ptx_kernel`.
const PTX_KERNEL: u32 = 71;

/// Has a parameter passed by value, which the device reads where it is.
fn by_value(function: Function<'_>, parameter: u32, ty: Type<'_>, align: u64) {
    function.add_type_attribute(parameter, "byval", ty);
    function.add_parameter_attribute(parameter, "align", align);
    function.add_parameter_text_attribute(parameter, "nvvm.grid_constant", "");
    function.add_parameter_attribute(parameter, "noalias", 0);
    function.add_parameter_attribute(parameter, "readonly", 0);
}

/// A special register.
fn read<'m>(
    module: &'m Module<'_>,
    at: &Builder<'m>,
    _: Value<'m>,
    register: Register,
    dimension: usize,
) -> Value<'m> {
    let name = match register {
        Register::Local => "tid",
        Register::Group => "ctaid",
        Register::GroupSize => "ntid",
    };
    let dimension = ["x", "y", "z"][dimension];
    let name = format!("llvm.nvvm.read.ptx.sreg.{name}.{dimension}");
    at.call(ir::intrinsic(module, &name, &[]), &[])
}

/// All lanes of each warp are together where a kernel starts.
fn meet<'m>(module: &'m Module<'_>, at: &Builder<'m>) {
    let barrier = ir::intrinsic(module, "llvm.nvvm.barrier.cta.sync.aligned.all", &[]);
    at.call(barrier, &[Types::of(module).i32.zero()]);
}

fn leave<'m>(module: &'m Module<'_>, block: Block<'m>) {
    let at = Builder::at_end(block);
    at.call(ir::intrinsic(module, "llvm.nvvm.exit", &[]), &[]);
    at.unreachable();
}
