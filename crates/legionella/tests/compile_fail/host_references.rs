//! References to memory of the host are no arguments.
use legionella::prelude::*;

fn read(_at: Item, _x: &[f32]) {}
fn value(_at: Item, _x: &f32) {}

fn main() -> legionella::Result<()> {
    let accel = Accelerator::best()?;
    let host = vec![1.0f32; 10];
    accel.launch(read, 10, (&host,))?;
    accel.launch(read, 10, (&host[..],))?;
    accel.launch(value, 10, (&host[0],))?;
    Ok(())
}
