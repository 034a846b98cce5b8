//! Rounds of the reduction in one launch, where groups have memory of their own. What is combined with what
//! is the same as in rounds that are launches.
//!
//! Of many elements groups do two rounds each, and the one that ends last all rounds of what those leave: it knows by
//! a count of groups that have ended. One of whose items has panicked doesn't come that far.

use std::sync::atomic::{AtomicU64, Ordering};

use legionella_device::{Disjoint, Group, Shared};

use super::{COLUMNS, UNROLLED, column_of, columns_in, rows_of};
use crate::buffer::{Buffer, HostBuffer};
use crate::error::Result;
use crate::grid::Grid;
use crate::launch::{function, shared};
use crate::par::elements::StoredView;
use crate::par::{ItemOf, Par, Source, View};

/// Items of a group that does two rounds.
const GROUP: usize = 256;
/// Rows of a block in rounds of fewer than 2²² elements.
const ROWS: usize = rows_of(0);
/// Least elements of which two rounds are one launch: with fewer, there are too few groups.
const LEAST: usize = 1 << 26;
/// With so many or more, the second round has higher blocks.
const BELOW: usize = 1 << 30;
/// Neighbouring columns that an item combines together: of small elements a row of them is one access.
const NEIGHBOURS: usize = 4;
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
        let many = (LEAST..BELOW).contains(&self.len());
        let mut left = match Rounds::of(self.len()) {
            rounds if many && rounds.left <= REST => return self.at_once(rounds, combine),
            rounds if many => self.two_rounds(rounds, combine)?,
            _ => self.columns(combine)?,
        };
        while left.len() > REST {
            left = self.of(&left).columns(combine)?;
        }
        self.of(&left).rest(combine)
    }

    /// What two rounds leave.
    fn two_rounds<G>(self, rounds: Rounds, combine: G) -> Result<Buffer<ItemOf<S>>>
    where
        G: Fn(ItemOf<S>, ItemOf<S>) -> ItemOf<S> + Copy + Send + 'static,
    {
        // SAFETY: there is a group for each block of the second round, which writes its columns.
        unsafe {
            self.written_by(rounds.left, |out| {
                let arguments = (
                    self.source,
                    rounds.columns,
                    function(combine),
                    out.as_slice_mut().address_of_all(),
                    shared(),
                );
                let grid = Grid::over(rounds.groups * GROUP).group(GROUP);
                self.accelerator
                    .launch_unchecked(two_rounds_of::<S::View, G>, grid, arguments)
            })
        }
    }

    /// All rounds, of which two leave no more than a group does.
    fn at_once<G>(self, rounds: Rounds, combine: G) -> Result<Option<ItemOf<S>>>
    where
        G: Fn(ItemOf<S>, ItemOf<S>) -> ItemOf<S> + Copy + Send + 'static,
    {
        let mut ended = self.zeros(1)?;
        // SAFETY: what two rounds leave is written before it is read, and the result if the launch succeeds.
        let (mut left, mut all) = unsafe {
            (
                Buffer::<ItemOf<S>>::uninitialised(self.accelerator, rounds.left)?,
                HostBuffer::<ItemOf<S>>::uninitialised(self.accelerator, 1)?,
            )
        };
        let arguments = (
            self.source,
            [rounds.columns, rounds.groups, rounds.left],
            function(combine),
            left.as_slice_mut().address_of_all(),
            ended.atomic(),
            all.as_slice_mut().address_of_all(),
            shared(),
            shared(),
        );
        let grid = Grid::over(rounds.groups * GROUP).group(GROUP);
        // SAFETY: as for two rounds; of one group an item writes the result.
        unsafe {
            self.accelerator
                .launch_unchecked(all_rounds_of::<S::View, G>, grid, arguments)
        }?
        .wait()?;
        let all = all.read()?;
        Ok(all.first().copied())
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

/// Two rounds of many elements.
#[derive(Clone, Copy, Debug)]
struct Rounds {
    /// Columns of the first round, which are the elements of the second.
    columns: usize,
    /// Blocks of the second.
    groups: usize,
    /// Columns of the second.
    left: usize,
}

impl Rounds {
    fn of(len: usize) -> Self {
        let (_, columns) = columns_in(len, rows_of(len));
        let (groups, left) = columns_in(columns, ROWS);
        Rounds {
            columns,
            groups,
            left,
        }
    }
}

/// Combines neighbouring columns of a block of `rows` rows, a multiple of [`UNROLLED`].
///
/// # Safety
/// There are so many rows from `first` on.
#[inline(always)]
unsafe fn neighbours_of<V: View, G>(
    source: &V,
    rows: usize,
    combine: &G,
    first: usize,
) -> [V::Item; NEIGHBOURS]
where
    G: Fn(V::Item, V::Item) -> V::Item,
{
    let row = |row: usize| -> [V::Item; NEIGHBOURS] {
        // SAFETY: a row in full.
        std::array::from_fn(|k| unsafe { source.get(first + row * COLUMNS + k) })
    };
    let fold = |all: [V::Item; NEIGHBOURS], next: [V::Item; NEIGHBOURS]| {
        std::array::from_fn(|k| combine(all[k], next[k]))
    };
    let next: [_; UNROLLED - 1] = std::array::from_fn(|k| row(1 + k));
    let mut all = next.into_iter().fold(row(0), fold);
    for done in (UNROLLED..rows).step_by(UNROLLED) {
        let next: [_; UNROLLED] = std::array::from_fn(|k| row(done + k));
        all = next.into_iter().fold(all, fold);
    }
    all
}

/// Combines the `columns` columns of what is a block of the second round, and then that one's.
#[inline(always)]
fn two_rounds_in<V: View, G>(
    group: &Group,
    source: &V,
    columns: usize,
    combine: &G,
    out: *mut V::Item,
    block: *mut V::Item,
) where
    G: Fn(V::Item, V::Item) -> V::Item,
{
    let rank = group.rank();
    let first = group.index() * (ROWS * COLUMNS);
    let count = (columns - first).min(ROWS * COLUMNS);
    let most = rows_of(source.count());
    if (first + ROWS * COLUMNS) * most <= source.count() {
        for index in (rank..ROWS * COLUMNS / NEIGHBOURS).step_by(GROUP) {
            let (y, x) = (NEIGHBOURS * index / COLUMNS, NEIGHBOURS * index % COLUMNS);
            let start = (first / COLUMNS + y) * (most * COLUMNS) + x;
            // SAFETY: all blocks of the first round are whole, and these are each item's own places.
            unsafe {
                let values = neighbours_of(source, most, combine, start);
                for (k, value) in values.into_iter().enumerate() {
                    block.add(NEIGHBOURS * index + k).write(value);
                }
            }
        }
    } else {
        for index in (rank..count).step_by(GROUP) {
            let column = first + index;
            // SAFETY: one of the columns, and each item's own place.
            unsafe {
                let (y, x) = (column / COLUMNS, column % COLUMNS);
                let value = column_of(source, most, combine, y, x);
                block.add(index).write(value);
            }
        }
    }
    group.barrier();
    if rank < count.min(COLUMNS) {
        // SAFETY: all were written before the barrier. The output has a place for each column of each group.
        unsafe {
            let all = column_in(block, count, rank, combine);
            out.add(group.index() * COLUMNS + rank).write(all);
        }
    }
}

/// Does two rounds, a block of the second a group.
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
    two_rounds_in(&group, &source, columns, &combine, out, block.into_raw());
}

