//! What goes wrong on a device and is no panic of a work-item: launches fail with what happened, and the
//! accelerator can be had anew.
//!
//! Only for simulated devices: others may take the process along.

use std::ffi::c_void;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

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

fn add_one(at: Item, mut out: Disjoint<u32>) {
    if let Some(out) = out.at(&at) {
        *out += 1;
    }
}

/// What tells a process that it runs a case alone.
const ALONE: &str = "CONFORMANCE_RUNS_ALONE";

/// Runs a case in a process of its own, with a variable for the simulator. `None` in that process.
fn alone(t: &Trial<'_>, case: &str, [variable, value]: [&str; 2]) -> Option<Verdict> {
    if std::env::var_os(ALONE).is_some() {
        return None;
    }
    let output = std::env::current_exe().and_then(|program| {
        Command::new(program)
            .args(["--accelerator", t.accelerator.name(), "--exact"])
            .args(["--filter", case])
            .envs([(ALONE, "1"), (variable, value)])
            .output()
    });
    Some(match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(Failure::unexpected(
            "a process in which the case passes",
            String::from_utf8_lossy(&output.stdout),
        )),
        Err(error) => Err(Failure::unexpected("a process", error)),
    })
}

/// Waits until the host has received from it.
fn tell(at: Item, to: Sender<u32>, mut out: Disjoint<u32>) {
    if let Some(out) = out.at(&at) {
        for number in 0..10 {
            to.send(number);
        }
        *out = 1;
    }
}

/// Launches that wait for another fill the memory that arguments have.
fn fill_memory_of_arguments(t: &Trial<'_>) -> Verdict {
    let mut out = t.accelerator.zeroed(3)?;
    let channel = t.accelerator.channel(4)?;
    let first = t.accelerator.launch(tell, 3, (&channel, &mut out))?;
    // The first has begun, and goes on when the host receives more.
    channel.receive(&first);
    let launches: Vec<_> = (0..800)
        .map(|_| t.accelerator.launch(add_one, 3, (&mut out,)))
        .collect::<Result<_, _>>()?;
    while channel.receive(&first).is_some() {}
    first.wait()?;
    let results: Vec<_> = launches.into_iter().map(|launch| launch.wait()).collect();
    let full = |result: &&legionella::Result<()>| matches!(result, Err(Error::OutOfMemory { .. }));
    let ran = results.iter().filter(|result| result.is_ok()).count();
    if results.iter().any(|result| full(&result)) && ran > 0 {
        // There is room again.
        t.accelerator.launch(add_one, 3, (&mut out,))?.wait()?;
        return t.same("out", vec![ran as u32 + 2; 3], out.to_vec()?);
    }
    Err(Failure::unexpected(
        "some launches without memory for their arguments",
        format!("{:?} … {:?}", results.first(), results.last()),
    ))
}

fn lost<T: std::fmt::Debug>(result: legionella::Result<T>) -> Verdict {
    match result {
        Err(Error::DeviceLost { .. }) => Ok(()),
        other => Err(Failure::unexpected(
            "a device that is lost",
            format!("{other:?}"),
        )),
    }
}

fn wait_for_signal(_: Item, never: &Signal) {
    never.wait(|value| value == 1);
}

/// What runs when the device is lost ends with that, wherever it is: in other queues, behind what failed, behind a
/// signal, in a kernel that waits, and in those that others launch.
fn others_in_flight(t: &Trial<'_>) -> Verdict {
    let never = t.accelerator.signal(2)?;
    let zeros = || t.accelerator.zeroed(3);
    let (mut out, mut behind, mut gated) = (zeros()?, zeros()?, zeros()?);
    let waits = t.accelerator.launch(wait_for_signal, 3, (&never,))?;
    let gate = t.accelerator.when_zero(&never)?;
    let gated = (t.accelerator.after([&gate])).launch(add_one, 3, (&mut gated,))?;
    let next = t
        .accelerator
        .prepare(wait_for_later, 3, (later(), &never), 1)?;
    let parent = t.accelerator.launch(have_launched, 1, (&next,))?;
    let first = t.accelerator.launch(read_anywhere, 3, (4096, &mut out))?;
    let ordered = t
        .accelerator
        .after([&first])
        .launch(add_one, 3, (&mut behind,))?;
    for launch in [&first, &waits, &gate, &parent, &ordered] {
        lost(launch.wait())?;
    }
    // It was never given to the device, or was with the gate.
    lost(gated.wait())?;
    renewed(t)
}

