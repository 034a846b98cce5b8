//! Graphs: what is recorded once and replayed, compared with the same launched one by one on the host; and
//! copies and fills, alone and in graphs.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

use legionella::prelude::*;
use legionella::printing::Printed;
use legionella::{Completion, Error, host};

use crate::suite::Suite;
use crate::trial::{Failure, Trial, Verdict};
use crate::values::values;

/// Replays in a row: more than there are instances of a graph at a time.
const MANY: usize = 20;

fn mix(at: Item, by: u32, x: &[u32], mut y: Disjoint<u32>) {
    if let Some(y) = y.at(&at) {
        let next = x[(at.global() + 1) % x.len()];
        *y = x[at.global()].rotate_left(by) ^ next.wrapping_mul(0x9e37_79b9);
    }
}

fn add_one(at: Item, mut y: Disjoint<u32>) {
    if let Some(y) = y.at(&at) {
        *y += 1;
    }
}

/// Sums of groups, in memory whose size the launch gives.
fn sums(group: Group, x: &[u32], tile: Shared<[u32]>, mut y: Disjoint<u32>) {
    let tile = group.sync(tile.fill(|i| x.get(group.first()[0] + i).copied().unwrap_or(0)));
    if let Some(y) = y.at(group.item()) {
        *y = tile.iter().fold(0, |a, b| a.wrapping_add(*b));
    }
}

/// An argument block that is too large to be passed by value.
fn large(at: Item, table: [u64; 600], mut y: Disjoint<u64>) {
    if let Some(y) = y.at(&at) {
        *y = table[at.global() % table.len()].wrapping_add(*y);
    }
}

fn tell(at: Item, number: u32, to: Sender<[u32; 2]>) {
    to.send([number, at.global() as u32]);
}

fn limited(at: Item, limit: &[u32], mut y: Disjoint<u32>) {
    if let Some(y) = y.at(&at) {
        assert!(*y < limit[0], "{y} is too much");
        *y += 1;
    }
}

fn odd(at: Item, first: u32, mut y: Disjoint<u32>) {
    if let Some(y) = y.at(&at) {
        let item = at.global() as u32;
        assert!(item != first, "item {item} gives up");
        *y = item;
    }
}

fn say(at: Item, text: u32) {
    if at.global() < 3 {
        legionella::println!("{text} by {}", at.global());
    }
}

fn same<T: PartialEq + Debug>(expected: &[T], found: &[T]) -> Verdict {
    match expected.iter().zip(found).position(|(a, b)| a != b) {
        None if expected.len() == found.len() => Ok(()),
        None => Err(Failure::unexpected(expected.len(), found.len())),
        Some(at) => Err(Failure::unexpected(
            format!("{:?} at {at}", expected[at]),
            format!("{:?}", found[at]),
        )),
    }
}

fn panicked(outcome: legionella::Result<()>, text: &str, item: usize) -> Verdict {
    match outcome {
        Err(Error::KernelPanicked {
            message,
            source_location,
            item: [found, 0, 0],
            ..
        }) if message == text && found == item && source_location.file.ends_with("graphs.rs") => {
            Ok(())
        }
        other => Err(Failure::unexpected(
            format!("`{text}` of item {item} in graphs.rs"),
            format!("{other:?}"),
        )),
    }
}

