//! Parallel building blocks beside `rayon` code of the same algorithm, each with a new buffer or vector
//! for its result.

use anyhow::ensure;

use crate::Bench;
use crate::compute::row;
use crate::data::{numbers, same};
use crate::measure::side_by_side;
use crate::report::Row;

/// Elements.
const LEN: usize = 1 << 24;

/// Integers of any bits that are the same in every run.
fn integers() -> Vec<u32> {
    let mut state = 1u64;
    let next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 32) as u32
    };
    std::iter::repeat_with(next).take(LEN).collect()
}

/// The sum of 16 Mi floats, in the same order on both sides.
pub fn reduce(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let x = numbers(1, LEN);
    let buffer = bench.accelerator.upload(&x)?;
    let (mut ours, mut peers) = (0.0, 0.0);
    let times = side_by_side(
        || {
            ours = buffer.par().sum()?;
            Ok(())
        },
        // SAFETY: the elements of a vector.
        || peers = unsafe { (bench.peer.reduce)(x.as_ptr(), x.len()) },
    )?;
    same(&[ours], &[peers])?;
    Ok(row(bench, "reduce", times))
}

/// What a peer makes of integers: as many, all of which it writes.
fn written_by(peer: unsafe extern "C" fn(*const u32, *mut u32, usize), x: &[u32]) -> Vec<u32> {
    let mut results = Vec::with_capacity(x.len());
    // SAFETY: there is room for as many elements as there are, and all are written.
    unsafe {
        peer(x.as_ptr(), results.as_mut_ptr(), x.len());
        results.set_len(x.len());
    }
    results
}

/// Running sums of 16 Mi integers.
pub fn scan(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let x = integers();
    let buffer = bench.accelerator.upload(&x)?;
    let mut ours = None;
    let mut peers = Vec::new();
    let times = side_by_side(
        || {
            ours = Some(buffer.par().inclusive_scan(u32::wrapping_add)?);
            Ok(())
        },
        || peers = written_by(bench.peer.scan, &x),
    )?;
    let ours = ours.map(|sums| sums.to_vec()).transpose()?;
    same(&ours.unwrap_or_default(), &peers)?;
    Ok(row(bench, "scan", times))
}

/// 16 Mi integers in order.
pub fn sort(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let x = integers();
    let buffer = bench.accelerator.upload(&x)?;
    let mut ours = None;
    let mut peers = Vec::new();
    let times = side_by_side(
        || {
            ours = Some(buffer.par().sort()?);
            Ok(())
        },
        || peers = written_by(bench.peer.sort, &x),
    )?;
    let ours = ours.map(|sorted| sorted.to_vec()).transpose()?;
    ensure!(peers.is_sorted(), "the peer doesn't sort");
    same(&ours.unwrap_or_default(), &peers)?;
    Ok(row(bench, "sort", times))
}

/// How often each byte is among 64 Mi.
pub fn histogram(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let x: Vec<u8> = integers().into_iter().flat_map(u32::to_le_bytes).collect();
    let buffer = bench.accelerator.upload(&x)?;
    let (mut ours, mut peers) = (Vec::new(), vec![0u64; 256]);
    let times = side_by_side(
        || {
            ours = buffer.par().map(usize::from).histogram(256)?.to_vec()?;
            Ok(())
        },
        // SAFETY: the elements of a vector, and room for 256 counts.
        || unsafe { (bench.peer.histogram)(x.as_ptr(), x.len(), peers.as_mut_ptr()) },
    )?;
    same(&ours, &peers)?;
    Ok(row(bench, "histogram", times))
}

/// Half of 16 Mi integers, in their order.
pub fn filter(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let x = integers();
    let buffer = bench.accelerator.upload(&x)?;
    let mut ours = None;
    let mut peers = Vec::new();
    let times = side_by_side(
        || {
            ours = Some(buffer.par().filter(|x| *x < 1 << 31).collect()?);
            Ok(())
        },
        || {
            peers = Vec::with_capacity(x.len());
            // SAFETY: there is room for as many as there are, and as many are written as it says.
            unsafe {
                let kept = (bench.peer.filter)(x.as_ptr(), peers.as_mut_ptr(), x.len());
                peers.set_len(kept);
            }
        },
    )?;
    let ours = ours.map(|kept| kept.to_vec()).transpose()?;
    same(&ours.unwrap_or_default(), &peers)?;
    Ok(row(bench, "filter", times))
}

/// A matrix of 8,192 by 2,048 integers, turned round.
pub fn transpose(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let (width, height) = (8_192, LEN / 8_192);
    let x = integers();
    let buffer = bench.accelerator.upload(&x)?;
    let mut ours = None;
    let mut peers = Vec::new();
    let times = side_by_side(
        || {
            ours = Some(buffer.par().transpose([width, height])?);
            Ok(())
        },
        || {
            peers = Vec::with_capacity(x.len());
            // SAFETY: there is room for as many as there are, all of which are written; both extents
            // are multiples of 32.
            unsafe {
                (bench.peer.transpose)(x.as_ptr(), peers.as_mut_ptr(), width, height);
                peers.set_len(x.len());
            }
        },
    )?;
    let ours = ours.map(|turned| turned.to_vec()).transpose()?;
    same(&ours.unwrap_or_default(), &peers)?;
    Ok(row(bench, "transpose", times))
}

/// The 100 largest of 16 Mi integers.
pub fn top(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let x = integers();
    let buffer = bench.accelerator.upload(&x)?;
    let (mut ours, mut peers) = (Vec::new(), vec![0; 100]);
    let times = side_by_side(
        || {
            ours = buffer.par().top(100)?.to_vec()?;
            Ok(())
        },
        // SAFETY: the elements of a vector, and room for those that are asked for.
        || unsafe {
            (bench.peer.top)(x.as_ptr(), x.len(), peers.as_mut_ptr(), peers.len());
        },
    )?;
    same(&ours, &peers)?;
    Ok(row(bench, "top", times))
}
