//! Scopes of atomic operations, and those operations that `core` has no type for.
//!
//! Takes a simplified kernel, in which orderings and scopes are constants and addresses lead straight
//! to the operations; gives the same with LLVM's own instructions. What LLVM has merged or kept apart,
//! so that it is no longer known which operation a scope was meant for, gets a scope that is wide
//! enough.

use std::collections::BTreeSet;

use inkwell::module::Module;
use legionella_abi::intrinsic::{self, Scope};
use llvm_sys::LLVMAtomicOrdering::{self, *};
use llvm_sys::core as c;
use llvm_sys::{LLVMLinkage, LLVMOpcode};

use crate::ir::{self, Builder, Function, Value, llvm};

/// What a target has for atomic operations.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Atomics {
    /// LLVM's name of the scope of a work-group; empty for that of all others.
    pub(crate) group: &'static str,
    /// LLVM's name of the scope of the host and all devices; likewise. What is left without a name
    /// is for the work-items on the device.
    pub(crate) system: &'static str,
    /// Which of [`SUMS`] are one instruction. The device library makes the others of
    /// compare-exchange.
    pub(crate) native: &'static [&'static str],
}

/// Sums of floats.
const SUMS: [&str; 2] = [intrinsic::ADD_F32, intrinsic::ADD_F64];

/// Discards the host's bodies, and has those inlined that are the device's as well.
pub(super) fn declare(module: &Module<'_>, native: &[&str]) {
    let promise = |name: &str, attributes: &[&str]| {
        if let Some(function) = ir::function(module, name) {
            function.drop_body();
            function.remove_attribute("noinline");
            for attribute in ["nounwind", "willreturn", "nofree"] {
                function.add_attribute(attribute);
            }
            for attribute in attributes {
                function.add_attribute(attribute);
            }
        }
    };
    // "memory" without a value is `memory(none)`.
    promise(intrinsic::SCOPED, &["nosync", "speculatable", "memory"]);
    promise(intrinsic::FENCE, &[]);
    promise(intrinsic::EXCHANGE_IF_U128, &[]);
    for name in SUMS {
        if native.contains(&name) {
            promise(name, &[]);
        } else if let Some(function) = ir::function(module, name) {
            function.remove_attribute("noinline");
            function.add_attribute("alwaysinline");
            function.set_linkage(LLVMLinkage::LLVMInternalLinkage);
        }
    }
}

/// Puts instructions in the place of intrinsics. Of an operation that is `lacking`, none.
pub(crate) fn bind(module: &Module<'_>, atomics: &Atomics, lacking: &[&str]) {
    for name in SUMS {
        for_each_call(module, name, |at, call| {
            at.atomic_add_float(call.operand(0), call.operand(1), ordering(call.operand(2)))
        });
    }
    if !lacking.contains(&intrinsic::EXCHANGE_IF_U128) {
        for_each_call(module, intrinsic::EXCHANGE_IF_U128, |at, call| {
            let success = ordering(call.operand(3));
            let orderings = (success, without_release(success));
            let [address, current, new] = [0, 1, 2].map(|index| call.operand(index));
            let both = at.atomic_exchange_if(address, current, new, orderings);
            both.set_alignment(16);
            at.extract(both, 0)
        });
    }
    let scopes = Scopes {
        module,
        group: scope_id(module, atomics.group),
        system: scope_id(module, atomics.system),
    };
    for_each_call(module, intrinsic::FENCE, |at, call| {
        let fence = at.atomic_fence(ordering(call.operand(0)));
        match scope(call.operand(1)) {
            Scope::Group => scopes.set(fence, scopes.group),
            Scope::Device => {}
            Scope::System => scopes.set(fence, scopes.system),
        }
        fence
    });
    scopes.settle();
}

/// Replaces all calls of a function by what `build` gives, and removes it.
fn for_each_call<'m>(
    module: &'m Module<'_>,
    name: &str,
    mut build: impl FnMut(&Builder<'m>, Value<'m>) -> Value<'m>,
) {
    let Some(function) = ir::function(module, name).filter(|function| function.is_declaration())
    else {
        return;
    };
    for call in function.value().users() {
        let result = build(&Builder::before(call), call);
        if !call.is_void() {
            call.replace_all_uses_with(result);
        }
        call.erase();
    }
    function.delete();
}

/// The ordering that an intrinsic was called with: the strongest one if that is no constant.
fn ordering(number: Value<'_>) -> LLVMAtomicOrdering {
    match number.constant_integer() {
        Some(0) => LLVMAtomicOrderingMonotonic,
        Some(1) => LLVMAtomicOrderingRelease,
        Some(2) => LLVMAtomicOrderingAcquire,
        Some(3) => LLVMAtomicOrderingAcquireRelease,
        _ => LLVMAtomicOrderingSequentiallyConsistent,
    }
}

