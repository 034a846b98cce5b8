//! Launches that kernels make.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use legionella::prelude::*;
use legionella::{Error, host};

use crate::suite::Suite;
use crate::trial::{Failure, Trial, Verdict};
use crate::values::values;

/// Work of several sizes, with padding.
#[derive(Clone, Copy, Debug, PartialEq, DeviceData)]
enum Work {
    Add(u32),
    Range { first: u16, last: u32, by: f64 },
}

/// Leaves to others what is interesting.
fn pick(at: Item, x: &[u32], more: Enqueue<Work>) {
    let Some(&x) = x.get(at.global()) else { return };
    let work = match x % 16 {
        0 => Work::Add(x),
        1 => Work::Range {
            first: (x >> 8) as u16 % 50,
            last: 60 + x % 7,
            by: f64::from(x),
        },
        _ => return,
    };
    assert!(more.enqueue(work).is_ok());
}

fn work(at: Item, work: Work, sums: &[AtomicU32]) {
    let Some(sum) = sums.get(at.global()) else {
        return;
    };
    let i = at.global() as u32;
    match work {
        Work::Add(x) => sum.fetch_add(x ^ i, Relaxed),
        Work::Range { first, last, by } if (u32::from(first)..last).contains(&i) => {
            sum.fetch_add((by.sqrt() as u32).wrapping_mul(i), Relaxed)
        }
        Work::Range { .. } => 0,
    };
}

/// Writes, and has others read it.
fn write(at: Item, mut y: Disjoint<u32>, next: Enqueue<u32>) {
    if let Some(y) = y.at(&at) {
        *y = 3 * at.global() as u32;
    }
    if at.global() == 0 {
        for factor in [1, 10, 100] {
            let _ = next.enqueue(factor);
        }
    }
}

/// In order: the factors of those before are there.
fn read(at: Item, factor: u32, y: &[u32], mut out: Disjoint<u32>) {
    if let Some(out) = out.at(&at) {
        *out = 2 * *out + factor * y[y.len() - 1 - at.global()];
    }
}

/// Sums of a group, by those that are launched.
fn sums(group: Group, part: u32, x: &[u32], tile: Shared<[u32; 64]>, out: &[AtomicU32]) {
    let mut scratch = tile.scratch();
    let at = 64 * part as usize + group.rank();
    let sum = group.reduce(&mut scratch, x[at], u32::wrapping_add);
    if group.rank() == 0 {
        out[part as usize].store(sum, Relaxed);
    }
}

fn each(at: Item, next: Enqueue<u32>, mut refused: Disjoint<u32>) {
    let mine = at.global() as u32;
    let left = next.enqueue(mine);
    if let Some(refused) = refused.at(&at) {
        *refused = left.is_err_and(|full| full.0 == mine).into();
    }
}

fn each_twice(at: Item, one: Enqueue<u32>, other: Enqueue<u32>, mut refused: Disjoint<u32>) {
    let mine = at.global() as u32;
    let left = [one.enqueue(mine), other.enqueue(mine)];
    if let Some(refused) = refused.at(&at) {
        *refused = left.iter().filter(|left| left.is_err()).count() as u32;
    }
}

fn mark(_: Item, which: u32, marks: &[AtomicU32]) {
    marks[which as usize].fetch_add(1, Relaxed);
}

fn panics_at(_: Item, which: u32, limits: &[u32]) {
    assert!(which < limits[0], "{which} is too large");
}

fn enqueues_and_panics(at: Item, next: Enqueue<u32>) {
    let _ = next.enqueue(5);
    assert!(at.global() != 3, "after enqueueing");
}

fn enqueue_one(_: Item, which: u32, next: Enqueue<u32>) {
    let _ = next.enqueue(which);
}

fn waits(_: Item, _: u32, never: &Signal) {
    never.wait(|value| value == 1);
}

fn panicked(ended: legionella::Result<()>, expected: &str) -> Verdict {
    match ended {
        Err(Error::KernelPanicked { message, .. }) if message == expected => Ok(()),
        other => Err(Failure::unexpected(
            format!("a panic: {expected}"),
            format!("{other:?}"),
        )),
    }
}

fn unsupported<T: std::fmt::Debug>(result: legionella::Result<T>) -> Verdict {
    match result {
        Err(Error::Unsupported { .. }) => Ok(()),
        other => Err(Failure::unexpected("a refusal", format!("{other:?}"))),
    }
}

