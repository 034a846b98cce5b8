//! A closure without size may still capture what must not outlive a borrow.
use std::marker::PhantomData;

use legionella::prelude::*;

#[derive(Clone, Copy)]
struct Borrow<'a>(PhantomData<&'a ()>);

fn borrow(_: &String) -> Borrow<'_> {
    Borrow(PhantomData)
}

fn main() -> legionella::Result<()> {
    let accel = Accelerator::best()?;
    let text = String::new();
    let token = borrow(&text);
    let kernel = move |_at: Item| {
        let _ = &token;
    };
    accel.launch(kernel, 10, ())?;
    Ok(())
}
