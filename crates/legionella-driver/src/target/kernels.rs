//! The functions that are launched on a GPU.
//!
//! Takes a simplified entry shim and a [`Device`], gives the kernels of [`legionella_abi::gpu`]: one for any
//! launch; some for usual ones of one or two dimensions, in which the other ids are constants and what
//! there is fits into 32 bits; and one for panics. Where the shim's panics can be taken out of its way ([`super::cold`]), a
//! work-item only notes the place where it would have panicked, and the kernel for panics does so
//! later, alone; the other two then call nothing and need few registers.

use std::collections::BTreeMap;

use inkwell::module::Module;
use inkwell::targets::TargetMachine;
use legionella_abi::{gpu, intrinsic};
use llvm_sys::core as c;
use llvm_sys::{LLVMAtomicOrdering, LLVMIntPredicate, LLVMLinkage, LLVMOpcode, LLVMTypeKind};

use super::cold::{self, Deferred};
use super::wide::{self, Threads, Wide};
use super::{ahead, checks};
use crate::error::Error;
use crate::ir::{self, Block, Builder, Function, Type, Types, Value, llvm};

/// Most instructions of a work-item's function of which there is a kernel for one dimension as well.
const LARGEST_TWICE: usize = 4000;

/// Places of the parameters.
const LAUNCH: u32 = 0;
const STATE: u32 = 1;
const BLOCK: u32 = 2;

/// Parameters of what panics later in front of what is carried.
const COLD_CARRIED: usize = 3;

/// A number that the machine has of a work-item in each dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Register {
    /// Id within the group.
    Local,
    /// Id of the group, within the part of a launch that the device was given.
    Group,
    /// Size of groups.
    GroupSize,
}

/// Reads a register of a dimension, as 32 bits, given the address of the launch.
type Read = for<'m> fn(&'m Module<'_>, &Builder<'m>, Value<'m>, Register, usize) -> Value<'m>;

/// Ends a block and the work-item.
type End = for<'m> fn(&'m Module<'_>, Block<'m>);

/// Has all items of a group meet, at the start of a kernel.
type Meet = for<'m> fn(&'m Module<'_>, &Builder<'m>);

/// Tells of an item, given whether it panicked and whether it did only since it missed others, whether it leaves the
/// launch's panic.
type Tells = for<'m> fn(&'m Module<'_>, &Builder<'m>, Value<'m>, Value<'m>) -> Value<'m>;

/// How items that miss others let those tell what they panicked with, where all of them end together. Elsewhere who
/// panics has done so before any other misses it.
#[derive(Clone, Copy)]
pub(super) struct EndTogether {
    /// Of deferred panics.
    pub(super) tells: Tells,
    /// Has a shim whose panics aren't deferred panic for what items miss when all others have come to its end.
    pub(super) miss_at_the_end: for<'m> fn(&'m Module<'_>, Function<'m>),
}

/// What kernels are made of on one kind of GPU.
pub(super) struct Device {
    /// LLVM's number of kernels' calling convention.
    pub(super) convention: u32,
    /// LLVM's number of the address space of parameters that are passed by value.
    pub(super) parameters: u32,
    /// Has a parameter passed by value.
    pub(super) by_value: fn(Function<'_>, u32, Type<'_>, u64),
    /// Bytes of the structure that begins with a [`gpu::Launch`].
    pub(super) launch: usize,
    /// Largest argument block that is passed by value, in bytes.
    pub(super) largest_block: u64,
    /// What the machine has of a work-item.
    pub(super) read: Read,
    /// Ends a work-item of a kernel whose items wait for each other.
    pub(super) leave: End,
    /// Ends what is no work-item in such a kernel: it is outside of the grid.
    pub(super) skip: End,
    /// LLVM's number of the address space that records are in, if that makes other accesses of them.
    pub(super) records: Option<u32>,
    /// If items don't end one by one.
    pub(super) together: Option<EndTogether>,
    /// If the first item of a group leaves for all of them what those need to know that they call and that may return,
    /// before all go on; else each leaves it for itself, in front of each call.
    pub(super) meet: Option<Meet>,
}

