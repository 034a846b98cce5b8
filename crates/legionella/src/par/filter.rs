//! The elements that pass a test, in order.
//!
//! Each item tests a run of elements and notes a bit for each. How many pass before each run says
//! where its elements go.

use legionella_device::{DeviceData, Disjoint, Item};

use super::{ItemOf, Par, Source, View};
use crate::buffer::Buffer;
use crate::error::Result;

/// Elements of a run: the bits of a mask.
const RUN: usize = u64::BITS as usize;

/// The elements that passed a test, of [`Par::filter`] or [`Par::filter_map`].
#[derive(Clone, Copy, Debug)]
pub struct Filter<'a, S> {
    /// The elements or `None`.
    tested: Par<'a, S>,
}

impl<'a, S: Source> Par<'a, S> {
    /// The elements that pass a test, in order.
    pub fn filter<P>(
        self,
        test: P,
    ) -> Filter<'a, impl Source<View: View<Item = Option<ItemOf<S>>>> + use<'a, S, P>>
    where
        P: Fn(&ItemOf<S>) -> bool + Copy + Send + 'static,
    {
        self.filter_map(move |element| test(&element).then_some(element))
    }

    /// What a function makes of each element, where it makes anything, in order.
    pub fn filter_map<U: DeviceData, F>(
        self,
        function: F,
    ) -> Filter<'a, impl Source<View: View<Item = Option<U>>> + use<'a, S, U, F>>
    where
        F: Fn(ItemOf<S>) -> Option<U> + Copy + Send + 'static,
    {
        Filter {
            tested: self.map(function),
        }
    }
}

impl<'a, S: Source<View: View<Item = Option<U>>>, U: DeviceData> Filter<'a, S> {
    /// How many passed.
    ///
    /// # Errors
    /// As for [`Par::reduce`].
    pub fn count(self) -> Result<usize> {
        self.tested
            .map(|element| usize::from(element.is_some()))
            .sum()
    }

    /// Those that passed combined, as [`Par::reduce`] combines all, of which those that didn't pass
    /// have no part; `None` if none passed.
    ///
    /// # Errors
    /// As there.
    pub fn reduce<G>(self, combine: G) -> Result<Option<U>>
    where
        G: Fn(U, U) -> U + Copy + Send + 'static,
    {
        const {
            assert!(
                size_of::<G>() == 0,
                "a function for elements captures nothing"
            );
        }
        let either = move |a: Option<U>, b: Option<U>| match (a, b) {
            (Some(a), Some(b)) => Some(combine(a, b)),
            (a, b) => a.or(b),
        };
        Ok(self.tested.reduce(either)?.flatten())
    }

    /// Those that passed, in a new buffer.
    ///
    /// # Errors
    /// Of the launches; [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub fn collect(self) -> Result<Buffer<U>> {
        let Filter { tested } = self;
        let runs = tested.len().div_ceil(RUN);
        // SAFETY: there is an item for each run.
        let masks = unsafe {
            tested.written_by(runs, |masks| {
                let arguments = (tested.source, masks);
                let grid = tested.grid(runs);
                tested
                    .accelerator
                    .launch(masks_of::<S::View, U>, grid, arguments)
            })
        }?;
        let counts = tested
            .of(&masks)
            .map(|mask: u64| mask.count_ones() as usize);
        let ends = counts.inclusive_scan(|a, b| a + b)?;
        let passed = match runs {
            0 => 0,
            _ => ends.slice(runs - 1..)?.to_vec()?[0],
        };
        // SAFETY: `ends` are the running counts of the masks' bits, whose launches have ended well:
        // runs write ranges that follow each other and end at `passed`. The launch is waited for, and
        // `out` lives longer.
        unsafe {
            tested.written_by(passed, |out| {
                let arguments = (tested.source, &masks, &ends, out.device_ptr());
                let grid = tested.grid(runs);
                tested
                    .accelerator
                    .launch_unchecked(move_run::<S::View, U>, grid, arguments)
            })
        }
    }
}

/// Which elements of a run there are, a bit each.
fn masks_of<V: View<Item = Option<U>>, U>(at: Item, source: V, mut masks: Disjoint<u64>) {
    let Some(out) = masks.at(&at) else { return };
    let start = at.global() * RUN;
    let mut mask = 0;
    for k in 0..RUN.min(source.count() - start) {
        // SAFETY: within the run.
        mask |= u64::from(unsafe { source.get(start + k) }.is_some()) << k;
    }
    *out = mask;
}

/// Moves those of a run that its mask names to where the run before ends.
///
/// The masks say how many elements there are, not the test: called again it might say something else.
fn move_run<V: View<Item = Option<U>>, U>(
    at: Item,
    source: V,
    masks: &[u64],
    ends: &[usize],
    out: *mut U,
) {
    let run = at.global();
    let mut mask = masks[run];
    let mut to = run.checked_sub(1).map_or(0, |before| ends[before]);
    while mask != 0 {
        let index = run * RUN + mask.trailing_zeros() as usize;
        // SAFETY: the run's masks have bits for its elements only.
        let Some(element) = (unsafe { source.get(index) }) else {
            changed_its_mind(index)
        };
        // SAFETY: from the end of the run before to the end of this one the output is this item's.
        unsafe { out.add(to).write(element) };
        to += 1;
        mask &= mask - 1;
    }
}

#[cold]
fn changed_its_mind(index: usize) -> ! {
    panic!(
        "the test of element {index} passed once and failed then: a test has to answer the same each time"
    )
}
