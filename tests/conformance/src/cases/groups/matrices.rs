//! Products of matrices: every type, every way to load, in matrices that blocks don't divide; and lanes that
//! don't come.

use half::{bf16, f16};
use legionella::matrix::{Blocks, Factor, Strip, Sum, Tf32, Tile};
use legionella::prelude::*;
use legionella::{Error, Zeroable};

use crate::bits::Bits;
use crate::both::both;
use crate::suite::Suite;
use crate::trial::{Failure, Trial, Verdict, output};
use crate::values::Generator;

/// Strips of a row of the matrices: the depth is two products'.
const STRIPS: usize = 4;

/// Rows and columns of the product, of which blocks of 16 × 16 are cut off.
const ROWS: usize = 40;
const COLUMNS: usize = 49;

/// Rows and columns of whole blocks.
const ALL: usize = 64;

/// A sum begun with a third matrix, and three products of the same matrices, each loaded in another way. The tiles
/// `down` and `across` have columns as rows: `ACROSS` strips of 16 elements. Groups are two subgroups wide.
#[allow(
    clippy::too_many_arguments,
    reason = "a matrix is loaded in all ways at once"
)]
fn products<T: Number, const ACROSS: usize>(
    group: Group,
    left: &[Strip<T>],
    right: &[Strip<T>],
    first: &[T::Sum],
    rows: Shared<[Strip<T>; 16 * STRIPS]>,
    columns: Shared<[Strip<T>; 32 * STRIPS]>,
    down: Shared<[Strip<T>; 16 * STRIPS]>,
    across: Shared<[Strip<T>; 32 * STRIPS]>,
    mut out: Blocks<T::Sum, 16, 16>,
) {
    let subgroup = group.subgroup();
    let Some(unit) = subgroup.matrix_unit() else {
        return;
    };
    let [x, y, _] = group.id();
    let element = |matrix: &[Strip<T>], row: usize, column: usize| {
        matrix[row * STRIPS + column / T::STRIP][column % T::STRIP]
    };
    let along = |matrix: &[Strip<T>], row: usize, index: usize| {
        let [r, strip] = Tile::<T, STRIPS>::at(index);
        matrix[(row + r) * STRIPS + strip]
    };
    let turned = |matrix: &[Strip<T>], row: usize, [depth, strip]: [usize; 2]| {
        Strip::from_fn(|i| element(matrix, row + strip * T::STRIP + i, depth))
    };
    let rows = rows.fill(|index| along(left, 16 * y, index));
    let columns = columns.fill(|index| along(right, 32 * x, index));
    let down = down.fill(|index| turned(left, 16 * y, Tile::<T, ACROSS>::at(index)));
    // Of the two subgroups, one below the other.
    let half = 16 * STRIPS;
    let across = across.fill(|index| {
        let [depth, strip] = Tile::<T, ACROSS>::at(index);
        let second = depth * ACROSS / half;
        turned(
            right,
            32 * x + 16 * second,
            [depth % (half / ACROSS), strip],
        )
    });
    let (rows, columns, down, across) = group.sync((rows, columns, down, across));
    let (rows, columns) = (
        Tile::<_, STRIPS>::of(&rows),
        Tile::<_, STRIPS>::of(&columns),
    );
    let (down, across) = (Tile::<_, ACROSS>::of(&down), Tile::<_, ACROSS>::of(&across));

    let half_of = subgroup.index();
    let [row, column] = out.first(&unit);
    let mut sum = unit.sum_of(|r, c| first[(row + r) * ALL + column + c]);
    for depth in [0, T::DEPTH] {
        let a = unit.left(&rows, [0, depth]);
        let b = unit.right(&columns, [16 * half_of, depth]);
        unit.multiply(&a, &b, &mut sum);
        let a = unit.left_by_columns(&down, [depth, 0]);
        let b = unit.right_by_rows(&across, [2 * T::DEPTH * half_of + depth, 0]);
        unit.multiply(&a, &b, &mut sum);
        let a = unit.left_of(|r, k| element(left, row + r, depth + k));
        let b = unit.right_of(|k, c| element(right, column + c, depth + k));
        unit.multiply(&a, &b, &mut sum);
    }
    out.store(&unit, [0, 0], &sum);
}

/// A number of matrices, and what tests know of it.
pub(super) trait Number: Factor {
    /// An integer of that many, of which all sums are exact.
    fn integer(value: i32) -> Self;
    /// A number of about 1.
    fn fraction(bits: u64) -> Self;
    /// Its value.
    fn value(self) -> f64;
    /// A sum's value.
    fn total(sum: Self::Sum) -> f64;
    /// The sum of that value.
    fn sum(value: f64) -> Self::Sum;
    /// How far from the exact value a sum may be, as part of all that is added up.
    const TOLERANCE: f64;
}

