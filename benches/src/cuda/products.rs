//! Products by matrix units beside cuBLAS: matrices stream through shared memory, and groups multiply them
//! together.

use anyhow::ensure;
use half::bf16;
use legionella::matrix::{Blocks, Panel, Stages, Strip, Sum};
use legionella::prelude::*;

use super::peer::Memory;
use crate::data::numbers;
use crate::{Bench, MILLI};

/// Rows and columns of a group's part of a product, and the same in strips of its stages.
const ROWS: usize = 128;
const COLUMNS: usize = 256;
const LEFT: usize = ROWS * 8;
const RIGHT: usize = COLUMNS * 8;

/// `a` times the transpose of `b`, both with rows of `width` strips: 128 × 256 a group of eight subgroups, below each other.
fn product(
    group: Group,
    width: usize,
    a: &[Strip<bf16>],
    b: &[Strip<bf16>],
    a_stages: Stages<bf16, LEFT, 4>,
    b_stages: Stages<bf16, RIGHT, 4>,
    mut c: Blocks<f32, 16, COLUMNS>,
) {
    let subgroup = group.subgroup();
    let Some(unit) = subgroup.matrix_unit() else {
        return;
    };
    let [x, y, _] = group.id();
    let panels = (
        Panel::new(a, width, ROWS * y),
        Panel::new(b, width, COLUMNS * x),
    );
    let sums: [Sum<f32>; COLUMNS / 16] = unit.product(panels, (a_stages, b_stages));
    for (square, sum) in sums.iter().enumerate() {
        c.store(&unit, [0, 16 * square], sum);
    }
}

/// Products of 4,096 by 4,096 and 8,192 by 8,192 numbers.
pub fn of_bf16(bench: &mut Bench) -> anyhow::Result<()> {
    for n in [4096, 8192] {
        square(bench, n)?;
    }
    Ok(())
}

fn square(bench: &mut Bench, n: usize) -> anyhow::Result<()> {
    let make = |seed| -> Vec<bf16> {
        let numbers = numbers(seed, n * n).into_iter();
        numbers.map(|number| bf16::from_f32(number - 0.5)).collect()
    };
    let (a, b) = (make(1), make(2));
    let strips = |elements: &[bf16]| Strip::all_of(elements).collect::<Vec<_>>();
    let accelerator = &bench.accelerator;
    let (device_a, device_b) = (
        accelerator.upload(&strips(&a))?,
        accelerator.upload(&strips(&b))?,
    );
    let mut c = accelerator.zeroed::<f32>(n * n)?;
    let bits = |elements: &[bf16]| elements.iter().map(|element| element.to_bits()).collect();
    let (a_bits, b_bits): (Vec<u16>, Vec<u16>) = (bits(&a), bits(&b));
    let peer = &bench.peer;
    let (pa, pb) = (Memory::of(peer, &a_bits)?, Memory::of(peer, &b_bits)?);
    let pc = Memory::of(peer, &vec![0.0f32; n * n])?;
    let grid = Grid::over_subgroups([n / COLUMNS, n / 16]).group([1, ROWS / 16]);
    bench.rows.time(
        format!("gemm bf16 {n} (peer: cuBLAS)"),
        MILLI,
        || {
            let blocks = c.blocks::<16, COLUMNS>(n);
            let arguments = (n / 8, &device_a, &device_b, shared(), shared(), blocks);
            Ok(accelerator.launch(product, grid, arguments)?.wait()?)
        },
        // SAFETY: matrices of that size.
        || unsafe { (peer.bgemm)(n as i32, pa.start(), pb.start(), pc.start()) },
    )?;
    // Products are exact, sums as `legionella::matrix` has it, for 16 products at a time.
    let (ours, peers) = (c.to_vec()?, pc.to_vec()?);
    for sample in 0..4096 {
        let (row, column) = (sample * 7919 % n, sample * 104_729 % n);
        let terms = (0..n).map(|k| a[row * n + k].to_f64() * b[column * n + k].to_f64());
        let (sum, size) = terms.fold((0.0, 0.0), |(sum, size), term| {
            (sum + term, size + f64::abs(term))
        });
        for found in [ours[row * n + column], peers[row * n + column]] {
            let error = (f64::from(found) - sum).abs();
            ensure!(
                error <= 17.0 * (n / 16) as f64 * size / f64::from(1 << 22),
                "{found} instead of {sum} at {row}, {column}"
            );
        }
    }
    Ok(())
}
