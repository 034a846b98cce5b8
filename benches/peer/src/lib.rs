//! The benchmarks' peers: what one writes today for the same algorithm, with `rayon` on all
//! cores, compiled for the machine at hand (`-Ctarget-cpu=native`).
//!
//! Loaded by `benches` as a shared library, so that both sides run in one process though they are
//! compiled with different options. Each function is C's in its signature only.

mod blocks;
mod divergent;
mod groups;

use std::slice::{from_raw_parts, from_raw_parts_mut};
use std::sync::atomic::{AtomicU32, Ordering};

use rayon::prelude::*;

/// `a = b + s * c`.
///
/// # Safety
/// The pointers are valid for `len` elements, `a` for writes and apart from the others.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peer_triad(s: f32, b: *const f32, c: *const f32, a: *mut f32, len: usize) {
    // SAFETY: promised by the caller.
    let (b, c, a) = unsafe {
        (
            from_raw_parts(b, len),
            from_raw_parts(c, len),
            from_raw_parts_mut(a, len),
        )
    };
    let chunk = 1 << 15;
    a.par_chunks_mut(chunk)
        .zip(b.par_chunks(chunk))
        .zip(c.par_chunks(chunk))
        .for_each(|((a, b), c)| {
            for ((a, b), c) in a.iter_mut().zip(b).zip(c) {
                *a = *b + s * *c;
            }
        });
}

/// Sum of `x * y`, in chunks of `chunk` elements, each summed in 32 lanes.
///
/// # Safety
/// The pointers are valid for `len` elements.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peer_dot(x: *const f32, y: *const f32, len: usize, chunk: usize) -> f32 {
    // SAFETY: promised by the caller.
    let (x, y) = unsafe { (from_raw_parts(x, len), from_raw_parts(y, len)) };
    let partial: Vec<f32> = x
        .par_chunks(chunk)
        .zip(y.par_chunks(chunk))
        .map(|(x, y)| {
            let ((x, x_rest), (y, y_rest)) = (x.as_chunks::<32>(), y.as_chunks::<32>());
            let mut lanes = [0.0; 32];
            for (x, y) in x.iter().zip(y) {
                for ((lane, x), y) in lanes.iter_mut().zip(x).zip(y) {
                    *lane += x * y;
                }
            }
            let rest: f32 = x_rest.iter().zip(y_rest).map(|(x, y)| x * y).sum();
            lanes.iter().sum::<f32>() + rest
        })
        .collect();
    partial.iter().sum()
}

/// Accelerations of bodies (x, y, z, mass) by each other's gravity.
///
/// # Safety
/// The pointers are valid for `len` elements, `out` for writes and apart from `bodies`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peer_n_body(
    softening: f32,
    bodies: *const [f32; 4],
    out: *mut [f32; 4],
    len: usize,
) {
    // SAFETY: promised by the caller.
    let (bodies, out) = unsafe { (from_raw_parts(bodies, len), from_raw_parts_mut(out, len)) };
    out.par_iter_mut().zip(bodies).for_each(|(out, here)| {
        let mut sum = [0.0; 3];
        for there in bodies {
            let d = [there[0] - here[0], there[1] - here[1], there[2] - here[2]];
            let square = d[0] * d[0] + d[1] * d[1] + d[2] * d[2] + softening;
            let pull = there[3] / (square * square.sqrt());
            for (sum, d) in sum.iter_mut().zip(d) {
                *sum += pull * d;
            }
        }
        *out = [sum[0], sum[1], sum[2], 0.0];
    });
}

/// Steps that each point takes to leave the circle of radius 2.
///
/// # Safety
/// `out` is valid for writes of `width * height` elements.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peer_mandelbrot(
    left: f32,
    top: f32,
    pixel: f32,
    limit: u32,
    out: *mut u32,
    width: usize,
    height: usize,
) {
    // SAFETY: promised by the caller.
    let out = unsafe { from_raw_parts_mut(out, width * height) };
    out.par_chunks_mut(width).enumerate().for_each(|(y, row)| {
        let im = top + pixel * y as f32;
        for (x, out) in row.iter_mut().enumerate() {
            let re = left + pixel * x as f32;
            let mut z = (0.0, 0.0);
            let mut step = 0;
            while step < limit && z.0 * z.0 + z.1 * z.1 <= 4.0 {
                z = (z.0 * z.0 - z.1 * z.1 + re, 2.0 * z.0 * z.1 + im);
                step += 1;
            }
            *out = step;
        }
    });
}

