//! Crates from crates.io inside kernels, unmodified and as people use them.

mod compression;
mod containers;
mod cryptography;
mod geometry;
mod hashes;
mod images;
mod numbers;
mod parsing;
mod words;

use crate::suite::Suite;

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    for add in [
        hashes::add,
        cryptography::add,
        compression::add,
        parsing::add,
        words::add,
        numbers::add,
        geometry::add,
        containers::add,
        images::add,
    ] {
        add(suite);
    }
}