/// Memory that a launch has to give to each group.
#[derive(Clone, Copy, Default)]
pub(super) struct SharedMemory {
    /// Whether the launch gives any.
    pub(super) dynamic: bool,
    /// Bytes of it in front of those that the kernel knows as the launch's own.
    pub(super) front: u64,
}

/// The kernels of a module.
pub(super) struct Kernels<'m> {
    all: Vec<Kernel<'m>>,
    /// The loops of those whose threads run several items.
    wide: Vec<(Function<'m>, Wide<'m>)>,
    /// What the kernel for panics calls.
    cold: Option<Function<'m>>,
    /// As in [`gpu::Needs::addresses`].
    addresses: u64,
    /// Whether that may read memory which later launches write.
    unsettled: bool,
    /// Whether work-items may wait for what others do.
    waits: bool,
    /// Size of the argument block if it is passed by address, and else 0.
    by_address: u64,
    block: ArgumentBlock,
}

/// One function that is launched.
#[derive(Clone, Copy)]
struct Kernel<'m> {
    device: &'static Device,
    function: Function<'m>,
    form: Form,
    /// The parameter that is a [`gpu::Launch`].
    launch: Value<'m>,
    /// The parameter that is the address of a [`gpu::State`].
    state: Value<'m>,
    /// The id in the first dimension of the item that runs, if a thread runs several.
    item: Option<Value<'m>>,
    /// The id in the second dimension of a thread's items, likewise.
    row: Option<Value<'m>>,
}

/// What a kernel is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Any launch.
    Any,
    /// Usual launches whose second and third dimension have one work-item each.
    Line,
    /// Usual launches whose third dimension has one work-item.
    Plane,
    /// As for a line, by threads that run several items each.
    Wide,
    /// As for a plane, by threads that run several items of a row each.
    WidePlane,
    /// A panic that a work-item noted.
    Panic,
}

impl Form {
    /// Whether it is for usual launches alone: as wholes, of small extents, with aligned addresses.
    fn is_usual(self) -> bool {
        matches!(self, Form::Line | Form::Plane) || self.is_wide()
    }

    /// Whether a thread runs several items.
    fn is_wide(self) -> bool {
        matches!(self, Form::Wide | Form::WidePlane)
    }
}

/// What a kernel does for a work-item.
enum Shape<'m> {
    /// Calls the shim.
    Plain(Function<'m>),
    /// Calls the shim whose panics are deferred.
    Deferred(Deferred<'m>),
}

impl<'m> Shape<'m> {
    /// What is called for each item.
    fn item(&self) -> Function<'m> {
        match self {
            Shape::Plain(entry) => *entry,
            Shape::Deferred(deferred) => deferred.item,
        }
    }
}

impl<'m> Kernels<'m> {
    /// Settles what kernels for usual launches assume, once ids are bound, and drops that with several
    /// items a thread if it is of no use.
    pub(super) fn settle(&mut self, module: &'m Module<'_>, machine: &TargetMachine) {
        let usual = self.all.iter().filter(|kernel| kernel.form.is_usual());
        self.addresses = usual.fold(0, |all, kernel| {
            all | tell_alignment(module, kernel.function)
        });
        for (function, wide) in std::mem::take(&mut self.wide) {
            if !wide.settle(module, machine) {
                self.all.retain(|kernel| kernel.function != function);
                function.delete();
            }
        }
    }

    /// Has loops of each kernel read ahead of their checks, if their panics are deferred.
    pub(super) fn read_ahead(&self) {
        for kernel in &self.all {
            ahead::read(kernel.function, kernel.state);
        }
    }

    /// Has each kernel test several checks in a row at once, if their panics are deferred.
    pub(super) fn join_checks(&self) {
        for kernel in &self.all {
            let together = kernel.device.together.is_some();
            checks::join(kernel.function, kernel.state, together);
        }
    }

