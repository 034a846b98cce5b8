//! Kernels as the plain functions that they are.
//!
//! [`launch`] calls a kernel once for every work-item of a grid, one after the other, on the thread
//! that calls it, with slices of the host in place of buffers. That is what a kernel's results are
//! compared with, and how one is stepped through in a debugger. Nothing of it needs the compiler
//! wrapper.
//!
//! The items of a group kernel, which wait for each other, are threads; groups follow each other.
//!
//! | argument | parameter |
//! | --- | --- |
//! | `T: DeviceData` | `T` |
//! | `&[T]`, `&Vec<T>`, `&[T; N]` | `&[T]` |
//! | `&mut [T]`, `&mut Vec<T>`, `&mut [T; N]` | [`Disjoint<T>`](Disjoint) |
//! | [`tiles::<_, N>`](tiles)`(&mut [T])` | [`Tiles<T, N>`](Tiles) |
//! | [`rows`]`(&mut [T], width)` | [`Rows<T>`](Rows) |
//! | [`blocks::<_, R, C>`](blocks)`(&mut [T], width)` | [`Blocks<T, R, C>`](Blocks) |
//! | [`atomic`]`(&mut [u32])` | `&[AtomicU32]` |
//! | `&`[`channel(capacity)`](channel) | [`Sender<T>`](crate::Sender) |
//! | `&`[`Signal::new(value)`](crate::Signal::new) | `&Signal` |
//! | `&`[`enqueued(capacity)`](enqueued) | [`Enqueue<T>`](crate::Enqueue) |
//! | [`function`](crate::function)`(f)` | `impl Fn…` |
//! | [`shared()`](shared) | [`Shared<[T; N]>`](Shared) |
//! | [`shared_slice`]`(len)` | [`Shared<[T]>`](Shared) |
//!
//! ```
//! use legionella::host;
//! use legionella::prelude::*;
//!
//! fn saxpy(at: Item, a: f32, x: &[f32], mut y: Disjoint<f32>) {
//!     if let Some(y) = y.at(&at) {
//!         *y += a * x[at.global()];
//!     }
//! }
//!
//! let mut y = [1.0, 1.0];
//! host::launch(saxpy, 2, (3.0, &[1.0, 2.0], &mut y));
//! assert_eq!(y, [4.0, 7.0]);
//! ```

use std::marker::PhantomData;

use std::sync::{Mutex, PoisonError};

use legionella_abi::cpu::SUBGROUP_SIZE;
use legionella_device::matrix::Blocks;
use legionella_device::{Atomic, DeviceData, Disjoint, Group, Item, Rows, Tiles, Token, host};

use crate::grid::Grid;
use crate::launch::Function;

mod channel;
mod enqueue;
mod shared;
mod threads;

pub use channel::{Channel, channel};
pub use enqueue::{Enqueued, enqueued};
pub use shared::{GroupMemory, shared, shared_slice};

/// Calls a kernel once for every work-item of a grid: in ascending order of linear ids, or for a
/// group kernel, group by group, all items of a group at once. Where the grid doesn't say, groups
/// have up to 64 items in a row.
///
/// # Panics
/// If the kernel does, if a barrier is reached by only some items of a group, or if the grid of a
/// group kernel has no meaning.
pub fn launch<K, A, P, How>(kernel: K, grid: impl Into<Grid>, arguments: A)
where
    K: Call<A, P, How>,
{
    let lanes = SUBGROUP_SIZE as usize;
    kernel.call(grid.into().in_items(lanes), lanes, arguments);
}

/// As [`launch`], with subgroups of so many lanes instead of 32: those of an accelerator
/// ([`Accelerator::subgroup_size`](crate::Accelerator::subgroup_size)), for what depends on them.
///
/// # Panics
/// As [`launch`], and if `lanes` is no power of two of at most 64.
///
/// ```
/// use legionella::host;
/// use legionella::prelude::*;
///
/// fn sums(group: Group, x: &[u32], mut y: Disjoint<u32>) {
///     let sum = group.subgroup().reduce(x[group.item().global()], |a, b| a + b);
///     if let Some(y) = y.at(group.item()) {
///         *y = sum;
///     }
/// }
///
/// let (x, mut y) = ([1; 64], [0; 64]);
/// host::launch_with_lanes(64, sums, Grid::over(64).group(64), (&x, &mut y));
/// assert_eq!(y, [64; 64]);
/// ```
pub fn launch_with_lanes<K, A, P, How>(lanes: usize, kernel: K, grid: impl Into<Grid>, arguments: A)
where
    K: Call<A, P, How>,
{
    let is_size = lanes.is_power_of_two() && lanes <= 64;
    assert!(is_size, "no subgroup has {lanes} lanes");
    kernel.call(grid.into().in_items(lanes), lanes, arguments);
}

