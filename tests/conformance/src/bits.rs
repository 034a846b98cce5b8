//! Outputs of kernels, compared bit for bit.
//!
//! Takes what the host and an accelerator wrote, gives the first difference. Two things of a value
//! are not compared, because Rust doesn't define them: padding, and sign and payload of a NaN that
//! arithmetic made.

use std::any::Any;
use std::fmt::Debug;

/// A value whose bits can be compared, with one that no kernel writes by chance.
pub trait Bits: Copy + Debug + 'static {
    /// What outputs hold before a launch.
    const POISON: Self;

    /// Whether two values have the same bits.
    fn same(&self, other: &Self) -> bool;
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl Bits for $type {
            const POISON: Self = <$type>::from_ne_bytes([0xa5; size_of::<$type>()]);

            fn same(&self, other: &Self) -> bool {
                self == other
            }
        }
    )*};
}

integers!(
    u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize
);

macro_rules! floats {
    ($($type:ty),*) => {$(
        impl Bits for $type {
            const POISON: Self = <$type>::from_ne_bytes([0xa5; size_of::<$type>()]);

            fn same(&self, other: &Self) -> bool {
                self.to_bits() == other.to_bits() || (self.is_nan() && other.is_nan())
            }
        }
    )*};
}

floats!(f32, f64);

macro_rules! plain {
    ($($type:ty: $poison:expr),*) => {$(
        impl Bits for $type {
            const POISON: Self = $poison;

            fn same(&self, other: &Self) -> bool {
                self == other
            }
        }
    )*};
}

plain!(bool: true, char: '\u{a5a5}', (): ());

impl<T: Bits, const N: usize> Bits for [T; N] {
    const POISON: Self = [T::POISON; N];

    fn same(&self, other: &Self) -> bool {
        self.iter().zip(other).all(|(a, b)| a.same(b))
    }
}

impl<T: Bits> Bits for Option<T> {
    const POISON: Self = Some(T::POISON);

    fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (None, None) => true,
            (Some(a), Some(b)) => a.same(b),
            _ => false,
        }
    }
}

macro_rules! tuples {
    ($($name:ident: $index:tt),*) => {
        impl<$($name: Bits),*> Bits for ($($name,)*) {
            const POISON: Self = ($($name::POISON,)*);

            fn same(&self, other: &Self) -> bool {
                $(self.$index.same(&other.$index))&&*
            }
        }
    };
}

tuples!(A: 0);
tuples!(A: 0, B: 1);
tuples!(A: 0, B: 1, C: 2);
tuples!(A: 0, B: 1, C: 2, D: 3);
tuples!(A: 0, B: 1, C: 2, D: 3, E: 4);
tuples!(A: 0, B: 1, C: 2, D: 3, E: 4, F: 5);
tuples!(A: 0, B: 1, C: 2, D: 3, E: 4, F: 5, G: 6);
tuples!(A: 0, B: 1, C: 2, D: 3, E: 4, F: 5, G: 6, H: 7);

/// The first element at which two outputs differ.
#[derive(Debug)]
pub struct Difference {
    /// Index of the element.
    pub index: usize,
    /// What the host wrote.
    pub host: String,
    /// What the accelerator wrote.
    pub device: String,
}

/// Everything that one output held after a launch.
pub struct Observed {
    /// What the case calls the output.
    pub name: &'static str,
    values: Box<dyn Any>,
    compare: fn(&dyn Any, &dyn Any) -> Option<Difference>,
}

impl Observed {
    /// What an output held.
    pub fn new<T: Bits>(name: &'static str, values: Vec<T>) -> Self {
        Observed {
            name,
            values: Box::new(values),
            compare: compare::<T>,
        }
    }

    /// The first difference from what the same output held on an accelerator.
    pub fn difference(&self, device: &Observed) -> Option<Difference> {
        (self.compare)(&*self.values, &*device.values)
    }
}

fn compare<T: Bits>(host: &dyn Any, device: &dyn Any) -> Option<Difference> {
    let (Some(host), Some(device)) = (
        host.downcast_ref::<Vec<T>>(),
        device.downcast_ref::<Vec<T>>(),
    ) else {
        unreachable!("both sides observe the same outputs in the same order");
    };
    let index = match host.iter().zip(device).position(|(a, b)| !a.same(b)) {
        Some(index) => index,
        None if host.len() == device.len() => return None,
        None => host.len().min(device.len()),
    };
    let show = |values: &[T]| match values.get(index) {
        Some(value) => format!("{value:x?}"),
        None => String::from("nothing"),
    };
    Some(Difference {
        index,
        host: show(host),
        device: show(device),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bit_is_a_difference() {
        let host = Observed::new("y", vec![1.0f32, 0.0, f32::NAN]);
        let same = Observed::new("y", vec![1.0f32, 0.0, -f32::NAN]);
        assert!(host.difference(&same).is_none());
        let zero = Observed::new("y", vec![1.0f32, -0.0, f32::NAN]);
        let difference = host.difference(&zero).unwrap();
        assert_eq!((difference.index, difference.device.as_str()), (1, "-0.0"));
    }

    #[test]
    fn a_missing_element_is_a_difference() {
        let host = Observed::new("y", vec![(1u8, Some('a'))]);
        assert_eq!(
            host.difference(&Observed::new("y", Vec::<(u8, Option<char>)>::new()))
                .unwrap()
                .index,
            0
        );
    }
}
