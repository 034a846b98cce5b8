//! The machine, as functions. The driver discards these bodies and binds the symbols (contract:
//! [`legionella_abi::intrinsic`]) to the target's own operations; entry shims, the only callers of
//! the ids, never run on the host.

use legionella_abi::cpu::Panic;

#[cold]
fn only_on_devices(name: &str) -> ! {
    panic!("`{name}` is bound when a kernel is lowered and has no value on the host")
}

/// Global id of the work-item in a dimension.
#[unsafe(export_name = "legionella.global_id")]
#[inline(never)]
pub(crate) extern "C" fn global_id(_dimension: u32) -> u64 {
    only_on_devices("global_id")
}

/// Work-items of the grid in a dimension.
#[unsafe(export_name = "legionella.grid_size")]
#[inline(never)]
pub(crate) extern "C" fn grid_size(_dimension: u32) -> u64 {
    only_on_devices("grid_size")
}

/// Id of the work-item within its work-group in a dimension.
#[unsafe(export_name = "legionella.local_id")]
#[inline(never)]
pub(crate) extern "C" fn local_id(_dimension: u32) -> u64 {
    only_on_devices("local_id")
}

/// Work-items of a whole work-group in a dimension.
#[unsafe(export_name = "legionella.group_size")]
#[inline(never)]
pub(crate) extern "C" fn group_size(_dimension: u32) -> u64 {
    only_on_devices("group_size")
}

/// The same address.
///
/// # Safety
/// Nothing writes the memory that is reached by the result while the launch runs.
#[doc(hidden)]
#[unsafe(export_name = "legionella.immutable")]
#[inline(never)]
pub unsafe extern "C" fn immutable(start: *const u8) -> *const u8 {
    start
}

/// Ends the work-item with a panic.
#[unsafe(export_name = "legionella.panic")]
#[inline(never)]
pub(crate) extern "C" fn panic(_panic: &Panic) -> ! {
    only_on_devices("panic")
}