/// How a value becomes a parameter: it is one. Found by the compiler.
#[derive(Debug)]
pub enum ByValue {}

/// How a value becomes a parameter: it refers to what the parameter is made of. Found by the
/// compiler, for which a slice could else be either.
#[derive(Debug)]
pub enum ByReference {}

/// An argument on the host for a kernel's parameter of type `P`.
///
/// # Safety
/// [`for_item`](HostArgument::for_item) gives parts to different items that don't conflict, and may
/// be called on any thread, by one at a time.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no argument on the host for a kernel's parameter of type `{P}`",
    label = "not an argument for `{P}`",
    note = "a parameter `&[T]` takes `&[T]`, `&Vec<T>` or `&[T; N]`, and `Disjoint<T>` \
            takes `&mut [T]`, `&mut Vec<T>` or `&mut [T; N]`"
)]
pub unsafe trait HostArgument<P, How> {
    /// The parameter of one work-item, whose number among those that have arguments is `position`.
    ///
    /// # Safety
    /// Called once for each work-item of one grid. One group at a time uses what it gives.
    unsafe fn for_item(&mut self, item: &Item, position: u32) -> P;
}

// SAFETY: copies.
unsafe impl<T: DeviceData> HostArgument<T, ByValue> for T {
    unsafe fn for_item(&mut self, _item: &Item, _position: u32) -> T {
        *self
    }
}

// SAFETY: reads only.
unsafe impl<'a, T: DeviceData> HostArgument<&'a [T], ByReference> for &'a [T] {
    unsafe fn for_item(&mut self, _item: &Item, _position: u32) -> &'a [T] {
        self
    }
}

// SAFETY: reads only.
unsafe impl<'a, T: DeviceData, const N: usize> HostArgument<&'a [T], ByReference> for &'a [T; N] {
    unsafe fn for_item(&mut self, _item: &Item, _position: u32) -> &'a [T] {
        *self
    }
}

// SAFETY: reads only.
unsafe impl<'a, T: DeviceData> HostArgument<&'a [T], ByReference> for &'a Vec<T> {
    unsafe fn for_item(&mut self, _item: &Item, _position: u32) -> &'a [T] {
        self
    }
}

// SAFETY: an element of its own for each item.
unsafe impl<'a, T: DeviceData> HostArgument<Disjoint<'a, T>, ByReference> for &'a mut [T] {
    unsafe fn for_item(&mut self, item: &Item, _position: u32) -> Disjoint<'a, T> {
        // SAFETY: the slice is borrowed for 'a; nothing else gets this item's element.
        unsafe { Disjoint::from_raw(self.as_mut_ptr(), self.len(), item) }
    }
}

// SAFETY: an element of its own for each item.
unsafe impl<'a, T: DeviceData, const N: usize> HostArgument<Disjoint<'a, T>, ByReference>
    for &'a mut [T; N]
{
    unsafe fn for_item(&mut self, item: &Item, _position: u32) -> Disjoint<'a, T> {
        // SAFETY: the array is borrowed for 'a; nothing else gets this item's element.
        unsafe { Disjoint::from_raw(self.as_mut_ptr(), N, item) }
    }
}

// SAFETY: an element of its own for each item.
unsafe impl<'a, T: DeviceData> HostArgument<Disjoint<'a, T>, ByReference> for &'a mut Vec<T> {
    unsafe fn for_item(&mut self, item: &Item, _position: u32) -> Disjoint<'a, T> {
        // SAFETY: the vector is borrowed for 'a; nothing else gets this item's element.
        unsafe { Disjoint::from_raw(self.as_mut_ptr(), self.len(), item) }
    }
}

/// A slice of the host, for parameters that take parts of it in another way than [`Disjoint`].
#[derive(Debug)]
pub struct Parts<'a, T, Way> {
    start: *mut T,
    len: usize,
    way: Way,
    slice: PhantomData<&'a mut [T]>,
}

impl<'a, T, Way> Parts<'a, T, Way> {
    fn new(slice: &'a mut [T], way: Way) -> Self {
        Parts {
            start: slice.as_mut_ptr(),
            len: slice.len(),
            way,
            slice: PhantomData,
        }
    }
}

/// In tiles of `N`.
#[derive(Debug)]
pub struct InTiles<const N: usize>;

/// In rows of that width.
#[derive(Debug)]
pub struct InRows(usize);

/// In blocks, with rows of that width.
#[derive(Debug)]
pub struct InBlocks<const ROWS: usize, const COLUMNS: usize>(usize);

