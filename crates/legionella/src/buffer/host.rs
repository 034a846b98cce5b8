//! Memory of the host that an accelerator uses as well.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut, RangeBounds};
use std::sync::Arc;

use legionella_device::DeviceData;

use super::{Allocation, Buffer, Place, Slice, SliceMut};
use crate::accelerator::Accelerator;
use crate::error::Result;
use crate::schedule::hazards::{Access, HostAccess};

/// Elements in memory that the host reads and writes in place, and an accelerator as well.
///
/// Made by [`Accelerator::pinned`], in memory of the host that stays where it is, and by
/// [`Accelerator::managed`], in memory that moves to whoever uses it. Copies between pinned memory and
/// buffers run at full speed beside kernels: [`Accelerator::copy`] takes both. Kernels take such
/// memory as they take a buffer; of pinned memory each access then goes to the host.
///
/// ```
/// # fn main() -> legionella::Result<()> {
/// use legionella::Accelerator;
///
/// let accelerator = Accelerator::by_name("cpu")?;
/// let mut staging = accelerator.pinned(1000, 0u32)?;
/// for (i, element) in staging.write()?.iter_mut().enumerate() {
///     *element = i as u32;
/// }
/// let mut buffer = accelerator.filled(1000, 0)?;
/// accelerator.copy(&staging, &mut buffer)?; // does not wait
/// assert_eq!(buffer.to_vec()?[7], 7);
/// # Ok(())
/// # }
/// ```
///
/// The host reaches the elements by [`read`](HostBuffer::read) and [`write`](HostBuffer::write), which wait
/// for launches that conflict; what is launched meanwhile and conflicts, as a replay of a graph may, waits
/// until their result is dropped.
pub struct HostBuffer<T: DeviceData>(Buffer<T>);

impl<T: DeviceData> HostBuffer<T> {
    pub(crate) fn filled(
        accelerator: &Accelerator,
        place: Place,
        len: usize,
        value: T,
    ) -> Result<Self> {
        let mut new = HostBuffer(Buffer::in_place(accelerator, place, len)?);
        let start: *mut T = new.0.as_slice_mut().whole.start().as_ptr();
        for index in 0..len {
            // SAFETY: memory of the host for as many elements, which nobody else has yet.
            unsafe { start.add(index).write(value) };
        }
        Ok(new)
    }

    /// Memory of the host that stays where it is.
    ///
    /// # Safety
    /// The elements are written before they are read.
    pub(crate) unsafe fn uninitialised(accelerator: &Accelerator, len: usize) -> Result<Self> {
        Buffer::in_place(accelerator, Place::Host, len).map(HostBuffer)
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Who uses it beside the host.
    pub fn accelerator(&self) -> &Accelerator {
        self.0.accelerator()
    }

    /// All of it, as a buffer's are.
    pub fn as_slice(&self) -> Slice<'_, T> {
        self.0.as_slice()
    }

    /// All of it, as a buffer's are.
    pub fn as_slice_mut(&mut self) -> SliceMut<'_, T> {
        self.0.as_slice_mut()
    }

    /// A part, as a buffer's are.
    ///
    /// # Errors
    /// [`Error::OutOfRange`](crate::Error::OutOfRange) if the range is not within it.
    pub fn slice(&self, range: impl RangeBounds<usize>) -> Result<Slice<'_, T>> {
        self.0.slice(range)
    }

    /// A part, as a buffer's are.
    ///
    /// # Errors
    /// [`Error::OutOfRange`](crate::Error::OutOfRange) if the range is not within it.
    pub fn slice_mut(&mut self, range: impl RangeBounds<usize>) -> Result<SliceMut<'_, T>> {
        self.0.slice_mut(range)
    }

    /// The elements, for reading: waits for launches that write them.
    ///
    /// # Errors
    /// The failure of a launch that wrote them and that nobody waited for.
    pub fn read(&self) -> Result<HostRead<'_, T>> {
        Ok(HostRead {
            access: self.access(Access::Read)?,
            start: self.as_slice().start().as_ptr(),
            len: self.len(),
            elements: PhantomData,
        })
    }

    /// The elements, for writing: waits for launches that use them.
    ///
    /// # Errors
    /// As for [`read`](HostBuffer::read).
    pub fn write(&mut self) -> Result<HostWrite<'_, T>> {
        let access = self.access(Access::Write)?;
        Ok(HostWrite {
            access,
            start: self.as_slice_mut().whole.start().as_ptr(),
            len: self.len(),
            elements: PhantomData,
        })
    }

    fn access(&self, access: Access) -> Result<HostAccess> {
        let all = self.as_slice();
        let allocation: &Arc<Allocation> = all.allocation;
        let access = HostAccess::begin(&[(allocation, all.bytes(), access)]);
        allocation.failures.report()?;
        Ok(access)
    }
}

impl<'a, T: DeviceData> From<&'a HostBuffer<T>> for Slice<'a, T> {
    fn from(buffer: &'a HostBuffer<T>) -> Self {
        buffer.as_slice()
    }
}

impl<'a, T: DeviceData> From<&'a mut HostBuffer<T>> for SliceMut<'a, T> {
    fn from(buffer: &'a mut HostBuffer<T>) -> Self {
        buffer.as_slice_mut()
    }
}

impl<T: DeviceData> fmt::Debug for HostBuffer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostBuffer")
            .field("len", &self.len())
            .field("accelerator", &self.accelerator().name())
            .finish()
    }
}

/// Elements that the host reads: see [`HostBuffer::read`].
#[derive(Debug)]
#[expect(dead_code, reason = "the access lasts as long as it is there")]
pub struct HostRead<'a, T> {
    access: HostAccess,
    start: *const T,
    len: usize,
    elements: PhantomData<&'a [T]>,
}

// SAFETY: a borrow of a slice.
unsafe impl<T: Sync> Sync for HostRead<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Send for HostRead<'_, T> {}

impl<T> Deref for HostRead<'_, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: elements that the host sees, initialised since the buffer was made and written by none while
        // the access is in flight.
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }
}

/// Elements that the host writes: see [`HostBuffer::write`].
#[derive(Debug)]
#[expect(dead_code, reason = "the access lasts as long as it is there")]
pub struct HostWrite<'a, T> {
    access: HostAccess,
    start: *mut T,
    len: usize,
    elements: PhantomData<&'a mut [T]>,
}

// SAFETY: a mutable borrow of a slice.
unsafe impl<T: Sync> Sync for HostWrite<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for HostWrite<'_, T> {}

impl<T> Deref for HostWrite<'_, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: as for reading, and used by nobody else while the access is in flight.
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }
}

impl<T> DerefMut for HostWrite<'_, T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.len) }
    }
}
