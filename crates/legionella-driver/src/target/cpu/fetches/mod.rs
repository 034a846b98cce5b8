//! Fetches ahead, which processors do by themselves only where addresses go on line by line and within
//! a page: [`Streams`] of loops that store past the caches, what [`turns`] of loops around phases
//! will read, and the [`rows`] of later items.

mod rows;
mod streams;
#[cfg(test)]
mod tests;
mod turns;

pub(super) use streams::Streams;

use inkwell::module::Module;
use inkwell::targets::TargetMachine;

use crate::ir::flow::{Blocks, Loops};
use crate::ir::{self, Builder, Function, Types, Value};

/// Bytes of a line, in which memory is read and written.
pub(super) const LINE: u64 = 64;

/// Bytes of a page, and between what is read and what is fetched. A convolution took the same time with half
/// of it and with twice as much.
pub(super) const PAGE: u64 = 4096;

/// Adds the fetches of rows, and of turns if there are loops around phases, to the function that runs work-groups.
pub(super) fn build(
    module: &Module<'_>,
    run: Function<'_>,
    machine: &TargetMachine,
    in_phases: bool,
) {
    let Some(blocks) = Blocks::of(run) else {
        return;
    };
    let Ok(loops) = Loops::of(blocks.flow()) else {
        return;
    };
    if in_phases {
        turns::add(module, run, machine, (&blocks, &loops));
    }
    rows::add(module, machine, (&blocks, &loops));
}

/// Fetches into the first cache what lies so many bytes behind an address. Nothing need be there.
fn fetch<'m>(module: &'m Module<'_>, at: &Builder<'m>, address: Value<'m>, bytes: Value<'m>) {
    let types = Types::of(module);
    let prefetch = ir::intrinsic(module, "llvm.prefetch", &[types.ptr]);
    let later = at.address(types.i8, address, &[bytes]);
    // To read it, to keep it near, as data (LLVM Language Reference, `llvm.prefetch`).
    let how = [0, 3, 1].map(|number| types.i32.constant(number));
    at.call(prefetch, &[&[later][..], &how].concat());
}
