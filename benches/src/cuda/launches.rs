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
