//! Mathematical functions of `f32` (see [`maths`](super)). Each is within one unit in the last place
//! of the exact value; special cases are those of C's Annex F. The functions have the names of the
//! methods of `f32`.

mod arc;
mod exp;
mod hyperbolic;
mod log;
mod power;
mod rare;
mod root;
mod rounding;
mod sine;

pub use arc::{acos, asin, atan, atan2};
pub use exp::{exp, exp_m1, exp2};
pub use hyperbolic::{cosh, sinh, tanh};
pub use log::{ln, ln_1p, log2, log10};
pub use power::{powf, powi};
pub use rare::{abs_sub, erf, erfc, gamma, ln_gamma, rem};
pub use root::{cbrt, hypot};
pub use rounding::{ceil, floor, mul_add, round, round_ties_even, trunc};
pub use sine::{cos, sin, tan};
