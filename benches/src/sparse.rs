//! A sparse matrix, by rows.

use crate::data::numbers;

/// Row `i` has the elements `starts[i]..starts[i + 1]` of the other two.
pub struct Matrix {
    pub starts: Vec<u32>,
    pub columns: Vec<u32>,
    pub values: Vec<f32>,
}

impl Matrix {
    /// With 4 to 28 elements in each row, near the diagonal mostly, as in matrices of meshes.
    pub fn near_the_diagonal(rows: usize) -> Self {
        let mut starts = vec![0u32];
        for random in numbers(1, rows) {
            let len = 4 + (random * 25.0) as u32;
            starts.push(starts[starts.len() - 1] + len);
        }
        let all = starts[rows] as usize;
        let near = numbers(2, all);
        let mut columns = Vec::with_capacity(all);
        for row in 0..rows {
            for random in &near[starts[row] as usize..starts[row + 1] as usize] {
                let offset = (random * 2048.0) as usize;
                columns.push(((row + offset) % rows) as u32);
            }
        }
        Matrix {
            starts,
            columns,
            values: numbers(3, all),
        }
    }
}
