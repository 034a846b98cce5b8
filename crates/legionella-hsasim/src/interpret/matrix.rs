//! Products of matrices.
//!
//! Of the factors each lane has a row, or a column, or a part of it; of the sum it has values of one column
//! ([`crate::decode::Product`] names the documents). Products are added to the sum in ascending order of the depth, rounded once each:
//! hardware's order is not documented.

use half::{bf16, f16};

use crate::decode::{Factor, Instruction, Operand, Product};
use crate::error::Fault;
use crate::lanes::LANES;

use super::wave::Wave;

/// The largest matrices, of 32 rows and a depth of 32.
const MOST: usize = 32;

/// A matrix of factors, row by row (the right one column by column), and which of these are defined as a whole.
struct Matrix {
    values: Box<[[u64; MOST]; MOST]>,
    defined: [bool; MOST],
}

/// A lane's word of an operand, and whether it is defined.
fn word(
    wave: &Wave,
    operand: Operand,
    words: usize,
    lane: usize,
    word: usize,
) -> Result<(u32, bool), Fault> {
    match operand {
        Operand::Vector(number) => {
            let place = wave.place(lane / LANES, number, words)? + word;
            let lane = lane % LANES;
            let defined = (wave.defined[place] >> lane) & 1 == 1;
            Ok((wave.vectors[place].0[lane], defined))
        }
        Operand::Constant(value) => Ok(((value >> (32 * (word % 2))) as u32, true)),
        operand => Err(Fault::Unknown(format!("a matrix in {operand:?}"))),
    }
}

/// A factor of the left or the right matrix.
fn matrix(wave: &Wave, operand: Operand, product: &Product) -> Result<Matrix, Fault> {
    let mut matrix = Matrix {
        values: Box::new([[0; MOST]; MOST]),
        defined: [true; MOST],
    };
    let (words, bytes) = (product.factor_words(), product.factor.size());
    let each = 4 * words / bytes;
    for lane in 0..wave.halves * LANES {
        let row = lane % product.size;
        for index in 0..each {
            let first = index * bytes / 4;
            let (low, mut defined) = word(wave, operand, words, lane, first)?;
            let mut value = u64::from(low);
            if bytes == 8 {
                let (high, also) = word(wave, operand, words, lane, first + 1)?;
                value |= u64::from(high) << 32;
                defined &= also;
            } else if bytes < 4 {
                value = value >> (8 * (index * bytes % 4)) & ((1 << (8 * bytes)) - 1);
            }
            let depth = if product.whole {
                index
            } else {
                lane / product.size * each + index
            };
            let place = &mut matrix.values[row][depth];
            if product.whole && lane >= product.size && *place != value {
                return Err(Fault::Halves(lane));
            }
            *place = value;
            matrix.defined[row] &= defined;
        }
    }
    Ok(matrix)
}

/// The value of a factor as `f32`, which holds all of the types for which this is asked.
fn single(bits: u64, product: &Product) -> f32 {
    let value = match product.factor {
        Factor::F16 => f16::from_bits(bits as u16).to_f32(),
        Factor::Bf16 => bf16::from_bits(bits as u16).to_f32(),
        Factor::Xf32 => f32::from_bits(bits as u32 & !0x1fff),
        _ => f32::from_bits(bits as u32),
    };
    let least = match product.factor {
        Factor::F16 => f16::MIN_POSITIVE.to_f32(),
        _ => f32::MIN_POSITIVE,
    };
    if product.flush && value.abs() < least {
        0f32.copysign(value)
    } else {
        value
    }
}

/// A value of the sum, with the products of a row and a column.
fn total(sum: u64, left: &[u64], right: &[u64], product: &Product) -> u64 {
    let pairs = left.iter().zip(right).take(product.depth);
    match product.factor {
        Factor::F64 => pairs
            .fold(f64::from_bits(sum), |sum, (&left, &right)| {
                f64::from_bits(left).mul_add(f64::from_bits(right), sum)
            })
            .to_bits(),
        Factor::I8 => {
            let value = |bits: u64, signed| {
                if signed {
                    i32::from(bits as i8)
                } else {
                    i32::from(bits as u8)
                }
            };
            let sum = pairs.fold(sum as i32, |sum, (&left, &right)| {
                let [left, right] = [
                    value(left, product.signed[0]),
                    value(right, product.signed[1]),
                ];
                sum.wrapping_add(left * right)
            });
            u64::from(sum as u32)
        }
        _ => u64::from(
            pairs
                .fold(f32::from_bits(sum as u32), |sum, (&left, &right)| {
                    single(left, product).mul_add(single(right, product), sum)
                })
                .to_bits(),
        ),
    }
}

/// The row of a lane's value of the sum.
fn row(product: &Product, lane: usize, index: usize) -> usize {
    let group = lane / product.size;
    match (product.whole, product.factor) {
        (true, _) => 2 * index + group,
        (false, Factor::F64) => 4 * index + group,
        // Four neighbours are in one lane, the next four in the next.
        (false, _) => index / 4 * 4 * (64 / product.size) + 4 * group + index % 4,
    }
}

/// Multiplies, and adds.
pub fn multiply(
    wave: &mut Wave,
    instruction: &Instruction,
    product: &Product,
) -> Result<(), Fault> {
    let lanes = wave.halves * LANES;
    let expected = if product.whole { 32 } else { 64 };
    if lanes != expected {
        return Err(Fault::Unknown(format!("{product} in waves of {lanes}")));
    }
    // MFMA takes all lanes as active; of WMMA it is said that they must be.
    if product.whole && wave.exec(0) != u32::MAX {
        return Err(Fault::LanesOff);
    }
    let Operand::Vector(destination) = instruction.destination else {
        return Err(Fault::Unknown("a product without a vector register".into()));
    };
    let [left, right, first, _] = instruction.sources;
    let (left, right) = (matrix(wave, left, product)?, matrix(wave, right, product)?);
    let words = product.sum_words();
    let wide = product.factor == Factor::F64;
    let each = if wide { words / 2 } else { words };
    let mut results = vec![(0u64, false); lanes * each];
    for lane in 0..lanes {
        let column = lane % product.size;
        for index in 0..each {
            let row = row(product, lane, index);
            let at = if wide { 2 * index } else { index };
            let (low, mut defined) = word(wave, first, words, lane, at)?;
            let mut sum = u64::from(low);
            if wide {
                let (high, also) = word(wave, first, words, lane, at + 1)?;
                sum |= u64::from(high) << 32;
                defined &= also;
            }
            defined &= left.defined[row] && right.defined[column];
            let sum = total(sum, &left.values[row], &right.values[column], product);
            results[lane * each + index] = (sum, defined);
        }
    }
    for (at, (sum, defined)) in results.into_iter().enumerate() {
        let (lane, index) = (at / each, at % each);
        let place = wave.place(lane / LANES, destination, words)?;
        for part in 0..words / each {
            let place = place + index * (words / each) + part;
            wave.vectors[place].0[lane % LANES] = (sum >> (32 * part)) as u32;
            let bit = 1 << (lane % LANES);
            if defined {
                wave.defined[place] |= bit;
            } else {
                wave.defined[place] &= !bit;
            }
        }
    }
    Ok(())
}
