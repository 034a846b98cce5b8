//! What instructions that compute do, lane by lane: tables from mnemonics to functions.
//!
//! Takes the names that [`canonical`] gives (the newest generation's, without encoding suffixes) and
//! gives functions over whole registers, which know nothing of execution masks, modifiers or where
//! operands come from. Definitions: "RDNA3" and "AMD Instinct MI300" Instruction Set Architecture
//! reference guides, chapters "Instructions".

use std::mem::MaybeUninit;

use crate::lanes::{Lanes, Type};

pub mod bits;
pub mod compare;
pub mod convert;
pub mod float;
pub mod half;
pub mod integer;
pub mod names;
pub mod scalar;
pub mod shift;
pub mod value;

pub use names::canonical;

/// A result before it is written: at most two registers.
pub type Output = MaybeUninit<[Lanes; 2]>;

/// Computes a result from up to three sources, in all lanes.
///
/// # Safety
/// The processor has the features that [`supported`] checks; each source that the operation has points
/// at as many registers as its type takes.
pub type Run = unsafe fn(&mut Output, *const Lanes, *const Lanes, *const Lanes);

/// Compares two sources in all lanes: a bit a lane.
///
/// # Safety
/// As for [`Run`].
pub type Test = unsafe fn(*const Lanes, *const Lanes) -> u32;

/// An operation on vector registers.
#[derive(Debug)]
pub struct Operation {
    /// Type of the result.
    pub output: Type,
    /// Types of the sources.
    pub sources: &'static [Type],
    /// The function.
    pub run: Run,
    /// Whether the result is defined where only some sources are, as of those that join bits.
    pub joins: bool,
}

/// A comparison of vector registers.
#[derive(Debug)]
pub struct Comparison {
    /// Types of the sources.
    pub sources: [Type; 2],
    /// The function.
    pub run: Test,
}

/// Whether the processor has what the functions of the tables are compiled for.
pub fn supported() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::is_x86_feature_detected!("avx2")
        && std::is_x86_feature_detected!("fma")
        && std::is_x86_feature_detected!("bmi2");
    #[cfg(not(target_arch = "x86_64"))]
    return cfg!(target_arch = "aarch64");
}

/// Defines a table of operations: `"name" joins? (a: Type, …) -> Type = expression;`.
macro_rules! operations {
    ($($name:literal ($($source:ident: $kind:ident),*) -> $output:ident = $value:expr;)*) => {
        /// The names.
        pub const NAMES: &[&str] = &[$($name),*];

        /// The operation of a canonical name.
        pub fn operation(name: &str) -> Option<&'static $crate::operation::Operation> {
            use $crate::lanes::{Lane, Lanes, LANES};
            use $crate::operation::{Operation, Output};
            match name {
                $($name => {
                    #[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2,fma,bmi2"))]
                    unsafe fn run(output: &mut Output, _a: *const Lanes, _b: *const Lanes, _c: *const Lanes) {
                        let output = output.as_mut_ptr() as *mut Lanes;
                        let _sources = [_a, _b, _c];
                        for lane in 0..LANES {
                            let mut _next = 0;
                            $(
                                // SAFETY: the source has its type's registers, by the caller's promise.
                                let $source = unsafe { <$kind as Lane>::get(_sources[_next], lane) };
                                _next += 1;
                            )*
                            let value: <$output as Lane>::Value = $value;
                            // SAFETY: an output has two registers.
                            unsafe { <$output as Lane>::put(output, lane, value) };
                        }
                    }
                    static OPERATION: Operation = Operation {
                        output: <$output as Lane>::TYPE,
                        sources: &[$(<$kind as Lane>::TYPE),*],
                        run,
                        joins: JOINS,
                    };
                    Some(&OPERATION)
                })*
                _ => None,
            }
        }
    };
}
pub(crate) use operations;

/// The names of all tables. Behind a dot stands which part or form of an instruction it is.
pub fn names() -> impl Iterator<Item = &'static str> {
    let tables = [
        float::NAMES,
        integer::NAMES,
        bits::NAMES,
        shift::NAMES,
        convert::NAMES,
        half::NAMES,
    ];
    tables.into_iter().flatten().copied()
}

/// The operation of a canonical name, from any table.
pub fn find(name: &str) -> Option<&'static Operation> {
    float::operation(name)
        .or_else(|| integer::operation(name))
        .or_else(|| bits::operation(name))
        .or_else(|| shift::operation(name))
        .or_else(|| convert::operation(name))
        .or_else(|| half::operation(name))
}
