//! The Mandelbrot set as a PNG: one work-item a pixel, on a grid of two dimensions.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context;
use clap::Parser;
use image::{ImageBuffer, Rgb};
use legionella::prelude::*;

#[derive(Parser)]
struct Options {
    /// Where to write the picture, as PNG.
    #[arg(short, long, default_value = "mandelbrot.png")]
    output: PathBuf,
    /// Width of the picture in pixels.
    #[arg(long, default_value_t = 1200)]
    width: usize,
    /// Height of the picture in pixels.
    #[arg(long, default_value_t = 800)]
    height: usize,
    /// Most iterations a pixel.
    #[arg(short, long, default_value_t = 500)]
    iterations: u32,
    /// Name of the accelerator; without it the best that there is.
    #[arg(short, long)]
    accelerator: Option<String>,
}

/// The part of the plane that a picture shows.
#[derive(Clone, Copy, DeviceData)]
struct View {
    left: f32,
    top: f32,
    /// Width and height of a pixel.
    pixel: f32,
}

/// Iterations that a point takes to leave the circle of radius 2.
fn escape(at: Item, view: View, limit: u32, mut steps: Disjoint<u32>) {
    let Some(steps) = steps.at(&at) else { return };
    let c = (
        view.left + view.pixel * at.x() as f32,
        view.top + view.pixel * at.y() as f32,
    );
    let mut z = (0.0, 0.0);
    let mut step = 0;
    while step < limit && z.0 * z.0 + z.1 * z.1 <= 4.0 {
        z = (z.0 * z.0 - z.1 * z.1 + c.0, 2.0 * z.0 * z.1 + c.1);
        step += 1;
    }
    *steps = step;
}

fn colour(steps: u32, limit: u32) -> [u8; 3] {
    if steps == limit {
        return [0; 3];
    }
    let t = (steps as f32 / limit as f32).sqrt();
    [9.0, 15.0, 8.5].map(|factor: f32| {
        let wave = 0.5 - 0.5 * (factor * t).cos();
        (255.0 * wave) as u8
    })
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let accelerator = match &options.accelerator {
        Some(name) => Accelerator::by_name(name)?,
        None => Accelerator::best()?,
    };
    let (width, height) = (options.width, options.height);
    let pixel = 3.0 / width as f32;
    let view = View {
        left: -2.2,
        top: -0.5 * pixel * height as f32,
        pixel,
    };

    let start = Instant::now();
    let mut steps = accelerator.zeroed(width * height)?;
    accelerator.launch(
        escape,
        [width, height],
        (view, options.iterations, &mut steps),
    )?;
    let steps = steps.to_vec()?;
    let time = start.elapsed();

    let picture = ImageBuffer::from_fn(width as u32, height as u32, |x, y| {
        let steps = steps[y as usize * width + x as usize];
        Rgb(colour(steps, options.iterations))
    });
    picture
        .save(&options.output)
        .with_context(|| format!("{}", options.output.display()))?;
    let total: u64 = steps.iter().map(|&steps| u64::from(steps)).sum();
    println!("accelerator  {}", accelerator.name());
    println!("picture      {width} × {height}, {total} iterations");
    println!("time         {time:.1?}, the generation of code included");
    println!("written to   {}", options.output.display());
    Ok(())
}
