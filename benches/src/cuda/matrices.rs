//! Products of matrices, full and sparse, and a Fourier transform, beside CUDA C++ of the same algorithms
//! and beside cuBLAS.

use anyhow::ensure;
use legionella::prelude::*;

use super::peer::Memory;
use crate::data::{numbers, same};
use crate::kernels;
use crate::sparse::Matrix;
use crate::{Bench, MILLI};

/// Four neighbours, aligned as the widest access.
#[derive(Clone, Copy, Default, PartialEq, DeviceData)]
#[repr(C, align(16))]
struct Four([f32; 4]);

/// Rows and columns of a group's part of a product.
const SIDE: usize = 128;
/// Rows of both factors that a group has in its memory at a time.
const DEPTH: usize = 16;
/// Fours in a row of a group's part.
const FOURS: usize = SIDE / 4;
/// Items of a group.
const ITEMS: usize = 256;

/// `DEPTH` rows of `SIDE` numbers, of which each item owns two neighbouring fours.
type Rows = [[Four; 2]; ITEMS];

/// The product of the transpose of `a` and of `b`, both `n` by `n`: a part of `SIDE` by `SIDE` a group, eight
/// by eight an item.
///
/// `c` is the address of as many numbers, which nothing else uses during the launch, which answers for
/// that.
#[allow(clippy::too_many_arguments, reason = "two factors, twice")]
fn gemm(
    group: Group,
    n: usize,
    a: &[Four],
    b: &[Four],
    c: *mut Four,
    a0: Shared<Rows>,
    b0: Shared<Rows>,
    a1: Shared<Rows>,
    b1: Shared<Rows>,
) {
    let read = (|i: usize| a[i], |i: usize| b[i]);
    // SAFETY: the launch's promise.
    unsafe { product(&group, n, read, c, (a0, b0), (a1, b1)) }
}

/// [`gemm`] with raw pointers.
///
/// `a` and `b` are addresses of as many numbers, which nothing writes during the launch.
#[allow(clippy::too_many_arguments, reason = "two factors, twice")]
fn gemm_raw(
    group: Group,
    n: usize,
    a: *const Four,
    b: *const Four,
    c: *mut Four,
    a0: Shared<Rows>,
    b0: Shared<Rows>,
    a1: Shared<Rows>,
    b1: Shared<Rows>,
) {
    // SAFETY: `product` reads what the matrices have.
    let read = unsafe { (|i: usize| *a.add(i), |i: usize| *b.add(i)) };
    // SAFETY: the launch's promise.
    unsafe { product(&group, n, read, c, (a0, b0), (a1, b1)) }
}

/// # Safety
/// `c` is the address of as many numbers as a matrix has, which nothing else uses during the launch.
#[inline(always)]
unsafe fn product(
    group: &Group,
    n: usize,
    (a, b): (impl Fn(usize) -> Four, impl Fn(usize) -> Four),
    c: *mut Four,
    first: (Shared<Rows>, Shared<Rows>),
    second: (Shared<Rows>, Shared<Rows>),
) {
    let (rank, width) = (group.rank() % ITEMS, n / 4);
    let (column, row) = (rank % 16, rank / 16);
    let [x, y, _] = group.id();
    let start = row * width + 2 * column;
    let (mut from_a, mut from_b) = (start + y * FOURS, start + x * FOURS);
    let load =
        |from_a: usize, from_b: usize| ([a(from_a), a(from_a + 1)], [b(from_b), b(from_b + 1)]);
    let mut next = load(from_a, from_b);
    let zero = [Four::default(); 2];
    let mut filled = (first.0.filled(next.0), first.1.filled(next.1));
    let mut used = group.sync((second.0.filled(zero), second.1.filled(zero)));
    let mut sums = [[0.0f32; 8]; 8];
    let mut k = DEPTH;
    loop {
        let (now, free) = group.sync((filled, used));
        let more = k < n;
        if more {
            (from_a, from_b) = (from_a + DEPTH * width, from_b + DEPTH * width);
            next = load(from_a, from_b);
        }
        for k in 0..DEPTH {
            let four = |part: &Rows, four: usize| part[(k * FOURS + four) / 2][four % 2].0;
            let (left, right) = (&*now.0, &*now.1);
            let left = [four(left, row), four(left, 16 + row)];
            let right = [four(right, column), four(right, 16 + column)];
            for (i, sums) in sums.iter_mut().enumerate() {
                for (j, sum) in sums.iter_mut().enumerate() {
                    *sum = left[i / 4][i % 4].mul_add(right[j / 4][j % 4], *sum);
                }
            }
        }
        if !more {
            break;
        }
        let (mut free_a, mut free_b) = free;
        if let (Some(a), Some(b)) = (free_a.own(), free_b.own()) {
            (*a, *b) = next;
        }
        (filled, used) = ((free_a, free_b), now);
        k += DEPTH;
    }
    for (i, sums) in sums.iter().enumerate() {
        let row = y * SIDE + i / 4 * 64 + row * 4 + i % 4;
        let at = row * width + x * FOURS + column;
        let (fours, _) = sums.as_chunks::<4>();
        // SAFETY: the caller's promise; each item has its own part of the matrix.
        unsafe {
            *c.add(at) = Four(fours[0]);
            *c.add(at + 16) = Four(fours[1]);
        }
    }
}

