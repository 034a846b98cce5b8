//! A work-item can't hold two `&mut` from one output.
use legionella::prelude::*;

fn kernel(at: Item, mut y: Disjoint<f32>) {
    let first = y.at(&at);
    let second = y.at(&at);
    drop((first, second));
}

fn main() -> legionella::Result<()> {
    let accel = Accelerator::best()?;
    let mut y = accel.zeroed::<f32>(10)?;
    accel.launch(kernel, 10, (&mut y,))?.wait()
}
