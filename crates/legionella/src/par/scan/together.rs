//! Runs on devices whose neighbouring items should access neighbours: piece by piece, the items of a group
//! bring the next elements of all their runs into shared memory, where each finds its own.

use legionella_device::{Disjoint, Group, Shared};

use super::RUN;
use crate::buffer::{Buffer, SliceMut};
use crate::error::Result;
use crate::grid::Grid;
use crate::launch::{function, shared_slice};
use crate::par::{ItemOf, Par, Source, View};
use crate::schedule::completion::Completion;

/// Elements of a run that are in shared memory at once.
const PIECE: usize = 16;
/// Most items of a group, and most bytes of shared memory that a piece of all its runs takes.
const GROUP: usize = 256;
const BYTES: usize = 36 << 10;

/// Items of a group for elements of that type; `None` if they are too large to gain by it.
pub(super) fn group<T>() -> Option<usize> {
    let size = size_of::<T>();
    let fits = |group: &usize| size > 0 && slots(*group) * size <= BYTES;
    std::iter::successors(Some(GROUP), |group| Some(group / 2))
        .take_while(|group| *group >= 32)
        .find(fits)
}

/// Elements of shared memory for the pieces of so many runs. Elements of the same index lie side by side,
/// and those of one run in different banks.
const fn slots(runs: usize) -> usize {
    PIECE * (runs + 1)
}

impl<S: Source> Par<'_, S> {
    /// Combines as many runs as there is room for; another run follows the last.
    pub(super) fn totals_together<G>(
        &self,
        group: usize,
        combine: G,
        totals: &mut Buffer<ItemOf<S>>,
    ) -> Result<Completion>
    where
        G: Fn(ItemOf<S>, ItemOf<S>) -> ItemOf<S> + Copy + Send + 'static,
    {
        let grid = Grid::over(totals.len()).group(group);
        let arguments = (
            self.source,
            function(combine),
            totals,
            shared_slice(slots(group)),
        );
        self.accelerator
            .launch(totals_of::<S::View, G>, grid, arguments)
    }

    /// Scans all runs, before each of which but the first comes an element of `before`.
    pub(super) fn runs_together<G>(
        &self,
        group: usize,
        before: &Buffer<ItemOf<S>>,
        combine: G,
        out: SliceMut<'_, ItemOf<S>>,
    ) -> Result<Completion>
    where
        G: Fn(ItemOf<S>, ItemOf<S>) -> ItemOf<S> + Copy + Send + 'static,
    {
        let len = out.len();
        let grid = Grid::over(len.div_ceil(RUN)).group(group);
        let arguments = (
            self.source,
            before,
            function(combine),
            len,
            out.address_of_all(),
            shared_slice(slots(group)),
        );
        // SAFETY: `out` has `len` elements, and the source at least as many.
        unsafe {
            self.accelerator
                .launch_unchecked(runs_of::<S::View, G>, grid, arguments)
        }
    }
}

/// The piece of each run of a group, in shared memory.
struct Pieces<'g, T> {
    group: &'g Group<'g>,
    start: *mut T,
    /// Index of the first element of the group's first run.
    first: usize,
}

impl<'g, T: Copy + Send + Sync + 'static> Pieces<'g, T> {
    #[inline(always)]
    fn of(group: &'g Group<'g>, slots: Shared<'_, [T]>) -> Self {
        Pieces {
            group,
            start: slots.into_raw(),
            first: group.first()[0] * RUN,
        }
    }

    /// Where the element of an index in its piece is, of the run of a rank.
    ///
    /// # Safety
    /// `element < PIECE`, `rank` is that of an item of the group, and no other item writes it meanwhile.
    #[inline(always)]
    unsafe fn slot(&self, rank: usize, element: usize) -> *mut T {
        let stride = self.group.len() + 1;
        // SAFETY: there is a slot for each item of the largest group.
        unsafe { self.start.add(element * stride + rank) }
    }

    /// Calls a function with slots and the indices of their elements: each slot once in one of the items,
    /// and neighbours in neighbouring items.
    #[inline(always)]
    fn each(&self, piece: usize, mut each: impl FnMut(*mut T, usize)) {
        for k in 0..PIECE {
            let number = k * self.group.len() + self.group.rank();
            let (rank, element) = (number / PIECE, number % PIECE);
            let index = self.first + rank * RUN + piece * PIECE + element;
            // SAFETY: `number` is less than `PIECE` for each item. What uses the slot stands between
            // barriers, and no other item gets it there.
            each(unsafe { self.slot(rank, element) }, index);
        }
    }
}

/// Combines a run.
fn totals_of<V: View, G>(
    group: Group,
    source: V,
    combine: G,
    mut totals: Disjoint<V::Item>,
    slots: Shared<[V::Item]>,
) where
    G: Fn(V::Item, V::Item) -> V::Item,
{
    let pieces = Pieces::of(&group, slots);
    let mut all = None;
    for piece in 0..RUN / PIECE {
        // SAFETY: another run follows the last, so that these are whole.
        pieces.each(piece, |slot, index| unsafe {
            slot.write(source.get(index));
        });
        group.barrier();
        for element in 0..PIECE {
            // SAFETY: between two barriers; all slots were written before the first.
            let next = unsafe { pieces.slot(group.rank(), element).read() };
            all = Some(match all {
                Some(all) => combine(all, next),
                None => next,
            });
        }
        group.barrier();
    }
    if let (Some(total), Some(all)) = (totals.at(group.item()), all) {
        *total = all;
    }
}

/// Goes through a run and stores what is combined up to each of the `len` elements. `before` has what comes
/// before each run but the first.
fn runs_of<V: View, G>(
    group: Group,
    source: V,
    before: &[V::Item],
    combine: G,
    len: usize,
    out: *mut V::Item,
    slots: Shared<[V::Item]>,
) where
    G: Fn(V::Item, V::Item) -> V::Item,
{
    let pieces = Pieces::of(&group, slots);
    let run = group.item().global();
    let mut all = run.checked_sub(1).map(|run| before[run]);
    for piece in 0..RUN / PIECE {
        pieces.each(piece, |slot, index| {
            if index < len {
                // SAFETY: the source has that many elements.
                unsafe { slot.write(source.get(index)) };
            }
        });
        group.barrier();
        for element in 0..PIECE {
            if run * RUN + piece * PIECE + element < len {
                // SAFETY: between two barriers no other item uses the slots of this run; this one was
                // written before the first.
                let slot = unsafe { &mut *pieces.slot(group.rank(), element) };
                let next = match all {
                    Some(all) => combine(all, *slot),
                    None => *slot,
                };
                *slot = next;
                all = Some(next);
            }
        }
        group.barrier();
        pieces.each(piece, |slot, index| {
            if index < len {
                // SAFETY: within the output, of which no other item has this element; the slot was
                // written before the barrier.
                unsafe { out.add(index).write(slot.read()) };
            }
        });
        group.barrier();
    }
}
