//! Measures the errors of the mathematical functions of `f32`:
//! `cargo run --release -p legionella-device --example maths_error [STRIDE [NAME…]]`.
//! Stride 1, which is what is meant if there is none, looks at all 2^32 arguments.

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
}
