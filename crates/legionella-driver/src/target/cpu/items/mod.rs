//! The loop over the work-items.
//!
//! Takes a simplified entry shim, gives the function that the application calls
//! ([`legionella_abi::cpu::Run`]): a loop over work-groups, within it loops over the third and
//! second dimension, within them a loop over the first, the *lane loop*, which LLVM's vectoriser
//! takes. Where the kernel's panics can be deferred ([`super::super::cold`]), the lane loop has no exit
//! but its own; it then runs in strips, and after each strip the first item that asked for a panic
//! gets it. A kernel whose items are independent gets the lane loop twice: [`super::super::guards`] frees
//! the *quick* one of checks that all items of a strip pass.

mod ids;
mod slots;

pub(super) use ids::{Ids, bind_ids, bind_told_ids};
pub(super) use slots::Slots;

use inkwell::module::Module;
use inkwell::targets::TargetMachine;
use legionella_abi::{cpu, intrinsic};
use llvm_sys::core as c;
use llvm_sys::{LLVMIntPredicate, LLVMLinkage, LLVMOpcode};

use super::super::cold::{self, Deferred};
use super::super::guards::Quick;
use super::divisions;
use super::loops::{self, Counter, Parallel, Strips};
use super::regions::{self, Plan, Policy, Site, has_loop};
use crate::error::Error;
use crate::generate::Stages;
use crate::ir::{self, Builder, Function, Types, Value, llvm};

/// Most items of a strip: how many fit between two looks at who panicked.
pub(super) const STRIP: u64 = 1024;

/// Least items of a strip for which the guard of the quick loop is asked: one or two vectors.
const PIECE: u64 = 32;

/// The function that runs work-groups, with the values that ids are bound to.
pub(super) struct Run<'m> {
    function: Function<'m>,
    ids: Ids<'m>,
    /// The lane loop without checks, and the ids in it.
    quick: Option<(Quick<'m>, Ids<'m>)>,
    cold: Option<Function<'m>>,
    in_regions: bool,
}

impl<'m> Run<'m> {
    /// Whether the kernel was split into regions.
    pub(super) fn is_in_regions(&self) -> bool {
        self.in_regions
    }

    /// The address of the ids, if `function` is the cold function, which is told them so.
    fn cold_ids(&self, function: Function<'m>) -> Option<Value<'m>> {
        (self.cold == Some(function)).then(|| function.parameters()[2])
    }
}

/// Builds the loops around an entry shim, which still is a call in the innermost.
pub(super) fn build<'m>(
    module: &'m Module<'_>,
    entry: &str,
    machine: &TargetMachine,
    stages: &mut Stages<'_>,
    policy: Policy,
) -> Result<Run<'m>, Error> {
    let shim = ir::function(module, entry).ok_or_else(|| Error::Internal {
        stage: "cpu target",
        reason: format!("the entry shim {entry} is gone"),
    })?;
    let shape = Shape::of(module, shim);
    divisions::make_total(shape.body());
    let plan = regions::plan(module, shape.body(), machine, policy)?;
    match &plan {
        Ok(plan) => {
            stages.tell("way", plan);
            stages.tell("regions", plan.listing());
        }
        Err(refusal) => stages.tell("way", format_args!("item by item: {refusal}\n")),
    }
    Ok(Loops::new(module).build(module, shape, plan.ok()))
}

/// How the kernel runs within the lane loop.
pub(super) enum Shape<'m> {
    /// Items don't panic, or panic on the spot.
    Plain(Function<'m>),
    /// Panics wait until the strip has run.
    Deferred(Deferred<'m>),
}

impl<'m> Shape<'m> {
    pub(super) fn of(module: &'m Module<'_>, shim: Function<'m>) -> Self {
        if may_panic(shim) {
            let deferred = cold::defer(module, shim);
            deferred.iter().for_each(Deferred::expect_none);
            deferred.map_or(Shape::Plain(shim), Shape::Deferred)
        } else {
            Shape::Plain(shim)
        }
    }

    /// What is called for each item.
    pub(super) fn body(&self) -> Function<'m> {
        match self {
            Shape::Plain(shim) => *shim,
            Shape::Deferred(deferred) => deferred.item,
        }
    }

    pub(super) fn deferred(&self) -> Option<&Deferred<'m>> {
        match self {
            Shape::Plain(_) => None,
            Shape::Deferred(deferred) => Some(deferred),
        }
    }

    /// Whether the lane loop may be declared parallel.
    fn is_parallel(&self) -> bool {
        !may_panic(self.body()) && independent(self.body())
    }
}

