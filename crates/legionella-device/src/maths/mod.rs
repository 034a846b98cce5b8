//! Mathematical functions that give the same bits on every target, [`f32`] and [`f64`], and some that don't,
//! [`fast`].
//!
//! In a kernel the methods of `f32` and `f64` (`x.exp()`, `x.powf(y)`, `x % y`, …) become these
//! functions: the compiler turns the methods into LLVM intrinsics or calls of the C library, and the
//! driver binds either to what [`symbols`] exports. On the host the methods stay the C library's,
//! whose last bit differs; who compares a kernel with the host calls these functions there.
//!
//! Those of [`f32`] are straight-line code of `f32` and integer operations: no branch, loop, call,
//! table in memory or `f64`. So LLVM vectorises them across work-items, and they cost no `f64` on
//! devices that have little of it. `f32::rem`, `powi` and the functions that only unstable Rust
//! has are the exception. Those of [`f64`] are the crate `libm`'s.
//!
//! Products and sums are fused exactly where the code says `mul_add` and nowhere else, on every
//! target; a machine without the instruction uses [`f32::mul_add`], which is exact too. Errors are
//! in `docs/maths.md`.

// Square roots and fused operations are methods of `std`, not of `core`.
extern crate std;

pub mod double;
pub mod fast;
pub mod single;
mod symbols;
mod two;
mod wide;

pub use double as f64;
pub use single as f32;
