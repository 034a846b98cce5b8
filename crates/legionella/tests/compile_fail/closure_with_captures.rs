//! What a closure captures would be memory of the host.
use legionella::prelude::*;

fn main() -> legionella::Result<()> {
    let accel = Accelerator::best()?;
    let mut y = accel.zeroed::<f32>(10)?;
    let factor = 3.0;
    let kernel = move |at: Item, mut y: Disjoint<f32>| {
        if let Some(y) = y.at(&at) {
            *y *= factor;
        }
    };
    accel.launch(kernel, 10, (&mut y,))?.wait()
}
