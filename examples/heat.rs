//! The heat equation on a square plate with insulated edges, by finite differences: two buffers
//! change roles at each step, and launches on them are ordered without anything said.
//!
//! Prints the mean temperature, which must not change, and writes the last state as a PNG.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context;
use clap::Parser;
use image::{ImageBuffer, Rgb};
use legionella::prelude::*;

#[derive(Parser)]
struct Options {
    /// Where to write the last state, as PNG.
    #[arg(short, long, default_value = "heat.png")]
    output: PathBuf,
    /// Cells along an edge of the plate.
    #[arg(short = 'n', long, default_value_t = 512)]
    size: usize,
    /// Time steps.
    #[arg(short, long, default_value_t = 2000)]
    steps: usize,
    /// Name of the accelerator; without it the best that there is.
    #[arg(short, long)]
    accelerator: Option<String>,
}

/// One step for one cell: heat flows between neighbours; beyond an edge is the cell itself.
fn step(at: Item, rate: f32, now: &[f32], mut next: Disjoint<f32>) {
    let Some(next) = next.at(&at) else { return };
    let [width, height, _] = at.grid();
    let (x, y) = (at.x(), at.y());
    let here = now[at.global()];
    let left = now[y * width + x.max(1) - 1];
    let right = now[y * width + (x + 1).min(width - 1)];
    let above = now[(y.max(1) - 1) * width + x];
    let below = now[(y + 1).min(height - 1) * width + x];
    *next = here + rate * ((left - here) + (right - here) + (above - here) + (below - here));
}

/// A cold plate with a hot disc and a warm bar.
fn initial(size: usize) -> Vec<f32> {
    let cell = |index: usize| {
        let x = (index % size) as f32 / size as f32;
        let y = (index / size) as f32 / size as f32;
        if (x - 0.35).powi(2) + (y - 0.4).powi(2) < 0.02 {
            1.0
        } else if (0.7..0.75).contains(&x) && (0.2..0.9).contains(&y) {
            0.6
        } else {
            0.0
        }
    };
    (0..size * size).map(cell).collect()
}

/// From black over red and yellow to white.
fn colour(temperature: f32) -> [u8; 3] {
    [0.0, 1.0, 2.0].map(|offset| (255.0 * (3.0 * temperature - offset).clamp(0.0, 1.0)) as u8)
}

fn mean(cells: &[f32]) -> f64 {
    cells.iter().map(|&t| f64::from(t)).sum::<f64>() / cells.len() as f64
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let accelerator = match &options.accelerator {
        Some(name) => Accelerator::by_name(name)?,
        None => Accelerator::best()?,
    };
    let size = options.size;
    let cells = initial(size);
    println!("accelerator  {}", accelerator.name());
    println!("plate        {size} × {size}, {} steps", options.steps);
    println!("mean before  {:.6}", mean(&cells));

    let start = Instant::now();
    let mut now = accelerator.upload(&cells)?;
    let mut next = accelerator.zeroed(cells.len())?;
    for _ in 0..options.steps {
        accelerator.launch(step, [size, size], (0.2, &now, &mut next))?;
        std::mem::swap(&mut now, &mut next);
    }
    let cells = now.to_vec()?;
    let time = start.elapsed();

    println!("mean after   {:.6}", mean(&cells));
    println!("time         {time:.1?}, the generation of code included");
    ImageBuffer::from_fn(size as u32, size as u32, |x, y| {
        Rgb(colour(cells[y as usize * size + x as usize]))
    })
    .save(&options.output)
    .with_context(|| format!("{}", options.output.display()))?;
    println!("written to   {}", options.output.display());
    Ok(())
}
