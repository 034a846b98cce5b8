//! Rounds of the reduction in one launch, where groups have memory of their own. What is combined with what
//! is the same as in rounds that are launches.

use legionella_device::{Disjoint, Group, Shared};

use super::{COLUMNS, column_of, columns_in, rows_of};
use crate::buffer::Buffer;
use crate::error::Result;
use crate::grid::Grid;
use crate::launch::{function, shared};
use crate::par::{ItemOf, Par, Source, View};

/// Items of a group that does two rounds.
const GROUP: usize = 256;
/// Rows of a block in rounds of fewer than 2²² elements.
const ROWS: usize = rows_of(0);
/// Least elements of which two rounds are one launch: with fewer, there are too few groups.
const LEAST: usize = 1 << 26;
/// With so many or more, the second round has higher blocks.
const BELOW: usize = 1 << 30;
/// Items of the group that does all rounds of the rest.
const LAST: usize = 256;
/// Most elements of the rest.
const REST: usize = LAST * ROWS;
/// Largest element in bytes: there is shared memory for a block of these.
const LARGEST: usize = 16;

/// Whether elements of that type are combined so.
pub(super) const fn may<T>() -> bool {
    size_of::<T>() <= LARGEST
}

impl<S: Source> Par<'_, S> {
    /// [`Par::reduce`] of some elements.
    pub(super) fn reduce_together<G>(self, combine: G) -> Result<Option<ItemOf<S>>>
    where
        G: Fn(ItemOf<S>, ItemOf<S>) -> ItemOf<S> + Copy + Send + 'static,
    {
        if self.len() <= REST {
            return self.rest(combine);
        }
        let mut left = match (LEAST..BELOW).contains(&self.len()) {
            true => self.two_rounds(combine)?,
            false => self.columns(combine)?,
        };
        while left.len() > REST {
            left = self.of(&left).columns(combine)?;
        }
        self.of(&left).rest(combine)
    }

    /// What two rounds leave.
    fn two_rounds<G>(self, combine: G) -> Result<Buffer<ItemOf<S>>>
    where
        G: Fn(ItemOf<S>, ItemOf<S>) -> ItemOf<S> + Copy + Send + 'static,
    {
        let (_, columns) = columns_in(self.len(), rows_of(self.len()));
        let (groups, left) = columns_in(columns, ROWS);
        // SAFETY: there is a group for each block of the second round, which writes its columns.
        unsafe {
            self.written_by(left, |out| {
                let arguments = (
                    self.source,
                    columns,
                    function(combine),
                    out.as_slice_mut().address_of_all(),
                    shared(),
                );
                let grid = Grid::over(groups * GROUP).group(GROUP);
                self.accelerator
                    .launch_unchecked(two_rounds_of::<S::View, G>, grid, arguments)
            })
        }
    }

    /// All rounds of some elements, of which there are few.
    fn rest<G>(self, combine: G) -> Result<Option<ItemOf<S>>>
    where
        G: Fn(ItemOf<S>, ItemOf<S>) -> ItemOf<S> + Copy + Send + 'static,
    {
        // SAFETY: one of the items writes the one element.
        let all = unsafe {
            self.written_by(1, |all| {
                let grid = Grid::over(LAST).group(LAST);
                let arguments = (self.source, function(combine), all, shared());
                self.accelerator
                    .launch(rest_of::<S::View, G>, grid, arguments)
            })
        }?;
        Ok(all.to_vec()?.pop())
    }
}

/// Combines a column of elements in shared memory, one after the other.
///
/// # Safety
/// There are `count` elements, more than `column`.
#[inline(always)]
unsafe fn column_in<T: Copy>(
    start: *const T,
    count: usize,
    column: usize,
    combine: impl Fn(T, T) -> T,
) -> T {
    // SAFETY: called for indices below the count.
    let get = |index: usize| unsafe { start.add(index).read() };
    let mut all = get(column);
    let mut index = column + COLUMNS;
    while index < count {
        all = combine(all, get(index));
        index += COLUMNS;
    }
    all
}

/// Combines the `columns` columns of what is a block of the second round, and then that one's.
fn two_rounds_of<V: View, G>(
    group: Group,
    source: V,
    columns: usize,
    combine: G,
    out: *mut V::Item,
    block: Shared<[V::Item; ROWS * COLUMNS]>,
) where
    G: Fn(V::Item, V::Item) -> V::Item,
{
    let block = block.into_raw();
    let first = group.index() * (ROWS * COLUMNS);
    let count = (columns - first).min(ROWS * COLUMNS);
    for index in (group.rank()..count).step_by(GROUP) {
        let column = first + index;
        let most = rows_of(source.count());
        // SAFETY: one of the columns, and each item's own place.
        unsafe {
            let (y, x) = (column / COLUMNS, column % COLUMNS);
            let value = column_of(&source, most, &combine, y, x);
            block.add(index).write(value);
        }
    }
    group.barrier();
    let rank = group.rank();
    if rank < count.min(COLUMNS) {
        // SAFETY: all were written before the barrier. The output has a place for each column of each group.
        unsafe {
            let all = column_in(block, count, rank, &combine);
            out.add(group.index() * COLUMNS + rank).write(all);
        }
    }
}

/// Combines all elements, of which there are [`REST`] at most.
fn rest_of<V: View, G>(
    group: Group,
    source: V,
    combine: G,
    mut out: Disjoint<V::Item>,
    left: Shared<[V::Item; LAST]>,
) where
    G: Fn(V::Item, V::Item) -> V::Item,
{
    let left = left.into_raw();
    let (_, count) = columns_in(source.count(), ROWS);
    let rank = group.rank();
    if rank < count {
        // SAFETY: one of the columns, and the item's own place.
        unsafe {
            let value = column_of(&source, ROWS, &combine, rank / COLUMNS, rank % COLUMNS);
            left.add(rank).write(value);
        }
    }
    group.barrier();
    // These are in one block.
    if rank < count.min(COLUMNS) {
        // SAFETY: all were written before the barrier; no other item uses the places of this column.
        unsafe { left.add(rank).write(column_in(left, count, rank, &combine)) };
    }
    group.barrier();
    if let (0, Some(out)) = (rank, out.at(group.item())) {
        let mut all = None;
        for index in 0..count.min(COLUMNS) {
            // SAFETY: written before the barrier.
            let next = unsafe { left.add(index).read() };
            all = Some(match all {
                Some(all) => combine(all, next),
                None => next,
            });
        }
        if let Some(all) = all {
            *out = all;
        }
    }
}
