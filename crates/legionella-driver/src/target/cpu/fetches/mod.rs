//! Fetches ahead, which processors do by themselves only where addresses go on line by line and within
//! a page: [`Streams`] of loops that store past the caches, what [`turns`] of loops around phases
//! will read, and the [`rows`] of later items.

pub(super) mod rows;
mod streams;
#[cfg(test)]
mod tests;
pub(super) mod turns;

pub(super) use streams::Streams;

use inkwell::module::Module;

use crate::ir::{self, Builder, Types, Value};

/// Bytes of a line, in which memory is read and written.
pub(super) const LINE: u64 = 64;

/// Bytes of a page, and between what is read and what is fetched. A convolution took the same time with half
/// of it and with twice as much.
const PAGE: u64 = 4096;

/// Fetches into the first cache what lies so many bytes behind an address. Nothing need be there.
fn fetch<'m>(module: &'m Module<'_>, at: &Builder<'m>, address: Value<'m>, bytes: Value<'m>) {
    let types = Types::of(module);
    let prefetch = ir::intrinsic(module, "llvm.prefetch", &[types.ptr]);
    let later = at.address(types.i8, address, &[bytes]);
    // To read it, to keep it near, as data (LLVM Language Reference, `llvm.prefetch`).
    let how = [0, 3, 1].map(|number| types.i32.constant(number));
    at.call(prefetch, &[&[later][..], &how].concat());
}
