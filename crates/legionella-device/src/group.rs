//! The work-group token: what the items of a group do together.
//!
//! Takes ids from an [`Item`]; gives barriers and, with them, the states of shared memory
//! ([`crate::tile`]). Knows no target: on devices a barrier is an intrinsic, on the host whoever
//! emulates the group provides it.

use core::marker::PhantomData;
use core::panic::Location;

use crate::subgroup::Subgroup;
use crate::tile::Phase;
use crate::{Index, Item, intrinsic};

/// One work-item of a launch, and the work-group that it belongs to.
///
/// A kernel whose first parameter is a `Group` in place of an [`Item`] is a *group kernel*: its
/// items may wait for each other. It still runs once for every item.
///
/// ```
/// use legionella_device::{Disjoint, Group, Readable, Shared};
///
/// /// Reverses the elements within each group.
/// fn reverse(group: Group, x: &[u32], tile: Shared<[u32; 64]>, mut y: Disjoint<u32>) {
///     let [first, ..] = group.first();
///     let tile = tile.fill(|i| x.get(first + i).copied().unwrap_or(0));
///     let tile = group.sync(tile);
///     if let Some(y) = y.at(group.item()) {
///         *y = tile[group.len() - 1 - group.rank()];
///     }
/// }
/// ```
///
/// # Groups at the edge
///
/// A grid need not be a multiple of its groups. Groups at its upper edges are cut off: the items
/// beyond the grid don't exist, barriers wait for those that do, and [`len`](Group::len) and
/// [`extent`](Group::extent) count those that do.
#[derive(Debug)]
pub struct Group<'g> {
    item: Item,
    id: Index,
    on_host: Option<&'g dyn HostGroup>,
    /// Neither `Send` nor `Sync`: a token of the one work-item that runs.
    not_send: PhantomData<*const ()>,
}

/// A work-group on the host, whose items are threads.
///
/// # Safety
/// [`barrier`](HostGroup::barrier) returns to no item before each has called it with the same label,
/// and never returns to any if one calls it with another or has ended. What an item did before
/// happens before what any does behind.
#[doc(hidden)]
pub unsafe trait HostGroup: core::fmt::Debug {
    /// Lanes of a whole subgroup: a power of two of at most 64.
    fn subgroup_size(&self) -> u32;

    /// Waits for all items of the group.
    fn barrier(&self, rank: usize, label: u32, place: &'static Location<'static>);

    /// Waits for the existing lanes of the calling item's subgroup, and gives what each of them put
    /// in; `None` for lanes that don't exist.
    fn exchange(
        &self,
        rank: usize,
        value: u32,
        place: &'static Location<'static>,
    ) -> [Option<u32>; 64];
}

impl<'g> Group<'g> {
    /// The work-item that runs, from the target's own registers. For entry shims.
    ///
    /// # Safety
    /// Only in device code, and once a call of the kernel.
    #[inline(always)]
    pub(crate) unsafe fn current() -> Self {
        Group {
            // SAFETY: passed on.
            item: unsafe { Item::current() },
            id: [0, 1, 2].map(|d| intrinsic::group_id(d) as usize),
            on_host: None,
            not_send: PhantomData,
        }
    }

    /// A work-item of a group on the host.
    ///
    /// # Safety
    /// Once an item, on the thread that is the item.
    #[doc(hidden)]
    pub unsafe fn on_host(item: Item, host: &'g dyn HostGroup) -> Self {
        let id = [0, 1, 2].map(|d| item.first()[d] / item.group_size()[d]);
        Group {
            item,
            id,
            on_host: Some(host),
            not_send: PhantomData,
        }
    }

    /// The work-item.
    #[inline(always)]
    pub fn item(&self) -> &Item {
        &self.item
    }

    /// Id of the group: it is the `id[0]`-th in the first dimension, and so on.
    #[inline(always)]
    pub fn id(&self) -> Index {
        self.id
    }

    /// Linear id of the group, with the first dimension fastest.
    #[inline(always)]
    pub fn index(&self) -> usize {
        let count = self.count();
        self.id[0].wrapping_add(
            count[0].wrapping_mul(self.id[1].wrapping_add(count[1].wrapping_mul(self.id[2]))),
        )
    }

