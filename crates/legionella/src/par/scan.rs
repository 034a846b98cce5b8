//! The reduction up to each element.
//!
//! Elements lie in runs. Each item combines a run; what comes before each run is a scan of fewer elements;
//! then each item goes through its run once more and stores what it has. Where items
//! should rather access neighbours ([`together`]), one launch does all of that.

use legionella_device::{DeviceData, Disjoint, Item, Rows};

use super::{ItemOf, Par, Source, View};
use crate::buffer::{Buffer, SliceMut};
use crate::error::Result;
use crate::launch::function;
use crate::schedule::completion::Completion;

mod together;

/// Elements of a run.
const RUN: usize = 64;
/// How often runs lie in runs.
const LEVELS: u32 = 4;

impl<'a, S: Source> Par<'a, S> {
    /// The elements up to each one combined, that one included, by a function that is associative, up
    /// to rounding. It need not be commutative.
    ///
    /// # Order
    ///
    /// Elements lie in runs of 64. Within a run they are combined one after the other, beginning with what comes
    /// before the run. That is likewise: runs lie in runs of 64, and what comes before the first of
    /// these is combined with the elements of each run before in there, which are combined one after the
    /// other. So do these lie in runs, and so on, up to 2²⁴ elements; those are combined one after the
    /// other. So the number of elements alone determines the order, and sums of floats have the same bits
    /// on every accelerator.
    ///
    /// # Errors
    /// Of the launches; [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub fn inclusive_scan<G>(self, combine: G) -> Result<Buffer<ItemOf<S>>>
    where
        G: Fn(ItemOf<S>, ItemOf<S>) -> ItemOf<S> + Copy + Send + 'static,
    {
        // SAFETY: all elements are scanned.
        unsafe {
            self.written_by(self.len(), |out| {
                self.scan_into(combine, out.as_slice_mut())
            })
        }
    }

    /// The elements before each one combined: what [`inclusive_scan`](Par::inclusive_scan) has for the
    /// element before; `first` for the first element.
    ///
    /// # Errors
    /// As there.
    pub fn exclusive_scan<G>(self, first: ItemOf<S>, combine: G) -> Result<Buffer<ItemOf<S>>>
    where
        G: Fn(ItemOf<S>, ItemOf<S>) -> ItemOf<S> + Copy + Send + 'static,
    {
        // SAFETY: the first element is written, and all but the last scanned into the others.
        unsafe {
            self.written_by(self.len(), |out| {
                let (mut front, rest) = out.split_at_mut(self.len().min(1))?;
                front.fill(first)?;
                self.scan_into(combine, rest)
            })
        }
    }

    /// The inclusive scan of as many elements as there is room for.
    fn scan_into<G>(self, combine: G, out: SliceMut<'_, ItemOf<S>>) -> Result<Completion>
    where
        G: Fn(ItemOf<S>, ItemOf<S>) -> ItemOf<S> + Copy + Send + 'static,
    {
        let together = self.accelerator.backend().coalesces() && together::may::<ItemOf<S>>();
        if together && !out.is_empty() {
            return self.scan_together(combine, out);
        }
        self.scan_runs(combine, out)
    }

    /// The same by items that have a run each.
    fn scan_runs<G>(self, combine: G, out: SliceMut<'_, ItemOf<S>>) -> Result<Completion>
    where
        G: Fn(ItemOf<S>, ItemOf<S>) -> ItemOf<S> + Copy + Send + 'static,
    {
        let runs = out.len().div_ceil(RUN);
        let before = self.before_runs(LEVELS, runs, combine)?;
        let arguments = (self.source, &before, function(combine), out.rows(RUN));
        self.accelerator
            .launch(runs_of::<S::View, G>, self.grid(runs), arguments)
    }

    /// What comes before each of that many runs, of which all but the last are whole, and runs lie in runs
    /// `levels` times: the first's has no meaning.
    fn before_runs<G>(&self, levels: u32, runs: usize, combine: G) -> Result<Buffer<ItemOf<S>>>
    where
        G: Fn(ItemOf<S>, ItemOf<S>) -> ItemOf<S> + Copy + Send + 'static,
    {
        let whole = runs.saturating_sub(1);
        // SAFETY: there is an item for each of these runs.
        let totals = unsafe {
            self.written_by(whole, |totals| {
                let arguments = (self.source, function(combine), totals);
                self.accelerator
                    .launch(totals_of::<S::View, G>, self.grid(whole), arguments)
            })
        }?;
        if totals.is_empty() {
            return Ok(totals);
        }
        let width = if levels > 1 { RUN } else { runs };
        let groups = runs.div_ceil(width);
        let of_totals = self.of(&totals);
        let before = of_totals.before_runs(levels - 1, groups, combine)?;
        // SAFETY: an item writes what comes before each run of a run of these.
        unsafe {
            self.written_by(runs, |out| {
                let rows = out.rows(width);
                let arguments = (&totals, &before, function(combine), width, rows);
                self.accelerator
                    .launch(starts_of::<ItemOf<S>, G>, self.grid(groups), arguments)
            })
        }
    }
}

/// Combines a run.
fn totals_of<V: View, G>(at: Item, source: V, combine: G, mut totals: Disjoint<V::Item>)
where
    G: Fn(V::Item, V::Item) -> V::Item,
{
    let Some(total) = totals.at(&at) else { return };
    let start = at.global() * RUN;
    // SAFETY: another run follows, so that this one is whole.
    let get = |k: usize| unsafe { source.get(start + k) };
    *total = (1..RUN).fold(get(0), |all, k| combine(all, get(k)));
}

/// Goes through a run of runs and stores what comes before each. `before` has what comes before each run of
/// runs but the first.
fn starts_of<T: DeviceData, G>(
    at: Item,
    totals: &[T],
    before: &[T],
    combine: G,
    width: usize,
    mut out: Rows<T>,
) where
    G: Fn(T, T) -> T,
{
    let Some(out) = out.at(&at) else { return };
    let start = at.global() * width;
    let mut all = match at.global() {
        0 => None,
        run => Some(before[run]),
    };
    for (k, out) in out.iter_mut().enumerate() {
        // What comes before the first is never read.
        *out = all.unwrap_or(totals[0]);
        if let Some(&total) = totals.get(start + k) {
            all = Some(all.map_or(total, |all| combine(all, total)));
        }
    }
}

/// Goes through a run and stores what is combined up to each element. `before` has what comes before
/// each run but the first.
fn runs_of<V: View, G>(at: Item, source: V, before: &[V::Item], combine: G, mut out: Rows<V::Item>)
where
    G: Fn(V::Item, V::Item) -> V::Item,
{
    let Some(out) = out.at(&at) else { return };
    let start = at.global() * RUN;
    // SAFETY: the source has as many elements as the output, at least.
    let get = |k: usize| unsafe { source.get(start + k) };
    let mut all = match at.global() {
        0 => get(0),
        run => combine(before[run], get(0)),
    };
    out[0] = all;
    for (k, out) in out.iter_mut().enumerate().skip(1) {
        all = combine(all, get(k));
        *out = all;
    }
}
