//! Parts of buffers, lent to the host or to a launch.

use std::fmt;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ops::{Range, RangeBounds};
use std::ptr::NonNull;
use std::sync::Arc;

use legionella_device::DeviceData;

use super::{Allocation, Buffer, within};
use crate::accelerator::Accelerator;
use crate::backend::transfers::{Fill, Transfer};
use crate::error::{Error, Result};
use crate::launch::Binder;
use crate::schedule::hazards::{Access, HostAccess};

/// A part of a [`Buffer`], lent for reading.
pub struct Slice<'a, T: DeviceData> {
    pub(super) allocation: &'a Arc<Allocation>,
    start: usize,
    len: usize,
    elements: PhantomData<&'a [T]>,
}

impl<T: DeviceData> Clone for Slice<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: DeviceData> Copy for Slice<'_, T> {}

impl<'a, T: DeviceData> Slice<'a, T> {
    /// # Safety
    /// The elements are within the allocation, are initialised, and are lent for reading for `'a`.
    pub(super) unsafe fn new(allocation: &'a Arc<Allocation>, start: usize, len: usize) -> Self {
        Slice {
            allocation,
            start,
            len,
            elements: PhantomData,
        }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where the elements are.
    pub fn accelerator(&self) -> &'a Accelerator {
        self.allocation.accelerator()
    }

    /// A part of this part.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] if the range is not within the slice.
    pub fn slice(&self, range: impl RangeBounds<usize>) -> Result<Slice<'a, T>> {
        let range = within(range, self.len)?;
        // SAFETY: within this slice.
        Ok(unsafe { Slice::new(self.allocation, self.start + range.start, range.len()) })
    }

    /// Copies all elements to the host.
    ///
    /// # Errors
    /// [`Error::SizeMismatch`] if `to` has another length; the failure of a launch that wrote the
    /// buffer and that nobody waited for.
    pub fn download(&self, to: &mut [T]) -> Result<()> {
        same_len("download", self.len, to.len())?;
        let _access = self.access()?;
        // SAFETY: `to` has room for all elements.
        unsafe { self.download_to(to.as_mut_ptr()) }
    }

    /// All elements, on the host.
    ///
    /// # Errors
    /// The failure of a launch that wrote the buffer and that nobody waited for.
    pub fn to_vec(&self) -> Result<Vec<T>> {
        let _access = self.access()?;
        let mut elements = Vec::with_capacity(self.len);
        // SAFETY: there is room for all elements, and all are then initialised.
        unsafe {
            self.download_to(elements.as_mut_ptr())?;
            elements.set_len(self.len);
        }
        Ok(elements)
    }

    /// # Safety
    /// `to` is valid for writes of all elements; nothing in flight conflicts.
    unsafe fn download_to(&self, to: *mut T) -> Result<()> {
        let bytes = self.bytes();
        let backend = self.allocation.accelerator().backend();
        // SAFETY: the elements are within the allocation and lent for reading; `to` is valid by
        // the caller's promise.
        unsafe { backend.download(self.address().cast(), to.cast(), bytes.len()) }
    }

    /// Waits for launches that write these elements; later ones wait while the host reads.
    pub(crate) fn access(&self) -> Result<HostAccess> {
        let access = HostAccess::begin(&[(self.allocation, self.bytes(), Access::Read)]);
        self.allocation.failures.report()?;
        Ok(access)
    }

    pub(super) fn bytes(&self) -> Range<usize> {
        let size = size_of::<T>();
        self.start * size..(self.start + self.len) * size
    }

    /// Address of the first element on the accelerator.
    pub(super) fn start(&self) -> NonNull<T> {
        let first = self.allocation.memory.cast::<T>();
        // Elements are within the allocation, so nothing wraps.
        NonNull::new(first.as_ptr().wrapping_add(self.start)).unwrap_or(first)
    }

    /// The same, as what backends take.
    pub(super) fn address(&self) -> *mut T {
        self.start().as_ptr()
    }
}

