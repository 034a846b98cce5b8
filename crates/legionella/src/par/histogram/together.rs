//! Counting on devices whose neighbouring items should read neighbours: in the groups' shared memory, or, of
//! more kinds than that has room for, in the device's.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use legionella_device::atomic::InGroup;
use legionella_device::{Group, Item, Shared};

use crate::buffer::Buffer;
use crate::error::{Error, Result};
use crate::grid::Grid;
use crate::launch::shared_slice;
use crate::par::{Par, Source, View};

/// Items of a group.
const GROUP: usize = 256;
/// Elements in a row that an item reads before it counts the first.
const ROW: usize = 8;
/// Elements that a group has at once: a row an item.
const BLOCK: usize = GROUP * ROW;
/// Least blocks of a group.
const LEAST: usize = 4;
/// Most groups.
const GROUPS: usize = 1 << 11;
/// Most bins that are counted in shared memory, of which they take 32 KiB: every device has more.
const SHARED: usize = 1 << 13;

impl<S: Source<View: View<Item = usize>>> Par<'_, S> {
    /// [`Par::histogram`] by atomics; `None` if an element is in no bin.
    pub(super) fn count_together(self, bins: usize) -> Result<Option<Buffer<u64>>> {
        let mut counts = self.accelerator.zeroed::<u64>(bins)?;
        let groups = self.len().div_ceil(LEAST * BLOCK).min(GROUPS);
        let grid = Grid::over(groups * GROUP).group(GROUP);
        let launch = if bins <= SHARED {
            let arguments = (self.source, shared_slice(bins), counts.atomic());
            self.accelerator
                .launch(count_in_groups::<S::View>, grid, arguments)?
        } else {
            let arguments = (self.source, counts.atomic());
            self.accelerator
                .launch(count_each::<S::View>, grid, arguments)?
        };
        match launch.wait() {
            Ok(()) => Ok(Some(counts)),
            Err(Error::KernelPanicked { message, .. }) if message == OUTSIDE => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// What a kernel panics with that finds an element in no bin. Which one, it doesn't say: it would be
/// slower for that.
const OUTSIDE: &str = "an element is in none of the bins";

/// Counts in shared memory, and adds that to the counts.
fn count_in_groups<V: View<Item = usize>>(
    group: Group,
    source: V,
    in_group: Shared<[InGroup<AtomicU32>]>,
    counts: &[AtomicU64],
) {
    let in_group = group.sync(in_group.fill(|_| InGroup::new(AtomicU32::new(0))));
    // Fewer than 2³² elements a group, of the fewer than 2⁴³ that there is memory for.
    let rows = (
        group.index() * GROUP + group.rank(),
        group.count()[0] * GROUP,
    );
    for_every(&source, rows, in_group.len(), |bin| {
        in_group[bin].fetch_add(1, Relaxed);
    });
    group.barrier();
    let mut bin = group.rank();
    while bin < counts.len().min(in_group.len()) {
        let here = in_group[bin].load(Relaxed);
        if here > 0 {
            counts[bin].fetch_add(u64::from(here), Relaxed);
        }
        bin += group.len();
    }
}

/// Counts in the device's memory.
fn count_each<V: View<Item = usize>>(at: Item, source: V, counts: &[AtomicU64]) {
    let rows = (at.global(), at.grid_len());
    for_every(&source, rows, counts.len(), |bin| {
        counts[bin].fetch_add(1, Relaxed);
    });
}

/// Calls a function with the bin of each element of every `step`-th row, from a row on. All of a row are
/// read, and found to be in one of the bins, before it is called with the first.
#[inline(always)]
fn for_every<V: View<Item = usize>>(
    source: &V,
    (mut row, step): (usize, usize),
    bins: usize,
    mut each: impl FnMut(usize),
) {
    let count = source.count();
    // SAFETY: called for indices below the count.
    let get = |index| unsafe { source.get(index) };
    while row < count / ROW {
        let read: [usize; ROW] = std::array::from_fn(|k| get(row * ROW + k));
        assert!(read.iter().all(|bin| *bin < bins), "{OUTSIDE}");
        read.iter().for_each(|bin| each(*bin));
        row += step;
    }
    if row == count / ROW {
        for index in row * ROW..count {
            let bin = get(index);
            assert!(bin < bins, "{OUTSIDE}");
            each(bin);
        }
    }
}
