//! A kernel starts with an `Item` or a `Group`, and shared memory has a place in the arguments.
use legionella::prelude::*;

fn no_token(_x: u32, _y: Disjoint<u32>) {}

fn tile(_group: Group, _tile: Shared<[u32; 4]>) {}

fn main() -> legionella::Result<()> {
    let accel = Accelerator::best()?;
    let mut y = accel.zeroed::<u32>(10)?;
    accel.launch(no_token, 10, (&mut y,))?;
    accel.launch(tile, 10, ())?;
    accel.launch(tile, 10, (shared_slice(4),))?;
    Ok(())
}
