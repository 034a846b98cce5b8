//! Launches themselves: what they cost when everything is warm, and how copies and fills are among them.

use legionella::prelude::*;

use crate::counting::allocations;
use crate::suite::Suite;
use crate::trial::{Failure, Trial, Verdict};

fn add_to(at: Item, by: u32, x: &[u32], mut y: Disjoint<u32>) {
    if let Some(y) = y.at(&at) {
        *y = y.wrapping_add(x[at.global()]).wrapping_add(by);
    }
}

/// Kernels, copies and fills that all conflict, and nobody waits.
fn transfers_in_order(t: &Trial<'_>) -> Verdict {
    let on = t.accelerator;
    let (mut x, mut y) = (on.upload(&[1u32; 1000])?, on.zeroed::<u32>(1000)?);
    let (mut on_host, mut copied) = (vec![1u32; 1000], vec![0u32; 1000]);
    for round in 0..30u32 {
        on.copy(&x, &mut y)?;
        copied.clone_from(&on_host);
        on.launch(add_to, 1000, (round, &y, &mut x))?;
        for (x, y) in on_host.iter_mut().zip(&copied) {
            *x = x.wrapping_add(*y).wrapping_add(round);
        }
        on.fill(y.slice_mut(10..700)?, round)?;
        copied[10..700].fill(round);
        on.copy(y.slice(300..900)?, x.slice_mut(7..607)?)?;
        on_host[7..607].copy_from_slice(&copied[300..900]);
    }
    t.same("x", on_host, x.to_vec()?)?;
    t.same("y", copied, y.to_vec()?)
}

/// A fill of more than what is written at once, by something that is no word.
fn large_fills(t: &Trial<'_>) -> Verdict {
    let mut x = t.accelerator.zeroed::<[u8; 3]>(77_777)?;
    let first = t.accelerator.fill(&mut x, [1, 2, 3])?;
    let second = t.accelerator.fill(x.slice_mut(1..77_775)?, [4, 5, 6])?;
    first.wait()?;
    second.wait()?;
    let mut expected = vec![[4u8, 5, 6]; 77_777];
    (expected[0], expected[77_775], expected[77_776]) = ([1, 2, 3], [1, 2, 3], [1, 2, 3]);
    t.same("x", expected, x.to_vec()?)
}

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    suite.case("launches/allocate_nothing", |t| {
        let x = t.accelerator.upload(&[3u32; 100])?;
        let mut y = t.accelerator.zeroed(100)?;
        let mut round = || -> Result<u64, Failure> {
            let before = allocations();
            for by in 0..200 {
                let launch = t.accelerator.launch(add_to, 100, (by, &x, &mut y))?;
                if by % 10 == 9 {
                    launch.wait()?;
                }
            }
            Ok(allocations() - before)
        };
        // The first loads code and fills pools.
        round()?;
        // Threads that have nothing to do with launches may allocate once in a while, and on a busy machine more
        // launches are in flight than ever before.
        let mut rounds = Vec::new();
        for _ in 0..20 {
            match round()? {
                0 => return Ok(()),
                some => rounds.push(some),
            }
        }
        Err(Failure::unexpected(
            "200 launches without an allocation",
            format!("{rounds:?} allocations"),
        ))
    });
    suite.case("launches/transfers_in_order", |t| transfers_in_order(t));
    suite.case("launches/large_fills", |t| large_fills(t));
}