impl<'a, T: DeviceData> From<&'a Buffer<T>> for Slice<'a, T> {
    fn from(buffer: &'a Buffer<T>) -> Self {
        buffer.as_slice()
    }
}

impl<'a, T: DeviceData> From<&'a mut Buffer<T>> for SliceMut<'a, T> {
    fn from(buffer: &'a mut Buffer<T>) -> Self {
        buffer.as_slice_mut()
    }
}

impl<T: DeviceData> fmt::Debug for Slice<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slice")
            .field("start", &self.start)
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

/// A part of a [`Buffer`], lent for writing.
///
/// It is lent itself as a `Buffer` is, by [`slice_mut`](SliceMut::slice_mut), and passed to a
/// launch by value.
pub struct SliceMut<'a, T: DeviceData> {
    pub(super) whole: Slice<'a, T>,
    unique: PhantomData<&'a mut [T]>,
}

impl<'a, T: DeviceData> SliceMut<'a, T> {
    /// # Safety
    /// The elements are within the allocation, and are lent for writing for `'a`. They are
    /// initialised, or the first thing that is done is to initialise them.
    pub(super) unsafe fn new(allocation: &'a Arc<Allocation>, start: usize, len: usize) -> Self {
        SliceMut {
            // SAFETY: passed on.
            whole: unsafe { Slice::new(allocation, start, len) },
            unique: PhantomData,
        }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.whole.len
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.whole.len == 0
    }

