//! Panics of the lanes of a strip, until somebody looks.

use llvm_sys::LLVMIntPredicate;

use super::super::super::cold::Deferred;
use super::super::loops::{Counter, Parallel};
use super::ids::ID_COUNT;
use super::{Loops, STRIP};
use crate::ir::{Builder, Function, Type, Types, Value};

/// Where the lanes of a strip leave what they would panic with.
pub(in super::super) struct Slots<'m> {
    pub(in super::super) cold: Function<'m>,
    /// One `i32` a lane.
    places: Value<'m>,
    place_type: Type<'m>,
    /// An array for each carried value, with its elements' type.
    pub(super) carried: Vec<(Value<'m>, Type<'m>)>,
    /// Ids of the item that panics, as [`Ids::all`](super::Ids::all) orders them.
    pub(super) ids: Value<'m>,
}

impl<'m> Slots<'m> {
    pub(in super::super) fn new(loops: &Loops<'m>, deferred: &Deferred<'m>) -> Self {
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

    /// The place of the item that a loop is at.
    pub(super) fn place_of(&self, types: &Types<'m>, counter: &Counter<'m>) -> Value<'m> {
        let address = counter.body.element(types.i32, self.places, counter.index);
        counter.body.load(types.i32, address)
    }

    /// The arrays for the fields of an item's result.
    pub(in super::super) fn arrays(&self) -> Vec<Value<'m>> {
        let carried = self.carried.iter().map(|(array, _)| *array);
        std::iter::once(self.places).chain(carried).collect()
    }

    /// The place in an item's result, which is all of it if nothing is carried.
    fn place_in(&self, at: &Builder<'m>, result: Value<'m>) -> Value<'m> {
        if self.carried.is_empty() {
            result
        } else {
            at.extract(result, 0)
        }
    }

    /// Leaves an item's result, in a loop that is to become vectors.
    pub(super) fn keep(
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
        put(self.place_in(at, result), self.place_type, self.places);
        for (index, (array, ty)) in self.carried.iter().enumerate() {
            put(at.extract(result, index as u32 + 1), *ty, *array);
        }
    }

    /// Begins with nobody having asked, for loops that only [keep what is asked](Self::keep_if_asked): the first
    /// place that isn't 0 ends the function, so once is enough.
    pub(in super::super) fn clear(&self, loops: &Loops<'m>) {
        let at = Builder::before(loops.function.blocks()[0].terminator());
        at.clear(self.places, 4 * STRIP, 64);
    }

    /// Leaves the result of an item that asked for a panic, in a loop over items one by one; gives the place behind.
    pub(in super::super) fn keep_if_asked(
        &self,
        loops: &Loops<'m>,
        at: &Builder<'m>,
        result: Value<'m>,
        lane: Value<'m>,
    ) -> Builder<'m> {
        let [asked, kept] = ["asked", "kept"].map(|name| loops.function.append_block(name));
        let any = at.compare(
            LLVMIntPredicate::LLVMIntNE,
            self.place_in(at, result),
            loops.types.i32.zero(),
        );
        at.branch_if(any, asked, kept);
        let at = Builder::at_end(asked);
        self.keep(&at, result, lane, None);
        at.branch(kept);
        Builder::at_end(kept)
    }
}
