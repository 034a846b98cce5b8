//! Code for AMD's devices: the contract is kept, and so is what kernels mean.
//!
//! Each test compiles a kernel of `nvptx/kernel.ll` and looks at its assembly.

use inkwell::context::Context;
use inkwell::memory_buffer::MemoryBuffer;
use legionella_abi::protocol::{Options, TargetSpec};
use legionella_abi::{amdgpu, gpu};
use legionella_driver::generate::generate;
use legionella_driver::inspect::{Stage, show};
use legionella_driver::llvm;
use legionella_driver::target::Toolbox;
use object::{Object as _, ObjectSymbol as _};

/// What is compiled: also a kernel whose items come to a barrier by two ways, one that multiplies matrices where
/// some of its items may not come to, one whose items leave a loop in different turns, and one that spins.
const KERNELS: &str = concat!(
    include_str!("nvptx/kernel.ll"),
    "
    define void @two_ways(ptr noundef nonnull readonly align 8 dereferenceable(8) %block) {
    start:
      %p = load ptr, ptr %block, align 8
      %i = call i64 @legionella.global_id(i32 0)
      %slot = getelementptr i32, ptr %p, i64 %i
      %v = load i32, ptr %slot, align 4
      %odd = icmp sgt i32 %v, 7
      br i1 %odd, label %one, label %other
    one:
      call void @legionella.barrier(i32 4, ptr @here)
      store i32 1, ptr %slot, align 4
      br label %end
    other:
      call void @legionella.barrier(i32 4, ptr @there)
      store i32 2, ptr %slot, align 4
      br label %end
    end:
      ret void
    }
    define void @arrays(ptr noundef nonnull readonly align 8 dereferenceable(8) %block) {
    start:
      %kept = alloca [64 x i32], align 4
      %p = load ptr, ptr %block, align 8
      %i = call i64 @legionella.global_id(i32 0)
      %slot = getelementptr i32, ptr %p, i64 %i
      %v = load i32, ptr %slot, align 4
      %low = and i32 %v, 63
      %place = getelementptr i32, ptr %kept, i32 %low
      store i32 %v, ptr %place, align 4
      %odd = icmp sgt i32 %v, 7
      br i1 %odd, label %one, label %other
    one:
      call void @legionella.barrier(i32 4, ptr @here)
      br label %end
    other:
      call void @legionella.barrier(i32 4, ptr @there)
      br label %end
    end:
      %next = load i32, ptr %slot, align 4
      %again = and i32 %next, 63
      %there = getelementptr i32, ptr %kept, i32 %again
      %found = load i32, ptr %there, align 4
      store i32 %found, ptr %slot, align 4
      ret void
    }
    define void @product(ptr noundef nonnull readonly align 8 dereferenceable(8) %block) {
    start:
      %left = alloca [4 x i32], align 4
      %right = alloca [4 x i32], align 4
      %sum = alloca [8 x float], align 4
      %p = load ptr, ptr %block, align 8
      %i = call i64 @legionella.global_id(i32 0)
      %slot = getelementptr [8 x float], ptr %p, i64 %i
      %v = load [4 x i32], ptr %slot, align 4
      store [4 x i32] %v, ptr %left, align 4
      %other = getelementptr i8, ptr %slot, i64 16
      %w = load [4 x i32], ptr %other, align 4
      store [4 x i32] %w, ptr %right, align 4
      store [8 x float] zeroinitializer, ptr %sum, align 4
      %few = icmp slt i64 %i, 1000
      br i1 %few, label %multiply, label %end
    multiply:
      call void @legionella.matrix.bf16(ptr %left, ptr %right, ptr %sum, ptr @here)
      %done = load [8 x float], ptr %sum, align 4
      store [8 x float] %done, ptr %slot, align 4
      br label %end
    end:
      ret void
    }
    define i1 @goes_on(ptr %told, i64 %value) noinline {
      store volatile i64 %value, ptr %told, align 8
      %on = load volatile i1, ptr %told, align 1
      ret i1 %on
    }
    define void @leaves(ptr noundef nonnull readonly align 8 dereferenceable(8) %block) {
    start:
      %p = load ptr, ptr %block, align 8
      %i = call i64 @legionella.global_id(i32 0)
      %slot = getelementptr i32, ptr %p, i64 %i
      %x = load i32, ptr %slot, align 4
      br label %loop
    loop:
      %turn = phi i32 [ 0, %start ], [ %next, %loop ]
      store volatile i32 %turn, ptr %slot, align 4
      %next = add i32 %turn, 3
      %done = icmp ugt i32 %turn, %x
      br i1 %done, label %exit, label %loop
    exit:
      %wide = zext i32 %turn to i64
      %few = icmp slt i32 %x, 7
      br i1 %few, label %one, label %others
    one:
      %again = call i1 @goes_on(ptr %slot, i64 %wide)
      br i1 %again, label %one, label %end
    others:
      %more = add i64 %wide, 17
      br label %other
    other:
      %here = call i1 @goes_on(ptr %slot, i64 %wide)
      %there = call i1 @goes_on(ptr %slot, i64 %more)
      br i1 %here, label %other, label %end
    end:
      ret void
    }
    declare void @llvm.x86.sse2.pause()
    define void @spins(ptr noundef nonnull readonly align 8 dereferenceable(8) %block) {
    start:
      %p = load ptr, ptr %block, align 8
      br label %look
    look:
      %seen = load atomic i32, ptr %p acquire, align 4
      %there = icmp ne i32 %seen, 0
      br i1 %there, label %end, label %spin
    spin:
      call void @llvm.x86.sse2.pause()
      br label %look
    end:
      ret void
    }"
);

