//! One value of all elements.
//!
//! Items fold columns of elements, so that neighbours read neighbours, round after round until few
//! columns are left. Where groups have memory of their own ([`together`]), that is two launches.

use std::ops::Add;

use legionella_device::{DeviceData, Disjoint, Item};

use super::{ItemOf, Par, Source, View};
use crate::buffer::Buffer;
use crate::error::Result;
use crate::grid::Grid;
use crate::launch::function;

mod together;

/// Columns of a block.
const COLUMNS: usize = 32;
/// Rows that are read at once.
const UNROLLED: usize = 8;
/// Most rows of a block. Many elements are in high blocks: what an item does besides reading them is then
/// nothing beside that, and there are items enough.
const fn rows_of(len: usize) -> usize {
    if len < 1 << 22 { 64 } else { 256 }
}

impl<'a, S: Source> Par<'a, S> {
    /// All elements combined by a function that is associative and commutative, up to rounding; `None`
    /// of no elements.
    ///
    /// # Order
    ///
    /// Elements are combined in rounds. In each, they lie in blocks of 64 rows of 32, or 256 rows if there
    /// are 2²² elements or more in the round; the last block may have fewer. Each column of a block is
    /// combined from top to bottom, and the columns of all blocks are the elements of the next round. At
    /// most 32 are combined one after the other. So the number of elements alone determines the order,
    /// and sums of floats have the same bits on every accelerator.
    ///
    /// # Errors
    /// Of the launches; [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub fn reduce<G>(self, combine: G) -> Result<Option<ItemOf<S>>>
    where
        G: Fn(ItemOf<S>, ItemOf<S>) -> ItemOf<S> + Copy + Send + 'static,
    {
        if self.is_empty() {
            return Ok(None);
        }
        if self.accelerator.backend().coalesces() && together::may::<ItemOf<S>>() {
            return self.reduce_together(combine);
        }
        let mut left = self.columns(combine)?;
        while left.len() > COLUMNS {
            left = self.of(&left).columns(combine)?;
        }
        // SAFETY: the one item writes the one element.
        let all = unsafe {
            self.written_by(1, |all| {
                let arguments = (&left, function(combine), all);
                self.accelerator.launch(last::<ItemOf<S>, G>, 1, arguments)
            })
        }?;
        Ok(all.to_vec()?.pop())
    }

    /// The combined elements of each column of each block.
    fn columns<G>(self, combine: G) -> Result<Buffer<ItemOf<S>>>
    where
        G: Fn(ItemOf<S>, ItemOf<S>) -> ItemOf<S> + Copy + Send + 'static,
    {
        let rows = rows_of(self.len());
        let (blocks, columns) = columns_in(self.len(), rows);
        let mut grid = Grid::over([COLUMNS, blocks]);
        if let Some(size) = self.group {
            grid = grid.group([size.min(COLUMNS), size.div_ceil(COLUMNS)]);
        }
        // SAFETY: the grid has an item for each column.
        unsafe {
            self.written_by(columns, |out| {
                let arguments = (self.source, rows, function(combine), out);
                self.accelerator
                    .launch(columns_of::<S::View, G>, grid, arguments)
            })
        }
    }

    /// The sum of all elements, in the order of [`reduce`](Par::reduce); the default of no elements.
    ///
    /// # Errors
    /// As for [`reduce`](Par::reduce); a sum that overflows is a panic where it is one on the host.
    pub fn sum(self) -> Result<ItemOf<S>>
    where
        ItemOf<S>: Add<Output = ItemOf<S>> + Default,
    {
        Ok(self.reduce(|a, b| a + b)?.unwrap_or_default())
    }

    /// The least element; `None` of no elements. For floats, `reduce(f32::min)`.
    ///
    /// # Errors
    /// As for [`reduce`](Par::reduce).
    pub fn min(self) -> Result<Option<ItemOf<S>>>
    where
        ItemOf<S>: Ord,
    {
        self.reduce(|a, b| a.min(b))
    }

