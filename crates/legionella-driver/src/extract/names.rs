//! Names from symbols: of functions, and of kernels from the symbols of their entry shims.

/// The path that a symbol stands for, without hashes.
pub(crate) fn demangle(symbol: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(symbol))
}

/// The path of the kernel that an entry shim calls: the first generic argument of
/// `…::entry::<K, …>`, or of that if it is a kernel with relaxed arithmetic; such as `saxpy::kernel` or `saxpy::main::{closure#0}`. A symbol of another
/// form is given demangled.
pub fn kernel_name(entry: &str) -> String {
    let demangled = demangle(entry);
    let start = demangled
        .rfind("::entry::<")
        .map(|at| at + "::entry::<".len());
    match start.map(|start| &demangled[start..]) {
        Some(arguments) => {
            let name = first_argument(arguments);
            let relaxed = name.strip_prefix("legionella::relaxed::Relaxed<");
            relaxed.map_or(name, first_argument).to_owned()
        }
        None => demangled,
    }
}

/// What stands before the first `,` or `>` that is not inside of brackets.
fn first_argument(arguments: &str) -> &str {
    let mut depth = 0;
    let mut previous = ' ';
    for (at, character) in arguments.char_indices() {
        match character {
            '<' | '(' | '[' | '{' => depth += 1,
            // The arrow of a function type closes nothing.
            '>' if previous == '-' => {}
            ',' | '>' if depth == 0 => return arguments[..at].trim(),
            '>' | ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
        previous = character;
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_first_argument() {
        for (arguments, first) in [
            ("saxpy::kernel, (f32, f32), ()>", "saxpy::kernel"),
            ("main::{closure#0}>", "main::{closure#0}"),
            (
                "map::<f32, fn(f32) -> f32>, (u8,)>",
                "map::<f32, fn(f32) -> f32>",
            ),
            ("<A as B<C, D>>::f, E>", "<A as B<C, D>>::f"),
            ("[u8; 4], E>", "[u8; 4]"),
        ] {
            assert_eq!(first_argument(arguments), first);
        }
    }

    #[test]
    fn relaxed_kernels_are_called_what_they_are_without() {
        let entry = "legionella::launch::arity::entry::<legionella::relaxed::Relaxed<a::map::<f32>, \
                     true, false, true>, Block1<u8>, (Item,)>";
        assert_eq!(kernel_name(entry), "a::map::<f32>");
    }

    #[test]
    fn other_symbols_are_demangled() {
        assert_eq!(kernel_name("main"), "main");
    }
}