    /// The same elements, for reading.
    pub fn as_slice(&self) -> Slice<'_, T> {
        self.whole
    }

    /// A part of this part, while `self` is lent.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] if the range is not within the slice.
    pub fn slice_mut(&mut self, range: impl RangeBounds<usize>) -> Result<SliceMut<'_, T>> {
        self.reborrow().into_slice(range)
    }

    /// A part of this part, for as long as this part was lent.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] if the range is not within the slice.
    pub fn into_slice(self, range: impl RangeBounds<usize>) -> Result<SliceMut<'a, T>> {
        let range = within(range, self.len())?;
        let Slice {
            allocation, start, ..
        } = self.whole;
        // SAFETY: within this slice, which is consumed.
        Ok(unsafe { SliceMut::new(allocation, start + range.start, range.len()) })
    }

    /// The elements before and from `middle` on.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] if there are fewer than `middle` elements.
    pub fn split_at(self, middle: usize) -> Result<(SliceMut<'a, T>, SliceMut<'a, T>)> {
        within(..middle, self.len())?;
        let Slice {
            allocation,
            start,
            len,
            ..
        } = self.whole;
        // SAFETY: two parts of this slice, which is consumed, that don't overlap.
        Ok(unsafe {
            (
                SliceMut::new(allocation, start, middle),
                SliceMut::new(allocation, start + middle, len - middle),
            )
        })
    }

    /// All of this part, while `self` is lent.
    pub fn reborrow(&mut self) -> SliceMut<'_, T> {
        let Slice {
            allocation,
            start,
            len,
            ..
        } = self.whole;
        // SAFETY: `self` is lent mutably for as long as the result lives.
        unsafe { SliceMut::new(allocation, start, len) }
    }

    /// Overwrites all elements from the host.
    ///
    /// # Errors
    /// [`Error::SizeMismatch`] if `from` has another length; the failure of a launch that wrote
    /// the buffer and that nobody waited for.
    pub fn write(&mut self, from: &[T]) -> Result<()> {
        same_len("write", self.len(), from.len())?;
        let _access = self.access()?;
        // SAFETY: `from` has all elements; these are lent for writing and nothing is in flight.
        unsafe { self.backend_write(from.as_ptr().cast()) }
    }

    /// Overwrites all elements with one value.
    ///
    /// # Errors
    /// The failure of a launch that wrote the buffer and that nobody waited for.
    pub fn fill(&mut self, value: T) -> Result<()> {
        let _access = self.access()?;
        let backend = self.whole.accelerator().backend();
        let to = self.whole.address().cast();
        // SAFETY: the elements are within the allocation and lent for writing, and nothing in
        // flight uses them.
        unsafe { backend.fill((&raw const value).cast(), size_of::<T>(), to, self.len()) }
    }

    /// Overwrites all elements with those of another buffer or slice, wherever that is.
    ///
    /// # Errors
    /// As for [`SliceMut::write`].
    pub fn copy_from<'b>(&mut self, from: impl Into<Slice<'b, T>>) -> Result<()> {
        let from = from.into();
        same_len("copy", self.len(), from.len)?;
        let _access = HostAccess::begin(&[
            (self.whole.allocation, self.whole.bytes(), Access::Write),
            (from.allocation, from.bytes(), Access::Read),
        ]);
        self.whole.allocation.failures.report()?;
        from.allocation.failures.report()?;
        let len = self.whole.bytes().len();
        let backend = self.whole.accelerator().backend();
        let (source, target) = (from.address().cast(), self.whole.address().cast());
        if self.whole.accelerator() == from.accelerator() {
            // SAFETY: both are lent, one for reading and one for writing, and nothing in flight
            // conflicts.
            return unsafe { backend.copy(source, target, len) };
        }
        let peer = from.accelerator().backend();
        // SAFETY: as above.
        let copied = len == 0 || unsafe { backend.copy_from_peer(peer, source, target, len)? };
        if copied {
            return Ok(());
        }
        let mut staged: Vec<MaybeUninit<T>> = Vec::with_capacity(from.len);
        // SAFETY: `staged` has room for all elements, and holds them all when they are read.
        unsafe {
            from.download_to(staged.as_mut_ptr().cast())?;
            self.backend_write(staged.as_ptr().cast())
        }
    }

    /// A launch that overwrites all elements with others.
    pub(crate) fn copied_from(
        self,
        from: Slice<'_, T>,
        binder: &mut Binder<'_>,
    ) -> Result<Transfer> {
        same_len("copy", self.len(), from.len)?;
        Ok(Transfer::Copy {
            from: from.lend(Access::Read, binder)?.start.as_ptr().cast(),
            to: self
                .whole
                .lend(Access::Write, binder)?
                .start
                .as_ptr()
                .cast(),
            len: self.whole.bytes().len(),
        })
    }

    /// A launch that overwrites all elements with one value.
    pub(crate) fn filled_with(self, value: T, binder: &mut Binder<'_>) -> Result<Fill<T>> {
        Ok(Fill {
            transfer: Transfer::Fill {
                pattern: std::mem::offset_of!(Fill<T>, pattern),
                size: size_of::<T>(),
                to: self
                    .whole
                    .lend(Access::Write, binder)?
                    .start
                    .as_ptr()
                    .cast(),
                count: self.len(),
            },
            pattern: value,
        })
    }

    /// # Safety
    /// `from` is readable for all elements; nothing in flight uses them.
    unsafe fn backend_write(&mut self, from: *const u8) -> Result<()> {
        let len = self.whole.bytes().len();
        let backend = self.whole.accelerator().backend();
        // SAFETY: the elements are within the allocation and lent for writing.
        unsafe { backend.upload(from, self.whole.address().cast(), len) }
    }

    /// Waits for launches that use these elements; later ones wait while the host writes.
    fn access(&self) -> Result<HostAccess> {
        let allocation = self.whole.allocation;
        let access = HostAccess::begin(&[(allocation, self.whole.bytes(), Access::Write)]);
        allocation.failures.report()?;
        Ok(access)
    }
}

impl<T: DeviceData> fmt::Debug for SliceMut<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SliceMut")
            .field("start", &self.whole.start)
            .field("len", &self.whole.len)
            .finish_non_exhaustive()
    }
}

fn same_len(what: &'static str, expected: usize, found: usize) -> Result<()> {
    if expected == found {
        return Ok(());
    }
    Err(Error::SizeMismatch {
        what,
        expected,
        found,
    })
}
