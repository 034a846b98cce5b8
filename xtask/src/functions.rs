//! Functions of PTX texts, of which many are in the texts of many kernels: what formats, above all.
//!
//! Takes texts as LLVM writes them; gives them without the bodies of functions that an earlier text for the same
//! architecture had, which can be assembled as what is to be linked. Knows no assembler.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};

/// How a function begins, behind how it is linked (PTX ISA, "Kernel and Function Directives: .func").
const FUNCTION: &str = ".func ";

/// What LLVM numbers from a module's start on.
const NUMBERED: [&str; 6] = [
    "$L__BB",
    "$L__func_begin",
    "$L__func_end",
    "$L__tmp",
    "__local_depot",
    "prototype_",
];

/// The functions that there were so far, by architecture.
#[derive(Default)]
pub struct Known(Mutex<HashMap<String, HashSet<String>>>);

/// What is left of a text.
#[derive(Debug, PartialEq, Eq)]
pub enum Rest {
    /// All of it, as no function was known.
    Whole,
    /// Kernels and functions that are new, with declarations of the others.
    New(String),
    /// No kernel, and no function that is new.
    Nothing,
}

impl Known {
    /// What is new in a text for an architecture. From now on it is known.
    pub fn rest(&self, architecture: &str, text: &str) -> Rest {
        let parts = parts(text);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.entry(architecture.to_owned()).or_default();
        let old: HashSet<&str> = (parts.iter())
            .filter_map(|part| match part {
                Part::Definition(function, body) => {
                    let is_new = known.insert(format!("{}{}", function.head, unnumbered(body)));
                    (!is_new).then_some(function.name)
                }
                _ => None,
            })
            .collect();
        if old.is_empty() {
            return Rest::Whole;
        }
        let is_new = |part: &Part<'_>| match part {
            Part::Definition(function, _) => !old.contains(function.name),
            Part::Declaration(_) => false,
            Part::Line(line) => line.contains(".entry "),
        };
        if !parts.iter().any(is_new) {
            return Rest::Nothing;
        }
        let mut rest = String::with_capacity(text.len());
        for part in &parts {
            // Writing to a `String` doesn't fail.
            let _ = match part {
                Part::Line(line) => writeln!(rest, "{line}"),
                // Also what nothing else in this text calls any more is to be assembled.
                Part::Definition(function, body) if !old.contains(function.name) => {
                    writeln!(rest, ".visible {}{body}", function.head)
                }
                // What is defined in front of all that calls it is declared nowhere else.
                Part::Definition(function, _) | Part::Declaration(function) => {
                    let is_old = old.contains(function.name);
                    let linkage = if is_old { ".extern" } else { ".visible" };
                    writeln!(rest, "{linkage} {};", function.head)
                }
            };
        }
        Rest::New(rest)
    }
}

/// A part of a text.
enum Part<'t> {
    Declaration(Function<'t>),
    /// With its body, in braces.
    Definition(Function<'t>, &'t str),
    /// Anything else.
    Line(&'t str),
}

struct Function<'t> {
    name: &'t str,
    /// From `.func` up to its body.
    head: &'t str,
}

fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (line, behind) = rest.split_once('\n').unwrap_or((rest, ""));
        let start = ["", ".visible ", ".weak "].into_iter().find_map(|linkage| {
            let start = line.strip_prefix(linkage)?;
            start.starts_with(FUNCTION).then_some(linkage.len())
        });
        let Some(start) = start else {
            parts.push(Part::Line(line));
            rest = behind;
            continue;
        };
        // Neither is in what is between.
        let end = rest.find([';', '{']).unwrap_or(rest.len());
        let function = Function {
            name: name(line),
            head: &rest[start..end],
        };
        if rest[end..].starts_with('{') {
            let close = rest[end..].find("\n}");
            let close = close.map_or(rest.len(), |close| end + close + "\n}".len());
            parts.push(Part::Definition(function, &rest[end..close]));
            rest = &rest[close..];
        } else {
            parts.push(Part::Declaration(function));
            rest = rest.get(end + 1..).unwrap_or("");
        }
    }
    parts
}

/// The name of a function in its first line, where the parameters' parenthesis or nothing follows it.
fn name(line: &str) -> &str {
    let line = line.trim_end().trim_end_matches(['(', ')']);
    line.rsplit([' ', '\t', ')']).next().unwrap_or(line)
}

/// A body without comments, lines of the source, and numbers that depend on what else the module has.
fn unnumbered(body: &str) -> String {
    let mut all = String::with_capacity(body.len());
    for line in body.lines() {
        let mut line = line.split("//").next().unwrap_or(line).trim_end();
        if line.trim_start().starts_with(".loc") {
            continue;
        }
        while let Some((start, prefix)) = (NUMBERED.iter())
            .filter_map(|prefix| Some((line.find(prefix)?, prefix)))
            .min()
        {
            let end = start + prefix.len();
            all.push_str(&line[..end]);
            line = line[end..].trim_start_matches(|digit: char| digit.is_ascii_digit());
        }
        all.push_str(line);
        all.push('\n');
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(label: u32, constant: u32, kernel: &str) -> String {
        format!(
            "\
.target sm_90a
.func  (.param .b32 func_retval0) twice
(
	.param .b32 twice_param_0
)
;
.visible .entry {kernel}()
{{
	ret;
}}
.func  (.param .b32 func_retval0) twice(
	.param .b32 twice_param_0
)
{{
	.loc	{label} 1 1
$L__BB{label}_3:                     // in block {label}
	{{ // callseq {label}, 0
	}} // callseq {label}
	add.s32 	%r1, %r1, {constant};
	bra.uni 	$L__BB{label}_3;
}}
"
        )
    }

    #[test]
    fn functions_are_new_once() {
        let known = Known::default();
        assert_eq!(known.rest("sm_90a", &text(1, 7, "one")), Rest::Whole);
        let Rest::New(rest) = known.rest("sm_90a", &text(22, 7, "two")) else {
            panic!("the function is known, and the kernel isn't")
        };
        assert!(rest.contains(".extern .func  (.param .b32 func_retval0) twice\n"));
        assert!(rest.contains(".visible .entry two()\n{\n\tret;\n}") && !rest.contains("add.s32"));
        // Other code, and other architectures.
        assert_eq!(known.rest("sm_90a", &text(1, 8, "one")), Rest::Whole);
        assert_eq!(known.rest("sm_80", &text(1, 7, "one")), Rest::Whole);
    }

    #[test]
    fn texts_of_known_functions_have_nothing_new() {
        let known = Known::default();
        let functions = text(1, 7, "one").replace(".visible .entry one()\n{\n\tret;\n}\n", "");
        assert_eq!(known.rest("sm_90a", &functions), Rest::Whole);
        assert_eq!(known.rest("sm_90a", &functions), Rest::Nothing);
        let more = format!("{functions}{}", functions.replace("twice", "thrice"));
        let Rest::New(rest) = known.rest("sm_90a", &more) else {
            panic!("one is new")
        };
        assert!(rest.contains(".visible .func  (.param .b32 func_retval0) thrice(\n"));
        assert!(
            rest.contains(".extern .func  (.param .b32 func_retval0) twice(\n")
                && !rest.contains("%r1, 7;\n\tbra.uni \t$L__BB1_3;\n}\n.func")
        );
    }
}
