//! A dependency of the program.

use std::fmt;

pub trait Shape {
    fn area(&self) -> f32;
}

pub struct Square(pub f32);

impl Shape for Square {
    #[inline(never)]
    fn area(&self) -> f32 {
        self.0 * self.0
    }
}

impl fmt::Display for Square {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "square of {:.3}", self.0)
    }
}

pub struct Circle(pub f32);

impl Shape for Circle {
    #[inline(never)]
    fn area(&self) -> f32 {
        self.0.sin() * 3.0
    }
}

static TABLE: [u32; 4] = [3, 1, 4, 1];

#[inline(never)]
pub fn look_up(index: usize) -> u32 {
    TABLE[index]
}

#[inline(never)]
pub fn sorted<T: Ord + Clone>(values: &[T]) -> Vec<T> {
    let mut values = values.to_vec();
    values.sort();
    values
}
