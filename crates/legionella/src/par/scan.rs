//! The reduction up to each element.
//!
//! Elements lie in runs. Each item combines a run; what comes before each run is the same problem
//! with fewer elements; then each item goes through its run once more and stores what it has. Where items
//! should rather access neighbours ([`together`]), those of a group do so for all their runs.

use legionella_device::{Disjoint, Item, Rows};

use super::{ItemOf, Par, Source, View};
use crate::buffer::{Buffer, SliceMut};
use crate::error::Result;
use crate::launch::function;
use crate::schedule::completion::Completion;

mod together;

/// Elements of a run.
const RUN: usize = 64;

impl<'a, S: Source> Par<'a, S> {
    /// The elements up to each one combined, that one included, by a function that is associative, up
    /// to rounding. It need not be commutative.
    ///
    /// # Order
    ///
    /// Elements lie in runs of 64. Within a run they are combined one after the other, beginning with
    /// what comes before the run; that is the inclusive scan of the combined elements of each run, in
    /// the same order. So the number of elements alone determines the order, and sums of floats have the
    /// same bits on every accelerator.
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
        let runs = out.len().div_ceil(RUN);
        // Nothing comes after the last run.
        let before = runs.saturating_sub(1);
        let together = self.accelerator.backend().coalesces();
        let group = together::group::<ItemOf<S>>().filter(|_| together);
        // SAFETY: there is an item for each of these runs.
        let mut before = unsafe {
            self.written_by(before, |totals| match group {
                Some(group) => self.totals_together(group, combine, totals),
                None => {
                    let arguments = (self.source, function(combine), totals);
                    self.accelerator
                        .launch(totals_of::<S::View, G>, self.grid(before), arguments)
                }
            })
        }?;
        if !before.is_empty() {
            before = self.of(&before).inclusive_scan(combine)?;
        }
        match group {
            Some(group) => self.runs_together(group, &before, combine, out),
            None => {
                let arguments = (self.source, &before, function(combine), out.rows(RUN));
                self.accelerator
                    .launch(runs_of::<S::View, G>, self.grid(runs), arguments)
            }
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
    let mut all = match at.global().checked_sub(1) {
        Some(run) => combine(before[run], get(0)),
        None => get(0),
    };
    out[0] = all;
    for (k, out) in out.iter_mut().enumerate().skip(1) {
        all = combine(all, get(k));
        *out = all;
    }
}
