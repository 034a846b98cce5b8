//! Peers of the parallel building blocks.

use std::slice::{from_raw_parts, from_raw_parts_mut};

use rayon::prelude::*;

/// Sum in rounds: blocks of rows of 32, of which each column is added up from top to bottom.
///
/// # Safety
/// The pointer is valid for `len` elements.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peer_reduce(x: *const f32, len: usize) -> f32 {
    fn columns(block: &[f32], out: &mut [f32]) {
        let (rows, rest) = block.as_chunks::<32>();
        let mut sums = [0.0; 32];
        for (number, row) in rows.iter().enumerate() {
            for (sum, x) in sums.iter_mut().zip(row) {
                *sum = if number == 0 { *x } else { *sum + x };
            }
        }
        for (column, (sum, x)) in sums.iter_mut().zip(rest).enumerate() {
            debug_assert!(column < out.len());
            *sum = if rows.is_empty() { *x } else { *sum + x };
        }
        out.copy_from_slice(&sums[..out.len()]);
    }
    // SAFETY: promised by the caller.
    let x = unsafe { from_raw_parts(x, len) };
    let round = |x: &[f32]| {
        let block = 32 * if x.len() < 1 << 22 { 64 } else { 256 };
        let blocks = x.len().div_ceil(block);
        let last = x.len() - block * blocks.saturating_sub(1);
        let mut out = vec![0.0; 32 * blocks.saturating_sub(1) + last.min(32)];
        let pairs = out.par_chunks_mut(32).zip(x.par_chunks(block));
        pairs
            .with_min_len(4)
            .for_each(|(out, block)| columns(block, out));
        out
    };
    let mut left = round(x);
    while left.len() > 32 {
        left = round(&left);
    }
    left.into_iter().reduce(|a, b| a + b).unwrap_or(0.0)
}

/// Running sums: those of chunks, then each chunk from there on.
///
/// # Safety
/// The pointers are valid for `len` elements, `out` for writes and apart from `x`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peer_scan(x: *const u32, out: *mut u32, len: usize) {
    // SAFETY: promised by the caller; all of `out` is written before it is read.
    let (x, out) = unsafe { (from_raw_parts(x, len), from_raw_parts_mut(out, len)) };
    let chunk = 1 << 14;
    let sum = |chunk: &[u32]| chunk.iter().fold(0, |sum: u32, x| sum.wrapping_add(*x));
    let mut before: Vec<u32> = x.par_chunks(chunk).map(sum).collect();
    let mut all = 0u32;
    for sum in &mut before {
        (*sum, all) = (all, all.wrapping_add(*sum));
    }
    let chunks = out.par_chunks_mut(chunk).zip(x.par_chunks(chunk));
    chunks.zip(before).for_each(|((out, x), mut all)| {
        for (out, x) in out.iter_mut().zip(x) {
            all = all.wrapping_add(*x);
            *out = all;
        }
    });
}

/// An output that tasks write at places of their own.
#[derive(Clone, Copy)]
struct Places(*mut u32);

// SAFETY: an address; those who write by it keep apart.
unsafe impl Sync for Places {}
// SAFETY: as above.
unsafe impl Send for Places {}

impl Places {
    /// # Safety
    /// `place` is within the output, and nobody else writes it.
    unsafe fn write(self, place: usize, key: u32) {
        // SAFETY: the caller's promise.
        unsafe { self.0.add(place).write(key) }
    }
}

/// Radix sort from the least significant byte on, chunks of keys in parallel.
///
/// # Safety
/// The pointers are valid for `len` elements, `out` for writes and apart from `keys`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peer_sort(keys: *const u32, out: *mut u32, len: usize) {
    // SAFETY: promised by the caller.
    let keys = unsafe { from_raw_parts(keys, len) };
    let mut scratch = Vec::with_capacity(len);
    let scratch: *mut u32 = scratch.as_mut_ptr();
    let chunk = len.div_ceil(1 << 10).max(1 << 12);
    let mut from = keys;
    for shift in [0, 8, 16, 24] {
        let to = if shift % 16 == 0 { scratch } else { out };
        let mut starts: Vec<[usize; 256]> = from
            .par_chunks(chunk)
            .map(|keys| {
                let mut counts = [0; 256];
                for key in keys {
                    counts[(key >> shift) as usize % 256] += 1;
                }
                counts
            })
            .collect();
        let mut all = 0;
        for digit in 0..256 {
            for counts in &mut starts {
                (counts[digit], all) = (all, all + counts[digit]);
            }
        }
        let places = Places(to);
        let chunks = from.par_chunks(chunk).zip(starts);
        chunks.for_each(|(keys, mut next)| {
            for &key in keys {
                let next = &mut next[(key >> shift) as usize % 256];
                // SAFETY: a chunk has as many keys of a digit as there are places up to the next start.
                unsafe { places.write(*next, key) };
                *next += 1;
            }
        });
        // SAFETY: all places have been written, and are only read until the pass after next.
        from = unsafe { from_raw_parts(to, len) };
    }
}