fn may_panic(function: Function<'_>) -> bool {
    function
        .instructions()
        .iter()
        .any(|instruction| instruction.is(LLVMOpcode::LLVMUnreachable))
}

/// Whether items share no memory of the function around them and call nothing that could: only
/// then may the lane loop be declared parallel.
fn independent(body: Function<'_>) -> bool {
    body.instructions().into_iter().all(|instruction| {
        if instruction.is(LLVMOpcode::LLVMAlloca) {
            return false;
        }
        match instruction.called_function() {
            Some(function) => is_known(function),
            None => !instruction.is_call(),
        }
    })
}

/// Whether a call touches no memory but the item's: of LLVM's own operations, ids, mathematical
/// functions, and what this target itself puts in.
pub(super) fn is_known(function: Function<'_>) -> bool {
    let name = function.name();
    let asks_the_host = crate::lower::HOST_CALLS.contains(&name.as_str());
    name.starts_with("llvm.") || (name.starts_with("legionella.") && !asks_the_host)
}

/// The place behind a strip's loop, the ids within it, how long the next piece is, and the quick
/// loop with its ids.
type Lanes<'m> = (
    Builder<'m>,
    Ids<'m>,
    Value<'m>,
    Option<(Quick<'m>, Ids<'m>)>,
);

/// The function under construction.
pub(super) struct Loops<'m> {
    pub(super) types: Types<'m>,
    pub(super) function: Function<'m>,
}

impl<'m> Loops<'m> {
    pub(super) fn new(module: &'m Module<'_>) -> Self {
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
        // What is noted there, the application reads when it is asked which item runs.
        if ir::function(module, intrinsic::RUNNING_ITEM).is_none() {
            function.add_parameter_attribute(4, "noalias", 0);
        }
        llvm!(c::LLVMSetVisibility(
            function.raw(),
            llvm_sys::LLVMVisibility::LLVMDefaultVisibility
        ));
        Loops { types, function }
    }

    fn build(self, module: &'m Module<'_>, shape: Shape<'m>, plan: Option<Plan<'m>>) -> Run<'m> {
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

        let group_loop = Counter::begin(self.function, &start, first, end, one);
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
        let z_loop = Counter::begin(self.function, at, zero, count[2], one);
        let z = z_loop.body.add(base[2], z_loop.index);
        let y_loop = Counter::begin(self.function, &z_loop.body, zero, count[1], one);
        let y = y_loop.body.add(base[1], y_loop.index);
        self.note(&y_loop.body, progress, 1, y);
        self.note(&y_loop.body, progress, 2, z);