fn bitcode(text: &str) -> Vec<u8> {
    llvm::load(&llvm::find(None).unwrap()).unwrap();
    let context = Context::create();
    let text = MemoryBuffer::create_from_memory_range_copy(text.as_bytes(), "kernel");
    let module = context.create_module_from_ir(text).unwrap();
    module.write_bitcode_to_memory().as_slice().to_vec()
}

fn spec(cpu: &str) -> TargetSpec {
    TargetSpec {
        kind: "amdgpu".to_owned(),
        cpu: cpu.to_owned(),
    }
}

/// The assembly of a kernel, panics and all.
fn assembly(entry: &str, cpu: &str) -> String {
    let bitcode = bitcode(KERNELS);
    let toolbox = Toolbox {
        sysroot: llvm::sysroot_of("rustc".as_ref()),
        ..Toolbox::default()
    };
    let seen = show(&bitcode, entry, &spec(cpu), Stage::Assembly, &toolbox);
    seen.outcome.unwrap();
    seen.text.unwrap()
}

/// The instructions of a function.
fn body(text: &str, function: &str) -> Vec<String> {
    let (_, body) = text.split_once(&format!("\n{function}:\n")).unwrap();
    let (body, _) = body.split_once("\n.Lfunc_end").unwrap();
    body.lines()
        .map(|line| line.split(';').next().unwrap_or_default().trim().to_owned())
        .collect()
}

fn count(lines: &[String], what: &str) -> usize {
    lines.iter().filter(|line| line.starts_with(what)).count()
}

