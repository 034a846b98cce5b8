//! What kernels leave in memory of their group, for code that is far from their parameters.

use inkwell::module::Module;
use legionella_abi::gpu;
use llvm_sys::{LLVMIntPredicate, LLVMOpcode};

use super::device::Meet;
use super::ids::Ids;
use super::{Form, Kernels, Register};
use crate::ir::{Builder, Types, Value};

impl<'m> Kernels<'m> {
    /// Leaves for instructions of the kernels, for which `wanted` says so, what a panic needs to know of the
    /// launch: the address of its state, and its first group.
    pub(in super::super) fn leave_place(
        &self,
        module: &'m Module<'_>,
        place: Value<'m>,
        mut wanted: impl FnMut(Value<'m>) -> bool,
    ) {
        let types = Types::of(module);
        let first = std::mem::offset_of!(gpu::Launch, first_group) / 8;
        for kernel in &self.all {
            let ids = Ids::of(kernel, module, &types);
            for leave in ids.leave_for(&mut wanted) {
                let at = &leave.at;
                let state = at.cast(LLVMOpcode::LLVMPtrToInt, kernel.state, types.i64);
                leave.word(state, place);
                for dimension in 0..3 {
                    let word = match kernel.form {
                        Form::Any => ids.word(at, first + dimension),
                        _ => types.i64.zero(),
                    };
                    let index = types.i64.constant(1 + dimension as u64);
                    leave.word(word, at.element(types.i64, place, index));
                }
            }
        }
    }

    /// Leaves for instructions of the kernels, for which `wanted` says so, what says which item of which launch
    /// runs: the launch's number, two extents of its grid, its first group, and, where the machine doesn't tell
    /// them, the `sizes` of groups.
    pub(in super::super) fn leave_launch(
        &self,
        module: &'m Module<'_>,
        place: Value<'m>,
        sizes: bool,
        mut wanted: impl FnMut(Value<'m>) -> bool,
    ) {
        use std::mem::offset_of;
        let types = Types::of(module);
        for kernel in &self.all {
            // The kernel for panics runs as one item, which is that of the ids.
            let words = match kernel.form {
                Form::Panic => {
                    let (ids, sizes) = (offset_of!(gpu::Panicked, ids), 3 * 8);
                    let [x, y, z] = [ids, ids + 8, ids + 16];
                    let number = offset_of!(gpu::Panicked, number);
                    [number, x + sizes, y + sizes, x, y, z]
                }
                _ => {
                    let grid = offset_of!(gpu::Launch, grid);
                    let first = offset_of!(gpu::Launch, first_group);
                    let number = offset_of!(gpu::Launch, number);
                    [number, grid, grid + 8, first, first + 8, first + 16]
                }
            };
            let ids = Ids::of(kernel, module, &types);
            for leave in ids.leave_for(&mut wanted) {
                let at = &leave.at;
                for (index, offset) in words.into_iter().enumerate() {
                    let word = ids.word(at, offset / 8);
                    let index = types.i64.constant(index as u64);
                    leave.word(word, at.element(types.i64, place, index));
                }
                for dimension in (0..3).filter(|_| sizes) {
                    let size = match kernel.form {
                        Form::Panic => types.i64.constant(1),
                        _ => ids.group_size(at, dimension),
                    };
                    let index = types.i64.constant((words.len() + dimension) as u64);
                    leave.word(size, at.element(types.i64, place, index));
                }
            }
        }
    }
}

/// Where a kernel leaves something in memory of a group.
struct Leave<'m> {
    at: Builder<'m>,
    /// Whether several items may do so at once, on a device where that is told of as a race though each writes the same.
    at_once: bool,
}

impl<'m> Leave<'m> {
    fn word(&self, word: Value<'m>, to: Value<'m>) {
        match self.at_once {
            true => self.at.atomic_exchange(to, word),
            false => self.at.store(word, to),
        };
    }
}

impl<'m> Ids<'_, 'm, '_> {
    /// Where to leave something in memory of the group for those instructions of the kernel that are `wanted`:
    /// in front of each, or once for all of them and all items. What ends the item anyway pays for itself.
    fn leave_for(&self, mut wanted: impl FnMut(Value<'m>) -> bool) -> Vec<Leave<'m>> {
        let instructions = self.kernel.function.instructions().into_iter();
        let wanted: Vec<_> = instructions.filter(|each| wanted(*each)).collect();
        let goes_on = |call: &Value<'m>| !call.block().terminator().is(LLVMOpcode::LLVMUnreachable);
        // One item alone needs no others.
        let meet = (self.kernel.device.meet).filter(|_| self.kernel.form != Form::Panic);
        match meet {
            Some(meet) if wanted.iter().any(goes_on) => vec![Leave {
                at: self.first_of_group(meet),
                at_once: false,
            }],
            _ => wanted
                .into_iter()
                .map(|call| Leave {
                    at: Builder::before(call),
                    at_once: meet.is_some(),
                })
                .collect(),
        }
    }

    /// Where the first item of each group is alone, at the kernel's start; then all `meet`.
    fn first_of_group(&self, meet: Meet) -> Builder<'m> {
        let start = self.kernel.function.blocks()[0];
        let mut instructions = start.instructions().into_iter();
        let begins = instructions
            .find(|instruction| !instruction.is(LLVMOpcode::LLVMAlloca))
            .unwrap_or_else(|| start.terminator());
        let all = start.split_before(begins);
        start.terminator().erase();
        let first = self.kernel.function.append_block("first");
        first.move_after(start);
        let at = Builder::at_end(start);
        let dimensions = (0..3).filter(|dimension| !self.is_single(*dimension));
        let number = dimensions
            .map(|dimension| self.narrow_register(&at, Register::Local, dimension))
            .reduce(|all, local| at.binary(LLVMOpcode::LLVMOr, all, local))
            .unwrap_or_else(|| self.types.i32.zero());
        let is_first = at.compare(LLVMIntPredicate::LLVMIntEQ, number, self.types.i32.zero());
        at.branch_if(is_first, first, all);
        meet(self.module, &Builder::before(begins));
        Builder::before(Builder::at_end(first).branch(all))
    }
}
