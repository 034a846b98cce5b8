//! Peers of kernels whose items work in groups: a group's work is a task.

use std::slice::{from_raw_parts, from_raw_parts_mut};

use rayon::prelude::*;

/// Elements of a tile's edge.
const EDGE: usize = 16;

/// A matrix's rows in turn, of which a task writes those that cross its block.
struct Rows(*mut f32);

// SAFETY: tasks write blocks that don't overlap.
unsafe impl Sync for Rows {}

impl Rows {
    fn at(&self, index: usize) -> *mut f32 {
        self.0.wrapping_add(index)
    }
}

/// The product of two matrices of `n` rows and columns, `n` a multiple of 16: a block of 16 × 16
/// elements a task, from tiles of the same size.
///
/// # Safety
/// The pointers are valid for `n * n` elements, `c` for writes and apart from the others.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peer_matmul(n: usize, a: *const f32, b: *const f32, c: *mut f32) {
    // SAFETY: promised by the caller.
    let (a, b) = unsafe { (from_raw_parts(a, n * n), from_raw_parts(b, n * n)) };
    let c = Rows(c);
    let blocks = n / EDGE;
    (0..blocks * blocks).into_par_iter().for_each(|block| {
        let (x0, y0) = (block % blocks * EDGE, block / blocks * EDGE);
        let mut sums = [[0.0f32; EDGE]; EDGE];
        let (mut tile_a, mut tile_b) = ([[0.0; EDGE]; EDGE], [[0.0; EDGE]; EDGE]);
        for k0 in (0..n).step_by(EDGE) {
            for y in 0..EDGE {
                tile_a[y].copy_from_slice(&a[(y0 + y) * n + k0..][..EDGE]);
                tile_b[y].copy_from_slice(&b[(k0 + y) * n + x0..][..EDGE]);
            }
            for y in 0..EDGE {
                for x in 0..EDGE {
                    for k in 0..EDGE {
                        sums[y][x] += tile_a[y][k] * tile_b[k][x];
                    }
                }
            }
        }
        for (y, sums) in sums.iter().enumerate() {
            for (x, sum) in sums.iter().enumerate() {
                // SAFETY: in bounds, and in this task's block.
                unsafe { *c.at((y0 + y) * n + x0 + x) = *sum };
            }
        }
    });
}

/// Sums of blocks of 4,096 elements: each of 256 lanes adds up every 256th, then halves are added.
///
/// # Safety
/// `x` is valid for `4096 * blocks` elements, `sums` for writes of `blocks`, apart from `x`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peer_reduction(x: *const f32, sums: *mut f32, blocks: usize) {
    // SAFETY: promised by the caller.
    let (x, sums) = unsafe {
        (
            from_raw_parts(x, 4096 * blocks),
            from_raw_parts_mut(sums, blocks),
        )
    };
    sums.par_iter_mut()
        .zip(x.par_chunks_exact(4096))
        .for_each(|(sum, block)| {
            let mut lanes = [0.0f32; 256];
            for row in block.chunks_exact(256) {
                for (lane, x) in lanes.iter_mut().zip(row) {
                    *lane += x;
                }
            }
            let mut half = 128;
            while half > 0 {
                let (low, high) = lanes.split_at_mut(half);
                for (low, high) in low.iter_mut().zip(high) {
                    *low += *high;
                }
                half /= 2;
            }
            *sum = lanes[0];
        });
}

/// How often each byte occurs: each task counts a part, then all are added up.
///
/// # Safety
/// `bytes` is valid for `len` elements, `counts` for writes of 256.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peer_counts(bytes: *const u8, len: usize, counts: *mut u32) {
    // SAFETY: promised by the caller.
    let (bytes, counts) = unsafe { (from_raw_parts(bytes, len), from_raw_parts_mut(counts, 256)) };
    let all = bytes
        .par_chunks(1 << 16)
        .map(|part| {
            let mut counts = [0u32; 256];
            for byte in part {
                counts[usize::from(*byte)] += 1;
            }
            counts
        })
        .reduce(
            || [0; 256],
            |mut one, other| {
                for (one, other) in one.iter_mut().zip(other) {
                    *one += other;
                }
                one
            },
        );
    counts.copy_from_slice(&all);
}
