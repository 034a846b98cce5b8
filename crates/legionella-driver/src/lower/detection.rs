//! Run-time detection of CPU features, made to find nothing.
//!
//! Crates with hand-written SIMD ask `cpuid` what the host can do and remember the answer in a
//! static. On a device the answer is always "none": `cpuid` gives zeros, and the static is always
//! still empty, so that LLVM folds the question away together with the SIMD code behind it.

use std::collections::{BTreeMap, BTreeSet};

use inkwell::module::Module;
use llvm_sys::core as c;
use llvm_sys::{LLVMOpcode, LLVMTypeKind};

use crate::extract::demangle;
use crate::ir::{self, Builder, Function, Value, llvm};

/// Bit of `std_detect`'s cache words that says "detection has run".
const STD_INITIALISED: u64 = 1 << 63;

/// The question which registers the operating system keeps.
const XGETBV: &str = "llvm.x86.xgetbv";

/// Functions that stand between a question and its answer: of atomics, which hide the cache, and of
/// detection itself, which hide the instruction.
const STEPS: [&str; 7] = [
    "core::core_arch::x86::cpuid::",
    "core::core_arch::x86::xsave::",
    "core::sync::atomic::atomic_load",
    "core::sync::atomic::atomic_store",
    "<core::sync::atomic::Atomic",
    "std_detect::detect::cache::",
    "std_detect::detect::check_for",
];

/// The part of detection that is called when the cache is empty, and large.
const LARGE: [&str; 2] = ["detect_and_initialize", "detect_features"];

/// Whether any code of the module detects features, which little code does.
pub(super) fn occurs(module: &Module<'_>) -> bool {
    let is_cache = |global: Value<'_>| {
        // Demangling takes longer, and most symbols don't hold the word.
        let symbol = global.name();
        symbol.contains("CACHE") && is_standard_cache(&symbol)
    };
    ir::globals(module).into_iter().any(is_cache)
        || ir::function(module, XGETBV).is_some()
        || ir::functions(module)
            .into_iter()
            .flat_map(Function::instructions)
            .any(|instruction| instruction.callee().is_some_and(asks_by_assembly))
}

fn asks_by_assembly(callee: Value<'_>) -> bool {
    let assembly = callee.inline_assembly();
    assembly.is_some_and(|(text, _)| text.contains("cpuid"))
}

fn is_standard_cache(symbol: &str) -> bool {
    demangle(symbol).ends_with("std_detect::detect::cache::CACHE")
}

/// Has the functions inlined that hide what [`never`] looks for.
pub(super) fn expose(module: &Module<'_>) {
    for function in ir::functions(module) {
        let symbol = function.name();
        if function.is_declaration()
            || !symbol.contains("atomic")
                && !symbol.contains("detect")
                && !symbol.contains("cpuid")
                && !symbol.contains("xsave")
        {
            continue;
        }
        let name = demangle(&symbol);
        let step = STEPS.iter().any(|step| name.starts_with(step));
        if step && !LARGE.iter().any(|large| name.contains(large)) {
            function.remove_attribute("noinline");
            function.add_attribute("alwaysinline");
        }
    }
}

/// Makes every feature detection of the module answer "none".
pub(super) fn never(module: &Module<'_>) {
    let mut detecting = standard_library(module);
    for function in ir::functions(module) {
        let mut found = false;
        for instruction in function.instructions() {
            if is_cpuid(instruction) {
                instruction.replace_all_uses_with(instruction.ty().zero());
                instruction.erase();
                found = true;
            }
        }
        if found {
            detecting.insert(function);
        }
    }
    if detecting.is_empty() {
        return;
    }
    // The function that asks and the one that remembers may be two.
    for function in detecting.clone() {
        for user in function.value().users() {
            if user.is_call() {
                detecting.insert(owner(user));
            }
        }
    }
    for global in ir::globals(module) {
        if let Some(accesses) = cache_accesses(global, &detecting) {
            forget(global, accesses);
        }
    }
}

/// Presets the caches of `std_detect`, and gives the functions that read them.
fn standard_library<'m>(module: &'m Module<'_>) -> BTreeSet<Function<'m>> {
    let mut readers = BTreeSet::new();
    for global in ir::globals(module) {
        if !is_standard_cache(&global.name()) {
            continue;
        }
        for user in users_through_addresses(global) {
            if user.is_instruction() {
                readers.insert(owner(user));
            }
        }
        let ty = llvm!(c::LLVMGlobalGetValueType(global.raw()));
        let words = words_of(ir::Type::from_raw(ty));
        let types = ir::Types::of(module);
        let word = types.i64.constant(STD_INITIALISED);
        let mut raw = vec![word.raw(); words];
        llvm!({
            // The initialiser's type may be any aggregate of that many words: a byte-wise equal
            // global takes the place of the old one.
            let array = c::LLVMConstArray2(types.i64.raw(), raw.as_mut_ptr(), words as u64);
            let name = c"legionella.detected";
            let new = c::LLVMAddGlobal(module.as_mut_ptr(), c::LLVMTypeOf(array), name.as_ptr());
            c::LLVMSetInitializer(new, array);
            c::LLVMSetGlobalConstant(new, 1);
            c::LLVMSetLinkage(new, llvm_sys::LLVMLinkage::LLVMInternalLinkage);
            c::LLVMSetAlignment(new, 8);
            c::LLVMReplaceAllUsesWith(global.raw(), new);
            c::LLVMDeleteGlobal(global.raw());
        });
    }
    readers
}

