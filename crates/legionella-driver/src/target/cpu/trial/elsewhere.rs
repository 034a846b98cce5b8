//! Code for processors that this machine may not be, which is looked at and doesn't run.

use inkwell::OptimizationLevel;
use inkwell::targets::{
    CodeModel, FileType, InitializationConfig, RelocMode, Target, TargetMachine, TargetTriple,
};

use super::{compile, llvm};
use crate::target::cpu::regions::Policy;

/// The baseline of AArch64, whose vectors are NEON's.
fn neon() -> TargetMachine {
    llvm();
    Target::initialize_aarch64(&InitializationConfig::default());
    let triple = TargetTriple::create("aarch64-unknown-linux-gnu");
    Target::from_triple(&triple)
        .unwrap()
        .create_target_machine(
            &triple,
            "generic",
            "",
            OptimizationLevel::Aggressive,
            RelocMode::PIC,
            CodeModel::Small,
        )
        .unwrap()
}

/// The assembly of a kernel, and what is said of how it runs. The kernel's text begins with its item's
/// `%x`, and with `%a` and `%b`, the addresses of the item's number in two arrays.
fn assembly(body: &str, machine: &TargetMachine) -> (String, String) {
    let text = format!(
        "declare i64 @legionella.global_id(i32) nounwind willreturn nosync nofree speculatable memory(none)
        define void @kernel(ptr noundef readonly %block) nounwind {{
        entry:
            %a.array = load ptr, ptr %block
            %b.at = getelementptr i8, ptr %block, i64 8
            %b.array = load ptr, ptr %b.at
            %x = call i64 @legionella.global_id(i32 0)
            %a = getelementptr float, ptr %a.array, i64 %x
            %b = getelementptr float, ptr %b.array, i64 %x
            {body}
        }}"
    );
    let compiled = compile(&text, machine, false, Policy::Worthwhile, |module, way| {
        let code = machine.write_to_memory_buffer(module, FileType::Assembly);
        let code = code.unwrap().as_slice().to_vec();
        (String::from_utf8(code).unwrap(), way)
    });
    compiled.unwrap()
}

/// Whether a line has an operation on vectors of four 32-bit numbers, which is what NEON's hold.
fn on_vectors(assembly: &str, operation: &str) -> bool {
    assembly.lines().any(|line| {
        let mut words = line.split_whitespace();
        words.next() == Some(operation) && words.all(|word| word.contains(".4s"))
    })
}

#[test]
fn items_are_lanes_of_neon() {
    let (assembly, way) = assembly(
        "   %old = load float, ptr %a
            %more = load float, ptr %b
            %twice = fmul float %more, 2.0
            %new = fadd float %old, %twice
            store float %new, ptr %a
            ret void",
        &neon(),
    );
    assert!(way.starts_with("item by item: it has no loop"), "{way}");
    assert!(on_vectors(&assembly, "fadd"), "{assembly}");
}

#[test]
fn regions_are_lanes_of_neon() {
    let (assembly, way) = assembly(
        "   %own = load float, ptr %b
            br label %loop
        loop:
            %sum = phi float [ 1.0, %entry ], [ %next, %loop ]
            %square = fmul float %sum, %sum
            %next = fadd float %square, %own
            %more = fcmp olt float %next, 100.0
            br i1 %more, label %loop, label %done
        done:
            store float %next, ptr %a
            ret void",
        &neon(),
    );
    assert!(
        way.contains(" regions, ") && way.contains("8 lanes"),
        "{way}"
    );
    assert!(on_vectors(&assembly, "fmul"), "{assembly}");
    assert!(on_vectors(&assembly, "fadd"), "{assembly}");
}
