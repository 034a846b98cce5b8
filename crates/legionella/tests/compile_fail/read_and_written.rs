//! One launch can't both read and write a buffer, or write it twice.
use legionella::prelude::*;

fn copy(at: Item, x: &[f32], mut y: Disjoint<f32>) {
    if let Some(y) = y.at(&at) {
        *y = x[at.global()];
    }
}

fn both(_at: Item, _x: Disjoint<f32>, _y: Disjoint<f32>) {}

fn main() -> legionella::Result<()> {
    let accel = Accelerator::best()?;
    let mut y = accel.zeroed::<f32>(10)?;
    accel.launch(copy, 10, (&y, &mut y))?;
    accel.launch(both, 10, (&mut y, &mut y))?;
    accel.launch(both, 10, (y.slice_mut(..5)?, y.slice_mut(5..)?))?;
    Ok(())
}
