//! Memory of an accelerator. Takes elements from the host, lends them to launches and back.
//!
//! Every access by the host waits for the launches in flight that it conflicts with; every launch
//! is ordered after those. See [`crate::schedule::hazards`].

use std::alloc::Layout;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Range, RangeBounds};
use std::ptr::NonNull;
use std::sync::Arc;

use legionella_device::DeviceData;

use crate::accelerator::Accelerator;
use crate::error::{Error, Result};
use crate::schedule::hazards::{FailureLog, Hazards};

mod argument;
mod host;
mod slice;
mod zeroable;

pub use argument::{AtomicArgument, BlocksArgument, DevicePtr, RowsArgument, TilesArgument};
pub use host::{HostBuffer, HostRead, HostWrite};
pub use slice::{Slice, SliceMut};
pub use zeroable::Zeroable;

/// Least alignment of a buffer's first element: that of a cache line.
const ALIGN: usize = 64;

/// Where memory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// On the device.
    Device,
    /// On the host, where it stays; the device uses it by the same address.
    Host,
    /// Wherever it is used; by the same address on host and device.
    Moving,
}

/// A piece of an accelerator's memory, and what is in flight on it.
pub(crate) struct Allocation {
    accelerator: Accelerator,
    memory: NonNull<u8>,
    /// Of size zero if there is nothing to free.
    layout: Layout,
    place: Place,
    pub(crate) hazards: Hazards,
    pub(crate) failures: FailureLog,
}

// SAFETY: the memory is reached only through the accelerator's backend, under the rules of
// borrows and hazards.
unsafe impl Send for Allocation {}
// SAFETY: as above.
unsafe impl Sync for Allocation {}

impl Allocation {
    /// Zeros, or without a value on the device unless `zeroed`.
    fn new(accelerator: &Accelerator, place: Place, layout: Layout, zeroed: bool) -> Result<Self> {
        let backend = accelerator.backend();
        let memory = match layout.size() {
            0 => NonNull::without_provenance(
                layout
                    .align()
                    .try_into()
                    .unwrap_or(std::num::NonZero::<usize>::MIN),
            ),
            _ => match place {
                Place::Device => backend.allocate(layout, zeroed)?,
                Place::Host => backend.allocate_visible(layout)?,
                Place::Moving => backend.allocate_moving(layout)?,
            },
        };
        Ok(Allocation {
            accelerator: accelerator.clone(),
            memory,
            layout,
            place,
            hazards: Hazards::default(),
            failures: FailureLog::default(),
        })
    }

    /// Zeros on the device, for a layout that has a size.
    pub(crate) fn zeroed(accelerator: &Accelerator, layout: Layout) -> Result<Self> {
        Allocation::new(accelerator, Place::Device, layout, true)
    }

    /// Zeros that host and device use by the same address, for a layout that has a size.
    pub(crate) fn visible(accelerator: &Accelerator, layout: Layout) -> Result<Self> {
        Allocation::new(accelerator, Place::Host, layout, true)
    }

    /// Where it starts, for the device; and for the host if that sees it.
    pub(crate) fn start(&self) -> *mut u8 {
        self.memory.as_ptr()
    }

    pub(crate) fn accelerator(&self) -> &Accelerator {
        &self.accelerator
    }
}

impl Drop for Allocation {
    fn drop(&mut self) {
        if self.layout.size() == 0 {
            return;
        }
        let backend = self.accelerator.backend();
        // SAFETY: `new` allocated it so for this layout. Launches that use it hold an `Arc` of it until
        // they have ended, so nothing does.
        unsafe {
            match self.place {
                Place::Device => backend.free(self.memory, self.layout),
                Place::Host => backend.free_visible(self.memory, self.layout),
                Place::Moving => backend.free_moving(self.memory, self.layout),
            }
        }
    }
}

