//! What can be an argument: every kind of value, many, large, empty and strictly aligned ones.

use std::num::NonZero;
use std::time::Duration;

use legionella::prelude::*;

use crate::both::both;
use crate::suite::Suite;
use crate::trial::{Failure, Verdict, output};
use crate::values::values;

#[derive(Clone, Copy, DeviceData)]
struct Camera {
    position: [f32; 3],
    fov: f64,
    flags: (bool, char),
    id: Option<NonZero<u16>>,
}

#[derive(Clone, Copy, DeviceData)]
enum Brush {
    None,
    Solid(u32),
    Gradient {
        from: [u8; 3],
        to: [u8; 3],
        steps: u64,
    },
}

#[derive(Clone, Copy, DeviceData)]
struct Generic<T, const N: usize> {
    items: [T; N],
    brush: Brush,
}

#[derive(Clone, Copy, DeviceData)]
struct Nothing;

fn camera(at: Item, camera: Camera, mut y: Disjoint<f64>) {
    if let Some(y) = y.at(&at) {
        let axis = f64::from(camera.position[at.global() % 3]);
        let id = camera.id.map_or(0, NonZero::get);
        *y = axis * camera.fov
            + f64::from(id)
            + if camera.flags.0 { 1.0 } else { 0.0 }
            + f64::from(camera.flags.1 as u32);
    }
}

fn paint(brush: Brush, at: usize) -> u64 {
    match brush {
        Brush::None => 0,
        Brush::Solid(colour) => u64::from(colour) + at as u64,
        Brush::Gradient { from, to, steps } => {
            let step = at as u64 % steps;
            (0..3)
                .map(|c| u64::from(from[c]) * (steps - step) + u64::from(to[c]) * step)
                .sum()
        }
    }
}

#[allow(clippy::too_many_arguments)]
fn twelve(
    at: Item,
    a: u8,
    b: &[u16],
    c: u32,
    mut d: Disjoint<u64>,
    e: i128,
    f: f32,
    g: &[f64],
    h: (u8, u64),
    mut i: Tiles<u32, 2>,
    j: [u16; 5],
    k: bool,
    l: Option<char>,
) {
    let n = at.global();
    if let Some(d) = d.at(&at) {
        *d = u64::from(a) + u64::from(b[n % b.len()]) + u64::from(c) + (e >> 70) as u64;
    }
    if let Some(i) = i.at(&at) {
        i[0] = (f64::from(f) * g[n % g.len()]) as u32 + h.1 as u32 + u32::from(h.0);
        i[1] = u32::from(j[n % 5]) + u32::from(k) + l.map_or(0, u32::from);
    }
}

