//! What a target can't do, found before any backend sees the code, all of it at once.
//!
//! [`statics`] looks at the closure as it was compiled, because optimisation may turn a static
//! that the host changes into a constant; [`calls`] looks at what is left after simplification,
//! because unmodified crates contain much that a kernel never reaches; so do [`collective`] and
//! [`divergent`].

pub(crate) mod chain;
mod divergent;

use legionella_abi::intrinsic;
use legionella_abi::protocol::{Diagnostic, Problem};
use llvm_sys::core as c;

use crate::extract::cuts::{Cut, cut};
use crate::extract::demangle;
use crate::ir::{self, Function, Value, debug, llvm};
use crate::lower::{Lowered, vendor};
use chain::Chains;

/// Statics that are mutable, have interior mutability, or are thread-local.
pub(crate) fn statics(kernel: &Lowered<'_>) -> Vec<Diagnostic> {
    let chains = Chains::from(&kernel.module, &kernel.entry);
    let mut problems = Vec::new();
    for global in ir::globals(&kernel.module) {
        let thread_local = llvm!(c::LLVMIsThreadLocal(global.raw())) != 0;
        let constant = llvm!(c::LLVMIsGlobalConstant(global.raw())) != 0;
        if constant || (global.is_declaration() && !thread_local) {
            continue;
        }
        let Some(chain) = chains.to_global(global) else {
            continue;
        };
        let (problem, advice) = if thread_local {
            (
                Problem::ThreadLocal,
                "work-items have no threads: pass the value as a kernel argument",
            )
        } else {
            (
                Problem::MutableStatic,
                "a device has its own copy of statics, which the host can't see: pass a buffer, \
                 or make it a `const` or an immutable `static`",
            )
        };
        problems.push(Diagnostic {
            problem,
            what: demangle(&global.name()),
            advice: advice.to_owned(),
            chain,
        });
    }
    problems
}

/// Calls of what no device has: inline assembly, `core::arch`, foreign functions, the operating
/// system, functions whose bitcode is missing.
///
/// `native` are prefixes of the architecture's intrinsics that every machine of the target has,
/// `lacking` the device library's that this one has not.
pub(crate) fn calls(kernel: &Lowered<'_>, native: &[&str], lacking: &[&str]) -> Vec<Diagnostic> {
    let mut problems: Vec<Diagnostic> = Vec::new();
    let mut culprits: Vec<_> = ir::functions(&kernel.module)
        .into_iter()
        .flat_map(Function::instructions)
        .filter_map(|instruction| Some((instruction, culprit_of(instruction, native, lacking)?)))
        .collect();
    if culprits.is_empty() {
        return problems;
    }
    let chains = Chains::from(&kernel.module, &kernel.entry);
    // Each is told of once: where it is known from which line it comes, if it is anywhere.
    culprits.sort_by_key(|(instruction, _)| !debug::is_located(*instruction));
    for (instruction, culprit) in culprits {
        let known = problems
            .iter()
            .any(|other| other.what == culprit.what && other.problem == culprit.problem);
        if known {
            continue;
        }
        if let Some(chain) = chains.to_instruction(instruction) {
            problems.push(Diagnostic {
                problem: culprit.problem,
                what: culprit.what,
                advice: culprit.advice.to_owned(),
                chain,
            });
        }
    }
    problems
}

/// Operations of a whole group outside of the kernel's own function, into which everything that
/// leads to one is inlined if that can be done.
pub(crate) fn collective(kernel: &Lowered<'_>) -> Vec<Diagnostic> {
    let operations = intrinsic::COLLECTIVE
        .into_iter()
        .chain(intrinsic::MATRICES)
        .filter_map(|name| ir::function(&kernel.module, name))
        .filter(|function| function.is_declaration());
    let elsewhere: Vec<_> = operations
        .flat_map(|operation| operation.value().users())
        .filter(|call| call.block().function().name() != kernel.entry)
        .collect();
    if elsewhere.is_empty() {
        return Vec::new();
    }
    let chains = Chains::from(&kernel.module, &kernel.entry);
    let problem = |call: Value<'_>| {
        Some(Diagnostic {
            problem: Problem::Collective,
            what: demangle(&call.block().function().name()),
            advice: "a function in which work-items wait for each other becomes part of the \
                     kernel: it can't call itself, nor be called through a pointer or `dyn`"
                .to_owned(),
            chain: chains.to_instruction(call)?,
        })
    };
    elsewhere.into_iter().filter_map(problem).collect()
}

/// Operations of a whole group in branches that only some of its items can take, whatever the launch.
pub(crate) fn divergent(kernel: &Lowered<'_>) -> Vec<Diagnostic> {
    let Some(entry) = ir::function(&kernel.module, &kernel.entry) else {
        return Vec::new();
    };
    let operations = divergent::operations(entry);
    if operations.is_empty() {
        return Vec::new();
    }
    let chains = Chains::from(&kernel.module, &kernel.entry);
    let problem = |call: Value<'_>| {
        Some(Diagnostic {
            problem: Problem::Divergent,
            what: match call.called_function()?.name().as_str() {
                intrinsic::BARRIER => "a barrier",
                _ => "an operation of a subgroup",
            }
            .to_owned(),
            advice: "either a group's first item comes here or its others do, never all: move it \
                     out of the branch, so that each item comes to it"
                .to_owned(),
            chain: chains.to_instruction(call)?,
        })
    };
    let mut problems: Vec<Diagnostic> = operations.into_iter().filter_map(problem).collect();
    // A reduction is many operations in one place.
    problems.dedup_by(|one, other| one.chain == other.chain);
    problems
}

