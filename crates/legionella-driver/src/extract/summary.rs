//! What is told of each kernel: how large its closure is, and where it is defined.

use std::collections::{HashMap, HashSet};
use std::ffi::CString;

use legionella_abi::protocol::Source;
use llvm_sys::core::*;
use llvm_sys::prelude::*;

use super::ir::{body, functions, name};
use super::linker::Gathered;
use super::reach::Reach;
use super::{Entry, demangle, kernel_name};
use crate::ir::debug::{self, Subprogram};
use crate::ir::{Function, Value};

/// Describes entries of a gathered module.
pub(super) fn entries(gathered: &Gathered, symbols: &[&str], reaches: &[Reach]) -> Vec<Entry> {
    // Once for all kernels: demangling every function takes longer than everything else here.
    // SAFETY: the module is valid while `gathered` is.
    let by_path: HashMap<String, LLVMValueRef> = unsafe { functions(gathered.module()) }
        .map(|function| {
            // SAFETY: as above.
            let symbol = unsafe { name(function) };
            (path_of(symbol), function)
        })
        .collect();
    let describe = |(symbol, reach): (&&str, &Reach)| {
        let kernel = kernel_name(symbol);
        let terminated = CString::new(*symbol).unwrap_or_default();
        // SAFETY: the module is valid while `gathered` is.
        let shim = unsafe { LLVMGetNamedFunction(gathered.module(), terminated.as_ptr()) };
        Entry {
            symbol: (*symbol).to_owned(),
            instructions: reach.instructions,
            source: source(&by_path, shim, &kernel),
            kernel,
        }
    };
    symbols.iter().zip(reaches).map(describe).collect()
}

/// Where the function of a demangled path is defined. If it was inlined into the shim before there
/// was LLVM IR, the shim's instructions still tell.
fn source(
    by_path: &HashMap<String, LLVMValueRef>,
    shim: LLVMValueRef,
    path: &str,
) -> Option<Source> {
    let path = &without_turbofish(path);
    let known = by_path.get(path).copied().map(Function::from_raw);
    if let Some(subprogram) = known.and_then(Subprogram::of) {
        return Some(subprogram.position());
    }
    let mut seen = HashSet::new();
    // SAFETY: the module is valid while `gathered` is.
    unsafe { body(shim) }
        .flat_map(|instruction| debug::subprograms(Value::from_raw(instruction)))
        .filter(|subprogram| seen.insert(*subprogram))
        .find(|subprogram| path_of(&subprogram.symbol()) == *path)
        .map(Subprogram::position)
}

/// The path of a function, written as in [`without_turbofish`].
fn path_of(symbol: &str) -> String {
    without_turbofish(&demangle(symbol))
}

/// A path as it is written for a type: a generic function is called `f::<u8>` by its own symbol, and
/// `f<u8>` where it is the argument of another.
fn without_turbofish(path: &str) -> String {
    path.replace("::<", "<")
}
