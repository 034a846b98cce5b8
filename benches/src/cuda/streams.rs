//! BabelStream's five kernels on arrays of 1 GiB: one element a work-item, and for the dot product a
//! group's sum. Beside `nvcc`'s, and with safe indexing beside raw pointers.

use legionella::prelude::*;

use super::launches::{self, DOT_GROUP, Number};
use super::peer::{Memory, Peer};
use crate::data::{numbers, same};
use crate::{Bench, MILLI};

/// Bytes of an array.
const BYTES: usize = 1 << 30;

/// Groups of a dot product.
const DOT_GROUPS: usize = 1056;

/// The peers of one type of elements.
struct Functions<T> {
    copy: unsafe extern "C" fn(*const T, *mut T, usize) -> i32,
    mul: unsafe extern "C" fn(T, *const T, *mut T, usize) -> i32,
    add: unsafe extern "C" fn(*const T, *const T, *mut T, usize) -> i32,
    triad: unsafe extern "C" fn(T, *const T, *const T, *mut T, usize) -> i32,
    dot: unsafe extern "C" fn(*const T, *const T, *mut T, usize, usize) -> i32,
}

/// The benchmarks.
pub fn run(bench: &mut Bench) -> anyhow::Result<()> {
    device_copy(bench)?;
    of(bench, "f32", 3.0f32, |peer| Functions {
        copy: peer.copy_f32,
        mul: peer.mul_f32,
        add: peer.add_f32,
        triad: peer.triad_f32,
        dot: peer.dot_f32,
    })?;
    of(bench, "f64", 3.0f64, |peer| Functions {
        copy: peer.copy_f64,
        mul: peer.mul_f64,
        add: peer.add_f64,
        triad: peer.triad_f64,
        dot: peer.dot_f64,
    })
}

/// What the device copies without any kernel.
fn device_copy(bench: &mut Bench) -> anyhow::Result<()> {
    let x = vec![1u8; BYTES];
    let from = bench.accelerator.upload(&x)?;
    let mut to = bench.accelerator.zeroed::<u8>(BYTES)?;
    let (peer_from, peer_to) = (Memory::of(&bench.peer, &x)?, Memory::of(&bench.peer, &x)?);
    bench.rows.time(
        "device copy (peer: cudaMemcpy)",
        MILLI,
        || Ok(to.copy_from(&from)?),
        || {
            let (to, from) = (peer_to.start().cast(), peer_from.start().cast());
            // SAFETY: both have that many bytes.
            unsafe { (bench.peer.device_copy)(to, from, BYTES) }
        },
    )
}

fn of<T>(
    bench: &mut Bench,
    name: &str,
    s: T,
    functions: impl Fn(&Peer) -> Functions<T>,
) -> anyhow::Result<()>
where
    T: Number + Default + PartialEq + From<f32> + std::iter::Sum<T>,
{
    let peer = functions(&bench.peer);
    let len = BYTES / size_of::<T>();
    let values = |seed| -> Vec<T> {
        let some = numbers(seed, 1 << 16);
        (0..len).map(|i| T::from(some[i % some.len()])).collect()
    };
    let (x, y) = (values(1), values(2));
    let accelerator = &bench.accelerator;
    let (a, b) = (accelerator.upload(&x)?, accelerator.upload(&y)?);
    let mut c = accelerator.filled(len, T::default())?;
    let (pa, pb) = (Memory::of(&bench.peer, &x)?, Memory::of(&bench.peer, &y)?);
    let pc = Memory::of(&bench.peer, &vec![T::default(); len])?;
    let (from_a, from_b, out) = (pa.start().cast_const(), pb.start().cast_const(), pc.start());
    let grid = Grid::over(len);
    let rows = &mut bench.rows;

    rows.time(
        format!("copy {name}"),
        MILLI,
        || {
            let launch = accelerator.launch(launches::copy, grid, (&a, &mut c))?;
            Ok(launch.wait()?)
        },
        // SAFETY: all have `len` elements; so for the others.
        || unsafe { (peer.copy)(from_a, out, len) },
    )?;
    same(&c.to_vec()?, &pc.to_vec()?)?;
    rows.time(
        format!("mul {name}"),
        MILLI,
        || {
            let launch = accelerator.launch(launches::mul, grid, (s, &a, &mut c))?;
            Ok(launch.wait()?)
        },
        // SAFETY: as above.
        || unsafe { (peer.mul)(s, from_a, out, len) },
    )?;
    same(&c.to_vec()?, &pc.to_vec()?)?;
    rows.time(
        format!("add {name}"),
        MILLI,
        || {
            let launch = accelerator.launch(launches::add, grid, (&a, &b, &mut c))?;
            Ok(launch.wait()?)
        },
        // SAFETY: as above.
        || unsafe { (peer.add)(from_a, from_b, out, len) },
    )?;
    same(&c.to_vec()?, &pc.to_vec()?)?;
    rows.time(
        format!("triad {name}"),
        MILLI,
        || {
            let launch = accelerator.launch(launches::triad, grid, (s, &a, &b, &mut c))?;
            Ok(launch.wait()?)
        },
        // SAFETY: as above.
        || unsafe { (peer.triad)(s, from_a, from_b, out, len) },
    )?;
    same(&c.to_vec()?, &pc.to_vec()?)?;

    let mut ours = T::default();
    let mut theirs = T::default();
    let dot_grid = Grid::over(DOT_GROUPS * DOT_GROUP).group(DOT_GROUP);
    let sums = accelerator.filled(DOT_GROUPS, T::default())?;
    let peer_sums = Memory::of(&bench.peer, &[T::default(); DOT_GROUPS])?;
    rows.time(
        format!("dot {name}"),
        MILLI,
        || {
            let arguments = (&a, &b, sums.device_ptr(), shared());
            // SAFETY: there are as many sums as groups, and the launch is waited for.
            unsafe { accelerator.launch_unchecked(launches::dot, dot_grid, arguments) }?.wait()?;
            ours = sums.to_vec()?.into_iter().sum();
            Ok(())
        },
        || {
            // SAFETY: two arrays of `len` elements, and a sum for each group.
            let code = unsafe { (peer.dot)(from_a, from_b, peer_sums.start(), DOT_GROUPS, len) };
            theirs = peer_sums.to_vec().unwrap_or_default().into_iter().sum();
            code
        },
    )?;
    same(&[ours], &[theirs])?;

    // What safe indexing costs: the same kernel with raw pointers.
    let raw = accelerator.filled(len, T::default())?;
    let pointers = (a.device_ptr(), b.device_ptr(), raw.device_ptr());
    rows.time(
        format!("triad {name}, safe (peer: raw pointers)"),
        MILLI,
        || {
            let launch = accelerator.launch(launches::triad, grid, (s, &a, &b, &mut c))?;
            Ok(launch.wait()?)
        },
        || {
            let arguments = (s, len, pointers.0, pointers.1, pointers.2);
            // SAFETY: all three have `len` elements, and the launch is waited for.
            let launch =
                unsafe { accelerator.launch_unchecked(launches::triad_raw, grid, arguments) };
            launch.and_then(|launch| launch.wait()).map_or(-1, |()| 0)
        },
    )?;
    same(&c.to_vec()?, &raw.to_vec()?)
}
