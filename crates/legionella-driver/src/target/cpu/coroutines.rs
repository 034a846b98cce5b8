//! Items that wait for each other, as coroutines.
//!
//! Takes a simplified entry shim with operations of whole groups in it, and makes of it a coroutine
//! that stops at each of them and at its end (LLVM's "Coroutines in LLVM", switched-resume
//! lowering). What starts items, resumes them and decides who may go on is Rust, in the device
//! library (`legionella_device::cpu`), and becomes the function that the application calls. This is
//! right for any control flow: each item keeps its own place in the kernel.
//!
//! The loop and the items meet in a [`Slot`] an item and a [`Context`] a group.

use std::mem::offset_of;

use inkwell::module::Module;
use inkwell::targets::TargetMachine;
use legionella_abi::cpu::{self, Context, Slot, Wait};
use legionella_abi::intrinsic;
use llvm_sys::{LLVMLinkage, LLVMOpcode};

use super::internal;
use crate::error::Error;
use crate::generate::Stages;
use crate::ir::{self, Block, Builder, Function, Pipeline, Type, Types, Value};

/// Where a coroutine tells size and alignment of its frame, until these are known.
const FRAME: &str = "legionella.cpu.frame";

/// Splits coroutines, before anything could make their frames larger.
const SPLIT: Pipeline<'static> = Pipeline {
    text: "coro-early,cgscc(coro-split),coro-cleanup",
    ..crate::lower::PLAIN
};

/// Makes a coroutine of the entry shim, and of the loop in the device library the code's entry.
pub(super) fn build(
    module: &Module<'_>,
    entry: &str,
    machine: &TargetMachine,
    stages: &mut Stages<'_>,
) -> Result<(), Error> {
    let missing = |name: &str| internal(format!("the function {name} is gone"));
    let shim = ir::function(module, entry).ok_or_else(|| missing(entry))?;
    let run = ir::function(module, intrinsic::CPU_RUN_GROUPS)
        .ok_or_else(|| missing(intrinsic::CPU_RUN_GROUPS))?;
    let item = Item::of(module, shim);
    let shared_size = item.bind_constants(module)?;
    item.bind_operations(module);
    run.set_name(cpu::RUN);
    bind_start(module, item.function);
    bind_resume(module);
    stages.show("items", module)?;
    SPLIT.run(module, machine)?;
    let [frame_size, frame_align] = frame(module)?;
    answer(module, intrinsic::CPU_FRAME_SIZE, frame_size);
    answer(module, intrinsic::CPU_FRAME_ALIGN, frame_align);
    answer(module, intrinsic::CPU_SHARED_SIZE, shared_size);
    Ok(())
}

/// The kernel as a coroutine: `fn(block, frame, slot, context)`.
struct Item<'m> {
    types: Types<'m>,
    function: Function<'m>,
    slot: Value<'m>,
    context: Value<'m>,
    /// Where the coroutine leaves to whoever runs it.
    leave: Block<'m>,
}

impl<'m> Item<'m> {
    /// Moves an entry shim's body into a coroutine.
    fn of(module: &'m Module<'_>, shim: Function<'m>) -> Self {
        let types = Types::of(module);
        let function = ir::declare(module, "legionella.item", types.void, &[types.ptr; 4]);
        function.set_linkage(LLVMLinkage::LLVMInternalLinkage);
        function.add_attribute("presplitcoroutine");
        function.add_attribute("nounwind");
        let [block, frame, slot, context] = function.parameters()[..] else {
            unreachable!("the function was declared with four parameters");
        };

        let start = function.append_block("start");
        let at = Builder::at_end(start);
        let blocks = shim.blocks();
        for alloca in blocks.iter().flat_map(|block| block.allocas()) {
            alloca.detach();
            at.insert(alloca);
        }
        let mut last = start;
        for block in &blocks {
            block.move_after(last);
            last = *block;
        }
        shim.parameters()[0].replace_all_uses_with(block);
        shim.delete();

        let none = types.ptr.zero();
        let id = at.call(
            ir::intrinsic(module, "llvm.coro.id", &[]),
            &[types.i32.zero(), none, none, none],
        );
        let told = ["llvm.coro.size", "llvm.coro.align"]
            .map(|name| at.call(ir::intrinsic(module, name, &[types.i64]), &[]));
        let frame_is = ir::declare(module, FRAME, types.void, &[types.i64; 2]);
        at.call(frame_is, &told);
        let begin = ir::intrinsic(module, "llvm.coro.begin", &[]);
        let handle = at.call(begin, &[id, frame]);
        at.branch(blocks[0]);

        let leave = function.append_block("leave");
        let at = Builder::at_end(leave);
        let end = ir::intrinsic(module, "llvm.coro.end", &[]);
        at.call(end, &[handle, types.i1.zero(), types.token.zero()]);
        at.ret(None);
        let item = Item {
            types,
            function,
            slot,
            context,
            leave,
        };
        for block in blocks {
            let terminator = block.terminator();
            if terminator.is(LLVMOpcode::LLVMRet) {
                let at = Builder::before(terminator);
                item.note(&at, Wait::Ended);
                at.branch(leave);
                terminator.erase();
            }
        }
        item
    }

