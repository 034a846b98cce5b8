//! A slice is a borrow of its buffer.
use legionella::prelude::*;

fn main() -> legionella::Result<()> {
    let accel = Accelerator::best()?;
    let y = accel.zeroed::<f32>(10)?;
    let part = y.slice(2..4)?;
    drop(y);
    part.to_vec()?;
    Ok(())
}
