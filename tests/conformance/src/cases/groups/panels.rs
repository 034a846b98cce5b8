//! Products that a group computes together, out of matrices that stream through shared memory: every type, matrices
//! that parts don't divide, and groups that don't agree.

use half::{bf16, f16};
use legionella::matrix::{Blocks, Factor, Panel, Stages, Strip, Sum, Tf32};
use legionella::prelude::*;
use legionella::{Error, Zeroable};

use super::matrices::Number;
use crate::bits::Bits;
use crate::both::both;
use crate::suite::Suite;
use crate::trial::{Failure, Trial, Verdict, output};
use crate::values::Generator;

/// Rows of both matrices; groups have rows beyond.
const ROWS: usize = 59;
const COLUMNS: usize = 49;

/// Strips of a stage: of 64 rows of the left matrix, and of 32 of the right one.
const LEFT: usize = 64 * 8;
const RIGHT: usize = 32 * 8;

/// A part of 64 × 32 of a product, for each group of four subgroups below each other.
fn product<T: Number>(
    group: Group,
    width: usize,
    left: &[Strip<T>],
    right: &[Strip<T>],
    left_stages: Stages<T, LEFT, 4>,
    right_stages: Stages<T, RIGHT, 4>,
    mut out: Blocks<T::Sum, 16, 32>,
) {
    let subgroup = group.subgroup();
    let Some(unit) = subgroup.matrix_unit() else {
        return;
    };
    let [x, y, _] = group.id();
    let panels = (
        Panel::new(left, width, 64 * y),
        Panel::new(right, width, 32 * x),
    );
    let sums: [Sum<T::Sum>; 2] = unit.product(panels, (left_stages, right_stages));
    for (square, sum) in sums.iter().enumerate() {
        out.store(&unit, [0, 16 * square], sum);
    }
}

/// The same by squares of each subgroup's own choice, of a group of two.
fn by_squares(
    group: Group,
    widths: [usize; 2],
    left: &[Strip<i8>],
    right: &[Strip<i8>],
    left_stages: Stages<i8, { 16 * 8 }, 3>,
    right_stages: Stages<i8, RIGHT, 3>,
    mut out: Blocks<i32, 16, 16>,
) {
    let subgroup = group.subgroup();
    let Some(unit) = subgroup.matrix_unit() else {
        return;
    };
    let [x, y, _] = group.id();
    let width = widths[usize::from(group.rank() > 40)];
    let panels = (
        Panel::new(left, width, 16 * y),
        Panel::new(right, width, 32 * x),
    );
    let row = 16 * subgroup.index();
    let mut sum = Sum::filled(0);
    group.stream(panels, (left_stages, right_stages), |left, right| {
        for depth in 0..4 {
            let left = unit.left(&left, [0, 32 * depth]);
            let right = unit.right(&right, [row, 32 * depth]);
            unit.multiply(&left, &right, &mut sum);
        }
    });
    out.store(&unit, [0, 0], &sum);
}

pub(super) fn strips<T: Factor>(elements: &[T], depth: usize) -> Vec<Strip<T>> {
    elements.chunks(depth).flat_map(Strip::all_of).collect()
}

/// The exact product, and the sum of the magnitudes of all that is added up.
fn expected<T: Number>(left: &[T], right: &[T], depth: usize) -> Vec<(f64, f64)> {
    let mut all = Vec::new();
    for row in 0..ROWS {
        for column in 0..COLUMNS {
            let products = (0..depth)
                .map(|k| left[row * depth + k].value() * right[column * depth + k].value());
            all.push(products.fold((0.0, 0.0), |(sum, magnitude), product| {
                (sum + product, magnitude + product.abs())
            }));
        }
    }
    all
}

