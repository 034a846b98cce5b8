//! Ids and sizes of work-items, computed of the device's registers and the launch.

use std::collections::BTreeMap;

use inkwell::module::Module;
use legionella_abi::{gpu, intrinsic};
use llvm_sys::{LLVMIntPredicate, LLVMOpcode};

use super::{Form, Kernel, Kernels, Register};
use crate::error::Error;
use crate::ir::{self, Builder, Types, Value};

/// Replaces ids by the device's registers, once the shim is inlined; in what panics later, by what
/// it is told.
pub(in super::super) fn bind_ids(module: &Module<'_>, kernels: &Kernels<'_>) -> Result<(), Error> {
    let types = Types::of(module);
    let wide = kernels.wide.iter();
    let quick: BTreeMap<_, _> = wide
        .map(|(function, wide)| (*function, wide.quick_blocks()))
        .collect();
    for (kind, name) in crate::lower::IDS.into_iter().enumerate() {
        let Some(function) = ir::function(module, name) else {
            continue;
        };
        for call in function.value().users() {
            let user = call.block().function();
            let at = Builder::before(call);
            let dimension = call.operand(0);
            let value = if kernels.cold == Some(user) {
                let told = user.parameters()[2];
                let index = at.add(types.i32.constant(3 * kind as u64), dimension);
                at.load(types.i64, at.element(types.i64, told, index))
            } else if let Some(kernel) = kernels.all.iter().find(|kernel| kernel.function == user) {
                let wide = (kernels.wide.iter()).find(|(function, _)| *function == user);
                let item = wide.map(|(_, wide)| {
                    let in_quick = quick.get(&user).is_some_and(|q| q.contains(&call.block()));
                    wide.item(&at, in_quick)
                });
                let kernel = Kernel {
                    item,
                    row: wide.and_then(|(_, wide)| wide.row()),
                    ..*kernel
                };
                let ids = Ids::of(&kernel, module, &types);
                let value = |dimension| ids.value(&at, name, dimension);
                match dimension.constant_integer() {
                    Some(index @ 0..3) => value(index as usize),
                    _ => {
                        let is = |index| {
                            let index = types.i32.constant(index);
                            at.compare(LLVMIntPredicate::LLVMIntEQ, dimension, index)
                        };
                        let others = at.select(is(1), value(1), value(2));
                        at.select(is(0), value(0), others)
                    }
                }
            } else {
                return Err(Error::Internal {
                    stage: "kernels of a device",
                    reason: format!("{} asks for ids out of line", user.name()),
                });
            };
            call.replace_all_uses_with(value);
            call.erase();
        }
        function.delete();
    }
    Ok(())
}

/// Computes ids and sizes from registers and the launch.
pub(super) struct Ids<'k, 'm, 'c> {
    pub(super) kernel: &'k Kernel<'m>,
    pub(super) module: &'m Module<'c>,
    pub(super) types: &'k Types<'m>,
}

impl<'k, 'm, 'c> Ids<'k, 'm, 'c> {
    pub(super) fn of(kernel: &'k Kernel<'m>, module: &'m Module<'c>, types: &'k Types<'m>) -> Self {
        Ids {
            kernel,
            module,
            types,
        }
    }

    pub(super) fn value(&self, at: &Builder<'m>, intrinsic: &str, dimension: usize) -> Value<'m> {
        match intrinsic {
            intrinsic::GLOBAL_ID => self.global(at, dimension),
            intrinsic::GRID_SIZE => self.grid(at, dimension),
            intrinsic::LOCAL_ID => self.local(at, dimension),
            intrinsic::GROUP_ID => self.group(at, dimension),
            _ => self.group_size(at, dimension),
        }
    }

    /// Whether a dimension has one work-item.
    pub(super) fn is_single(&self, dimension: usize) -> bool {
        match self.kernel.form {
            Form::Line | Form::Wide => dimension > 0,
            Form::Plane | Form::WidePlane => dimension > 1,
            Form::Any | Form::Panic => false,
        }
    }

    pub(super) fn constant(&self, value: u64) -> Value<'m> {
        self.types.i64.constant(value)
    }

