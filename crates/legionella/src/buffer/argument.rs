//! Buffers as arguments of launches: what becomes of each kind in the kernel.

use std::marker::PhantomData;

use legionella_device::matrix::Blocks;
use legionella_device::{Atomic, DeviceData, Disjoint, Rows, Tiles};

use super::{Buffer, HostBuffer, Slice, SliceMut};
use crate::error::Result;
use crate::launch::form::{Pointer, RowSpan, SharedSpan, Span};
use crate::launch::{Binder, Pass, PassAs};
use crate::schedule::hazards::Access;

impl<T: DeviceData> Slice<'_, T> {
    pub(crate) fn lend(&self, access: Access, binder: &mut Binder<'_>) -> Result<Span<T>> {
        binder.use_memory(self.allocation, self.bytes(), access)?;
        Ok(self.span())
    }

    /// Where it is.
    pub(crate) fn span(&self) -> Span<T> {
        Span {
            start: self.start(),
            len: self.len(),
        }
    }
}

// SAFETY: the elements are recorded as read, so that nothing in flight writes them.
unsafe impl<'a, T: DeviceData> Pass<&'a [T]> for Slice<'a, T> {
    type Form = Span<T>;

    fn bind(self, binder: &mut Binder<'_>) -> Result<Span<T>> {
        self.lend(Access::Read, binder)
    }
}

// SAFETY: as for the slice of it all.
unsafe impl<'a, T: DeviceData> Pass<&'a [T]> for &'a Buffer<T> {
    type Form = Span<T>;

    fn bind(self, binder: &mut Binder<'_>) -> Result<Span<T>> {
        self.as_slice().lend(Access::Read, binder)
    }
}

// SAFETY: as for the slice of it all.
unsafe impl<'a, T: DeviceData> Pass<&'a [T]> for &'a HostBuffer<T> {
    type Form = Span<T>;

    fn bind(self, binder: &mut Binder<'_>) -> Result<Span<T>> {
        self.as_slice().lend(Access::Read, binder)
    }
}

// SAFETY: as for the slice of it all.
unsafe impl<'a, T: DeviceData> Pass<Disjoint<'a, T>> for &'a mut HostBuffer<T> {
    type Form = Span<T>;

    fn bind(self, binder: &mut Binder<'_>) -> Result<Span<T>> {
        self.as_slice_mut().whole.lend(Access::Write, binder)
    }
}

// SAFETY: the elements are recorded as written, so that nothing else in flight uses them, and were
// lent mutably, so that no other argument has them.
unsafe impl<'a, T: DeviceData> Pass<Disjoint<'a, T>> for SliceMut<'a, T> {
    type Form = Span<T>;

    fn bind(self, binder: &mut Binder<'_>) -> Result<Span<T>> {
        self.whole.lend(Access::Write, binder)
    }
}

// SAFETY: as for the slice of it all.
unsafe impl<'a, T: DeviceData> Pass<Disjoint<'a, T>> for &'a mut Buffer<T> {
    type Form = Span<T>;

    fn bind(self, binder: &mut Binder<'_>) -> Result<Span<T>> {
        self.as_slice_mut().whole.lend(Access::Write, binder)
    }
}

/// A buffer's elements in tiles of `N`: what a kernel's [`Tiles<T, N>`] is launched with.
#[derive(Debug)]
pub struct TilesArgument<'a, T: DeviceData, const N: usize>(SliceMut<'a, T>);

// SAFETY: as for the slice.
unsafe impl<'a, T: DeviceData, const N: usize> Pass<Tiles<'a, T, N>> for TilesArgument<'a, T, N> {
    type Form = Span<T>;

    fn bind(self, binder: &mut Binder<'_>) -> Result<Span<T>> {
        self.0.whole.lend(Access::Write, binder)
    }
}

/// A buffer's elements in rows: what a kernel's [`Rows<T>`] is launched with.
#[derive(Debug)]
pub struct RowsArgument<'a, T: DeviceData> {
    elements: SliceMut<'a, T>,
    width: usize,
}