/// As atomics.
#[derive(Debug)]
pub struct AsAtomics;

/// A slice for a kernel that takes [`Tiles<T, N>`](Tiles).
pub fn tiles<T: DeviceData, const N: usize>(slice: &mut [T]) -> Parts<'_, T, InTiles<N>> {
    Parts::new(slice, InTiles)
}

/// A slice for a kernel that takes [`Rows<T>`](Rows).
pub fn rows<T: DeviceData>(slice: &mut [T], width: usize) -> Parts<'_, T, InRows> {
    Parts::new(slice, InRows(width))
}

/// A slice for a kernel that takes [`Blocks<T, ROWS, COLUMNS>`](Blocks): a matrix with rows of `width` elements.
pub fn blocks<T: DeviceData, const ROWS: usize, const COLUMNS: usize>(
    slice: &mut [T],
    width: usize,
) -> Parts<'_, T, InBlocks<ROWS, COLUMNS>> {
    Parts::new(slice, InBlocks(width))
}

/// A slice for a kernel that takes a slice of atomics.
///
/// # Panics
/// If the slice is not aligned as atomics are, which can happen on 32-bit machines.
pub fn atomic<T: Atomic>(slice: &mut [T]) -> Parts<'_, T, AsAtomics> {
    assert!(slice.as_ptr().cast::<T::Shared>().is_aligned());
    Parts::new(slice, AsAtomics)
}

// SAFETY: a tile of its own for each item.
unsafe impl<'a, T: DeviceData, const N: usize> HostArgument<Tiles<'a, T, N>, ByReference>
    for Parts<'a, T, InTiles<N>>
{
    unsafe fn for_item(&mut self, item: &Item, _position: u32) -> Tiles<'a, T, N> {
        // SAFETY: the slice is borrowed for 'a; nothing else gets this item's tile.
        unsafe { Tiles::from_raw(self.start, self.len, item) }
    }
}

// SAFETY: a row of its own for each item.
unsafe impl<'a, T: DeviceData> HostArgument<Rows<'a, T>, ByReference> for Parts<'a, T, InRows> {
    unsafe fn for_item(&mut self, item: &Item, _position: u32) -> Rows<'a, T> {
        // SAFETY: the slice is borrowed for 'a, the width is one for all items, and nothing else
        // gets this item's row.
        unsafe { Rows::from_raw(self.start, self.len, self.way.0, item) }
    }
}

// SAFETY: a part of its own for each item.
unsafe impl<'a, T: DeviceData, const ROWS: usize, const COLUMNS: usize>
    HostArgument<Blocks<'a, T, ROWS, COLUMNS>, ByReference>
    for Parts<'a, T, InBlocks<ROWS, COLUMNS>>
{
    unsafe fn for_item(&mut self, item: &Item, _position: u32) -> Blocks<'a, T, ROWS, COLUMNS> {
        // SAFETY: the slice is borrowed for 'a, the width is one for all items, and nothing else
        // gets this item's part.
        unsafe { Blocks::from_raw(self.start, self.len, self.way.0, item) }
    }
}

// SAFETY: atomics only.
unsafe impl<'a, T: Atomic> HostArgument<&'a [T::Shared], ByReference> for Parts<'a, T, AsAtomics> {
    unsafe fn for_item(&mut self, _item: &Item, _position: u32) -> &'a [T::Shared] {
        // SAFETY: `Atomic` promises size and validity; the slice is borrowed for 'a, is aligned, and
        // is reached as atomics only.
        unsafe { std::slice::from_raw_parts(self.start.cast(), self.len) }
    }
}

// SAFETY: nothing but a type.
unsafe impl<F: Copy + Send + 'static> HostArgument<F, ByReference> for Function<F> {
    unsafe fn for_item(&mut self, _item: &Item, _position: u32) -> F {
        self.get()
    }
}

/// A function that can be called as a kernel on the host with the arguments `A`, of which it makes
/// the parameters `P`.
#[diagnostic::on_unimplemented(
    message = "this function can't be called as a kernel with these arguments",
    label = "no kernel for these arguments",
    note = "a kernel is a function `(Item, …)` or `(Group, …)` that returns nothing, with one \
            parameter for each element of the arguments' tuple"
)]
pub trait Call<A, P, How> {
    /// Calls it for all work-items, with subgroups of so many lanes.
    #[doc(hidden)]
    fn call(&self, grid: Grid, lanes: usize, arguments: A);
}

/// How the items of a kernel run on the host.
pub trait OnHost: Token {
    /// Does something for each item of a grid, with subgroups of so many lanes.
    #[doc(hidden)]
    fn for_each(grid: Grid, lanes: usize, body: &(impl Fn(Self) + Sync));
}

