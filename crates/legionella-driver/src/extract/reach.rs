//! What each kernel of a closure reaches, and which kernels are read together.
//!
//! Reading a module costs time for every function in it, needed or not, and the closure of an image
//! with hundreds of kernels has tens of thousands. So entries carry the names of the definitions that
//! lowering may bind their operations to, and a large closure is divided into parts.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::CString;
use std::hash::Hash;

use legionella_abi::intrinsic;
use llvm_sys::LLVMAttributeFunctionIndex;
use llvm_sys::core::*;
use llvm_sys::prelude::*;

use super::cuts::panic_of;
use super::ir::{body, constants, name};
use super::linker::Gathered;
use super::{heap, maths};
use crate::lower::is_of_groups;

/// Attribute of an entry shim: the symbols of what may take the place of operations that it reaches,
/// with commas between.
pub(crate) const NEEDS: &str = "legionella.needs";

/// Most instructions of a part, if not of a single kernel. Reading these takes a few milliseconds.
const PART: u64 = 40_000;

/// How much more all parts together may have than the closure, as a fraction. Where kernels have more
/// than that in common, larger parts are made.
const GROWTH: (u64, u64) = (3, 2);

/// What targets build on for kernels whose items work together.
const OF_GROUPS: [&str; 3] = [
    intrinsic::BARRIER_FAILED,
    intrinsic::CPU_RUN_GROUPS,
    intrinsic::ALLOC_ERROR,
];

/// What an entry reaches.
pub(super) struct Reach {
    /// Number of instructions in all functions that it reaches, by call or by address.
    pub(super) instructions: u64,
    /// Its functions, with those that lowering may bind operations to and what these reach.
    functions: HashSet<LLVMValueRef>,
}

/// Finds out what entries of a gathered module reach, and notes at each what it needs.
pub(super) fn reaches(gathered: &Gathered, entries: &[&str]) -> (Vec<Reach>, Vec<Vec<usize>>) {
    let mut walk = Walk {
        gathered,
        sizes: HashMap::new(),
    };
    let reaches: Vec<Reach> = entries.iter().map(|entry| walk.reach(entry)).collect();
    let functions: Vec<_> = reaches.iter().map(|reach| &reach.functions).collect();
    let parts = parts(&functions, &walk.sizes, PART);
    (reaches, parts)
}

struct Walk<'a> {
    gathered: &'a Gathered,
    /// Number of instructions of each function that was visited.
    sizes: HashMap<LLVMValueRef, u64>,
}

impl Walk<'_> {
    fn reach(&mut self, entry: &str) -> Reach {
        let mut seen = HashSet::new();
        let mut needs = BTreeSet::new();
        let shim = self.function(entry);
        self.follow(shim, &mut seen, &mut needs);
        let instructions = self.size(&seen);
        // What takes the place of an operation may have operations that need some themselves.
        let mut met = BTreeSet::new();
        while let Some(need) = needs.pop_first() {
            if self.gathered.defines(&need) && met.insert(need.clone()) {
                self.follow(self.function(&need), &mut seen, &mut needs);
            }
        }
        if let Some(shim) = shim {
            note(self.gathered, shim, &Vec::from_iter(met).join(","));
        }
        seen.retain(|value| self.sizes.contains_key(value));
        Reach {
            instructions,
            functions: seen,
        }
    }

    fn size(&self, seen: &HashSet<LLVMValueRef>) -> u64 {
        seen.iter().filter_map(|value| self.sizes.get(value)).sum()
    }

    fn function(&self, symbol: &str) -> Option<LLVMValueRef> {
        let symbol = CString::new(symbol).unwrap_or_default();
        // SAFETY: the module is valid while `gathered` is.
        let function = unsafe { LLVMGetNamedFunction(self.gathered.module(), symbol.as_ptr()) };
        (!function.is_null()).then_some(function)
    }

    /// Follows a function's references; `needs` gets what may take the place of what it refers to.
    fn follow(
        &mut self,
        from: Option<LLVMValueRef>,
        seen: &mut HashSet<LLVMValueRef>,
        needs: &mut BTreeSet<String>,
    ) {
        let mut pending: Vec<_> = from.into_iter().collect();
        while let Some(value) = pending.pop() {
            if !seen.insert(value) {
                continue;
            }
            // SAFETY: `value` is a constant of a valid module, and so are its operands.
            unsafe {
                if LLVMIsAFunction(value).is_null() {
                    pending.extend(constants(value));
                    continue;
                }
                let symbol = name(value);
                if is_of_groups(symbol) {
                    needs.extend(OF_GROUPS.map(str::to_owned));
                }
                if LLVMIsDeclaration(value) != 0 {
                    needs.extend(panic_of(symbol).map(str::to_owned));
                    needs.extend(heap::of_function(symbol).map(str::to_owned));
                    needs.extend(maths::of_function(symbol));
                    continue;
                }
                let mut count = 0;
                for instruction in body(value) {
                    count += 1;
                    needs.extend(maths::of_instruction(instruction));
                    pending.extend(constants(instruction));
                }
                self.sizes.insert(value, count);
            }
        }
    }
}

