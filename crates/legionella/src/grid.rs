//! The index space of a launch. Takes extents from the caller, gives checked ones to backends,
//! which divide them into work-groups.

use legionella_abi::cpu::Launch;
use legionella_device::Index;

use crate::error::{Error, Result};

/// Numbers of work-items in one, two or three dimensions. Made from a `usize` or an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Extent(Index);

impl From<usize> for Extent {
    fn from(x: usize) -> Self {
        Extent([x, 1, 1])
    }
}

impl From<[usize; 1]> for Extent {
    fn from([x]: [usize; 1]) -> Self {
        Extent([x, 1, 1])
    }
}

impl From<[usize; 2]> for Extent {
    fn from([x, y]: [usize; 2]) -> Self {
        Extent([x, y, 1])
    }
}

impl From<[usize; 3]> for Extent {
    fn from(extent: Index) -> Self {
        Extent(extent)
    }
}

/// How many work-items a launch has, in one, two or three dimensions, and how they are grouped.
///
/// Any size is a grid, also an empty one: such a launch is complete at once.
///
/// ```
/// use legionella::Grid;
///
/// let line = Grid::over(1000);
/// let image = Grid::over([1920, 1080]).group([16, 16]);
/// assert_eq!(line.extent(), [1000, 1, 1]);
/// assert_eq!(image.items(), Some(1920 * 1080));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Grid {
    extent: Index,
    group: Option<Index>,
    /// Whether the first dimension counts subgroups.
    subgroups: bool,
}

impl Grid {
    /// A grid of that many work-items; the backend chooses the size of work-groups.
    pub fn over(extent: impl Into<Extent>) -> Self {
        Grid {
            extent: extent.into().0,
            group: None,
            subgroups: false,
        }
    }

    /// A grid that counts subgroups in its first dimension, and work-items in others; its [`group`](Grid::group)
    /// likewise. How many work-items that are depends on the accelerator: 32 or 64 for each.
    ///
    /// ```
    /// use legionella::Grid;
    ///
    /// // In groups of 2 × 4 subgroups.
    /// let grid = Grid::over_subgroups([32, 32]).group([2, 4]);
    /// ```
    pub fn over_subgroups(extent: impl Into<Extent>) -> Self {
        Grid {
            subgroups: true,
            ..Grid::over(extent)
        }
    }

    /// The same grid counted in work-items, with subgroups of that many.
    pub(crate) fn in_items(self, subgroup: usize) -> Self {
        if !self.subgroups {
            return self;
        }
        // What saturates is no size of a grid.
        let in_items = |[x, y, z]: Index| [x.saturating_mul(subgroup), y, z];
        Grid {
            extent: in_items(self.extent),
            group: self.group.map(in_items),
            subgroups: false,
        }
    }

    /// The same grid in work-groups of that size. Groups at the upper edges are cut off.
    #[must_use]
    pub fn group(self, size: impl Into<Extent>) -> Self {
        Grid {
            group: Some(size.into().0),
            ..self
        }
    }

    /// Work-items in each dimension, or in the first one subgroups; 1 in unused ones.
    pub fn extent(&self) -> Index {
        self.extent
    }

    /// Work-items of the whole grid, or in the first dimension subgroups; `None` if they are more than
    /// [`isize::MAX`], which no launch accepts.
    pub fn items(&self) -> Option<usize> {
        if self.extent.contains(&0) {
            return Some(0);
        }
        let [x, y, z] = self.extent;
        let items = x.checked_mul(y)?.checked_mul(z)?;
        isize::try_from(items).is_ok().then_some(items)
    }

    /// The index space, with groups of the size that `automatic` chooses if none is given.
    pub(crate) fn index_space(&self, automatic: impl FnOnce(Index) -> Index) -> Result<Launch> {
        let wrong = |reason| Error::Grid {
            grid: self.extent,
            group: self.group,
            reason,
        };
        self.items()
            .ok_or_else(|| wrong("more work-items than `isize` can count"))?;
        let group = self.group.unwrap_or_else(|| automatic(self.extent));
        if group.contains(&0) {
            return Err(wrong("a work-group needs at least one work-item"));
        }
        let wide = |index: Index| index.map(|extent| extent as u64);
        Ok(Launch {
            grid: wide(self.extent),
            group: wide(group),
            groups: [0, 1, 2].map(|d| self.extent[d].div_ceil(group[d]) as u64),
            shared: 0,
            kept: u64::MAX,
        })
    }
}

impl<E: Into<Extent>> From<E> for Grid {
    fn from(extent: E) -> Self {
        Grid::over(extent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_cover_the_grid_and_are_cut_off_at_its_edges() {
        let space = Grid::over([1000, 3])
            .group([256, 2])
            .index_space(|_| unreachable!());
        let space = space.unwrap();
        assert_eq!(space.grid, [1000, 3, 1]);
        assert_eq!(space.groups, [4, 2, 1]);
    }

    #[test]
    fn subgroups_are_as_large_as_they_are() {
        let grid = Grid::over_subgroups([3, 5]).group([2, 4]);
        assert_eq!(grid.in_items(64), Grid::over([192, 5]).group([128, 4]));
        assert_eq!(Grid::over(7).in_items(32), Grid::over(7));
    }

    #[test]
    fn uncountable_grids_and_empty_groups_are_errors() {
        let huge = Grid::over([usize::MAX, 2]);
        assert!(matches!(
            huge.index_space(|_| [1; 3]),
            Err(Error::Grid { .. })
        ));
        assert_eq!(Grid::over([usize::MAX, 0, usize::MAX]).items(), Some(0));
        let groups = Grid::over(4).group(0);
        assert!(matches!(
            groups.index_space(|_| [1; 3]),
            Err(Error::Grid { .. })
        ));
        assert_eq!(
            Grid::over(isize::MAX as usize).items(),
            Some(isize::MAX as usize)
        );
    }
}
