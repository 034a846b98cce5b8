//! All items of a group run one phase.
//!
//! ```text
//! for each plane of items, for each row of it: regions, or items one by one
//! ```
//!
//! Where there is code for rows side by side, it goes first:
//!
//! ```text
//! for each plane, for each block of rows, for each vector of a row:
//!     as many rows as go side by side are there, and the vector is full? side by side
//!     if not, or where they come apart: row by row
//! ```

use inkwell::module::Module;
use llvm_sys::LLVMIntPredicate::{LLVMIntEQ, LLVMIntUGE};
use llvm_sys::LLVMOpcode;

use super::super::items::{Ids, STRIP, Slots};
use super::super::loops::{self, Counter, Strips};
use super::super::regions::{Beginning, MOSTLY, Plan, Side, Site};
use super::Part;
use super::run::{Place, Run};
use crate::ir::{self, Block, Builder, Function, Types, Value};

/// Most rows that go side by side where a group has others. Code of more pays where it is all that a group does.
const MOST_IN_LOOPS: u64 = 8;

/// Marks the branches to code for groups whose sizes are known.
pub(super) const KNOWN: &str = "legionella.known";

/// A phase that all items of a group are to run.
struct Phase<'a, 'r, 'c, 'm> {
    run: &'a Run<'r, 'c, 'm>,
    place: &'a Place<'m>,
    arguments: [Value<'m>; 2],
    /// Where results are kept, if items may panic.
    slots: Option<Slots<'m>>,
    /// Where is computed what is the same for all items.
    once: Builder<'m>,
}

/// Builds the loops; gives the place behind them.
pub(super) fn build<'m>(
    run: &Run<'_, '_, 'm>,
    part: Part<'m>,
    before: Builder<'m>,
    place: &Place<'m>,
    cold: &mut Vec<Function<'m>>,
) -> Builder<'m> {
    let function = run.loops.function;
    let deferred = part.shape.deferred();
    let slots = deferred.map(|deferred| Slots::new(run.loops, deferred));
    cold.extend(slots.as_ref().map(|slots| slots.cold));
    let (zero, one) = (run.number(0), run.number(1));
    let only = match &part.plan {
        Ok(plan) if !plan.rows().is_empty() => Some(Only::begin(run, place, plan, &before)),
        _ => None,
    };
    let loops = Builder::at_end(only.as_ref().map_or(before.block(), |only| only.loops));
    let planes = Counter::begin(function, &loops, zero, place.count[2], one);
    let phase = Phase {
        run,
        place,
        arguments: [function.parameters()[0], run.context],
        slots,
        once: Builder::before(before.block().terminator()),
    };
    let at = Builder::at_end(planes.body.block());
    let over = only.as_ref().map(|only| only.begin.over);
    let after = match (part.plan, only) {
        (Ok(plan), Some(only)) => phase.side_by_side(plan, at, planes.index, &only),
        (Ok(plan), None) => phase.rows(at, planes.index, |phase, ids, at| {
            phase.planned(plan, ids, place.count[0], None, at)
        }),
        (Err(_), _) => {
            if let Some(slots) = &phase.slots {
                slots.clear(run.loops);
            }
            let item = Told::of(run.module, part.shape.body());
            phase.rows(at, planes.index, |phase, ids, at| {
                phase.strips(&item, ids, at)
            })
        }
    };
    let (behind, latch) = planes.finish_from(after);
    loops::keep_rolled(run.module, latch);
    match over {
        Some(over) => {
            behind.branch(over);
            Builder::at_end(over)
        }
        None => behind,
    }
}

/// The code of a group that is as many rows as go side by side, of one vector each: it is there by
/// itself, before the loops, with ids that are known.
struct Only<'m> {
    begin: Beginning<'m>,
    /// Where the loops begin, and whether they go on for such a group that came apart.
    loops: Block<'m>,
    came_apart: Value<'m>,
}