/// Notes at an entry shim what it needs.
fn note(gathered: &Gathered, shim: LLVMValueRef, needs: &str) {
    // SAFETY: the shim belongs to the module, and LLVM copies the texts.
    unsafe {
        let attribute = LLVMCreateStringAttribute(
            LLVMGetModuleContext(gathered.module()),
            NEEDS.as_ptr().cast(),
            NEEDS.len() as u32,
            needs.as_ptr().cast(),
            needs.len() as u32,
        );
        LLVMAddAttributeAtIndex(shim, LLVMAttributeFunctionIndex, attribute);
    }
}

/// Divides kernels into parts of at most so many instructions, by their places in the list, neighbours
/// together. Takes the functions that each reaches, and their sizes.
fn parts<F: Copy + Eq + Hash>(
    reaches: &[&HashSet<F>],
    sizes: &HashMap<F, u64>,
    mut most: u64,
) -> Vec<Vec<usize>> {
    let size = |functions: &mut dyn Iterator<Item = &F>| -> u64 {
        functions.filter_map(|function| sizes.get(function)).sum()
    };
    let all: HashSet<_> = reaches.iter().copied().flatten().collect();
    let whole = size(&mut all.into_iter());
    loop {
        let mut parts: Vec<Vec<usize>> = Vec::new();
        let (mut functions, mut together, mut last) = (HashSet::new(), 0, 0);
        for (kernel, reach) in reaches.iter().enumerate() {
            let more = size(&mut reach.difference(&functions));
            match parts.last_mut() {
                Some(part) if last + more <= most => {
                    part.push(kernel);
                    functions.extend(*reach);
                    last += more;
                    together += more;
                }
                _ => {
                    parts.push(vec![kernel]);
                    functions.clone_from(reach);
                    last = size(&mut reach.iter());
                    together += last;
                }
            }
        }
        if parts.len() < 2 || together * GROWTH.1 <= whole * GROWTH.0 {
            return parts;
        }
        most *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Divides kernels that reach these functions, each of 10 instructions.
    fn divided(reaches: &[&[u32]], most: u64) -> Vec<Vec<usize>> {
        let reaches: Vec<HashSet<u32>> = (reaches.iter())
            .map(|reach| reach.iter().copied().collect())
            .collect();
        let sizes = reaches.iter().flatten().map(|&function| (function, 10));
        parts(&reaches.iter().collect::<Vec<_>>(), &sizes.collect(), most)
    }

    #[test]
    fn neighbours_are_together_as_long_as_they_are_small() {
        let kernels: [&[u32]; 4] = [&[1, 2, 3], &[3, 4], &[5, 6, 7, 8], &[9]];
        assert_eq!(divided(&kernels, 40), [vec![0, 1], vec![2], vec![3]]);
        assert_eq!(divided(&kernels, 50), [vec![0, 1], vec![2, 3]]);
        assert_eq!(divided(&kernels, 90), [vec![0, 1, 2, 3]]);
    }

    #[test]
    fn a_large_kernel_is_a_part_of_its_own() {
        let kernels: [&[u32]; 3] = [&[1], &[2, 3, 4, 5, 6], &[7]];
        assert_eq!(divided(&kernels, 10), [vec![0], vec![1], vec![2]]);
    }

    #[test]
    fn what_has_most_in_common_stays_together() {
        let kernels: [&[u32]; 3] = [&[1, 2, 3, 4, 5], &[1, 2, 3, 4, 6], &[1, 2, 3, 4, 7]];
        assert_eq!(divided(&kernels, 10), [vec![0, 1, 2]]);
    }
}