    /// The functions.
    pub(super) fn functions(&self) -> impl Iterator<Item = Function<'m>> {
        self.all.iter().map(|kernel| kernel.function)
    }

    /// Puts the address of a kernel's [`gpu::State`] in place of the calls of a function, which are inlined there.
    pub(super) fn bind_state(&self, module: &'m Module<'_>, name: &str) -> Result<(), Error> {
        let Some(function) = ir::function(module, name) else {
            return Ok(());
        };
        for call in function.value().users() {
            let user = call.block().function();
            let kernel = self.all.iter().find(|kernel| kernel.function == user);
            let kernel = kernel.ok_or_else(|| Error::Internal {
                stage: "kernels of a device",
                reason: format!("{} asks for the launch's state out of line", user.name()),
            })?;
            call.replace_all_uses_with(kernel.state);
            call.erase();
        }
        function.delete();
        Ok(())
    }

    /// Leaves what the code needs where the application looks for it, given what it needs of stack.
    pub(super) fn tell_needs(&self, module: &Module<'_>, stack: u64, shared: SharedMemory) {
        const GLOBAL: u32 = 1;
        let types = Types::of(module);
        let has = |form| self.all.iter().any(|kernel| kernel.form == form);
        // In the order of the fields of `gpu::Needs`.
        let needs = [
            u64::from(has(Form::Line)),
            self.by_address,
            stack,
            u64::from(shared.dynamic),
            shared.front,
            u64::from(self.unsettled),
            if has(Form::Wide) { gpu::WIDTH } else { 0 },
            self.addresses,
            self.block.size,
            self.block.align,
            u64::from(self.waits),
            if has(Form::WidePlane) { gpu::WIDTH } else { 0 },
        ];
        let mut needs = needs.map(|number| types.i64.constant(number).raw());
        let name = ir::c_name(gpu::NEEDS);
        llvm!({
            let global = c::LLVMAddGlobalInAddressSpace(
                module.as_mut_ptr(),
                types.i64.array(needs.len() as u64).raw(),
                name.as_ptr(),
                GLOBAL,
            );
            let numbers =
                c::LLVMConstArray2(types.i64.raw(), needs.as_mut_ptr(), needs.len() as u64);
            c::LLVMSetInitializer(global, numbers);
            c::LLVMSetGlobalConstant(global, 1);
        });
    }

    /// Each function, with the parameter that is the address of the launch's state.
    pub(super) fn states(&self) -> impl Iterator<Item = (Function<'m>, Value<'m>)> {
        self.all
            .iter()
            .map(|kernel| (kernel.function, kernel.state))
    }

    /// Leaves for instructions of the kernels, for which `wanted` says so, what a panic needs to know of the
    /// launch: the address of its state, and its first group.
    pub(super) fn leave_place(
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
    pub(super) fn leave_launch(
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

/// The argument block, as the entry shim's parameter describes it.
struct ArgumentBlock {
    size: u64,
    align: u64,
}

impl ArgumentBlock {
    fn of(entry: Function<'_>) -> Self {
        ArgumentBlock {
            size: entry.parameter_attribute(0, "dereferenceable").unwrap_or(0),
            align: entry.parameter_attribute(0, "align").unwrap_or(1),
        }
    }

    fn by_value(&self, device: &Device) -> bool {
        self.size <= device.largest_block
    }
}

/// Builds the kernels around a shim.
///
/// Where items of a group wait for each other, one that ends leaves at once: behind a branch the device
/// would have it wait for the others of its warp.
pub(super) fn build<'m>(
    module: &'m Module<'_>,
    device: &'static Device,
    entry: Function<'m>,
    in_groups: bool,
) -> Kernels<'m> {
    let block = ArgumentBlock::of(entry);
    let deferred =
        cold::defer(module, entry).filter(|deferred| deferred.carried.len() <= gpu::CARRIED);
    let shape = deferred.map_or(Shape::Plain(entry), Shape::Deferred);
    if let (Shape::Plain(entry), Some(together), true) = (&shape, device.together, in_groups) {
        (together.miss_at_the_end)(module, *entry);
    }
    let item = shape.item();
    item.remove_attribute("noinline");
    item.add_attribute("alwaysinline");
    item.set_linkage(LLVMLinkage::LLVMInternalLinkage);

    let ends: [End; 2] = if in_groups {
        [device.skip, device.leave]
    } else {
        [finish, finish]
    };
    let mut all = vec![kernel(module, device, &shape, &block, Form::Any, ends)];
    if is_simple(item) {
        all.push(kernel(module, device, &shape, &block, Form::Line, ends));
        all.push(kernel(module, device, &shape, &block, Form::Plane, ends));
    }
    let mut wide = Vec::new();
    let forms = match (!in_groups && wide::is_suitable(item), wide::has_rows(item)) {
        (false, _) => &[][..],
        (true, false) => &[Form::Wide],
        (true, true) => &[Form::Wide, Form::WidePlane],
    };
    for form in forms {
        let (kernel, loops) = wide_kernel(module, device, &shape, &block, *form);
        all.push(kernel);
        wide.push((kernel.function, loops));
    }
    let unsettled = matches!(&shape, Shape::Deferred(deferred) if reads_memory(deferred.cold));
    let cold = match &shape {
        Shape::Plain(_) => None,
        Shape::Deferred(deferred) => {
            all.push(panic_kernel(module, device, deferred, &block));
            Some(deferred.cold)
        }
    };
    let pause = ir::function(module, intrinsic::PAUSE);
    let waits = pause.is_some_and(|pause| !pause.value().users().is_empty());
    let by_address = if block.by_value(device) {
        0
    } else {
        block.size
    };
    Kernels {
        all,
        wide,
        cold,
        addresses: 0,
        unsettled,
        waits,
        by_address,
        block,
    }
}

