//! Where the elements of a [`Par`](super::Par) come from: a buffer, or the numbers from 0 on.
//!
//! Each source is three things: an argument of a launch, what lies in the argument block for it, and
//! what the kernel makes of that, which gives elements by index. Knows no algorithm.

use legionella_device::{DeviceData, Item};

use crate::buffer::Slice;
use crate::error::Result;
use crate::launch::form::{Form, Span, Value};
use crate::launch::{Binder, Pass, PassAs};
use crate::schedule::hazards::{Access, HostAccess};

/// Elements by index, in a kernel.
pub trait View: Copy + sealed::Sealed + 'static {
    /// What an element is.
    type Item: DeviceData;

    /// Number of elements.
    fn count(&self) -> usize;

    /// The element of an index.
    ///
    /// # Safety
    /// `index` is less than [`count`](View::count).
    unsafe fn get(&self, index: usize) -> Self::Item;
}

/// Where elements come from, as an argument of a launch.
pub trait Source: Copy + PassAs<Self::View> + sealed::Sealed {
    /// The same in a kernel.
    type View: View;

    /// Number of elements.
    fn count(&self) -> usize;

    /// The same, held, if elements are what memory holds: waits for what writes them, and has what would write them later
    /// wait until the second is dropped.
    ///
    /// Launches that read the first are not ordered for that: one could come after what waits for the second.
    ///
    /// # Errors
    /// The failure of a launch that wrote them and that nobody waited for.
    ///
    /// # Safety
    /// Launches that read the first have ended before the second is dropped.
    #[doc(hidden)]
    unsafe fn hold(&self) -> Result<Option<(Self, Held)>> {
        Ok(None)
    }
}

/// Elements that don't change as long as this is there.
#[derive(Debug)]
#[expect(dead_code, reason = "the access lasts as long as it is there")]
pub struct Held(HostAccess);

/// What the elements of a source are.
pub type ItemOf<S> = <<S as Source>::View as View>::Item;

pub(super) mod sealed {
    /// Views and sources are this module's.
    pub trait Sealed {}
}

/// Elements of a buffer.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a, T: DeviceData> {
    slice: Slice<'a, T>,
    /// Whether they are held while launches read them, which needn't be ordered for that.
    held: bool,
}

impl<'a, T: DeviceData> Stored<'a, T> {
    pub(super) fn new(slice: Slice<'a, T>) -> Self {
        Stored { slice, held: false }
    }
}

/// Elements of a buffer, in a kernel.
#[derive(Debug)]
pub struct StoredView<T> {
    start: *const T,
    len: usize,
}

impl<T> StoredView<T> {
    /// # Safety
    /// `start` is the address of as many elements, which nothing writes any more.
    #[inline(always)]
    pub(super) unsafe fn of(start: *const T, len: usize) -> Self {
        StoredView { start, len }
    }
}

impl<T> Clone for StoredView<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for StoredView<T> {}

impl<T: DeviceData> sealed::Sealed for Stored<'_, T> {}

impl<T> sealed::Sealed for StoredView<T> {}

impl<T: DeviceData> View for StoredView<T> {
    type Item = T;

    #[inline(always)]
    fn count(&self) -> usize {
        self.len
    }

    #[inline(always)]
    unsafe fn get(&self, index: usize) -> T {
        // SAFETY: within the elements, which the launch that made this reads.
        unsafe { self.start.add(index).read() }
    }
}

impl<T: DeviceData> Form<StoredView<T>> for Span<T> {
    #[inline(always)]
    unsafe fn materialise(&self, _item: &Item, _position: u32) -> StoredView<T> {
        // SAFETY: the launch is ordered after all writes of the elements and before all later ones.
        let start = unsafe { legionella_device::intrinsic::immutable(self.start.as_ptr().cast()) };
        StoredView {
            start: start.cast(),
            len: self.len,
        }
    }
}

// SAFETY: the elements are recorded as read, so that nothing in flight writes them.
unsafe impl<T: DeviceData> Pass<StoredView<T>> for Stored<'_, T> {
    type Form = Span<T>;

    fn bind(self, binder: &mut Binder<'_>) -> Result<Span<T>> {
        match self.held {
            // SAFETY: whoever holds them does so until the launch has ended.
            true => Ok(self.slice.span()),
            false => self.slice.lend(Access::Read, binder),
        }
    }
}

// SAFETY: as above; kernels only read by a view.
unsafe impl<T: DeviceData> PassAs<StoredView<T>> for Stored<'_, T> {}

impl<T: DeviceData> Source for Stored<'_, T> {
    type View = StoredView<T>;

    fn count(&self) -> usize {
        self.slice.len()
    }

    unsafe fn hold(&self) -> Result<Option<(Self, Held)>> {
        let held = Held(self.slice.access()?);
        let stored = Stored {
            held: true,
            ..*self
        };
        Ok(Some((stored, held)))
    }
}

/// The numbers from 0 on, as argument, in the block and in a kernel.
#[derive(Clone, Copy, Debug)]
pub struct Indices {
    pub(super) len: usize,
}

impl sealed::Sealed for Indices {}

impl View for Indices {
    type Item = usize;

    #[inline(always)]
    fn count(&self) -> usize {
        self.len
    }

    #[inline(always)]
    unsafe fn get(&self, index: usize) -> usize {
        index
    }
}

impl Form<Indices> for Value<usize> {
    #[inline(always)]
    unsafe fn materialise(&self, _item: &Item, _position: u32) -> Indices {
        Indices { len: self.0 }
    }
}

// SAFETY: a number.
unsafe impl Pass<Indices> for Indices {
    type Form = Value<usize>;

    fn bind(self, _binder: &mut Binder<'_>) -> Result<Value<usize>> {
        Ok(Value(self.len))
    }
}

// SAFETY: as above.
unsafe impl PassAs<Indices> for Indices {}

impl Source for Indices {
    type View = Self;

    fn count(&self) -> usize {
        self.len
    }
}