macro_rules! number {
    ($type:ty, $sum:ty, $tolerance:expr, $integer:expr, $fraction:expr, $value:expr) => {
        impl Number for $type {
            const TOLERANCE: f64 = $tolerance;

            fn integer(value: i32) -> Self {
                let make: fn(i32) -> $type = $integer;
                make(value)
            }

            fn fraction(bits: u64) -> Self {
                let make: fn(f64) -> $type = $fraction;
                make((bits >> 11) as f64 / (1u64 << 52) as f64 - 1.0)
            }

            fn value(self) -> f64 {
                let value: fn($type) -> f64 = $value;
                value(self)
            }

            fn total(sum: $sum) -> f64 {
                f64::from(sum)
            }

            fn sum(value: f64) -> $sum {
                value as $sum
            }
        }
    };
}

/// As `legionella::matrix` promises, for a depth of `n` and six products one after the other.
const fn single(n: usize) -> f64 {
    6.0 * (n + 1) as f64 / (1 << 22) as f64
}

const DOUBLE: f64 = 24.0 / (1u64 << 52) as f64;

number!(
    f16,
    f32,
    single(16),
    |v| f16::from_f64(v.into()),
    f16::from_f64,
    f16::to_f64
);
number!(
    bf16,
    f32,
    single(16),
    |v| bf16::from_f64(v.into()),
    bf16::from_f64,
    bf16::to_f64
);
number!(
    Tf32,
    f32,
    single(8),
    |v| Tf32::from(v as f32),
    |v| Tf32::from(v as f32),
    |v| v.to_f32().into()
);
number!(f64, f64, DOUBLE, f64::from, |v| v, |v| v);
number!(i8, i32, 0.0, |v| v as i8, |v| (v * 127.0) as i8, f64::from);
number!(
    u8,
    i32,
    0.0,
    |v| v as u8,
    |v| (v * 127.0) as i8 as u8,
    f64::from
);

/// The exact product, and the sum of the magnitudes of all that is added up.
fn expected<T: Number>(left: &[T], right: &[T], first: &[T::Sum]) -> Vec<(f64, f64)> {
    let depth = STRIPS * T::STRIP;
    let mut all = Vec::new();
    for row in 0..ROWS {
        for column in 0..COLUMNS {
            let start = T::total(first[row * ALL + column]);
            let products = (0..depth)
                .map(|k| left[row * depth + k].value() * right[column * depth + k].value());
            let (sum, magnitude) = products.fold((0.0, 0.0), |(sum, magnitude), product| {
                (sum + product, magnitude + product.abs())
            });
            all.push((start + 3.0 * sum, start.abs() + 3.0 * magnitude));
        }
    }
    all
}

fn strips<T: Factor>(elements: &[T]) -> Vec<Strip<T>> {
    Strip::all_of(elements).collect()
}

/// The product of integers, bit for bit, and that of random numbers, as near as it must be.
fn case<T: Number, const ACROSS: usize>(t: &mut Trial) -> Verdict
where
    T::Sum: Bits + Zeroable,
{
    let depth = STRIPS * T::STRIP;
    let grid = Grid::over_subgroups([ALL / 16, ALL / 16]).group([2, 1]);
    let mut generator = Generator::new(depth as u64);
    let matrix = |element: &mut dyn FnMut() -> T| -> Vec<T> {
        (0..ALL * depth).map(|_| element()).collect()
    };

    let mut small = || T::integer(generator.below(16) as i32 - 8);
    let (left, right) = (matrix(&mut small), matrix(&mut small));
    let first: Vec<T::Sum> = (0..ALL * ALL).map(|i| T::sum(i as f64 - 2000.0)).collect();
    let exact = expected(&left, &right, &first);
    let (l, r) = (strips(&left), strips(&right));
    let out = output::<T::Sum>(ROWS * COLUMNS);
    let mut by_hand = out.clone();
    for (place, (value, _)) in by_hand.iter_mut().zip(&exact) {
        *place = T::sum(*value);
    }
    both!(
        t, products::<T, ACROSS>, grid,
        [read l], [read r], [read first],
        [shared array], [shared array], [shared array], [shared array],
        [blocks (16, 16, COLUMNS) out]
    )?;

    let on_device = |left: &[T], right: &[T], out: &[T::Sum]| -> Result<Vec<T::Sum>, Failure> {
        let (left, right) = (
            t.accelerator.upload(&strips(left))?,
            t.accelerator.upload(&strips(right))?,
        );
        let first = t.accelerator.upload(&first)?;
        let mut out = t.accelerator.upload(out)?;
        let tiles = (shared(), shared(), shared(), shared());
        let blocks = out.blocks::<16, 16>(COLUMNS);
        let arguments = (
            &left, &right, &first, tiles.0, tiles.1, tiles.2, tiles.3, blocks,
        );
        t.accelerator
            .launch(products::<T, ACROSS>, grid, arguments)?
            .wait()?;
        Ok(out.to_vec()?)
    };
    // By a loop that has nothing to do with it.
    let found = on_device(&left, &right, &out)?;
    // What is behind the last row is as it was, though blocks reach there.
    t.same("product", by_hand, found)?;

    let mut any = || T::fraction(generator.bits());
    let (left, right) = (matrix(&mut any), matrix(&mut any));
    let found = on_device(&left, &right, &out)?;
    for ((found, (value, magnitude)), index) in
        found.iter().zip(expected(&left, &right, &first)).zip(0..)
    {
        let error = (T::total(*found) - value).abs();
        if error.is_nan() || error > T::TOLERANCE * magnitude {
            return Err(Failure::unexpected(
                format!(
                    "{value} at {index}, with an error of {:e}",
                    T::TOLERANCE * magnitude
                ),
                format!("{:?}, with one of {error:e}", found),
            ));
        }
    }
    Ok(())
}

