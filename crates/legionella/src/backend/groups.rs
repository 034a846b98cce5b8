//! Sizes of the work-groups that a caller leaves to a GPU.

use legionella_device::Index;

/// Work-items of such a group, unless a kernel's code asks for another number.
pub(super) const ITEMS: usize = 256;

/// `items` of them, a power of two, in rows of `row` where there are several dimensions, so that a subgroup of as many is in one row
/// and a group is no line; at most `deepest` items in the third dimension.
pub(super) fn in_rows(grid: Index, items: usize, row: usize, deepest: usize) -> Index {
    if grid[1] == 1 && grid[2] == 1 {
        return [items, 1, 1];
    }
    let fitting = |extent: usize, most: usize| extent.min(most).next_power_of_two();
    let x = fitting(grid[0], row.min(items));
    let y = fitting(grid[1], items / x);
    let z = fitting(grid[2], (items / (x * y)).min(deepest));
    [x, y, z]
}

/// From how many work-items on a thread runs several: fewer would leave much of a large device without any.
const MANY: u64 = 1 << 20;

/// Of the functions whose threads run `width` neighbouring items, for one dimension and for two, the one that a usual launch on a
/// grid is worth. In two dimensions, rows are then likely to be aligned as the first is.
pub(super) fn wide<F>(
    line: Option<F>,
    plane: Option<F>,
    width: u64,
    [columns, rows, _]: [u64; 3],
) -> Option<F> {
    match rows {
        1 => line.filter(|_| columns >= MANY),
        _ => {
            let many = columns.saturating_mul(rows) >= MANY;
            plane.filter(|_| many && columns.is_multiple_of(width))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{MANY, in_rows, wide};

    #[test]
    fn threads_run_several_items_of_large_grids() {
        let of = |grid| wide(Some("line"), Some("plane"), 4, grid);
        assert_eq!(of([MANY, 1, 1]), Some("line"));
        assert_eq!(of([MANY - 1, 1, 1]), None);
        assert_eq!(of([1 << 10, MANY >> 10, 1]), Some("plane"));
        assert_eq!(of([(1 << 10) + 2, MANY, 1]), None);
        let pairs = wide(Some("line"), Some("plane"), 2, [(1 << 10) + 2, MANY, 1]);
        assert_eq!(pairs, Some("plane"));
        assert_eq!(of([1 << 9, MANY >> 10, 1]), None);
        assert_eq!(of([1 << 40, 1 << 40, 1]), Some("plane"));
        assert_eq!(wide(Some("line"), None, 4, [1 << 10, MANY, 1]), None);
    }

    #[test]
    fn groups_are_rows_that_fit_the_grid() {
        assert_eq!(in_rows([1000, 1, 1], 256, 32, 64), [256, 1, 1]);
        assert_eq!(in_rows([640, 480, 1], 256, 32, 64), [32, 8, 1]);
        assert_eq!(in_rows([640, 480, 1], 32, 32, 64), [32, 1, 1]);
        assert_eq!(in_rows([640, 480, 1], 1024, 32, 64), [32, 32, 1]);
        assert_eq!(in_rows([5, 480, 1], 256, 64, 64), [8, 32, 1]);
        assert_eq!(in_rows([1, 1, 1000], 256, 32, 64), [1, 1, 64]);
        assert_eq!(in_rows([1, 1, 1000], 256, 64, 256), [1, 1, 256]);
    }
}
