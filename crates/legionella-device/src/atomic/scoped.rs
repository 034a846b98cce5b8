//! Which work-items an atomic operation orders memory for. Takes atomics of any type, gives them back
//! with a note for lowering of how far their operations have to reach.

use core::fmt;
use core::marker::PhantomData;
use core::ops::Deref;
use core::sync::atomic::{self, Ordering};

use legionella_abi::intrinsic::Scope as Reach;

use super::number;
use crate::intrinsic;

/// Who takes part in what an atomic operation orders.
pub trait Scope: sealed::Scope {}

mod sealed {
    use super::Reach;

    pub trait Scope {
        /// What lowering is told.
        const REACH: Reach;
    }

    /// A scope that no two work-items of a launch are in different ones of.
    pub trait Wide: Scope {}
}

/// The scopes.
pub mod scope {
    use super::{Reach, Scope, sealed};

    /// The work-items of one work-group.
    #[derive(Debug)]
    pub enum Group {}

    /// All work-items on the device: the scope of Rust's own atomics in a kernel.
    #[derive(Debug)]
    pub enum Device {}

    /// All devices and the host.
    #[derive(Debug)]
    pub enum System {}

    impl sealed::Scope for Group {
        const REACH: Reach = Reach::Group;
    }
    impl sealed::Scope for Device {
        const REACH: Reach = Reach::Device;
    }
    impl sealed::Scope for System {
        const REACH: Reach = Reach::System;
    }
    impl sealed::Wide for Device {}
    impl sealed::Wide for System {}
    impl Scope for Group {}
    impl Scope for Device {}
    impl Scope for System {}
}

/// An atomic whose operations have a scope: it dereferences to the atomic, of which every method
/// keeps the scope where it is called on this.
///
/// # Why this is safe
///
/// An operation of a narrow scope says nothing about work-items outside of it, so two that reach one
/// location from different groups at group scope would race. [`InGroup`] is made by value, as an
/// element of shared memory or of a work-item's own, and nothing that lets other groups reach it is
/// safe: buffers give out `core`'s atomics, statics are refused. An atomic that exists already is
/// seen at a scope that holds all work-items by [`of`](Scoped::of), and at that of a group by
/// [`of_unchecked`](Scoped::of_unchecked), which is `unsafe`.
#[repr(transparent)]
pub struct Scoped<A, S: Scope> {
    atomic: A,
    scope: PhantomData<fn() -> S>,
}

/// An atomic that the work-items of one group use: an element of shared memory.
///
/// ```
/// use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
/// use legionella_device::atomic::InGroup;
/// use legionella_device::{Group, Shared};
///
/// /// How many items of each group have an element above a limit.
/// fn above(
///     group: Group,
///     limit: f32,
///     x: &[f32],
///     count: Shared<[InGroup<AtomicU32>; 1]>,
///     total: &[AtomicU32],
/// ) {
///     let count = group.sync(count.fill(|_| InGroup::new(AtomicU32::new(0))));
///     if x.get(group.item().global()).is_some_and(|x| *x > limit) {
///         count[0].fetch_add(1, Relaxed);
///     }
///     group.barrier();
///     if group.rank() == 0 {
///         total[0].fetch_add(count[0].load(Relaxed), Relaxed);
///     }
/// }
/// ```
pub type InGroup<A> = Scoped<A, scope::Group>;

/// An atomic that all work-items on the device use, as `core`'s are.
pub type OnDevice<A> = Scoped<A, scope::Device>;

/// An atomic that other devices or the host use while the kernel runs.
pub type InSystem<A> = Scoped<A, scope::System>;

impl<A, S: Scope> Scoped<A, S> {
    /// An atomic with that scope.
    #[inline(always)]
    pub const fn new(atomic: A) -> Self {
        Scoped {
            atomic,
            scope: PhantomData,
        }
    }

