//! What both programs measure, on whichever accelerator: one body, pixel, option or row a work-item.

use legionella::prelude::*;

/// A position and a mass.
pub type Body = [f32; 4];

pub fn n_body(at: Item, softening: f32, bodies: &[Body], mut out: Disjoint<Body>) {
    let Some(out) = out.at(&at) else { return };
    let here = bodies[at.global()];
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
}

#[derive(Clone, Copy, DeviceData)]
pub struct View {
    pub left: f32,
    pub top: f32,
    pub pixel: f32,
    pub limit: u32,
}

pub fn mandelbrot(at: Item, view: View, mut steps: Disjoint<u32>) {
    let Some(steps) = steps.at(&at) else { return };
    let re = view.left + view.pixel * at.x() as f32;
    let im = view.top + view.pixel * at.y() as f32;
    let mut z = (0.0, 0.0);
    let mut step = 0;
    while step < view.limit && z.0 * z.0 + z.1 * z.1 <= 4.0 {
        z = (z.0 * z.0 - z.1 * z.1 + re, 2.0 * z.0 * z.1 + im);
        step += 1;
    }
    *steps = step;
}

pub fn convolve(at: Item, w: [f32; 9], image: &[f32], mut out: Disjoint<f32>) {
    let Some(out) = out.at(&at) else { return };
    let [width, height, _] = at.grid();
    let (x, y) = (at.x(), at.y());
    let row = |y: usize| &image[y * width..(y + 1) * width];
    if y == 0 || y + 1 == height || x == 0 || x + 1 == width {
        *out = row(y)[x];
        return;
    }
    let (a, h, b) = (row(y - 1), row(y), row(y + 1));
    *out = w[0] * a[x - 1]
        + w[1] * a[x]
        + w[2] * a[x + 1]
        + w[3] * h[x - 1]
        + w[4] * h[x]
        + w[5] * h[x + 1]
        + w[6] * b[x - 1]
        + w[7] * b[x]
        + w[8] * b[x + 1];
}

/// What all options have in common.
#[derive(Clone, Copy, DeviceData)]
pub struct Market {
    pub rate: f32,
    pub volatility: f32,
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

pub fn black_scholes(
    at: Item,
    market: Market,
    spot: &[f32],
    strike: &[f32],
    years: &[f32],
    mut call: Disjoint<f32>,
    mut put: Disjoint<f32>,
) {
    let (Some(call), Some(put)) = (call.at(&at), put.at(&at)) else {
        return;
    };
    let Market { rate, volatility } = market;
    let i = at.global();
    let (spot, strike, years) = (spot[i], strike[i], years[i]);
    let spread = volatility * years.sqrt();
    let d1 = ((spot / strike).ln() + (rate + 0.5 * volatility * volatility) * years) / spread;
    let d2 = d1 - spread;
    let discounted = strike * (-rate * years).exp();
    *call = spot * normal(d1) - discounted * normal(d2);
    *put = discounted * normal(-d2) - spot * normal(-d1);
}

/// A row of a sparse matrix times a vector.
pub fn spmv(
    at: Item,
    starts: &[u32],
    columns: &[u32],
    values: &[f32],
    x: &[f32],
    mut y: Disjoint<f32>,
) {
    let Some(y) = y.at(&at) else { return };
    let row = at.global();
    let range = starts[row] as usize..starts[row + 1] as usize;
    let entries = columns[range.clone()].iter().zip(&values[range]);
    *y = entries
        .map(|(column, value)| value * x[*column as usize])
        .sum();
}
