//! Counting on devices whose neighbouring items should read neighbours: in the groups' shared memory, or, of
//! more kinds than that has room for, in the device's.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use legionella_device::atomic::InGroup;
use legionella_device::{Group, Item, Shared};

use crate::buffer::Buffer;
use crate::error::Result;
use crate::grid::Grid;
use crate::launch::shared_slice;
use crate::par::{Par, Source, View};

/// Items of a group.
const GROUP: usize = 256;
/// Least elements of a group, and of an item that counts for itself.
const LEAST: usize = 1 << 13;
/// Most groups.
const GROUPS: usize = 1 << 10;
/// Most bins that are counted in shared memory, of which they take 32 KiB: every device has more.
const SHARED: usize = 1 << 13;
/// Elements that an item reads at once.
const UNROLLED: usize = 8;

impl<S: Source<View: View<Item = usize>>> Par<'_, S> {
    /// [`Par::histogram`] by atomics.
    pub(super) fn count_together(self, bins: usize) -> Result<Buffer<u64>> {
        let mut counts = self.accelerator.zeroed::<u64>(bins)?;
        let groups = self.len().div_ceil(LEAST).min(GROUPS);
        let grid = Grid::over(groups * GROUP).group(GROUP);
        let launch = if bins <= SHARED {
            let part = self.len().div_ceil(groups.max(1));
            let arguments = (self.source, part, shared_slice(bins), counts.atomic());
            self.accelerator
                .launch(count_in_groups::<S::View>, grid, arguments)?
        } else {
            let arguments = (self.source, counts.atomic());
            self.accelerator
                .launch(count_each::<S::View>, grid, arguments)?
        };
        launch.wait()?;
        Ok(counts)
    }
}

/// Counts a part of the elements in shared memory, and adds that to the counts.
fn count_in_groups<V: View<Item = usize>>(
    group: Group,
    source: V,
    part: usize,
    in_group: Shared<[InGroup<AtomicU32>]>,
    counts: &[AtomicU64],
) {
    let in_group = group.sync(in_group.fill(|_| InGroup::new(AtomicU32::new(0))));
    let start = group.index() * part;
    // Fewer than 2³² elements, of the fewer than 2⁴² that there is memory for.
    let elements = (start + group.rank(), start + part, group.len());
    for_every(&source, elements, in_group.len(), |bin| {
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

/// Counts every so many elements.
fn count_each<V: View<Item = usize>>(at: Item, source: V, counts: &[AtomicU64]) {
    let elements = (at.global(), source.count(), at.grid_len());
    for_every(&source, elements, counts.len(), |bin| {
        counts[bin].fetch_add(1, Relaxed);
    });
}

/// Calls a function with the bin of every `step`-th element. Some are read, and found to be in one of the
/// bins, before it is called with the first.
#[inline(always)]
fn for_every<V: View<Item = usize>>(
    source: &V,
    (mut index, end, step): (usize, usize, usize),
    bins: usize,
    mut each: impl FnMut(usize),
) {
    let end = end.min(source.count());
    // SAFETY: called for indices below the end.
    let get = |index| unsafe { source.get(index) };
    while end.saturating_sub(index) > (UNROLLED - 1) * step {
        let read: [usize; UNROLLED] = std::array::from_fn(|k| get(index + k * step));
        // Which it is, the loop behind this one finds out: a panic there needs few values.
        if read.iter().any(|bin| *bin >= bins) {
            break;
        }
        read.iter().for_each(|bin| each(*bin));
        index += UNROLLED * step;
    }
    while index < end {
        let bin = get(index);
        assert!(
            bin < bins,
            "element {index} is {bin}, and the histogram has {bins} bins"
        );
        each(bin);
        index += step;
    }
}
