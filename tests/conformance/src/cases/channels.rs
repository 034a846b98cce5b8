//! Channels from kernels to the host.
//!
//! Values of different work-items arrive in any order; they are compared in an order of their own.

use std::collections::BTreeMap;

use legionella::prelude::*;
use legionella::{Completion, Error, host};

use crate::suite::Suite;
use crate::trial::{Failure, Trial, Verdict};
use crate::values::{arrays, values};

/// What every item has to tell: of several sizes, with an enum and padding.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, DeviceData)]
enum Event {
    Nothing(usize),
    Number(usize, u8, i64),
    Pair { item: usize, pair: Option<[f32; 2]> },
}

fn events(at: Item, x: &[[i32; 3]], to: Sender<Event>) {
    let item = at.global();
    let Some([kind, a, b]) = x.get(item) else {
        return;
    };
    match kind % 4 {
        0 => to.send(Event::Nothing(item)),
        1 => to.send(Event::Number(item, *a as u8, i64::from(*b))),
        2 => to.send(Event::Pair {
            item,
            pair: (a > b).then_some([*a as f32, *b as f32]),
        }),
        _ => {}
    }
}

/// Each item counts, and tells each number with its own.
fn counting(at: Item, each: u32, to: Sender<[u32; 2]>) {
    for number in 0..each {
        to.send([at.global() as u32, number]);
    }
}

/// Items of a group tell the sum so far between barriers.
fn running_sums(group: Group, x: &[u32], tile: Shared<[u32; 64]>, to: Sender<(usize, u32)>) {
    let at = group.item().global();
    let tile = tile.fill(|i| x.get(group.first()[0] + i).copied().unwrap_or(0));
    let tile = group.sync(tile);
    let sum = tile[..=group.rank()]
        .iter()
        .fold(0, |a: u32, b| a.wrapping_add(*b));
    to.send((at, sum));
    group.barrier();
    to.send((at, !sum));
}

fn try_to_send(at: Item, to: Sender<usize>, mut refused: Disjoint<u8>) {
    let full = to.try_send(at.global());
    if let Some(refused) = refused.at(&at) {
        *refused = full.is_err_and(|full| full.0 == at.global()).into();
    }
}

fn sort_out(at: Item, x: &[u64], even: Sender<u64>, odd: Sender<(usize, u64)>) {
    if let Some(&x) = x.get(at.global()) {
        if x % 2 == 0 {
            even.send(x);
        } else {
            odd.send((at.global(), x));
        }
    }
}

/// Sends in branches and turns of its own, with what outlasts that.
fn by_own_ways(at: Item, x: &[u32], to: Sender<(usize, u32, u64)>, mut left: Disjoint<u64>) {
    let Some(&x) = x.get(at.global()) else { return };
    let item = at.global();
    let mut sum = u64::from(x);
    for turn in 0..x % 7 {
        if x >> turn & 1 == 1 {
            to.send((item, turn, sum));
            sum = sum.wrapping_mul(31) + 1;
        } else if x % 5 == turn {
            continue;
        } else if x % 11 == 3 {
            to.send((item, 100 + turn, !sum));
            break;
        }
        sum ^= (item as u64) << turn;
    }
    if let Some(left) = left.at(&at) {
        *left = sum;
    }
}

fn panics_behind(at: Item, to: Sender<usize>) {
    to.send(at.global());
    assert!(at.global() != 5, "after sending");
}

impl Trial<'_> {
    /// What the host and the accelerator sent, in an order of values.
    fn same_values<T: PartialEq + PartialOrd + std::fmt::Debug>(
        &self,
        mut host: Vec<T>,
        mut device: Vec<T>,
    ) -> Verdict {
        for values in [&mut host, &mut device] {
            values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
        }
        let differs = host.iter().zip(&device).position(|(a, b)| a != b);
        match differs {
            _ if host.len() != device.len() => Err(Failure::unexpected(
                format!("{} values", host.len()),
                device.len(),
            )),
            Some(at) => Err(Failure::unexpected(
                format!("{:?}", host[at]),
                format!("{:?}", device[at]),
            )),
            None => Ok(()),
        }
    }
}

/// Numbers of each item in the order in which they came.
fn by_item(values: impl Iterator<Item = [u32; 2]>) -> BTreeMap<u32, Vec<u32>> {
    let mut all = BTreeMap::<u32, Vec<u32>>::new();
    for [item, number] in values {
        all.entry(item).or_default().push(number);
    }
    all
}

