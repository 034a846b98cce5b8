//! Kernels as plain functions, with every kind of argument.

use std::sync::atomic::{AtomicU32, Ordering};

use legionella::prelude::*;
use legionella::{Index, host};

#[allow(clippy::too_many_arguments, reason = "one of every kind")]
fn many<F: Fn(u32) -> u32>(
    at: Item,
    offset: Option<u32>,
    f: F,
    x: &[u32],
    mut own: Disjoint<u32>,
    mut pair: Tiles<u32, 2>,
    mut row: Rows<u32>,
    sum: &[AtomicU32],
) {
    let value = f(x[at.global()]) + offset.unwrap_or(0);
    if let Some(own) = own.at(&at) {
        *own = value;
    }
    if let Some(pair) = pair.at(&at) {
        *pair = [value, value];
    }
    if let Some(row) = row.at(&at) {
        row.fill(value);
    }
    sum[0].fetch_add(value, Ordering::Relaxed);
}

#[test]
fn every_kind_of_argument() {
    let x = [1, 2, 3, 4];
    let mut own = [0; 3];
    let mut pairs = vec![0; 8];
    let mut rows = vec![0; 10];
    let mut sum = [0u32];
    host::launch(
        many,
        Grid::over([2, 2]),
        (
            Some(10),
            function(|x: u32| x * x),
            &x[..],
            &mut own,
            host::tiles(&mut pairs),
            host::rows(&mut rows, 3),
            host::atomic(&mut sum),
        ),
    );
    assert_eq!(own, [11, 14, 19]);
    assert_eq!(pairs, [11, 11, 14, 14, 19, 19, 26, 26]);
    assert_eq!(rows, [11, 11, 11, 14, 14, 14, 19, 19, 19, 26]);
    assert_eq!(sum, [70]);
}

#[test]
fn items_know_where_they_are() {
    let mut seen: Vec<Index> = vec![[9; 3]; 12];
    host::launch(
        |at: Item, mut seen: Disjoint<Index>| {
            if let Some(seen) = seen.at(&at) {
                *seen = [at.x(), at.y(), at.z()];
            }
        },
        [2, 3, 2],
        (&mut seen,),
    );
    assert_eq!(seen[0], [0, 0, 0]);
    assert_eq!(seen[1], [1, 0, 0]);
    assert_eq!(seen[7], [1, 0, 1]);
    assert_eq!(seen[11], [1, 2, 1]);
}

#[test]
#[should_panic(expected = "out of bounds")]
fn a_kernels_panic_is_the_callers() {
    let read = |at: Item, x: &[u8]| {
        let _ = x[at.global()];
    };
    host::launch(read, 3, (&[1, 2],));
}
