//! How many elements there are of each kind.
//!
//! Each item counts the elements of a chunk in counters of its own, which are then added up: no two
//! items ever count in one place. Where items should rather read neighbours ([`together`]), those of a
//! group count in shared memory.

use legionella_device::{Disjoint, Item, Rows};

mod together;

use super::{Par, Source, View};
use crate::buffer::Buffer;
use crate::error::Result;

/// Least elements of a chunk.
const LEAST: usize = 1 << 14;
/// Most chunks.
const CHUNKS: usize = 1 << 10;
/// Elements that are counted in one turn of a loop.
const UNROLLED: usize = 8;

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
        if self.accelerator.backend().coalesces()
            && let Some(counts) = self.count_together(bins)?
        {
            return Ok(counts);
        }
        // As well where an element is in no bin: this way tells which.
        // Adding up takes no more than counting.
        let least = LEAST.max(bins.saturating_mul(8));
        let chunk = self
            .len()
            .div_ceil(CHUNKS)
            .max(least)
            .min(u32::MAX as usize);
        let chunks = self.len().div_ceil(chunk);
        let width = bins.saturating_add(1);
        let counts = chunks.saturating_mul(width);
        let mut counts = self.accelerator.zeroed::<u32>(counts)?;
        let arguments = (self.source, chunk, bins, counts.rows(width));
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

/// Counts a chunk in a row of `bins + 1` counts, of which the last is for what is in no bin.
fn count<V: View<Item = usize>>(
    at: Item,
    source: V,
    chunk: usize,
    bins: usize,
    mut counts: Rows<u32>,
) {
    let Some(counts) = counts.at(&at) else { return };
    // As the compiler sees here, no count is out of bounds.
    let counts = &mut counts[..=bins];
    let start = at.global() * chunk;
    let elements = start..source.count().min(start + chunk);
    let mut count = |index: usize| {
        // SAFETY: called for indices in the range.
        let bin = unsafe { source.get(index) };
        counts[bin.min(bins)] += 1;
    };
    let whole = elements.len() / UNROLLED * UNROLLED;
    for first in elements.clone().take(whole).step_by(UNROLLED) {
        (first..first + UNROLLED).for_each(&mut count);
    }
    elements.clone().skip(whole).for_each(count);
    if counts[bins] > 0 {
        for index in elements {
            // SAFETY: as the range says.
            let bin = unsafe { source.get(index) };
            assert!(
                bin < bins,
                "element {index} is {bin}, and the histogram has {bins} bins"
            );
        }
        panic!("an element was in none of {bins} bins, and is in one when it is asked again");
    }
}

/// Adds up the counts of a bin.
fn add_up(at: Item, counts: &[u32], mut sums: Disjoint<u64>) {
    let bins = sums.len();
    if let Some(sum) = sums.at(&at) {
        let counts = counts.iter().skip(at.global()).step_by(bins + 1);
        *sum = counts.map(|&count| u64::from(count)).sum();
    }
}
