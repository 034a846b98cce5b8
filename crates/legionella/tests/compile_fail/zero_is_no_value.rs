//! A buffer of zero bytes needs elements of which that is a value.
use std::num::NonZero;

use legionella::prelude::*;

fn main() -> legionella::Result<()> {
    let accel = Accelerator::best()?;
    accel.zeroed::<NonZero<u32>>(10)?;
    Ok(())
}