impl<'m> Only<'m> {
    fn begin(
        run: &Run<'_, '_, 'm>,
        place: &Place<'m>,
        plan: &Plan<'m>,
        before: &Builder<'m>,
    ) -> Self {
        let count = plan.rows()[0];
        let sizes = [plan.lanes(), count, 1];
        let ids = ids(run, place, before, [run.number(0); 3]);
        let fits = (run.group_size.iter().zip(sizes))
            .chain(place.count.iter().zip(sizes))
            .map(|(count, size)| before.compare(LLVMIntEQ, *count, run.number(size)))
            .chain([plan.may_run_together(before, place.count[0], &ids)])
            .reduce(|a, b| before.binary(LLVMOpcode::LLVMAnd, a, b));
        let [block, over, apart, loops] =
            ["only", "phase.over", "only.apart", "loops"].map(|name| run.block(name));
        let i1 = run.types().i1;
        if let Some(fits) = fits {
            let branch = before.branch_if(fits, block, loops);
            branch.set_empty_metadata(KNOWN);
        }
        let came_apart = Builder::at_end(loops).phi(i1);
        came_apart.add_incoming(i1.constant(0), before.block());
        came_apart.add_incoming(i1.constant(1), apart);
        Builder::at_end(apart).branch(loops);
        let begin = Beginning {
            count,
            block,
            ids,
            over,
            apart,
        };
        Only {
            begin,
            loops,
            came_apart,
        }
    }
}

/// Ids of an item, where an item is told by that panics in its row.
fn ids<'m>(
    run: &Run<'_, '_, 'm>,
    place: &Place<'m>,
    at: &Builder<'m>,
    local: [Value<'m>; 3],
) -> Ids<'m> {
    Ids {
        global: [0, 1, 2].map(|d| at.add(place.base[d], local[d])),
        local,
        group: place.group,
        grid: run.grid,
        group_size: run.group_size,
    }
}

