//! Searches, simulations and shared structures.

use std::sync::atomic::{AtomicU32, Ordering};

use legionella::prelude::*;

use crate::both::both;
use crate::suite::Suite;
use crate::trial::{Failure, output};

/// Placements of `n` queens that start with the one that the item stands for, by a stack.
fn queens(group: Group, n: u32, count: Shared<[AtomicU32; 1]>, mut out: Disjoint<u32>) {
    let count = group.sync(count.fill(|_| AtomicU32::new(0)));
    let all = (1u32 << n) - 1;
    let column = group.item().global() as u32;
    let mut stack = [(0u32, 0u32, 0u32, 0u32); 12];
    let mut depth = 0;
    if column < n {
        let bit = 1 << column;
        stack[0] = (bit, bit << 1, bit >> 1, all & !(bit | bit << 1 | bit >> 1));
        depth = 1;
    }
    let mut found = u32::from(n == 1 && column < n);
    while depth > 0 {
        let (columns, left, right, free) = &mut stack[depth - 1];
        if *free == 0 {
            depth -= 1;
            continue;
        }
        let bit = *free & free.wrapping_neg();
        *free &= !bit;
        let (columns, left, right) = (*columns | bit, (*left | bit) << 1, (*right | bit) >> 1);
        if columns == all {
            found += 1;
        } else {
            stack[depth] = (columns, left, right, all & !(columns | left | right));
            depth += 1;
        }
    }
    count[0].fetch_add(found, Ordering::Relaxed);
    group.barrier();
    if let Some(out) = out.at(group.item()) {
        *out = count[0].load(Ordering::Relaxed);
    }
}

/// A random number from a key and a counter: SplitMix's finaliser.
fn random(key: u64, counter: u64) -> f64 {
    let mut z = key.wrapping_add(counter.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) as f64 / 1.8446744073709552e19
}

/// How many of random points lie in a quarter of a circle.
fn monte_carlo(group: Group, points: u64, hits: Shared<[u32; 128]>, mut out: Disjoint<u32>) {
    let key = group.item().global() as u64;
    let mut inside = 0;
    for point in 0..points {
        let (x, y) = (random(key, 2 * point), random(key, 2 * point + 1));
        inside += u32::from(x * x + y * y < 1.0);
    }
    let hits = group.sync(hits.filled(0));
    let mut hits = group.sync(hits);
    if let Some(own) = hits.own() {
        *own = inside;
    }
    let hits = group.sync(hits);
    if let Some(out) = out.at(group.item()) {
        *out = hits.iter().sum();
    }
}

/// Ten rounds of Philox 4 × 32: four random numbers from a counter and a key.
fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let product = |factor: u32, x: u32| {
            let wide = u64::from(factor) * u64::from(x);
            ((wide >> 32) as u32, wide as u32)
        };
        let (high0, low0) = product(0xd251_1f53, counter[0]);
        let (high1, low1) = product(0xcd9e_8d57, counter[2]);
        counter = [
            high1 ^ counter[1] ^ key[0],
            low1,
            high0 ^ counter[3] ^ key[1],
            low0,
        ];
        key = [
            key[0].wrapping_add(0x9e37_79b9),
            key[1].wrapping_add(0xbb67_ae85),
        ];
    }
    counter
}

/// The mean of what an option is worth at its end, over random ways of its price, by a group: sums in
/// scratch memory.
fn option_value(
    group: Group,
    [start, strike]: [f32; 2],
    paths: u32,
    tile: Shared<[f32; 64]>,
    mut out: Disjoint<f32>,
) {
    let key = [group.item().global() as u32, 0x1234_5678];
    let mut sum = 0.0;
    for path in 0..paths {
        let mut price = start;
        for step in 0..4 {
            for bits in philox([path, step, 0, 0], key) {
                price *= 1.0 + (bits as f32 / u32::MAX as f32 - 0.5) * 0.1;
            }
        }
        sum += (price - strike).max(0.0);
    }
    let all = group.reduce(&mut tile.scratch(), sum, |a, b| a + b);
    if let Some(out) = out.at(group.item()) {
        *out = all / (paths * group.len() as u32) as f32;
    }
}

/// Half of a group produces, the other half consumes, through a ring in shared memory.
fn producers(group: Group, rounds: u32, ring: Shared<[u32; 16]>, mut out: Disjoint<u64>) {
    let half = group.len() / 2;
    let produces = group.rank() < half;
    let mut ring = ring.filled(0);
    let mut consumed = 0u64;
    for round in 0..rounds {
        if let (true, Some(own)) = (produces, ring.own()) {
            *own = round * 1000 + group.rank() as u32;
        }
        let full = group.sync(ring);
        if !produces {
            consumed = consumed * 7 + u64::from(full[group.rank() - half]);
        }
        ring = group.sync(full);
    }
    if let Some(out) = out.at(group.item()) {
        *out = consumed;
    }
}

const EMPTY: u32 = u32::MAX;

/// Inserts keys into a table with open addressing.
fn insert(at: Item, keys: &[u32], table: &[AtomicU32], added: &[AtomicU32]) {
    let Some(&key) = keys.get(at.global()) else {
        return;
    };
    let mut slot = key.wrapping_mul(0x9e37_79b9) as usize % table.len();
    loop {
        match table[slot].compare_exchange(EMPTY, key, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => {
                added[0].fetch_add(1, Ordering::Relaxed);
                return;
            }
            Err(there) if there == key => return,
            Err(_) => slot = (slot + 1) % table.len(),
        }
    }
}

