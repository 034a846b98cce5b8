//! Index spaces: dimensions, odd sizes, odd groups, none, one and millions of work-items.

use std::fmt::Display;
use std::ops::{Add, Mul};

use legionella::Error;
use legionella::prelude::*;

use crate::both::both;
use crate::suite::Suite;
use crate::trial::{Failure, Trial, Verdict, output};

/// Everything that an item says about its place in the grid that doesn't depend on its group.
type Place = ([usize; 3], usize, [usize; 3], usize);

fn place(at: Item, mut out: Disjoint<Place>) {
    if let Some(out) = out.at(&at) {
        *out = (
            [at.x(), at.y(), at.z()],
            at.global(),
            at.grid(),
            at.grid_len(),
        );
    }
}

/// Whether local id and group size agree with the global id.
fn grouped(at: Item, group: [usize; 3], mut out: Disjoint<bool>) {
    let place = [at.x(), at.y(), at.z()];
    let (local, size) = (at.local(), at.group_size());
    if let Some(out) = out.at(&at) {
        *out =
            size == group && (0..3).all(|d| local[d] == place[d] % group[d] && local[d] < group[d]);
    }
}

fn tick(at: Item, x: &[u32], mut y: Disjoint<u32>) {
    if let Some(y) = y.at(&at) {
        *y = x[at.global() % x.len()].wrapping_add(at.global() as u32);
    }
}

fn blend(at: Item, s: f32, x: &[f32], y: &[u8], mut out: Disjoint<f32>) {
    if let Some(out) = out.at(&at) {
        *out = s * x[at.global()] + f32::from(y[at.global()]) - *out;
    }
}

/// So many work-items that targets may do several at once, at every distance from what is aligned, and
/// with checks that the last ones fail.
fn many(t: &mut Trial) -> Verdict {
    const LEN: usize = (1 << 20) + 7;
    let x: Vec<f32> = (0..LEN).map(|i| (i % 1009) as f32 - 500.0).collect();
    let y: Vec<u8> = (0..LEN).map(|i| (i * 7 + i / 1000) as u8).collect();
    let (device_x, device_y) = (t.accelerator.upload(&x)?, t.accelerator.upload(&y)?);
    for (start, items, len) in [
        (0, LEN, LEN),
        (1, LEN - 1, LEN - 1),
        (4, LEN - 4, LEN - 7),
        (3, LEN + 100, LEN - 3),
    ] {
        let mut out = t.accelerator.filled(LEN, 1.0f32)?;
        let arguments = (
            2.5,
            device_x.slice(start..LEN)?,
            device_y.slice(start..LEN)?,
            out.slice_mut(start..start + len)?,
        );
        t.accelerator.launch(blend, items, arguments)?.wait()?;
        let out = out.to_vec()?;
        for (i, found) in out.iter().enumerate() {
            let expected = if (start..start + len).contains(&i) {
                2.5 * x[i] + f32::from(y[i]) - 1.0
            } else {
                1.0
            };
            if found.to_bits() != expected.to_bits() {
                let place = format!("{expected} at {i}, from {start} on");
                return Err(Failure::unexpected(&place, found));
            }
        }
    }
    // The last items find no input, and one of them says so.
    let mut out = t.accelerator.filled(LEN, 1.0f32)?;
    let arguments = (2.5, device_x.slice(0..LEN - 2)?, &device_y, &mut out);
    match t.accelerator.launch(blend, LEN, arguments)?.wait() {
        Err(Error::KernelPanicked { message, item, .. }) => {
            let index = item[0];
            let expected = format!(
                "index out of bounds: the len is {} but the index is {index}",
                LEN - 2
            );
            if (LEN - 2..LEN).contains(&index) && message == expected {
                Ok(())
            } else {
                Err(Failure::unexpected(
                    &expected,
                    format!("{message} by {index}"),
                ))
            }
        }
        Err(error) => Err(Failure::unexpected("a panic", error)),
        Ok(()) => Err(Failure::unexpected("a panic", "success")),
    }
}