impl<'m> Phase<'_, '_, '_, 'm> {
    fn ids(&self, at: &Builder<'m>, local: [Value<'m>; 3]) -> Ids<'m> {
        ids(self.run, self.place, at, local)
    }

    fn note(&self, at: &Builder<'m>, dimension: u64, id: Value<'m>) {
        let progress = self.run.loops.function.parameters()[4];
        self.run.loops.note(at, progress, dimension, id);
    }

    /// Builds the loop over a plane's rows.
    fn rows(
        self,
        before: Builder<'m>,
        plane: Value<'m>,
        build: impl FnOnce(&Self, &Ids<'m>, Builder<'m>) -> Builder<'m>,
    ) -> Builder<'m> {
        let (zero, one) = (self.run.number(0), self.run.number(1));
        let function = self.run.loops.function;
        let rows = Counter::begin(function, &before, zero, self.place.count[1], one);
        let at = Builder::at_end(rows.body.block());
        let ids = self.row(&at, [zero, rows.index, plane]);
        let (behind, latch) = rows.finish_from(build(&self, &ids, at));
        loops::keep_rolled(self.run.module, latch);
        behind
    }

    /// Begins a row.
    fn row(&self, at: &Builder<'m>, first: [Value<'m>; 3]) -> Ids<'m> {
        let ids = self.ids(at, first);
        self.note(at, 1, ids.global[1]);
        self.note(at, 2, ids.global[2]);
        ids
    }

    /// Has the items of a row, or of a vector of it, run regions.
    fn planned(
        &self,
        plan: Plan<'m>,
        ids: &Ids<'m>,
        len: Value<'m>,
        side: Option<Side<'_, 'm>>,
        at: Builder<'m>,
    ) -> Builder<'m> {
        let run = self.run;
        let told = |at: Builder<'m>, first, count| match &self.slots {
            Some(slots) => {
                let note = |at: &Builder<'m>, lane| {
                    let ids = ids.at_lane(at, at.add(first, lane));
                    self.note(at, 0, ids.global[0]);
                    ids
                };
                (run.loops).panic_first(run.module, at, slots, &self.arguments, count, note)
            }
            None => at,
        };
        let site = Site {
            module: run.module,
            function: run.loops.function,
            arguments: &self.arguments,
            ids,
            len,
            results: self.slots.as_ref().map_or_else(Vec::new, Slots::arrays),
            told: &told,
            once: Some(&self.once),
            side,
        };
        plan.build(site, at)
    }

    /// Builds the loops over a plane's blocks of rows.
    fn side_by_side(
        self,
        plan: Plan<'m>,
        before: Builder<'m>,
        plane: Value<'m>,
        only: &Only<'m>,
    ) -> Builder<'m> {
        let run = self.run;
        let number = |value| run.number(value);
        let (function, [width, height, _]) = (run.loops.function, self.place.count);
        let blocks = Strips::begin(function, &before, height, &[]);
        let at = &blocks.body;
        let left = at.sub(height, blocks.first());
        let counts = (plan.rows().iter().copied()).filter(|count| *count <= MOST_IN_LOOPS);
        let rows = counts.clone().rev().fold(number(1), |fewer, count| {
            let whole = at.compare(LLVMIntUGE, left, number(count));
            at.select(whole, number(count), fewer)
        });
        let rows = at.select(only.came_apart, number(only.begin.count), rows);
        let vectors = Counter::begin(function, at, number(0), width, number(plan.lanes()));
        let at = Builder::at_end(vectors.body.block());
        let ids = self.ids(&at, [vectors.index, blocks.first(), plane]);
        let left = at.sub(width, vectors.index);
        let full = plan.may_run_together(&at, left, &ids);
        let len = at.minimum(left, number(plan.lanes()));
        let [together, choose, single, apart, each, over] =
            ["together", "choose", "single", "apart", "each", "over"].map(|name| run.block(name));
        at.branch_if(full, together, single).set_weights(MOSTLY);
        let at = Builder::at_end(together);
        at.branch_if(only.came_apart, apart, choose)
            .set_weights([MOSTLY[1], MOSTLY[0]]);
        let mut begins = vec![only.begin];
        let mut at = Builder::at_end(choose);
        for count in counts {
            let [block, fewer] = ["side", "fewer"].map(|name| run.block(name));
            let are_there = at.compare(LLVMIntEQ, rows, number(count));
            at.branch_if(are_there, block, fewer).set_weights(MOSTLY);
            at = Builder::at_end(fewer);
            begins.push(Beginning {
                count,
                block,
                ids,
                over,
                apart,
            });
        }
        at.branch(single);

        let i1 = run.types().i1;
        let at = Builder::at_end(each);
        let resumes = at.phi(i1);
        for (block, resume) in [(single, 0), (apart, 1)] {
            Builder::at_end(block).branch(each);
            resumes.add_incoming(i1.constant(resume), block);
        }
        let all = Counter::begin(function, &at, number(0), rows, number(1));
        let at = Builder::at_end(all.body.block());
        let row = at.add(blocks.first(), all.index);
        let side = Side {
            begins: &begins,
            resumes,
            row: all.index,
        };
        let of_row = self.row(&at, [vectors.index, row, plane]);
        let after = self.planned(plan, &of_row, len, Some(side), at);
        let (behind, latch) = all.finish_from(after);
        loops::keep_rolled(run.module, latch);
        behind.branch(over);
        let (behind, latch) = vectors.finish_from(Builder::at_end(over));
        loops::keep_rolled(run.module, latch);
        blocks.go_on(&behind, &[behind.add(blocks.first(), rows)]);
        let (behind, latch) = blocks.finish();
        loops::keep_rolled(run.module, latch);
        behind
    }

    /// Has the items of a row run one by one, in strips if it is looked whether any has panicked.
    fn strips(&self, item: &Told<'m>, row: &Ids<'m>, before: Builder<'m>) -> Builder<'m> {
        let run = self.run;
        let width = self.place.count[0];
        let Some(slots) = &self.slots else {
            return self.one_by_one(item, row, width, before);
        };
        let length = run.number(STRIP);
        let function = run.loops.function;
        let strips = Counter::begin(function, &before, run.number(0), width, length);
        let at = Builder::at_end(strips.body.block());
        let len = at.minimum(at.sub(width, strips.index), length);
        let ids = row.at_lane(&at, strips.index);
        let after = self.one_by_one(item, &ids, len, at);
        let note = |at: &Builder<'m>, lane| {
            let ids = ids.at_lane(at, lane);
            self.note(at, 0, ids.global[0]);
            ids
        };
        let after = (run.loops).look(run.module, after, slots, &self.arguments, len, note);
        let (behind, latch) = strips.finish_from(after);
        loops::keep_rolled(run.module, latch);
        behind
    }

    /// Has the items of a strip run a phase one after the other. `item` is told its ids behind its other
    /// parameters.
    fn one_by_one(
        &self,
        item: &Told<'m>,
        ids: &Ids<'m>,
        len: Value<'m>,
        at: Builder<'m>,
    ) -> Builder<'m> {
        let function = self.run.loops.function;
        let lanes = Counter::begin(function, &at, self.run.number(0), len, self.run.number(1));
        let (at, lane) = (&lanes.body, lanes.index);
        let ids = ids.at_lane(at, lane);
        self.note(at, 0, ids.global[0]);
        let told = item.ids.iter().filter_map(|(name, dimension)| {
            let kind = ids.of(name)?;
            Some(kind[*dimension as usize])
        });
        let arguments: Vec<_> = self.arguments.into_iter().chain(told).collect();
        let result = self.run.loops.call_item(at, item.function, &arguments);
        let (behind, latch) = match &self.slots {
            Some(slots) => {
                let kept = slots.keep_if_asked(self.run.loops, at, result, lane);
                lanes.finish_from(kept)
            }
            None => lanes.finish(),
        };
        loops::keep_rolled(self.run.module, latch);
        behind
    }
}

