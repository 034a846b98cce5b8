//! One value of all elements.
//!
//! Items fold columns of elements, so that neighbours read neighbours, round after round until few
//! columns are left.

use std::ops::Add;

use legionella_device::{DeviceData, Disjoint, Item};

use super::{ItemOf, Par, Source, View};
use crate::buffer::Buffer;
use crate::error::Result;
use crate::grid::Grid;
use crate::launch::function;

/// Columns of a block.
const COLUMNS: usize = 32;
/// Rows of a block.
const ROWS: usize = 64;

impl<'a, S: Source> Par<'a, S> {
    /// All elements combined by a function that is associative and commutative, up to rounding; `None`
    /// of no elements.
    ///
    /// # Order
    ///
    /// Elements are combined in rounds. In each, they lie in blocks of 2048, in 64 rows of 32, of which
    /// the last may have fewer; each column of a block is combined from top to bottom, and the columns
    /// of all blocks are the elements of the next round. At most 32 are combined one after the other. So
    /// the number of elements alone determines the order, and sums of floats have the same bits on
    /// every accelerator.
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
        let blocks = self.len().div_ceil(ROWS * COLUMNS);
        let columns = match self.len() % (ROWS * COLUMNS) {
            0 => blocks * COLUMNS,
            rest => (blocks - 1) * COLUMNS + rest.min(COLUMNS),
        };
        let mut grid = Grid::over([COLUMNS, blocks]);
        if let Some(size) = self.group {
            grid = grid.group([size.min(COLUMNS), size.div_ceil(COLUMNS)]);
        }
        // SAFETY: the grid has an item for each column.
        unsafe {
            self.written_by(columns, |out| {
                let arguments = (self.source, function(combine), out);
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

/// Combines a column of a block. `x` is the column, `y` the block.
fn columns_of<V: View, G>(at: Item, source: V, combine: G, mut out: Disjoint<V::Item>)
where
    G: Fn(V::Item, V::Item) -> V::Item,
{
    // The output has an element for each column that has any: the last ones may be missing.
    let Some(out) = out.at(&at) else { return };
    let base = at.y() * (ROWS * COLUMNS);
    let left = source.count() - base;
    let rows = (left / COLUMNS).min(ROWS);
    let first = base + at.x();
    // SAFETY: the column has an element.
    let mut all = unsafe { source.get(first) };
    for row in 1..rows {
        // SAFETY: a row in full.
        all = combine(all, unsafe { source.get(first + row * COLUMNS) });
    }
    if (1..ROWS).contains(&rows) && rows * COLUMNS + at.x() < left {
        // SAFETY: as just tested.
        all = combine(all, unsafe { source.get(first + rows * COLUMNS) });
    }
    *out = all;
}

/// Combines all that is left, one after the other.
fn last<T: DeviceData, G: Fn(T, T) -> T>(at: Item, left: &[T], combine: G, mut out: Disjoint<T>) {
    if let (Some(out), Some((first, rest))) = (out.at(&at), left.split_first()) {
        *out = rest.iter().fold(*first, |all, &next| combine(all, next));
    }
}