    /// The greatest element; `None` of no elements. For floats, `reduce(f32::max)`.
    ///
    /// # Errors
    /// As for [`reduce`](Par::reduce).
    pub fn max(self) -> Result<Option<ItemOf<S>>>
    where
        ItemOf<S>: Ord,
    {
        self.reduce(|a, b| a.max(b))
    }

    /// Whether any element passes a test.
    ///
    /// # Errors
    /// As for [`reduce`](Par::reduce).
    pub fn any(self, test: impl Fn(ItemOf<S>) -> bool + Copy + Send + 'static) -> Result<bool> {
        let any = self.map(test).reduce(|a, b| a | b)?;
        Ok(any.unwrap_or(false))
    }

    /// Whether all elements pass a test.
    ///
    /// # Errors
    /// As for [`reduce`](Par::reduce).
    pub fn all(self, test: impl Fn(ItemOf<S>) -> bool + Copy + Send + 'static) -> Result<bool> {
        let all = self.map(test).reduce(|a, b| a & b)?;
        Ok(all.unwrap_or(true))
    }
}

/// How many blocks of up to `rows` rows some elements lie in, and how many columns these have.
fn columns_in(len: usize, rows: usize) -> (usize, usize) {
    let blocks = len.div_ceil(rows * COLUMNS);
    let columns = match len % (rows * COLUMNS) {
        0 => blocks * COLUMNS,
        rest => (blocks - 1) * COLUMNS + rest.min(COLUMNS),
    };
    (blocks, columns)
}

/// Combines a column of a block of up to `most` rows. `x` is the column, `y` the block.
fn columns_of<V: View, G>(at: Item, source: V, most: usize, combine: G, mut out: Disjoint<V::Item>)
where
    G: Fn(V::Item, V::Item) -> V::Item,
{
    // The output has an element for each column that has any: the last ones may be missing.
    let Some(out) = out.at(&at) else { return };
    // SAFETY: this one has.
    *out = unsafe { column_of(&source, most, combine, at.y(), at.x()) };
}

/// Combines a column of a block of up to `most` rows.
///
/// # Safety
/// The column has an element.
#[inline(always)]
unsafe fn column_of<V: View, G>(
    source: &V,
    most: usize,
    combine: G,
    block: usize,
    column: usize,
) -> V::Item
where
    G: Fn(V::Item, V::Item) -> V::Item,
{
    let base = block * (most * COLUMNS);
    let left = source.count() - base;
    let rows = (left / COLUMNS).min(most);
    let first = base + column;
    // SAFETY: the column has an element.
    let mut all = unsafe { source.get(first) };
    // SAFETY: a row in full.
    let get = |row: usize| unsafe { source.get(first + row * COLUMNS) };
    let mut row = 1;
    if rows >= UNROLLED {
        let next: [V::Item; UNROLLED - 1] = std::array::from_fn(|k| get(row + k));
        all = next.into_iter().fold(all, &combine);
        row = UNROLLED;
    }
    while row + UNROLLED <= rows {
        let next: [V::Item; UNROLLED] = std::array::from_fn(|k| get(row + k));
        all = next.into_iter().fold(all, &combine);
        row += UNROLLED;
    }
    for row in row..rows {
        all = combine(all, get(row));
    }
    if (1..most).contains(&rows) && rows * COLUMNS + column < left {
        // SAFETY: as just tested.
        all = combine(all, unsafe { source.get(first + rows * COLUMNS) });
    }
    all
}

/// Combines all that is left, one after the other.
fn last<T: DeviceData, G: Fn(T, T) -> T>(at: Item, left: &[T], combine: G, mut out: Disjoint<T>) {
    if let (Some(out), Some((first, rest))) = (out.at(&at), left.split_first()) {
        *out = rest.iter().fold(*first, |all, &next| combine(all, next));
    }
}