// SAFETY: as for the slice; the width is the same for all work-items.
unsafe impl<'a, T: DeviceData> Pass<Rows<'a, T>> for RowsArgument<'a, T> {
    type Form = RowSpan<T>;

    fn bind(self, binder: &mut Binder<'_>) -> Result<RowSpan<T>> {
        Ok(RowSpan {
            span: self.elements.whole.lend(Access::Write, binder)?,
            width: self.width,
        })
    }
}

/// A buffer's elements as a matrix in blocks: what a kernel's [`Blocks<T, ROWS, COLUMNS>`](Blocks) is launched
/// with.
#[derive(Debug)]
pub struct BlocksArgument<'a, T: DeviceData, const ROWS: usize, const COLUMNS: usize>(
    RowsArgument<'a, T>,
);

// SAFETY: as for rows.
unsafe impl<'a, T: DeviceData, const ROWS: usize, const COLUMNS: usize>
    Pass<Blocks<'a, T, ROWS, COLUMNS>> for BlocksArgument<'a, T, ROWS, COLUMNS>
{
    type Form = RowSpan<T>;

    fn bind(self, binder: &mut Binder<'_>) -> Result<RowSpan<T>> {
        self.0.bind(binder)
    }
}

/// A buffer's elements as atomics: what a kernel's `&[AtomicU32]` is launched with.
#[derive(Debug)]
pub struct AtomicArgument<'a, T: Atomic>(SliceMut<'a, T>);

// SAFETY: as for the slice.
unsafe impl<'a, T: Atomic> Pass<&'a [T::Shared]> for AtomicArgument<'a, T> {
    type Form = SharedSpan<T>;

    fn bind(self, binder: &mut Binder<'_>) -> Result<SharedSpan<T>> {
        self.0.whole.lend(Access::Write, binder).map(SharedSpan)
    }
}

/// The address of elements that a kernel writes wherever it wants, for launches that are `unsafe` and
/// ordered like others.
#[derive(Debug)]
pub(crate) struct WholeArgument<'a, T: DeviceData>(SliceMut<'a, T>);

// SAFETY: the elements are recorded as written, and were lent mutably. Where in them the kernel writes,
// whoever launches it answers for: nothing says that this is safe.
unsafe impl<'a, T: DeviceData> Pass<*mut T> for WholeArgument<'a, T> {
    type Form = Pointer<T>;

    fn bind(self, binder: &mut Binder<'_>) -> Result<Pointer<T>> {
        let span = self.0.whole.lend(Access::Write, binder)?;
        Ok(Pointer(span.start.as_ptr()))
    }
}

// SAFETY: what the kernel gets is disjoint, read-only or atomic, as its type says.
unsafe impl<'a, T: DeviceData> PassAs<&'a [T]> for Slice<'a, T> {}
// SAFETY: as above.
unsafe impl<'a, T: DeviceData> PassAs<&'a [T]> for &'a Buffer<T> {}
// SAFETY: as above.
unsafe impl<'a, T: DeviceData> PassAs<&'a [T]> for &'a HostBuffer<T> {}
// SAFETY: as above.
unsafe impl<'a, T: DeviceData> PassAs<Disjoint<'a, T>> for &'a mut HostBuffer<T> {}
// SAFETY: as above.
unsafe impl<'a, T: DeviceData> PassAs<Disjoint<'a, T>> for SliceMut<'a, T> {}
// SAFETY: as above.
unsafe impl<'a, T: DeviceData> PassAs<Disjoint<'a, T>> for &'a mut Buffer<T> {}
// SAFETY: as above.
unsafe impl<'a, T: DeviceData, const N: usize> PassAs<Tiles<'a, T, N>> for TilesArgument<'a, T, N> {}
// SAFETY: as above.
unsafe impl<'a, T: DeviceData> PassAs<Rows<'a, T>> for RowsArgument<'a, T> {}
// SAFETY: as above.
unsafe impl<'a, T: DeviceData, const ROWS: usize, const COLUMNS: usize>
    PassAs<Blocks<'a, T, ROWS, COLUMNS>> for BlocksArgument<'a, T, ROWS, COLUMNS>
{
}
// SAFETY: as above.
unsafe impl<'a, T: Atomic> PassAs<&'a [T::Shared]> for AtomicArgument<'a, T> {}

