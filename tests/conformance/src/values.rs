//! Inputs of kernels: the values at which things go wrong, then pseudo-random ones that are the
//! same in every run. Knows nothing of kernels.

/// SplitMix64: small, and good enough to spread inputs.
pub struct Generator(u64);

impl Generator {
    /// A generator; equal seeds give equal values.
    pub fn new(seed: u64) -> Self {
        Generator(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.bits() % bound as u64) as usize
    }

    /// Bytes of any value.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.bits() as u8).collect()
    }
}

/// A type with inputs.
pub trait Sample: Copy {
    /// Values at which things go wrong.
    fn corners() -> Vec<Self>;
    /// Any value.
    fn random(generator: &mut Generator) -> Self;
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl Sample for $type {
            fn corners() -> Vec<Self> {
                const HALF: u32 = <$type>::BITS / 2;
                vec![
                    0, 1, 2, 3, 7, 10,
                    <$type>::MIN, <$type>::MIN + 1,
                    <$type>::MAX, <$type>::MAX - 1, <$type>::MAX / 2, <$type>::MAX / 3,
                    1 << HALF, (1 << HALF) - 1,
                    (0 as $type).wrapping_sub(1), (0 as $type).wrapping_sub(2),
                ]
            }

            /// Of any magnitude, so that products and sums overflow about half of the time.
            fn random(generator: &mut Generator) -> Self {
                let wide = (u128::from(generator.bits()) << 64) | u128::from(generator.bits());
                (wide as $type) >> (generator.below(<$type>::BITS as usize) as u32)
            }
        }
    )*};
}

integers!(
    u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize
);

macro_rules! floats {
    ($($type:ty: $bits:ty),*) => {$(
        impl Sample for $type {
            fn corners() -> Vec<Self> {
                let digits = <$type>::MANTISSA_DIGITS;
                let whole = (1u64 << (digits - 1)) as $type;
                let mut corners = vec![
                    0.0, 1.0, 0.5, 1.5, 2.5, 3.5, 0.1, 1e10,
                    <$type>::from_bits(1), <$type>::MIN_POSITIVE,
                    <$type>::from_bits(<$type>::MIN_POSITIVE.to_bits() - 1),
                    <$type>::EPSILON, 1.0 - <$type>::EPSILON / 2.0, 1.0 + <$type>::EPSILON,
                    0.5 - <$type>::EPSILON / 4.0,
                    <$type>::MAX, <$type>::MAX / 2.0, <$type>::INFINITY,
                    whole, whole - 0.5, whole + 1.0, 2.0 * whole,
                    127.0, 128.0, 255.5, 256.0, 32_767.5, 65_536.0,
                    2_147_483_647.0, 2_147_483_648.0, 4_294_967_296.0,
                    9_223_372_036_854_775_807.0, 18_446_744_073_709_551_615.0,
                ];
                let negative: Vec<_> = corners.iter().map(|value| -value).collect();
                corners.extend(negative);
                corners.push(<$type>::NAN);
                corners
            }

            /// A third of any bits, a third around one, a third whole numbers of any magnitude.
            fn random(generator: &mut Generator) -> Self {
                let bits = generator.bits();
                match generator.below(3) {
                    0 => {
                        let any = <$type>::from_bits(bits as $bits);
                        if any.is_nan() { <$type>::NAN } else { any }
                    }
                    1 => (bits as i64 as $type) / ((1u64 << 62) as $type),
                    _ => (bits as i64 >> generator.below(64)) as $type,
                }
            }
        }
    )*};
}

floats!(f32: u32, f64: u64);

/// `len` values, corners first.
pub fn values<T: Sample>(len: usize) -> Vec<T> {
    let mut generator = Generator::new(1);
    let mut values = T::corners();
    values.truncate(len);
    while values.len() < len {
        values.push(T::random(&mut generator));
    }
    values
}

/// Every pair of corners, then as many pairs of random values.
pub fn pairs<T: Sample>() -> Vec<[T; 2]> {
    let corners = T::corners();
    let mut pairs = Vec::new();
    for &first in &corners {
        for &second in &corners {
            pairs.push([first, second]);
        }
    }
    let mut generator = Generator::new(2);
    for _ in 0..pairs.len() {
        pairs.push([T::random(&mut generator), T::random(&mut generator)]);
    }
    pairs
}

/// `len` arrays of random values.
pub fn arrays<T: Sample, const N: usize>(len: usize) -> Vec<[T; N]> {
    let mut generator = Generator::new(3);
    (0..len)
        .map(|_| std::array::from_fn(|_| T::random(&mut generator)))
        .collect()
}
