//! Memory of work-groups as arguments of launches.

use std::marker::PhantomData;

use legionella_abi::intrinsic::DYNAMIC_SHARED_ALIGN;
use legionella_device::Shared;

use super::form::{SharedArrayForm, SharedSliceForm};
use super::{Binder, Pass, PassAs};
use crate::error::Result;

/// Memory of the work-group for an array: see [`shared`].
#[derive(Clone, Copy, Debug)]
pub struct SharedArray(());

/// Memory of the work-group for a slice: see [`shared_slice`].
#[derive(Clone, Copy, Debug)]
pub struct SharedSlice {
    len: usize,
}

/// Memory of the work-group, for a kernel that takes [`Shared<[T; N]>`](Shared).
///
/// ```no_run
/// use legionella::prelude::*;
///
/// /// Every element becomes the first of its group.
/// fn first(group: Group, x: &[u32], tile: Shared<[u32; 1]>, mut y: Disjoint<u32>) {
///     let first = group.sync(tile.fill(|_| x[group.first()[0]]));
///     if let Some(y) = y.at(group.item()) {
///         *y = first[0];
///     }
/// }
///
/// # fn main() -> legionella::Result<()> {
/// let accel = Accelerator::best()?;
/// let x = accel.upload(&[1, 2, 3, 4, 5])?;
/// let mut y = accel.zeroed(5)?;
/// accel.launch(first, Grid::over(5).group(2), (&x, shared(), &mut y))?;
/// assert_eq!(y.to_vec()?, [1, 1, 3, 3, 5]);
/// # Ok(())
/// # }
/// ```
pub fn shared() -> SharedArray {
    SharedArray(())
}

/// Memory of the work-group with room for that many elements, for a kernel that takes
/// [`Shared<[T]>`](Shared).
pub fn shared_slice(len: usize) -> SharedSlice {
    SharedSlice { len }
}

// SAFETY: the parameter's memory belongs to it alone; its type keeps items apart.
unsafe impl<'a, T: Send + Sync + 'static, const N: usize> Pass<Shared<'a, [T; N]>> for SharedArray {
    type Form = SharedArrayForm<T, N>;

    fn bind(self, _binder: &mut Binder<'_>) -> Result<SharedArrayForm<T, N>> {
        Ok(SharedArrayForm(PhantomData))
    }
}

// SAFETY: as above.
unsafe impl<'a, T: Send + Sync + 'static, const N: usize> PassAs<Shared<'a, [T; N]>>
    for SharedArray
{
}

// SAFETY: the parameter has a range of the launch's shared memory of its own; its type keeps items
// apart.
unsafe impl<'a, T: Send + Sync + 'static> Pass<Shared<'a, [T]>> for SharedSlice {
    type Form = SharedSliceForm<T>;

    fn bind(self, binder: &mut Binder<'_>) -> Result<SharedSliceForm<T>> {
        const {
            assert!(
                align_of::<T>() <= DYNAMIC_SHARED_ALIGN,
                "shared memory whose size the launch gives is aligned to 128 bytes"
            );
        }
        let offset = binder.use_shared(self.len, size_of::<T>(), align_of::<T>())?;
        Ok(SharedSliceForm {
            offset,
            len: self.len,
            element: PhantomData,
        })
    }
}

// SAFETY: as above.
unsafe impl<'a, T: Send + Sync + 'static> PassAs<Shared<'a, [T]>> for SharedSlice {}
