//! Arguments fit parameters in number and kind, and a kernel returns nothing.
use legionella::prelude::*;

fn write(_at: Item, _y: Disjoint<f32>) {}
fn returns(_at: Item) -> u32 {
    1
}

fn main() -> legionella::Result<()> {
    let accel = Accelerator::best()?;
    let mut y = accel.zeroed::<f32>(10)?;
    accel.launch(write, 10, ())?;
    accel.launch(write, 10, (&y,))?;
    accel.launch(write, 10, (y.tiles::<2>(),))?;
    accel.launch(returns, 10, ())?;
    Ok(())
}
