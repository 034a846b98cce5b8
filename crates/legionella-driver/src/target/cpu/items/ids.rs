//! Ids: what the lanes of a loop have, and how what asks for them is bound to that.

use inkwell::module::Module;
use legionella_abi::intrinsic;
use llvm_sys::LLVMIntPredicate;

use super::Run;
use crate::error::Error;
use crate::ir::{self, Builder, Function, Types, Value};

/// Ids and sizes within the lane loop, by dimension.
#[derive(Clone, Copy)]
pub(in super::super) struct Ids<'m> {
    pub(in super::super) global: [Value<'m>; 3],
    pub(in super::super) local: [Value<'m>; 3],
    pub(in super::super) group: [Value<'m>; 3],
    pub(in super::super) grid: [Value<'m>; 3],
    pub(in super::super) group_size: [Value<'m>; 3],
}

impl<'m> Ids<'m> {
    pub(in super::super) fn of(&self, intrinsic: &str) -> Option<[Value<'m>; 3]> {
        Some(match intrinsic {
            intrinsic::GLOBAL_ID => self.global,
            intrinsic::GRID_SIZE => self.grid,
            intrinsic::LOCAL_ID => self.local,
            intrinsic::GROUP_ID => self.group,
            intrinsic::GROUP_SIZE => self.group_size,
            _ => return None,
        })
    }

    /// The ids of a lane, where the first dimension's are those of lane 0.
    pub(in super::super) fn at_lane(&self, at: &Builder<'m>, lane: Value<'m>) -> Self {
        let mut ids = *self;
        ids.global[0] = at.add(self.global[0], lane);
        ids.local[0] = at.add(self.local[0], lane);
        ids
    }

    /// All of them in a fixed order: by kind as in [`crate::lower::IDS`], then by dimension.
    pub(super) fn all(&self) -> Vec<Value<'m>> {
        crate::lower::IDS
            .iter()
            .filter_map(|name| self.of(name))
            .flatten()
            .collect()
    }
}

/// How many ids an item has.
pub(super) const ID_COUNT: u64 = 3 * crate::lower::IDS.len() as u64;

/// Binds ids to the loops' values, once the kernel's body is inlined into them, and settles what
/// the quick loop assumes.
pub(in super::super) fn bind_ids(module: &Module<'_>, run: Run<'_>) -> Result<(), Error> {
    let types = Types::of(module);
    let in_quick = run.quick.as_ref().map(|(quick, _)| quick.blocks());
    for (kind, name) in crate::lower::IDS.into_iter().enumerate() {
        let Some(function) = ir::function(module, name) else {
            continue;
        };
        for call in function.value().users() {
            let at = Builder::before(call);
            let dimension = call.operand(0);
            let user = call.block().function();
            let ids = match (&run.quick, &in_quick) {
                (Some((_, ids)), Some(blocks)) if blocks.contains(&call.block()) => ids,
                _ => &run.ids,
            };
            let value = if let Some(ids) = run.cold_ids(user) {
                told_id(&types, &at, ids, kind, dimension)
            } else if user == run.function
                && let Some(values) = ids.of(name)
            {
                by_dimension(&types, &at, dimension, values)
            } else {
                return Err(Error::Internal {
                    stage: "cpu target",
                    reason: format!("{} asks for ids out of line", user.name()),
                });
            };
            call.replace_all_uses_with(value);
            call.erase();
        }
        function.delete();
    }
    if let Some((quick, _)) = run.quick {
        quick.settle(module, false);
    }
    Ok(())
}

/// Binds the ids that a cold function asks for to those that it is told.
pub(in super::super) fn bind_told_ids(cold: Function<'_>) {
    let types = Types::of_type(cold.value().ty());
    for call in cold.instructions() {
        let name = call.called_function().map(Function::name);
        let kind = crate::lower::IDS
            .iter()
            .position(|known| name.as_deref() == Some(known));
        if let Some(kind) = kind {
            let at = Builder::before(call);
            let ids = cold.parameters()[2];
            call.replace_all_uses_with(told_id(&types, &at, ids, kind, call.operand(0)));
            call.erase();
        }
    }
}

/// An id of the item that panics, as [`Ids::all`] orders them.
fn told_id<'m>(
    types: &Types<'m>,
    at: &Builder<'m>,
    ids: Value<'m>,
    kind: usize,
    dimension: Value<'m>,
) -> Value<'m> {
    let index = at.add(types.i32.constant(3 * kind as u64), dimension);
    at.load(types.i64, at.element(types.i64, ids, index))
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
