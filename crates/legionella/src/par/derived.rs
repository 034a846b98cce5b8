//! Elements that are made of others: by functions, in pairs, beside a value, in another order.
//!
//! Each of these types is all three things that a source is ([`super::elements`]), around those of what
//! it is made of: an argument of a launch, what lies in the argument block, and what the kernel has.

use legionella_device::{DeviceData, Item};

use super::elements::sealed::Sealed;
use super::elements::{ItemOf, Source, View};
use crate::error::Result;
use crate::launch::form::Form;
use crate::launch::{Binder, Pass, PassAs};

/// What a function makes of each element; as argument, in the block and in a kernel.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Map<S, F> {
    pub(super) of: S,
    pub(super) function: F,
}

impl<V, F> Sealed for Map<V, F> {}

impl<V: View, U: DeviceData, F: Fn(V::Item) -> U + Copy + 'static> View for Map<V, F> {
    type Item = U;

    #[inline(always)]
    fn count(&self) -> usize {
        self.of.count()
    }

    #[inline(always)]
    unsafe fn get(&self, index: usize) -> U {
        // SAFETY: passed on.
        (self.function)(unsafe { self.of.get(index) })
    }
}

impl<V: View, S: Form<V>, F: Copy> Form<Map<V, F>> for Map<S, F> {
    #[inline(always)]
    unsafe fn materialise(&self, item: &Item, position: u32) -> Map<V, F> {
        Map {
            // SAFETY: passed on.
            of: unsafe { self.of.materialise(item, position) },
            function: self.function,
        }
    }
}

// SAFETY: passed on; the function has no bytes, and its type may be sent and copied and borrows
// nothing.
unsafe impl<V: View, S: Pass<V>, F: Copy + Send + 'static> Pass<Map<V, F>> for Map<S, F> {
    type Form = Map<S::Form, F>;

    fn bind(self, binder: &mut Binder<'_>) -> Result<Map<S::Form, F>> {
        Ok(Map {
            of: self.of.bind(binder)?,
            function: self.function,
        })
    }
}

// SAFETY: as above.
unsafe impl<V: View, S: PassAs<V>, F: Copy + Send + 'static> PassAs<Map<V, F>> for Map<S, F> {}

impl<S: Source, U: DeviceData, F: Fn(ItemOf<S>) -> U + Copy + Send + 'static> Source for Map<S, F> {
    type View = Map<S::View, F>;

    fn count(&self) -> usize {
        self.of.count()
    }
}

/// Pairs of elements; as argument, in the block and in a kernel.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Zip<A, B> {
    pub(super) first: A,
    pub(super) second: B,
}

impl<A, B> Sealed for Zip<A, B> {}

impl<A: View, B: View> View for Zip<A, B> {
    type Item = (A::Item, B::Item);

    #[inline(always)]
    fn count(&self) -> usize {
        self.first.count().min(self.second.count())
    }

    #[inline(always)]
    unsafe fn get(&self, index: usize) -> (A::Item, B::Item) {
        // SAFETY: less than the lesser number of elements.
        unsafe { (self.first.get(index), self.second.get(index)) }
    }
}

impl<A: View, B: View, F: Form<A>, G: Form<B>> Form<Zip<A, B>> for Zip<F, G> {
    #[inline(always)]
    unsafe fn materialise(&self, item: &Item, position: u32) -> Zip<A, B> {
        // SAFETY: passed on.
        unsafe {
            Zip {
                first: self.first.materialise(item, position),
                second: self.second.materialise(item, position),
            }
        }
    }
}

// SAFETY: passed on.
unsafe impl<A: View, B: View, S: Pass<A>, R: Pass<B>> Pass<Zip<A, B>> for Zip<S, R> {
    type Form = Zip<S::Form, R::Form>;

    fn bind(self, binder: &mut Binder<'_>) -> Result<Self::Form> {
        Ok(Zip {
            first: self.first.bind(binder)?,
            second: self.second.bind(binder)?,
        })
    }
}

