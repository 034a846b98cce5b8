//! What goes wrong on a device and is no panic of a work-item: launches fail with what happened, and the
//! accelerator can be had anew.
//!
//! Only for simulated devices: others may take the process along.

use legionella::{Error, prelude::*};

use crate::suite::Suite;
use crate::trial::{Failure, Trial, Verdict};

fn read_anywhere(at: Item, address: usize, mut out: Disjoint<u32>) {
    if let Some(out) = out.at(&at) {
        // SAFETY: none, which is the point: the device says what is wrong with it.
        *out = unsafe { std::ptr::with_exposed_provenance::<u32>(address).read_volatile() };
    }
}

fn wait_for_ever(at: Item, mut out: Disjoint<u32>) {
    if let Some(out) = out.at(&at) {
        // SAFETY: a reference; nobody ever writes what it refers to.
        while unsafe { std::ptr::from_mut(out).read_volatile() } == 0 {}
    }
}

#[expect(unconditional_recursion, reason = "the stack ends it")]
fn deeper(x: u32) -> u32 {
    let mut kept = [x; 100];
    // SAFETY: an element, which has to be on the stack for that.
    unsafe { (&raw mut kept[x as usize % 100]).write_volatile(x + 1) };
    deeper(x | 1) ^ kept[x as usize % 50]
}

fn descend(at: Item, mut out: Disjoint<u32>) {
    if let Some(out) = out.at(&at) {
        *out = deeper(*out);
    }
}

fn simulated(t: &Trial<'_>) -> Verdict {
    let simulated = std::env::var("LEGIONELLA_HSA").is_ok_and(|devices| devices.starts_with("sim"));
    if t.accelerator.name().starts_with("hsa:") && simulated {
        Ok(())
    } else {
        Err(Failure::Inapplicable("only simulated devices survive it"))
    }
}

/// The accelerator is lost for a reason with that text, and there is another for it.
fn loses(t: &Trial<'_>, ended: legionella::Result<()>, because: &str) -> Verdict {
    match ended {
        Err(Error::DeviceLost { reason, .. }) if reason.contains(because) => renewed(t),
        other => Err(Failure::unexpected(
            format!("an accelerator that is lost: {because}"),
            format!("{other:?}"),
        )),
    }
}

/// The accelerator can be had anew.
fn renewed(t: &Trial<'_>) -> Verdict {
    let accelerator = Accelerator::by_name(t.accelerator.name())?;
    Trial::on(&accelerator).map(|x: u32| x.wrapping_mul(3), &[1, 2, 3])
}

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    suite.case("faults/memory", |t| {
        simulated(t)?;
        let mut out = t.accelerator.zeroed(3)?;
        let launch = t.accelerator.launch(read_anywhere, 3, (4096, &mut out))?;
        loses(t, launch.wait(), "there is no memory")
    });
    suite.case("faults/stack", |t| {
        simulated(t)?;
        let mut out = t.accelerator.zeroed(3)?;
        let launch = t.accelerator.launch(descend, 3, (&mut out,))?;
        loses(t, launch.wait(), "the work-item's memory")
    });
    suite.case("faults/never_ends", |t| {
        simulated(t)?;
        let mut out = t.accelerator.zeroed(3)?;
        let launch = t.accelerator.launch(wait_for_ever, 3, (&mut out,))?;
        launch.cancel();
        match launch.wait() {
            Err(Error::Cancelled { .. }) => renewed(t),
            other => Err(Failure::unexpected(
                "a cancelled launch",
                format!("{other:?}"),
            )),
        }
    });
}
