//! An output belongs to a launch, and can't be asked to outlive it.
use legionella::prelude::*;

fn kernel(at: Item, mut y: Disjoint<'static, f32>) {
    y.at(&at);
}

fn main() -> legionella::Result<()> {
    let accel = Accelerator::best()?;
    let mut y = accel.zeroed::<f32>(10)?;
    accel.launch(kernel, 10, (&mut y,))?.wait()
}