/// `y[i] = 2 * x[i] + y[i]` by addresses, of as many elements as there are items.
fn add_twice<T>(at: Item, x: *const T, y: *mut T)
where
    T: Copy + Mul<Output = T> + Add<Output = T> + From<u8>,
{
    let i = at.global();
    // SAFETY: the launch's promise; no item uses the element that another writes.
    unsafe { *y.add(i) = T::from(2) * *x.add(i) + *y.add(i) };
}

/// So many items that targets may do several at once, where LLVM can't know that one doesn't write what the next one reads:
/// of two arrays, and of one in place.
fn many_by_addresses<T>(t: &mut Trial, small: fn(u16) -> T) -> Verdict
where
    T: DeviceData + PartialEq + Display + Mul<Output = T> + Add<Output = T> + From<u8>,
{
    const LEN: usize = (1 << 20) + 7;
    let x: Vec<T> = (0..LEN).map(|i| small((i % 1009) as u16)).collect();
    let y: Vec<T> = (0..LEN).map(|i| small((i % 1013) as u16)).collect();
    for is_in_place in [true, false] {
        let (other, to) = (t.accelerator.upload(&x)?, t.accelerator.upload(&y)?);
        let from = if is_in_place { &to } else { &other };
        let arguments = (from.device_ptr(), to.device_ptr());
        // SAFETY: both buffers live until `wait` returns and have as many elements as there are items, of which each uses its own.
        unsafe {
            t.accelerator
                .launch_unchecked(add_twice::<T>, LEN, arguments)
        }?
        .wait()?;
        for (i, found) in to.to_vec()?.into_iter().enumerate() {
            let expected = T::from(2) * if is_in_place { y[i] } else { x[i] } + y[i];
            if found != expected {
                return Err(Failure::unexpected(format!("{expected} at {i}"), found));
            }
        }
    }
    Ok(())
}

/// Of an item's element and its neighbours in rows of another width than the grid's; of those at the edges, and in the row
/// `special`, the element alone.
fn around(at: Item, [pitch, special]: [usize; 2], x: &[f32], mut out: Disjoint<f32>) {
    let Some(out) = out.at(&at) else { return };
    let [width, height, _] = at.grid();
    let (column, row) = (at.x(), at.y());
    let here = &x[row * pitch..][..width];
    if row == special || row == 0 || row + 1 == height || column == 0 || column + 1 == width {
        *out = here[column];
        return;
    }
    let (above, below) = (&x[(row - 1) * pitch..], &x[(row + 1) * pitch..]);
    *out = here[column - 1] + 2.0 * here[column] - here[column + 1] + above[column] - below[column];
}

/// So many items of rows that targets may do several of a row at once, whether or not rows begin where accesses of
/// several elements may.
fn many_in_rows(t: &mut Trial) -> Verdict {
    const ROWS: usize = 1030;
    for (width, pitch, special) in [
        (1024, 1024, 0),
        (1024, 1027, 512),
        (1028, 1032, 3),
        (1023, 1030, 5),
    ] {
        let x: Vec<f32> = (0..ROWS * pitch)
            .map(|i| (i % 1013) as f32 - 300.0)
            .collect();
        let out = output::<f32>(width * ROWS);
        both!(t, around, Grid::over([width, ROWS]), [value [pitch, special]], [read x], [write out])?;
    }
    Ok(())
}

