//! Values that own memory of the host are no arguments, and no elements.
use legionella::prelude::*;

fn owned(_at: Item, _x: String) {}

fn main() -> legionella::Result<()> {
    let accel = Accelerator::best()?;
    accel.launch(owned, 10, (String::new(),))?;
    accel.upload(&["text"])?;
    Ok(())
}