    /// The address of a field.
    fn field(&self, at: &Builder<'m>, base: Value<'m>, offset: usize) -> Value<'m> {
        at.element(self.types.i8, base, self.types.i64.constant(offset as u64))
    }

    fn load(&self, at: &Builder<'m>, ty: Type<'m>, base: Value<'m>, offset: usize) -> Value<'m> {
        at.load(ty, self.field(at, base, offset))
    }

    /// Writes why the item stops.
    fn note(&self, at: &Builder<'m>, wait: Wait) {
        let place = self.field(at, self.slot, offset_of!(Slot, wait));
        at.store(self.types.i32.constant(wait as u64), place);
    }

    /// Binds what has the same value whenever an item asks. Gives the bytes of all shared memory
    /// that the code asks for.
    fn bind_constants(&self, module: &'m Module<'_>) -> Result<u64, Error> {
        let mut shared = SharedMemory::default();
        let names = [
            intrinsic::SHARED,
            intrinsic::DYNAMIC_SHARED,
            intrinsic::SUBGROUP_LANE,
        ];
        for name in crate::lower::IDS.into_iter().chain(names) {
            let Some(function) = ir::function(module, name) else {
                continue;
            };
            for call in function.value().users() {
                if call.block().function() != self.function {
                    return Err(internal(format!("{name} is used out of line")));
                }
                let at = Builder::before(call);
                let value = match name {
                    intrinsic::SHARED => {
                        let base = offset_of!(Context, shared);
                        let base = self.load(&at, self.types.ptr, self.context, base);
                        let offset = shared.place(call)?;
                        at.element(self.types.i8, base, self.types.i64.constant(offset))
                    }
                    intrinsic::DYNAMIC_SHARED => {
                        let field = offset_of!(Context, dynamic_shared);
                        self.load(&at, self.types.ptr, self.context, field)
                    }
                    intrinsic::SUBGROUP_LANE => {
                        self.load(&at, self.types.i32, self.slot, offset_of!(Slot, lane))
                    }
                    id => self.id(&at, id, call.operand(0)),
                };
                call.replace_all_uses_with(value);
                call.erase();
            }
            function.delete();
        }
        Ok(shared.size)
    }

    /// An id of the item or a size of the launch, in a dimension.
    fn id(&self, at: &Builder<'m>, name: &str, dimension: Value<'m>) -> Value<'m> {
        let of = |base: Value<'m>, field: usize| {
            let address = at.element(self.types.i64, self.field(at, base, field), dimension);
            at.load(self.types.i64, address)
        };
        let local = |()| of(self.slot, offset_of!(Slot, local));
        match name {
            intrinsic::GLOBAL_ID => at.add(of(self.context, offset_of!(Context, base)), local(())),
            intrinsic::LOCAL_ID => local(()),
            intrinsic::GRID_SIZE => of(self.context, offset_of!(Context, grid)),
            intrinsic::GROUP_ID => of(self.context, offset_of!(Context, group)),
            _ => of(self.context, offset_of!(Context, group_size)),
        }
    }

    /// Has the item stop at every operation of its group or subgroup.
    fn bind_operations(&self, module: &'m Module<'_>) {
        for name in intrinsic::COLLECTIVE {
            let Some(function) = ir::function(module, name) else {
                continue;
            };
            for call in function.value().users() {
                let operands = call.operands();
                let at = Builder::before(call);
                let put = |value: Value<'m>, field: usize| {
                    at.store(value, self.field(&at, self.slot, field));
                };
                let place = match name {
                    intrinsic::BARRIER => {
                        put(operands[0], offset_of!(Slot, label));
                        self.note(&at, Wait::Barrier);
                        operands[1]
                    }
                    intrinsic::SUBGROUP_SHUFFLE => {
                        put(operands[0], offset_of!(Slot, operand));
                        put(operands[1], offset_of!(Slot, label));
                        self.note(&at, Wait::Shuffle);
                        operands[2]
                    }
                    _ => {
                        put(operands[0], offset_of!(Slot, operand));
                        self.note(&at, Wait::Ballot);
                        operands[1]
                    }
                };
                put(place, offset_of!(Slot, place));
                let behind = self.stop(module, call);
                if name != intrinsic::BARRIER {
                    let field = offset_of!(Slot, result);
                    let result = self.load(&behind, call.ty(), self.slot, field);
                    call.replace_all_uses_with(result);
                }
                call.erase();
            }
            function.delete();
        }
    }

    /// Stops the item before an instruction; gives the place where it goes on, still before it.
    fn stop(&self, module: &'m Module<'_>, before: Value<'m>) -> Builder<'m> {
        let i8 = self.types.i8;
        let at = Builder::before(before);
        let suspend = ir::intrinsic(module, "llvm.coro.suspend", &[]);
        let why = at.call(suspend, &[self.types.token.zero(), self.types.i1.zero()]);
        let block = before.block();
        let behind = block.split_before(before);
        let terminator = block.terminator();
        let at = Builder::before(terminator);
        // 0: resumed; 1: destroyed, which nobody does; else: suspended.
        at.switch(
            why,
            self.leave,
            &[(i8.zero(), behind), (i8.constant(1), self.leave)],
        );
        terminator.erase();
        Builder::before(before)
    }
}