/// 3 × 3 convolution; the outermost pixels stay as they are.
///
/// # Safety
/// `image` and `out` are valid for `width * height` elements, `out` for writes and apart from
/// `image`; `weights` is valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peer_convolution(
    weights: *const [f32; 9],
    image: *const f32,
    out: *mut f32,
    width: usize,
    height: usize,
) {
    // SAFETY: promised by the caller.
    let (w, image, out) = unsafe {
        (
            *weights,
            from_raw_parts(image, width * height),
            from_raw_parts_mut(out, width * height),
        )
    };
    out.par_chunks_mut(width).enumerate().for_each(|(y, out)| {
        let row = |y: usize| &image[y * width..(y + 1) * width];
        if y == 0 || y + 1 == height || width < 3 {
            out.copy_from_slice(row(y));
            return;
        }
        let (above, here, below) = (row(y - 1), row(y), row(y + 1));
        (out[0], out[width - 1]) = (here[0], here[width - 1]);
        let windows = above.windows(3).zip(here.windows(3)).zip(below.windows(3));
        for (out, ((a, h), b)) in out[1..width - 1].iter_mut().zip(windows) {
            *out = w[0] * a[0]
                + w[1] * a[1]
                + w[2] * a[2]
                + w[3] * h[0]
                + w[4] * h[1]
                + w[5] * h[2]
                + w[6] * b[0]
                + w[7] * b[1]
                + w[8] * b[2];
        }
    });
}

/// Standard normal distribution (Abramowitz and Stegun 26.2.17).
fn normal(x: f32) -> f32 {
    let k = 1.0 / (1.0 + 0.231_641_9 * x.abs());
    let series = k
        * (0.319_381_54
            + k * (-0.356_563_78 + k * (1.781_477_9 + k * (-1.821_255_9 + k * 1.330_274_5))));
    let tail = 0.398_942_3 * (-0.5 * x * x).exp() * series;
    if x < 0.0 { tail } else { 1.0 - tail }
}

/// Prices of European options.
///
/// # Safety
/// The pointers are valid for `len` elements, the last two for writes and apart from the others.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peer_black_scholes(
    rate: f32,
    volatility: f32,
    spot: *const f32,
    strike: *const f32,
    years: *const f32,
    call: *mut f32,
    put: *mut f32,
    len: usize,
) {
    // SAFETY: promised by the caller.
    let (spot, strike, years, call, put) = unsafe {
        (
            from_raw_parts(spot, len),
            from_raw_parts(strike, len),
            from_raw_parts(years, len),
            from_raw_parts_mut(call, len),
            from_raw_parts_mut(put, len),
        )
    };
    let inputs = spot.par_iter().zip(strike).zip(years);
    call.par_iter_mut().zip(put).zip(inputs).for_each(
        |((call, put), ((&spot, &strike), &years))| {
            let spread = volatility * years.sqrt();
            let d1 =
                ((spot / strike).ln() + (rate + 0.5 * volatility * volatility) * years) / spread;
            let d2 = d1 - spread;
            let discounted = strike * (-rate * years).exp();
            *call = spot * normal(d1) - discounted * normal(d2);
            *put = discounted * normal(-d2) - spot * normal(-d1);
        },
    );
}

/// Runs an empty task on the pool and waits for it.
#[unsafe(no_mangle)]
pub extern "C" fn peer_empty() {
    rayon::scope(|scope| scope.spawn(|_| {}));
}

/// Starts a task that stores `value`, and doesn't wait for it.
///
/// # Safety
/// `flag` is valid until the value is seen in it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn peer_store(flag: *const AtomicU32, value: u32) {
    // SAFETY: promised by the caller, who keeps it until the value is there.
    let flag = unsafe { &*flag };
    rayon::spawn(move || flag.store(value, Ordering::Release));
}
