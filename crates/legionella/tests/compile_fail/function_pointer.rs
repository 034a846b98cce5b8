//! A pointer to a function names no kernel.
use legionella::prelude::*;

fn kernel(_at: Item) {}

fn main() -> legionella::Result<()> {
    let accel = Accelerator::best()?;
    let pointer: fn(Item) = kernel;
    accel.launch(pointer, 10, ())?.wait()
}
