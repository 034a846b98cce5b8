//! What is measured on NVIDIA's devices alone: launches, and streams with one element a work-item.

use legionella::prelude::*;

pub fn empty(_at: Item) {}

/// For chains: each launch is ordered after the one before by what it writes.
pub fn touch(_at: Item, _out: Disjoint<u32>) {}

pub trait Number: DeviceData + std::ops::Add<Output = Self> + std::ops::Mul<Output = Self> {}
impl Number for f32 {}
impl Number for f64 {}

pub fn copy<T: Number>(at: Item, a: &[T], mut c: Disjoint<T>) {
    if let Some(c) = c.at(&at) {
        *c = a[at.global()];
    }
}

pub fn mul<T: Number>(at: Item, s: T, c: &[T], mut b: Disjoint<T>) {
    if let Some(b) = b.at(&at) {
        *b = s * c[at.global()];
    }
}

pub fn add<T: Number>(at: Item, a: &[T], b: &[T], mut c: Disjoint<T>) {
    if let Some(c) = c.at(&at) {
        *c = a[at.global()] + b[at.global()];
    }
}

pub fn triad<T: Number>(at: Item, s: T, b: &[T], c: &[T], mut a: Disjoint<T>) {
    if let Some(a) = a.at(&at) {
        *a = b[at.global()] + s * c[at.global()];
    }
}

/// What [`triad`] is without any check.
///
/// Each address is that of `len` elements, which nothing else writes during the launch; `a` overlaps
/// neither of the others: the launch answers for that.
pub fn triad_raw<T: Number>(at: Item, s: T, len: usize, b: *const T, c: *const T, a: *mut T) {
    let i = at.global();
    if i < len {
        // SAFETY: in bounds, and each item has its own element.
        unsafe { *a.add(i) = *b.add(i) + s * *c.add(i) };
    }
}

/// Items of a group of a dot product.
pub const DOT_GROUP: usize = 1024;

/// The sum of each group, of which the first item stores it: groups take turns at the elements.
///
/// `sums` is the address of as many elements as there are groups, which nothing else uses during the
/// launch, which answers for that.
pub fn dot<T: Number + Default>(
    group: Group,
    a: &[T],
    b: &[T],
    sums: *mut T,
    tile: Shared<[T; DOT_GROUP]>,
) {
    let (rank, all) = (group.rank(), group.item().grid_len());
    let mut mine = T::default();
    let mut i = group.item().global();
    while i < a.len() {
        mine = mine + a[i] * b[i];
        i += all;
    }
    let mut tile = tile.filled(mine);
    let mut half = DOT_GROUP / 2;
    while half > 0 {
        let read = group.sync(tile);
        if rank < half {
            mine = mine + read[rank + half];
        }
        tile = group.sync(read);
        if let Some(own) = tile.own() {
            *own = mine;
        }
        half /= 2;
    }
    if rank == 0 {
        // SAFETY: the launch's promise; there is one such item in a group.
        unsafe { *sums.add(group.index()) = mine };
    }
}
