//! Loops of a kernel's own in which items wait for others, each by itself and in branches that not all take.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};

use legionella::Error;
use legionella::prelude::*;

use crate::both::both;
use crate::suite::Suite;
use crate::trial::Failure;
use crate::values::values;

/// Items add what those at the same place of the group before have told, if they want to. Groups count as they begin,
/// so that none waits for one that doesn't run.
fn relay(group: Group, x: &[u32], told: &[AtomicU64], number: Shared<[u64; 1]>, out: &[AtomicU64]) {
    let begun = &told[told.len() - 1];
    let number = group.sync(number.fill(|_| begun.fetch_add(1, Relaxed)));
    let tile = number[0] as usize;
    let at = tile * group.len() + group.rank();
    let mine = x[at % x.len()];
    // Values that are there before and used behind.
    let kept = [mine.rotate_left(3), mine ^ 0x55, mine.wrapping_mul(7)];
    let mut value = u64::from(mine);
    if tile > 0 && !mine.is_multiple_of(3) {
        loop {
            let seen = told[at - group.len()].load(Acquire);
            if seen != 0 {
                value = value.wrapping_add(seen >> 1);
                break;
            }
            core::hint::spin_loop();
        }
    } else if mine.is_multiple_of(2) {
        value = value.wrapping_mul(3);
    }
    told[at].store(value << 1 | 1, Release);
    out[4 * at].store(value, Relaxed);
    for (index, kept) in kept.into_iter().enumerate() {
        out[4 * at + 1 + index].store(kept.into(), Relaxed);
    }
}

/// Adds to what a lock guards, if nobody has it. In one call: where lanes run in lockstep, who had the lock would
/// otherwise wait for those that try.
#[inline(never)]
fn try_add(lock: &AtomicU32, sum: &AtomicU32, x: u32) -> bool {
    let locked = lock.compare_exchange(0, 1, Acquire, Relaxed).is_ok();
    if locked {
        sum.store(sum.load(Relaxed).wrapping_add(x), Relaxed);
        lock.store(0, Release);
    }
    locked
}

/// Sums that one item at a time adds to.
fn locks(at: Item, x: &[u32], locks: &[AtomicU32], sums: &[AtomicU32]) {
    let Some(&x) = x.get(at.global()) else { return };
    let cell = x as usize % locks.len();
    while !try_add(&locks[cell], &sums[cell], x) {
        core::hint::spin_loop();
    }
}

fn wait_for_ever(_: Item, flag: &[AtomicU32]) {
    while flag[0].load(Acquire) == 0 {
        core::hint::spin_loop();
    }
}

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    suite.case("waiting/relay", |t| {
        const GROUPS: usize = 60;
        let x = values::<u32>(64 * GROUPS);
        let (told, out) = (vec![0u64; 64 * GROUPS + 1], vec![0u64; 4 * 64 * GROUPS]);
        let grid = Grid::over(64 * GROUPS).group(64);
        both!(t, relay, grid, [read x], [atomic told], [shared array], [atomic out])
    });
    suite.case("waiting/locks", |t| {
        let (x, free, sums) = (values::<u32>(3000), vec![0u32; 5], vec![0u32; 5]);
        both!(t, locks, Grid::over(x.len()), [read x], [atomic free], [atomic sums])
    });
    suite.case("waiting/cancelled", |t| {
        let mut flag = t.accelerator.zeroed::<u32>(1)?;
        let launch = t.accelerator.launch(wait_for_ever, 100, (flag.atomic(),))?;
        launch.cancel();
        match launch.wait() {
            Err(Error::Cancelled { .. }) => Ok(()),
            other => Err(Failure::unexpected(
                "a cancelled launch",
                format!("{other:?}"),
            )),
        }
    });
}
