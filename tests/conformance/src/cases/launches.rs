//! Launches themselves: what they cost when everything is warm.

use std::iter::repeat_with;

use legionella::prelude::*;

use crate::counting::allocations;
use crate::suite::Suite;
use crate::trial::Failure;

fn add_to(at: Item, by: u32, x: &[u32], mut y: Disjoint<u32>) {
    if let Some(y) = y.at(&at) {
        *y = y.wrapping_add(x[at.global()]).wrapping_add(by);
    }
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
        // Threads that have nothing to do with launches may allocate once in a while.
        let rounds: Result<Vec<u64>, Failure> = repeat_with(round).take(5).collect();
        let rounds = rounds?;
        if rounds.contains(&0) {
            return Ok(());
        }
        Err(Failure::unexpected(
            "200 launches without an allocation",
            format!("{rounds:?} allocations"),
        ))
    });
}
