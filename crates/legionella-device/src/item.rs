//! The work-item token. Takes ids from the intrinsics (or from a host loop), gives them to
//! kernels. Knows nothing of buffers.

use core::marker::PhantomData;

use crate::intrinsic;

/// A position in an index space of up to three dimensions, or its extent. Unused dimensions of a
/// position are 0, of an extent 1.
pub type Index = [usize; 3];

/// One work-item of a launch.
///
/// The runtime makes exactly one `Item` for each call of a kernel. A kernel receives it by value
/// and cannot copy it, send it to another thread or make one, so holding an `Item` means being
/// that work-item.
#[derive(Debug)]
pub struct Item {
    global: Index,
    grid: Index,
    local: Index,
    group_size: Index,
    /// Neither `Send` nor `Sync`: a token of the one work-item that runs.
    not_send: PhantomData<*const ()>,
}

impl Item {
    /// The work-item that runs, from the target's own registers. For entry shims.
    ///
    /// # Safety
    /// Only in device code, and once a call of the kernel.
    #[doc(hidden)]
    #[inline(always)]
    pub unsafe fn current() -> Self {
        let ids = |id: extern "C" fn(u32) -> u64| [id(0) as usize, id(1) as usize, id(2) as usize];
        Item {
            global: ids(intrinsic::global_id),
            grid: ids(intrinsic::grid_size),
            local: ids(intrinsic::local_id),
            group_size: ids(intrinsic::group_size),
            not_send: PhantomData,
        }
    }

    /// A work-item of a loop on the host, where the whole grid is one work-group.
    pub(crate) fn on_host(global: Index, grid: Index) -> Self {
        Item {
            global,
            grid,
            local: global,
            group_size: grid,
            not_send: PhantomData,
        }
    }

    /// A work-item on the host, in a grid with groups.
    ///
    /// # Safety
    /// Once a call of the kernel for that item.
    #[doc(hidden)]
    pub unsafe fn on_host_in_group(
        first: Index,
        local: Index,
        grid: Index,
        group_size: Index,
    ) -> Self {
        Item {
            global: [0, 1, 2].map(|d| first[d] + local[d]),
            grid,
            local,
            group_size,
            not_send: PhantomData,
        }
    }

    /// Linear id in the grid, with the first dimension fastest: `x + width * (y + height * z)`.
    #[inline(always)]
    pub fn global(&self) -> usize {
        // The launch checks that the number of items fits into `isize`: nothing wraps.
        let row = self.grid[1]
            .wrapping_mul(self.global[2])
            .wrapping_add(self.global[1]);
        self.grid[0].wrapping_mul(row).wrapping_add(self.global[0])
    }

    /// Id in the first dimension.
    #[inline(always)]
    pub fn x(&self) -> usize {
        self.global[0]
    }

    /// Id in the second dimension; 0 in grids of one.
    #[inline(always)]
    pub fn y(&self) -> usize {
        self.global[1]
    }

    /// Id in the third dimension; 0 in grids of fewer.
    #[inline(always)]
    pub fn z(&self) -> usize {
        self.global[2]
    }

    /// Work-items of the grid in each dimension; 1 in unused ones.
    #[inline(always)]
    pub fn grid(&self) -> Index {
        self.grid
    }

    /// Work-items of the whole grid.
    #[inline(always)]
    pub fn grid_len(&self) -> usize {
        self.grid[0]
            .wrapping_mul(self.grid[1])
            .wrapping_mul(self.grid[2])
    }

    /// Id within the work-group.
    #[inline(always)]
    pub fn local(&self) -> Index {
        self.local
    }

    /// Work-items of a whole work-group. Groups at the upper edges of the grid may have fewer.
    #[inline(always)]
    pub fn group_size(&self) -> Index {
        self.group_size
    }

    /// Global ids of the first item of the work-group.
    #[inline(always)]
    pub(crate) fn first(&self) -> Index {
        [0, 1, 2].map(|d| self.global[d].wrapping_sub(self.local[d]))
    }

    /// Items that the work-group has in each dimension.
    #[inline(always)]
    pub(crate) fn group_extent(&self) -> Index {
        let first = self.first();
        [0, 1, 2].map(|d| self.group_size[d].min(self.grid[d].wrapping_sub(first[d])))
    }

    /// Items that the work-group has.
    #[inline(always)]
    pub(crate) fn group_len(&self) -> usize {
        let [x, y, z] = self.group_extent();
        x.wrapping_mul(y).wrapping_mul(z)
    }

    /// Number of the item among those that its work-group has.
    #[inline(always)]
    pub(crate) fn rank(&self) -> usize {
        let [x, y, _] = self.group_extent();
        let row = y.wrapping_mul(self.local[2]).wrapping_add(self.local[1]);
        x.wrapping_mul(row).wrapping_add(self.local[0])
    }
}