/// The product of integers, bit for bit, and that of random numbers, as near as it must be. `WIDTH` are the strips
/// of a row, of which the last isn't full.
fn case<T: Number, const WIDTH: usize>(t: &mut Trial) -> Verdict
where
    T::Sum: Bits + Zeroable,
{
    let depth = WIDTH * T::STRIP - 1;
    let grid = Grid::over_subgroups([2, 4]).group([1, 4]);
    let mut generator = Generator::new(depth as u64);
    let matrix = |rows: usize, element: &mut dyn FnMut() -> T| -> Vec<T> {
        (0..rows * depth).map(|_| element()).collect()
    };

    let mut small = || T::integer(generator.below(16) as i32 - 8);
    let (left, right) = (matrix(ROWS, &mut small), matrix(COLUMNS, &mut small));
    let (l, r) = (strips(&left, depth), strips(&right, depth));
    let out = output::<T::Sum>(ROWS * COLUMNS);
    both!(
        t, product::<T>, grid,
        [value WIDTH], [read l], [read r], [shared array], [shared array],
        [blocks (16, 32, COLUMNS) out]
    )?;

    let on_device = |left: &[T], right: &[T]| -> Result<Vec<T::Sum>, Failure> {
        let (left, right) = (
            t.accelerator.upload(&strips(left, depth))?,
            t.accelerator.upload(&strips(right, depth))?,
        );
        let mut found = t.accelerator.upload(&out)?;
        let blocks = found.blocks::<16, 32>(COLUMNS);
        let arguments = (WIDTH, &left, &right, shared(), shared(), blocks);
        t.accelerator
            .launch(product::<T>, grid, arguments)?
            .wait()?;
        Ok(found.to_vec()?)
    };
    // By a loop that has nothing to do with it.
    let mut by_hand = out.clone();
    for (place, (value, _)) in by_hand.iter_mut().zip(expected(&left, &right, depth)) {
        *place = T::sum(value);
    }
    t.same("product", by_hand, on_device(&left, &right)?)?;

    let mut any = || T::fraction(generator.bits());
    let (left, right) = (matrix(ROWS, &mut any), matrix(COLUMNS, &mut any));
    let found = on_device(&left, &right)?;
    // The tolerance is that of six products one after the other.
    let tolerance = T::TOLERANCE * (WIDTH.div_ceil(8) * 4) as f64 / 6.0;
    for ((found, (value, magnitude)), index) in
        found.iter().zip(expected(&left, &right, depth)).zip(0..)
    {
        let error = (T::total(*found) - value).abs();
        if error.is_nan() || error > tolerance * magnitude {
            return Err(Failure::unexpected(
                format!(
                    "{value} at {index}, with an error of {:e}",
                    tolerance * magnitude
                ),
                format!("{found:?}, with one of {error:e}"),
            ));
        }
    }
    Ok(())
}

/// What a launch fails with.
pub(super) fn refusal(found: legionella::Result<()>, wanted: &str) -> Verdict {
    match found {
        Err(Error::KernelPanicked { message, .. }) if message.contains(wanted) => Ok(()),
        Err(error) => Err(Failure::unexpected(wanted, error)),
        Ok(()) => Err(Failure::unexpected(wanted, "success")),
    }
}

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    suite.case("panels/f16", case::<f16, 3>);
    suite.case("panels/bf16", case::<bf16, 75>);
    suite.case("panels/tf32", case::<Tf32, 3>);
    suite.case("panels/f64", case::<f64, 2>);
    suite.case("panels/i8", case::<i8, 9>);
    suite.case("panels/u8", case::<u8, 3>);
    suite.case("panels/by_squares", |t| {
        let elements: Vec<i8> = (0..40 * 35 * 16).map(|i| (i * i % 31 - 15) as i8).collect();
        let (l, r) = (strips(&elements, 35 * 16), strips(&elements[7..], 35 * 16));
        let out = output::<i32>(40 * 49);
        let grid = Grid::over_subgroups([4, 3]).group([2, 1]);
        both!(
            t, by_squares, grid,
            [value [35, 35]], [read l], [read r], [shared array], [shared array],
            [blocks (16, 16, 49) out]
        )?;
        // Some items have fewer turns than others.
        let (left, right) = (t.accelerator.upload(&l)?, t.accelerator.upload(&r)?);
        let mut found = t.accelerator.upload(&out)?;
        let blocks = found.blocks::<16, 16>(49);
        let arguments = ([35, 7], &left, &right, shared(), shared(), blocks);
        let launch = t.accelerator.launch(by_squares, grid, arguments)?;
        refusal(launch.wait(), "only some")
    });
    suite.case("panels/other_group", |t| {
        let strips = vec![Strip::from_fn(|_| 1i8); 64];
        let matrix = t.accelerator.upload(&strips)?;
        for (grid, group) in [([1, 4], [1, 2]), ([1, 6], [1, 4]), ([2, 4], [2, 4])] {
            let mut out = t.accelerator.zeroed::<i32>(64 * 64)?;
            let grid = Grid::over_subgroups(grid).group(group);
            let arguments = (
                1,
                &matrix,
                &matrix,
                shared(),
                shared(),
                out.blocks::<16, 32>(64),
            );
            let launch = t.accelerator.launch(product::<i8>, grid, arguments)?;
            refusal(launch.wait(), "for every 16 rows")?;
        }
        Ok(())
    });
}
