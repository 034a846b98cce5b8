//! Memory that the work-items of a group share.
//!
//! # Why this is sound
//!
//! No two work-items may reach one element at once if one of them writes it, and none may read an
//! element that was never written. A tile of shared memory is a parameter of the kernel. Each item
//! holds one handle of it, whose type is the tile's state:
//!
//! ```text
//! Shared ──fill──▶ Writable ◀──Group::sync──▶ Readable
//! (nothing in it)  (each item: its own elements)  (all items: & to all elements)
//! ```
//!
//! 1. *One handle an item.* The entry shim makes one for each parameter; none can be copied, sent
//!    or made. The tile behind a parameter is fixed by its position: all items agree which it is,
//!    and no other parameter has any of its memory.
//! 2. *Writers are disjoint.* A [`Shared`] or [`Writable`] handle reaches element `i` only in the
//!    item of rank `i mod n`, where `n` is the number of items of the group. Both numbers are the
//!    item's own and the group's, not the caller's to choose.
//! 3. *Readable is written in full.* `Writable` comes of `Shared::fill`, which writes each of the
//!    item's elements, or of `Readable`.
//! 4. *States change together.* `sync` consumes handles and waits at a barrier whose label has two
//!    bits for each parameter: "becomes readable", "becomes writable". A barrier lets items pass only
//!    if all items of the group wait with the same label, and a label can only be had by giving up
//!    the handle. So, by induction over barriers: between two of them the handles of a tile are
//!    `Readable` in all items, or in none. With `Readable` there is only reading. Without it each item
//!    keeps to its own elements (2), and where it turns readable all items were `Writable`, so that
//!    all elements have been written (3). References into a `Readable` borrow it and are gone when it
//!    is given to `sync`, hence before any item can be past the barrier that makes it writable.
//!
//! An item that leaves early, panics, drops or forgets a handle, or takes another branch never
//! waits with the label of the others: no item passes, and the launch fails. It need not be the same
//! barrier in the source, nor are handles bound to variables: swapping two tiles swaps their bits.
//!
//! # What this excludes
//!
//! * *Allocation where it is needed*, as `group.shared::<T, N>()`. In a loop the same memory comes
//!   out again while the first handle lives; in divergent code the tiles of two items overlap, as
//!   different types: item 0 writes element 1 of a `[u8; 64]` where item 1 writes element 0 of a
//!   `[u32; 16]`, before any barrier could tell. A parameter exists once, and for all items.
//! * *Barriers without labels.* Hardware counts who waits, not where. With
//!   `if rank == 0 { read(group.sync(a)) } else { group.sync(b); a.fill(…) }` all items pass "the"
//!   barrier, and item 0 reads what the others write.
//! * *Writers that choose.* With `tile.set(index, value)` two items may choose the same index.

use core::marker::PhantomData;
use core::ops::Deref;

use crate::{Item, Scratch, intrinsic};

/// What a tile is: an array `[T; N]`, or a slice `[T]` whose length the launch gives.
pub trait Elements: sealed::Elements {
    /// Type of an element. Elements are shared by reference, may be sent, and are never dropped.
    type Element: Send + Sync + 'static;
}

mod sealed {
    /// What a tile is, without its handle.
    pub trait Elements {
        /// # Safety
        /// `start` points to `len` valid elements that nobody writes during `'a`; for an array,
        /// `len` is its length.
        unsafe fn view<'a>(start: *const u8, len: usize) -> &'a Self;
    }

    /// Something that `Group::sync` takes.
    pub trait Phase {}
}

impl<T: Send + Sync + 'static, const N: usize> sealed::Elements for [T; N] {
    #[inline(always)]
    unsafe fn view<'a>(start: *const u8, _len: usize) -> &'a Self {
        // SAFETY: the caller's promise.
        unsafe { &*start.cast() }
    }
}

impl<T: Send + Sync + 'static, const N: usize> Elements for [T; N] {
    type Element = T;
}

impl<T: Send + Sync + 'static> sealed::Elements for [T] {
    #[inline(always)]
    unsafe fn view<'a>(start: *const u8, len: usize) -> &'a Self {
        // SAFETY: the caller's promise.
        unsafe { core::slice::from_raw_parts(start.cast(), len) }
    }
}

impl<T: Send + Sync + 'static> Elements for [T] {
    type Element = T;
}