/// 64-bit words in a type made of them, at least one.
fn words_of(ty: ir::Type<'_>) -> usize {
    match ty.kind() {
        LLVMTypeKind::LLVMArrayTypeKind => {
            let len = llvm!(c::LLVMGetArrayLength2(ty.raw())) as usize;
            let element = ir::Type::from_raw(llvm!(c::LLVMGetElementType(ty.raw())));
            match element.integer_width() {
                8 => len.div_ceil(8),
                _ => len * words_of(element),
            }
        }
        LLVMTypeKind::LLVMStructTypeKind => {
            let count = llvm!(c::LLVMCountStructElementTypes(ty.raw()));
            (0..count)
                .map(|index| {
                    let field = llvm!(c::LLVMStructGetTypeAtIndex(ty.raw(), index));
                    words_of(ir::Type::from_raw(field))
                })
                .sum::<usize>()
                .max(1)
        }
        _ => 1,
    }
}

fn is_cpuid(instruction: Value<'_>) -> bool {
    let Some(callee) = instruction.callee() else {
        return false;
    };
    match callee.as_function() {
        Some(function) => function.name() == XGETBV,
        None => asks_by_assembly(callee),
    }
}

fn owner(instruction: Value<'_>) -> Function<'_> {
    instruction.block().function()
}

/// Users of a global, seen through constant expressions.
fn users_through_addresses(global: Value<'_>) -> Vec<Value<'_>> {
    let mut all = Vec::new();
    for user in global.users() {
        if user.is_instruction() {
            all.push(user);
        } else {
            all.extend(users_through_addresses(user));
        }
    }
    all
}

struct Accesses<'m> {
    loads: Vec<Value<'m>>,
    stores: Vec<Value<'m>>,
}

/// The loads and stores of a scalar static that only detection writes and nothing else touches.
fn cache_accesses<'m>(
    global: Value<'m>,
    detecting: &BTreeSet<Function<'m>>,
) -> Option<Accesses<'m>> {
    if global.is_declaration() || llvm!(c::LLVMIsGlobalConstant(global.raw())) != 0 {
        return None;
    }
    let mut accesses = Accesses {
        loads: Vec::new(),
        stores: Vec::new(),
    };
    for user in global.users() {
        if user.is(LLVMOpcode::LLVMLoad) {
            accesses.loads.push(user);
        } else if user.is(LLVMOpcode::LLVMStore)
            && user.operand(1) == global
            && detecting.contains(&owner(user))
        {
            accesses.stores.push(user);
        } else {
            return None;
        }
    }
    (!accesses.stores.is_empty()).then_some(accesses)
}

/// Makes a detection cache always empty: loads give its initial value, stores are dropped.
fn forget(global: Value<'_>, accesses: Accesses<'_>) {
    let initial = Value::from_raw(llvm!(c::LLVMGetInitializer(global.raw())));
    let mut values = BTreeMap::new();
    for load in &accesses.loads {
        let width = (load.ty().kind() as u32, load.ty().integer_width());
        let value = values
            .entry(width)
            .or_insert_with(|| first_scalar(initial, load.ty()));
        match value {
            Some(value) => load.replace_all_uses_with(*value),
            None => {
                // Read under another type than it is written in: let a plain load of the initial
                // value decide, which nothing changes once the stores are gone.
                let copy = Builder::before(*load).load(load.ty(), global);
                load.replace_all_uses_with(copy);
            }
        }
        load.erase();
    }
    for store in accesses.stores {
        store.erase();
    }
}

/// The first scalar inside an aggregate constant, if it has that type.
fn first_scalar<'m>(constant: Value<'m>, ty: ir::Type<'m>) -> Option<Value<'m>> {
    if constant.ty() == ty {
        return Some(constant);
    }
    if !llvm!(c::LLVMIsAConstantDataSequential(constant.raw())).is_null() {
        return from_bytes(constant, ty);
    }
    if llvm!(c::LLVMIsNull(constant.raw())) != 0 {
        return Some(ty.zero());
    }
    first_scalar(*constant.operands().first()?, ty)
}

/// The integer of that type at the start of a byte array.
fn from_bytes<'m>(bytes: Value<'m>, ty: ir::Type<'m>) -> Option<Value<'m>> {
    let mut value = 0;
    let width = ty.integer_width() / 8;
    if !(1..=8).contains(&width) {
        return None;
    }
    for index in 0..width {
        let byte = llvm!(c::LLVMGetAggregateElement(bytes.raw(), index));
        if byte.is_null() || Value::from_raw(byte).ty().integer_width() != 8 {
            return None;
        }
        value |= Value::from_raw(byte).constant_integer()? << (8 * index);
    }
    Some(ty.constant(value))
}
