//! Work-groups: barriers, shared memory, subgroups, and the classic kernels that are made of them.

mod barriers;
mod convergence;
mod fourier;
mod matrices;
mod numeric;
mod panels;
mod parts;
mod reductions;
mod searches;
mod sorting;
mod subgroups;
mod tiles;
mod together;

use crate::suite::Suite;

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    barriers::add(suite);
    convergence::add(suite);
    tiles::add(suite);
    subgroups::add(suite);
    matrices::add(suite);
    panels::add(suite);
    parts::add(suite);
    together::add(suite);
    reductions::add(suite);
    sorting::add(suite);
    numeric::add(suite);
    fourier::add(suite);
    searches::add(suite);
}
