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

#[cfg(test)]
mod tests {
    use super::in_rows;

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