    /// The number of the thread in a dimension of a usual launch, which is at most somewhat more than
    /// `most`. That is told by the number's bits, so that LLVM computes with 32.
    pub(super) fn linear_thread(&self, at: &Builder<'m>, dimension: usize, most: u64) -> Value<'m> {
        let register = |register| self.narrow_register(at, register, dimension);
        let before = at.mul_no_wrap(register(Register::Group), register(Register::GroupSize));
        self.bounded(at, at.add(before, register(Register::Local)), most)
    }

    /// A number of 32 bits that is less than twice `most`, a power of two, as one of 64.
    pub(super) fn bounded(&self, at: &Builder<'m>, number: Value<'m>, most: u64) -> Value<'m> {
        let mask = self.types.i32.constant(2 * most - 1);
        let bounded = at.binary(LLVMOpcode::LLVMAnd, number, mask);
        at.zero_extend(bounded, self.types.i64)
    }

    /// What the machine has of the item, as 64 bits.
    pub(super) fn register(
        &self,
        at: &Builder<'m>,
        register: Register,
        dimension: usize,
    ) -> Value<'m> {
        at.zero_extend(
            self.narrow_register(at, register, dimension),
            self.types.i64,
        )
    }

    pub(super) fn narrow_register(
        &self,
        at: &Builder<'m>,
        register: Register,
        dimension: usize,
    ) -> Value<'m> {
        let read = self.kernel.device.read;
        read(self.module, at, self.kernel.launch, register, dimension)
    }

    /// A word of the launch.
    pub(super) fn word(&self, at: &Builder<'m>, index: usize) -> Value<'m> {
        let index = self.constant(index as u64);
        let address = at.element(self.types.i64, self.kernel.launch, index);
        at.load(self.types.i64, address)
    }

    /// The id of the item that runs where a thread runs several.
    pub(super) fn of_several(&self, dimension: usize) -> Option<Value<'m>> {
        match dimension {
            0 => self.kernel.item,
            _ => self.kernel.row,
        }
    }

    pub(super) fn global(&self, at: &Builder<'m>, dimension: usize) -> Value<'m> {
        if self.is_single(dimension) {
            return self.constant(0);
        }
        if let Some(id) = self.of_several(dimension) {
            return id;
        }
        if self.kernel.form.is_usual() {
            return self.linear_thread(at, dimension, gpu::SMALL);
        }
        let first = at.mul_no_wrap(self.group(at, dimension), self.group_size(at, dimension));
        at.add(first, self.local(at, dimension))
    }

    pub(super) fn grid(&self, at: &Builder<'m>, dimension: usize) -> Value<'m> {
        if self.is_single(dimension) {
            return self.constant(1);
        }
        let place = std::mem::offset_of!(gpu::Launch, grid) / 8 + dimension;
        if self.kernel.form.is_usual() {
            let address = at.element(
                self.types.i64,
                self.kernel.launch,
                self.constant(place as u64),
            );
            // Of a small number, the lower half is all.
            let size = at.load(self.types.i32, address);
            return self.bounded(at, size, gpu::SMALL);
        }
        self.word(at, place)
    }

    pub(super) fn local(&self, at: &Builder<'m>, dimension: usize) -> Value<'m> {
        if self.is_single(dimension) {
            return self.constant(0);
        }
        if let (0, Some(item)) = (dimension, self.kernel.item) {
            return at.binary(LLVMOpcode::LLVMURem, item, self.group_size(at, dimension));
        }
        self.register(at, Register::Local, dimension)
    }

    pub(super) fn group(&self, at: &Builder<'m>, dimension: usize) -> Value<'m> {
        if self.is_single(dimension) {
            return self.constant(0);
        }
        if let (0, Some(item)) = (dimension, self.kernel.item) {
            return at.binary(LLVMOpcode::LLVMUDiv, item, self.group_size(at, dimension));
        }
        let here = self.register(at, Register::Group, dimension);
        if self.kernel.form.is_usual() {
            return here;
        }
        let place = std::mem::offset_of!(gpu::Launch, first_group) / 8;
        at.add(here, self.word(at, place + dimension))
    }

    pub(super) fn group_size(&self, at: &Builder<'m>, dimension: usize) -> Value<'m> {
        if self.is_single(dimension) {
            return self.constant(1);
        }
        self.register(at, Register::GroupSize, dimension)
    }
}
