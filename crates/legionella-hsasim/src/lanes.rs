//! A vector register's half: 32 lanes of 32 bits, and how values of each type lie in them.
//!
//! A wave of 32 has one half, a wave of 64 has two, which execute one after the other. Values of 64
//! bits take two consecutive registers. Knows nothing of instructions.

use half::f16;

/// Lanes of one half.
pub const LANES: usize = 32;

/// One register of one half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Lanes(pub [u32; LANES]);

impl Lanes {
    /// The same value in every lane.
    #[inline(always)]
    pub fn splat(value: u32) -> Lanes {
        Lanes([value; LANES])
    }

    /// Takes over the values of some lanes, a bit each.
    #[inline(always)]
    pub fn replace(&mut self, lanes: u32, values: &Lanes) {
        for lane in 0..LANES {
            let taken = 0u32.wrapping_sub((lanes >> lane) & 1);
            self.0[lane] = (values.0[lane] & taken) | (self.0[lane] & !taken);
        }
    }
}

/// The type of an operand, which decides how constants and modifiers apply to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// 16 bits, floating point.
    F16,
    /// 16 bits, integer.
    B16,
    /// 32 bits, floating point.
    F32,
    /// 32 bits, integer or untyped.
    B32,
    /// 64 bits, floating point.
    F64,
    /// 64 bits, integer or untyped.
    B64,
}

impl Type {
    /// Registers that a value takes.
    pub const fn words(self) -> usize {
        match self {
            Type::F64 | Type::B64 => 2,
            _ => 1,
        }
    }

    /// Whether a value takes half a register.
    pub const fn is_half(self) -> bool {
        matches!(self, Type::F16 | Type::B16)
    }

    /// Whether it is a floating-point type.
    pub const fn is_float(self) -> bool {
        matches!(self, Type::F16 | Type::F32 | Type::F64)
    }
}

/// How a type's values are read from and written to lanes.
pub trait Lane {
    /// The type in Rust.
    type Value: Copy;
    /// Its name in tables.
    const TYPE: Type;

    /// A lane's value.
    ///
    /// # Safety
    /// `registers` points at as many registers as the type takes, and `lane` is below [`LANES`].
    unsafe fn get(registers: *const Lanes, lane: usize) -> Self::Value;

    /// Sets a lane.
    ///
    /// # Safety
    /// As for [`Lane::get`].
    unsafe fn put(registers: *mut Lanes, lane: usize, value: Self::Value);
}

/// Defines types of one register.
macro_rules! narrow {
    ($($name:ident: $value:ty as $kind:ident, $from:expr, $into:expr;)*) => {$(
        /// A lane's type: see [`Type`].
        #[derive(Clone, Copy, Debug)]
        pub struct $name;

        impl Lane for $name {
            type Value = $value;
            const TYPE: Type = Type::$kind;

            #[inline(always)]
            unsafe fn get(registers: *const Lanes, lane: usize) -> $value {
                // SAFETY: the caller's promise.
                let word = unsafe { *(registers as *const u32).add(lane) };
                let from: fn(u32) -> $value = $from;
                from(word)
            }

            #[inline(always)]
            unsafe fn put(registers: *mut Lanes, lane: usize, value: $value) {
                let into: fn($value) -> u32 = $into;
                // SAFETY: the caller's promise.
                unsafe { *(registers as *mut u32).add(lane) = into(value) };
            }
        }
    )*};
}

narrow! {
    U32: u32 as B32, |word| word, |value| value;
    I32: i32 as B32, |word| word as i32, |value| value as u32;
    F32: f32 as F32, f32::from_bits, f32::to_bits;
    U16: u16 as B16, |word| word as u16, |value| u32::from(value);
    I16: i16 as B16, |word| word as i16, |value| u32::from(value as u16);
    F16: f16 as F16, |word| f16::from_bits(word as u16), |value| u32::from(value.to_bits());
}

/// Defines types of two registers, the lower word first.
macro_rules! wide {
    ($($name:ident: $value:ty as $kind:ident, $from:expr, $into:expr;)*) => {$(
        /// A lane's type: see [`Type`].
        #[derive(Clone, Copy, Debug)]
        pub struct $name;

        impl Lane for $name {
            type Value = $value;
            const TYPE: Type = Type::$kind;

            #[inline(always)]
            unsafe fn get(registers: *const Lanes, lane: usize) -> $value {
                let words = registers as *const u32;
                // SAFETY: the caller's promise: two registers, one after the other.
                let word = unsafe {
                    u64::from(*words.add(lane)) | (u64::from(*words.add(LANES + lane)) << 32)
                };
                let from: fn(u64) -> $value = $from;
                from(word)
            }

            #[inline(always)]
            unsafe fn put(registers: *mut Lanes, lane: usize, value: $value) {
                let into: fn($value) -> u64 = $into;
                let word = into(value);
                let words = registers as *mut u32;
                // SAFETY: the caller's promise: two registers, one after the other.
                unsafe {
                    *words.add(lane) = word as u32;
                    *words.add(LANES + lane) = (word >> 32) as u32;
                }
            }
        }
    )*};
}

wide! {
    U64: u64 as B64, |word| word, |value| value;
    I64: i64 as B64, |word| word as i64, |value| value as u64;
    F64: f64 as F64, f64::from_bits, f64::to_bits;
}