/// Whether a buffer holds what it should.
fn same(found: &[u32], expected: &[u32]) -> Verdict {
    if found == expected {
        return Ok(());
    }
    Err(Failure::unexpected(
        format!("{expected:?}"),
        format!("{found:?}"),
    ))
}

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    suite.case("arguments/none", |t| {
        let kernel = |at: Item| assert!(at.global() < at.grid_len());
        both!(t, kernel, Grid::over(100))
    });
    suite.case("arguments/struct", |t| {
        let value = Camera {
            position: [1.5, -2.0, 3.25],
            fov: 0.7,
            flags: (true, 'é'),
            id: NonZero::new(9),
        };
        let y = output::<f64>(50);
        both!(t, camera, Grid::over(50), [value value], [write y])
    });
    suite.case("arguments/enum", |t| {
        let kernel = |at: Item, brush: Brush, mut y: Disjoint<u64>| {
            if let Some(y) = y.at(&at) {
                *y = paint(brush, at.global());
            }
        };
        for brush in [
            Brush::None,
            Brush::Solid(0xffee_dd00),
            Brush::Gradient {
                from: [1, 2, 3],
                to: [200, 100, 0],
                steps: 77,
            },
        ] {
            let y = output::<u64>(100);
            both!(t, kernel, Grid::over(100), [value brush], [write y])?;
        }
        Ok(())
    });
    suite.case("arguments/generic_struct", |t| {
        let kernel = |at: Item, all: Generic<(u8, f32), 6>, mut y: Disjoint<(f32, u64)>| {
            if let Some(y) = y.at(&at) {
                let (count, factor) = all.items[at.global() % 6];
                *y = (f32::from(count) * factor, paint(all.brush, at.global()));
            }
        };
        let items = [(1, 0.5), (2, 1.5), (3, -1.0), (4, 1e9), (5, 0.1), (255, 3.0)];
        let y = output::<(f32, u64)>(60);
        both!(t, kernel, Grid::over(60), [value Generic { items, brush: Brush::Solid(5) }], [write y])
    });
    suite.case("arguments/buffer_of_enums", |t| {
        let kernel = |at: Item, brushes: &[Brush], mut y: Disjoint<u64>| {
            if let Some(y) = y.at(&at) {
                *y = paint(brushes[at.global() % brushes.len()], at.global());
            }
        };
        let brushes = vec![
            Brush::Solid(1),
            Brush::None,
            Brush::Gradient {
                from: [9; 3],
                to: [1; 3],
                steps: 5,
            },
        ];
        let y = output::<u64>(100);
        both!(t, kernel, Grid::over(100), [read brushes], [write y])
    });
    suite.case("arguments/buffer_of_options", |t| {
        let kernel = |at: Item, x: &[Option<NonZero<u32>>], mut y: Disjoint<Option<u32>>| {
            if let (Some(x), Some(y)) = (x.get(at.global()), y.at(&at)) {
                *y = x.map(|x| x.get() ^ 1);
            }
        };
        let x: Vec<_> = values::<u32>(100)
            .into_iter()
            .map(|v| NonZero::new(v % 3))
            .collect();
        let y = output::<Option<u32>>(100);
        both!(t, kernel, Grid::over(100), [read x], [write y])
    });
    suite.case("arguments/twelve", |t| {
        let (b, g) = (values::<u16>(13), vec![1.5, 2.5, 1e3]);
        let (d, i) = (output::<u64>(100), output::<u32>(200));
        both!(
            t, twelve, Grid::over(100),
            [value 3], [read b], [value 5], [write d], [value 77 << 71], [value 2.5], [read g],
            [value (1, 2)], [tiles 2 i], [value [1, 2, 3, 4, 5]], [value true], [value Some('x')],
        )
    });
    suite.case("arguments/large", |t| {
        let kernel =
            |at: Item, table: [u32; 700], more: ([u64; 40], [u8; 33]), mut y: Disjoint<u64>| {
                if let Some(y) = y.at(&at) {
                    let n = at.global();
                    *y = u64::from(table[n % 700]) ^ more.0[n % 40] ^ u64::from(more.1[n % 33]);
                }
            };
        let table: [u32; 700] = std::array::from_fn(|i| (i * i) as u32);
        let more: ([u64; 40], [u8; 33]) = (
            std::array::from_fn(|i| (i as u64) << 30),
            std::array::from_fn(|i| i as u8),
        );
        let y = output::<u64>(2000);
        both!(t, kernel, Grid::over(2000), [value table], [value more], [write y])
    });
    suite.case("arguments/zero_sized", |t| {
        let kernel = |at: Item, _: (), nothing: Nothing, none: [u64; 0], x: &[()], mut y: Disjoint<u32>| {
            if let Some(y) = y.at(&at) {
                *y = (size_of_val(&nothing) + none.len() + x.len()) as u32;
            }
        };
        let x = vec![(); 9];
        let y = output::<u32>(20);
        both!(t, kernel, Grid::over(20), [value ()], [value Nothing], [value []], [read x], [write y])
    });
    suite.case("arguments/alignment", |t| {
        let kernel = |at: Item, a: u8, b: u128, c: u8, d: Option<i128>, x: &[u128], mut y: Disjoint<u128>| {
            if let (Some(x), Some(y)) = (x.get(at.global()), y.at(&at)) {
                let aligned = (&raw const *y).addr() % align_of::<u128>() == 0;
                let mixed = b.wrapping_mul(*x).wrapping_add(u128::from(a ^ c));
                *y = if aligned { mixed ^ d.unwrap_or(1) as u128 } else { 0 };
            }
        };
        let x = values::<u128>(100);
        let y = output::<u128>(100);
        both!(t, kernel, Grid::over(100), [value 1], [value u128::MAX / 7], [value 200], [value Some(-5)], [read x], [write y])
    });
    suite.case("arguments/standard_types", |t| {
        let kernel = |at: Item, wait: Duration, address: std::net::Ipv4Addr, order: std::cmp::Ordering, mut y: Disjoint<u64>| {
            if let Some(y) = y.at(&at) {
                let waited = wait * (at.global() as u32 + 1);
                *y = waited.as_millis() as u64 + u64::from(address.octets()[3]) + u64::from(order.is_lt());
            }
        };
        let y = output::<u64>(40);
        both!(
            t, kernel, Grid::over(40),
            [value Duration::from_micros(1_234_567)], [value std::net::Ipv4Addr::LOCALHOST], [value std::cmp::Ordering::Less], [write y],
        )
    });
    suite.case("arguments/parts_of_buffers", |t| {
        let kernel = |at: Item, x: &[u32], mut y: Disjoint<u32>| {
            if let (Some(x), Some(y)) = (x.get(at.global()), y.at(&at)) {
                *y = x ^ 0xFF;
            }
        };
        let mut buffer = t.accelerator.upload(&values::<u32>(40))?;
        let mut expected = buffer.to_vec()?;
        let (low, mut high) = buffer.split_at_mut(20)?;
        let inputs = low.as_slice().slice(5..15)?;
        t.accelerator
            .launch(kernel, 20, (inputs, high.slice_mut(3..)?))?;
        for index in 0..10 {
            expected[23 + index] = expected[5 + index] ^ 0xFF;
        }
        same(&buffer.to_vec()?, &expected)
    });
    suite.case("arguments/addresses", |t| {
        let kernel = |at: Item, x: *const u32, y: *mut u32| {
            let index = at.global();
            // SAFETY: the grid has as many items as lie between `x` and `y` and their ends.
            unsafe { *y.add(index) = *x.add(index) + 1 };
        };
        let mut buffer = t.accelerator.upload(&Vec::from_iter(0..64u32))?;
        let before = buffer.to_vec()?;
        let (x, y) = (buffer.device_ptr(), buffer.device_ptr().offset(32));
        // SAFETY: the buffer lives until `wait` returns, items write an element each that no
        // other reads, and the grid ends where the buffer does.
        unsafe { t.accelerator.launch_unchecked(kernel, 32, (x, y)) }?.wait()?;
        buffer.slice_mut(..32)?.fill(0)?;
        let expected: Vec<u32> = (0..64)
            .map(|index| {
                if index < 32 {
                    0
                } else {
                    before[index - 32] + 1
                }
            })
            .collect();
        same(&buffer.to_vec()?, &expected)
    });
}