/// More than the queue of a device has room for: what was not refused is done, once.
fn full_queue(t: &Trial<'_>) -> Verdict {
    let (items, capacity) = (700, 700);
    let mut marks = t.accelerator.zeroed::<u32>(items)?;
    let mut prepare = || (t.accelerator).prepare(mark, 1, (later(), marks.atomic()), capacity);
    let (one, other) = (prepare()?, prepare()?);
    let mut refused = t.accelerator.zeroed::<u32>(items)?;
    let launch = t
        .accelerator
        .launch(each_twice, items, (&one, &other, &mut refused))?;
    launch.wait()?;
    let (marks, refused) = (marks.to_vec()?, refused.to_vec()?);
    if let Some(item) = (0..items).find(|item| marks[*item] + refused[*item] != 2) {
        return Err(Failure::unexpected(
            "two launches that ran or were refused",
            format!("{} and {} for item {item}", marks[item], refused[item]),
        ));
    }
    let refused: u32 = refused.iter().sum();
    match t.accelerator.name().starts_with("hsa:") == (refused > 0) {
        true => Ok(()),
        false => Err(Failure::unexpected("a queue that has no room", refused)),
    }
}

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    suite.case("enqueue/values", |t| {
        let x = values::<u32>(400);
        let mut more = host::enqueued(x.len());
        host::launch(pick, x.len(), (&x, &more));
        let mut expected = vec![0; 64];
        for value in more.take() {
            host::launch(work, 64, (value, host::atomic(&mut expected)));
        }
        let input = t.accelerator.upload(&x)?;
        let mut sums = t.accelerator.zeroed::<u32>(64)?;
        let more = (t.accelerator).prepare(work, 64, (later(), sums.atomic()), x.len())?;
        let launch = t.accelerator.launch(pick, x.len(), (&input, &more))?;
        launch.wait()?;
        t.same("sums", expected, sums.to_vec()?)
    });
    suite.case("enqueue/in_order", |t| {
        let mut y = t.accelerator.zeroed::<u32>(300)?;
        let mut out = t.accelerator.zeroed::<u32>(300)?;
        let next = t
            .accelerator
            .prepare(read, 300, (later(), &y, &mut out), 3)?;
        // Not waited for: the second comes after what the first has launched.
        t.accelerator.launch(write, 300, (&mut y, &next))?;
        t.accelerator.launch(write, 300, (&mut y, &next))?;
        let mut expected = vec![0u32; 300];
        for factor in [1, 10, 100, 1, 10, 100] {
            for (i, out) in expected.iter_mut().enumerate() {
                *out = 2 * *out + factor * 3 * (299 - i as u32);
            }
        }
        // Three launches of one item may come in any order of factors only if it says so.
        t.same("out", expected, out.to_vec()?)
    });
    suite.case("enqueue/groups", |t| {
        let x = values::<u32>(64 * 20);
        let input = t.accelerator.upload(&x)?;
        let (mut out, mut refused) = (
            t.accelerator.zeroed::<u32>(20)?,
            t.accelerator.zeroed::<u32>(20)?,
        );
        let arguments = (later(), &input, shared(), out.atomic());
        let next = (t.accelerator).prepare(sums, Grid::over(64).group(64), arguments, 20)?;
        t.accelerator
            .launch(each, 20, (&next, &mut refused))?
            .wait()?;
        let sum = |part: &[u32]| part.iter().fold(0, |a: u32, b| a.wrapping_add(*b));
        let expected = x.chunks(64).map(sum).collect();
        t.same("out", expected, out.to_vec()?)
    });
    suite.case("enqueue/full", |t| {
        let mut marks = t.accelerator.zeroed::<u32>(100)?;
        let mut refused = t.accelerator.zeroed::<u32>(100)?;
        let next = t
            .accelerator
            .prepare(mark, 1, (later(), marks.atomic()), 30)?;
        for _ in 0..3 {
            let before = marks.to_vec()?;
            (t.accelerator.launch(each, 100, (&next, &mut refused))?).wait()?;
            let marks = marks.to_vec()?;
            let refused = refused.to_vec()?;
            let ran: Vec<u32> = (marks.iter().zip(&before))
                .map(|(now, then)| now - then)
                .collect();
            let expected: Vec<u32> = refused.iter().map(|refused| 1 - refused).collect();
            t.same("ran", expected, ran)?;
            if refused.iter().sum::<u32>() != 70 {
                return Err(Failure::unexpected(70, refused.iter().sum::<u32>()));
            }
        }
        Ok(())
    });
    suite.case("enqueue/full_queue", |t| full_queue(t));
    suite.case("enqueue/nothing", |t| {
        let mut marks = t.accelerator.zeroed::<u32>(3)?;
        let mut refused = t.accelerator.zeroed::<u32>(3)?;
        let empty = t
            .accelerator
            .prepare(mark, 0, (later(), marks.atomic()), 3)?;
        (t.accelerator.launch(each, 3, (&empty, &mut refused))?).wait()?;
        t.same("refused", vec![0; 3], refused.to_vec()?)?;
        let none = t
            .accelerator
            .prepare(mark, 1, (later(), marks.atomic()), 0)?;
        (t.accelerator.launch(each, 3, (&none, &mut refused))?).wait()?;
        t.same("refused", vec![1; 3], refused.to_vec()?)?;
        t.same("marks", vec![0; 3], marks.to_vec()?)
    });
    suite.case("enqueue/panic", |t| {
        let limits = t.accelerator.upload(&[7u32])?;
        let mut refused = t.accelerator.zeroed::<u32>(9)?;
        let next = t.accelerator.prepare(panics_at, 1, (later(), &limits), 9)?;
        for _ in 0..2 {
            let launch = t.accelerator.launch(each, 8, (&next, &mut refused))?;
            panicked(launch.wait(), "7 is too large")?;
        }
        Ok((t.accelerator.launch(each, 7, (&next, &mut refused))?).wait()?)
    });
    suite.case("enqueue/panic_behind", |t| {
        let mut marks = t.accelerator.zeroed::<u32>(6)?;
        let next = t
            .accelerator
            .prepare(mark, 1, (later(), marks.atomic()), 100)?;
        let launch = t.accelerator.launch(enqueues_and_panics, 4, (&next,))?;
        panicked(launch.wait(), "after enqueueing")?;
        let marks = marks.to_vec()?;
        match marks[5] {
            1..=4 => Ok(()),
            _ => Err(Failure::unexpected(
                "launches that were made",
                format!("{marks:?}"),
            )),
        }
    });
    suite.case("enqueue/cancelled", |t| {
        let never = t.accelerator.signal(0)?;
        let mut refused = t.accelerator.zeroed::<u32>(3)?;
        let next = t.accelerator.prepare(waits, 1, (later(), &never), 3)?;
        let launch = t.accelerator.launch(each, 3, (&next, &mut refused))?;
        std::thread::sleep(std::time::Duration::from_millis(20));
        launch.cancel();
        match launch.wait() {
            Err(Error::Cancelled { .. }) => {}
            other => {
                return Err(Failure::unexpected(
                    "a cancelled launch",
                    format!("{other:?}"),
                ));
            }
        }
        let mut marks = t.accelerator.zeroed::<u32>(3)?;
        let next = t
            .accelerator
            .prepare(mark, 1, (later(), marks.atomic()), 3)?;
        (t.accelerator.launch(each, 3, (&next, &mut refused))?).wait()?;
        t.same("marks", vec![1; 3], marks.to_vec()?)
    });
    suite.case("enqueue/refused", |t| {
        let mut marks = t.accelerator.zeroed::<u32>(3)?;
        let mut refused = t.accelerator.zeroed::<u32>(3)?;
        let next = t
            .accelerator
            .prepare(mark, 1, (later(), marks.atomic()), 3)?;
        unsupported(t.accelerator.prepare(enqueue_one, 1, (later(), &next), 3))?;
        unsupported((t.accelerator).launch(mark, 1, (later(), marks.atomic())))?;
        unsupported(
            t.accelerator
                .record(|recorder| recorder.launch(each, 3, (&next, &mut refused))),
        )?;
        match t
            .accelerator
            .prepare(mark, 1, (later(), marks.atomic()), 5000)
        {
            Err(Error::OutOfMemory { .. }) => Ok(()),
            other => Err(Failure::unexpected("too many", format!("{other:?}"))),
        }
    });
}