/// Does two rounds, a block of the second a group, and then all others.
#[allow(
    clippy::too_many_arguments,
    reason = "buffers and shared memory of a kernel"
)]
fn all_rounds_of<V: View, G>(
    group: Group,
    source: V,
    [columns, groups, len]: [usize; 3],
    combine: G,
    left: *mut V::Item,
    ended: &[AtomicU64],
    out: *mut V::Item,
    block: Shared<[V::Item; ROWS * COLUMNS]>,
    number: Shared<[usize; 1]>,
) where
    G: Fn(V::Item, V::Item) -> V::Item,
{
    let block = block.into_raw();
    two_rounds_in(&group, &source, columns, &combine, left, block);
    group.barrier();
    let number = number.fill(|_| match ended.first() {
        // What the group has written can be seen by who sees this, and what those had that were before by it.
        Some(ended) => ended.fetch_add(1, Ordering::AcqRel) as usize,
        None => 0,
    });
    if group.sync(number)[0] + 1 < groups {
        return;
    }
    // SAFETY: all groups have written what they leave.
    let source = unsafe { StoredView::of(left, len) };
    if let (0, Some(all)) = (group.rank(), rest_in(&group, &source, &combine, block)) {
        // SAFETY: there is one such item.
        unsafe { out.write(all) };
    }
}

/// Combines all elements, of which there are [`REST`] at most, with memory for [`LAST`]. The first item has the result.
#[inline(always)]
fn rest_in<V: View, G>(
    group: &Group,
    source: &V,
    combine: &G,
    left: *mut V::Item,
) -> Option<V::Item>
where
    G: Fn(V::Item, V::Item) -> V::Item,
{
    let (_, count) = columns_in(source.count(), ROWS);
    let rank = group.rank();
    if rank < count {
        // SAFETY: one of the columns, and the item's own place.
        unsafe {
            let value = column_of(source, ROWS, combine, rank / COLUMNS, rank % COLUMNS);
            left.add(rank).write(value);
        }
    }
    group.barrier();
    // These are in one block.
    if rank < count.min(COLUMNS) {
        // SAFETY: all were written before the barrier; no other item uses the places of this column.
        unsafe { left.add(rank).write(column_in(left, count, rank, combine)) };
    }
    group.barrier();
    let mut all = None;
    if rank == 0 {
        for index in 0..count.min(COLUMNS) {
            // SAFETY: written before the barrier.
            let next = unsafe { left.add(index).read() };
            all = Some(match all {
                Some(all) => combine(all, next),
                None => next,
            });
        }
    }
    all
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
    let all = rest_in(&group, &source, &combine, left.into_raw());
    if let (Some(all), Some(out)) = (all, out.at(group.item())) {
        *out = all;
    }
}