/// One item's handle of a tile, in whichever state.
pub(crate) struct Handle<'g, A: Elements + ?Sized> {
    pub(crate) start: *mut A::Element,
    pub(crate) len: usize,
    /// The item's number in its group, and the group's number of items.
    pub(crate) rank: usize,
    pub(crate) stride: usize,
    /// Which parameter this is.
    pub(crate) position: u32,
    /// The pointer keeps it from being sent; the tile is the group's.
    tile: PhantomData<&'g A>,
}

impl<A: Elements + ?Sized> Handle<'_, A> {
    /// Calls `each` with the index and the address of every element that is the item's own.
    #[inline(always)]
    fn each(&mut self, mut each: impl FnMut(usize, *mut A::Element)) {
        let mut index = self.rank;
        while index < self.len {
            // SAFETY: within the tile.
            each(index, unsafe { self.start.add(index) });
            // Neither is more than `isize::MAX`, or the elements have no size.
            index = index.saturating_add(self.stride);
        }
    }

    fn describe(&self, state: &str, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct(state)
            .field("len", &self.len)
            .field("rank", &self.rank)
            .finish_non_exhaustive()
    }
}

/// Most parameters of a kernel whose states a barrier's label has room for.
pub(crate) const POSITIONS: u32 = 16;

/// The tile at that position becomes readable.
fn publishes(position: u32) -> u32 {
    1 << (2 * position)
}

/// The tile at that position becomes writable.
fn reclaims(position: u32) -> u32 {
    2 << (2 * position)
}

/// Memory of the work-group with nothing in it yet: a parameter of a kernel.
///
/// `A` is an array `[T; N]`, launched with `shared()`, or a slice `[T]`, launched with
/// `shared_slice(len)`. Its elements belong to the items in turn: element `i` to the one of rank
/// `i mod n`, if the group has `n` items.
///
/// ```
/// use legionella_device::{Disjoint, Group, Shared};
///
/// /// The sum of each group of up to 256 items, by halving.
/// fn sums(group: Group, x: &[u32], mut sum: Disjoint<u32>, tile: Shared<[u32; 256]>) {
///     let mut mine = x.get(group.item().global()).copied().unwrap_or(0);
///     let mut tile = tile.filled(0);
///     let mut half = 128;
///     while half > 0 {
///         if let Some(own) = tile.own() {
///             *own = mine;
///         }
///         let all = group.sync(tile);
///         if group.rank() < half {
///             mine += all[group.rank() + half];
///         }
///         tile = group.sync(all);
///         half /= 2;
///     }
///     if let (0, Some(sum)) = (group.rank(), sum.at(group.item())) {
///         *sum = mine;
///     }
/// }
/// ```
///
/// What is not yet written can't be shared:
///
/// ```compile_fail,E0277
/// use legionella_device::{Group, Shared};
///
/// fn early(group: Group, tile: Shared<[u32; 256]>) {
///     let all = group.sync(tile);
/// }
/// ```
///
/// and what others read can't be written:
///
/// ```compile_fail,E0382
/// use legionella_device::{Group, Shared};
///
/// fn both(group: Group, tile: Shared<[u32; 256]>) {
///     let mut tile = tile.filled(0);
///     let all = group.sync(tile);
///     tile.fill(|_| all[0]);
/// }
/// ```
pub struct Shared<'g, A: Elements + ?Sized>(Handle<'g, A>);

/// Shared memory in which each item writes elements of its own: every `n`-th, from its rank on.
pub struct Writable<'g, A: Elements + ?Sized>(Handle<'g, A>);

/// Shared memory that all items of the group read.
///
/// Elements that are atomics can be changed here as well: `Shared<[AtomicU32; 256]>` is a histogram
/// of the group.
pub struct Readable<'g, A: Elements + ?Sized>(Handle<'g, A>);