/// Elements in the memory of an accelerator.
///
/// Made by [`Accelerator::upload`], [`filled`](Accelerator::filled) and
/// [`zeroed`](Accelerator::zeroed). As arguments of a launch, `&buffer` is what a kernel's `&[T]`
/// is, and `&mut buffer` its [`Disjoint<T>`](legionella_device::Disjoint).
///
/// A launch borrows a buffer only for the call: what is in flight is known to the buffer itself.
/// Later launches that conflict wait for their turn, and so does the host when it reads or writes
/// elements. A buffer may be dropped, or forgotten, at any time.
///
/// If a launch failed and nobody waited for its [`Completion`](crate::Completion), the next access
/// by the host to a buffer that it wrote returns the error, once.
///
/// ```
/// # fn main() -> legionella::Result<()> {
/// use legionella::Accelerator;
///
/// let accel = Accelerator::by_name("cpu")?;
/// let mut buffer = accel.upload(&[1, 2, 3, 4])?;
/// buffer.slice_mut(1..3)?.fill(0)?;
/// assert_eq!(buffer.to_vec()?, [1, 0, 0, 4]);
/// # Ok(())
/// # }
/// ```
pub struct Buffer<T: DeviceData> {
    allocation: Arc<Allocation>,
    len: usize,
    elements: PhantomData<T>,
}

impl<T: DeviceData> Buffer<T> {
    fn new(accelerator: &Accelerator, len: usize, zeroed: bool) -> Result<Self> {
        Buffer::placed(accelerator, Place::Device, len, zeroed)
    }

    /// A buffer in memory that the host uses as well, of zero bytes.
    fn in_place(accelerator: &Accelerator, place: Place, len: usize) -> Result<Self> {
        Buffer::placed(accelerator, place, len, true)
    }

    fn placed(accelerator: &Accelerator, place: Place, len: usize, zeroed: bool) -> Result<Self> {
        let layout = Layout::array::<T>(len).and_then(|layout| layout.align_to(ALIGN));
        let layout = layout.map_err(|_| Error::OutOfMemory {
            accelerator: accelerator.name().to_owned(),
            bytes: usize::MAX,
        })?;
        Ok(Buffer {
            allocation: Arc::new(Allocation::new(accelerator, place, layout, zeroed)?),
            len,
            elements: PhantomData,
        })
    }

    /// A buffer with a copy of host elements.
    pub(crate) fn upload(accelerator: &Accelerator, elements: &[T]) -> Result<Self> {
        let mut buffer = Buffer::new(accelerator, elements.len(), false)?;
        buffer.write(elements)?;
        Ok(buffer)
    }

    /// A buffer of equal elements.
    pub(crate) fn filled(accelerator: &Accelerator, len: usize, value: T) -> Result<Self> {
        let mut buffer = Buffer::new(accelerator, len, false)?;
        buffer.fill(value)?;
        Ok(buffer)
    }

    /// A buffer of elements whose bytes are all zero.
    pub(crate) fn zeroed(accelerator: &Accelerator, len: usize) -> Result<Self>
    where
        T: Zeroable,
    {
        Buffer::new(accelerator, len, true)
    }

    /// A buffer of elements without a value.
    ///
    /// # Safety
    /// Each element is written before it is read, by a launch or the host, and before anyone else has
    /// the buffer.
    pub(crate) unsafe fn uninitialised(accelerator: &Accelerator, len: usize) -> Result<Self> {
        Buffer::new(accelerator, len, false)
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where the buffer is.
    pub fn accelerator(&self) -> &Accelerator {
        self.allocation.accelerator()
    }

    /// The whole buffer as a slice.
    pub fn as_slice(&self) -> Slice<'_, T> {
        // SAFETY: all elements are within the allocation, and lent for the life of the slice.
        unsafe { Slice::new(&self.allocation, 0, self.len) }
    }

