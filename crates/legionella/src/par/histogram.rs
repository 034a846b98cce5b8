//! How many elements there are of each kind.
//!
//! Each item counts the elements of a chunk in counters of its own, which are then added up: no two
//! items ever count in one place.

use legionella_device::{Disjoint, Item, Rows};

use super::{Par, Source, View};
use crate::buffer::Buffer;
use crate::error::Result;

/// Least elements of a chunk.
const LEAST: usize = 1 << 14;
/// Most chunks.
const CHUNKS: usize = 1 << 10;
/// Elements that are read before they are counted.
const BATCH: usize = 16;

impl<'a, S: Source<View: View<Item = usize>>> Par<'a, S> {
    /// How often each number below `bins` is among the elements.
    ///
    /// ```no_run
    /// # use legionella::prelude::*;
    /// # fn main() -> legionella::Result<()> {
    /// # let accelerator = Accelerator::best()?;
    /// let bytes = accelerator.upload(b"to be or not to be")?;
    /// let counts = bytes.par().map(usize::from).histogram(256)?;
    /// assert_eq!(counts.to_vec()?[usize::from(b'o')], 4);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::KernelPanicked`](crate::Error::KernelPanicked) if an element is not below `bins`;
    /// others of the launches.
    pub fn histogram(self, bins: usize) -> Result<Buffer<u64>> {
        // Adding up takes no more than counting.
        let least = LEAST.max(bins.saturating_mul(8));
        let chunk = self.len().div_ceil(CHUNKS).clamp(least, u32::MAX as usize);
        let chunks = self.len().div_ceil(chunk);
        let mut counts = self
            .accelerator
            .zeroed::<u32>(chunks.saturating_mul(bins))?;
        let arguments = (self.source, chunk, bins, counts.rows(bins));
        self.accelerator
            .launch(count::<S::View>, self.grid(chunks), arguments)?
            .wait()?;
        // SAFETY: there is an item for each bin.
        unsafe {
            self.written_by(bins, |sums| {
                self.accelerator
                    .launch(add_up, self.grid(bins), (&counts, sums))
            })
        }
    }
}

/// Counts a chunk.
fn count<V: View<Item = usize>>(
    at: Item,
    source: V,
    chunk: usize,
    bins: usize,
    mut counts: Rows<u32>,
) {
    let start = at.global() * chunk;
    let end = source.count().min(start + chunk);
    let mut none = [];
    // There is a row for each item, unless rows are empty.
    let counts = counts.at(&at).unwrap_or(&mut none);
    // SAFETY: as the callers say, an index below `end`.
    let get = |index: usize| unsafe { source.get(index) };
    let mut index = start;
    // Reading and testing some at once is faster: counting one may change what the next one is read from,
    // as far as a compiler can tell.
    while end - index >= BATCH {
        let batch: [usize; BATCH] = std::array::from_fn(|k| get(index + k));
        if batch.iter().any(|&bin| bin >= counts.len()) {
            break;
        }
        for bin in batch {
            // SAFETY: just tested.
            unsafe { *counts.get_unchecked_mut(bin) += 1 };
        }
        index += BATCH;
    }
    for index in index..end {
        let bin = get(index);
        match counts.get_mut(bin) {
            Some(count) => *count += 1,
            None => panic!("element {index} is {bin}, and the histogram has {bins} bins"),
        }
    }
}

/// Adds up the counts of a bin.
fn add_up(at: Item, counts: &[u32], mut sums: Disjoint<u64>) {
    let bins = sums.len();
    if let Some(sum) = sums.at(&at) {
        let counts = counts.iter().skip(at.global()).step_by(bins);
        *sum = counts.map(|&count| u64::from(count)).sum();
    }
}