impl<'g, A: Elements + ?Sized> Shared<'g, A> {
    /// A handle of the item. For entry shims.
    ///
    /// # Safety
    /// `start` is aligned and has room for `len` elements during `'g`, which nothing but the handles
    /// of the group's items use, one each; for an array, `len` is its length. All items give the same
    /// `position`, below 16, which no other tile of the kernel has.
    #[doc(hidden)]
    #[inline(always)]
    pub unsafe fn from_raw(
        start: *mut A::Element,
        len: usize,
        item: &Item,
        position: u32,
    ) -> Shared<'g, A> {
        const {
            assert!(
                !core::mem::needs_drop::<A::Element>(),
                "shared memory drops nothing: its elements can't own anything"
            );
        }
        assert!(position < POSITIONS);
        Shared(Handle {
            start,
            len,
            rank: item.rank(),
            stride: item.group_len(),
            position,
            tile: PhantomData,
        })
    }

    /// Writes the item's own elements, each by its index. Together, the items of the group fill the
    /// tile; [`Group::sync`](crate::Group::sync) then lets all of them read it.
    #[inline(always)]
    pub fn fill(mut self, mut value: impl FnMut(usize) -> A::Element) -> Writable<'g, A> {
        // SAFETY: the item's own element, in the tile.
        self.0
            .each(|index, element| unsafe { element.write(value(index)) });
        Writable(self.0)
    }

    /// Writes one value to all of the item's own elements.
    #[inline(always)]
    pub fn filled(self, value: A::Element) -> Writable<'g, A>
    where
        A::Element: Copy,
    {
        self.fill(|_| value)
    }

    /// The first element's address, for memory that is used in a way that no handle has.
    ///
    /// Using it is `unsafe`: elements start without a value, and no element may be used by one item
    /// while another writes it, which barriers ([`Group::barrier`](crate::Group::barrier)) can keep
    /// apart.
    #[inline(always)]
    pub fn into_raw(self) -> *mut A::Element {
        self.0.start
    }

    /// As memory for what the items of the group compute together, such as
    /// [`Group::reduce`](crate::Group::reduce).
    #[inline(always)]
    pub fn scratch(self) -> Scratch<'g, A::Element> {
        Scratch::new(self.0)
    }

    /// The bits of a label by which the items stream through the tile (`crate::matrix`): both, as no other operation
    /// has them of two tiles at once.
    #[inline(always)]
    pub(crate) fn streams(&self) -> u32 {
        publishes(self.0.position) | reclaims(self.0.position)
    }

    /// Whether it is an earlier parameter than another.
    #[inline(always)]
    pub(crate) fn is_before<B: Elements + ?Sized>(&self, other: &Shared<'_, B>) -> bool {
        self.0.position < other.0.position
    }

    /// The item's number in its group, and the group's number of items.
    #[inline(always)]
    pub(crate) fn who(&self) -> (usize, usize) {
        (self.0.rank, self.0.stride)
    }

    /// Takes the item's own elements for written.
    ///
    /// # Safety
    /// They are, by an address that [`into_raw`](Shared::into_raw) would give.
    #[inline(always)]
    pub unsafe fn assume_filled(self) -> Writable<'g, A> {
        Writable(self.0)
    }
}

impl<A: Elements + ?Sized> Writable<'_, A> {
    /// The item's first own element, the one whose index is its rank; `None` if the tile has fewer
    /// elements than the group items.
    #[inline(always)]
    pub fn own(&mut self) -> Option<&mut A::Element> {
        if self.0.rank < self.0.len {
            // SAFETY: in bounds; it was written, no other item reaches it while any handle of the
            // tile is writable, and `self` is borrowed for as long as the result lives.
            Some(unsafe { &mut *self.0.start.add(self.0.rank) })
        } else {
            None
        }
    }

    /// The item's own element of that number: its index is the item's rank and `number` times the group's number
    /// of items; `None` if there is none. For loops that are unrolled, of which each turn has a value ready.
    #[inline(always)]
    pub fn own_nth(&mut self, number: usize) -> Option<&mut A::Element> {
        let index = self
            .0
            .stride
            .checked_mul(number)?
            .checked_add(self.0.rank)?;
        if index < self.0.len {
            // SAFETY: as for `own`: the item has every `stride`-th element from its rank on.
            Some(unsafe { &mut *self.0.start.add(index) })
        } else {
            None
        }
    }

    /// Writes the item's own elements, each by its index.
    #[inline(always)]
    pub fn fill(&mut self, mut value: impl FnMut(usize) -> A::Element) {
        self.for_each(|index, element| *element = value(index));
    }

    /// Calls `each` with the index of every element that is the item's own, and with the element.
    #[inline(always)]
    pub fn for_each(&mut self, mut each: impl FnMut(usize, &mut A::Element)) {
        // SAFETY: as for `own`; the closure can't keep the reference.
        self.0
            .each(|index, element| each(index, unsafe { &mut *element }));
    }
}

