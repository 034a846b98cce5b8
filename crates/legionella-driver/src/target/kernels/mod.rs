//! The functions that are launched on a GPU.
//!
//! Takes a simplified entry shim and a [`Device`], gives the kernels of [`legionella_abi::gpu`]: one for any
//! launch; some for usual ones of one or two dimensions, in which the other ids are constants and what
//! there is fits into 32 bits; and one for panics. Where the shim's panics can be taken out of its way ([`super::cold`]), a
//! work-item only notes the place where it would have panicked, and the kernel for panics does so
//! later, alone; the other two then call nothing and need few registers.

mod device;
mod ids;
mod left;

pub(super) use device::{Device, EndTogether, Register, SharedMemory};
pub(super) use ids::bind_ids;

use inkwell::module::Module;
use inkwell::targets::TargetMachine;
use legionella_abi::{gpu, intrinsic};
use llvm_sys::core as c;
use llvm_sys::{LLVMAtomicOrdering, LLVMIntPredicate, LLVMLinkage, LLVMOpcode, LLVMTypeKind};

use super::cold::{self, Deferred};
use super::wide::{self, Threads, Wide};
use super::{ahead, checks, strides};
use crate::error::Error;
use crate::ir::{self, Block, Builder, Function, Types, Value, llvm};
use device::End;
use ids::Ids;

/// Most instructions of a work-item's function of which there is a kernel for one dimension as well.
const LARGEST_TWICE: usize = 4000;

/// Places of the parameters.
const LAUNCH: u32 = 0;
const STATE: u32 = 1;
const BLOCK: u32 = 2;

/// Parameters of what panics later in front of what is carried.
const COLD_CARRIED: usize = 3;

/// The kernels of a module.
pub(super) struct Kernels<'m> {
    all: Vec<Kernel<'m>>,
    /// The loops of those whose threads run several items.
    wide: Vec<(Function<'m>, Wide<'m>)>,
    /// How many items such a thread runs.
    width: u64,
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

impl<'m> Kernel<'m> {
    fn of(device: &'static Device, function: Function<'m>, form: Form) -> Self {
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

    /// Has loops of each kernel that step through memory make several turns at once.
    pub(super) fn take_strides(&self) {
        for kernel in &self.all {
            strides::take(kernel.function);
        }
    }

    /// Has each kernel test several checks in a row at once, if their panics are deferred.
    pub(super) fn join_checks(&self) {
        for kernel in &self.all {
            let together = kernel.device.together.is_some();
            checks::join(kernel.function, kernel.state, together);
        }
    }

    /// The kernel for panics, in a module from which the others are gone.
    pub(super) fn of_panic(module: &'m Module<'_>, device: &'static Device) -> Option<Self> {
        let function = ir::function(module, gpu::PANIC)?;
        Some(Kernels {
            all: vec![Kernel::of(device, function, Form::Panic)],
            wide: Vec::new(),
            width: 0,
            cold: None,
            addresses: 0,
            unsettled: false,
            waits: false,
            by_address: 0,
            block: ArgumentBlock { size: 0, align: 1 },
        })
    }

    /// Whether there is a kernel for panics.
    pub(super) fn panic_later(&self) -> bool {
        self.cold.is_some()
    }

    /// Deletes the kernel for panics; what only that needs is left without a use.
    pub(super) fn drop_panic(&mut self) {
        self.cold = None;
        let panics = self.all.extract_if(.., |kernel| kernel.form == Form::Panic);
        panics.for_each(|kernel| kernel.function.delete());
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
            if has(Form::Wide) { self.width } else { 0 },
            self.addresses,
            self.block.size,
            self.block.align,
            u64::from(self.waits),
            if has(Form::WidePlane) { self.width } else { 0 },
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
    let width = wide::width(module, item);
    let forms = match (!in_groups && wide::is_suitable(item), wide::has_rows(item)) {
        (false, _) => &[][..],
        (true, false) => &[Form::Wide],
        (true, true) => &[Form::Wide, Form::WidePlane],
    };
    for form in forms {
        let (kernel, loops) = wide_kernel(module, device, &shape, &block, *form, width);
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
        width,
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
    Kernel::of(device, function, form)
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

/// A kernel whose threads run `width` items each.
fn wide_kernel<'m>(
    module: &'m Module<'_>,
    device: &'static Device,
    shape: &Shape<'m>,
    block: &ArgumentBlock,
    form: Form,
    width: u64,
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
        thread: ids.linear_thread(&at, 0, gpu::SMALL / width),
        width,
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
