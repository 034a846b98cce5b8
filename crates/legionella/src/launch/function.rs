//! Functions as arguments of kernels.

use super::form::Form;
use super::{Binder, Pass, PassAs};
use crate::error::Result;
use legionella_device::Item;

/// A function or non-capturing closure as an argument: see [`function`].
#[derive(Clone, Copy, Debug)]
pub struct Function<F>(F);

/// A function or non-capturing closure as an argument of a kernel that is generic over it.
///
/// Nothing of it crosses to the device but its type, which names the code.
///
/// ```no_run
/// use legionella::prelude::*;
///
/// fn map<F: Fn(f32) -> f32>(at: Item, f: F, x: &[f32], mut y: Disjoint<f32>) {
///     if let Some(y) = y.at(&at) {
///         *y = f(x[at.global()]);
///     }
/// }
///
/// # fn main() -> legionella::Result<()> {
/// let accel = Accelerator::best()?;
/// let x = accel.upload(&[1.0, 2.0])?;
/// let mut y = accel.zeroed(2)?;
/// accel.launch(map, 2, (function(|x: f32| x * x), &x, &mut y))?;
/// # Ok(())
/// # }
/// ```
pub fn function<F: Copy + Send + 'static>(function: F) -> Function<F> {
    const {
        assert!(
            size_of::<F>() == 0,
            "a function as an argument captures nothing: pass what it captures as an argument"
        );
    }
    Function(function)
}

impl<F: Copy> Function<F> {
    /// The function itself.
    pub(crate) fn get(&self) -> F {
        self.0
    }
}

/// The place of a [`Function`] in the argument block, which is no place at all.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct FunctionForm<F>(F);

impl<F: Copy> Form<F> for FunctionForm<F> {
    #[inline(always)]
    unsafe fn materialise(&self, _item: &Item, _position: u32) -> F {
        self.0
    }
}

// SAFETY: a copy of a value without bytes, whose type may be sent and copied and borrows nothing.
unsafe impl<F: Copy + Send + 'static> Pass<F> for Function<F> {
    type Form = FunctionForm<F>;

    fn bind(self, _binder: &mut Binder<'_>) -> Result<FunctionForm<F>> {
        Ok(FunctionForm(self.0))
    }
}

// SAFETY: as above.
unsafe impl<F: Copy + Send + 'static> PassAs<F> for Function<F> {}