/// What an item does in a phase, as a function that is told ids instead of asking for them: what is the same for
/// all items then needn't be computed by each of them anew.
struct Told<'m> {
    function: Function<'m>,
    /// The ids that it is told, by what it asked and in which dimension.
    ids: Vec<(&'static str, u64)>,
}

impl<'m> Told<'m> {
    /// Makes it of one that asks, which is gone then.
    fn of(module: &'m Module<'_>, asks: Function<'m>) -> Self {
        let asked = |call: Value<'m>| {
            let called = call.called_function()?.name();
            let name = crate::lower::IDS.into_iter().find(|name| *name == called)?;
            Some((name, call.operand(0).constant_integer()?))
        };
        let calls: Vec<_> = asks
            .instructions()
            .into_iter()
            .filter_map(|call| Some((call, asked(call)?)))
            .collect();
        let mut ids: Vec<_> = calls.iter().map(|(_, id)| *id).collect();
        ids.sort_unstable();
        ids.dedup();

        let given = asks.parameters();
        let parameters = given.iter().map(|parameter| parameter.ty());
        let told = ids.iter().map(|_| Types::of(module).i64);
        let parameters: Vec<_> = parameters.chain(told).collect();
        let name = format!("{}.told", asks.name());
        let function = ir::declare(module, &name, asks.signature().result(), &parameters);
        function.add_attribute("nounwind");
        let own = function.parameters();
        for (parameter, own) in given.iter().zip(&own) {
            parameter.replace_all_uses_with(*own);
        }
        for (id, told) in ids.iter().zip(&own[given.len()..]) {
            for (call, _) in calls.iter().filter(|(_, asked)| asked == id) {
                call.replace_all_uses_with(*told);
                call.erase();
            }
        }
        let start = function.append_block("start");
        let blocks = asks.blocks();
        let mut last = start;
        for block in &blocks {
            block.move_after(last);
            last = *block;
        }
        start.delete();
        asks.delete();
        Told { function, ids }
    }
}
