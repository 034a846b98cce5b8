//! A kernel's stages for people to look at.
//!
//! Takes an image's bitcode, a kernel and a target; gives the text of one stage, whether or not the
//! kernel gets past it. Uses the compiler as it is ([`crate::generate`]), and knows no target.

use std::fmt;
use std::str::FromStr;

use inkwell::context::Context;
use inkwell::memory_buffer::MemoryBuffer;
use inkwell::targets::FileType;
use legionella_abi::bundle::{Bundle, Kernel};
use legionella_abi::protocol::TargetSpec;

use crate::error::Error;
use crate::extract;
use crate::generate::{Failure, Stages, generate_seen};
use crate::remarks::Remark;
use crate::target::{self, Toolbox};

/// A stage of a kernel on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The kernel's IR as the program carries it.
    Ir,
    /// Without a host: panics cut, the machine's operations declared.
    Lowered,
    /// How the target runs work-items, and why.
    Way,
    /// What runs across work-items as a loop of its own, and which values these have in common.
    Regions,
    /// What LLVM's vectorisers made of it, and what they didn't and why.
    Remarks,
    /// As the target's code is made from.
    Optimized,
    /// The target's assembly.
    Assembly,
}

impl Stage {
    /// All of them, in order.
    pub const ALL: [Stage; 7] = [
        Stage::Ir,
        Stage::Lowered,
        Stage::Way,
        Stage::Regions,
        Stage::Remarks,
        Stage::Optimized,
        Stage::Assembly,
    ];

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Ir => "ir",
            Stage::Lowered => "lowered",
            Stage::Way => "way",
            Stage::Regions => "regions",
            Stage::Remarks => "remarks",
            Stage::Optimized => "optimized",
            Stage::Assembly => "asm",
        }
    }

    /// The compiler's stage that it is made of.
    fn made_of(self) -> &'static str {
        match self {
            Stage::Assembly => Stage::Optimized.name(),
            other => other.name(),
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Stage {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Stage::ALL.into_iter().find(|stage| stage.name() == name);
        found.ok_or_else(|| {
            let names: Vec<_> = Stage::ALL.iter().map(|stage| stage.name()).collect();
            format!("no such stage; there are: {}", names.join(", "))
        })
    }
}

/// What there is to see of a kernel.
#[derive(Debug)]
pub struct Seen {
    /// The stage's text, if the kernel came that far, and the stage is one of texts.
    pub text: Option<String>,
    /// The stage's remarks, likewise.
    pub remarks: Vec<Remark>,
    /// Whether code could be generated.
    pub outcome: Result<(), Failure>,
}

/// Compiles a kernel and gives one stage of it. LLVM has to be loaded.
pub fn show(
    bitcode: &[u8],
    entry: &str,
    spec: &TargetSpec,
    stage: Stage,
    toolbox: &Toolbox,
) -> Seen {
    let mut text = None;
    let mut keep = |name: &str, ir: &str| {
        if name == stage.made_of() {
            text = Some(ir.to_owned());
        }
    };
    let mut stages = Stages::seen_by(&mut keep);
    // Both are told at lines of the source.
    if matches!(stage, Stage::Regions | Stage::Remarks) {
        stages = stages.with_remarks();
    }
    let outcome = generate_seen(bitcode, entry, spec, toolbox, &mut stages);
    let outcome = outcome.map(|_| ());
    let remarks = match stage {
        Stage::Remarks => stages.into_remarks(),
        _ => Vec::new(),
    };
    if stage == Stage::Assembly && outcome.is_ok() {
        return match text.as_deref().map(|ir| assembly(ir, spec)).transpose() {
            Ok(text) => Seen {
                text,
                remarks,
                outcome,
            },
            Err(error) => Seen {
                text: None,
                remarks,
                outcome: Err(error.into()),
            },
        };
    }
    // A text of the stage before the one asked for is no answer.
    let text = text.filter(|_| stage != Stage::Assembly);
    Seen {
        text,
        remarks,
        outcome,
    }
}

/// The assembly of optimised IR.
fn assembly(ir: &str, spec: &TargetSpec) -> Result<String, Error> {
    let failed = |reason: String| Error::Internal {
        stage: "assembly",
        reason,
    };
    let machine = (target::find(spec)?.machine)(spec)?;
    let context = Context::create();
    crate::llvm::diagnostics::log(&context);
    let buffer = MemoryBuffer::create_from_memory_range_copy(ir.as_bytes(), "kernel");
    let module = context
        .create_module_from_ir(buffer)
        .map_err(|error| failed(error.to_string()))?;
    let text = machine
        .write_to_memory_buffer(&module, FileType::Assembly)
        .map_err(|error| failed(error.to_string()))?;
    Ok(String::from_utf8_lossy(text.as_slice())
        .trim_end_matches('\0')
        .to_owned())
}

