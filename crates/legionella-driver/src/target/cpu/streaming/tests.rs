//! Which kernels store past the caches, and that they write the same.

use crate::ir;
use crate::target::cpu::regions::Policy;
use crate::target::cpu::trial::{self, Program};
use inkwell::context::Context;
use inkwell::memory_buffer::MemoryBuffer;

/// A kernel over arrays `%out`, `%other` and `%in`, of item `%x` below `%items`.
fn kernel(body: &str) -> String {
    format!(
        "declare i64 @legionella.global_id(i32) nounwind willreturn nosync nofree speculatable memory(none)
        define void @kernel(ptr noundef readonly %block) nounwind {{
        entry:
            %out = load ptr, ptr %block
            %other.at = getelementptr i8, ptr %block, i64 8
            %other = load ptr, ptr %other.at
            %in.at = getelementptr i8, ptr %block, i64 16
            %in = load ptr, ptr %in.at
            %items.at = getelementptr i8, ptr %block, i64 24
            %items = load i64, ptr %items.at
            %x = call i64 @legionella.global_id(i32 0)
            %inside = icmp ult i64 %x, %items
            br i1 %inside, label %start, label %end
        start:
            {body}
            br label %end
        end:
            ret void
        }}"
    )
}

/// How many stores of a kernel's code go past the caches.
fn past(body: &str, cpu: &str) -> usize {
    let machine = trial::machine(cpu);
    let code = trial::compile(
        &kernel(body),
        &machine,
        true,
        Policy::Worthwhile,
        |module, _| module.print_to_string().to_string(),
    );
    let code = code.unwrap();
    code.lines()
        .filter(|line| line.contains("!nontemporal"))
        .count()
}

#[repr(C)]
struct Block(*mut u32, *mut u8, *const u32, u64);

/// Numbers that begin with a line, and more.
#[repr(align(64))]
struct Numbers([u32; 4096]);

/// What a kernel writes to both arrays, which begin `off` elements behind a line.
fn written(program: &Program, off: usize) -> (Vec<u32>, Vec<u8>) {
    let mut out = Box::new(Numbers([7; 4096]));
    let mut other = Box::new(Numbers([7; 4096]));
    let input = Box::new(Numbers(std::array::from_fn(|i| (i * i) as u32)));
    let bytes = other.0.as_mut_ptr().cast::<u8>();
    let block = Block(
        out.0[off..].as_mut_ptr(),
        bytes.wrapping_add(off),
        input.0.as_ptr(),
        2999,
    );
    // SAFETY: the block is what the kernel reads, and 3,000 elements fit behind each address.
    let outcome = unsafe { program.launch((&raw const block).cast(), [3000, 1, 1], [1024, 1, 1]) };
    assert_eq!(outcome, Ok(()));
    // SAFETY: bytes of the array, which is all written.
    let bytes = unsafe { std::slice::from_raw_parts(bytes, 4096) }.to_vec();
    (out.0.to_vec(), bytes)
}

const BOTH: &str = "
    %from = getelementptr i32, ptr %in, i64 %x
    %number = load i32, ptr %from
    %more = add i32 %number, 3
    %to = getelementptr i32, ptr %out, i64 %x
    store i32 %more, ptr %to
    %byte = trunc i32 %more to i8
    %byte.to = getelementptr i8, ptr %other, i64 %x
    store i8 %byte, ptr %byte.to";

#[cfg(target_arch = "x86_64")]
#[test]
fn what_is_written_alone_goes_past_the_caches() {
    let alone = "
        %from = getelementptr i32, ptr %in, i64 %x
        %number = load i32, ptr %from
        %more = add i32 %number, 3
        %to = getelementptr i32, ptr %out, i64 %x
        store i32 %more, ptr %to";
    for cpu in ["x86-64-v3", "x86-64-v4"] {
        assert!(past(alone, cpu) > 0, "{cpu}");
    }
}

/// What is read has to come into the caches anyway, and what is written here and there doesn't fill lines.
#[test]
fn what_is_read_too_or_has_gaps_does_not() {
    let read = "
        %at = getelementptr i32, ptr %out, i64 %x
        %number = load i32, ptr %at
        %more = add i32 %number, 3
        store i32 %more, ptr %at";
    let gaps = "
        %twice = mul i64 %x, 2
        %at = getelementptr i32, ptr %out, i64 %twice
        store i32 5, ptr %at";
    for body in [read, gaps] {
        assert_eq!(past(body, "native"), 0, "{body}");
    }
}

/// Others may wait for what is stored before an atomic operation.
#[test]
fn what_orders_accesses_does_not() {
    trial::llvm();
    let operations = [
        ("call void @llvm.assume(i1 true)", true),
        ("call void @panic()", true),
        ("call void @other()", false),
        ("fence release", false),
        ("store atomic i32 1, ptr %to release, align 4", false),
        ("%old = atomicrmw add ptr %to, i32 1 monotonic", false),
    ];
    for (operation, open) in operations {
        let text = format!(
            "declare void @llvm.assume(i1)
            declare void @panic() noreturn
            declare void @other()
            define void @run(ptr %to) {{
                store i32 7, ptr %to
                {operation}
                ret void
            }}"
        );
        let context = Context::create();
        let buffer = MemoryBuffer::create_from_memory_range_copy(text.as_bytes(), "run");
        let module = context.create_module_from_ir(buffer).unwrap();
        let run = ir::function(&module, "run").unwrap();
        assert_eq!(super::leaves_order_open(run), open, "{operation}");
    }
}

#[test]
fn what_is_written_is_the_same() {
    let mut program = Program::compile(&kernel(BOTH), "native", true, Policy::Worthwhile);
    for off in [0, 1, 16, 64] {
        program.kept = u64::MAX;
        let expected = written(&program, off);
        let numbers = expected.0[off..].iter().zip(0u32..2999);
        assert!(numbers.into_iter().all(|(number, i)| *number == i * i + 3));
        for kept in [0, 1, 4] {
            program.kept = kept;
            assert!(written(&program, off) == expected, "{kept} {off}");
        }
    }
}