/// How often each byte occurs, chunks of bytes in parallel.
///
/// # Safety
/// `x` is valid for `len` bytes, `counts` for writes of 256 elements.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peer_histogram(x: *const u8, len: usize, counts: *mut u64) {
    // SAFETY: promised by the caller.
    let (x, counts) = unsafe { (from_raw_parts(x, len), from_raw_parts_mut(counts, 256)) };
    let chunk = len.div_ceil(1 << 10).max(1 << 14);
    let all = x
        .par_chunks(chunk)
        .map(|bytes| {
            let mut counts = [0u32; 256];
            for byte in bytes {
                counts[usize::from(*byte)] += 1;
            }
            counts.map(u64::from)
        })
        .reduce(
            || [0; 256],
            |a, b| std::array::from_fn(|digit| a[digit] + b[digit]),
        );
    counts.copy_from_slice(&all);
}

/// Those below 2³¹, in their order: how many each chunk has, then each chunk to its place. Gives how many
/// there are.
///
/// # Safety
/// The pointers are valid for `len` elements, `out` for writes and apart from `x`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peer_filter(x: *const u32, out: *mut u32, len: usize) -> usize {
    // SAFETY: promised by the caller; what is written of `out` is not read before.
    let (x, out) = unsafe { (from_raw_parts(x, len), from_raw_parts_mut(out, len)) };
    let keeps = |x: &&u32| **x < 1 << 31;
    let chunk = 1 << 14;
    let counts: Vec<usize> = x
        .par_chunks(chunk)
        .map(|chunk| chunk.iter().filter(keeps).count())
        .collect();
    let mut places = Vec::with_capacity(counts.len());
    let mut rest = out;
    for &count in &counts {
        let (place, behind) = rest.split_at_mut(count);
        places.push(place);
        rest = behind;
    }
    let chunks = places.into_par_iter().zip(x.par_chunks(chunk));
    chunks.for_each(|(place, chunk)| {
        for (to, from) in place.iter_mut().zip(chunk.iter().filter(keeps)) {
            *to = *from;
        }
    });
    counts.into_iter().sum()
}

/// A matrix turned round, in squares of 32, a band of the result a task.
///
/// # Safety
/// The pointers are valid for `width * height` elements, `out` for writes and apart from `x`; both
/// extents are multiples of 32.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peer_transpose(x: *const u32, out: *mut u32, width: usize, height: usize) {
    const SIDE: usize = 32;
    let len = width * height;
    // SAFETY: promised by the caller; `out` is not read.
    let (x, out) = unsafe { (from_raw_parts(x, len), from_raw_parts_mut(out, len)) };
    let bands = out.par_chunks_mut(SIDE * height).enumerate();
    bands.for_each(|(band, out)| {
        for y0 in (0..height).step_by(SIDE) {
            for column in 0..SIDE {
                for row in 0..SIDE {
                    out[column * height + y0 + row] = x[(y0 + row) * width + band * SIDE + column];
                }
            }
        }
    });
}

/// The largest, from the largest down: those of each chunk, then of them all.
///
/// # Safety
/// `x` is valid for `len` elements, `out` for `count` to be written; there are as many.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peer_top(x: *const u32, len: usize, out: *mut u32, count: usize) {
    // SAFETY: promised by the caller; `out` is not read.
    let (x, out) = unsafe { (from_raw_parts(x, len), from_raw_parts_mut(out, count)) };
    let largest = |mut some: Vec<u32>| {
        if count > 0 && count < some.len() {
            some.select_nth_unstable_by(count - 1, |a, b| b.cmp(a));
            some.truncate(count);
        }
        some
    };
    let chunks = x.par_chunks(1 << 16);
    let mut all = largest(
        chunks
            .flat_map_iter(|chunk| largest(chunk.to_vec()))
            .collect(),
    );
    all.sort_unstable_by(|a, b| b.cmp(a));
    out.copy_from_slice(&all[..count]);
}