/// Whether what panics later may read memory other than its own, constants and the argument block: it
/// then has an address from elsewhere, or computes one.
fn reads_memory(cold: Function<'_>) -> bool {
    let is_address = |value: &Value<'_>| value.ty().kind() == LLVMTypeKind::LLVMPointerTypeKind;
    let carried = cold.parameters().split_off(COLD_CARRIED);
    carried.iter().any(is_address)
        || cold.instructions().into_iter().any(|instruction| {
            let from_elsewhere = instruction.is(LLVMOpcode::LLVMLoad)
                && is_address(&instruction)
                && !is_own(instruction.operand(0));
            from_elsewhere || instruction.is(LLVMOpcode::LLVMIntToPtr)
        })
}

/// Whether an address is that of a constant or of a variable.
fn is_own(address: Value<'_>) -> bool {
    let mut base = address;
    while base.is(LLVMOpcode::LLVMGetElementPtr) {
        base = base.operand(0);
    }
    base.is_constant() || base.is(LLVMOpcode::LLVMAlloca)
}

/// Tells that the addresses in the argument block are aligned as the widest access wants; gives which
/// those are, as in [`gpu::Needs::addresses`].
fn tell_alignment<'m>(module: &'m Module<'_>, kernel: Function<'m>) -> u64 {
    let parameters = kernel.parameters();
    let Some(block) = parameters.get(BLOCK as usize) else {
        return 0;
    };
    let mut addresses = 0;
    for load in kernel.instructions() {
        let is_address = load.ty().kind() == LLVMTypeKind::LLVMPointerTypeKind;
        if !load.is(LLVMOpcode::LLVMLoad) || !is_address {
            continue;
        }
        let Some(offset) = load.operand(0).distance_from(*block) else {
            continue;
        };
        let word = offset / 8;
        if offset % 8 == 0 && word < u64::BITS.into() {
            addresses |= 1 << word;
            // An assumption, and not metadata: loops learn from it as well.
            if let Some(next) = load.next() {
                Builder::before(next).assume_aligned(module, load, gpu::ALIGN);
            }
        }
    }
    addresses
}

fn finish<'m>(_: &'m Module<'_>, block: Block<'m>) {
    Builder::at_end(block).ret(None);
}

