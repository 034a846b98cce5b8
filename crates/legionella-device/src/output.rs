//! Outputs of which every work-item has a part of its own.
//!
//! # Why this is sound
//!
//! Two work-items must never hold `&mut` to one element. All types here carry, from their
//! construction in the entry shim on, the linear id of the one work-item that they were made for;
//! which elements they give out depends on that id and on numbers that are fixed for the whole
//! launch (the tile width in the type, the row width in the argument), by a mapping that sends
//! different ids to different elements. Within the work-item, `at` borrows the output mutably, so
//! that the borrow checker keeps two results from living at once.
//!
//! The design this excludes: an output that takes the index from its caller, or from an [`Item`]
//! alone, whichever that is. A kernel may run [host loops](crate::host::for_each_item) inside
//! itself, as it may call any function, and gets items with any id from them: with
//! `output.at(&other)` every work-item could then reach every element. A mapping chosen per call
//! (say a row width as a parameter of `at`) falls in the same way: item 1 with width 2 and item 2
//! with width 1 both own element 2.

use core::marker::PhantomData;

use crate::Item;

/// The part of an output slice that belongs to one work-item.
struct Part<'a, T> {
    start: *mut T,
    len: usize,
    owner: usize,
    lifetime: PhantomData<&'a mut [T]>,
}

impl<'a, T> Part<'a, T> {
    /// # Safety
    /// `start..start + len` is valid for reads and writes for `'a`, and nothing else reaches the
    /// elements that the mapping of the type around gives to `item`.
    #[inline(always)]
    unsafe fn new(start: *mut T, len: usize, item: &Item) -> Self {
        Part {
            start,
            len,
            owner: item.global(),
            lifetime: PhantomData,
        }
    }

    /// The owner's id, after checking that `item` is the owner.
    #[inline(always)]
    fn owned_by(&self, item: &Item) -> usize {
        if item.global() != self.owner {
            foreign_item(item.global(), self.owner);
        }
        self.owner
    }
}

#[cold]
#[inline(never)]
fn foreign_item(item: usize, owner: usize) -> ! {
    panic!("work-item {item} asked for the output of work-item {owner}")
}

/// An output with one element a work-item: the item with linear id `i` owns element `i`.
///
/// A kernel receives it for a `&mut Buffer<T>`.
///
/// ```
/// use legionella_device::{Disjoint, Item};
///
/// fn double(at: Item, x: &[f32], mut y: Disjoint<f32>) {
///     if let Some(y) = y.at(&at) {
///         *y = 2.0 * x[at.global()];
///     }
/// }
/// ```
///
/// Two elements at once can't be held:
///
/// ```compile_fail,E0499
/// use legionella_device::{Disjoint, Item};
///
/// fn twice(at: Item, mut y: Disjoint<f32>) {
///     let first = y.at(&at);
///     let second = y.at(&at);
///     drop((first, second));
/// }
/// ```
pub struct Disjoint<'a, T>(Part<'a, T>);

impl<'a, T> Disjoint<'a, T> {
    /// The output of one work-item over a slice on the host.
    pub fn over(slice: &'a mut [T], item: &Item) -> Self {
        // SAFETY: the slice is borrowed mutably for 'a: nothing else reaches any element.
        unsafe { Self::from_raw(slice.as_mut_ptr(), slice.len(), item) }
    }

    /// The output of one work-item. For entry shims.
    ///
    /// # Safety
    /// The `len` elements from `start` on are valid for reads and writes for `'a`, and element
    /// `item.global()` is reached by nothing else during `'a`.
    #[doc(hidden)]
    #[inline(always)]
    pub unsafe fn from_raw(start: *mut T, len: usize, item: &Item) -> Self {
        // SAFETY: passed on.
        Disjoint(unsafe { Part::new(start, len, item) })
    }

    /// The element that `item` owns; `None` if the output has fewer elements than the grid items.
    ///
    /// # Panics
    /// If `item` is not the work-item that this output was made for.
    #[inline(always)]
    pub fn at(&mut self, item: &Item) -> Option<&mut T> {
        let index = self.0.owned_by(item);
        if index < self.0.len {
            // SAFETY: in bounds; only the owner reaches this element, and `self` is borrowed
            // mutably for as long as the result lives.
            Some(unsafe { &mut *self.0.start.add(index) })
        } else {
            None
        }
    }

    /// Elements of the whole output.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.0.len
    }

    /// Whether the whole output has no element.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.0.len == 0
    }
}

/// An output with a tile of `N` elements a work-item: the item with linear id `i` owns the
/// elements `i * N..(i + 1) * N`.
///
/// A kernel receives it for `buffer.tiles::<N>()`.
pub struct Tiles<'a, T, const N: usize>(Part<'a, T>);

impl<'a, T, const N: usize> Tiles<'a, T, N> {
    /// The output of one work-item over a slice on the host.
    pub fn over(slice: &'a mut [T], item: &Item) -> Self {
        // SAFETY: the slice is borrowed mutably for 'a: nothing else reaches any element.
        unsafe { Self::from_raw(slice.as_mut_ptr(), slice.len(), item) }
    }