/// A point or direction.
type Vector = [f32; 3];

fn dot(a: Vector, b: Vector) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn along(a: Vector, t: f32, b: Vector) -> Vector {
    [a[0] + t * b[0], a[1] + t * b[1], a[2] + t * b[2]]
}

/// A ball: centre, radius, how much it mirrors.
type Ball = (Vector, f32, f32);

/// The brightness that a ray sees; mirrors recur.
fn trace(balls: &[Ball], from: Vector, direction: Vector, depth: u32) -> f32 {
    let mut nearest: Option<(f32, &Ball)> = None;
    for ball in balls {
        let to = along(ball.0, -1.0, from);
        let (b, c) = (dot(to, direction), dot(to, to) - ball.1 * ball.1);
        let discriminant = b * b - c;
        if discriminant > 0.0 {
            let t = b - discriminant.sqrt();
            if t > 1e-3 && nearest.is_none_or(|(best, _)| t < best) {
                nearest = Some((t, ball));
            }
        }
    }
    let Some((t, ball)) = nearest else {
        return 0.5 + 0.5 * direction[1];
    };
    let hit = along(from, t, direction);
    let normal = along([0.0; 3], 1.0 / ball.1, along(hit, -1.0, ball.0));
    let light = dot(normal, [0.6, 0.64, -0.48]).max(0.0);
    if depth == 0 {
        return light;
    }
    let mirrored = along(direction, -2.0 * dot(direction, normal), normal);
    (1.0 - ball.2) * light + ball.2 * trace(balls, hit, mirrored, depth - 1)
}

/// A picture of balls that a group keeps in shared memory.
fn picture(group: Group, balls: &[Ball], scene: Shared<[Ball]>, mut out: Disjoint<f32>) {
    let scene = group.sync(scene.fill(|i| balls[i]));
    let [width, height, _] = group.item().grid();
    let x = (group.item().x() as f32 + 0.5) / width as f32 - 0.5;
    let y = 0.5 - (group.item().y() as f32 + 0.5) / height as f32;
    let length = (x * x + y * y + 1.0).sqrt();
    let seen = trace(&scene, [0.0; 3], [x / length, y / length, 1.0 / length], 4);
    if let Some(out) = out.at(group.item()) {
        *out = seen;
    }
}

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    suite.case("groups/queens", |t| {
        for n in [1, 4, 8] {
            let out = output::<u32>(8);
            both!(t, queens, Grid::over(8).group(8), [value n], [shared array], [write out])?;
        }
        let mut out = t.accelerator.zeroed::<u32>(8)?;
        let grid = Grid::over(8).group(8);
        t.accelerator
            .launch(queens, grid, (8, shared(), &mut out))?;
        match out.to_vec()?[0] {
            92 => Ok(()),
            other => Err(Failure::unexpected("92 placements", other)),
        }
    });
    suite.case("groups/monte_carlo", |t| {
        let out = output::<u32>(256);
        both!(t, monte_carlo, Grid::over(256).group(128), [value 50], [shared array], [write out])
    });
    suite.case("groups/monte_carlo_by_counters", |t| {
        // The published answer of the generator to nothing.
        let zeros = philox([0; 4], [0; 2]);
        if zeros != [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8] {
            return Err(Failure::unexpected("Philox", format!("{zeros:x?}")));
        }
        let out = output::<f32>(150);
        let grid = Grid::over(150).group(64);
        let prices = [100.0f32, 101.0];
        both!(t, option_value, grid, [value prices], [value 7], [shared array], [write out])
    });
    suite.case("groups/producers_and_consumers", |t| {
        let out = output::<u64>(96);
        both!(t, producers, Grid::over(96).group(32), [value 9], [shared array], [write out])
    });
    suite.case("groups/hash_table", |t| {
        let keys: Vec<u32> = (0..5000u32).map(|i| i.wrapping_mul(i) % 1777).collect();
        let keys_there = t.accelerator.upload(&keys)?;
        let mut table = t.accelerator.filled(4096, EMPTY)?;
        let mut added = t.accelerator.zeroed::<u32>(1)?;
        let arguments = (&keys_there, table.atomic(), added.atomic());
        t.accelerator
            .launch(insert, keys.len(), arguments)?
            .wait()?;
        let mut found = table.to_vec()?;
        found.retain(|key| *key != EMPTY);
        found.sort_unstable();
        let mut expected = keys;
        expected.sort_unstable();
        expected.dedup();
        if found != expected || added.to_vec()?[0] as usize != expected.len() {
            return Err(Failure::unexpected(expected.len(), format!("{found:?}")));
        }
        Ok(())
    });
    suite.case("groups/ray_tracer", |t| {
        let balls: Vec<Ball> = (0..9)
            .map(|i| {
                let place = [
                    (i % 3) as f32 - 1.0,
                    (i / 3) as f32 - 1.0,
                    4.0 + 0.3 * i as f32,
                ];
                (place, 0.45, 0.1 * i as f32)
            })
            .collect();
        let out = output::<f32>(40 * 30);
        let grid = Grid::over([40, 30]).group([8, 8]);
        both!(t, picture, grid, [read balls], [shared slice 9], [write out])
    });
}
