//! Parallel building blocks: what one does with all elements of a buffer, on any accelerator.
//!
//! ```no_run
//! use legionella::prelude::*;
//!
//! # fn main() -> legionella::Result<()> {
//! let accelerator = Accelerator::best()?;
//! let x = accelerator.upload(&[3.0f32, -1.0, 4.0, -1.0, 5.0])?;
//!
//! let largest = x.par().map(|x| x.abs()).reduce(f32::max)?;
//! let positive = x.par().filter(|x| *x > 0.0).collect()?;
//! let sorted = x.par().sort()?;
//! let sums = x.par().with(0.5).map(|(half, x)| half * x).inclusive_scan(|a, b| a + b)?;
//!
//! assert_eq!(largest, Some(5.0));
//! assert_eq!(positive.to_vec()?, [3.0f32, 4.0, 5.0]);
//! assert_eq!(sorted.to_vec()?, [-1.0f32, -1.0, 3.0, 4.0, 5.0]);
//! assert_eq!(sums.to_vec()?, [1.5f32, 1.0, 3.0, 2.5, 5.0]);
//! # Ok(())
//! # }
//! ```
//!
//! [`Buffer::par`] gives a [`Par`]: elements by index, computed where they are used. [`map`](Par::map),
//! [`zip`](Par::zip), [`enumerate`](Par::enumerate) and [`with`](Par::with) describe further elements
//! and launch nothing. What ends the chain launches kernels in which all of it is inlined, waits for
//! them, and gives a value or a new buffer:
//!
//! | | |
//! | --- | --- |
//! | [`reduce`](Par::reduce), [`sum`](Par::sum), [`min`](Par::min), [`max`](Par::max), [`any`](Par::any), [`all`](Par::all) | one value of all elements |
//! | [`inclusive_scan`](Par::inclusive_scan), [`exclusive_scan`](Par::exclusive_scan) | the reduction up to each element |
//! | [`filter`](Par::filter), [`filter_map`](Par::filter_map) | those that pass a test |
//! | [`sort`](Par::sort), [`sort_by_key`](Par::sort_by_key), [`sort_with`](Par::sort_with) | in order of a key |
//! | [`top`](Par::top), [`top_by_key`](Par::top_by_key) | the largest |
//! | [`histogram`](Par::histogram) | how many of each kind |
//! | [`transpose`](Par::transpose) | columns as rows |
//! | [`collect`](Par::collect), [`collect_into`](Par::collect_into) | the elements |
//!
//! Functions are kernels: a function or a closure that captures nothing. A value that it needs comes by
//! [`with`](Par::with).
//!
//! # Results are the same everywhere
//!
//! Every result depends on the elements alone: not on the accelerator, its number of cores, or the size
//! of work-groups. Where elements are combined by a function that is not quite associative, as sums of
//! floats are, they are combined in an order that their number alone determines, which
//! [`reduce`](Par::reduce) and [`inclusive_scan`](Par::inclusive_scan) state.

use std::fmt;

use legionella_device::{DeviceData, Disjoint, Item};

use crate::accelerator::Accelerator;
use crate::buffer::{Buffer, Slice, SliceMut};
use crate::error::{Error, Result};
use crate::grid::Grid;
use crate::schedule::completion::Completion;

mod derived;
mod elements;
mod filter;
mod histogram;
mod key;
mod looks;
mod reduce;
mod scan;
mod sort;
mod top;
mod transpose;

pub use derived::{ByColumns, Map, With, Zip};
pub use elements::{Indices, ItemOf, Source, Stored, StoredView, View};
pub use filter::Filter;
pub use key::{Digits, Key};

/// Elements by index on an accelerator, and what can be done with all of them: see the
/// [module](self).
#[derive(Clone, Copy)]
pub struct Par<'a, S> {
    source: S,
    accelerator: &'a Accelerator,
    group: Option<usize>,
}

impl<T: DeviceData> Buffer<T> {
    /// The elements, for what one does with all of them: see [`par`](crate::par).
    pub fn par(&self) -> Par<'_, Stored<'_, T>> {
        self.as_slice().par()
    }
}

impl<'a, T: DeviceData> Slice<'a, T> {
    /// The elements, for what one does with all of them: see [`par`](crate::par).
    pub fn par(&self) -> Par<'a, Stored<'a, T>> {
        Par {
            source: Stored::new(*self),
            accelerator: self.accelerator(),
            group: None,
        }
    }
}

impl Accelerator {
    /// The numbers from 0 to `len`, for what one does with all of them: see [`par`](crate::par).
    ///
    /// ```no_run
    /// # fn main() -> legionella::Result<()> {
    /// # let accelerator = legionella::Accelerator::best()?;
    /// let squares = accelerator.indices(1000).map(|i| i * i).sum()?;
    /// assert_eq!(squares, 332_833_500);
    /// # Ok(())
    /// # }
    /// ```
    pub fn indices(&self, len: usize) -> Par<'_, Indices> {
        Par {
            source: Indices { len },
            accelerator: self,
            group: None,
        }
    }
}