/// The sum of elements as far apart as there are items.
fn apart(at: Item, x: &[f32], y: &[f32], mut out: Disjoint<f32>) {
    let mut sum = 0.0;
    let mut i = at.global();
    while i < x.len() {
        sum += x[i] * y[i];
        i += at.grid_len();
    }
    if let Some(out) = out.at(&at) {
        *out = sum;
    }
}

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    suite.case("grids/many_items", many);
    suite.case("grids/many_items_in_rows", many_in_rows);
    suite.case("grids/many_items_by_addresses", |t| {
        many_by_addresses::<f32>(t, f32::from)?;
        many_by_addresses::<f64>(t, f64::from)?;
        many_by_addresses::<u64>(t, u64::from)
    });
    suite.case("grids/turns_of_all_items", |t| {
        for (len, items) in [
            (0, 5),
            (1, 1),
            (999, 1000),
            (1000, 1000),
            (1001, 1000),
            (10_007, 1000),
            (10_007, 1),
        ] {
            let x: Vec<f32> = (0..len).map(|i| (i % 37) as f32 * 0.37).collect();
            let (y, out) = (x.clone(), output::<f32>(items));
            both!(t, apart, Grid::over(items), [read x], [read y], [write out])?;
        }
        Ok(())
    });
    suite.case("grids/one_dimension", |t| {
        for size in [1, 2, 7, 31, 32, 33, 255, 256, 257, 1000, 4099] {
            let out = output::<Place>(size);
            both!(t, place, Grid::over(size), [write out])?;
        }
        Ok(())
    });
    suite.case("grids/two_dimensions", |t| {
        for size in [
            [1, 1],
            [1, 9],
            [9, 1],
            [17, 5],
            [33, 31],
            [257, 3],
            [3, 257],
        ] {
            let out = output::<Place>(size[0] * size[1]);
            both!(t, place, Grid::over(size), [write out])?;
        }
        Ok(())
    });
    suite.case("grids/three_dimensions", |t| {
        for size in [[1, 1, 1], [1, 1, 13], [5, 7, 11], [64, 2, 3], [3, 65, 2]] {
            let out = output::<Place>(size.iter().product());
            both!(t, place, Grid::over(size), [write out])?;
        }
        Ok(())
    });
    suite.case("grids/groups", |t| {
        for (size, group) in [
            ([100, 1, 1], [32, 1, 1]),
            ([100, 1, 1], [7, 1, 1]),
            ([5, 1, 1], [64, 1, 1]),
            ([30, 20, 1], [8, 8, 1]),
            ([13, 17, 5], [3, 5, 2]),
            ([13, 17, 5], [1, 1, 1]),
            ([2, 3, 100], [1, 2, 60]),
        ] {
            let len = size.iter().product();
            let expected = crate::bits::Observed::new("out", vec![true; len]);
            let mut out = t.accelerator.upload(&vec![false; len])?;
            let grid = Grid::over(size).group(group);
            t.accelerator
                .launch(grouped, grid, (group, &mut out))?
                .wait()?;
            let found = t.observe("out", &out)?;
            t.compare(&[expected], &[found])?;
            let out = output::<Place>(len);
            both!(t, place, grid, [write out])?;
        }
        Ok(())
    });
    suite.case("grids/empty", |t| {
        for size in [[0, 1, 1], [5, 0, 3], [0, 0, 0], [usize::MAX, usize::MAX, 0]] {
            let out = output::<Place>(3);
            both!(t, place, Grid::over(size), [write out])?;
        }
        Ok(())
    });
    suite.case("grids/empty_buffers", |t| {
        let out = Vec::<Place>::new();
        both!(t, place, Grid::over(5), [write out])
    });
    suite.case("grids/millions", |t| {
        let x: Vec<u32> = (0..1021).map(|x| x * x).collect();
        let y = output::<u32>(3_000_017);
        both!(t, tick, Grid::over(3_000_017), [read x], [write y])?;
        let z = output::<u32>(1009 * 1013 * 2);
        both!(t, tick, Grid::over([1009, 1013, 2]), [read x], [write z])
    });
    suite.case("grids/more_items_than_elements", |t| {
        let x = vec![7u32; 3];
        let y = vec![0u32; 100];
        both!(t, tick, Grid::over(1000), [read x], [write y])
    });
    suite.case("grids/fewer_items_than_elements", |t| {
        let x = vec![9u32; 3];
        let y = vec![1u32; 1000];
        both!(t, tick, Grid::over(100), [read x], [write y])
    });
}
