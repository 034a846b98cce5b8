//! Kernels and launching code of the conformance suite that live in a crate of their own, as a
//! library's would.

use std::ops::Add;

use legionella::prelude::*;

/// A kernel that another crate launches.
pub fn scramble(at: Item, x: &[u32], mut y: Disjoint<u32>) {
    if let (Some(x), Some(y)) = (x.get(at.global()), y.at(&at)) {
        *y = hidden(*x);
    }
}

#[inline(never)]
fn hidden(x: u32) -> u32 {
    x.rotate_left(9) ^ x.wrapping_mul(0x85eb_ca6b)
}

/// A generic kernel that another crate instantiates: what element and predecessor make together,
/// where that doesn't overflow.
pub fn prefix<T: Copy + Add<Output = T> + PartialOrd + Default>(
    at: Item,
    x: &[T],
    mut y: Disjoint<T>,
) {
    if let Some(y) = y.at(&at) {
        let previous = at.global().checked_sub(1).map_or(T::default(), |i| x[i]);
        let own = x[at.global()];
        *y = if (previous < T::default()) == (own < T::default()) {
            own
        } else {
            own + previous
        };
    }
}

/// Generic library code that launches a kernel of its own around its caller's function.
///
/// # Errors
/// Whatever the launch ends with.
pub fn transform<A: DeviceData, B: DeviceData + Default>(
    accelerator: &Accelerator,
    values: &[A],
    function: impl Fn(A) -> B + Copy + Send + Sync + 'static,
) -> legionella::Result<Vec<B>> {
    let x = accelerator.upload(values)?;
    let mut results = vec![B::default(); values.len()];
    let mut y = accelerator.upload(&results)?;
    let kernel = move |at: Item, x: &[A], mut y: Disjoint<B>| {
        if let (Some(&x), Some(y)) = (x.get(at.global()), y.at(&at)) {
            *y = function(x);
        }
    };
    accelerator
        .launch(kernel, Grid::over(values.len()), (&x, &mut y))?
        .wait()?;
    y.download(&mut results)?;
    Ok(results)
}

/// Library code that is compiled, launch and all, in its own crate.
///
/// # Errors
/// Whatever the launch ends with.
pub fn squares(accelerator: &Accelerator, count: usize) -> legionella::Result<Vec<u64>> {
    let mut results = vec![0; count];
    let mut y = accelerator.upload(&results)?;
    accelerator
        .launch(square, Grid::over(count), (&mut y,))?
        .wait()?;
    y.download(&mut results)?;
    Ok(results)
}

fn square(at: Item, mut y: Disjoint<u64>) {
    if let Some(y) = y.at(&at) {
        *y = (at.global() * at.global()) as u64;
    }
}

/// A function that panics on account of its own crate's code.
pub fn at_most_nine(x: u32) -> u32 {
    assert!(x <= 9, "{x} is more than nine");
    x
}