// SAFETY: passed on.
unsafe impl<A: View, B: View, S: PassAs<A>, R: PassAs<B>> PassAs<Zip<A, B>> for Zip<S, R> {}

impl<S: Source, R: Source> Source for Zip<S, R> {
    type View = Zip<S::View, R::View>;

    fn count(&self) -> usize {
        self.first.count().min(self.second.count())
    }
}

/// Elements, each beside one value; as argument, in the block and in a kernel.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct With<S, C> {
    pub(super) of: S,
    pub(super) value: C,
}

impl<S, C> Sealed for With<S, C> {}

impl<V: View, C: DeviceData> View for With<V, C> {
    type Item = (C, V::Item);

    #[inline(always)]
    fn count(&self) -> usize {
        self.of.count()
    }

    #[inline(always)]
    unsafe fn get(&self, index: usize) -> (C, V::Item) {
        // SAFETY: passed on.
        (self.value, unsafe { self.of.get(index) })
    }
}

impl<V: View, S: Form<V>, C: DeviceData> Form<With<V, C>> for With<S, C> {
    #[inline(always)]
    unsafe fn materialise(&self, item: &Item, position: u32) -> With<V, C> {
        With {
            // SAFETY: passed on.
            of: unsafe { self.of.materialise(item, position) },
            value: self.value,
        }
    }
}

// SAFETY: passed on; the value is device data.
unsafe impl<V: View, S: Pass<V>, C: DeviceData> Pass<With<V, C>> for With<S, C> {
    type Form = With<S::Form, C>;

    fn bind(self, binder: &mut Binder<'_>) -> Result<Self::Form> {
        Ok(With {
            of: self.of.bind(binder)?,
            value: self.value,
        })
    }
}

// SAFETY: as above.
unsafe impl<V: View, S: PassAs<V>, C: DeviceData> PassAs<With<V, C>> for With<S, C> {}

impl<S: Source, C: DeviceData> Source for With<S, C> {
    type View = With<S::View, C>;

    fn count(&self) -> usize {
        self.of.count()
    }
}

/// A matrix in rows of `width` elements, column by column; as argument, in the block and in a kernel.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct ByColumns<S> {
    pub(super) of: S,
    /// Its elements; both are 1 or more, and their product is the number of elements.
    pub(super) width: usize,
    pub(super) height: usize,
}

impl<V> Sealed for ByColumns<V> {}

impl<V: View> View for ByColumns<V> {
    type Item = V::Item;

    #[inline(always)]
    fn count(&self) -> usize {
        self.of.count()
    }

    #[inline(always)]
    unsafe fn get(&self, index: usize) -> V::Item {
        let (column, row) = (index / self.height, index % self.height);
        // SAFETY: `row < height` and `column < width`.
        unsafe { self.of.get(row * self.width + column) }
    }
}

impl<V: View, S: Form<V>> Form<ByColumns<V>> for ByColumns<S> {
    #[inline(always)]
    unsafe fn materialise(&self, item: &Item, position: u32) -> ByColumns<V> {
        ByColumns {
            // SAFETY: passed on.
            of: unsafe { self.of.materialise(item, position) },
            width: self.width,
            height: self.height,
        }
    }
}

// SAFETY: passed on.
unsafe impl<V: View, S: Pass<V>> Pass<ByColumns<V>> for ByColumns<S> {
    type Form = ByColumns<S::Form>;

    fn bind(self, binder: &mut Binder<'_>) -> Result<Self::Form> {
        Ok(ByColumns {
            of: self.of.bind(binder)?,
            width: self.width,
            height: self.height,
        })
    }
}

// SAFETY: passed on.
unsafe impl<V: View, S: PassAs<V>> PassAs<ByColumns<V>> for ByColumns<S> {}

impl<S: Source> Source for ByColumns<S> {
    type View = ByColumns<S::View>;

    fn count(&self) -> usize {
        self.of.count()
    }
}
