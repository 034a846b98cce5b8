//! Measures the errors of the mathematical functions, those of `f32` first:
//! `cargo run --release -p legionella-device --example maths_error [STRIDE [NAME…]]`.
//! Stride 1, which is what is meant if there is none, looks at all 2^32 arguments of `f32`, and
//! at a 64th as many of `f64`, chosen at random.

#[path = "../tests/maths/double.rs"]
mod double;
#[path = "../tests/maths/measure.rs"]
mod measure;

use measure::{BINARY, UNARY, binary_worst, unary_worst};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let stride: u32 = arguments
        .next()
        .map_or(1, |text| text.parse().expect("STRIDE must be a number"));
    let names: Vec<String> = arguments.collect();
    let chosen = |name: &str| names.is_empty() || names.iter().any(|other| other == name);
    for function in UNARY.iter().filter(|function| chosen(function.name)) {
        let worst = unary_worst(function, 0, stride);
        let (name, limit, bits) = (function.name, function.limit, worst.at.to_bits());
        println!(
            "{name:7} {:.4} of {limit} at {:e} ({bits:#010x})",
            worst.error, worst.at
        );
    }
    for function in BINARY.iter().filter(|function| chosen(function.name)) {
        let worst = binary_worst(function, 1, (1 << 32) / u64::from(stride));
        let (name, (x, y)) = (function.name, worst.at);
        let limit = function.limit;
        println!("{name:7} {:.4} of {limit} at ({x:e}, {y:e})", worst.error);
    }
    let functions = double::FUNCTIONS.iter().chain(double::COMPOSED);
    for function in functions.filter(|function| chosen(function.name)) {
        let worst = double::worst(function, 1, (1 << 26) / u64::from(stride));
        let (name, limit, (x, y)) = (function.name, function.limit, worst.at);
        let error = worst.error;
        println!("{name:7} of f64: {error:.4} of {limit} at ({x:e}, {y:e})");
    }
}
