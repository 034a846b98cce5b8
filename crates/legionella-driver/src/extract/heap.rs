//! Which functions of the device library stand for those of Rust's allocator, on targets that have no
//! allocator of their own.

use legionella_abi::intrinsic;

use super::cuts::{Cut, cut};

/// The symbol of what would replace a declared function, if that is one of the allocator's.
pub(crate) fn of_function(symbol: &str) -> Option<&'static str> {
    Some(match cut(symbol)? {
        Cut::Alloc => intrinsic::HEAP_ALLOC,
        Cut::AllocZeroed => intrinsic::HEAP_ALLOC_ZEROED,
        Cut::Dealloc => intrinsic::HEAP_DEALLOC,
        Cut::Realloc => intrinsic::HEAP_REALLOC,
        _ => return None,
    })
}