    /// An atomic as one with another scope.
    ///
    /// ```
    /// use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    /// use legionella_device::atomic::InSystem;
    ///
    /// let count = AtomicU32::new(1);
    /// InSystem::of(&count).fetch_add(1, Relaxed);
    /// assert_eq!(count.into_inner(), 2);
    /// ```
    ///
    /// A group's scope is for what only a group reaches:
    ///
    /// ```compile_fail,E0277
    /// use std::sync::atomic::AtomicU32;
    /// use legionella_device::atomic::InGroup;
    ///
    /// fn narrow(counts: &[AtomicU32]) {
    ///     InGroup::of(&counts[0]);
    /// }
    /// ```
    #[inline(always)]
    pub fn of(atomic: &A) -> &Self
    where
        S: sealed::Wide,
    {
        // SAFETY: no two work-items that can reach the atomic are in different scopes of this kind.
        unsafe { Self::of_unchecked(atomic) }
    }

    /// An atomic as one with another scope.
    ///
    /// # Safety
    /// While it is used with this scope, all who access the atomic are within one such scope.
    #[inline(always)]
    pub unsafe fn of_unchecked(atomic: &A) -> &Self {
        // SAFETY: `repr(transparent)`: the same memory, lent for as long.
        unsafe { &*(atomic as *const A).cast::<Self>() }
    }

    /// The atomic, which nobody else uses.
    #[inline(always)]
    pub fn get_mut(&mut self) -> &mut A {
        &mut self.atomic
    }

    /// The atomic itself.
    #[inline(always)]
    pub fn into_inner(self) -> A {
        self.atomic
    }
}

impl<A, S: Scope> Deref for Scoped<A, S> {
    type Target = A;

    #[inline(always)]
    fn deref(&self) -> &A {
        let noted = intrinsic::scoped((&raw const self.atomic).cast(), S::REACH as u32);
        // SAFETY: the address that was given.
        unsafe { &*noted.cast() }
    }
}

impl<A: Default, S: Scope> Default for Scoped<A, S> {
    fn default() -> Self {
        Scoped::new(A::default())
    }
}

impl<A: fmt::Debug, S: Scope> fmt::Debug for Scoped<A, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.atomic.fmt(f)
    }
}

/// A fence for the work-items of a scope; [`core::sync::atomic::fence`] is one for all on the device.
///
/// ```
/// use std::sync::atomic::Ordering::Release;
/// use legionella_device::atomic::{fence, scope};
///
/// fence::<scope::System>(Release);
/// ```
///
/// # Panics
/// If the ordering is `Relaxed`, as `core`'s does.
#[inline(always)]
#[track_caller]
pub fn fence<S: Scope>(ordering: Ordering) {
    if !intrinsic::on_device() || matches!(ordering, Ordering::Relaxed) {
        atomic::fence(ordering);
    } else {
        intrinsic::fence(number(ordering), S::REACH as u32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::{AtomicU8, AtomicU64, Ordering::*};

    #[test]
    fn scoped_atomics_are_the_atomics_that_they_hold() {
        let mut count = InGroup::new(AtomicU64::new(5));
        assert_eq!(count.fetch_max(9, AcqRel), 5);
        assert_eq!(count.compare_exchange(9, 1, SeqCst, Acquire), Ok(9));
        *count.get_mut().get_mut() += 1;
        assert_eq!(count.into_inner().into_inner(), 2);
        let byte = AtomicU8::new(1);
        OnDevice::of(&byte).fetch_or(6, Release);
        assert_eq!(InSystem::of(&byte).load(Acquire), 7);
        assert_eq!(align_of::<InGroup<AtomicU8>>(), 1);
    }

    #[test]
    fn fences_of_all_orderings_but_one() {
        for ordering in [Acquire, Release, AcqRel, SeqCst] {
            fence::<scope::Group>(ordering);
        }
    }

    #[test]
    #[should_panic(expected = "there is no such thing as a relaxed fence")]
    fn a_relaxed_fence_is_none() {
        fence::<scope::System>(Relaxed);
    }
}