    /// The output of one work-item. For entry shims.
    ///
    /// # Safety
    /// The `len` elements from `start` on are valid for reads and writes for `'a`, and tile
    /// `item.global()` is reached by nothing else during `'a`.
    #[doc(hidden)]
    #[inline(always)]
    pub unsafe fn from_raw(start: *mut T, len: usize, item: &Item) -> Self {
        // SAFETY: passed on.
        Tiles(unsafe { Part::new(start, len, item) })
    }

    /// The tile that `item` owns; `None` if the output ends before the end of that tile.
    ///
    /// # Panics
    /// If `item` is not the work-item that this output was made for.
    #[inline(always)]
    pub fn at(&mut self, item: &Item) -> Option<&mut [T; N]> {
        let index = self.0.owned_by(item);
        if index < self.0.len.checked_div(N)? {
            // SAFETY: `(index + 1) * N <= len`; tiles of different items don't overlap, and
            // `self` is borrowed mutably for as long as the result lives.
            Some(unsafe { &mut *self.0.start.add(index * N).cast::<[T; N]>() })
        } else {
            None
        }
    }

    /// Elements of the whole output.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.0.len
    }

    /// Whether the whole output has no element.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.0.len == 0
    }
}

/// An output with a row a work-item, of a width that the launch fixed: the item with linear id
/// `i` owns the elements `i * width..(i + 1) * width`, the last row as far as the output goes.
///
/// A kernel receives it for `buffer.rows(width)`.
pub struct Rows<'a, T> {
    part: Part<'a, T>,
    width: usize,
}

impl<'a, T> Rows<'a, T> {
    /// The output of one work-item over a slice on the host.
    pub fn over(slice: &'a mut [T], width: usize, item: &Item) -> Self {
        // SAFETY: the slice is borrowed mutably for 'a: nothing else reaches any element.
        unsafe { Self::from_raw(slice.as_mut_ptr(), slice.len(), width, item) }
    }

    /// The output of one work-item. For entry shims.
    ///
    /// # Safety
    /// The `len` elements from `start` on are valid for reads and writes for `'a`; all work-items
    /// of the launch are given the same `width`, and row `item.global()` of that width is reached
    /// by nothing else during `'a`.
    #[doc(hidden)]
    #[inline(always)]
    pub unsafe fn from_raw(start: *mut T, len: usize, width: usize, item: &Item) -> Self {
        Rows {
            // SAFETY: passed on.
            part: unsafe { Part::new(start, len, item) },
            width,
        }
    }

    /// The row that `item` owns; `None` if the output ends before it starts.
    ///
    /// # Panics
    /// If `item` is not the work-item that this output was made for.
    #[inline(always)]
    pub fn at(&mut self, item: &Item) -> Option<&mut [T]> {
        let start = self.part.owned_by(item).checked_mul(self.width)?;
        if start >= self.part.len {
            return None;
        }
        let len = self.width.min(self.part.len - start);
        // SAFETY: `start + len` is within the output; rows of different items don't overlap, and
        // `self` is borrowed mutably for as long as the result lives.
        Some(unsafe { core::slice::from_raw_parts_mut(self.part.start.add(start), len) })
    }

    /// Elements of a row.
    #[inline(always)]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Elements of the whole output.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.part.len
    }

    /// Whether the whole output has no element.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.part.len == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::for_each_item;
    use alloc::vec;

    #[test]
    fn each_item_reaches_its_own_element() {
        let mut out = vec![0; 7];
        for_each_item([4, 2, 1], |item| {
            let id = item.global();
            if let Some(own) = Disjoint::over(&mut out, &item).at(&item) {
                *own += id + 1;
            }
        });
        assert_eq!(out, [1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn incomplete_tiles_belong_to_nobody_and_the_last_row_is_short() {
        let mut out = vec![0; 8];
        for_each_item([4, 1, 1], |item| {
            let id = item.global() + 1;
            if let Some(tile) = Tiles::<_, 3>::over(&mut out, &item).at(&item) {
                tile.fill(id);
            }
        });
        assert_eq!(out, [1, 1, 1, 2, 2, 2, 0, 0]);
        for_each_item([4, 1, 1], |item| {
            let id = item.global() + 1;
            if let Some(row) = Rows::over(&mut out, 3, &item).at(&item) {
                row.fill(id);
            }
        });
        assert_eq!(out, [1, 1, 1, 2, 2, 2, 3, 3]);
    }

    #[test]
    fn tiles_of_nothing_are_nobodys() {
        let mut out = vec![0; 8];
        for_each_item([1, 1, 1], |item| {
            assert!(Tiles::<_, 0>::over(&mut out, &item).at(&item).is_none());
        });
    }

    #[test]
    #[should_panic(expected = "work-item 1 asked for the output of work-item 0")]
    fn a_foreign_item_is_refused() {
        let mut out = vec![0; 2];
        for_each_item([1, 1, 1], |item| {
            let mut own = Disjoint::over(&mut out, &item);
            for_each_item([2, 1, 1], |other| {
                own.at(&other);
            });
        });
    }
}
