//! What lies in an argument block, and what the kernel receives for it.
//!
//! [`Form::materialise`] is compiled into entry shims, and thus runs on devices. Everything else
//! of a form happens on the host.

use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

use legionella_device::channel::ring::Ring;
use legionella_device::enqueue::Table;
use legionella_device::matrix::Blocks;
use legionella_device::{
    Atomic, DeviceData, Disjoint, Enqueue, Item, Rows, Sender, Shared, Signal, Tiles, tile,
};

/// The place of one argument in the block, from which a work-item makes its parameter of type `P`.
pub trait Form<P>: Copy {
    /// The parameter of one work-item.
    ///
    /// # Safety
    /// On the device, in a launch with an argument that [bound](crate::launch::Pass::bind) to this;
    /// `item` is the work-item, and the call is the only one with it. `position` is the parameter's
    /// number among those that have arguments. The parameter is used only while the launch runs.
    unsafe fn materialise(&self, item: &Item, position: u32) -> P;
}

/// A value as it is.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Value<T>(pub(crate) T);

impl<T: DeviceData> Form<T> for Value<T> {
    #[inline(always)]
    unsafe fn materialise(&self, _item: &Item, _position: u32) -> T {
        self.0
    }
}

/// Elements in memory of the device.
#[derive(Debug)]
#[repr(C)]
pub struct Span<T> {
    pub(crate) start: NonNull<T>,
    pub(crate) len: usize,
}

impl<T> Clone for Span<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Span<T> {}

impl<'a, T: DeviceData> Form<&'a [T]> for Span<T> {
    #[inline(always)]
    unsafe fn materialise(&self, _item: &Item, _position: u32) -> &'a [T] {
        // SAFETY: the launch is ordered after all writes of the elements, before all later ones, and
        // keeps them allocated.
        unsafe {
            let start = legionella_device::intrinsic::immutable(self.start.as_ptr().cast());
            std::slice::from_raw_parts(start.cast(), self.len)
        }
    }
}

impl<'a, T: DeviceData> Form<Disjoint<'a, T>> for Span<T> {
    #[inline(always)]
    unsafe fn materialise(&self, item: &Item, _position: u32) -> Disjoint<'a, T> {
        // SAFETY: nothing but the launch uses the elements, and no other item owns this one's.
        unsafe { Disjoint::from_raw(self.start.as_ptr(), self.len, item) }
    }
}

impl<'a, T: DeviceData, const N: usize> Form<Tiles<'a, T, N>> for Span<T> {
    #[inline(always)]
    unsafe fn materialise(&self, item: &Item, _position: u32) -> Tiles<'a, T, N> {
        // SAFETY: nothing but the launch uses the elements, and no other item owns this one's.
        unsafe { Tiles::from_raw(self.start.as_ptr(), self.len, item) }
    }
}

/// Elements in memory of the device, in rows.
#[derive(Debug)]
#[repr(C)]
pub struct RowSpan<T> {
    pub(crate) span: Span<T>,
    pub(crate) width: usize,
}

impl<T> Clone for RowSpan<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for RowSpan<T> {}

impl<'a, T: DeviceData> Form<Rows<'a, T>> for RowSpan<T> {
    #[inline(always)]
    unsafe fn materialise(&self, item: &Item, _position: u32) -> Rows<'a, T> {
        // SAFETY: nothing but the launch uses the elements, all items have this width, and no
        // other item owns this one's row.
        unsafe { Rows::from_raw(self.span.start.as_ptr(), self.span.len, self.width, item) }
    }
}

impl<'a, T: DeviceData, const ROWS: usize, const COLUMNS: usize> Form<Blocks<'a, T, ROWS, COLUMNS>>
    for RowSpan<T>
{
    #[inline(always)]
    unsafe fn materialise(&self, item: &Item, _position: u32) -> Blocks<'a, T, ROWS, COLUMNS> {
        // SAFETY: nothing but the launch uses the elements, all items have this width, and no
        // other item owns this one's part.
        unsafe { Blocks::from_raw(self.span.start.as_ptr(), self.span.len, self.width, item) }
    }
}

/// Elements in memory of the device that work-items share as atomics.
#[derive(Debug)]
#[repr(transparent)]
pub struct SharedSpan<T>(pub(crate) Span<T>);

impl<T> Clone for SharedSpan<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for SharedSpan<T> {}

impl<'a, T: Atomic> Form<&'a [T::Shared]> for SharedSpan<T> {
    #[inline(always)]
    unsafe fn materialise(&self, _item: &Item, _position: u32) -> &'a [T::Shared] {
        // SAFETY: `Atomic` promises size and validity. Nothing but the launch uses the elements,
        // and that only as atomics.
        unsafe { std::slice::from_raw_parts(self.0.start.as_ptr().cast(), self.0.len) }
    }
}