/// The ordering of a load that is all there is of an exchange.
fn without_release(ordering: LLVMAtomicOrdering) -> LLVMAtomicOrdering {
    match ordering {
        LLVMAtomicOrderingRelease => LLVMAtomicOrderingMonotonic,
        LLVMAtomicOrderingAcquireRelease => LLVMAtomicOrderingAcquire,
        other => other,
    }
}

/// The scope that an intrinsic was called with: the widest one if that is no constant.
fn scope(number: Value<'_>) -> Scope {
    const GROUP: u64 = Scope::Group as u64;
    const DEVICE: u64 = Scope::Device as u64;
    match number.constant_integer() {
        Some(GROUP) => Scope::Group,
        Some(DEVICE) => Scope::Device,
        _ => Scope::System,
    }
}

fn scope_id(module: &Module<'_>, name: &str) -> u32 {
    llvm!(c::LLVMGetSyncScopeID(
        c::LLVMGetModuleContext(module.as_mut_ptr()),
        name.as_ptr().cast(),
        name.len()
    ))
}

/// LLVM's numbers of the scopes that have names.
struct Scopes<'a, 'm> {
    module: &'a Module<'m>,
    group: u32,
    system: u32,
}

impl Scopes<'_, '_> {
    fn set(&self, operation: Value<'_>, scope: u32) {
        llvm!(c::LLVMSetAtomicSyncScopeID(operation.raw(), scope));
    }

    /// Gives operations the scopes that were noted at their addresses.
    fn settle(&self) {
        let mut all_in_system = false;
        for_each_call(self.module, intrinsic::SCOPED, |_, call| {
            match scope(call.operand(1)) {
                Scope::Group => {
                    for operation in Reached::from(call, false).operations {
                        self.set(operation, self.group);
                    }
                }
                Scope::Device => {}
                Scope::System => {
                    let reached = Reached::from(call, true);
                    for operation in reached.operations {
                        self.set(operation, self.system);
                    }
                    all_in_system |= reached.escapes;
                }
            }
            call.operand(0)
        });
        if all_in_system {
            let functions = ir::functions(self.module).into_iter();
            for instruction in functions.flat_map(Function::instructions) {
                let atomic = llvm!(c::LLVMIsAtomic(instruction.raw())) != 0;
                if atomic && scope_of(instruction) == scope_id(self.module, "") {
                    self.set(instruction, self.system);
                }
            }
        }
    }
}

fn scope_of(operation: Value<'_>) -> u32 {
    llvm!(c::LLVMGetAtomicSyncScopeID(operation.raw()))
}

/// The atomic operations at an address.
#[derive(Default)]
struct Reached<'m> {
    operations: Vec<Value<'m>>,
    /// Whether the address goes where operations on it are not seen.
    escapes: bool,
}

impl<'m> Reached<'m> {
    /// Those at an address, and if `chosen`, also those at one of which it is chosen whether it is
    /// this one.
    fn from(address: Value<'m>, chosen: bool) -> Self {
        use LLVMOpcode::*;
        let mut reached = Reached::default();
        let mut seen = BTreeSet::from([address]);
        let mut ahead = vec![address];
        while let Some(address) = ahead.pop() {
            for user in address.users() {
                match user.opcode() {
                    Some(LLVMGetElementPtr | LLVMFreeze) if seen.insert(user) => ahead.push(user),
                    Some(LLVMPHI | LLVMSelect) if chosen && seen.insert(user) => ahead.push(user),
                    Some(LLVMGetElementPtr | LLVMFreeze | LLVMPHI | LLVMSelect | LLVMICmp) => {}
                    Some(LLVMLoad) => reached.add(user),
                    Some(LLVMStore) if user.operand(0) != address => reached.add(user),
                    Some(LLVMAtomicRMW) if user.operand(1) != address => reached.add(user),
                    Some(LLVMAtomicCmpXchg) if !is_operand(user, [1, 2], address) => {
                        reached.add(user);
                    }
                    _ => reached.escapes = true,
                }
            }
        }
        reached
    }

    fn add(&mut self, access: Value<'m>) {
        if llvm!(c::LLVMIsAtomic(access.raw())) != 0 {
            self.operations.push(access);
        }
    }
}

