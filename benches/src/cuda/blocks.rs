//! Parallel building blocks beside CUB's. Ours make a new buffer for their result each time.

use anyhow::ensure;
use legionella::prelude::*;

use super::peer::Memory;
use crate::data::{integers, numbers, same};
use crate::{Bench, MILLI};

/// The sum of 2^28 floats, each side in its own order.
pub fn reduce(bench: &mut Bench) -> anyhow::Result<()> {
    let some = numbers(1, 1 << 20);
    let x: Vec<f32> = (0..1 << 28).map(|i| some[i % some.len()]).collect();
    let buffer = bench.accelerator.upload(&x)?;
    let (px, out) = (
        Memory::of(&bench.peer, &x)?,
        Memory::of(&bench.peer, &[0.0f32])?,
    );
    let (mut ours, mut theirs) = (0.0, Vec::new());
    bench.rows.time(
        "reduce 2^28 (peer: CUB)",
        MILLI,
        || {
            ours = buffer.par().sum()?;
            Ok(())
        },
        || {
            // SAFETY: as many elements, and one.
            let code = unsafe { (bench.peer.reduce)(px.start(), out.start(), x.len()) };
            theirs = out.to_vec().unwrap_or_default();
            code
        },
    )?;
    let near = theirs.iter().all(|peer| (peer - ours).abs() < 1e-4 * peer);
    ensure!(near && theirs.len() == 1, "{ours} instead of {theirs:?}");
    Ok(())
}

/// What a block makes of integers, as many as there are.
fn of_integers(
    bench: &mut Bench,
    name: &str,
    len: usize,
    block: impl Fn(&Buffer<u32>) -> legionella::Result<Buffer<u32>>,
    peer: unsafe extern "C" fn(*const u32, *mut u32, usize) -> i32,
) -> anyhow::Result<()> {
    let x = integers(len);
    let buffer = bench.accelerator.upload(&x)?;
    let (px, out) = (Memory::of(&bench.peer, &x)?, Memory::of(&bench.peer, &x)?);
    let mut ours = None;
    bench.rows.time(
        name,
        MILLI,
        || {
            ours = None;
            ours = Some(block(&buffer)?);
            Ok(())
        },
        // SAFETY: both have that many elements.
        || unsafe { peer(px.start(), out.start(), len) },
    )?;
    let ours = ours.map(|results| results.to_vec()).transpose()?;
    same(&ours.unwrap_or_default(), &out.to_vec()?)
}

/// Running sums of 2^28 integers.
pub fn scan(bench: &mut Bench) -> anyhow::Result<()> {
    let block = |x: &Buffer<u32>| x.par().inclusive_scan(u32::wrapping_add);
    let peer = bench.peer.scan;
    of_integers(bench, "scan 2^28 (peer: CUB)", 1 << 28, block, peer)
}

/// 2^26 integers in order.
pub fn sort(bench: &mut Bench) -> anyhow::Result<()> {
    let peer = bench.peer.sort;
    of_integers(
        bench,
        "sort 2^26 (peer: CUB)",
        1 << 26,
        |x| x.par().sort(),
        peer,
    )
}

/// How often each byte is among 2^28.
pub fn histogram(bench: &mut Bench) -> anyhow::Result<()> {
    let x: Vec<u8> = integers(1 << 26)
        .into_iter()
        .flat_map(u32::to_le_bytes)
        .collect();
    let buffer = bench.accelerator.upload(&x)?;
    let (px, out) = (
        Memory::of(&bench.peer, &x)?,
        Memory::of(&bench.peer, &[0u64; 256])?,
    );
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    bench.rows.time(
        "histogram 2^28 (peer: CUB)",
        MILLI,
        || {
            ours = buffer.par().map(usize::from).histogram(256)?.to_vec()?;
            Ok(())
        },
        || {
            // SAFETY: as many elements, and 256 counts.
            let code = unsafe { (bench.peer.histogram)(px.start(), out.start(), x.len()) };
            theirs = out.to_vec().unwrap_or_default();
            code
        },
    )?;
    same(&ours, &theirs)
}
