//! Parallel building blocks beside `rayon` code of the same algorithm, each with a new buffer or vector
//! for its result.

use anyhow::ensure;
use legionella::prelude::*;

use crate::Bench;
use crate::compute::row;
use crate::data::{integers, numbers, same};
use crate::measure::side_by_side;
use crate::report::Row;

/// Elements.
const LEN: usize = 1 << 24;

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

/// What a peer makes of integers.
///
/// # Safety
/// Given integers and room for as many, the peer writes as many from the first on as it says.
unsafe fn written_by(
    x: &[u32],
    peer: impl FnOnce(*const u32, *mut u32, usize) -> usize,
) -> Vec<u32> {
    let mut results = Vec::with_capacity(x.len());
    let written = peer(x.as_ptr(), results.as_mut_ptr(), x.len());
    // SAFETY: the caller's promise.
    unsafe { results.set_len(written) };
    results
}

/// A block that makes integers of 16 Mi others, beside its peer; gives what both made as well.
fn of_integers(
    bench: &Bench,
    name: &str,
    block: impl Fn(&Buffer<u32>) -> legionella::Result<Buffer<u32>>,
    peer: impl Fn(&[u32]) -> Vec<u32>,
) -> anyhow::Result<(Vec<Row>, Vec<u32>)> {
    let x = integers(LEN);
    let buffer = bench.accelerator.upload(&x)?;
    let mut ours = None;
    let mut peers = Vec::new();
    let times = side_by_side(
        || {
            ours = Some(block(&buffer)?);
            Ok(())
        },
        || peers = peer(&x),
    )?;
    let ours = ours.map(|results| results.to_vec()).transpose()?;
    same(&ours.unwrap_or_default(), &peers)?;
    Ok((row(bench, name, times), peers))
}

/// Running sums of 16 Mi integers.
pub fn scan(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let peer = |x: *const u32, out, len| {
        // SAFETY: the elements of a vector, and room for as many.
        unsafe { (bench.peer.scan)(x, out, len) };
        len
    };
    let block = |x: &Buffer<u32>| x.par().inclusive_scan(u32::wrapping_add);
    // SAFETY: all are written.
    let (rows, _) = of_integers(bench, "scan", block, |x| unsafe { written_by(x, peer) })?;
    Ok(rows)
}

/// 16 Mi integers in order.
pub fn sort(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let peer = |x: *const u32, out, len| {
        // SAFETY: the elements of a vector, and room for as many.
        unsafe { (bench.peer.sort)(x, out, len) };
        len
    };
    let block = |x: &Buffer<u32>| x.par().sort();
    // SAFETY: all are written.
    let (rows, sorted) = of_integers(bench, "sort", block, |x| unsafe { written_by(x, peer) })?;
    ensure!(sorted.is_sorted(), "the peer doesn't sort");
    Ok(rows)
}

/// How often each byte is among 64 Mi.
pub fn histogram(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let x: Vec<u8> = integers(LEN)
        .into_iter()
        .flat_map(u32::to_le_bytes)
        .collect();
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
    // SAFETY: the elements of a vector, and room for as many.
    let peer = |x: *const u32, out, len| unsafe { (bench.peer.filter)(x, out, len) };
    let block = |x: &Buffer<u32>| x.par().filter(|x| *x < 1 << 31).collect();
    // SAFETY: as many are written as it says.
    let (rows, _) = of_integers(bench, "filter", block, |x| unsafe { written_by(x, peer) })?;
    Ok(rows)
}

/// A matrix of 8,192 by 2,048 integers, turned round.
pub fn transpose(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let (width, height) = (8_192, LEN / 8_192);
    let peer = |x: *const u32, out, len| {
        // SAFETY: the elements of a vector, and room for as many; both extents are multiples of 32.
        unsafe { (bench.peer.transpose)(x, out, width, height) };
        len
    };
    let block = |x: &Buffer<u32>| x.par().transpose([width, height]);
    // SAFETY: all are written.
    let (rows, _) = of_integers(bench, "transpose", block, |x| unsafe {
        written_by(x, peer)
    })?;
    Ok(rows)
}

/// The 100 largest of 16 Mi integers.
pub fn top(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let x = integers(LEN);
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