/// Address of a buffer's element on its accelerator, for [`launch_unchecked`]: a kernel receives it
/// as `*const T` or `*mut T`. On the host it means nothing.
///
/// [`launch_unchecked`]: crate::Accelerator::launch_unchecked
#[derive(Debug)]
pub struct DevicePtr<T: DeviceData> {
    address: *mut T,
    elements: PhantomData<T>,
}

impl<T: DeviceData> Clone for DevicePtr<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: DeviceData> Copy for DevicePtr<T> {}

impl<T: DeviceData> DevicePtr<T> {
    /// The address of the element that many further on. It may be anywhere: only kernels that
    /// were launched as `unsafe` use it.
    #[must_use]
    pub fn offset(self, elements: isize) -> Self {
        DevicePtr {
            address: self.address.wrapping_offset(elements),
            ..self
        }
    }
}

// SAFETY: an address. Whoever launches with it answers for what it points to.
unsafe impl<T: DeviceData> Pass<*mut T> for DevicePtr<T> {
    type Form = Pointer<T>;

    fn bind(self, _binder: &mut Binder<'_>) -> Result<Pointer<T>> {
        Ok(Pointer(self.address))
    }
}

// SAFETY: as above.
unsafe impl<T: DeviceData> Pass<*const T> for DevicePtr<T> {
    type Form = Pointer<T>;

    fn bind(self, _binder: &mut Binder<'_>) -> Result<Pointer<T>> {
        Ok(Pointer(self.address))
    }
}

impl<'a, T: DeviceData> SliceMut<'a, T> {
    /// As an argument for a kernel that takes [`Tiles<T, N>`]: a tile of `N` a work-item.
    pub fn tiles<const N: usize>(self) -> TilesArgument<'a, T, N> {
        TilesArgument(self)
    }

    /// As an argument for a kernel that takes [`Rows<T>`]: a row of `width` a work-item.
    pub fn rows(self, width: usize) -> RowsArgument<'a, T> {
        RowsArgument {
            elements: self,
            width,
        }
    }

    /// As an argument for a kernel that takes the address of it all.
    pub(crate) fn address_of_all(self) -> WholeArgument<'a, T> {
        WholeArgument(self)
    }

    /// As an argument for a kernel that takes [`Blocks<T, ROWS, COLUMNS>`](Blocks): a matrix with rows of
    /// `width` elements, and a block of it a subgroup.
    pub fn blocks<const ROWS: usize, const COLUMNS: usize>(
        self,
        width: usize,
    ) -> BlocksArgument<'a, T, ROWS, COLUMNS> {
        BlocksArgument(self.rows(width))
    }

    /// As an argument for a kernel that takes a slice of atomics, which all work-items share.
    pub fn atomic(self) -> AtomicArgument<'a, T>
    where
        T: Atomic,
    {
        AtomicArgument(self)
    }
}

impl<T: DeviceData> Buffer<T> {
    /// As an argument for a kernel that takes [`Tiles<T, N>`]: a tile of `N` a work-item.
    pub fn tiles<const N: usize>(&mut self) -> TilesArgument<'_, T, N> {
        self.as_slice_mut().tiles()
    }

    /// As an argument for a kernel that takes [`Rows<T>`]: a row of `width` a work-item.
    pub fn rows(&mut self, width: usize) -> RowsArgument<'_, T> {
        self.as_slice_mut().rows(width)
    }

    /// As an argument for a kernel that takes [`Blocks<T, ROWS, COLUMNS>`](Blocks): a matrix with rows of
    /// `width` elements, and a block of it a subgroup.
    pub fn blocks<const ROWS: usize, const COLUMNS: usize>(
        &mut self,
        width: usize,
    ) -> BlocksArgument<'_, T, ROWS, COLUMNS> {
        BlocksArgument(self.rows(width))
    }

    /// As an argument for a kernel that takes a slice of atomics, which all work-items share.
    pub fn atomic(&mut self) -> AtomicArgument<'_, T>
    where
        T: Atomic,
    {
        self.as_slice_mut().atomic()
    }

    /// The address of the first element, for [`launch_unchecked`](Accelerator::launch_unchecked).
    ///
    /// [`launch_unchecked`]: crate::Accelerator::launch_unchecked
    pub fn device_ptr(&self) -> DevicePtr<T> {
        DevicePtr {
            address: self.as_slice().address(),
            elements: PhantomData,
        }
    }
}
