//! Products over many turns, of which a machine may copy whole parts by itself: panels that begin anywhere or have no
//! rows, products one after the other, and groups that don't agree while copies are under way.

use legionella::matrix::{Blocks, Panel, Stages, Strip};
use legionella::prelude::*;

use super::panels::{refusal, strips};
use crate::suite::Suite;
use crate::trial::{Trial, Verdict, output};

/// Strips of a stage: of 64 rows of the left matrix, and of 16 of the right one.
const LEFT: usize = 64 * 8;
const RIGHT: usize = 16 * 8;

/// Strips of a row: of 10 turns, the last has three.
const WIDTH: usize = 75;

/// Rows of the matrices.
const ROWS: usize = 90;

/// Rows and columns of what is computed: of two groups, for each of two products.
const OUT: [usize; 2] = [128, 32];

/// Where two panels are.
#[derive(Clone, Copy, DeviceData)]
struct Places {
    /// The strip that each matrix begins with.
    starts: [usize; 2],
    widths: [usize; 2],
    /// Rows in front of those of the first group.
    rows: [usize; 2],
}

const AT_THE_START: Places = Places {
    starts: [0; 2],
    widths: [WIDTH; 2],
    rows: [0; 2],
};

/// Two products, one after the other, beside each other: 64 × 16 of each for a group.
#[allow(clippy::too_many_arguments)]
fn twice(
    group: Group,
    places: [Places; 2],
    left: &[Strip<i8>],
    right: &[Strip<i8>],
    first_left: Stages<i8, LEFT, 3>,
    first_right: Stages<i8, RIGHT, 3>,
    second_left: Stages<i8, LEFT, 3>,
    second_right: Stages<i8, RIGHT, 3>,
    mut out: Blocks<i32, 16, 32>,
) {
    let subgroup = group.subgroup();
    let Some(unit) = subgroup.matrix_unit() else {
        return;
    };
    let y = group.id()[1];
    let memory = [(first_left, first_right), (second_left, second_right)];
    for (number, (places, memory)) in places.into_iter().zip(memory).enumerate() {
        let ([left_start, right_start], [left_width, right_width]) = (places.starts, places.widths);
        let panels = (
            Panel::new(&left[left_start..], left_width, 64 * y + places.rows[0]),
            Panel::new(&right[right_start..], right_width, places.rows[1]),
        );
        let [sum] = unit.product(panels, memory);
        out.store(&unit, [0, 16 * number], &sum);
    }
}

/// A product of panels that aren't as wide for all items: the launch fails.
fn apart(
    group: Group,
    (widths, from): ([usize; 2], usize),
    left: &[Strip<i8>],
    right: &[Strip<i8>],
    left_stages: Stages<i8, LEFT, 3>,
    right_stages: Stages<i8, RIGHT, 3>,
    mut out: Blocks<i32, 16, 16>,
) {
    let subgroup = group.subgroup();
    let Some(unit) = subgroup.matrix_unit() else {
        return;
    };
    let width = widths[usize::from(group.rank() >= from)];
    let panels = (Panel::new(left, width, 0), Panel::new(right, width, 0));
    let [sum] = unit.product(panels, (left_stages, right_stages));
    out.store(&unit, [0, 0], &sum);
}

/// A product that one item comes to by way of a barrier at which it is alone: the launch fails.
fn beside(
    group: Group,
    alone: usize,
    left: &[Strip<i8>],
    right: &[Strip<i8>],
    left_stages: Stages<i8, LEFT, 3>,
    right_stages: Stages<i8, RIGHT, 3>,
    mut out: Blocks<i32, 16, 16>,
) {
    let subgroup = group.subgroup();
    let Some(unit) = subgroup.matrix_unit() else {
        return;
    };
    if group.rank() == alone {
        group.barrier();
    }
    let panels = (Panel::new(left, WIDTH, 0), Panel::new(right, WIDTH, 0));
    let [sum] = unit.product(panels, (left_stages, right_stages));
    out.store(&unit, [0, 0], &sum);
}

fn matrices() -> [Vec<Strip<i8>>; 2] {
    let elements: Vec<i8> = (0..ROWS * WIDTH * 16 + 5)
        .map(|i| (i * i % 31) as i8 - 15)
        .collect();
    [0, 5].map(|start| strips(&elements[start..][..ROWS * WIDTH * 16], WIDTH * 16))
}

/// A row of a matrix that begins anywhere; nothing if there is none.
fn row(matrix: &[Strip<i8>], width: usize, row: usize) -> &[Strip<i8>] {
    let start = row.checked_mul(width);
    start.map_or(&[], |start| matrix.get(start..start + width).unwrap_or(&[]))
}

