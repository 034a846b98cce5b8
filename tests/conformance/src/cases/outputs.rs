//! All kinds of outputs: elements, tiles, rows, atomics, several at once.

use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU32, AtomicU64, Ordering};

use legionella::prelude::*;

use crate::both::both;
use crate::suite::Suite;
use crate::trial::output;
use crate::values::values;

fn tiled<const N: usize>(at: Item, x: &[u64], mut y: Tiles<u64, N>) {
    if let Some(tile) = y.at(&at) {
        for (offset, out) in tile.iter_mut().enumerate() {
            *out = x[at.global()].rotate_left(offset as u32);
        }
    }
}

fn ragged(at: Item, x: &[i32], mut y: Rows<i32>) {
    let width = y.width();
    let first = at.global() * width;
    if let Some(row) = y.at(&at) {
        for (offset, out) in row.iter_mut().enumerate() {
            *out = x[(first + offset) % x.len()] ^ width as i32;
        }
    }
}

fn histogram(at: Item, x: &[u8], counts: &[AtomicU32]) {
    if let Some(x) = x.get(at.global()) {
        counts[usize::from(*x)].fetch_add(1, Ordering::Relaxed);
    }
}

fn extremes(at: Item, x: &[i64], all: &[AtomicI64]) {
    if let Some(&x) = x.get(at.global()) {
        all[0].fetch_max(x, Ordering::Relaxed);
        all[1].fetch_min(x, Ordering::Relaxed);
        all[2].fetch_add(x, Ordering::SeqCst);
        all[3].fetch_xor(x, Ordering::AcqRel);
        all[4].fetch_and(x, Ordering::Release);
        all[5].fetch_or(x, Ordering::Acquire);
        all[6].fetch_sub(x, Ordering::Relaxed);
    }
}

fn claims(at: Item, owners: &[AtomicU64], lost: &[AtomicU8]) {
    // Exactly one work-item of each four wins the slot; which one is open, how many isn't.
    let slot = at.global() / 4;
    let claim = owners[slot].compare_exchange(0, 1, Ordering::AcqRel, Ordering::Relaxed);
    if claim.is_err() {
        lost[slot].fetch_add(1, Ordering::Relaxed);
    }
    let _ = owners[slot].fetch_update(Ordering::Relaxed, Ordering::Relaxed, |v| Some(v + 1));
}

fn many(
    at: Item,
    x: &[u32],
    mut a: Disjoint<u32>,
    mut b: Disjoint<[u16; 3]>,
    mut c: Tiles<u8, 2>,
    mut d: Rows<f32>,
) {
    let value = x[at.global() % x.len()];
    if let Some(a) = a.at(&at) {
        *a = !value;
    }
    if let Some(b) = b.at(&at) {
        b[1] = value as u16;
    }
    if let Some(c) = c.at(&at) {
        c.copy_from_slice(&value.to_be_bytes()[1..3]);
    }
    if let Some(d) = d.at(&at) {
        d.fill(value as f32);
    }
}

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    suite.case("outputs/in_place", |t| {
        let y = values::<i32>(1000);
        let kernel = |at: Item, mut y: Disjoint<i32>| {
            if let Some(y) = y.at(&at) {
                *y = y.wrapping_mul(3) ^ 1;
            }
        };
        both!(t, kernel, Grid::over(900), [write y])
    });
    suite.case("outputs/tiles", |t| {
        let x = values::<u64>(301);
        let y = output::<u64>(301 * 4);
        both!(t, tiled::<4>, Grid::over(301), [read x], [tiles 4 y])?;
        let y = output::<u64>(301 * 7);
        both!(t, tiled::<7>, Grid::over([7, 43]), [read x], [tiles 7 y])?;
        let y = output::<u64>(5);
        both!(t, tiled::<1>, Grid::over(301), [read x], [tiles 1 y])
    });
    suite.case("outputs/rows", |t| {
        let x = values::<i32>(77);
        for width in [1, 3, 64, 1000] {
            let y = vec![0i32; 1234];
            both!(t, ragged, Grid::over(1300usize.div_ceil(width)), [read x], [rows width y])?;
        }
        Ok(())
    });
    suite.case("outputs/histogram", |t| {
        let x = crate::values::Generator::new(9).bytes(100_003);
        let counts = vec![0u32; 256];
        both!(t, histogram, Grid::over(x.len()), [read x], [atomic counts])
    });
    suite.case("outputs/atomic_operations", |t| {
        let x = values::<i64>(5000);
        let all = vec![0i64, 0, 1, 2, -1, 0, 3];
        both!(t, extremes, Grid::over(x.len()), [read x], [atomic all])
    });
    suite.case("outputs/compare_exchange", |t| {
        let owners = vec![0u64; 500];
        let lost = vec![0u8; 500];
        both!(t, claims, Grid::over(2000), [atomic owners], [atomic lost])
    });
    suite.case("outputs/many", |t| {
        let x = values::<u32>(100);
        let a = output::<u32>(100);
        let b = output::<[u16; 3]>(100);
        let c = output::<u8>(200);
        let d = output::<f32>(500);
        both!(t, many, Grid::over(100), [read x], [write a], [write b], [tiles 2 c], [rows 5 d])
    });
    suite.case("outputs/chained_launches", |t| {
        let step = |at: Item, x: &[u32], mut y: Disjoint<u32>| {
            let i = at.global();
            if let Some(y) = y.at(&at) {
                *y = x[i].wrapping_add(x[(i + 1) % x.len()]);
            }
        };
        let host = {
            let (mut a, mut b) = (values::<u32>(513), vec![0; 513]);
            for _ in 0..20 {
                legionella::host::launch(step, Grid::over(513), (&a[..], &mut b[..]));
                std::mem::swap(&mut a, &mut b);
            }
            crate::bits::Observed::new("a", a)
        };
        let mut a = t.accelerator.upload(&values::<u32>(513))?;
        let mut b = t.accelerator.upload(&vec![0u32; 513])?;
        for _ in 0..20 {
            t.accelerator.launch(step, Grid::over(513), (&a, &mut b))?;
            std::mem::swap(&mut a, &mut b);
        }
        let device = t.observe("a", &a)?;
        t.compare(&[host], &[device])
    });
}