    /// The whole buffer as a mutable slice.
    pub fn as_slice_mut(&mut self) -> SliceMut<'_, T> {
        // SAFETY: as above, and mutably.
        unsafe { SliceMut::new(&self.allocation, 0, self.len) }
    }

    /// A part of the buffer, to read or to pass to a kernel that takes `&[T]`.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] if the range is not within the buffer.
    pub fn slice(&self, range: impl RangeBounds<usize>) -> Result<Slice<'_, T>> {
        self.as_slice().slice(range)
    }

    /// A part of the buffer, to write or to pass to a kernel that takes `Disjoint<T>`.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] if the range is not within the buffer.
    pub fn slice_mut(&mut self, range: impl RangeBounds<usize>) -> Result<SliceMut<'_, T>> {
        self.as_slice_mut().into_slice(range)
    }

    /// The elements before and from `middle` on.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] if there are fewer than `middle` elements.
    pub fn split_at_mut(&mut self, middle: usize) -> Result<(SliceMut<'_, T>, SliceMut<'_, T>)> {
        self.as_slice_mut().split_at(middle)
    }

    /// Copies all elements to the host.
    ///
    /// # Errors
    /// [`Error::SizeMismatch`] if `to` has another length; the failure of a launch that wrote the
    /// buffer and that nobody waited for.
    pub fn download(&self, to: &mut [T]) -> Result<()> {
        self.as_slice().download(to)
    }

    /// All elements, on the host.
    ///
    /// # Errors
    /// The failure of a launch that wrote the buffer and that nobody waited for.
    pub fn to_vec(&self) -> Result<Vec<T>> {
        self.as_slice().to_vec()
    }

    /// Overwrites all elements from the host.
    ///
    /// # Errors
    /// As for [`Buffer::download`].
    pub fn write(&mut self, from: &[T]) -> Result<()> {
        self.as_slice_mut().write(from)
    }

    /// Overwrites all elements with one value.
    ///
    /// # Errors
    /// As for [`Buffer::to_vec`].
    pub fn fill(&mut self, value: T) -> Result<()> {
        self.as_slice_mut().fill(value)
    }

    /// Overwrites all elements with those of another buffer or slice, wherever that is.
    ///
    /// # Errors
    /// As for [`Buffer::download`].
    pub fn copy_from<'b>(&mut self, from: impl Into<Slice<'b, T>>) -> Result<()> {
        self.as_slice_mut().copy_from(from)
    }
}

#[cfg(test)]
impl<T: DeviceData> Buffer<T> {
    /// The whole buffer as if it were lent mutably, for launches that are made one by one.
    pub(crate) fn lent(&self) -> SliceMut<'_, T> {
        // SAFETY: within the allocation. Tests reach no element by two of these at once.
        unsafe { SliceMut::new(&self.allocation, 0, self.len) }
    }

    pub(crate) fn weak(&self) -> std::sync::Weak<Allocation> {
        Arc::downgrade(&self.allocation)
    }

    pub(crate) fn device_address(&self) -> *mut T {
        self.allocation.memory.as_ptr().cast()
    }
}

impl<T: DeviceData> fmt::Debug for Buffer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer")
            .field("len", &self.len)
            .field("accelerator", &self.accelerator().name())
            .finish()
    }
}

/// The range as numbers, if it is within `len` elements.
fn within(range: impl RangeBounds<usize>, len: usize) -> Result<Range<usize>> {
    use std::ops::Bound::{Excluded, Included, Unbounded};
    let start = match range.start_bound() {
        Included(&start) => Some(start),
        Excluded(&before) => before.checked_add(1),
        Unbounded => Some(0),
    };
    let end = match range.end_bound() {
        Included(&last) => last.checked_add(1),
        Excluded(&end) => Some(end),
        Unbounded => Some(len),
    };
    match (start, end) {
        (Some(start), Some(end)) if start <= end && end <= len => Ok(start..end),
        _ => Err(Error::OutOfRange {
            start: start.unwrap_or(usize::MAX),
            end: end.unwrap_or(usize::MAX),
            len,
        }),
    }
}