        let [strip, piece] = [STRIP, PIECE].map(|len| types.i64.constant(len));
        let strips = Strips::begin(self.function, &y_loop.body, count[0], &[strip, piece]);
        let first = strips.first();
        let strip_base = strips.body.add(base[0], first);
        let left = strips.body.sub(count[0], first);
        let len = strips.body.minimum(left, strips.other(0));
        let next = strips.body.add(first, len);
        let uniform = Ids {
            global: [strip_base, y, z],
            local: [first, y_loop.index, z_loop.index],
            group,
            grid,
            group_size,
        };
        let slots = shape.deferred().map(|deferred| Slots::new(&self, deferred));
        let in_regions = plan.is_some();
        let (mut after, ids, general_piece, quick) = match plan {
            Some(plan) => {
                let told = |at: Builder<'m>, first, count| match &slots {
                    Some(slots) => {
                        self.panic_first(module, at, slots, &[block], count, |at, lane| {
                            let ids = uniform.at_lane(at, at.add(first, lane));
                            self.note(at, progress, 0, ids.global[0]);
                            ids
                        })
                    }
                    None => at,
                };
                let site = Site {
                    module,
                    function: self.function,
                    arguments: &[block],
                    ids: &uniform,
                    len,
                    results: slots.as_ref().map_or_else(Vec::new, Slots::arrays),
                    told: &told,
                    once: None,
                    side: None,
                };
                let at = Builder::at_end(strips.body.block());
                (plan.build(site, at), uniform, piece, None)
            }
            None => self.lanes(
                module,
                &strips,
                &shape,
                slots.as_ref(),
                (block, progress),
                len,
                &uniform,
            ),
        };
        if let Some(slots) = slots.as_ref().filter(|_| !in_regions) {
            after = self.look(module, after, slots, &[block], len, |at, lane| {
                let ids = uniform.at_lane(at, lane);
                self.note(at, progress, 0, ids.global[0]);
                ids
            });
        }
        strips.go_on(&after, &[next, strip, general_piece]);
        let (mut after, latch) = strips.finish();
        loops::keep_rolled(module, latch);
        for outer in [y_loop, z_loop, group_loop] {
            let (behind, latch) = outer.finish_from(after);
            loops::keep_rolled(module, latch);
            after = behind;
        }
        after.ret(None);
        Run {
            function: self.function,
            ids,
            quick,
            cold: slots.map(|slots| slots.cold),
            in_regions,
        }
    }

    /// Builds the lane loop, and the quick one before it if there can be one; gives the place behind
    /// both, the ids within the lane loop, and how long a piece is after it.
    #[expect(clippy::too_many_arguments, reason = "what is known of a strip")]
    fn lanes(
        &self,
        module: &'m Module<'_>,
        strips: &Strips<'m>,
        shape: &Shape<'m>,
        slots: Option<&Slots<'m>>,
        (block, progress): (Value<'m>, Value<'m>),
        len: Value<'m>,
        uniform: &Ids<'m>,
    ) -> Lanes<'m> {
        let (zero, one) = (self.types.i64.zero(), self.types.i64.constant(1));
        let body = shape.body();
        let parallel = shape.is_parallel();
        let (before, general_piece, quick) = if parallel {
            let (before, general_piece, quick) =
                self.quick(module, strips, body, block, len, uniform);
            (before, general_piece, Some(quick))
        } else {
            let piece = self.types.i64.constant(PIECE);
            (Builder::at_end(strips.body.block()), piece, None)
        };

        let lane_loop = Counter::begin(self.function, &before, zero, len, one);
        let ids = uniform.at_lane(&lane_loop.body, lane_loop.index);
        if !parallel {
            // The item, or what it calls, panics on the spot.
            self.note(&lane_loop.body, progress, 0, ids.global[0]);
        }
        let claim = parallel.then(|| Parallel::new(module));
        let result = self.call_item(&lane_loop.body, body, &[block]);
        let (after, latch) = match slots {
            // Not for vectors.
            Some(slots) if has_loop(body) => {
                slots.clear(self);
                let kept = slots.keep_if_asked(self, &lane_loop.body, result, lane_loop.index);
                lane_loop.finish_from(kept)
            }
            Some(slots) => {
                slots.keep(&lane_loop.body, result, lane_loop.index, claim.as_ref());
                lane_loop.finish()
            }
            None => lane_loop.finish(),
        };
        if let Some(claim) = claim {
            claim.mark(result);
            claim.finish(latch);
        }
        (after, ids, general_piece, quick)
    }

    /// Builds the lane loop that assumes what its guard promises: nobody panics in it.
    ///
    /// Where the guard fails for a strip that is longer than a piece, it is asked again for a
    /// piece: of a row of pixels, say, only the pieces at both ends take the general loop, which is
    /// built behind this. Gives the place for it, and how long a piece is after it: pieces grow
    /// where the guard fails again and again.
    fn quick(
        &self,
        module: &'m Module<'_>,
        strips: &Strips<'m>,
        body: Function<'m>,
        block: Value<'m>,
        len: Value<'m>,
        uniform: &Ids<'m>,
    ) -> (Builder<'m>, Value<'m>, (Quick<'m>, Ids<'m>)) {
        let types = &self.types;
        let at = &strips.body;
        let [one, two] = [1, 2].map(|step| types.i64.constant(step));
        let [strip, smallest] = [STRIP, PIECE].map(|len| types.i64.constant(len));
        let first = strips.first();
        let piece = strips.other(1);
        let next = at.add(first, len);
        let longer = at.minimum(at.mul(len, two), strip);
        let grown = at.minimum(at.mul(piece, two), strip);
        let divisible = at.compare(LLVMIntPredicate::LLVMIntUGT, len, piece);
        let guarded = Quick::guarded(module, at);
        let retry = at.binary(LLVMOpcode::LLVMAnd, divisible, guarded);
        let guard = Quick::guard(module, at);
        let [start, failed, again, general] =
            ["quick", "failed", "again", "general"].map(|name| self.function.append_block(name));
        at.branch_if(guard, start, failed);
        Builder::at_end(failed).branch_if(retry, again, general);
        strips.go_on(&Builder::at_end(again), &[first, piece, piece]);

        let lanes = Counter::begin(
            self.function,
            &Builder::at_end(start),
            types.i64.zero(),
            len,
            one,
        );
        let ids = uniform.at_lane(&lanes.body, lanes.index);
        let claim = Parallel::new(module);
        let result = self.call_item(&lanes.body, body, &[block]);
        claim.mark(result);
        let place = Quick::place(module, &lanes.body, result);
        let quick = Quick {
            guard,
            guarded,
            place,
            lane: lanes.index,
            header: lanes.header,
            last: Builder::before(guard).sub(len, one),
            row: None,
        };
        let (after, latch) = lanes.finish();
        claim.finish(latch);
        strips.go_on(&after, &[next, longer, smallest]);
        (Builder::at_end(general), grown, (quick, ids))
    }

    /// Writes an id of the running item where the application looks when it panics.
    pub(super) fn note(
        &self,
        at: &Builder<'m>,
        progress: Value<'m>,
        dimension: u64,
        id: Value<'m>,
    ) {
        let address = at.element(self.types.i64, progress, self.types.i64.constant(dimension));
        at.store(id, address);
    }

    /// A call of what is inlined into the lane loop.
    pub(super) fn call_item(
        &self,
        at: &Builder<'m>,
        item: Function<'m>,
        arguments: &[Value<'m>],
    ) -> Value<'m> {
        item.add_attribute("alwaysinline");
        item.remove_attribute("noinline");
        item.set_linkage(LLVMLinkage::LLVMInternalLinkage);
        at.call(item, arguments)
    }

    /// After a strip: if any item asked for a panic, the first gets it. `arguments` are those of the
    /// item.
    pub(super) fn look(
        &self,
        module: &Module<'_>,
        after: Builder<'m>,
        slots: &Slots<'m>,
        arguments: &[Value<'m>],
        len: Value<'m>,
        ids_of_lane: impl FnOnce(&Builder<'m>, Value<'m>) -> Ids<'m>,
    ) -> Builder<'m> {
        let types = &self.types;
        let (zero, one) = (types.i64.zero(), types.i64.constant(1));
        // A loop that LLVM vectorises: the union of all places is 0 if nobody panicked.
        let mut sum = Counter::begin(self.function, &after, zero, len, one);
        let union = sum.carry(types.i32.zero());
        let place = slots.place_of(types, &sum);
        let next = sum.body.binary(LLVMOpcode::LLVMOr, union, place);
        sum.set_carried(next);
        let (done, latch) = sum.finish();
        loops::keep_small(module, latch);

        let found = self.function.append_block("panicked");
        let fine = self.function.append_block("fine");
        let any = done.compare(LLVMIntPredicate::LLVMIntNE, union, types.i32.zero());
        done.branch_if(any, found, fine);
        let at = Builder::at_end(found);
        let not_found = self.panic_first(module, at, slots, arguments, len, ids_of_lane);
        not_found.branch(fine);
        Builder::at_end(fine)
    }

    /// Has the first of some items that asked for a panic get it, if there is one; gives the place
    /// behind. `arguments` are those of the item.
    pub(super) fn panic_first(
        &self,
        module: &Module<'_>,
        at: Builder<'m>,
        slots: &Slots<'m>,
        arguments: &[Value<'m>],
        len: Value<'m>,
        ids_of_lane: impl FnOnce(&Builder<'m>, Value<'m>) -> Ids<'m>,
    ) -> Builder<'m> {
        let types = &self.types;
        let (zero, one) = (types.i64.zero(), types.i64.constant(1));
        let search = Counter::begin(self.function, &at, zero, len, one);
        let place = slots.place_of(types, &search);
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
        let mut told = vec![arguments[0], place, slots.ids];
        told.extend(&arguments[1..]);
        for (array, ty) in &slots.carried {
            told.push(at.load(*ty, at.element(*ty, *array, search.index)));
        }
        at.call(slots.cold, &told);
        at.unreachable();
        let (not_found, latch) = search.finish_from(Builder::at_end(go_on));
        loops::keep_plain(module, latch);
        not_found
    }
}
