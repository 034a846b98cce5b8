//! Where extraction stops: functions of the standard library that a device has its own version of.
//!
//! A function in this table stays a declaration in a [`Closure`](super::Closure), whatever body it
//! has on the host, and with the body goes all that only it reaches: the panic hook, backtraces, the
//! host's allocator, standard output. Lowering then leads calls of it elsewhere, as [`Cut`] says.

use legionella_abi::intrinsic;

/// What a call of a function that extraction stops at becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cut {
    /// `fn(&PanicInfo) -> !`: becomes [`legionella_abi::intrinsic::PANIC_HANDLER`].
    PanicHandler,
    /// `std::panicking::begin_panic::<M>(message: M, &Location) -> !`, which is how `panic!` of
    /// editions before 2021 and `std::panic::panic_any` start: becomes
    /// [`legionella_abi::intrinsic::PANIC_STR`] where `M` is `&str`.
    BeginPanic,
    /// `fn(layout: Layout) -> !`: becomes [`legionella_abi::intrinsic::ALLOC_ERROR`].
    AllocError,
    /// `fn(size, align) -> *mut u8`: the target's heap.
    Alloc,
    /// `fn(pointer, size, align)`: the target's heap.
    Dealloc,
    /// `fn(pointer, old_size, align, new_size) -> *mut u8`: the target's heap.
    Realloc,
    /// `fn(size, align) -> *mut u8`: the target's heap.
    AllocZeroed,
    /// `fn()`, a mark that an allocator is linked: calls go away.
    AllocMarker,
    /// `std::io::_print(fmt::Arguments)`: refused by validation, which names the replacement.
    Print,
    /// `std::io::_eprint(fmt::Arguments)`: refused likewise.
    PrintError,
    /// The personality function of unwinding: goes away along with landing pads.
    Personality,
}

/// Paths as demangling gives them without hashes and generic arguments, in order of their last word.
const TABLE: &[(&str, Cut)] = &[
    ("__rustc::__rust_alloc", Cut::Alloc),
    ("__rustc::__rust_alloc_error_handler", Cut::AllocError),
    ("__rustc::__rust_alloc_zeroed", Cut::AllocZeroed),
    ("__rustc::__rust_dealloc", Cut::Dealloc),
    (
        "__rustc::__rust_no_alloc_shim_is_unstable_v2",
        Cut::AllocMarker,
    ),
    ("__rustc::__rust_realloc", Cut::Realloc),
    ("std::io::stdio::_eprint", Cut::PrintError),
    ("std::io::stdio::_print", Cut::Print),
    ("std::panicking::begin_panic", Cut::BeginPanic),
    ("alloc::alloc::handle_alloc_error", Cut::AllocError),
    ("__rustc::rust_begin_unwind", Cut::PanicHandler),
    ("rust_eh_personality", Cut::Personality),
];

/// Whether extraction stops at a symbol, and what it becomes.
pub fn cut(symbol: &str) -> Option<Cut> {
    // Demangling every symbol of a program would take longer than extracting from it. A mangled
    // name holds the words of its path as they are.
    let word = |path: &'static str| path.rsplit("::").next().unwrap_or(path);
    if !TABLE.iter().any(|(path, _)| symbol.contains(word(path))) {
        return None;
    }
    let demangled = super::demangle(symbol);
    let path = demangled.split("::<").next().unwrap_or(&demangled);
    let found = TABLE.iter().find(|(candidate, _)| *candidate == path);
    found.map(|&(_, cut)| cut)
}

/// The function of the device library that takes the place of one at which extraction stops, if calls of it panic.
pub(crate) fn panic_of(symbol: &str) -> Option<&'static str> {
    match cut(symbol)? {
        Cut::PanicHandler => Some(intrinsic::PANIC_HANDLER),
        Cut::BeginPanic if carries_text(symbol) => Some(intrinsic::PANIC_STR),
        Cut::AllocError => Some(intrinsic::ALLOC_ERROR),
        _ => None,
    }
}

/// Whether an instance of `begin_panic` is that for `&str`, whose message crosses as two words.
fn carries_text(symbol: &str) -> bool {
    super::demangle(symbol).ends_with("::begin_panic::<&str>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_mangled_names() {
        for (symbol, expected) in [
            (
                "_RNvCsdBezzDwma51_7___rustc12___rust_alloc",
                Some(Cut::Alloc),
            ),
            (
                "_RNvCsdBezzDwma51_7___rustc17rust_begin_unwind",
                Some(Cut::PanicHandler),
            ),
            (
                "_RINvNtCs1234_3std9panicking11begin_panicReECs5678_4main",
                Some(Cut::BeginPanic),
            ),
            (
                "_ZN5alloc5alloc18handle_alloc_error17h0123456789abcdefE",
                Some(Cut::AllocError),
            ),
            ("rust_eh_personality", Some(Cut::Personality)),
            ("_RNvCs5678_4main11begin_panic", None),
            ("_RNvCs5678_4main12___rust_alloc", None),
            ("memcpy", None),
        ] {
            assert_eq!(cut(symbol), expected, "{symbol}");
        }
    }
}
