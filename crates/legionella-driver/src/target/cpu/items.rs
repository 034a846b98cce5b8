//! The loop over the work-items.
//!
//! Takes a simplified entry shim, gives the function that the application calls
//! ([`legionella_abi::cpu::Run`]): a loop over work-groups, within it loops over the third and
//! second dimension, within them a loop over the first, the *lane loop*, which LLVM's vectoriser
//! takes. Where the kernel's panics can be deferred ([`super::cold`]), the lane loop has no exit
//! but its own; it then runs in strips, and after each strip the first item that asked for a panic
//! gets it.

use inkwell::module::Module;
use legionella_abi::{cpu, intrinsic};
use llvm_sys::core as c;
use llvm_sys::{LLVMIntPredicate, LLVMLinkage, LLVMOpcode};

use super::cold::{self, Deferred};
use crate::error::Error;
use crate::ir::{self, Block, Builder, Function, Type, Types, Value, llvm};

/// Items of a strip: how many fit between two looks at who panicked.
const STRIP: u64 = 1024;

/// The function that runs work-groups, with the values that ids are bound to.
pub(super) struct Run<'m> {
    function: Function<'m>,
    ids: Ids<'m>,
    cold: Option<Function<'m>>,
}

impl<'m> Run<'m> {
    /// The address of the ids, if `function` is the cold function.
    fn cold_ids(&self, function: Function<'m>) -> Option<Value<'m>> {
        (self.cold == Some(function)).then(|| function.parameters()[2])
    }
}

/// Ids and sizes within the lane loop, by dimension.
#[derive(Clone, Copy)]
struct Ids<'m> {
    global: [Value<'m>; 3],
    local: [Value<'m>; 3],
    group: [Value<'m>; 3],
    grid: [Value<'m>; 3],
    group_size: [Value<'m>; 3],
}

impl<'m> Ids<'m> {
    fn of(&self, intrinsic: &str) -> Option<[Value<'m>; 3]> {
        Some(match intrinsic {
            intrinsic::GLOBAL_ID => self.global,
            intrinsic::GRID_SIZE => self.grid,
            intrinsic::LOCAL_ID => self.local,
            intrinsic::GROUP_ID => self.group,
            intrinsic::GROUP_SIZE => self.group_size,
            _ => return None,
        })
    }

    /// All of them in a fixed order: by kind as in [`crate::lower::IDS`], then by dimension.
    fn all(&self) -> Vec<Value<'m>> {
        crate::lower::IDS
            .iter()
            .filter_map(|name| self.of(name))
            .flatten()
            .collect()
    }
}

/// How many ids an item has.
const ID_COUNT: u64 = 3 * crate::lower::IDS.len() as u64;

/// Builds the loops around an entry shim, which still is a call in the innermost.
pub(super) fn build<'m>(module: &'m Module<'_>, entry: &str) -> Result<Run<'m>, Error> {
    let shim = ir::function(module, entry).ok_or_else(|| Error::Internal {
        stage: "cpu target",
        reason: format!("the entry shim {entry} is gone"),
    })?;
    let shape = Shape::of(module, shim);
    Ok(Loops::new(module).build(module, shape))
}

/// How the kernel runs within the lane loop.
enum Shape<'m> {
    /// Items are independent of each other and don't panic.
    Lanes(Function<'m>),
    /// Panics wait until the strip has run.
    Deferred(Deferred<'m>),
    /// One item after the other, panics on the spot.
    Scalar(Function<'m>),
}

impl<'m> Shape<'m> {
    fn of(module: &'m Module<'_>, shim: Function<'m>) -> Self {
        let may_panic = shim
            .instructions()
            .iter()
            .any(|instruction| instruction.is(LLVMOpcode::LLVMUnreachable));
        if may_panic {
            cold::defer(module, shim).map_or(Shape::Scalar(shim), Shape::Deferred)
        } else if independent(shim) {
            Shape::Lanes(shim)
        } else {
            Shape::Scalar(shim)
        }
    }
}

/// Whether items share no memory of the function around them and call nothing that could: only
/// then may the lane loop be declared parallel.
fn independent(body: Function<'_>) -> bool {
    body.instructions().into_iter().all(|instruction| {
        if instruction.is(LLVMOpcode::LLVMAlloca) {
            return false;
        }
        match instruction.called_function() {
            Some(function) => {
                function.name().starts_with("llvm.") || function.name().starts_with("legionella.")
            }
            None => !instruction.is_call(),
        }
    })
}

/// The function under construction.
struct Loops<'m> {
    types: Types<'m>,
    function: Function<'m>,
}

impl<'m> Loops<'m> {
    fn new(module: &'m Module<'_>) -> Self {
        let types = Types::of(module);
        let function = ir::declare(
            module,
            cpu::RUN,
            types.void,
            &[types.ptr, types.ptr, types.i64, types.i64, types.ptr],
        );
        for parameter in [0, 1] {
            for attribute in ["noalias", "readonly", "nofree"] {
                function.add_parameter_attribute(parameter, attribute, 0);
            }
        }
        function.add_parameter_attribute(4, "noalias", 0);
        llvm!(c::LLVMSetVisibility(
            function.raw(),
            llvm_sys::LLVMVisibility::LLVMDefaultVisibility
        ));
        Loops { types, function }
    }

    fn build(self, module: &'m Module<'_>, shape: Shape<'m>) -> Run<'m> {
        let types = &self.types;
        let parameters = self.function.parameters();
        let [block, launch, first, end, progress] = parameters[..] else {
            unreachable!("the function was declared with five parameters");
        };
        let start = Builder::at_end(self.function.append_block("start"));
        let word = |index: u64| {
            let address = start.element(types.i64, launch, types.i64.constant(index));
            start.load(types.i64, address)
        };
        let grid = [word(0), word(1), word(2)];
        let group_size = [word(3), word(4), word(5)];
        let groups = [word(6), word(7), word(8)];
        let one = types.i64.constant(1);

        let group_loop = Counter::begin(&self, &start, first, end, one);
        let at = &group_loop.body;
        let divide = |a, b| at.binary(LLVMOpcode::LLVMUDiv, a, b);
        let rows = divide(group_loop.index, groups[0]);
        let planes = divide(rows, groups[1]);
        let group = [
            at.sub(group_loop.index, at.mul(rows, groups[0])),
            at.sub(rows, at.mul(planes, groups[1])),
            planes,
        ];
        let base = [0, 1, 2].map(|d| at.mul(group[d], group_size[d]));
        let count = [0, 1, 2].map(|d| at.minimum(group_size[d], at.sub(grid[d], base[d])));

        let zero = types.i64.zero();
        let z_loop = Counter::begin(&self, at, zero, count[2], one);
        let z = z_loop.body.add(base[2], z_loop.index);
        let y_loop = Counter::begin(&self, &z_loop.body, zero, count[1], one);
        let y = y_loop.body.add(base[1], y_loop.index);
        self.note(&y_loop.body, progress, 1, y);
        self.note(&y_loop.body, progress, 2, z);

        let strip = types.i64.constant(STRIP);
        let strip_loop = Counter::begin(&self, &y_loop.body, zero, count[0], strip);
        let strip_base = strip_loop.body.add(base[0], strip_loop.index);
        let left = strip_loop.body.sub(count[0], strip_loop.index);
        let strip_len = strip_loop.body.minimum(left, strip);
        let lane_loop = Counter::begin(&self, &strip_loop.body, zero, strip_len, one);
        let x = lane_loop.body.add(strip_base, lane_loop.index);
        let local_x = lane_loop.body.add(strip_loop.index, lane_loop.index);
        let ids = Ids {
            global: [x, y, z],
            local: [local_x, y_loop.index, z_loop.index],
            group,
            grid,
            group_size,
        };

        let mut cold = None;
        let after = match shape {
            Shape::Scalar(shim) => {
                self.note(&lane_loop.body, progress, 0, x);
                self.call_shim(&lane_loop.body, shim, block);
                lane_loop.finish().0
            }
            Shape::Lanes(shim) => {
                let parallel = Parallel::new(module);
                parallel.mark(self.call_shim(&lane_loop.body, shim, block));
                let (after, latch) = lane_loop.finish();
                parallel.finish(latch);
                after
            }
            Shape::Deferred(deferred) => {
                let parallel = independent(deferred.item).then(|| Parallel::new(module));
                cold = Some(deferred.cold);
                let slots = Slots::new(&self, &deferred);
                if parallel.is_none() {
                    // What the item calls may panic on the spot.
                    self.note(&lane_loop.body, progress, 0, x);
                }
                let result = lane_loop.body.call(deferred.item, &[block]);
                slots.keep(&lane_loop.body, result, lane_loop.index, parallel.as_ref());
                let (after, latch) = lane_loop.finish();
                if let Some(parallel) = parallel {
                    parallel.mark(result);
                    parallel.finish(latch);
                }
                self.look(after, &slots, block, strip_len, |at, lane| {
                    let x = at.add(strip_base, lane);
                    self.note(at, progress, 0, x);
                    let mut ids = ids;
                    ids.global[0] = x;
                    ids.local[0] = at.add(strip_loop.index, lane);
                    ids
                })
            }
        };
        let after = strip_loop.finish_from(after);
        let after = y_loop.finish_from(after);
        let after = z_loop.finish_from(after);
        let after = group_loop.finish_from(after);
        after.ret(None);
        Run {
            function: self.function,
            ids,
            cold,
        }
    }

    /// Writes an id of the running item where the application looks when it panics.
    fn note(&self, at: &Builder<'m>, progress: Value<'m>, dimension: u64, id: Value<'m>) {
        let address = at.element(self.types.i64, progress, self.types.i64.constant(dimension));
        at.store(id, address);
    }

    fn call_shim(&self, at: &Builder<'m>, shim: Function<'m>, block: Value<'m>) -> Value<'m> {
        shim.add_attribute("alwaysinline");
        shim.remove_attribute("noinline");
        shim.set_linkage(LLVMLinkage::LLVMInternalLinkage);
        at.call(shim, &[block])
    }

    /// After a strip: if any item asked for a panic, the first gets it.
    fn look(
        &self,
        after: Builder<'m>,
        slots: &Slots<'m>,
        block: Value<'m>,
        len: Value<'m>,
        ids_of_lane: impl FnOnce(&Builder<'m>, Value<'m>) -> Ids<'m>,
    ) -> Builder<'m> {
        let types = &self.types;
        let (zero, one) = (types.i64.zero(), types.i64.constant(1));
        let place_of = |counter: &Counter<'m>| {
            let address = counter.body.element(types.i32, slots.places, counter.index);
            counter.body.load(types.i32, address)
        };
        // A loop that LLVM vectorises: the union of all places is 0 if nobody panicked.
        let mut sum = Counter::begin(self, &after, zero, len, one);
        let union = sum.carry(types.i32.zero());
        let place = place_of(&sum);
        let next = sum.body.binary(LLVMOpcode::LLVMOr, union, place);
        sum.set_carried(next);
        let (done, _) = sum.finish();

        let found = self.function.append_block("panicked");
        let fine = self.function.append_block("fine");
        let any = done.compare(LLVMIntPredicate::LLVMIntNE, union, types.i32.zero());
        done.branch_if(any, found, fine);

        let search = Counter::begin(self, &Builder::at_end(found), zero, len, one);
        let place = place_of(&search);
        let here = search
            .body
            .compare(LLVMIntPredicate::LLVMIntNE, place, types.i32.zero());
        let hit = self.function.append_block("first");
        let go_on = self.function.append_block("next");
        search.body.branch_if(here, hit, go_on);
        let at = Builder::at_end(hit);
        let ids = ids_of_lane(&at, search.index);
        for (index, id) in ids.all().into_iter().enumerate() {
            at.store(
                id,
                at.element(types.i64, slots.ids, types.i64.constant(index as u64)),
            );
        }
        let mut arguments = vec![block, place, slots.ids];
        for (array, ty) in &slots.carried {
            arguments.push(at.load(*ty, at.element(*ty, *array, search.index)));
        }
        at.call(slots.cold, &arguments);
        at.unreachable();
        search.finish_from(Builder::at_end(go_on)).branch(fine);
        Builder::at_end(fine)
    }
}

/// Where the lanes of a strip leave what they would panic with.
struct Slots<'m> {
    cold: Function<'m>,
    /// One `i32` a lane.
    places: Value<'m>,
    place_type: Type<'m>,
    /// An array for each carried value, with its elements' type.
    carried: Vec<(Value<'m>, Type<'m>)>,
    /// Ids of the item that panics, as [`Ids::all`] orders them.
    ids: Value<'m>,
}

impl<'m> Slots<'m> {
    fn new(loops: &Loops<'m>, deferred: &Deferred<'m>) -> Self {
        let at = Builder::before(loops.function.blocks()[0].terminator());
        let array = |ty: Type<'m>, len| at.alloca(ty.array(len), 64);
        Slots {
            cold: deferred.cold,
            places: array(loops.types.i32, STRIP),
            place_type: loops.types.i32,
            carried: deferred
                .carried
                .iter()
                .map(|ty| (array(*ty, STRIP), *ty))
                .collect(),
            ids: array(loops.types.i64, ID_COUNT),
        }
    }

    fn keep(
        &self,
        at: &Builder<'m>,
        result: Value<'m>,
        lane: Value<'m>,
        parallel: Option<&Parallel<'m>>,
    ) {
        let put = |value: Value<'m>, ty: Type<'m>, array: Value<'m>| {
            let store = at.store(value, at.element(ty, array, lane));
            if let Some(parallel) = parallel {
                parallel.mark(store);
            }
        };
        if self.carried.is_empty() {
            put(result, self.place_type, self.places);
            return;
        }
        put(at.extract(result, 0), self.place_type, self.places);
        for (index, (array, ty)) in self.carried.iter().enumerate() {
            put(at.extract(result, index as u32 + 1), *ty, *array);
        }
    }
}

/// A loop `for index in (first..end).step_by(step)` under construction, with its exit test on top.
struct Counter<'m> {
    header: Block<'m>,
    exit: Block<'m>,
    step: Value<'m>,
    index: Value<'m>,
    /// A second value that goes round: its phi and what it becomes.
    carried: Option<(Value<'m>, Option<Value<'m>>)>,
    /// Where the body is built.
    body: Builder<'m>,
}

impl<'m> Counter<'m> {
    fn begin(
        loops: &Loops<'m>,
        before: &Builder<'m>,
        first: Value<'m>,
        end: Value<'m>,
        step: Value<'m>,
    ) -> Self {
        let function = loops.function;
        let header = function.append_block("head");
        let body = function.append_block("body");
        let exit = function.append_block("done");
        let from = before.block();
        before.branch(header);
        let head = Builder::at_end(header);
        let index = head.phi(first.ty());
        index.add_incoming(first, from);
        let more = head.compare(LLVMIntPredicate::LLVMIntULT, index, end);
        head.branch_if(more, body, exit);
        Counter {
            header,
            exit,
            step,
            index,
            carried: None,
            body: Builder::at_end(body),
        }
    }

    /// Adds a value that goes round the loop.
    fn carry(&mut self, first: Value<'m>) -> Value<'m> {
        let phi = Builder::before(self.index).phi(first.ty());
        let (_, from) = self.index.incoming()[0];
        phi.add_incoming(first, from);
        self.carried = Some((phi, None));
        phi
    }

    fn set_carried(&mut self, next: Value<'m>) {
        if let Some((_, becomes)) = &mut self.carried {
            *becomes = Some(next);
        }
    }

    /// Closes the loop where the body's builder stands; gives the place behind it and the latch.
    fn finish(self) -> (Builder<'m>, Value<'m>) {
        let Counter {
            header,
            exit,
            step,
            index,
            carried,
            body,
        } = self;
        let next = body.add(index, step);
        let latch = body.block();
        let branch = body.branch(header);
        index.add_incoming(next, latch);
        if let Some((phi, Some(value))) = carried {
            phi.add_incoming(value, latch);
        }
        (Builder::at_end(exit), branch)
    }

    /// Closes the loop from another place than its body's first block.
    fn finish_from(mut self, at: Builder<'m>) -> Builder<'m> {
        self.body = at;
        self.finish().0
    }
}

/// The claim that a loop's iterations don't touch each other's memory (LLVM Language Reference,
/// `llvm.loop.parallel_accesses`), which holds for the safe outputs by construction and for raw
/// pointers by the obligations of an unchecked launch.
struct Parallel<'m> {
    context: llvm_sys::prelude::LLVMContextRef,
    group: llvm_sys::prelude::LLVMMetadataRef,
    lifetime: std::marker::PhantomData<&'m ()>,
}

impl<'m> Parallel<'m> {
    fn new(module: &'m Module<'_>) -> Self {
        Parallel {
            context: llvm!(c::LLVMGetModuleContext(module.as_mut_ptr())),
            group: ir::distinct_node(module),
            lifetime: std::marker::PhantomData,
        }
    }

    fn kind(&self, name: &str) -> u32 {
        llvm!(c::LLVMGetMDKindIDInContext(
            self.context,
            name.as_ptr().cast(),
            name.len() as u32
        ))
    }

    /// Puts an instruction, and what is inlined for it, under the claim.
    fn mark(&self, instruction: Value<'m>) {
        llvm!(c::LLVMSetMetadata(
            instruction.raw(),
            self.kind("llvm.access.group"),
            c::LLVMMetadataAsValue(self.context, self.group)
        ));
    }

    /// Makes the claim for the loop of a latch, and asks for vector code.
    fn finish(&self, latch: Value<'m>) {
        let text = |name: &str| {
            llvm!(c::LLVMMDStringInContext2(
                self.context,
                name.as_ptr().cast(),
                name.len()
            ))
        };
        let node = |parts: &mut [llvm_sys::prelude::LLVMMetadataRef]| {
            llvm!(c::LLVMMDNodeInContext2(
                self.context,
                parts.as_mut_ptr(),
                parts.len()
            ))
        };
        let yes = llvm!(c::LLVMValueAsMetadata(c::LLVMConstInt(
            c::LLVMInt1TypeInContext(self.context),
            1,
            0
        )));
        let accesses = node(&mut [text("llvm.loop.parallel_accesses"), self.group]);
        let enable = node(&mut [text("llvm.loop.vectorize.enable"), yes]);
        // A loop's node refers to itself first, which keeps loops apart.
        let placeholder = llvm!(llvm_sys::debuginfo::LLVMTemporaryMDNode(
            self.context,
            std::ptr::null_mut(),
            0
        ));
        let whole = node(&mut [placeholder, accesses, enable]);
        llvm!(llvm_sys::debuginfo::LLVMMetadataReplaceAllUsesWith(
            placeholder,
            whole
        ));
        llvm!(c::LLVMSetMetadata(
            latch.raw(),
            self.kind("llvm.loop"),
            c::LLVMMetadataAsValue(self.context, whole)
        ));
    }
}

/// Binds ids to the loops' values, once the kernel's body is inlined into them.
pub(super) fn bind_ids(module: &Module<'_>, run: Run<'_>) -> Result<(), Error> {
    let types = Types::of(module);
    for (kind, name) in crate::lower::IDS.into_iter().enumerate() {
        let (Some(function), Some(values)) = (ir::function(module, name), run.ids.of(name)) else {
            continue;
        };
        for call in function.value().users() {
            let at = Builder::before(call);
            let dimension = call.operand(0);
            let value = if call.block().function() == run.function {
                by_dimension(&types, &at, dimension, values)
            } else {
                // In the cold function, which is told the ids by address.
                let user = call.block().function();
                let Some(ids) = run.cold_ids(user) else {
                    return Err(Error::Internal {
                        stage: "cpu target",
                        reason: format!("{} asks for ids out of line", user.name()),
                    });
                };
                let first = types.i32.constant(3 * kind as u64);
                let index = at.add(first, dimension);
                at.load(types.i64, at.element(types.i64, ids, index))
            };
            call.replace_all_uses_with(value);
            call.erase();
        }
        function.delete();
    }
    Ok(())
}

fn by_dimension<'m>(
    types: &Types<'m>,
    at: &Builder<'m>,
    dimension: Value<'m>,
    values: [Value<'m>; 3],
) -> Value<'m> {
    if let Some(index @ 0..3) = dimension.constant_integer() {
        return values[index as usize];
    }
    let is = |index| {
        let index = types.i32.constant(index);
        at.compare(LLVMIntPredicate::LLVMIntEQ, dimension, index)
    };
    at.select(is(0), values[0], at.select(is(1), values[1], values[2]))
}