/// Where the tiles of shared memory lie, by id.
#[derive(Default)]
pub(super) struct SharedMemory {
    tiles: Vec<(u64, u64)>,
    /// Bytes of all of them.
    pub(super) size: u64,
}

impl SharedMemory {
    /// The distance of what a call asks for from the start of it all.
    pub(super) fn place(&mut self, call: Value<'_>) -> Result<u64, Error> {
        let constant = |index| {
            let operand = call.operand(index).constant_integer();
            operand.ok_or_else(|| internal("shared memory of no constant size".to_owned()))
        };
        let (size, align, id) = (constant(0)?, constant(1)?, constant(2)?);
        if let Some((_, offset)) = self.tiles.iter().find(|(known, _)| *known == id) {
            return Ok(*offset);
        }
        if align > intrinsic::DYNAMIC_SHARED_ALIGN as u64 {
            return Err(internal(format!("shared memory aligned to {align} bytes")));
        }
        let offset = self.size.next_multiple_of(align.max(1));
        self.size = offset.saturating_add(size);
        self.tiles.push((id, offset));
        Ok(offset)
    }
}

/// Has the loop start items by the coroutine.
fn bind_start(module: &Module<'_>, item: Function<'_>) {
    if let Some(start) = ir::function(module, intrinsic::CPU_START) {
        start.value().replace_all_uses_with(item.value());
        start.delete();
    }
}

/// Gives the loop's function that resumes an item its body.
fn bind_resume(module: &Module<'_>) {
    if let Some(resume) = ir::function(module, intrinsic::CPU_RESUME) {
        let at = Builder::at_end(resume.append_block("resume"));
        let function = ir::intrinsic(module, "llvm.coro.resume", &[]);
        at.call(function, &resume.parameters());
        at.ret(None);
        define(resume);
    }
}

/// Gives a function of the loop a body that returns a constant.
fn answer(module: &Module<'_>, name: &str, value: u64) {
    if let Some(function) = ir::function(module, name) {
        let value = Types::of(module).i64.constant(value);
        Builder::at_end(function.append_block("answer")).ret(Some(value));
        define(function);
    }
}

fn define(function: Function<'_>) {
    function.add_attribute("alwaysinline");
    function.set_linkage(LLVMLinkage::LLVMInternalLinkage);
}

/// What the coroutine told of its frame, which is known once it is split: size and alignment.
fn frame(module: &Module<'_>) -> Result<[u64; 2], Error> {
    let unknown = || internal("a coroutine's frame has no size".to_owned());
    let function = ir::function(module, FRAME).ok_or_else(unknown)?;
    let mut found = Err(unknown());
    for call in function.value().users() {
        let told = [0, 1].map(|index| call.operand(index).constant_integer());
        if let [Some(size), Some(align)] = told {
            found = Ok([size, align]);
        }
        call.erase();
    }
    function.delete();
    found
}
