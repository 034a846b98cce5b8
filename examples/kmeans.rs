//! Colour quantisation: repaints a photograph with the `k` colours that suit it best (k-means).
//!
//! Takes a PNG or JPEG, gives a PNG. Assignment and partial sums run on the accelerator; sums are
//! integers, so the picture is the same on every accelerator.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, ensure};
use clap::Parser;
use image::{ImageReader, RgbImage};
use legionella::prelude::*;

#[derive(Parser)]
struct Options {
    /// The photograph, a PNG or JPEG.
    photo: PathBuf,
    /// Where to write the result, as PNG.
    #[arg(short, long, default_value = "kmeans.png")]
    output: PathBuf,
    /// Number of colours.
    #[arg(short, default_value_t = 12)]
    k: usize,
    /// Most iterations; fewer if the colours settle earlier.
    #[arg(short, long, default_value_t = 40)]
    iterations: usize,
    /// Name of the accelerator; without it the best that there is.
    #[arg(short, long)]
    accelerator: Option<String>,
}

type Rgb = [u8; 3];

/// What the pixels of one colour add up to.
#[derive(Clone, Copy, Default, DeviceData)]
struct Sum {
    total: [u64; 3],
    count: u64,
    error: u64,
}

fn distance(a: Rgb, b: Rgb) -> u32 {
    let square = |i: usize| u32::from(a[i].abs_diff(b[i])).pow(2);
    square(0) + square(1) + square(2)
}

/// Finds the nearest colour of a pixel.
fn assign(at: Item, pixels: &[Rgb], colours: &[Rgb], mut nearest: Disjoint<u32>) {
    let Some(nearest) = nearest.at(&at) else {
        return;
    };
    let pixel = pixels[at.global()];
    let mut best = u32::MAX;
    for (index, &colour) in colours.iter().enumerate() {
        let distance = distance(pixel, colour);
        if distance < best {
            (best, *nearest) = (distance, index as u32);
        }
    }
}

/// Adds up `run` pixels, a sum for each colour.
fn accumulate(
    at: Item,
    run: usize,
    pixels: &[Rgb],
    colours: &[Rgb],
    nearest: &[u32],
    mut sums: Rows<Sum>,
) {
    let Some(sums) = sums.at(&at) else { return };
    sums.fill(Sum::default());
    let first = at.global() * run;
    let end = (first + run).min(pixels.len());
    for (pixel, &colour) in pixels[first..end].iter().zip(&nearest[first..end]) {
        let sum = &mut sums[colour as usize];
        for (total, &channel) in sum.total.iter_mut().zip(pixel) {
            *total += u64::from(channel);
        }
        sum.count += 1;
        sum.error += u64::from(distance(*pixel, colours[colour as usize]));
    }
}

/// Gives a pixel its colour.
fn repaint(at: Item, colours: &[Rgb], nearest: &[u32], mut picture: Disjoint<Rgb>) {
    if let Some(pixel) = picture.at(&at) {
        *pixel = colours[nearest[at.global()] as usize];
    }
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let photo = ImageReader::open(&options.photo)
        .with_context(|| format!("{}", options.photo.display()))?
        .decode()
        .with_context(|| format!("{}", options.photo.display()))?
        .into_rgb8();
    let (width, height) = photo.dimensions();
    let (pixels, _) = photo.as_raw().as_chunks::<3>();
    ensure!(options.k > 0, "at least one colour is needed");
    ensure!(!pixels.is_empty(), "the photograph is empty");

    let accelerator = match &options.accelerator {
        Some(name) => Accelerator::by_name(name)?,
        None => Accelerator::best()?,
    };

    // To start with: colours of the photograph, evenly spaced from dark to bright.
    let mut by_brightness = pixels.to_vec();
    by_brightness.sort_by_key(|pixel| distance(*pixel, [0; 3]));
    let mut colours: Vec<Rgb> = (0..options.k)
        .map(|i| by_brightness[(2 * i + 1) * pixels.len() / (2 * options.k)])
        .collect();

    let run = 1024;
    let runs = pixels.len().div_ceil(run);

    let start = Instant::now();
    let device_pixels = accelerator.upload(pixels)?;
    let mut device_colours = accelerator.upload(&colours)?;
    let mut nearest = accelerator.zeroed(pixels.len())?;
    let mut device_sums = accelerator.filled(runs * options.k, Sum::default())?;
    let mut launches = 0;
    let mut error = 0;
    for _ in 0..options.iterations {
        accelerator.launch(
            assign,
            Grid::over(pixels.len()),
            (&device_pixels, &device_colours, &mut nearest),
        )?;
        accelerator.launch(
            accumulate,
            Grid::over(runs),
            (
                run,
                &device_pixels,
                &device_colours,
                &nearest,
                device_sums.rows(options.k),
            ),
        )?;
        launches += 2;
        let sums = device_sums.to_vec()?;

        let before = colours.clone();
        error = 0;
        for (index, colour) in colours.iter_mut().enumerate() {
            let of_colour = || sums.iter().skip(index).step_by(options.k);
            let count: u64 = of_colour().map(|sum| sum.count).sum();
            error += of_colour().map(|sum| sum.error).sum::<u64>();
            if count > 0 {
                *colour = [0, 1, 2].map(|channel| {
                    let total: u64 = of_colour().map(|sum| sum.total[channel]).sum();
                    ((total + count / 2) / count) as u8
                });
            }
        }
        device_colours.write(&colours)?;
        if colours == before {
            break;
        }
    }
    let mut picture = accelerator.zeroed(pixels.len())?;
    accelerator.launch(
        repaint,
        Grid::over(pixels.len()),
        (&device_colours, &nearest, &mut picture),
    )?;
    launches += 1;
    let picture = picture.to_vec()?;
    let time = start.elapsed();

    RgbImage::from_raw(width, height, picture.into_flattened())
        .context("the picture has as many pixels as the photograph")?
        .save(&options.output)
        .with_context(|| format!("{}", options.output.display()))?;

    println!("accelerator  {}", accelerator.name());
    println!(
        "photograph   {}, {width} × {height}",
        options.photo.display()
    );
    println!("colours      {}", options.k);
    println!("launches     {launches} of 3 kernels");
    println!("time         {time:.1?}, the generation of code included");
    println!(
        "error        {:.2} of 255, root mean square",
        (error as f64 / (3 * pixels.len()) as f64).sqrt()
    );
    println!("written to   {}", options.output.display());
    Ok(())
}