/// An address.
#[derive(Debug)]
#[repr(transparent)]
pub struct Pointer<T>(pub(crate) *mut T);

impl<T> Clone for Pointer<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Pointer<T> {}

impl<T: DeviceData> Form<*mut T> for Pointer<T> {
    #[inline(always)]
    unsafe fn materialise(&self, _item: &Item, _position: u32) -> *mut T {
        self.0
    }
}

impl<T: DeviceData> Form<*const T> for Pointer<T> {
    #[inline(always)]
    unsafe fn materialise(&self, _item: &Item, _position: u32) -> *const T {
        self.0
    }
}

/// The address of what all work-items share.
#[derive(Debug)]
#[repr(transparent)]
pub struct Pointee<T>(pub(crate) *const T);

impl<T> Clone for Pointee<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Pointee<T> {}

impl<'a> Form<&'a Signal> for Pointee<Signal> {
    #[inline(always)]
    unsafe fn materialise(&self, _item: &Item, _position: u32) -> &'a Signal {
        // SAFETY: the launch keeps the signal.
        unsafe { &*self.0 }
    }
}

impl<'a, T: DeviceData> Form<Enqueue<'a, T>> for Pointee<Table> {
    #[inline(always)]
    unsafe fn materialise(&self, _item: &Item, _position: u32) -> Enqueue<'a, T> {
        // SAFETY: the launch keeps the table, which is for such values.
        unsafe { Enqueue::new(&*self.0) }
    }
}

/// A value that is written before the launch begins.
#[derive(Debug)]
#[repr(transparent)]
pub struct LaterForm<T>(MaybeUninit<T>);

impl<T> LaterForm<T> {
    pub(crate) fn new() -> Self {
        LaterForm(MaybeUninit::uninit())
    }
}

impl<T: Copy> Clone for LaterForm<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: Copy> Copy for LaterForm<T> {}

impl<T: DeviceData> Form<T> for LaterForm<T> {
    #[inline(always)]
    unsafe fn materialise(&self, _item: &Item, _position: u32) -> T {
        // SAFETY: the value was written before the launch began.
        unsafe { self.0.assume_init() }
    }
}

/// Where a channel lies.
#[derive(Debug)]
#[repr(transparent)]
pub struct RingForm<T>(pub(crate) Ring<T>);

impl<T> Clone for RingForm<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for RingForm<T> {}

impl<'a, T: DeviceData> Form<Sender<'a, T>> for RingForm<T> {
    #[inline(always)]
    unsafe fn materialise(&self, _item: &Item, _position: u32) -> Sender<'a, T> {
        // SAFETY: the launch keeps the ring.
        unsafe { Sender::new(self.0) }
    }
}

/// Memory of the work-group for an array, which takes no place in the block.
#[derive(Debug)]
#[repr(transparent)]
pub struct SharedArrayForm<T, const N: usize>(pub(crate) PhantomData<[T; N]>);

impl<T, const N: usize> Clone for SharedArrayForm<T, N> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T, const N: usize> Copy for SharedArrayForm<T, N> {}

impl<'a, T: Send + Sync + 'static, const N: usize> Form<Shared<'a, [T; N]>>
    for SharedArrayForm<T, N>
{
    #[inline(always)]
    unsafe fn materialise(&self, item: &Item, position: u32) -> Shared<'a, [T; N]> {
        // SAFETY: no other parameter has this position, so that the memory is this one's alone; it
        // stays while the group runs.
        unsafe { Shared::from_raw(tile::array::<T, N>(position), N, item, position) }
    }
}

/// Memory of the work-group whose size the launch gives, at a distance from the start of it all.
#[derive(Debug)]
#[repr(C)]
pub struct SharedSliceForm<T> {
    pub(crate) offset: usize,
    pub(crate) len: usize,
    pub(crate) element: PhantomData<T>,
}

impl<T> Clone for SharedSliceForm<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for SharedSliceForm<T> {}

impl<'a, T: Send + Sync + 'static> Form<Shared<'a, [T]>> for SharedSliceForm<T> {
    #[inline(always)]
    unsafe fn materialise(&self, item: &Item, position: u32) -> Shared<'a, [T]> {
        // SAFETY: the binder gave each argument a range of its own of what the launch asks for.
        unsafe { Shared::from_raw(tile::dynamic(self.offset), self.len, item, position) }
    }
}
