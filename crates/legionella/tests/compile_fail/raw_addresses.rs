//! Raw addresses are for `launch_unchecked`, which is unsafe.
use legionella::prelude::*;

fn kernel(_at: Item, _y: *mut f32) {}

fn main() -> legionella::Result<()> {
    let accel = Accelerator::best()?;
    let y = accel.zeroed::<f32>(10)?;
    accel.launch(kernel, 10, (y.device_ptr(),))?;
    accel.launch_unchecked(kernel, 10, (y.device_ptr(),))?;
    Ok(())
}