/// The kernels that do a launch's work.
pub(super) const WORK: [&str; 5] = [
    gpu::KERNEL,
    gpu::LINE,
    gpu::PLANE,
    gpu::WIDE,
    gpu::WIDE_PLANE,
];

/// A copy of a module without some kernels and what only they need.
pub(super) fn without<'ctx>(
    module: &Module<'ctx>,
    machine: &TargetMachine,
    kernels: &[&str],
) -> Result<Module<'ctx>, Error> {
    let copy = module.clone();
    for function in kernels.iter().filter_map(|name| ir::function(&copy, name)) {
        function.delete();
    }
    super::machine::run(&copy, machine, "globaldce")?;
    Ok(copy)
}

/// Whether a function is small and calls nothing but the machine, so that there may be two of it:
/// the assembler compiles what kernels call for each of them anew.
fn is_simple(item: Function<'_>) -> bool {
    let instructions = item.instructions();
    instructions.len() <= LARGEST_TWICE
        && instructions.iter().all(|instruction| {
            let called = instruction.called_function();
            let no_code = |called: Function<'_>| {
                called.is_declaration() || called.has_attribute("alwaysinline")
            };
            let machines = || instruction.callee().is_some_and(Value::is_inline_assembly);
            !instruction.is_call() || called.is_some_and(no_code) || machines()
        })
}

/// Declares a kernel.
fn declare<'m>(
    module: &'m Module<'_>,
    device: &'static Device,
    name: &str,
    block: &ArgumentBlock,
    form: Form,
) -> Kernel<'m> {
    let types = Types::of(module);
    let in_place = types.ptr.pointer_in(device.parameters);
    let mut parameters = vec![in_place, types.ptr];
    let by_value = block.by_value(device);
    if block.size > 0 {
        parameters.push(if by_value { in_place } else { types.ptr });
    }
    let function = ir::declare(module, name, types.void, &parameters);
    llvm!(c::LLVMSetFunctionCallConv(
        function.raw(),
        device.convention
    ));
    function.add_attribute("nounwind");
    let bytes = match form {
        Form::Panic => size_of::<gpu::Panicked>(),
        _ => device.launch,
    };
    let words = types.i64.array(bytes as u64 / 8);
    (device.by_value)(function, LAUNCH, words, 8);
    if block.size > 0 && by_value {
        let bytes = types.i8.array(block.size);
        (device.by_value)(function, BLOCK, bytes, block.align.max(8));
    } else if block.size > 0 {
        function.add_parameter_attribute(BLOCK, "align", block.align);
    }
    if block.size > 0 {
        function.add_parameter_attribute(BLOCK, "noalias", 0);
        function.add_parameter_attribute(BLOCK, "readonly", 0);
    }
    let all = function.parameters();
    Kernel {
        device,
        function,
        form,
        launch: all[LAUNCH as usize],
        state: all[STATE as usize],
        item: None,
        row: None,
    }
}

/// A kernel that runs the work-items of a launch.
fn kernel<'m>(
    module: &'m Module<'_>,
    device: &'static Device,
    shape: &Shape<'m>,
    block: &ArgumentBlock,
    form: Form,
    [skip, leave]: [End; 2],
) -> Kernel<'m> {
    let types = Types::of(module);
    let (name, dimensions) = match form {
        Form::Line => (gpu::LINE, 0..1),
        Form::Plane => (gpu::PLANE, 0..2),
        _ => (gpu::KERNEL, 0..3),
    };
    let kernel = declare(module, device, name, block, form);
    let function = kernel.function;
    let start = Builder::at_end(function.append_block("entry"));
    let ids = Ids::of(&kernel, module, &types);
    let item = function.append_block("item");
    let outside = function.append_block("outside");
    let done = function.append_block("done");
    let mut inside = types.i1.constant(1);
    for dimension in dimensions {
        let id = ids.global(&start, dimension);
        let size = ids.grid(&start, dimension);
        let here = start.compare(LLVMIntPredicate::LLVMIntULT, id, size);
        inside = start.binary(LLVMOpcode::LLVMAnd, inside, here);
    }
    start.branch_if(inside, item, outside);
    run_item(&kernel, &ids, shape, Builder::at_end(item)).branch(done);
    skip(module, outside);
    leave(module, done);
    kernel
}