impl<A: Elements + ?Sized> Deref for Readable<'_, A> {
    type Target = A;

    #[inline(always)]
    fn deref(&self) -> &A {
        // SAFETY: all elements were written before the barrier that made this handle, and no item
        // writes one before the barrier that takes it.
        unsafe { A::view(self.0.start.cast(), self.0.len) }
    }
}

macro_rules! states {
    ($($state:ident)*) => {$(
        impl<A: Elements + ?Sized> $state<'_, A> {
            /// Elements of the tile.
            #[inline(always)]
            pub fn len(&self) -> usize {
                self.0.len
            }

            /// Whether the tile has no element.
            #[inline(always)]
            pub fn is_empty(&self) -> bool {
                self.0.len == 0
            }
        }

        impl<A: Elements + ?Sized> core::fmt::Debug for $state<'_, A> {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                self.0.describe(stringify!($state), f)
            }
        }
    )*};
}

states!(Shared Writable Readable);

/// What [`Group::sync`](crate::Group::sync) takes: tiles that turn from [`Writable`] to
/// [`Readable`] or back, in tuples of up to six, or none: `()`.
pub trait Phase: sealed::Phase + Sized {
    /// What it gives for it.
    type Other;

    /// Which tiles change, and how.
    #[doc(hidden)]
    fn label(&self) -> u32;

    /// Changes them.
    ///
    /// # Safety
    /// All items of the group have waited at a barrier with this value's label, since this one was
    /// taken from whoever had it.
    #[doc(hidden)]
    unsafe fn flip(self) -> Self::Other;
}

impl<A: Elements + ?Sized> sealed::Phase for Writable<'_, A> {}

impl<'g, A: Elements + ?Sized> Phase for Writable<'g, A> {
    type Other = Readable<'g, A>;

    #[inline(always)]
    fn label(&self) -> u32 {
        publishes(self.0.position)
    }

    #[inline(always)]
    unsafe fn flip(self) -> Readable<'g, A> {
        Readable(self.0)
    }
}

impl<A: Elements + ?Sized> sealed::Phase for Readable<'_, A> {}

impl<'g, A: Elements + ?Sized> Phase for Readable<'g, A> {
    type Other = Writable<'g, A>;

    #[inline(always)]
    fn label(&self) -> u32 {
        reclaims(self.0.position)
    }

    #[inline(always)]
    unsafe fn flip(self) -> Writable<'g, A> {
        Writable(self.0)
    }
}

macro_rules! tuples {
    ($($name:ident $field:tt)*) => {
        impl<$($name: Phase),*> sealed::Phase for ($($name,)*) {}

        impl<$($name: Phase),*> Phase for ($($name,)*) {
            type Other = ($($name::Other,)*);

            #[inline(always)]
            fn label(&self) -> u32 {
                0 $(| self.$field.label())*
            }

            #[inline(always)]
            #[allow(clippy::unused_unit, reason = "of no tiles there is none")]
            unsafe fn flip(self) -> Self::Other {
                // SAFETY: passed on: each tile has bits of its own in the label.
                ($(unsafe { self.$field.flip() },)*)
            }
        }
    };
}

tuples!();
tuples!(A 0);
tuples!(A 0 B 1);
tuples!(A 0 B 1 C 2);
tuples!(A 0 B 1 C 2 D 3);
tuples!(A 0 B 1 C 2 D 3 E 4);
tuples!(A 0 B 1 C 2 D 3 E 4 F 5);

/// Memory of the group for an array, the same whenever the position is. For entry shims.
///
/// # Safety
/// Only in device code, with one array type for a position.
#[doc(hidden)]
#[inline(always)]
pub unsafe fn array<T, const N: usize>(position: u32) -> *mut T {
    let (size, align) = (size_of::<[T; N]>(), align_of::<T>());
    intrinsic::shared(size as u64, align as u64, position).cast()
}

/// Memory of the group at a distance from the start of what the launch asked for. For entry shims.
///
/// # Safety
/// Only in device code, where the launch asked for more than `offset` bytes.
#[doc(hidden)]
#[inline(always)]
pub unsafe fn dynamic<T>(offset: usize) -> *mut T {
    // SAFETY: the caller's promise.
    unsafe { intrinsic::dynamic_shared().add(offset).cast() }
}
