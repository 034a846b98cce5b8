//! Times of two contestants that take turns, so that whatever else the machine does meets both.

use std::time::{Duration, Instant};

/// Least number of turns.
const TURNS: usize = 11;

/// Most time for all turns, once there have been enough of them.
const TIME: Duration = Duration::from_secs(3);

/// Most turns, however short.
const MOST_TURNS: usize = 301;

/// Median times of both in seconds. Each has a turn that doesn't count first.
pub fn side_by_side(
    mut ours: impl FnMut() -> anyhow::Result<()>,
    mut peer: impl FnMut(),
) -> anyhow::Result<(f64, f64)> {
    ours()?;
    peer();
    let (mut our_times, mut peer_times) = (Vec::new(), Vec::new());
    let start = Instant::now();
    while our_times.len() < TURNS || (start.elapsed() < TIME && our_times.len() < MOST_TURNS) {
        let before = Instant::now();
        ours()?;
        our_times.push(before.elapsed().as_secs_f64());
        let before = Instant::now();
        peer();
        peer_times.push(before.elapsed().as_secs_f64());
    }
    Ok((median(&mut our_times), median(&mut peer_times)))
}

/// The middle one of at least one number.
pub fn median(numbers: &mut [f64]) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