impl OnHost for Item {
    fn for_each(grid: Grid, _lanes: usize, body: &(impl Fn(Self) + Sync)) {
        host::for_each_item(grid.extent(), body);
    }
}

impl OnHost for Group<'_> {
    fn for_each(grid: Grid, lanes: usize, body: &(impl Fn(Self) + Sync)) {
        match grid.index_space(|extent| [extent[0].clamp(1, 64), 1, 1]) {
            Ok(space) => threads::run(&space, lanes, body),
            Err(error) => panic!("{error}"),
        }
    }
}

/// The arguments of a launch, for whichever thread is an item.
struct Arguments<A>(Mutex<A>);

// SAFETY: made of arguments that may be used on any thread, by one at a time.
unsafe impl<A> Sync for Arguments<A> {}

impl<A> Arguments<A> {
    fn with<R>(&self, use_them: impl FnOnce(&mut A) -> R) -> R {
        use_them(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

macro_rules! arity {
    ($($argument:ident $parameter:ident $how:ident $name:ident)*) => {
        impl<Function, First, $($argument, $parameter, $how),*>
            Call<($($argument,)*), (First, $($parameter,)*), ($($how,)*)> for Function
        where
            First: OnHost,
            Function: Fn(First, $($parameter),*) + Sync,
            $($argument: HostArgument<$parameter, $how>,)*
        {
            #[allow(clippy::unused_unit, reason = "kernels without parameters take none")]
            fn call(&self, grid: Grid, lanes: usize, arguments: ($($argument,)*)) {
                let arguments = Arguments(Mutex::new(arguments));
                First::for_each(grid, lanes, &|token: First| {
                    let ($($name,)*) = arguments.with(|($($name,)*)| {
                        let _position = 0;
                        $(
                            // SAFETY: this is the item's only call; groups follow each other.
                            let $name = unsafe { $name.for_item(token.item(), _position) };
                            let _position = _position + 1;
                        )*
                        ($($name,)*)
                    });
                    self(token, $($name),*)
                });
            }
        }
    };
}

arity!();
arity!(A0 P0 H0 a0);
arity!(A0 P0 H0 a0 A1 P1 H1 a1);
arity!(A0 P0 H0 a0 A1 P1 H1 a1 A2 P2 H2 a2);
arity!(A0 P0 H0 a0 A1 P1 H1 a1 A2 P2 H2 a2 A3 P3 H3 a3);
arity!(A0 P0 H0 a0 A1 P1 H1 a1 A2 P2 H2 a2 A3 P3 H3 a3 A4 P4 H4 a4);
arity!(A0 P0 H0 a0 A1 P1 H1 a1 A2 P2 H2 a2 A3 P3 H3 a3 A4 P4 H4 a4 A5 P5 H5 a5);
arity!(A0 P0 H0 a0 A1 P1 H1 a1 A2 P2 H2 a2 A3 P3 H3 a3 A4 P4 H4 a4 A5 P5 H5 a5 A6 P6 H6 a6);
arity!(A0 P0 H0 a0 A1 P1 H1 a1 A2 P2 H2 a2 A3 P3 H3 a3 A4 P4 H4 a4 A5 P5 H5 a5 A6 P6 H6 a6 A7 P7 H7 a7);
arity!(A0 P0 H0 a0 A1 P1 H1 a1 A2 P2 H2 a2 A3 P3 H3 a3 A4 P4 H4 a4 A5 P5 H5 a5 A6 P6 H6 a6 A7 P7 H7 a7 A8 P8 H8 a8);
arity!(A0 P0 H0 a0 A1 P1 H1 a1 A2 P2 H2 a2 A3 P3 H3 a3 A4 P4 H4 a4 A5 P5 H5 a5 A6 P6 H6 a6 A7 P7 H7 a7 A8 P8 H8 a8 A9 P9 H9 a9);
arity!(A0 P0 H0 a0 A1 P1 H1 a1 A2 P2 H2 a2 A3 P3 H3 a3 A4 P4 H4 a4 A5 P5 H5 a5 A6 P6 H6 a6 A7 P7 H7 a7 A8 P8 H8 a8 A9 P9 H9 a9
    A10 P10 H10 a10);
arity!(A0 P0 H0 a0 A1 P1 H1 a1 A2 P2 H2 a2 A3 P3 H3 a3 A4 P4 H4 a4 A5 P5 H5 a5 A6 P6 H6 a6 A7 P7 H7 a7 A8 P8 H8 a8 A9 P9 H9 a9
    A10 P10 H10 a10 A11 P11 H11 a11);
