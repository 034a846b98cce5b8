//! Data that benchmarks compute with, and whether both sides computed the same.

use anyhow::ensure;

/// Numbers between 0 and 1 that are the same in every run.
pub fn numbers(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed;
    let next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u32 << 24) as f32
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// Integers of any bits that are the same in every run.
pub fn integers(len: usize) -> Vec<u32> {
    let mut state = 1u64;
    let next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 32) as u32
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// Fails unless both sides computed the same, bit for bit.
pub fn same<T: PartialEq>(ours: &[T], peer: &[T]) -> anyhow::Result<()> {
    let differing = ours
        .iter()
        .zip(peer)
        .filter(|(ours, peer)| ours != peer)
        .count();
    ensure!(
        ours.len() == peer.len() && differing == 0,
        "{differing} of {} results differ from the peer's",
        peer.len()
    );
    Ok(())
}
