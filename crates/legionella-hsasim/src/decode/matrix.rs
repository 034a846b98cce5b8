//! Reads the mnemonics of products of matrices.

use std::fmt;

/// A product of matrices that a wave computes: MFMA (AMD Instinct MI200 and MI300 ISA, "Matrix Arithmetic
/// Instructions"), or WMMA (RDNA3 ISA, "Wave Matrix Multiply Accumulate").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Product {
    /// WMMA: each half of a wave has all of the factors.
    pub whole: bool,
    /// Rows of the left matrix and of the sum; as many are the columns of the right matrix and of the sum.
    pub size: usize,
    /// Columns of the left matrix, rows of the right one.
    pub depth: usize,
    /// What the factors are.
    pub factor: Factor,
    /// Subnormal factors count as zero.
    pub flush: bool,
    /// Of integer factors, whether the left and the right ones are signed.
    pub signed: [bool; 2],
}

/// Factors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are what they are called")]
pub enum Factor {
    F16,
    Bf16,
    F32,
    /// `f32` of which 10 bits of the fraction count.
    Xf32,
    F64,
    I8,
}

impl Factor {
    /// Bytes of a factor.
    pub fn size(self) -> usize {
        match self {
            Factor::I8 => 1,
            Factor::F16 | Factor::Bf16 => 2,
            Factor::F32 | Factor::Xf32 => 4,
            Factor::F64 => 8,
        }
    }
}

impl Product {
    /// Registers of a factor.
    pub fn factor_words(&self) -> usize {
        let elements = if self.whole {
            self.depth
        } else {
            self.size * self.depth / 64
        };
        elements * self.factor.size() / 4
    }

    /// Registers of the sum.
    pub fn sum_words(&self) -> usize {
        let lanes = if self.whole { 32 } else { 64 };
        let words = if self.factor == Factor::F64 { 2 } else { 1 };
        self.size * self.size / lanes * words
    }
}

impl fmt::Display for Product {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Product { size, depth, .. } = self;
        write!(formatter, "{size}x{size}x{depth} of {:?}", self.factor)
    }
}

/// What stands behind a mnemonic's sizes, the type of the sum, and the factors'.
const KINDS: [(&str, &str, Factor); 8] = [
    ("f16", "f32", Factor::F16),
    ("bf16", "f32", Factor::Bf16),
    ("bf16_1k", "f32", Factor::Bf16),
    ("f32", "f32", Factor::F32),
    ("xf32", "f32", Factor::Xf32),
    ("f64", "f64", Factor::F64),
    ("i8", "i32", Factor::I8),
    ("iu8", "i32", Factor::I8),
];

/// The mnemonics, and others that no machine has.
pub fn names() -> Vec<String> {
    let mut names = Vec::new();
    for (kind, sum, _) in KINDS {
        for size in [16, 32] {
            for depth in [1, 2, 4, 8, 16, 32, 64] {
                let shape = format!("{sum}_{size}x{size}x{depth}");
                for name in [
                    format!("v_mfma_{shape}{kind}"),
                    format!("v_mfma_{shape}_{kind}"),
                    format!("v_wmma_{shape}_{kind}"),
                ] {
                    if product(&name).is_some() {
                        names.push(name);
                    }
                }
            }
        }
    }
    names
}

/// The product of a mnemonic.
pub fn product(name: &str) -> Option<Product> {
    let (whole, rest) = match name.strip_prefix("v_mfma_") {
        Some(rest) => (false, rest),
        None => (true, name.strip_prefix("v_wmma_")?),
    };
    let (sum, rest) = rest.split_once('_')?;
    let (rows, rest) = rest.split_once('x')?;
    let (columns, rest) = rest.split_once('x')?;
    let end = rest.find(|digit: char| !digit.is_ascii_digit())?;
    let (depth, kind) = rest.split_at(end);
    let (size, depth): (usize, usize) = (rows.parse().ok()?, depth.parse().ok()?);
    if rows != columns || !matches!(size, 16 | 32) || (whole && size != 16) {
        return None;
    }
    let name = kind.trim_start_matches('_');
    let (_, total, factor) = *KINDS.iter().find(|(other, ..)| *other == name)?;
    if name == "iu8" && !whole {
        return None;
    }
    // Of several matrices beside each other a lane has less than a register, or less than the four values that
    // it has of one.
    let bytes = size * depth * factor.size();
    let has_four = factor == Factor::F16 || name == "bf16_1k";
    let several = bytes % 256 != 0 || (has_four && size * depth != 256);
    if total != sum || (!whole && several) {
        return None;
    }
    Some(Product {
        whole,
        size,
        depth,
        factor,
        // The older machine, of which the mnemonics have no line before the type.
        flush: !kind.starts_with('_') && matches!(factor, Factor::F16 | Factor::Bf16),
        signed: [true; 2],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_those_of_the_names() {
        let words =
            |name| product(name).map(|product| (product.factor_words(), product.sum_words()));
        assert_eq!(words("v_mfma_f32_16x16x16_f16"), Some((2, 4)));
        assert_eq!(words("v_mfma_f32_16x16x16bf16_1k"), Some((2, 4)));
        assert_eq!(words("v_mfma_f32_32x32x8_f16"), Some((2, 16)));
        assert_eq!(words("v_mfma_f32_16x16x8_xf32"), Some((2, 4)));
        assert_eq!(words("v_mfma_f64_16x16x4_f64"), Some((2, 8)));
        assert_eq!(words("v_mfma_i32_16x16x16i8"), Some((1, 4)));
        assert_eq!(words("v_mfma_i32_16x16x32_i8"), Some((2, 4)));
        assert_eq!(words("v_wmma_f32_16x16x16_bf16"), Some((8, 8)));
        assert_eq!(words("v_wmma_i32_16x16x16_iu8"), Some((4, 8)));
        let flushes = |name| product(name).unwrap().flush;
        assert!(flushes("v_mfma_f32_16x16x16f16") && !flushes("v_mfma_f32_16x16x16_f16"));
    }

    #[test]
    fn several_matrices_at_once_are_not_known() {
        for name in [
            "v_mfma_f32_16x16x4f16",
            "v_mfma_f32_32x32x4f16",
            "v_mfma_f32_32x32x4bf16_1k",
            "v_mfma_f32_16x16x4_4b_f16",
            "v_mfma_f32_4x4x4_16b_f16",
            "v_wmma_f16_16x16x16_f16",
            "v_wmma_i32_16x16x16_iu4",
        ] {
            assert_eq!(product(name), None, "{name}");
        }
    }
}
