//! A slice can't be used after its buffer was lent to a launch that writes it.
use legionella::prelude::*;

fn write(_at: Item, _y: Disjoint<f32>) {}

fn main() -> legionella::Result<()> {
    let accel = Accelerator::best()?;
    let mut y = accel.zeroed::<f32>(10)?;
    let part = y.slice(2..4)?;
    accel.launch(write, 10, (&mut y,))?;
    part.to_vec()?;
    Ok(())
}