fn counted(items: u32, each: u32, found: BTreeMap<u32, Vec<u32>>) -> Verdict {
    let expected: BTreeMap<u32, Vec<u32>> =
        (0..items).map(|item| (item, (0..each).collect())).collect();
    if found == expected {
        return Ok(());
    }
    Err(Failure::unexpected(
        format!("0..{each} of each of {items} items, in order"),
        format!("{found:?}"),
    ))
}

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    suite.case("channels/values", |t| {
        let x = arrays::<i32, 3>(2000);
        let on_host = host::channel(x.len());
        host::launch(events, x.len(), (&x, &on_host));
        let input = t.accelerator.upload(&x)?;
        let channel = t.accelerator.channel(x.len())?;
        let launch = t.accelerator.launch(events, x.len(), (&input, &channel))?;
        let device = channel.iter(&launch).collect();
        launch.wait()?;
        t.same_values(on_host.receive_all(), device)
    });
    suite.case("channels/after_the_launch", |t| {
        let channel = t.accelerator.channel(3000)?;
        t.accelerator
            .launch(counting, 1000, (3, &channel))?
            .wait()?;
        let received = std::iter::from_fn(|| channel.try_receive());
        counted(1000, 3, by_item(received))
    });
    suite.case("channels/while_it_runs", |t| {
        let channel = t.accelerator.channel(5)?;
        if !channel.is_live() {
            return Err(Failure::Inapplicable("the host can't see what runs"));
        }
        let launch = t.accelerator.launch(counting, 200, (50, &channel))?;
        let found = by_item(channel.iter(&launch));
        launch.wait()?;
        counted(200, 50, found)
    });
    suite.case("channels/several_launches", |t| {
        let channel = t.accelerator.channel(8192)?;
        let start = || t.accelerator.launch(counting, 100, (20, &channel));
        let launches: Vec<Completion> = (0..4).map(|_| start()).collect::<Result<_, _>>()?;
        launches.iter().try_for_each(Completion::wait)?;
        let mut all: Vec<_> = std::iter::from_fn(|| channel.try_receive()).collect();
        all.sort_unstable();
        let expected: Vec<_> = (0..100)
            .flat_map(|item| (0..80).map(move |number| [item, number / 4]))
            .collect();
        t.same_values(expected, all)
    });
    suite.case("channels/groups", |t| {
        let x = values::<u32>(500);
        let grid = Grid::over(x.len()).group(64);
        let on_host = host::channel(2 * x.len());
        host::launch(running_sums, grid, (&x, host::shared(), &on_host));
        let (input, channel) = (t.accelerator.upload(&x)?, t.accelerator.channel(1024)?);
        let launch = (t.accelerator).launch(running_sums, grid, (&input, shared(), &channel))?;
        let device = channel.iter(&launch).collect();
        launch.wait()?;
        t.same_values(on_host.receive_all(), device)
    });
    suite.case("channels/full", |t| {
        let (channel, mut refused) = (t.accelerator.channel(100)?, t.accelerator.zeroed(1000)?);
        for _ in 0..3 {
            t.accelerator
                .launch(try_to_send, 1000, (&channel, &mut refused))?
                .wait()?;
            let received: Vec<_> = std::iter::from_fn(|| channel.try_receive()).collect();
            let refused = refused.to_vec()?;
            let sent = refused.iter().filter(|refused| **refused == 0).count();
            if received.len() != 128 || sent != 128 {
                return Err(Failure::unexpected(
                    "128 values that were sent and received",
                    format!("{sent} sent, {} received", received.len()),
                ));
            }
            if let Some(lie) = received.iter().find(|item| refused[**item] != 0) {
                return Err(Failure::unexpected("a value that was not refused", lie));
            }
        }
        Ok(())
    });
    suite.case("channels/two_at_once", |t| {
        let x = values::<u64>(600);
        let (even, odd) = (host::channel(600), host::channel(600));
        host::launch(sort_out, x.len(), (&x, &even, &odd));
        let input = t.accelerator.upload(&x)?;
        let on_device = (t.accelerator.channel(600)?, t.accelerator.channel(600)?);
        t.accelerator
            .launch(sort_out, x.len(), (&input, &on_device.0, &on_device.1))?
            .wait()?;
        let received = std::iter::from_fn(|| on_device.0.try_receive()).collect();
        t.same_values(even.receive_all(), received)?;
        let received = std::iter::from_fn(|| on_device.1.try_receive()).collect();
        t.same_values(odd.receive_all(), received)
    });
    suite.case("channels/by_own_ways", |t| {
        let x = values::<u32>(2000);
        let (on_host, mut on_hosts) = (host::channel(6 * x.len()), vec![0; x.len()]);
        host::launch(by_own_ways, x.len(), (&x, &on_host, &mut on_hosts));
        let expected = on_host.receive_all();
        // Where the host sees what runs, items wait for room.
        let mut channel = t.accelerator.channel(8)?;
        if !channel.is_live() {
            channel = t.accelerator.channel(expected.len())?;
        }
        let (input, mut left) = (t.accelerator.upload(&x)?, t.accelerator.zeroed(x.len())?);
        let arguments = (&input, &channel, &mut left);
        let launch = t.accelerator.launch(by_own_ways, x.len(), arguments)?;
        let received = channel.iter(&launch).collect();
        launch.wait()?;
        t.same_values(expected, received)?;
        t.same("left", on_hosts, left.to_vec()?)
    });
    suite.case("channels/panic_behind", |t| {
        let channel = t.accelerator.channel(16)?;
        let launch = t.accelerator.launch(panics_behind, 8, (&channel,))?;
        match launch.wait() {
            Err(Error::KernelPanicked { message, .. }) if message == "after sending" => {}
            other => return Err(Failure::unexpected("the panic", format!("{other:?}"))),
        }
        let received: Vec<_> = std::iter::from_fn(|| channel.try_receive()).collect();
        if !received.contains(&5) {
            return Err(Failure::unexpected(
                "5 among others",
                format!("{received:?}"),
            ));
        }
        Ok(())
    });
    suite.case("channels/dropped_while_full", |t| {
        let channel = t.accelerator.channel(4)?;
        let launch = t.accelerator.launch(counting, 10, (10, &channel))?;
        let live = channel.is_live();
        drop(channel);
        let expected = match live {
            true => "nobody receives from it any more",
            false => "the host can't receive while the kernel runs",
        };
        match launch.wait() {
            Err(Error::KernelPanicked { message, .. }) if message.contains(expected) => Ok(()),
            other => Err(Failure::unexpected(
                "a panic of those who wait",
                format!("{other:?}"),
            )),
        }
    });
    suite.case("channels/cancelled_while_full", |t| {
        let channel = t.accelerator.channel(4)?;
        if !channel.is_live() {
            return Err(Failure::Inapplicable("the host can't see what runs"));
        }
        let launch = t.accelerator.launch(counting, 10, (10, &channel))?;
        // Something has been sent: the launch runs.
        channel.receive(&launch);
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
