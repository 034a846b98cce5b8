//! A closure without size may still capture what must stay on its thread.
use std::marker::PhantomData;

use legionella::prelude::*;

#[derive(Clone, Copy)]
struct OfThisThread(PhantomData<*const ()>);

fn main() -> legionella::Result<()> {
    let accel = Accelerator::best()?;
    let token = OfThisThread(PhantomData);
    let kernel = move |_at: Item| {
        let _ = &token;
    };
    accel.launch(kernel, 10, ())?;
    Ok(())
}
