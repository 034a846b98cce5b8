//! Kernels on the host: as the plain functions that they are, one work-item after the other.

use crate::{Index, Item};

/// Calls `body` once for every work-item of a grid, in ascending order of linear ids.
///
/// This is what launches are compared with, and how a kernel is stepped through in a debugger.
///
/// ```
/// use legionella_device::{Disjoint, Item, host};
///
/// fn square(at: Item, x: &[u32], mut y: Disjoint<u32>) {
///     if let Some(y) = y.at(&at) {
///         *y = x[at.global()].pow(2);
///     }
/// }
///
/// let mut y = [0; 3];
/// host::for_each_item([3, 1, 1], |item| {
///     let out = Disjoint::over(&mut y, &item);
///     square(item, &[1, 2, 3], out);
/// });
/// assert_eq!(y, [1, 4, 9]);
/// ```
pub fn for_each_item(grid: Index, mut body: impl FnMut(Item)) {
    for z in 0..grid[2] {
        for y in 0..grid[1] {
            for x in 0..grid[0] {
                body(Item::on_host([x, y, z], grid));
            }
        }
    }
}
