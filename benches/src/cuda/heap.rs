//! Allocations in kernels: by the accelerator's heap, and by the `malloc` of CUDA's device code.
//!
//! The task is that of M. Winter et al., "Are Dynamic Memory Managers on GPUs Slow? A Survey and
//! Benchmarks" (PPoPP 2021), section 4.1: each work-item of one launch allocates an object, and each of
//! another frees one. What is timed is from before the launch to its end. Objects of several sizes at
//! once are a third task, each work-item with a few of its own that come and go.

use std::time::{Duration, Instant};

use anyhow::ensure;
use legionella::prelude::*;

use super::measure::median;
use super::peer::{Memory, Peer, check};
use super::report::Row;

/// Bytes of both heaps.
const HEAP: usize = 4 << 30;

/// Most time for a contestant's turns, once there have been enough of them.
const TIME: Duration = Duration::from_millis(400);
const TURNS: usize = 3;
const MOST_TURNS: usize = 41;

/// Rounds of what comes and goes.
const ROUNDS: usize = 32;

fn take<const SIZE: usize>(at: Item, mut out: Disjoint<usize>) {
    let object = Box::<[u8; SIZE]>::new_uninit();
    if let Some(out) = out.at(&at) {
        let object = Box::into_raw(object).cast::<u8>();
        // SAFETY: the object has a first byte.
        unsafe { object.write(1) };
        *out = object.expose_provenance();
    }
}

/// # Safety
/// The addresses are those of [`take`] for the same size, and each was given back at most once.
unsafe fn give<const SIZE: usize>(at: Item, objects: &[usize]) {
    let object = std::ptr::with_exposed_provenance_mut::<[u8; SIZE]>(objects[at.global()]);
    // SAFETY: the caller's promise; every byte value is one of the type.
    drop(unsafe { Box::from_raw(object) });
}

/// Objects of 16 to 1024 bytes, of which four live at a time.
fn churn(at: Item, mut sum: Disjoint<u64>) {
    let mut alive: [Vec<u8>; 4] = Default::default();
    let mut random = at.global() as u32 * 2 + 1;
    let mut total = 0;
    for _ in 0..ROUNDS {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let mut new = Vec::with_capacity(16 << (random >> 29 & 7).min(6));
        new.push(random as u8);
        let old = std::mem::replace(&mut alive[random as usize >> 20 & 3], new);
        total += old.first().map_or(0, |byte| u64::from(*byte));
    }
    if let Some(sum) = sum.at(&at) {
        *sum = total;
    }
}

/// Times of several turns of two launches, of which the second undoes the first.
fn turns(
    mut take: impl FnMut() -> anyhow::Result<()>,
    mut give: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<[f64; 2]> {
    take()?;
    give()?;
    let (mut takes, mut gives) = (Vec::new(), Vec::new());
    let start = Instant::now();
    while takes.len() < TURNS || (start.elapsed() < TIME && takes.len() < MOST_TURNS) {
        let before = Instant::now();
        take()?;
        takes.push(before.elapsed().as_secs_f64());
        let before = Instant::now();
        give()?;
        gives.push(before.elapsed().as_secs_f64());
    }
    Ok([median(&mut takes), median(&mut gives)])
}

fn objects<const SIZE: usize>(
    with_heap: &Accelerator,
    peer: &Peer,
    items: usize,
) -> anyhow::Result<[Row; 2]> {
    let mut out = with_heap.zeroed::<usize>(items)?;
    let ours = {
        let out = std::cell::RefCell::new(&mut out);
        turns(
            || {
                let mut out = out.borrow_mut();
                let launch = with_heap.launch(take::<SIZE>, items, (&mut **out,))?;
                Ok(launch.wait()?)
            },
            || {
                let out = out.borrow();
                let kernel = |at: Item, objects: &[usize]| {
                    // SAFETY: what the launch before has taken, once.
                    unsafe { give::<SIZE>(at, objects) }
                };
                Ok(with_heap.launch(kernel, items, (&**out,))?.wait()?)
            },
        )?
    };
    let mut places = out.to_vec()?;
    places.sort_unstable();
    let apart = places.windows(2).all(|pair| pair[0] + SIZE <= pair[1]);
    ensure!(apart && places[0] != 0, "objects overlap");

    let addresses = Memory::of(peer, &places)?;
    let theirs = turns(
        // SAFETY: the memory has that many addresses.
        || check(unsafe { (peer.heap_take)(addresses.start(), SIZE, items) }),
        // SAFETY: as above.
        || check(unsafe { (peer.heap_give)(addresses.start(), items) }),
    )?;
    let row = |what: &str, index: usize| Row {
        bench: format!("heap {what} {SIZE} B x {items}"),
        target: "cuda".to_owned(),
        ours: ours[index] * 1e6,
        peer: theirs[index] * 1e6,
        unit: "µs",
    };
    Ok([row("take", 0), row("give", 1)])
}

fn mixed(with_heap: &Accelerator, peer: &Peer, items: usize) -> anyhow::Result<Row> {
    let mut sum = with_heap.zeroed(items)?;
    let [ours, _] = turns(
        || Ok(with_heap.launch(churn, items, (&mut sum,))?.wait()?),
        || Ok(()),
    )?;
    let memory = Memory::of(peer, &vec![0u64; items])?;
    let [theirs, _] = turns(
        // SAFETY: the memory has that many numbers.
        || check(unsafe { (peer.heap_churn)(memory.start(), ROUNDS as u32, items) }),
        || Ok(()),
    )?;
    ensure!(sum.to_vec()? == memory.to_vec()?, "different results");
    Ok(Row {
        bench: format!("heap churn, {} objects", items * ROUNDS),
        target: "cuda".to_owned(),
        ours: ours * 1e6,
        peer: theirs * 1e6,
        unit: "µs",
    })
}

/// The benchmark.
pub fn run(accelerator: &Accelerator, peer: &Peer) -> anyhow::Result<Vec<Row>> {
    let with_heap = accelerator.with_heap(HEAP)?;
    // SAFETY: it takes a number.
    check(unsafe { (peer.heap_size)(HEAP) })?;
    let mut rows = Vec::new();
    rows.extend(objects::<16>(&with_heap, peer, 100_000)?);
    rows.extend(objects::<64>(&with_heap, peer, 100_000)?);
    rows.extend(objects::<256>(&with_heap, peer, 100_000)?);
    rows.extend(objects::<1024>(&with_heap, peer, 100_000)?);
    rows.extend(objects::<8192>(&with_heap, peer, 100_000)?);
    rows.extend(objects::<16>(&with_heap, peer, 1 << 20)?);
    rows.extend(objects::<64>(&with_heap, peer, 1 << 20)?);
    rows.extend(objects::<256>(&with_heap, peer, 1 << 20)?);
    rows.push(mixed(&with_heap, peer, 1 << 16)?);
    let heap = with_heap.heap()?;
    let clean = heap.is_some_and(|heap| heap.objects == 0 && heap.refused == 0);
    ensure!(clean, "the heap is not as it was: {heap:?}");
    Ok(rows)
}