fn is_operand(user: Value<'_>, operands: [u32; 2], value: Value<'_>) -> bool {
    operands.iter().any(|index| user.operand(*index) == value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use inkwell::context::Context;
    use inkwell::memory_buffer::MemoryBuffer;

    const DECLARATIONS: &str = "
        declare ptr @legionella.scoped(ptr, i32)
        declare void @legionella.fence(i32, i32)
        declare float @legionella.atomic.add.f32(ptr, float, i32)
        declare i128 @legionella.atomic.exchange_if.u128(ptr, i128, i128, i32)
        declare void @elsewhere(ptr)";

    const DEVICE: Atomics = Atomics {
        group: "block",
        system: "all",
        native: &SUMS,
    };

    /// The body of a function after binding.
    fn bound(body: &str, lacking: &[&str]) -> String {
        crate::llvm::load(&crate::llvm::find(None).unwrap()).unwrap();
        let text = format!(
            "{DECLARATIONS}\ndefine void @entry(ptr %a, ptr %b, i1 %c, i32 %n) {{\n{body}\n  ret void\n}}\0"
        );
        let context = Context::create();
        let buffer = MemoryBuffer::create_from_memory_range_copy(text.as_bytes(), "kernel");
        let module = context.create_module_from_ir(buffer).unwrap();
        bind(&module, &DEVICE, lacking);
        module.verify().unwrap();
        module.print_to_string().to_string()
    }

    #[track_caller]
    fn has(text: &str, parts: &[&str]) {
        for part in parts {
            assert!(text.contains(part), "no {part} in {text}");
        }
        assert!(!text.contains("legionella.scoped"), "{text}");
    }

    #[test]
    fn operations_have_the_scope_that_their_address_was_noted_with() {
        let text = bound(
            "%g = call ptr @legionella.scoped(ptr %a, i32 0)
             %next = getelementptr i32, ptr %g, i64 3
             %1 = atomicrmw add ptr %g, i32 1 seq_cst
             %2 = cmpxchg ptr %next, i32 1, i32 2 acq_rel monotonic
             %s = call ptr @legionella.scoped(ptr %b, i32 2)
             %3 = load atomic i32, ptr %s acquire, align 4
             store atomic i32 %3, ptr %s release, align 4
             %d = call ptr @legionella.scoped(ptr %b, i32 1)
             %4 = atomicrmw sub ptr %d, i32 1 monotonic
             %5 = atomicrmw xor ptr %b, i32 1 monotonic",
            &[],
        );
        has(
            &text,
            &[
                "atomicrmw add ptr %a, i32 1 syncscope(\"block\") seq_cst",
                "cmpxchg ptr %next, i32 1, i32 2 syncscope(\"block\") acq_rel monotonic",
                "load atomic i32, ptr %b syncscope(\"all\") acquire",
                "ptr %b syncscope(\"all\") release",
                "atomicrmw sub ptr %b, i32 1 monotonic",
                "atomicrmw xor ptr %b, i32 1 monotonic",
            ],
        );
    }

    #[test]
    fn what_may_be_another_address_is_not_narrowed() {
        let text = bound(
            "%g = call ptr @legionella.scoped(ptr %a, i32 0)
             %either = select i1 %c, ptr %g, ptr %b
             %1 = atomicrmw add ptr %either, i32 1 seq_cst",
            &[],
        );
        has(&text, &["atomicrmw add ptr %either, i32 1 seq_cst"]);
    }

    #[test]
    fn an_address_that_gets_lost_takes_all_into_the_system() {
        let text = bound(
            "%s = call ptr @legionella.scoped(ptr %a, i32 2)
             %either = select i1 %c, ptr %s, ptr %b
             %1 = atomicrmw add ptr %either, i32 1 seq_cst
             %2 = atomicrmw sub ptr %b, i32 1 seq_cst",
            &[],
        );
        let add = "atomicrmw add ptr %either, i32 1 syncscope(\"all\") seq_cst";
        has(&text, &[add, "atomicrmw sub ptr %b, i32 1 seq_cst"]);
        let text = bound(
            "%s = call ptr @legionella.scoped(ptr %a, i32 2)
             call void @elsewhere(ptr %s)
             %g = call ptr @legionella.scoped(ptr %a, i32 0)
             %1 = atomicrmw add ptr %g, i32 1 seq_cst
             %2 = atomicrmw sub ptr %b, i32 1 seq_cst",
            &[],
        );
        has(
            &text,
            &[
                "atomicrmw add ptr %a, i32 1 syncscope(\"block\") seq_cst",
                "atomicrmw sub ptr %b, i32 1 syncscope(\"all\") seq_cst",
            ],
        );
    }

    #[test]
    fn fences_sums_and_wide_exchanges_become_instructions() {
        let body = "call void @legionella.fence(i32 2, i32 0)
             call void @legionella.fence(i32 3, i32 1)
             call void @legionella.fence(i32 %n, i32 2)
             %g = call ptr @legionella.scoped(ptr %a, i32 0)
             %1 = call float @legionella.atomic.add.f32(ptr %g, float 1.0, i32 0)
             %2 = call i128 @legionella.atomic.exchange_if.u128(ptr %b, i128 1, i128 2, i32 1)";
        let text = bound(body, &[]);
        has(
            &text,
            &[
                "fence syncscope(\"block\") acquire",
                "fence acq_rel",
                "fence syncscope(\"all\") seq_cst",
                "atomicrmw fadd ptr %a, float 1.000000e+00 syncscope(\"block\") monotonic",
                "cmpxchg ptr %b, i128 1, i128 2 release monotonic, align 16",
            ],
        );
        let text = bound(body, &[intrinsic::EXCHANGE_IF_U128]);
        assert!(text.contains("call i128 @legionella.atomic.exchange_if.u128"));
    }
}