/// Checks that there is a target and that it has the machine. LLVM has to be loaded.
///
/// # Errors
/// If not; the error says what there is.
pub fn check(spec: &TargetSpec) -> Result<(), Error> {
    (target::find(spec)?.machine)(spec).map(drop)
}

/// The bitcode of a bundle's module that has one of its kernels.
///
/// # Errors
/// If the bundle is damaged.
pub fn bitcode(bundle: &Bundle<'_>, kernel: &Kernel) -> Result<Vec<u8>, Error> {
    let found = bundle.module(kernel);
    let unpacked = found
        .ok_or_else(|| "it is cut short".to_owned())
        .and_then(|(module, bytes)| crate::serve::unpack(bytes, module.bitcode_len, module.hash));
    unpacked.map_err(|reason| Error::Bitcode {
        origin: "the image's bundle".to_owned(),
        reason,
    })
}

/// Types of the parameters of a kernel but the first, from the symbol of its entry shim
/// `…::entry::<KERNEL, BLOCK, (PARAMETERS…)>`; `None` if the symbol does not tell. Types of the
/// language's own crates and of Legionella's are called by their last name.
pub fn parameters(entry: &str) -> Option<Vec<String>> {
    let demangled = extract::demangle(entry);
    let kernel = extract::kernel_name(entry);
    let (_, rest) = demangled.split_once(&format!("::entry::<{kernel}"))?;
    let rest = rest.strip_suffix('>')?;
    let last = split(rest).pop()?;
    let inside = last.strip_prefix('(')?.strip_suffix(')')?;
    let types = split(inside).into_iter().filter(|ty| !ty.is_empty());
    Some(types.skip(1).map(shortened).collect())
}

/// The parts between commas that are not inside of brackets.
fn split(list: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start, mut previous) = (0i32, 0, ' ');
    for (at, character) in list.char_indices() {
        match character {
            '<' | '(' | '[' | '{' => depth += 1,
            // The arrow of a function type closes nothing.
            '>' if previous == '-' => {}
            '>' | ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(list[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
        previous = character;
    }
    parts.push(list[start..].trim());
    parts
}

/// A type without the modules of crates that everyone knows.
fn shortened(ty: &str) -> String {
    let known = ["alloc", "core", "legionella", "legionella_device", "std"];
    let mut text = String::new();
    let is_path = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':');
    let mut rest = ty;
    while !rest.is_empty() {
        let end = rest.find(|c| !is_path(c)).unwrap_or(rest.len());
        let (path, after) = rest.split_at(end);
        let first = path.split("::").next().unwrap_or_default();
        // What ends in `::` goes on behind brackets.
        match path.rsplit_once("::") {
            Some((_, name)) if known.contains(&first) && !name.is_empty() => text.push_str(name),
            _ => text.push_str(path),
        }
        let other = after.find(is_path).unwrap_or(after.len());
        text.push_str(&after[..other]);
        rest = &after[other..];
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_split_outside_of_brackets() {
        assert_eq!(
            split("f32, &[u8], A<B, C>,"),
            ["f32", "&[u8]", "A<B, C>", ""]
        );
        assert_eq!(split("fn(u8) -> A<B>, C"), ["fn(u8) -> A<B>", "C"]);
    }

    #[test]
    fn types_are_called_by_their_last_name() {
        for (long, short) in [
            ("&[f32]", "&[f32]"),
            ("legionella_device::output::Disjoint<f32>", "Disjoint<f32>"),
            (
                "core::option::Option<my::own::Type<alloc::vec::Vec<u8>>>",
                "Option<my::own::Type<Vec<u8>>>",
            ),
            ("(u8, core::sync::atomic::AtomicU32)", "(u8, AtomicU32)"),
        ] {
            assert_eq!(shortened(long), short);
        }
    }

    #[test]
    fn symbols_that_tell_nothing_have_no_parameters() {
        assert_eq!(parameters("main"), None);
    }

    #[test]
    fn stages_are_read_by_name() {
        for stage in Stage::ALL {
            assert_eq!(stage.name().parse(), Ok(stage));
        }
        assert!("ptx".parse::<Stage>().unwrap_err().contains("asm"));
    }
}