/// Products of 4,096 by 4,096 numbers.
pub fn gemm_4096(bench: &mut Bench) -> anyhow::Result<()> {
    let n = 4096;
    let fours = |seed| -> Vec<Four> {
        let numbers = numbers(seed, n * n);
        numbers
            .as_chunks::<4>()
            .0
            .iter()
            .map(|&four| Four(four))
            .collect()
    };
    let (a, b) = (fours(1), fours(2));
    let accelerator = &bench.accelerator;
    let (device_a, device_b) = (accelerator.upload(&a)?, accelerator.upload(&b)?);
    let c = accelerator.filled(a.len(), Four::default())?;
    let raw = accelerator.filled(a.len(), Four::default())?;
    let (pa, pb) = (Memory::of(&bench.peer, &a)?, Memory::of(&bench.peer, &b)?);
    let pc = Memory::of(&bench.peer, &a)?;
    let grid = Grid::over([n / SIDE * ITEMS, n / SIDE]).group([ITEMS, 1]);
    let ours = || {
        let arguments = (
            n,
            &device_a,
            &device_b,
            c.device_ptr(),
            shared(),
            shared(),
            shared(),
            shared(),
        );
        // SAFETY: as many numbers as the factors have; the launch is waited for.
        Ok(unsafe { accelerator.launch_unchecked(gemm, grid, arguments) }?.wait()?)
    };
    let rows = &mut bench.rows;
    rows.time("gemm f32 4096", MILLI, ours, || {
        let (a, b, c) = (pa.start().cast(), pb.start().cast(), pc.start().cast());
        // SAFETY: matrices of that size, of fours that are aligned.
        unsafe { (bench.peer.gemm)(n as i32, a, b, c) }
    })?;
    let (products, peers) = (c.to_vec()?, pc.to_vec()?);
    same(&products, &peers)?;
    rows.time("gemm f32 4096 (peer: cuBLAS)", MILLI, ours, || {
        let (a, b, c) = (pa.start().cast(), pb.start().cast(), pc.start().cast());
        // SAFETY: matrices of that size.
        unsafe { (bench.peer.sgemm)(n as i32, a, b, c) }
    })?;
    for (Four(ours), Four(peer)) in products.iter().zip(&pc.to_vec()?) {
        let near = |(ours, peer): (&f32, &f32)| (ours - peer).abs() <= 1e-4 * peer.abs();
        ensure!(
            ours.iter().zip(peer).all(near),
            "{ours:?} instead of {peer:?}"
        );
    }
    rows.time(
        "gemm f32 4096, safe (peer: raw pointers)",
        MILLI,
        ours,
        || {
            let arguments = (
                n,
                device_a.device_ptr(),
                device_b.device_ptr(),
                raw.device_ptr(),
                shared(),
                shared(),
                shared(),
                shared(),
            );
            // SAFETY: matrices of that size; the launch is waited for.
            let launch = unsafe { accelerator.launch_unchecked(gemm_raw, grid, arguments) };
            launch.and_then(|launch| launch.wait()).map_or(-1, |()| 0)
        },
    )?;
    same(&products, &raw.to_vec()?)
}

/// A product of 4 Mi rows of 4 to 28 elements and a vector.
pub fn spmv(bench: &mut Bench) -> anyhow::Result<()> {
    let rows = 1 << 22;
    let Matrix {
        starts,
        columns,
        values,
    } = Matrix::near_the_diagonal(rows);
    let x = numbers(4, rows);
    let accelerator = &bench.accelerator;
    let (device_starts, device_columns) =
        (accelerator.upload(&starts)?, accelerator.upload(&columns)?);
    let (device_values, device_x) = (accelerator.upload(&values)?, accelerator.upload(&x)?);
    let mut y = accelerator.upload(&x)?;
    let of_numbers = |from: &[f32]| Memory::of(&bench.peer, from);
    let (pv, px, py) = (of_numbers(&values)?, of_numbers(&x)?, of_numbers(&x)?);
    let (ps, pc) = (
        Memory::of(&bench.peer, &starts)?,
        Memory::of(&bench.peer, &columns)?,
    );
    bench.rows.time(
        "spmv",
        MILLI,
        || {
            let arguments = (
                &device_starts,
                &device_columns,
                &device_values,
                &device_x,
                &mut y,
            );
            Ok(accelerator.launch(kernels::spmv, rows, arguments)?.wait()?)
        },
        || {
            let (starts, columns) = (ps.start(), pc.start());
            // SAFETY: the matrix is as it was made above.
            unsafe { (bench.peer.spmv)(starts, columns, pv.start(), px.start(), py.start(), rows) }
        },
    )?;
    same(&y.to_vec()?, &py.to_vec()?)
}

/// A complex number.
#[derive(Clone, Copy, Debug, Default, PartialEq, DeviceData)]
#[repr(C, align(8))]
struct Complex {
    re: f32,
    im: f32,
}