struct Culprit {
    problem: Problem,
    what: String,
    advice: &'static str,
}

fn culprit_of(instruction: Value<'_>, native: &[&str], lacking: &[&str]) -> Option<Culprit> {
    let theirs = instruction.is_call_with_note(vendor::ASSEMBLY);
    for operand in instruction.operands() {
        if let Some((text, _)) = operand.inline_assembly().filter(|_| !theirs) {
            let text = text.replace('\n', "; ");
            // An empty text, or one that is only a comment, is an optimisation barrier
            // (`core::hint::black_box` and its like), which every target has.
            let text = text.trim();
            let comment = text.starts_with("/*") && text.find("*/") == Some(text.len() - 2);
            if !text.is_empty() && !comment {
                return Some(Culprit {
                    problem: Problem::InlineAssembly,
                    what: text.to_owned(),
                    advice: "assembly is for one processor: write it in Rust, or use an operation \
                             of `legionella`",
                });
            }
        }
        if let Some(function) = operand.as_function()
            && function.is_declaration()
            && let Some(culprit) = culprit_function(function, native, lacking)
        {
            return Some(culprit);
        }
    }
    None
}

/// Functions that backends know without a definition: LLVM's library calls on memory.
const MEMORY: [&str; 5] = ["memcpy", "memmove", "memset", "memcmp", "bcmp"];

/// LLVM intrinsics that belong to one processor.
const ARCHITECTURES: [&str; 8] = [
    "llvm.x86.",
    "llvm.aarch64.",
    "llvm.arm.",
    "llvm.nvvm.",
    "llvm.amdgcn.",
    "llvm.ppc.",
    "llvm.riscv.",
    "llvm.wasm.",
];

fn culprit_function(function: Function<'_>, native: &[&str], lacking: &[&str]) -> Option<Culprit> {
    let name = function.name();
    if let Some(cut) = cut(&name) {
        let (what, advice) = match cut {
            Cut::Print => (
                "std::println!",
                "a device has no standard output: use `legionella::println!`, whose text the host prints",
            ),
            Cut::PrintError => (
                "std::eprintln!",
                "a device has no standard error: use `legionella::eprintln!`, whose text the host prints",
            ),
            Cut::BeginPanic => (
                "std::panic::panic_any",
                "a kernel panics with a message: use `panic!`",
            ),
            _ => return None,
        };
        return Some(Culprit {
            problem: Problem::OperatingSystem,
            what: what.to_owned(),
            advice,
        });
    }
    if lacking.contains(&name.as_str()) {
        return Some(missing(&name));
    }
    if name.starts_with("legionella.") || MEMORY.contains(&name.as_str()) {
        return None;
    }
    if native.iter().any(|prefix| name.starts_with(prefix)) {
        return None;
    }
    if ARCHITECTURES.iter().any(|prefix| name.starts_with(prefix)) {
        return Some(Culprit {
            problem: Problem::ArchitectureIntrinsic,
            what: name,
            advice: "an operation of `core::arch` is for one processor: write it in portable Rust, \
                     which is vectorised across work-items",
        });
    }
    if name.starts_with("llvm.") || is_compiler_builtin(&name) {
        return None;
    }
    if name.starts_with("_R") || name.starts_with("_ZN") {
        return Some(Culprit {
            problem: Problem::MissingBitcode,
            what: demangle(&name),
            advice: "its crate was compiled without the wrapper: build all of the program with \
                     `cargo legionella build`",
        });
    }
    Some(Culprit {
        problem: Problem::ForeignFunction,
        what: name,
        advice: "a device has no operating system and no C library: do this on the host and pass \
                 the result",
    })
}

/// An operation of the device library that the machine has not.
fn missing(intrinsic: &str) -> Culprit {
    let (what, advice) = match intrinsic {
        intrinsic::EXCHANGE_IF_U128 => (
            "an atomic operation on 128 bits",
            "use atomics of up to 64 bits, or generate code for a machine that has this",
        ),
        intrinsic::PRINT_PORT => ("printing", "write into a buffer, and print it on the host"),
        intrinsic::PAUSE => (
            "waiting for the host",
            "don't wait: use `try_send`, and buffers for what doesn't fit",
        ),
        other => (other, "do this on the host, and pass the result"),
    };
    Culprit {
        problem: Problem::MissingOperation,
        what: what.to_owned(),
        advice,
    }
}

/// Helpers that code generators call by themselves, named `__` and an operation.
fn is_compiler_builtin(name: &str) -> bool {
    [
        "ti3", "ti2", "tf2", "ti4", "ti", "tisf", "tidf", "sfti", "dfti",
    ]
    .iter()
    .any(|suffix| name.starts_with("__") && name.ends_with(suffix))
}