impl Trial<'_> {
    /// The lines that launches print, in an order of their own.
    fn lines(
        &self,
        launch: impl FnOnce() -> legionella::Result<()>,
    ) -> Result<Vec<String>, Failure> {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let to = Arc::clone(&lines);
        self.accelerator.on_print(move |printed| {
            if let Printed::Text { text, .. } = printed {
                let mut lines = to.lock().unwrap_or_else(PoisonError::into_inner);
                lines.push(text.to_owned());
            }
        })?;
        launch()?;
        let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.sort();
        Ok(std::mem::take(&mut lines))
    }

    /// Fills a part of a buffer, copies that on, and compares; at once and by a graph.
    fn transfers<T: DeviceData + PartialEq + Debug>(&self, old: T, new: T) -> Verdict {
        let accelerator = self.accelerator;
        let mut expected = vec![old; 1000];
        expected[10..700].fill(new);
        let mut copied = vec![old; 1000];
        copied[3..403].copy_from_slice(&expected[300..700]);
        for recorded in [false, true] {
            let mut x = accelerator.filled(1000, old)?;
            let mut y = accelerator.filled(1000, old)?;
            if recorded {
                let graph = accelerator.record(|recorder| {
                    recorder.fill(x.slice_mut(10..700)?, new)?;
                    recorder.copy(x.slice(300..700)?, y.slice_mut(3..403)?)
                })?;
                graph.replay()?;
                graph.replay()?.wait()?;
            } else {
                accelerator.fill(x.slice_mut(10..700)?, new)?;
                accelerator.copy(x.slice(300..700)?, y.slice_mut(3..403)?)?;
            }
            same(&copied, &y.to_vec()?)?;
            same(&expected, &x.to_vec()?)?;
        }
        Ok(())
    }
}

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    suite.case("graphs/steps", |t| {
        let mut x = values::<u32>(3000);
        let mut y = vec![0u32; x.len()];
        let (mut on_x, mut on_y) = (t.accelerator.upload(&x)?, t.accelerator.upload(&y)?);
        let len = x.len();
        let graph = t.accelerator.record(|recorder| {
            recorder.launch(mix, len, (3, &on_x, &mut on_y))?;
            recorder.launch(mix, len, (7, &on_y, &mut on_x))?;
            recorder.launch(mix, Grid::over(len).group(64), (11, &on_x, &mut on_y))?;
            recorder.launch(mix, len, (13, &on_y, &mut on_x))
        })?;
        if graph.len() != 4 {
            return Err(Failure::unexpected(4, graph.len()));
        }
        for round in 0..MANY {
            graph.replay()?;
            host::launch(mix, len, (3, &x, &mut y));
            host::launch(mix, len, (7, &y, &mut x));
            host::launch(mix, len, (11, &x, &mut y));
            host::launch(mix, len, (13, &y, &mut x));
            if round % 7 == 0 {
                same(&x, &on_x.to_vec()?)?;
            }
        }
        same(&x, &on_x.to_vec()?)?;
        same(&y, &on_y.to_vec()?)
    });
    suite.case("graphs/nothing", |t| {
        let graph = t.accelerator.record(|recorder| {
            let mut none = recorder.accelerator().zeroed::<u32>(0)?;
            recorder.launch(add_one, 0, (&mut none,))?;
            recorder.fill(&mut none, 7)
        })?;
        graph.replay()?.wait()?;
        match graph.is_empty() {
            true => Ok(()),
            false => Err(Failure::unexpected("an empty graph", graph.len())),
        }
    });
    suite.case("graphs/branches", |t| {
        let x = values::<u32>(5000);
        let (len, part) = (x.len(), 1000);
        let input = t.accelerator.upload(&x)?;
        let mut mixed = t.accelerator.zeroed::<u32>(len)?;
        let mut out = t.accelerator.zeroed::<u32>(len)?;
        let graph = t.accelerator.record(|recorder| {
            for (number, start) in (0..len).step_by(part).enumerate() {
                let from = input.slice(start..start + part)?;
                let to = mixed.slice_mut(start..start + part)?;
                recorder.launch(mix, part, (number as u32, from, to))?;
            }
            recorder.launch(mix, len, (5, &mixed, &mut out))
        })?;
        graph.replay()?.wait()?;
        let mut expected = vec![0; len];
        for (number, (from, to)) in x.chunks(part).zip(expected.chunks_mut(part)).enumerate() {
            host::launch(mix, part, (number as u32, from, to));
        }
        let mut last = vec![0; len];
        host::launch(mix, len, (5, &expected, &mut last));
        same(&last, &out.to_vec()?)
    });
    suite.case("graphs/groups", |t| {
        let x = values::<u32>(777);
        let (input, mut out) = (t.accelerator.upload(&x)?, t.accelerator.zeroed::<u32>(777)?);
        let grid = Grid::over(777).group(32);
        let graph = t
            .accelerator
            .record(|recorder| recorder.launch(sums, grid, (&input, shared_slice(32), &mut out)))?;
        graph.replay()?;
        let mut expected = vec![0; 777];
        host::launch(sums, grid, (&x, host::shared_slice(32), &mut expected));
        same(&expected, &out.to_vec()?)
    });
    suite.case("graphs/large_arguments", |t| {
        let table = std::array::from_fn(|i| (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut out = t.accelerator.zeroed::<u64>(700)?;
        let graph = t
            .accelerator
            .record(|recorder| recorder.launch(large, 700, (table, &mut out)))?;
        let mut expected = vec![0; 700];
        for _ in 0..3 {
            graph.replay()?;
            host::launch(large, 700, (table, &mut expected));
        }
        same(&expected, &out.to_vec()?)
    });
    suite.case("graphs/in_a_row", |t| {
        let mut y = t.accelerator.zeroed::<u32>(100)?;
        let graph = t.accelerator.record(|recorder| {
            recorder.launch(add_one, 100, (&mut y,))?;
            recorder.launch(add_one, 100, (&mut y,))
        })?;
        for _ in 0..MANY {
            graph.replay()?;
        }
        t.accelerator.launch(add_one, 100, (&mut y,))?;
        same(&[2 * MANY as u32 + 1; 100], &y.to_vec()?)
    });
    suite.case("graphs/side_by_side", |t| {
        let channel = t.accelerator.channel(8192)?;
        let graph = t.accelerator.record(|recorder| {
            recorder.launch(tell, 10, (1, &channel))?;
            recorder.launch(tell, 10, (2, &channel))
        })?;
        let replays: Vec<Completion> = (0..MANY)
            .map(|_| graph.replay())
            .collect::<Result<_, _>>()?;
        replays.iter().try_for_each(Completion::wait)?;
        let mut found: Vec<_> = std::iter::from_fn(|| channel.try_receive()).collect();
        found.sort_unstable();
        let items = (0..10).flat_map(|item| std::iter::repeat_n(item, MANY));
        let items: Vec<u32> = items.collect();
        let expected = [1, 2].map(|number| items.iter().map(move |item| [number, *item]));
        same(&expected.into_iter().flatten().collect::<Vec<_>>(), &found)
    });
    suite.case("graphs/queues", |t| {
        let mut y = t.accelerator.zeroed::<u32>(100)?;
        let graph = t
            .accelerator
            .record(|recorder| recorder.launch(add_one, 100, (&mut y,)))?;
        let queue = t.accelerator.queue();
        let first = queue.replay(&graph)?;
        queue.replay(&graph)?;
        let last = t.accelerator.after([&first]).replay(&graph)?;
        queue.wait()?;
        last.wait()?;
        same(&[3; 100], &y.to_vec()?)
    });
    suite.case("graphs/without_buffers", |t| {
        let channel = t.accelerator.channel(128)?;
        let graph = {
            let mut y = t.accelerator.zeroed::<u32>(100)?;
            t.accelerator.record(|recorder| {
                recorder.launch(add_one, 100, (&mut y,))?;
                recorder.launch(tell, 3, (9, &channel))
            })?
        };
        let other = t.accelerator.filled(100, 5u32)?;
        graph.replay()?.wait()?;
        same(&[5; 100], &other.to_vec()?)?;
        let mut found: Vec<_> = std::iter::from_fn(|| channel.try_receive()).collect();
        found.sort_unstable();
        same(&[[9, 0], [9, 1], [9, 2]], &found)
    });
    suite.case("graphs/panic", |t| {
        let mut limit = t.accelerator.upload(&[3u32])?;
        let mut y = t.accelerator.upload(&[0u32, 0, 2, 0])?;
        let mut after = t.accelerator.zeroed::<u32>(4)?;
        let graph = t.accelerator.record(|recorder| {
            recorder.launch(limited, Grid::over(4).group(1), (&limit, &mut y))?;
            recorder.launch(add_one, 4, (&mut after,))
        })?;
        graph.replay()?.wait()?;
        for _ in 0..2 {
            panicked(graph.replay()?.wait(), "3 is too much", 2)?;
        }
        same(&[3, 3, 3, 3], &y.to_vec()?)?;
        same(&[3; 4], &after.to_vec()?)?;
        limit.write(&[9])?;
        graph.replay()?.wait()?;
        same(&[4; 4], &y.to_vec()?)
    });
    suite.case("graphs/panic_unheard", |t| {
        let mut y = t.accelerator.zeroed::<u32>(8)?;
        let graph = t
            .accelerator
            .record(|recorder| recorder.launch(odd, Grid::over(8).group(1), (5, &mut y)))?;
        drop(graph.replay()?);
        panicked(y.to_vec().map(|_| ()), "item 5 gives up", 5)?;
        same(&[0, 1, 2, 3, 4, 0, 6, 7], &y.to_vec()?)
    });
    suite.case("graphs/panics_in_a_row", |t| {
        let (mut y, mut z) = (
            t.accelerator.zeroed::<u32>(40)?,
            t.accelerator.zeroed::<u32>(40)?,
        );
        let graph = t.accelerator.record(|recorder| {
            recorder.launch(add_one, 40, (&mut z,))?;
            recorder.launch(odd, 40, (33, &mut y))?;
            recorder.launch(odd, 40, (34, &mut y))
        })?;
        let replays: Vec<Completion> = (0..MANY)
            .map(|_| graph.replay())
            .collect::<Result<_, _>>()?;
        for replay in replays {
            panicked(replay.wait(), "item 33 gives up", 33)?;
        }
        same(&[MANY as u32; 40], &z.to_vec()?)
    });
    suite.case("graphs/cancelled", |t| {
        let channel = t.accelerator.channel(4)?;
        if !channel.is_live() {
            return Err(Failure::Inapplicable("the host can't see what runs"));
        }
        let graph = t
            .accelerator
            .record(|recorder| recorder.launch(tell, 1000, (1, &channel)))?;
        let replay = graph.replay()?;
        // Something has been sent: it runs.
        channel.receive(&replay);
        replay.cancel();
        match replay.wait() {
            Err(Error::Cancelled { .. }) => {}
            other => {
                return Err(Failure::unexpected(
                    "a cancelled replay",
                    format!("{other:?}"),
                ));
            }
        }
        while channel.try_receive().is_some() {}
        let again = graph.replay()?;
        let count = channel.iter(&again).count();
        again.wait()?;
        same(&[1000], &[count])
    });
    suite.case("graphs/prints", |t| {
        let graph = t.accelerator.record(|recorder| {
            recorder.launch(say, 40, (1,))?;
            recorder.launch(say, 40, (2,))
        })?;
        let heard = t.lines(|| graph.replay()?.wait())?;
        let expected = [1, 2].map(|text| [0, 1, 2].map(|item| format!("{text} by {item}\n")));
        same(&expected.concat(), &heard)
    });
    suite.case("graphs/threads", |t| {
        let mut y = t.accelerator.zeroed::<u32>(100)?;
        let mut z = t.accelerator.zeroed::<u32>(100)?;
        let graph = t.accelerator.record(|recorder| {
            recorder.launch(add_one, 100, (&mut y,))?;
            recorder.copy(&y, &mut z)
        })?;
        std::thread::scope(|scope| {
            let replay = || (0..MANY).try_for_each(|_| graph.replay().map(drop));
            let look = || {
                (0..MANY).try_for_each(|_| {
                    let all = z.to_vec()?;
                    // The host never sees half of a replay.
                    match all.iter().all(|one| *one == all[0]) {
                        true => Ok(()),
                        false => Err(Failure::unexpected("equal elements", format!("{all:?}"))),
                    }
                })
            };
            let replaying = [scope.spawn(replay), scope.spawn(replay)];
            look()?;
            for thread in replaying {
                match thread.join() {
                    Ok(replayed) => replayed?,
                    Err(_) => return Err(Failure::unexpected("a replay", "a panic")),
                }
            }
            Ok(())
        })?;
        same(&[2 * MANY as u32; 100], &z.to_vec()?)
    });
    suite.case("graphs/transfers", |t| {
        t.transfers(1u8, 2)?;
        t.transfers(1u16, 0x1234)?;
        t.transfers(0u32, 0x1234_5678)?;
        t.transfers(7u64, 0x1234_5678_9abc_def0)?;
        t.transfers([0u32; 3], [1, 2, 3])?;
        t.transfers([0.5f64; 2], [f64::MIN, 1e-310])
    });
    suite.case("graphs/wrong_length", |t| {
        let x = t.accelerator.zeroed::<u32>(3)?;
        let mut y = t.accelerator.zeroed::<u32>(4)?;
        let recorded = t.accelerator.record(|recorder| recorder.copy(&x, &mut y));
        match (recorded, t.accelerator.copy(&x, &mut y)) {
            (Err(Error::SizeMismatch { .. }), Err(Error::SizeMismatch { .. })) => Ok(()),
            other => Err(Failure::unexpected("two errors", format!("{other:?}"))),
        }
    });
}
