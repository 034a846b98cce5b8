//! Signals: numbers that kernels, other kernels and the host change and wait for.

use std::process::Command;
use std::thread;
use std::time::Duration;

use legionella::prelude::*;
use legionella::{Error, host};

use crate::suite::Suite;
use crate::trial::{Failure, Trial, Verdict};

/// How long something is waited for that has to come: long enough for a machine that is busy.
const SOON: Duration = Duration::from_secs(60);

fn count(at: Item, x: &[i64], sum: &Signal) {
    if let Some(x) = x.get(at.global()) {
        sum.add(*x);
    }
}

/// Each item takes the next number.
fn take(at: Item, next: &Signal, mut taken: Disjoint<i64>) {
    if let Some(taken) = taken.at(&at) {
        *taken = next.subtract(1);
    }
}

/// One item alone wins.
fn win(at: Item, who: &Signal, mut won: Disjoint<u8>) {
    if let Some(won) = won.at(&at) {
        let mine = at.global() as i64;
        *won = who.compare_exchange(-1, mine).is_ok().into();
    }
}

/// Answers each number of the host with its square, until that is 0.
fn answer(_: Item, question: &Signal, answered: &Signal) {
    let mut last = 0;
    loop {
        let number = question.wait(|number| number != last);
        if number == 0 {
            return;
        }
        last = number;
        answered.set(number * number);
    }
}

fn wait_for_ever(_: Item, never: &Signal) {
    never.wait(|value| value == 1);
}

/// Has others begin, and waits for one of them to say that it has.
fn open(_: Item, gate: &Signal, seen: &Signal) {
    gate.set(0);
    seen.wait(|value| value == 1);
}

fn see(_: Item, seen: &Signal) {
    seen.set(1);
}

fn set(_: Item, signal: &Signal, value: i64) {
    signal.set(value);
}

fn add_one(at: Item, mut out: Disjoint<u32>) {
    if let Some(out) = out.at(&at) {
        *out += 1;
    }
}

/// Kernels of the accelerator run at once, and while the host does something.
fn runs_several(t: &Trial<'_>) -> Verdict {
    let threads = std::env::var("LEGIONELLA_THREADS").ok();
    let one = threads.map_or_else(
        || thread::available_parallelism().is_ok_and(|count| count.get() < 2),
        |count| count == "1",
    );
    match t.accelerator.name() == "cpu" && one {
        true => Err(Failure::Inapplicable("one thread runs one kernel")),
        false => Ok(()),
    }
}

fn same<T: PartialEq + std::fmt::Debug>(expected: T, found: T) -> Verdict {
    match expected == found {
        true => Ok(()),
        false => Err(Failure::unexpected(
            format!("{expected:?}"),
            format!("{found:?}"),
        )),
    }
}

fn cancelled(ended: legionella::Result<()>) -> Verdict {
    match ended {
        Err(Error::Cancelled { .. }) => Ok(()),
        other => Err(Failure::unexpected(
            "a cancelled launch",
            format!("{other:?}"),
        )),
    }
}

/// The accelerator goes on.
fn goes_on(t: &Trial<'_>) -> Verdict {
    let mut out = t.accelerator.zeroed(3)?;
    t.accelerator.launch(add_one, 3, (&mut out,))?.wait()?;
    t.same("out", vec![1; 3], out.to_vec()?)
}

/// More gates than the device has queues for, which open in another order than they were made.
fn many_gates(t: &Trial<'_>) -> Verdict {
    let mut out = t.accelerator.zeroed(3)?;
    let mut others = t.accelerator.zeroed(3)?;
    let mut launches = Vec::new();
    let mut signals = Vec::new();
    for _ in 0..9 {
        let signal = t.accelerator.signal(1)?;
        let gate = t.accelerator.when_zero(&signal)?;
        launches.push((t.accelerator.after([&gate])).launch(add_one, 3, (&mut out,))?);
        signals.push(signal);
    }
    // What waits for nothing isn't held up.
    for _ in 0..9 {
        (t.accelerator.launch(add_one, 3, (&mut others,))?).wait()?;
    }
    if launches.iter().any(Completion::is_done) {
        return Err(Failure::unexpected("launches that wait", "one that ended"));
    }
    for signal in signals.iter().rev() {
        t.accelerator.launch(set, 1, (signal, 0i64))?.wait()?;
    }
    launches.iter().try_for_each(Completion::wait)?;
    t.same("out", vec![9; 3], out.to_vec()?)
}