    /// Groups of the grid in each dimension.
    #[inline(always)]
    pub fn count(&self) -> Index {
        let (grid, size) = (self.item.grid(), self.item.group_size());
        [0, 1, 2].map(|d| grid[d].div_ceil(size[d]))
    }

    /// Id of the item within the group.
    #[inline(always)]
    pub fn local(&self) -> Index {
        self.item.local()
    }

    /// Global ids of the group's first item.
    #[inline(always)]
    pub fn first(&self) -> Index {
        self.item.first()
    }

    /// Items of a whole group in each dimension, as the launch has them.
    #[inline(always)]
    pub fn size(&self) -> Index {
        self.item.group_size()
    }

    /// Items that this group has in each dimension: fewer than [`size`](Group::size) where the
    /// edge of the grid cuts it off.
    #[inline(always)]
    pub fn extent(&self) -> Index {
        self.item.group_extent()
    }

    /// Number of items that this group has.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.item.group_len()
    }

    /// Never: a group has at least the item that asks.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Number of the item among those of its group, from 0 to [`len`](Group::len), with the first
    /// dimension fastest.
    #[inline(always)]
    pub fn rank(&self) -> usize {
        self.item.rank()
    }

    /// Waits until every item of the group waits here.
    ///
    /// What any of them wrote to memory before is visible to all of them behind. All items have to
    /// come here: if one has returned, or waits at a barrier that changes the state of shared memory
    /// ([`sync`](Group::sync)), the launch fails with an error that names both places.
    #[inline(always)]
    #[track_caller]
    pub fn barrier(&self) {
        self.sync(());
    }

    /// Waits until every item of the group waits here, and gives the other side of what it takes:
    /// for shared memory that was written ([`Writable`](crate::Writable)) what all may read
    /// ([`Readable`](crate::Readable)), and the other way round; for several, a tuple.
    ///
    /// One barrier serves any number of them, so that a kernel has no more barriers than one that is
    /// written by hand:
    ///
    /// ```
    /// use legionella_device::{Disjoint, Group, Shared};
    ///
    /// fn matmul(
    ///     group: Group,
    ///     n: usize,
    ///     a: &[f32],
    ///     b: &[f32],
    ///     mut c: Disjoint<f32>,
    ///     tile_a: Shared<[f32; 256]>,
    ///     tile_b: Shared<[f32; 256]>,
    /// ) {
    ///     let ([x0, y0, _], [x, y, _]) = (group.first(), group.local());
    ///     let at = |m: &[f32], x: usize, y: usize| if x < n && y < n { m[y * n + x] } else { 0.0 };
    ///     let (mut tile_a, mut tile_b) = (tile_a.filled(0.0), tile_b.filled(0.0));
    ///     let mut sum = 0.0;
    ///     for k0 in (0..n).step_by(16) {
    ///         tile_a.fill(|i| at(a, k0 + i % 16, y0 + i / 16));
    ///         tile_b.fill(|i| at(b, x0 + i % 16, k0 + i / 16));
    ///         let (a, b) = group.sync((tile_a, tile_b));
    ///         for k in 0..16 {
    ///             sum += a[16 * y + k] * b[16 * k + x];
    ///         }
    ///         (tile_a, tile_b) = group.sync((a, b));
    ///     }
    ///     if let Some(c) = c.at(group.item()) {
    ///         *c = sum;
    ///     }
    /// }
    /// ```
    #[inline(always)]
    #[track_caller]
    pub fn sync<P: Phase>(&self, tiles: P) -> P::Other {
        self.wait(tiles.label(), Location::caller());
        // SAFETY: every item of the group has just waited with this label.
        unsafe { tiles.flip() }
    }

    /// Waits until every item of the group waits with this label.
    #[inline(always)]
    pub(crate) fn wait(&self, label: u32, place: &'static Location<'static>) {
        if intrinsic::on_device() {
            intrinsic::barrier(label, place);
        } else {
            self.host().barrier(self.rank(), label, place);
        }
    }

    /// The part of the group that exchanges values without memory. All of its items have to come here.
    #[inline(always)]
    #[track_caller]
    pub fn subgroup(&self) -> Subgroup<'_> {
        Subgroup::of(self)
    }

    /// Who emulates this group.
    pub(crate) fn host(&self) -> &dyn HostGroup {
        match self.on_host {
            Some(host) => host,
            None => unreachable!("outside of devices a group is made with its host"),
        }
    }
}