impl<'a, S: Source> Par<'a, S> {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.source.count()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same elements, with kernels launched in work-groups of that size. The accelerator chooses
    /// it otherwise; results don't depend on it.
    #[must_use]
    pub fn group(self, size: usize) -> Self {
        Par {
            group: Some(size),
            ..self
        }
    }

    /// What a function makes of each element.
    ///
    /// It may be called more than once for an element, and on any work-item.
    pub fn map<U: DeviceData, F>(self, function: F) -> Par<'a, Map<S, F>>
    where
        F: Fn(ItemOf<S>) -> U + Copy + Send + 'static,
    {
        const {
            assert!(
                size_of::<F>() == 0,
                "a function for elements captures nothing: pass what it captures by `with`"
            );
        }
        self.from(|of| Map { of, function })
    }

    /// Pairs of each element and the one of the same index in another source, as far as both go.
    ///
    /// Both have to be on one accelerator: what ends the chain is
    /// [`Error::WrongAccelerator`] otherwise.
    pub fn zip<R: Source>(self, other: Par<'a, R>) -> Par<'a, Zip<S, R>> {
        self.from(|first| Zip {
            first,
            second: other.source,
        })
    }

    /// Pairs of each element's index and itself.
    pub fn enumerate(self) -> Par<'a, Zip<Indices, S>> {
        let len = self.len();
        self.from(|second| Zip {
            first: Indices { len },
            second,
        })
    }

    /// Pairs of a value, the same for all, and each element: for functions, which can't capture any.
    pub fn with<C: DeviceData>(self, value: C) -> Par<'a, With<S, C>> {
        self.from(|of| With { of, value })
    }

    /// All elements, in a new buffer.
    ///
    /// # Errors
    /// Of the launch; [`Error::OutOfMemory`].
    pub fn collect(self) -> Result<Buffer<ItemOf<S>>> {
        // SAFETY: each element is stored.
        unsafe { self.written_by(self.len(), |buffer| self.collect_into(buffer)) }
    }

    /// Overwrites a buffer or a part of one with all elements; returns when the launch is scheduled.
    ///
    /// # Errors
    /// [`Error::SizeMismatch`] if the buffer has another number of elements; those of
    /// [`launch`](Accelerator::launch).
    pub fn collect_into<'b>(
        self,
        buffer: impl Into<SliceMut<'b, ItemOf<S>>>,
    ) -> Result<Completion> {
        let buffer = buffer.into();
        if buffer.len() != self.len() {
            return Err(Error::SizeMismatch {
                what: "collect",
                expected: self.len(),
                found: buffer.len(),
            });
        }
        let grid = self.grid(self.len());
        self.accelerator
            .launch(collect::<S::View>, grid, (self.source, buffer))
    }

    /// Other elements, launched as these.
    fn from<R>(self, source: impl FnOnce(S) -> R) -> Par<'a, R> {
        Par {
            source: source(self.source),
            accelerator: self.accelerator,
            group: self.group,
        }
    }

    /// Elements of an intermediate result, launched as these.
    fn of<'b, T: DeviceData>(&self, buffer: &'b Buffer<T>) -> Par<'b, Stored<'b, T>>
    where
        'a: 'b,
    {
        Par {
            source: Stored::new(buffer.as_slice()),
            accelerator: self.accelerator,
            group: self.group,
        }
    }

    /// A new buffer that a launch writes.
    ///
    /// # Safety
    /// If the launch that `launch` makes succeeds, it has written every element.
    unsafe fn written_by<T: DeviceData>(
        &self,
        len: usize,
        launch: impl FnOnce(&mut Buffer<T>) -> Result<Completion>,
    ) -> Result<Buffer<T>> {
        // SAFETY: an error of the launch drops the buffer; otherwise it is written in full.
        let mut buffer = unsafe { Buffer::uninitialised(self.accelerator, len) }?;
        launch(&mut buffer)?.wait()?;
        Ok(buffer)
    }

    /// Zeros, for launches that come later.
    fn zeros(&self, len: usize) -> Result<Buffer<u64>> {
        // SAFETY: filled before any other launch reads it, or the error of that drops it.
        let mut zeros = unsafe { Buffer::uninitialised(self.accelerator, len) }?;
        self.accelerator.fill(&mut zeros, 0)?;
        Ok(zeros)
    }

    /// A grid of that many items, in groups of the size that was asked for.
    fn grid(&self, items: usize) -> Grid {
        let grid = Grid::over(items);
        match self.group {
            Some(size) => grid.group(size),
            None => grid,
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for Par<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Par")
            .field("source", &self.source)
            .field("accelerator", &self.accelerator.name())
            .finish_non_exhaustive()
    }
}

/// Stores each element.
fn collect<V: View>(at: Item, source: V, mut out: Disjoint<V::Item>) {
    if let Some(out) = out.at(&at) {
        // SAFETY: `out` has as many elements as `source`.
        *out = unsafe { source.get(at.global()) };
    }
}