/// A number that a kernel's descriptor has.
fn directive(text: &str, function: &str, name: &str) -> u64 {
    let (_, kernel) = text
        .split_once(&format!(".amdhsa_kernel {function}\n"))
        .unwrap();
    let (_, value) = kernel.split_once(&format!(".amdhsa_{name} ")).unwrap();
    value.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn code_is_two_code_objects_that_need_nothing() {
    let bitcode = bitcode(KERNELS);
    let toolbox = Toolbox {
        sysroot: llvm::sysroot_of("rustc".as_ref()),
        ..Toolbox::default()
    };
    let spec = spec("gfx90a");
    let code = generate(&bitcode, "bounds", &spec, &Options::default(), &toolbox).unwrap();
    assert_eq!(code.requires, ["gfx90a"]);
    let (work, panic) = amdgpu::Header::split(&code.bytes).unwrap();
    let symbols = |object: &[u8]| -> Vec<String> {
        let file = object::File::parse(object).unwrap();
        let symbols = file.dynamic_symbols();
        assert!(file.dynamic_symbols().all(|symbol| symbol.is_definition()));
        symbols
            .map(|symbol| symbol.name().unwrap().to_owned())
            .collect()
    };
    let (work, panic) = (symbols(work), symbols(panic));
    for name in [gpu::KERNEL, gpu::LINE, gpu::PLANE, gpu::WIDE] {
        let descriptor = format!("{name}.kd");
        assert!(work.contains(&descriptor), "{descriptor} in {work:?}");
        assert!(!panic.contains(&descriptor));
    }
    assert!(work.iter().any(|name| name == gpu::NEEDS));
    assert!(panic.contains(&format!("{}.kd", gpu::PANIC)), "{panic:?}");
}

#[test]
fn kernels_have_explicit_arguments_alone() {
    let text = assembly("bounds", "gfx1100");
    let places = amdgpu::Arguments::new(size_of::<amdgpu::Launch>(), 8);
    let size = directive(&text, gpu::KERNEL, "kernarg_size");
    assert_eq!(size, places.block as u64 + 32);
    let panicked = amdgpu::Arguments::new(size_of::<gpu::Panicked>(), 8);
    let size = directive(&text, gpu::PANIC, "kernarg_size");
    assert_eq!(size, panicked.block as u64 + 32);
    for pointer in ["dispatch_ptr", "queue_ptr", "dispatch_id"] {
        for kernel in [gpu::KERNEL, gpu::PANIC] {
            let asked = directive(&text, kernel, &format!("user_sgpr_{pointer}"));
            assert_eq!(asked, 0, "{pointer} of {kernel}");
        }
    }
}

#[test]
fn panics_are_out_of_the_kernels_way() {
    let text = assembly("bounds", "gfx942");
    for kernel in [gpu::KERNEL, gpu::LINE, gpu::PLANE, gpu::WIDE] {
        let lines = body(&text, kernel);
        assert_eq!(count(&lines, "s_swappc"), 0, "{lines:#?}");
        assert_eq!(directive(&text, kernel, "private_segment_fixed_size"), 0);
    }
}

#[test]
fn an_abort_is_a_panic() {
    let text = assembly("abort", "gfx1100");
    assert!(!text.contains("s_trap"), "{text}");
}

#[test]
fn sums_and_products_are_not_fused_and_memory_is_global() {
    for cpu in ["gfx90a", "gfx1100"] {
        let text = assembly("bounds", cpu);
        let lines = body(&text, gpu::LINE);
        for fused in ["v_fma", "v_mac", "v_pk_fma"] {
            assert_eq!(count(&lines, fused), 0, "{lines:#?}");
        }
        assert_eq!(count(&lines, "v_mul_f32"), 1, "{lines:#?}");
        assert_eq!(count(&lines, "v_add_f32"), 1, "{lines:#?}");
        assert_eq!(count(&lines, "flat_"), 0, "{lines:#?}");
        assert_eq!(count(&lines, "global_load_"), 2, "{lines:#?}");
        // Subnormal numbers are what they are.
        assert_eq!(directive(&text, gpu::LINE, "float_denorm_mode_32"), 3);
    }
}

#[test]
fn signs_are_changed_without_arithmetic() {
    for cpu in ["gfx90a", "gfx942"] {
        let lines = body(&assembly("signs", cpu), gpu::LINE);
        assert_eq!(count(&lines, "v_pk_add_f32"), 0, "{lines:#?}");
        assert_eq!(count(&lines, "v_xor_b32"), 2, "{lines:#?}");
        // A product takes the sign of what it multiplies.
        assert_eq!(count(&lines, "v_mul_f32_e64"), 1, "{lines:#?}");
    }
}

#[test]
fn lanes_that_run_several_items_access_memory_at_once() {
    let lines = body(&assembly("bounds", "gfx1100"), gpu::WIDE);
    assert_eq!(count(&lines, "global_load_b128"), 2, "{lines:#?}");
    // One of them of what a panic leaves, in memory that is known to be the device's.
    assert_eq!(count(&lines, "global_store_b128"), 2, "{lines:#?}");
    assert_eq!(count(&lines, "flat_"), 0, "{lines:#?}");
}

#[test]
fn what_items_of_a_lane_read_is_read_before_any_of_them_writes() {
    let text = assembly("raw", "gfx1100");
    let lines = body(&text, gpu::WIDE);
    assert_eq!(count(&lines, "global_load_b128"), 2, "{text}");
    assert_eq!(count(&lines, "global_store_b128"), 1, "{text}");
    assert!(!text.contains("scratch_"), "{text}");
    // Of elements of 8 bytes, two items.
    let text = assembly("doubles", "gfx1100");
    let lines = body(&text, gpu::WIDE);
    assert_eq!(count(&lines, "global_load_b128"), 1, "{text}");
    assert_eq!(count(&lines, "global_store_b128"), 1, "{text}");
    // Of the shorter ones; where memory isn't aligned, an item's number as well.
    assert_eq!(count(&lines, "global_load_b64"), 2, "{text}");
}

#[test]
fn small_groups_have_more_registers() {
    let text = assembly("bounds", "gfx90a");
    let largest = |kernel: &str| {
        let (_, kernel) = text
            .split_once(&format!(".name:           {kernel}\n"))
            .unwrap();
        let (before, _) = text.split_at(text.len() - kernel.len());
        let (_, size) = before.rsplit_once(".max_flat_workgroup_size: ").unwrap();
        size.split_whitespace()
            .next()
            .unwrap()
            .parse::<u64>()
            .unwrap()
    };
    assert_eq!(largest(gpu::KERNEL), 1024);
    assert_eq!(largest(gpu::LINE), amdgpu::USUAL_GROUP);
}

#[test]
fn atomics_have_the_scope_that_was_asked_for() {
    let lines = body(&assembly("scopes", "gfx942"), gpu::LINE);
    // Of the group: an operation whose result is used by nobody needs no more than to be waited for.
    // Two of the system: memory is written back before, and forgotten behind.
    let system = |line: &&String| line.contains("sc0 sc1");
    let written = lines.iter().filter(|line| line.starts_with("buffer_wbl2"));
    let forgotten = lines.iter().filter(|line| line.starts_with("buffer_inv"));
    assert_eq!(written.filter(system).count(), 2, "{lines:#?}");
    assert_eq!(forgotten.filter(system).count(), 2, "{lines:#?}");
    let lines = body(&assembly("atomics", "gfx942"), gpu::LINE);
    assert!(count(&lines, "buffer_wbl2") > 0, "{lines:#?}");
    // What is for the device doesn't leave it.
    assert!(
        !lines.iter().any(|line| line.contains("sc0 sc1")),
        "{lines:#?}"
    );
}

#[test]
fn barriers_that_all_come_to_are_nothing_but_that() {
    let lines = body(&assembly("together", "gfx942"), gpu::LINE);
    assert_eq!(count(&lines, "s_barrier"), 2, "{lines:#?}");
    assert_eq!(count(&lines, "s_cbranch_vcc"), 0, "{lines:#?}");
    // A shuffle by way of a permutation, and the vote of a whole wavefront.
    let lines = body(&assembly("lanes", "gfx942"), gpu::LINE);
    assert!(count(&lines, "ds_bpermute_b32") > 0, "{lines:#?}");
}

#[test]
fn barriers_on_two_ways_are_at_one_place() {
    let text = assembly("two_ways", "gfx1100");
    let lines = body(&text, gpu::KERNEL);
    // One to begin with, and two that belong to the one place where items meet.
    assert_eq!(count(&lines, "s_barrier"), 3, "{lines:#?}");
}

#[test]
fn variables_of_items_that_meet_are_there_once() {
    let text = assembly("arrays", "gfx1100");
    assert_eq!(directive(&text, gpu::LINE, "uses_dynamic_stack"), 0);
}

/// Otherwise all of them may have the last lane's: what a loop has in scalar registers goes through vector registers
/// where it is left, by empty instructions.
#[test]
fn lanes_that_leave_a_loop_take_along_what_it_had_in_their_turn() {
    let text = assembly("leaves", "gfx1100");
    let (_, kernel) = text.split_once(&format!("\n{}:\n", gpu::KERNEL)).unwrap();
    let (kernel, _) = kernel.split_once("\n.Lfunc_end").unwrap();
    assert!(kernel.contains("#ASMSTART"), "{kernel}");
}

#[test]
fn loops_that_spin_pause() {
    let text = assembly("spins", "gfx942");
    assert!(text.contains("s_sleep"), "{text}");
    assert!(text.contains("legionella.pause"), "{text}");
}

#[test]
fn matrices_are_multiplied_by_the_machines_units() {
    for (cpu, unit) in [
        ("gfx90a", "v_mfma_f32_16x16x16bf16_1k"),
        ("gfx942", "v_mfma_f32_16x16x16_bf16"),
        ("gfx1100", "v_wmma_f32_16x16x16_bf16"),
        ("gfx1201", "v_wmma_f32_16x16x16_bf16"),
        ("gfx12-generic", "v_wmma_f32_16x16x16_bf16"),
    ] {
        let text = assembly("product", cpu);
        let lines = body(&text, gpu::KERNEL);
        assert_eq!(count(&lines, unit), 1, "{cpu}: {text}");
    }
    // RDNA 3 has whole rows in each lane: four words of each factor come from the other half.
    let lines = body(&assembly("product", "gfx1100"), gpu::KERNEL);
    assert_eq!(count(&lines, "v_permlanex16_b32"), 8, "{lines:#?}");
}

#[test]
fn recursion_asks_for_a_deep_stack() {
    let text = assembly("recursion", "gfx1030");
    assert_eq!(directive(&text, gpu::KERNEL, "uses_dynamic_stack"), 1);
}

#[test]
fn generic_processors_have_code_of_their_own() {
    for cpu in [
        "gfx9-generic",
        "gfx9-4-generic",
        "gfx10-1-generic",
        "gfx10-3-generic",
        "gfx11-generic",
        "gfx12-generic",
    ] {
        let text = assembly("together", cpu);
        assert!(text.contains(&format!("--{cpu}")), "{text}");
        assert!(text.contains(".amdhsa_code_object_version 6"), "{cpu}");
    }
}

#[test]
fn unknown_processors_are_refused_by_name() {
    let bitcode = bitcode(KERNELS);
    let spec = spec("gfx803");
    let error = generate(
        &bitcode,
        "bounds",
        &spec,
        &Options::default(),
        &Toolbox::default(),
    );
    let text = error.unwrap_err().to_string();
    assert!(text.contains("gfx803"), "{text}");
}
