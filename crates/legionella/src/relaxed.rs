//! Kernels whose arithmetic of floats may take liberties. Takes a kernel, gives the same as another one,
//! whose entry shim tells lowering what is allowed.

use legionella_abi::intrinsic::Relaxation;
use legionella_abi::record::{ArgumentLayout, MAX_ARGUMENTS};
use legionella_device::{intrinsic, maths};

use crate::error::Result;
use crate::grid::Grid;
use crate::host;
use crate::launch::arity::Enter;
use crate::launch::{Binder, Kernel, Launch};

/// A kernel whose arithmetic may take liberties: see [`relaxed`].
#[derive(Clone, Copy, Debug)]
pub struct Relaxed<
    K,
    const CONTRACT: bool,
    const RECIPROCAL: bool,
    const APPROXIMATE: bool,
    const VENDOR: bool,
>(K);

/// A kernel to be launched with less than strict arithmetic of floats, as far as what follows allows.
///
/// Results then differ from those of the host, and from target to target. On the host, kernels called
/// by [`host::launch`](crate::host::launch) stay strict.
///
/// ```no_run
/// use legionella::prelude::*;
///
/// fn gaussian(at: Item, width: f32, x: &[f32], mut y: Disjoint<f32>) {
///     let x = x[at.global()] / width;
///     if let Some(y) = y.at(&at) {
///         *y = (-0.5 * x * x).exp();
///     }
/// }
///
/// # fn main() -> legionella::Result<()> {
/// let accelerator = Accelerator::best()?;
/// let x = accelerator.upload(&[0.0, 1.0, 2.0])?;
/// let mut y = accelerator.zeroed(3)?;
/// let quick = relaxed(gaussian).contract().reciprocal().approximate();
/// accelerator.launch(quick, 3, (0.7, &x, &mut y))?;
/// # Ok(())
/// # }
/// ```
pub fn relaxed<K>(kernel: K) -> Relaxed<K, false, false, false, false> {
    Relaxed(kernel)
}

impl<K, const CONTRACT: bool, const RECIPROCAL: bool, const APPROXIMATE: bool, const VENDOR: bool>
    Relaxed<K, CONTRACT, RECIPROCAL, APPROXIMATE, VENDOR>
{
    /// Products and sums may be fused, and rounded once.
    pub fn contract(self) -> Relaxed<K, true, RECIPROCAL, APPROXIMATE, VENDOR> {
        Relaxed(self.0)
    }

    /// Division may be multiplication by a reciprocal.
    pub fn reciprocal(self) -> Relaxed<K, CONTRACT, true, APPROXIMATE, VENDOR> {
        Relaxed(self.0)
    }

    /// `exp`, `ln`, `sin` and their like of `f32` may be those of [`fast`](crate::fast), and square
    /// roots and quotients approximations.
    pub fn approximate(self) -> Relaxed<K, CONTRACT, RECIPROCAL, true, VENDOR> {
        Relaxed(self.0)
    }

    /// `exp`, `ln`, `sin` and their like of `f32` and `f64` may be those of the library that the device's
    /// vendor has for its own compilers, if it is installed: NVIDIA's libdevice, which comes with CUDA, or
    /// AMD's ocml, which comes with ROCm. Accuracy is then what the vendor says it is. On the CPU nothing
    /// changes.
    pub fn vendor(self) -> Relaxed<K, CONTRACT, RECIPROCAL, APPROXIMATE, true> {
        Relaxed(self.0)
    }
}

/// The argument block of such a kernel: that of the kernel itself.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct RelaxedBlock<
    B,
    const CONTRACT: bool,
    const RECIPROCAL: bool,
    const APPROXIMATE: bool,
    const VENDOR: bool,
>(B);

impl<
    K,
    P,
    B,
    const CONTRACT: bool,
    const RECIPROCAL: bool,
    const APPROXIMATE: bool,
    const VENDOR: bool,
> Enter<Relaxed<K, CONTRACT, RECIPROCAL, APPROXIMATE, VENDOR>, P>
    for RelaxedBlock<B, CONTRACT, RECIPROCAL, APPROXIMATE, VENDOR>
where
    B: Enter<K, P>,
{
    const COUNT: u32 = B::COUNT;
    const ARGUMENTS: [ArgumentLayout; MAX_ARGUMENTS] = B::ARGUMENTS;

    #[inline(always)]
    unsafe fn enter(&self) {
        const fn bit(set: bool, relaxation: Relaxation) -> u32 {
            if set { relaxation as u32 } else { 0 }
        }
        intrinsic::relax(
            const {
                bit(CONTRACT, Relaxation::Contract)
                    | bit(RECIPROCAL, Relaxation::Reciprocal)
                    | bit(APPROXIMATE, Relaxation::Approximate)
                    | bit(VENDOR, Relaxation::Vendor)
            },
            &raw const maths::fast::TABLE,
        );
        // SAFETY: passed on: the block is the kernel's, and a value of `Relaxed<K>` holds one of `K`.
        unsafe { self.0.enter() }
    }
}

#[diagnostic::do_not_recommend]
impl<
    K,
    A,
    P,
    const CONTRACT: bool,
    const RECIPROCAL: bool,
    const APPROXIMATE: bool,
    const VENDOR: bool,
> Kernel<A, P> for Relaxed<K, CONTRACT, RECIPROCAL, APPROXIMATE, VENDOR>
where
    K: Kernel<A, P>,
{
    type Block = RelaxedBlock<K::Block, CONTRACT, RECIPROCAL, APPROXIMATE, VENDOR>;

    fn block(arguments: A, binder: &mut Binder<'_>) -> Result<Self::Block> {
        K::block(arguments, binder).map(RelaxedBlock)
    }
}

#[diagnostic::do_not_recommend]
impl<
    K,
    A,
    P,
    const CONTRACT: bool,
    const RECIPROCAL: bool,
    const APPROXIMATE: bool,
    const VENDOR: bool,
> Launch<A, P> for Relaxed<K, CONTRACT, RECIPROCAL, APPROXIMATE, VENDOR>
where
    K: Launch<A, P>,
{
}

#[diagnostic::do_not_recommend]
impl<
    K,
    A,
    P,
    How,
    const CONTRACT: bool,
    const RECIPROCAL: bool,
    const APPROXIMATE: bool,
    const VENDOR: bool,
> host::Call<A, P, How> for Relaxed<K, CONTRACT, RECIPROCAL, APPROXIMATE, VENDOR>
where
    K: host::Call<A, P, How>,
{
    fn call(&self, grid: Grid, lanes: usize, arguments: A) {
        self.0.call(grid, lanes, arguments);
    }
}