/// Runs an item, and notes its panic. Building goes on behind it.
fn run_item<'m>(
    kernel: &Kernel<'m>,
    ids: &Ids<'_, 'm, '_>,
    shape: &Shape<'m>,
    at: Builder<'m>,
) -> Builder<'m> {
    let types = ids.types;
    let result = at.call(shape.item(), &[block_of(&at, kernel, types)]);
    let Shape::Deferred(deferred) = shape else {
        return at;
    };
    let place = if deferred.carried.is_empty() {
        result
    } else {
        at.extract(result, 0)
    };
    let [panicked, behind] = ["panicked", "behind"].map(|name| kernel.function.append_block(name));
    let is = |number: u32| {
        let number = types.i32.constant(number.into());
        at.compare(LLVMIntPredicate::LLVMIntEQ, place, number)
    };
    let fine = is(0);
    if let (Some(together), [first, others @ ..]) = (kernel.device.together, &deferred.apart[..]) {
        let panics = at.binary(LLVMOpcode::LLVMXor, fine, types.i1.constant(1));
        let either = |all, other: &u32| at.binary(LLVMOpcode::LLVMOr, all, is(*other));
        let apart = others.iter().fold(is(*first), either);
        let tells = (together.tells)(ids.module, &at, panics, apart);
        at.branch_if(tells, panicked, behind);
    } else {
        at.branch_if(fine, behind, panicked);
    }
    let carried = (0..deferred.carried.len() as u32).map(|index| (result, index + 1));
    note(kernel, ids, panicked, place, carried).branch(behind);
    Builder::at_end(behind)
}

/// A kernel whose threads run several items each.
fn wide_kernel<'m>(
    module: &'m Module<'_>,
    device: &'static Device,
    shape: &Shape<'m>,
    block: &ArgumentBlock,
    form: Form,
) -> (Kernel<'m>, Wide<'m>) {
    let types = Types::of(module);
    let name = match form {
        Form::WidePlane => gpu::WIDE_PLANE,
        _ => gpu::WIDE,
    };
    let kernel = declare(module, device, name, block, form);
    let mut at = Builder::at_end(kernel.function.append_block("entry"));
    let outside = kernel.function.append_block("outside");
    let ids = Ids::of(&kernel, module, &types);
    let row = (form == Form::WidePlane).then(|| {
        let row = ids.global(&at, 1);
        let inside = kernel.function.append_block("row");
        let is_inside = at.compare(LLVMIntPredicate::LLVMIntULT, row, ids.grid(&at, 1));
        at.branch_if(is_inside, inside, outside);
        at = Builder::at_end(inside);
        row
    });
    let threads = Threads {
        thread: ids.linear_thread(&at, 0, gpu::SMALL / gpu::WIDTH),
        in_group: ids.register(&at, Register::Local, 0),
        group: ids.group_size(&at, 0),
        row,
    };
    let call = |at: &Builder<'m>| at.call(shape.item(), &[block_of(at, &kernel, &types)]);
    let item = |at: Builder<'m>, id| {
        let kernel = Kernel {
            item: Some(id),
            row,
            ..kernel
        };
        run_item(&kernel, &Ids::of(&kernel, module, &types), shape, at)
    };
    let items = ids.grid(&at, 0);
    let loops = Wide::build(module, &at, &threads, items, outside, &call, &item);
    finish(module, outside);
    (kernel, loops)
}

/// The argument block's address in a kernel.
fn block_of<'m>(at: &Builder<'m>, kernel: &Kernel<'m>, types: &Types<'m>) -> Value<'m> {
    let parameters = kernel.function.parameters();
    match parameters.get(BLOCK as usize) {
        Some(block) => anywhere(at, *block, types),
        None => types.ptr.poison(),
    }
}

