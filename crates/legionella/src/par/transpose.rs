//! Columns as rows.
//!
//! A group reads a tile along rows and stores it along columns, by way of shared memory.

use legionella_device::{Disjoint, Group, Shared};

use super::{ItemOf, Par, Source, View};
use crate::buffer::Buffer;
use crate::error::{Error, Result};
use crate::grid::Grid;
use crate::launch::shared;

/// Side of a tile.
const SIDE: usize = 16;
/// Elements from one row of a tile to the next: one more, so that columns lie in different banks.
const STRIDE: usize = SIDE + 1;

impl<'a, S: Source> Par<'a, S> {
    /// The elements, which are a matrix in rows of `width`, column by column: element `x + width * y`
    /// becomes element `y + height * x`.
    ///
    /// Work-groups are of one size here.
    ///
    /// # Errors
    /// [`Error::SizeMismatch`] if there are not `width * height` elements; those of the launch.
    pub fn transpose(self, [width, height]: [usize; 2]) -> Result<Buffer<ItemOf<S>>> {
        if width.checked_mul(height) != Some(self.len()) {
            return Err(Error::SizeMismatch {
                what: "transpose",
                expected: width.saturating_mul(height),
                found: self.len(),
            });
        }
        let grid = Grid::over([height, width]).group([SIDE, SIDE]);
        // SAFETY: there is an item for each element.
        unsafe {
            self.written_by(self.len(), |out| {
                let arguments = (self.source, shared(), out);
                self.accelerator.launch(turn::<S::View>, grid, arguments)
            })
        }
    }
}

/// Stores a tile. The grid is that of the result.
fn turn<V: View>(
    group: Group,
    source: V,
    tile: Shared<[V::Item; SIDE * STRIDE]>,
    mut out: Disjoint<V::Item>,
) {
    let [height, width, _] = group.item().grid();
    let ([row, column, _], [y, x, _]) = (group.first(), group.local());
    let tile = tile.fill(|i| {
        // Beyond the edges, something that is not used.
        let row = (row + i / STRIDE).min(height - 1);
        let column = (column + i % STRIDE).min(width - 1);
        // SAFETY: within the matrix, which has `width * height` elements.
        unsafe { source.get(row * width + column) }
    });
    let tile = group.sync(tile);
    if let Some(out) = out.at(group.item()) {
        *out = tile[y * STRIDE + x];
    }
}