/// An element of one product or the other, by a loop that has nothing to do with how devices compute it.
fn element(places: Places, [l, r]: [&[Strip<i8>]; 2], at: [usize; 2]) -> i32 {
    let of = |side: usize, matrix: &'_ [Strip<i8>]| {
        let number = places.rows[side] + at[side];
        row(&matrix[places.starts[side]..], places.widths[side], number).to_vec()
    };
    let (left, right) = (of(0, l), of(1, r));
    let elements = |strips: &[Strip<i8>]| -> Vec<i32> {
        let all = strips.iter().flat_map(|strip| strip.iter());
        all.map(|element| i32::from(*element)).collect()
    };
    let (left, right) = (elements(&left), elements(&right));
    left.iter()
        .zip(&right)
        .map(|(left, right)| left * right)
        .sum()
}

fn check(t: &mut Trial, places: [Places; 2]) -> Verdict {
    let [l, r] = matrices();
    let [height, width] = OUT;
    let mut expected = output::<i32>(height * width);
    for (index, place) in expected[..height * width].iter_mut().enumerate() {
        let (row, column) = (index / width, index % width);
        *place = element(places[column / 16], [&l, &r], [row, column % 16]);
    }
    let (left, right) = (t.accelerator.upload(&l)?, t.accelerator.upload(&r)?);
    let mut out = t.accelerator.upload(&output::<i32>(height * width))?;
    let grid = Grid::over_subgroups([1, 8]).group([1, 4]);
    let arguments = (
        places,
        &left,
        &right,
        shared(),
        shared(),
        shared(),
        shared(),
        out.blocks::<16, 32>(width),
    );
    t.accelerator.launch(twice, grid, arguments)?.wait()?;
    t.same("products", expected, out.to_vec()?)
}

/// Groups that don't agree are refused, and what they copy by then harms nobody.
fn differing(t: &mut Trial, widths: [usize; 2], from: usize) -> Verdict {
    let [l, r] = matrices();
    let (left, right) = (t.accelerator.upload(&l)?, t.accelerator.upload(&r)?);
    let mut out = t.accelerator.zeroed::<i32>(64 * 16)?;
    let grid = Grid::over_subgroups([1, 4]).group([1, 4]);
    let arguments = (
        (widths, from),
        &left,
        &right,
        shared(),
        shared(),
        out.blocks::<16, 16>(16),
    );
    refusal(
        t.accelerator.launch(apart, grid, arguments)?.wait(),
        "only some",
    )?;
    check(t, [AT_THE_START; 2])
}

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    suite.case("panels/one_after_the_other", |t| {
        let other = Places {
            starts: [WIDTH, 0],
            ..AT_THE_START
        };
        check(t, [AT_THE_START, other])
    });
    suite.case("panels/anywhere", |t| {
        let odd = Places {
            starts: [WIDTH + 1, 7],
            widths: [WIDTH, WIDTH - 20],
            rows: [3, 1],
        };
        let narrow = Places {
            starts: [5, 1],
            widths: [61, WIDTH],
            rows: [11, 9],
        };
        check(t, [odd, narrow])
    });
    suite.case("panels/without_rows", |t| {
        // Of the left one the group below has none, of the right one some are missing.
        let outside = Places {
            rows: [ROWS - 64, ROWS - 9],
            ..AT_THE_START
        };
        let far = Places {
            rows: [usize::MAX / 2, 0],
            ..AT_THE_START
        };
        check(t, [outside, far])
    });
    // The first item leaves earlier or later than others, of its own subgroup or of others.
    suite.case("panels/first_is_early", |t| differing(t, [60, WIDTH], 1));
    suite.case("panels/first_is_late", |t| differing(t, [WIDTH, 60], 1));
    suite.case("panels/half_is_early", |t| differing(t, [WIDTH, 60], 64));
    suite.case("panels/one_is_beside", |t| {
        let [l, r] = matrices();
        let (left, right) = (t.accelerator.upload(&l)?, t.accelerator.upload(&r)?);
        let mut out = t.accelerator.zeroed::<i32>(64 * 16)?;
        let grid = Grid::over_subgroups([1, 4]).group([1, 4]);
        let out = out.blocks::<16, 16>(16);
        let arguments = (39, &left, &right, shared(), shared(), out);
        refusal(
            t.accelerator.launch(beside, grid, arguments)?.wait(),
            "only some",
        )?;
        check(t, [AT_THE_START; 2])
    });
}
