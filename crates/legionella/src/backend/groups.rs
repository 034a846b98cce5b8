//! Sizes of the work-groups that a caller leaves to a GPU.

use legionella_device::Index;

/// Work-items of such a group.
const ITEMS: usize = 256;

/// Rows of `row` items where there are several dimensions, so that a subgroup of as many is in one row
/// and a group is no line; at most `deepest` items in the third dimension.
pub(super) fn in_rows(grid: Index, row: usize, deepest: usize) -> Index {
    if grid[1] == 1 && grid[2] == 1 {
        return [ITEMS, 1, 1];
    }
    let fitting = |extent: usize, most: usize| extent.min(most).next_power_of_two();
    let x = fitting(grid[0], row);
    let y = fitting(grid[1], ITEMS / x);
    let z = fitting(grid[2], (ITEMS / (x * y)).min(deepest));
    [x, y, z]
}

#[cfg(test)]
mod tests {
    use super::in_rows;

    #[test]
    fn groups_are_rows_that_fit_the_grid() {
        assert_eq!(in_rows([1000, 1, 1], 32, 64), [256, 1, 1]);
        assert_eq!(in_rows([640, 480, 1], 32, 64), [32, 8, 1]);
        assert_eq!(in_rows([5, 480, 1], 64, 64), [8, 32, 1]);
        assert_eq!(in_rows([1, 1, 1000], 32, 64), [1, 1, 64]);
        assert_eq!(in_rows([1, 1, 1000], 64, 256), [1, 1, 256]);
    }
}
