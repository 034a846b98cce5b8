//! Call chains: from the kernel to an instruction, through calls and through inlining.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::marker::PhantomData;

use inkwell::module::Module;
use legionella_abi::protocol::Call;

use crate::extract::demangle;
use crate::ir::{self, Function, Value, debug};

/// The shortest ways from the kernel to each function that it reaches.
pub(super) struct Chains<'m> {
    /// Path of the kernel function.
    kernel: String,
    /// For each reached function, the instruction that reaches it; none for the kernel itself.
    reached_by: BTreeMap<Function<'m>, Option<Value<'m>>>,
    lifetime: PhantomData<&'m ()>,
}

impl<'m> Chains<'m> {
    /// Searches breadth first from the entry shim.
    pub(super) fn from(module: &'m Module<'_>, entry: &str) -> Self {
        let mut reached_by = BTreeMap::new();
        let mut ahead = VecDeque::new();
        if let Some(entry) = ir::function(module, entry) {
            reached_by.insert(entry, None);
            ahead.push_back(entry);
        }
        while let Some(function) = ahead.pop_front() {
            for instruction in function.instructions() {
                for callee in ir::functions_in(instruction) {
                    reached_by.entry(callee).or_insert_with(|| {
                        ahead.push_back(callee);
                        Some(instruction)
                    });
                }
            }
        }
        Chains {
            kernel: crate::extract::kernel_name(entry),
            reached_by,
            lifetime: PhantomData,
        }
    }

    /// From the kernel to an instruction; `None` if the kernel doesn't reach it.
    pub(super) fn to_instruction(&self, instruction: Value<'m>) -> Option<Vec<Call>> {
        let mut chain = Vec::new();
        let mut at = Some(instruction);
        while let Some(instruction) = at {
            let function = instruction.block().function();
            // Innermost first: inlined frames, then the function itself.
            chain.extend(frames(instruction, function));
            at = *self.reached_by.get(&function)?;
        }
        chain.reverse();
        Some(starting_with(&self.kernel, chain))
    }

    /// From the kernel to a use of a global, one whose source line is known if there is one; `None`
    /// if the kernel doesn't reach any.
    pub(super) fn to_global(&self, global: Value<'m>) -> Option<Vec<Call>> {
        let mut ahead = vec![global];
        let mut seen = BTreeSet::new();
        let mut uses = Vec::new();
        while let Some(value) = ahead.pop() {
            if !seen.insert(value) {
                continue;
            }
            for user in value.users() {
                if user.is_instruction() {
                    uses.push(user);
                } else {
                    ahead.push(user);
                }
            }
        }
        uses.sort_by_key(|user| !debug::is_located(*user));
        uses.into_iter().find_map(|user| self.to_instruction(user))
    }
}

/// The chain without the entry shim, which is the project's own: it and what it is made of stand in
/// one file. The kernel, where it was inlined, gets its full path.
pub(crate) fn starting_with(kernel: &str, chain: Vec<Call>) -> Vec<Call> {
    if let Some(first) = chain.iter().position(|call| call.function == kernel) {
        return chain.into_iter().skip(first).collect();
    }
    let file = |call: &Call| call.source.as_ref().map(|source| source.file.clone());
    let shim = chain.first().and_then(file);
    let own = chain
        .iter()
        .take_while(|call| shim.is_some() && file(call) == shim)
        .count();
    let mut chain: Vec<_> = chain.into_iter().skip(own).collect();
    if let Some(first) = chain.first_mut()
        && kernel.ends_with(&first.function)
    {
        kernel.clone_into(&mut first.function);
    }
    chain
}

/// The frames of an instruction within its function, innermost first.
fn frames(instruction: Value<'_>, function: Function<'_>) -> Vec<Call> {
    let mut frames: Vec<_> = debug::frames(instruction)
        .into_iter()
        .map(|frame| Call {
            function: demangle(&frame.function),
            source: frame.source,
        })
        .collect();
    if frames.is_empty() {
        frames.push(Call {
            function: demangle(&function.name()),
            source: None,
        });
    }
    frames
}