/// An address as one of any address space.
fn anywhere<'m>(at: &Builder<'m>, address: Value<'m>, types: &Types<'m>) -> Value<'m> {
    if address.ty() == types.ptr {
        return address;
    }
    at.cast(LLVMOpcode::LLVMAddrSpaceCast, address, types.ptr)
}

/// Notes where the work-item would have panicked, if it is the first of the launch: in `from`.
/// Where the record has been written, building goes on.
fn note<'m>(
    kernel: &Kernel<'m>,
    ids: &Ids<'_, 'm, '_>,
    from: Block<'m>,
    place: Value<'m>,
    carried: impl Iterator<Item = (Value<'m>, u32)>,
) -> Builder<'m> {
    use std::mem::offset_of;
    let types = ids.types;
    let function = kernel.function;
    let first = function.append_block("first");
    let noted = function.append_block("noted");
    let at = Builder::at_end(from);
    let (zero, one) = (types.i32.zero(), types.i32.constant(1));
    let claimed = at.compare_exchange(
        kernel.state,
        zero,
        one,
        LLVMAtomicOrdering::LLVMAtomicOrderingMonotonic,
    );
    at.branch_if(at.extract(claimed, 1), first, noted);

    let at = Builder::at_end(first);
    let within = |start: Value<'m>, offset: usize| {
        at.element(types.i8, start, types.i64.constant(offset as u64))
    };
    let record = at.load(
        types.ptr,
        within(kernel.state, offset_of!(gpu::State, record)),
    );
    // LLVM can't know which memory an address in memory is of.
    let record = match kernel.device.records {
        Some(space) => {
            let ty = types.ptr.pointer_in(space);
            at.cast(LLVMOpcode::LLVMAddrSpaceCast, record, ty)
        }
        None => record,
    };
    at.store(place, within(record, offset_of!(gpu::Record, place)));
    for dimension in 0..3 {
        let group = offset_of!(gpu::Record, group) + 8 * dimension;
        at.store(ids.group(&at, dimension), within(record, group));
        let local = at.truncate(ids.local(&at, dimension), types.i32);
        let place = offset_of!(gpu::Record, local) + 4 * dimension;
        at.store(local, within(record, place));
    }
    for (index, (result, field)) in carried.enumerate() {
        let offset = offset_of!(gpu::Record, carried) + 8 * index;
        at.store(at.extract(result, field), within(record, offset));
    }
    let last = at.store(one, within(record, offset_of!(gpu::Record, panicked)));
    last.make_atomic(LLVMAtomicOrdering::LLVMAtomicOrderingRelease, 4);
    at.branch(noted);
    Builder::at_end(noted)
}

/// The kernel that panics as a work-item noted that it would have.
fn panic_kernel<'m>(
    module: &'m Module<'_>,
    device: &'static Device,
    deferred: &Deferred<'m>,
    block: &ArgumentBlock,
) -> Kernel<'m> {
    use std::mem::offset_of;
    let types = Types::of(module);
    let kernel = declare(module, device, gpu::PANIC, block, Form::Panic);
    let at = Builder::at_end(kernel.function.append_block("entry"));
    let within =
        |offset: usize| at.element(types.i8, kernel.launch, types.i64.constant(offset as u64));
    let place = at.load(types.i32, within(offset_of!(gpu::Panicked, place)));
    let ids = anywhere(&at, within(offset_of!(gpu::Panicked, ids)), &types);
    let mut arguments = vec![block_of(&at, &kernel, &types), place, ids];
    for (index, ty) in deferred.carried.iter().enumerate() {
        let offset = offset_of!(gpu::Panicked, carried) + 8 * index;
        arguments.push(at.load(*ty, within(offset)));
    }
    at.call(deferred.cold, &arguments);
    at.unreachable();
    kernel
}

/// Replaces ids by the device's registers, once the shim is inlined; in what panics later, by what
/// it is told.
pub(super) fn bind_ids(module: &Module<'_>, kernels: &Kernels<'_>) -> Result<(), Error> {
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
struct Ids<'k, 'm, 'c> {
    kernel: &'k Kernel<'m>,
    module: &'m Module<'c>,
    types: &'k Types<'m>,
}