/// In a process of its own with two devices: a kernel of one has a queue of the other begin, and a kernel there
/// answers.
fn between_devices(t: &Trial<'_>) -> Verdict {
    const ALONE: &str = "CONFORMANCE_RUNS_ALONE";
    let setting = std::env::var("LEGIONELLA_HSA").unwrap_or_default();
    let Some((_, path)) = setting
        .split_once('@')
        .filter(|_| setting.starts_with("sim"))
    else {
        return Err(Failure::Inapplicable("there is one device of the kind"));
    };
    if std::env::var_os(ALONE).is_none() {
        let processor = match t.accelerator.subgroup_size() {
            64 => "gfx942,gfx942",
            _ => "gfx1100,gfx1100",
        };
        let output = std::env::current_exe().and_then(|program| {
            Command::new(program)
                .args(["--accelerator", "hsa:1", "--exact"])
                .args(["--filter", "signals/between_devices"])
                .env("LEGIONELLA_HSA", format!("sim:{processor}@{path}"))
                .env(ALONE, "1")
                .output()
        });
        return match output {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(Failure::unexpected(
                "a process in which the case passes",
                String::from_utf8_lossy(&output.stdout),
            )),
            Err(error) => Err(Failure::unexpected("a process", error)),
        };
    }
    let (one, other) = (Accelerator::by_name("hsa:0")?, t.accelerator);
    let (gate, seen) = (one.signal(1)?, other.signal(0)?);
    let begins = other.when_zero(&gate)?;
    let sees = other.after([&begins]).launch(see, 1, (&seen,))?;
    one.launch(open, 1, (&gate, &seen))?.wait()?;
    sees.wait()?;
    same((0, 1), (gate.get(), seen.get()))
}

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    suite.case("signals/counts", |t| {
        let x: Vec<i64> = (0..1000).map(|i| i * i - 77_777).collect();
        let on_host = Signal::new(5);
        host::launch(count, 1003, (&x, &on_host));
        let (input, sum) = (t.accelerator.upload(&x)?, t.accelerator.signal(5)?);
        (t.accelerator.launch(count, 1003, (&input, &sum))?).wait()?;
        same(on_host.get(), sum.get())
    });
    suite.case("signals/numbers", |t| {
        let (next, mut taken) = (t.accelerator.signal(500)?, t.accelerator.zeroed(500)?);
        (t.accelerator.launch(take, 500, (&next, &mut taken))?).wait()?;
        let mut taken = taken.to_vec()?;
        taken.sort_unstable();
        same((0, (1..501).collect()), (next.get(), taken))
    });
    suite.case("signals/one_wins", |t| {
        let (who, mut won) = (t.accelerator.signal(-1)?, t.accelerator.zeroed(300)?);
        t.accelerator.launch(win, 300, (&who, &mut won))?.wait()?;
        let won = won.to_vec()?;
        let expected: Vec<u8> = (0..300).map(|i| (i == who.get()).into()).collect();
        same(expected, won)
    });
    suite.case("signals/host_and_kernel", |t| {
        runs_several(t)?;
        let (question, answered) = (t.accelerator.signal(0)?, t.accelerator.signal(0)?);
        let launch = t.accelerator.launch(answer, 1, (&question, &answered))?;
        for number in [3, -7, 100_000, 1] {
            question.set(number);
            let square = answered.wait_for(SOON, |square| square == number * number);
            if square.is_none() {
                launch.cancel();
                return Err(Failure::unexpected(number * number, answered.get()));
            }
        }
        question.set(0);
        Ok(launch.wait()?)
    });
    suite.case("signals/host_gives_up", |t| {
        let signal = t.accelerator.signal(4)?;
        let limit = Duration::from_millis(2);
        same(None, signal.wait_for(limit, |value| value < 4))?;
        same(Some(4), signal.wait_for(limit, |value| value < 5))
    });
    suite.case("signals/cancelled", |t| {
        let never = t.accelerator.signal(0)?;
        let launch = t.accelerator.launch(wait_for_ever, 100, (&never,))?;
        launch.cancel();
        cancelled(launch.wait())?;
        goes_on(t)
    });
    suite.case("signals/opens_a_queue", |t| {
        runs_several(t)?;
        let (gate, seen) = (t.accelerator.signal(1)?, t.accelerator.signal(0)?);
        // Code is there before somebody waits for it.
        t.accelerator.launch(see, 1, (&seen,))?.wait()?;
        seen.set(0);
        let begins = t.accelerator.when_zero(&gate)?;
        let sees = t.accelerator.after([&begins]).launch(see, 1, (&seen,))?;
        same(
            None,
            seen.wait_for(Duration::from_millis(5), |value| value == 1),
        )?;
        // It ends when the other has seen that the gate is open, and so doesn't open it by its end.
        t.accelerator.launch(open, 1, (&gate, &seen))?.wait()?;
        Ok(sees.wait()?)
    });
    suite.case("signals/gate_is_cancelled", |t| {
        let signal = t.accelerator.signal(1)?;
        let mut out = t.accelerator.zeroed(3)?;
        let gate = t.accelerator.when_zero(&signal)?;
        let behind = t
            .accelerator
            .after([&gate])
            .launch(add_one, 3, (&mut out,))?;
        // What has not begun is not overdue when it was cancelled.
        behind.cancel();
        thread::sleep(Duration::from_millis(1200));
        gate.cancel();
        cancelled(gate.wait())?;
        let _ = behind.wait();
        goes_on(t)
    });
    suite.case("signals/many_gates", |t| many_gates(t));
    suite.case("signals/elsewhere", |t| {
        let cpu = Accelerator::by_name("cpu")?;
        let (here, there) = (t.accelerator.signal(0)?, cpu.signal(0)?);
        cpu.launch(set, 1, (&here, 7i64))?.wait()?;
        same(7, here.get())?;
        match t.accelerator.launch(set, 1, (&there, 7i64)) {
            Ok(launch) if t.accelerator == &cpu => Ok(launch.wait()?),
            Err(Error::WrongAccelerator { .. }) => Ok(()),
            other => Err(Failure::unexpected(
                "an accelerator that doesn't see the signal",
                format!("{other:?}"),
            )),
        }
    });
    suite.case("signals/between_devices", |t| between_devices(t));
}
