//! Unevaluated sums of two `f32`, for what a result needs beyond one.
//!
//! The algorithms are Dekker's and Knuth's (Muller et al., "Handbook of Floating-Point Arithmetic",
//! sections 4.3 and 4.4); all are exact unless something overflows or falls below the normal numbers.

/// `h + l`, where `l` is small against `h`.
#[derive(Clone, Copy)]
pub(super) struct Two {
    pub(super) h: f32,
    pub(super) l: f32,
}

impl Two {
    /// A value that needs no second part.
    pub(super) fn from(h: f32) -> Self {
        Two { h, l: 0.0 }
    }

    /// `a + b` where `|a| >= |b|` or `a` is zero.
    pub(super) fn ordered_sum(a: f32, b: f32) -> Self {
        let h = a + b;
        Two { h, l: b - (h - a) }
    }

    /// `a + b`.
    pub(super) fn sum(a: f32, b: f32) -> Self {
        let h = a + b;
        let part = h - a;
        let l = (a - (h - part)) + (b - part);
        Two { h, l }
    }

    /// `a * b`.
    pub(super) fn product(a: f32, b: f32) -> Self {
        let h = a * b;
        let l = a.mul_add(b, -h);
        Two { h, l }
    }

    /// `self * b`, to about 46 bits.
    pub(super) fn times(self, b: Two) -> Self {
        let Two { h, l } = Two::product(self.h, b.h);
        let l = self.h.mul_add(b.l, self.l.mul_add(b.h, l));
        Two { h, l }
    }

    /// The nearest `f32`.
    pub(super) fn round(self) -> f32 {
        self.h + self.l
    }

    /// The same value with `h` the nearest `f32`, if `l` is not larger than `h`.
    pub(super) fn normal(self) -> Self {
        Two::ordered_sum(self.h, self.l)
    }

    /// `1 / self`, to about 46 bits.
    pub(super) fn reciprocal(self) -> Self {
        let h = 1.0 / self.h;
        let rest = (-h).mul_add(self.l, (-h).mul_add(self.h, 1.0));
        Two { h, l: h * rest }
    }
}

/// A polynomial, coefficients from the highest power down (Horner's rule). A macro, because a loop
/// would keep LLVM from seeing straight-line code until it is too late.
macro_rules! polynomial {
    ($x:expr; $highest:expr $(, $coefficient:expr)+) => {{
        let (x, sum): (f32, f32) = ($x, $highest);
        $(let sum = sum.mul_add(x, $coefficient);)+
        sum
    }};
}
pub(super) use polynomial;