fn wait_for_later(_: Item, _: u32, never: &Signal) {
    never.wait(|value| value == 1);
}

fn read_later(_: Item, address: usize, out: &[AtomicU32]) {
    // SAFETY: none, which is the point: the device says what is wrong with it.
    let read = unsafe { std::ptr::with_exposed_provenance::<u32>(address).read_volatile() };
    out[0].store(read, Relaxed);
}

fn have_launched(_: Item, next: Enqueue<u32>) {
    let _ = next.enqueue(0);
}

fn have_read(_: Item, next: Enqueue<usize>) {
    let _ = next.enqueue(4096);
}

fn spin_later(_: Item, _: u32, out: &[AtomicU32]) {
    while out[0].load(Relaxed) == 0 {}
}

/// More of the stack than a work-item can have.
fn much_stack(at: Item, x: &[u32], mut out: Disjoint<u32>) {
    let mut kept = [0u32; 100_000];
    for (i, kept) in kept.iter_mut().enumerate() {
        *kept = x[(i + at.global()) % x.len()];
    }
    if let Some(out) = out.at(&at) {
        let next = kept[*out as usize] as usize;
        *out = kept[next];
    }
}

/// A kernel that needs more of the stack than there is doesn't run, and harms nothing.
fn too_much_stack(t: &Trial<'_>) -> Verdict {
    let x = t.accelerator.upload(&[5u32; 77])?;
    let mut out = t.accelerator.zeroed(3)?;
    let launch = t.accelerator.launch(much_stack, 3, (&x, &mut out));
    match launch.and_then(|launch| launch.wait()) {
        Err(error) if error.to_string().contains("stack") && !is_lost(&error) => {
            let one = t.accelerator.launch(add_one, 3, (&mut out,))?;
            one.wait()?;
            t.same("out", vec![1; 3], out.to_vec()?)
        }
        other => Err(Failure::unexpected(
            "a kernel that is refused for its stack",
            format!("{other:?}"),
        )),
    }
}

fn is_lost(error: &Error) -> bool {
    matches!(error, Error::DeviceLost { .. })
}

/// Memory of the device runs out for buffers, and is there again.
fn fill_memory_of_device(t: &Trial<'_>) -> Verdict {
    let large = || t.accelerator.zeroed::<u64>(5 << 20);
    let kept = large()?;
    match large() {
        Err(Error::OutOfMemory { bytes, .. }) if bytes == 40 << 20 => {}
        other => return Err(Failure::unexpected("no memory", format!("{other:?}"))),
    }
    // What is smaller fits.
    Trial::on(t.accelerator).map(|x: u32| x ^ 5, &[1, 2, 3])?;
    drop(kept);
    large()?;
    Ok(())
}

/// Has the simulator lose all devices, as when they fall off their bus.
fn lose_devices() -> Result<(), Box<dyn std::error::Error>> {
    type Visit = unsafe extern "C" fn(u64, *mut c_void) -> u32;
    type Iterate = unsafe extern "C" fn(Visit, *mut c_void) -> u32;
    type Lose = unsafe extern "C" fn(u64) -> u32;
    unsafe extern "C" fn visit(agent: u64, lose: *mut c_void) -> u32 {
        // SAFETY: the function that is passed below; the agent is the runtime's. The processor, which can't be
        // lost, is refused.
        unsafe { (*lose.cast::<Lose>())(agent) };
        0
    }
    let setting = std::env::var("LEGIONELLA_HSA")?;
    let (_, path) = setting.split_once('@').ok_or("no path of a simulator")?;
    // SAFETY: the library is loaded already; its functions have these types.
    unsafe {
        let library = libloading::Library::new(path)?;
        let mut lose = *library.get::<Lose>(b"legionella_hsasim_lose")?;
        let iterate = library.get::<Iterate>(b"hsa_iterate_agents")?;
        iterate(visit, (&raw mut lose).cast());
    }
    Ok(())
}