/// Which subgroups have a matrix unit, and that what is computed of a lane's part stays there.
fn units(group: Group, mut out: Disjoint<[i32; 2]>) {
    let subgroup = group.subgroup();
    let found = match subgroup.matrix_unit() {
        None => [-1, subgroup.index() as i32],
        Some(unit) => {
            let sum = unit.sum_of(|row, column| (16 * row + column) as i32);
            let mut sum = sum.map(|value| i64::from(value) * 3);
            let mut wrong = 0;
            unit.for_each(&mut sum, |row, column, value| {
                wrong += i32::from(*value != 3 * (16 * row + column) as i64);
            });
            [wrong, subgroup.index() as i32]
        }
    };
    if let Some(out) = out.at(group.item()) {
        *out = found;
    }
}

/// Some lanes don't come to the product.
fn without_some(group: Group, x: &[i8], mut out: Disjoint<i32>) {
    let subgroup = group.subgroup();
    let Some(unit) = subgroup.matrix_unit() else {
        return;
    };
    let mut sum = Sum::filled(0);
    if x[group.item().global()] > 0 {
        let left = unit.left_of(|row, _| row as i8);
        let right = unit.right_of(|_, column| column as i8);
        unit.multiply(&left, &right, &mut sum);
    }
    if let Some(out) = out.at(group.item()) {
        *out = sum.values()[0];
    }
}

/// A part of a matrix that is not within it.
fn outside(group: Group, place: [usize; 2], tile: Shared<[Strip<i8>; 64]>, mut out: Disjoint<u32>) {
    let tile = tile.filled(Strip::from_fn(|_| 1));
    let tile = group.sync(tile);
    let subgroup = group.subgroup();
    if let Some(unit) = subgroup.matrix_unit() {
        let left = unit.left(&Tile::<i8, 4>::of(&tile), place);
        let mut sum = Sum::filled(0);
        unit.multiply(&left, &unit.right_of(|_, _| 1), &mut sum);
        if let Some(out) = out.at(group.item()) {
            *out = sum.values()[0] as u32;
        }
    }
}

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    suite.case("matrices/f16", case::<f16, 2>);
    suite.case("matrices/bf16", case::<bf16, 2>);
    suite.case("matrices/tf32", case::<Tf32, 4>);
    suite.case("matrices/f64", case::<f64, 8>);
    suite.case("matrices/i8", case::<i8, 1>);
    suite.case("matrices/u8", case::<u8, 1>);
    suite.case("matrices/units", |t| {
        let out = output::<[i32; 2]>(192);
        both!(t, units, Grid::over(192).group(64), [write out])?;
        let out = output::<[i32; 2]>(40);
        both!(t, units, Grid::over(40).group(20), [write out])
    });
    suite.case("matrices/without_some", |t| {
        let x: Vec<i8> = (0..64).map(|i| i % 7 - 1).collect();
        let (x, mut out) = (t.accelerator.upload(&x)?, t.accelerator.zeroed(64)?);
        let launch = t
            .accelerator
            .launch(without_some, Grid::over(64).group(64), (&x, &mut out));
        match launch?.wait() {
            Err(Error::KernelPanicked { message, .. }) if message.contains("only some") => Ok(()),
            Err(error) => Err(Failure::unexpected("lanes that don't come", error)),
            Ok(()) => Err(Failure::unexpected("lanes that don't come", "success")),
        }
    });
    suite.case("matrices/outside", |t| {
        let grid = Grid::over_subgroups(1).group(1);
        let out = output::<u32>(32);
        let inside = [0, 32];
        both!(t, outside, grid, [value inside], [shared array], [write out])?;
        for place in [[1, 0], [0, 33], [0, 48], [usize::MAX, 0]] {
            let mut out = t.accelerator.zeroed(64)?;
            let launch = t
                .accelerator
                .launch(outside, grid, (place, shared(), &mut out));
            match launch?.wait() {
                Err(Error::KernelPanicked { message, .. }) if message.contains("16 × 64") => {}
                Err(error) => return Err(Failure::unexpected("a panic of `left`", error)),
                Ok(()) => return Err(Failure::unexpected("a panic of `left`", "success")),
            }
        }
        Ok(())
    });
}