impl Complex {
    fn plus(self, other: Self) -> Self {
        Complex {
            re: self.re + other.re,
            im: self.im + other.im,
        }
    }

    fn minus(self, other: Self) -> Self {
        Complex {
            re: self.re - other.re,
            im: self.im - other.im,
        }
    }

    fn times(self, other: Self) -> Self {
        Complex {
            re: self.re * other.re - self.im * other.im,
            im: self.re * other.im + self.im * other.re,
        }
    }

    /// Times the root of -1 whose sign is minus.
    fn turned(self) -> Self {
        Complex {
            re: self.im,
            im: -self.re,
        }
    }
}

/// A pass of transforms of base 4, a row of the grid each: `step` is 4 to the power of the pass, `roots` are
/// those of unity, and the results' digits to base 4 are in reverse at last.
fn pass(at: Item, step: usize, roots: &[Complex], x: &[Complex], mut y: Tiles<Complex, 4>) {
    let Some(y) = y.at(&at) else { return };
    let [quarter, ..] = at.grid();
    let (i, row) = (at.x(), at.y() * 4 * quarter);
    let turn = i & !(step - 1);
    let [a, b, c, d] = [0, 1, 2, 3].map(|k| x[row + i + k * quarter]);
    let (s, t, u, v) = (a.plus(c), b.plus(d), a.minus(c), b.minus(d).turned());
    *y = [
        s.plus(t),
        u.plus(v).times(roots[turn]),
        s.minus(t).times(roots[2 * turn]),
        u.minus(v).times(roots[3 * turn]),
    ];
}

/// 16 transforms of 2^20 numbers.
pub fn fft(bench: &mut Bench) -> anyhow::Result<()> {
    const PASSES: u32 = 10;
    let (len, count) = (4usize.pow(PASSES), 16);
    let roots: Vec<Complex> = (0..len)
        .map(|k| {
            let (sin, cos) = (-std::f64::consts::TAU * k as f64 / len as f64).sin_cos();
            Complex {
                re: cos as f32,
                im: sin as f32,
            }
        })
        .collect();
    let signal: Vec<Complex> = numbers(1, 2 * len * count)
        .as_chunks::<2>()
        .0
        .iter()
        .map(|&[re, im]| Complex { re, im })
        .collect();
    let accelerator = &bench.accelerator;
    let device_roots = accelerator.upload(&roots)?;
    let device_signal = accelerator.upload(&signal)?;
    let (mut x, mut y) = (accelerator.upload(&signal)?, accelerator.upload(&signal)?);
    let of_numbers = |from: &[Complex]| Memory::of(&bench.peer, from);
    let (pw, ps) = (of_numbers(&roots)?, of_numbers(&signal)?);
    let (px, py) = (of_numbers(&signal)?, of_numbers(&signal)?);
    let grid = Grid::over([len / 4, count]);
    bench.rows.time(
        "fft 2^20 x 16",
        MILLI,
        || {
            accelerator.launch(
                pass,
                grid,
                (1, &device_roots, &device_signal, x.tiles::<4>()),
            )?;
            let mut last = None;
            for place in 1..PASSES {
                let arguments = (4usize.pow(place), &device_roots, &x, y.tiles::<4>());
                last = Some(accelerator.launch(pass, grid, arguments)?);
                std::mem::swap(&mut x, &mut y);
            }
            // As often as they were swapped, which is odd, so that `x` has the result: what was `y`.
            Ok(last.map_or(Ok(()), |last| last.wait())?)
        },
        || {
            let (w, from) = (pw.start().cast(), ps.start().cast());
            let (x, y) = (px.start().cast(), py.start().cast());
            // SAFETY: a root for each number, and three arrays of transforms.
            unsafe { (bench.peer.fft)(w, from, x, y, len / 4, count) }
        },
    )?;
    let transformed = x.to_vec()?;
    same(&transformed, &py.to_vec()?)?;
    near_definition(&signal[..len], &transformed[..len])
}

/// Compares some numbers of a transform, whose digits to base 4 are in reverse, with what it is by definition.
fn near_definition(signal: &[Complex], transform: &[Complex]) -> anyhow::Result<()> {
    let len = signal.len();
    for frequency in [0, 1, 12_345, len - 7] {
        let (mut re, mut im) = (0.0, 0.0);
        for (i, x) in signal.iter().enumerate() {
            let turn = -std::f64::consts::TAU * (i * frequency % len) as f64 / len as f64;
            let (sin, cos) = turn.sin_cos();
            let (x_re, x_im) = (f64::from(x.re), f64::from(x.im));
            re += x_re * cos - x_im * sin;
            im += x_re * sin + x_im * cos;
        }
        let (mut place, mut left) = (0, frequency);
        let mut digits = len;
        while digits > 1 {
            (place, left, digits) = (4 * place + left % 4, left / 4, digits / 4);
        }
        let found = transform[place];
        let far = (f64::from(found.re) - re).hypot(f64::from(found.im) - im);
        let size = (len as f64).sqrt() + re.hypot(im);
        ensure!(
            far < 1e-4 * size,
            "frequency {frequency} is {found:?}, not {re} and {im}"
        );
    }
    Ok(())
}
