//! What all programs that must not compile differ from.
use legionella::prelude::*;

fn saxpy(at: Item, a: f32, x: &[f32], mut y: Disjoint<f32>) {
    if let Some(y) = y.at(&at) {
        *y += a * x[at.global()];
    }
}

fn launches(accel: &Accelerator) -> legionella::Result<Vec<f32>> {
    let x = accel.upload(&[1.0; 10])?;
    let mut y = accel.zeroed(10)?;
    accel.launch(saxpy, 10, (3.0, &x, &mut y))?;
    let (low, high) = y.split_at_mut(5)?;
    accel.launch(saxpy, 5, (3.0, x.slice(..5)?, low))?;
    accel.launch(saxpy, 5, (3.0, x.slice(5..)?, high))?;
    // SAFETY: the kernel reads and writes nothing.
    unsafe { accel.launch_unchecked(|_: Item, _: *const f32| {}, 10, (x.device_ptr(),)) }?;
    y.to_vec()
}

fn main() {
    let _ = launches as fn(&Accelerator) -> _;
}
