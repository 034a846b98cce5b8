//! Memory that host and device both use in place.

use legionella::prelude::*;
use legionella::{HostBuffer, Result, host};

use crate::suite::Suite;
use crate::trial::{Failure, Trial, Verdict};
use crate::values::values;

fn scramble(at: Item, x: &[u64], mut y: Disjoint<u64>) {
    if let Some(y) = y.at(&at) {
        *y ^= x[at.global()].rotate_left(17);
    }
}

fn add_one(at: Item, mut y: Disjoint<u32>) {
    if let Some(y) = y.at(&at) {
        *y += 1;
    }
}

fn same(expected: &[u64], found: &[u64]) -> Verdict {
    match expected == found {
        true => Ok(()),
        false => {
            let at = expected.iter().zip(found).position(|(a, b)| a != b);
            Err(Failure::unexpected(
                "the same elements",
                format!("others from {at:?} on"),
            ))
        }
    }
}

impl Trial<'_> {
    /// The host writes in place, a kernel reads there and writes there, and the host reads in place.
    fn in_place(&self, make: impl Fn(&Accelerator, usize) -> Result<HostBuffer<u64>>) -> Verdict {
        let x = values::<u64>(3001);
        let mut expected = vec![5; x.len()];
        let mut on_host = make(self.accelerator, x.len())?;
        let mut out = make(self.accelerator, x.len())?;
        on_host.write()?.copy_from_slice(&x);
        out.write()?.fill(5);
        for _ in 0..3 {
            self.accelerator
                .launch(scramble, x.len(), (&on_host, &mut out))?;
            host::launch(scramble, x.len(), (&x, &mut expected));
            same(&expected, &out.read()?)?;
        }
        same(&x, &on_host.read()?)
    }

    /// Elements go to a buffer, through a kernel, and back, without a wait.
    fn round_trip(&self, make: impl Fn(&Accelerator, usize) -> Result<HostBuffer<u64>>) -> Verdict {
        let x = values::<u64>(50_000);
        let accelerator = self.accelerator;
        let mut staging = make(accelerator, x.len())?;
        staging.write()?.copy_from_slice(&x);
        let mut there = accelerator.filled(x.len(), 0u64)?;
        let mut out = accelerator.filled(x.len(), 9u64)?;
        let mut back = make(accelerator, x.len())?;
        accelerator.copy(&staging, &mut there)?;
        accelerator.launch(scramble, x.len(), (&there, &mut out))?;
        accelerator.copy(&out, &mut back)?;
        let mut expected = vec![9; x.len()];
        host::launch(scramble, x.len(), (&x, &mut expected));
        same(&expected, &back.read()?)?;
        // What buffers do at once they do as well.
        back.as_slice_mut().copy_from(&there)?;
        same(&x, &back.as_slice().to_vec()?)
    }
}

/// Elements go to every accelerator of the machine, the trial's own among them, through a kernel there, and to the
/// next, each time in several parts that begin anywhere; in the end they are back.
fn all_around(t: &mut Trial<'_>) -> Verdict {
    let mut expected = values::<u64>(70_001);
    let key = values::<u64>(expected.len());
    let mut here = t.accelerator.upload(&expected)?;
    for other in Accelerator::list()?.iter().chain([t.accelerator]) {
        let (mut there, its_key) = (other.filled(expected.len(), 1u64)?, other.upload(&key)?);
        // What is under way is waited for.
        let key_here = t.accelerator.upload(&key)?;
        (t.accelerator).launch(scramble, expected.len(), (&key_here, &mut here))?;
        for part in [0..1, 1..40_000, 40_000..expected.len()] {
            let from = here.slice(part.clone())?;
            there.slice_mut(part)?.copy_from(from)?;
        }
        other.launch(scramble, expected.len(), (&its_key, &mut there))?;
        here.as_slice_mut().copy_from(&there)?;
        for _ in 0..2 {
            host::launch(scramble, expected.len(), (&key, &mut expected));
        }
        same(&expected, &here.to_vec()?)?;
    }
    Ok(())
}

fn pinned(accelerator: &Accelerator, len: usize) -> Result<HostBuffer<u64>> {
    accelerator.pinned(len, 0)
}

fn managed(accelerator: &Accelerator, len: usize) -> Result<HostBuffer<u64>> {
    accelerator.managed(len, 0)
}

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    suite.case("host_memory/pinned_in_place", |t| t.in_place(pinned));
    suite.case("host_memory/managed_in_place", |t| t.in_place(managed));
    suite.case("host_memory/pinned_round_trip", |t| t.round_trip(pinned));
    suite.case("host_memory/managed_round_trip", |t| t.round_trip(managed));
    suite.case("host_memory/all_around", all_around);
    suite.case("host_memory/first_values", |t| {
        let first = t.accelerator.pinned(1000, 0x0102_0304_0506_0708u64)?;
        same(&[0x0102_0304_0506_0708; 1000], &first.read()?)?;
        let none = t.accelerator.pinned(0, 1u64)?;
        same(&[], &none.read()?)
    });
    suite.case("host_memory/replays_wait_for_the_host", |t| {
        let mut shared = t.accelerator.pinned(100, 0u32)?;
        let graph = t
            .accelerator
            .record(|recorder| recorder.launch(add_one, 100, (&mut shared,)))?;
        graph.replay()?;
        let seen = shared.read()?;
        let replay = graph.replay()?;
        std::thread::sleep(std::time::Duration::from_millis(2));
        if replay.is_done() || seen.iter().any(|element| *element != 1) {
            return Err(Failure::unexpected(
                "a replay that waits",
                format!("{:?}", &seen[..3]),
            ));
        }
        drop(seen);
        replay.wait()?;
        match shared.read()?.iter().all(|element| *element == 2) {
            true => Ok(()),
            false => Err(Failure::unexpected("two replays", "another number")),
        }
    });
}