/// What runs on devices that are lost fails, and they are there no more.
fn lost_devices(t: &Trial<'_>) -> Verdict {
    let unexpected = |found: String| Failure::unexpected("devices that are lost", found);
    let mut out = t.accelerator.zeroed(3)?;
    let launch = t.accelerator.launch(wait_for_ever, 3, (&mut out,))?;
    lose_devices().map_err(|error| unexpected(error.to_string()))?;
    lost(launch.wait())?;
    // Nothing more is taken, and nothing waits.
    lost(out.to_vec())?;
    lost(t.accelerator.upload(&[1]))?;
    lost(t.accelerator.signal(1))?;
    let launch = t.accelerator.launch(add_one, 3, (&mut out,));
    lost(launch.and_then(|launch| launch.wait()))?;
    match Accelerator::by_name(t.accelerator.name()) {
        Err(_) => Ok(()),
        Ok(accelerator) => Err(unexpected(format!("{accelerator:?}"))),
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
    suite.case("faults/arguments", |t| {
        simulated(t)?;
        let little = ["LEGIONELLA_HSASIM_ARGUMENTS", "131072"];
        alone(t, "faults/arguments", little).unwrap_or_else(|| fill_memory_of_arguments(t))
    });
    suite.case("faults/device_memory", |t| {
        simulated(t)?;
        let little = ["LEGIONELLA_HSASIM_MEMORY", "67108864"];
        alone(t, "faults/device_memory", little).unwrap_or_else(|| fill_memory_of_device(t))
    });
    suite.case("faults/much_stack", |t| {
        simulated(t)?;
        too_much_stack(t)
    });
    suite.case("faults/others_in_flight", |t| {
        simulated(t)?;
        others_in_flight(t)
    });
    suite.case("faults/launched_by_kernel", |t| {
        simulated(t)?;
        let mut out = t.accelerator.zeroed::<u32>(3)?;
        let next = t
            .accelerator
            .prepare(read_later, 3, (later(), out.atomic()), 1)?;
        let launch = t.accelerator.launch(have_read, 1, (&next,))?;
        loses(t, launch.wait(), "there is no memory")
    });
    suite.case("faults/launched_by_kernel_never_ends", |t| {
        simulated(t)?;
        let mut out = t.accelerator.zeroed::<u32>(3)?;
        let next = t
            .accelerator
            .prepare(spin_later, 3, (later(), out.atomic()), 1)?;
        let launch = t.accelerator.launch(have_launched, 1, (&next,))?;
        launch.cancel();
        match launch.wait() {
            Err(Error::Cancelled { .. }) => renewed(t),
            other => Err(Failure::unexpected(
                "a cancelled launch",
                format!("{other:?}"),
            )),
        }
    });
    suite.case("faults/limit", |t| {
        simulated(t)?;
        let little = ["LEGIONELLA_HSASIM_LIMIT", "100000"];
        alone(t, "faults/limit", little).unwrap_or_else(|| {
            let mut out = t.accelerator.zeroed(3)?;
            let launch = t.accelerator.launch(wait_for_ever, 3, (&mut out,))?;
            loses(t, launch.wait(), "100000 instructions")
        })
    });
    suite.case("faults/lost", |t| {
        simulated(t)?;
        // Devices stay lost.
        alone(t, "faults/lost", ["LEGIONELLA_HSASIM_LOSE", "1"]).unwrap_or_else(|| lost_devices(t))
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