impl<'k, 'm, 'c> Ids<'k, 'm, 'c> {
    fn of(kernel: &'k Kernel<'m>, module: &'m Module<'c>, types: &'k Types<'m>) -> Self {
        Ids {
            kernel,
            module,
            types,
        }
    }

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

    fn value(&self, at: &Builder<'m>, intrinsic: &str, dimension: usize) -> Value<'m> {
        match intrinsic {
            intrinsic::GLOBAL_ID => self.global(at, dimension),
            intrinsic::GRID_SIZE => self.grid(at, dimension),
            intrinsic::LOCAL_ID => self.local(at, dimension),
            intrinsic::GROUP_ID => self.group(at, dimension),
            _ => self.group_size(at, dimension),
        }
    }

    /// Whether a dimension has one work-item.
    fn is_single(&self, dimension: usize) -> bool {
        match self.kernel.form {
            Form::Line | Form::Wide => dimension > 0,
            Form::Plane | Form::WidePlane => dimension > 1,
            Form::Any | Form::Panic => false,
        }
    }

    fn constant(&self, value: u64) -> Value<'m> {
        self.types.i64.constant(value)
    }

    /// The number of the thread in a dimension of a usual launch, which is at most somewhat more than
    /// `most`. That is told by the number's bits, so that LLVM computes with 32.
    fn linear_thread(&self, at: &Builder<'m>, dimension: usize, most: u64) -> Value<'m> {
        let register = |register| self.narrow_register(at, register, dimension);
        let before = at.mul_no_wrap(register(Register::Group), register(Register::GroupSize));
        self.bounded(at, at.add(before, register(Register::Local)), most)
    }

    /// A number of 32 bits that is less than twice `most`, a power of two, as one of 64.
    fn bounded(&self, at: &Builder<'m>, number: Value<'m>, most: u64) -> Value<'m> {
        let mask = self.types.i32.constant(2 * most - 1);
        let bounded = at.binary(LLVMOpcode::LLVMAnd, number, mask);
        at.zero_extend(bounded, self.types.i64)
    }

    /// What the machine has of the item, as 64 bits.
    fn register(&self, at: &Builder<'m>, register: Register, dimension: usize) -> Value<'m> {
        at.zero_extend(
            self.narrow_register(at, register, dimension),
            self.types.i64,
        )
    }

    fn narrow_register(&self, at: &Builder<'m>, register: Register, dimension: usize) -> Value<'m> {
        let read = self.kernel.device.read;
        read(self.module, at, self.kernel.launch, register, dimension)
    }

    /// A word of the launch.
    fn word(&self, at: &Builder<'m>, index: usize) -> Value<'m> {
        let index = self.constant(index as u64);
        let address = at.element(self.types.i64, self.kernel.launch, index);
        at.load(self.types.i64, address)
    }

    /// The id of the item that runs where a thread runs several.
    fn of_several(&self, dimension: usize) -> Option<Value<'m>> {
        match dimension {
            0 => self.kernel.item,
            _ => self.kernel.row,
        }
    }

    fn global(&self, at: &Builder<'m>, dimension: usize) -> Value<'m> {
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

    fn grid(&self, at: &Builder<'m>, dimension: usize) -> Value<'m> {
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

    fn local(&self, at: &Builder<'m>, dimension: usize) -> Value<'m> {
        if self.is_single(dimension) {
            return self.constant(0);
        }
        if let (0, Some(item)) = (dimension, self.kernel.item) {
            return at.binary(LLVMOpcode::LLVMURem, item, self.group_size(at, dimension));
        }
        self.register(at, Register::Local, dimension)
    }

    fn group(&self, at: &Builder<'m>, dimension: usize) -> Value<'m> {
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

    fn group_size(&self, at: &Builder<'m>, dimension: usize) -> Value<'m> {
        if self.is_single(dimension) {
            return self.constant(1);
        }
        self.register(at, Register::GroupSize, dimension)
    }
}
