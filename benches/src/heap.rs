//! Allocations in kernels: by the device's own heap, and by the accelerator's usual allocator (on the
//! CPU, the program's), which is the peer.
//!
//! Each work-item allocates a number of objects, writes to each, and then frees them. What is
//! counted is an allocation with the write and the release.

use anyhow::ensure;
use legionella::prelude::*;

use crate::Bench;
use crate::measure::side_by_side;
use crate::report::Row;

/// Work-items of a launch.
const ITEMS: usize = 1 << 14;

/// Objects that an item holds at once.
const OBJECTS: usize = 32;

/// Bytes of the heap.
const HEAP: usize = 256 << 20;

fn objects<const SIZE: usize>(at: Item, mut sum: Disjoint<u64>) {
    let all: [Box<[u8; SIZE]>; OBJECTS] = std::array::from_fn(|index| {
        let mut object = Box::<[u8; SIZE]>::new_uninit();
        // SAFETY: every byte value is one of the type; the first is written, and only that is read.
        let mut object = unsafe {
            object.as_mut_ptr().cast::<u8>().write(index as u8);
            object.assume_init()
        };
        std::hint::black_box(&mut object);
        object
    });
    if let Some(sum) = sum.at(&at) {
        *sum = all.iter().map(|object| u64::from(object[0])).sum();
    }
}

fn row<const SIZE: usize>(bench: &Bench, with_heap: &Accelerator) -> anyhow::Result<Row> {
    let mut ours_sum = with_heap.zeroed(ITEMS)?;
    let mut peer_sum = bench.accelerator.zeroed(ITEMS)?;
    let mut failed = None;
    let (ours, peer) = side_by_side(
        || {
            Ok(with_heap
                .launch(objects::<SIZE>, ITEMS, (&mut ours_sum,))?
                .wait()?)
        },
        || {
            let launch = bench
                .accelerator
                .launch(objects::<SIZE>, ITEMS, (&mut peer_sum,));
            failed = launch.and_then(|launch| launch.wait()).err();
        },
    )?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    ensure!(
        ours_sum.to_vec()? == peer_sum.to_vec()?,
        "different results"
    );
    let each = 1e9 / (ITEMS * OBJECTS) as f64;
    Ok(Row {
        bench: format!("heap-{SIZE}"),
        target: bench.accelerator.name().to_owned(),
        ours: ours * each,
        peer: peer * each,
        unit: "ns",
    })
}

/// The benchmark.
pub fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let with_heap = bench.accelerator.with_heap(HEAP)?;
    Ok(vec![
        row::<16>(bench, &with_heap)?,
        row::<64>(bench, &with_heap)?,
        row::<256>(bench, &with_heap)?,
        row::<1024>(bench, &with_heap)?,
        row::<8192>(bench, &with_heap)?,
    ])
}
