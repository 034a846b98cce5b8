//! PTX: what LLVM 22 gets wrong on NVIDIA's devices is mended, and the contract is kept.
//!
//! Each test compiles a kernel of `nvptx/kernel.ll` and looks at the text.

use inkwell::context::Context;
use inkwell::memory_buffer::MemoryBuffer;
use legionella_abi::nvptx;
use legionella_abi::protocol::{Options, TargetSpec};
use legionella_driver::generate::generate;
use legionella_driver::llvm;
use legionella_driver::target::Toolbox;

/// The texts of a kernel's code: what is launched, and what panics.
fn texts(entry: &str, cpu: &str) -> Vec<String> {
    compile(include_str!("nvptx/kernel.ll"), entry, cpu)
}

fn compile(text: &str, entry: &str, cpu: &str) -> Vec<String> {
    llvm::load(&llvm::find(None).unwrap()).unwrap();
    let context = Context::create();
    let text = MemoryBuffer::create_from_memory_range_copy(text.as_bytes(), "kernel");
    let module = context.create_module_from_ir(text).unwrap();
    let bitcode = module.write_bitcode_to_memory();
    let spec = TargetSpec {
        kind: "nvptx".to_owned(),
        cpu: cpu.to_owned(),
    };
    let (options, toolbox) = (Options::default(), Toolbox::default());
    let code = generate(bitcode.as_slice(), entry, &spec, &options, &toolbox).unwrap();
    let text = String::from_utf8(code.bytes).unwrap();
    text.split('\0').map(str::to_owned).collect()
}

fn text(entry: &str) -> String {
    texts(entry, "sm_90").swap_remove(0)
}

/// The instructions of a function.
fn body(text: &str, function: &str) -> Vec<String> {
    let names = |line: &str| line.split([' ', '(']).any(|word| word == function);
    let mut lines = text.lines();
    loop {
        let head = lines.find(|line| names(line) && line.starts_with('.'));
        assert!(head.is_some(), "no {function} in\n{text}");
        // A declaration ends in a semicolon, a definition starts with a brace.
        if lines.find(|line| line.ends_with(';') || *line == "{") == Some("{") {
            break;
        }
    }
    let instructions = lines.take_while(|line| *line != "}");
    instructions.map(|line| line.trim().to_owned()).collect()
}

fn count(lines: &[String], what: &str) -> usize {
    lines.iter().filter(|line| line.starts_with(what)).count()
}

#[test]
fn atomics_keep_their_ordering_and_have_the_scope_of_the_device() {
    let lines = body(&text("atomics"), nvptx::KERNEL);
    let order: Vec<&str> = lines
        .iter()
        .filter_map(|line| {
            let line = line.as_str();
            let fence = line
                .starts_with("fence.")
                .then(|| line.trim_end_matches(';'));
            let operation = line.starts_with("atom").then_some("atom");
            fence
                .or(operation)
                .or(line.starts_with("st.release").then_some("st.release"))
        })
        .collect();
    assert_eq!(
        order,
        [
            "atom",
            "atom",
            "fence.acq_rel.gpu",
            "fence.acq_rel.gpu",
            "atom",
            "fence.acq_rel.gpu",
            "atom",
            "fence.acq_rel.gpu",
            "fence.sc.gpu",
            "atom",
            "fence.acq_rel.gpu",
            "st.release",
        ]
    );
    assert!(
        !lines.iter().any(|line| line.contains(".sys")),
        "{lines:#?}"
    );
}

#[test]
fn atomics_have_the_scope_that_was_asked_for() {
    let text = text("scopes");
    let lines = body(&text, nvptx::LINE);
    assert_eq!(count(&lines, "fence.acq_rel.cta"), 1, "{lines:#?}");
    // Those for the whole system, where the host's memory has such.
    assert_eq!(
        count(&lines, "atom.acq_rel.sys.global.cas"),
        2,
        "{lines:#?}"
    );
    assert_eq!(count(&lines, "ld.relaxed.sys.global"), 1, "{lines:#?}");
    // And elsewhere.
    let variable = format!(".const .align 8 .u64 {}", nvptx::HOST_ATOMICS);
    assert!(text.contains(&variable), "{text}");
    assert_eq!(count(&lines, "ld.const"), 1, "{lines:#?}");
    assert_eq!(count(&lines, "atom.global.max.u32"), 1, "{lines:#?}");
    assert_eq!(
        count(&lines, "atom.relaxed.gpu.global.cas"),
        1,
        "{lines:#?}"
    );
    assert_eq!(count(&lines, "fence.acq_rel.sys"), 4, "{lines:#?}");
    assert!(!self::text("atomics").contains(nvptx::HOST_ATOMICS));
}

#[test]
fn operations_that_the_code_generator_has_not_are_those_of_the_device_library() {
    let text = text("maths");
    for wrong in ["ex2.approx", "div.rn.f64", "cvt.rzi", "cvt.rn.f64"] {
        assert!(!text.contains(wrong), "{wrong} in\n{text}");
    }
    // What the test's own functions of these names do instead.
    let lines = body(&text, nvptx::LINE);
    assert_eq!(count(&lines, "add.rn.f64"), 1, "{lines:#?}");
    assert_eq!(count(&lines, "add.rn.f32"), 1, "{lines:#?}");
}

#[test]
fn copies_are_wide() {
    let text = text("memory");
    for function in ["copy", "move", "fill", "compare"] {
        let lines = body(&text, &format!("legionella_$_{function}"));
        let wide = count(&lines, "ld.v4") + count(&lines, "st.v4") + count(&lines, "ld.b32");
        assert!(wide > 0, "{lines:#?}");
        let called = format!("call.uni legionella_$_{function}");
        assert!(
            text.replace("(retval0), ", "").contains(&called),
            "{called} in\n{text}"
        );
    }
    assert!(!text.contains("bcmp"), "{text}");
}

#[test]
fn sums_and_products_are_not_fused_and_inputs_are_read_only() {
    let lines = body(&text("bounds"), nvptx::LINE);
    assert_eq!(count(&lines, "fma"), 0, "{lines:#?}");
    assert_eq!(count(&lines, "mul.rn.f32"), 1);
    assert_eq!(count(&lines, "add.rn.f32"), 1);
    assert_eq!(count(&lines, "ld.global.nc.b32"), 1);
    assert_eq!(count(&lines, "ld.global.b32"), 1);
    assert_eq!(count(&lines, "st.global.b32"), 1);
}

#[test]
fn signs_are_changed_without_arithmetic() {
    let lines = body(&text("signs"), nvptx::LINE);
    assert_eq!(count(&lines, "xor.b32"), 2, "{lines:#?}");
    assert_eq!(count(&lines, "abs"), 0, "{lines:#?}");
    // A product takes the sign of what it multiplies.
    assert_eq!(count(&lines, "neg.f32"), 1, "{lines:#?}");
}

#[test]
fn threads_that_run_several_items_access_memory_at_once() {
    let text = text("bounds");
    let lines = body(&text, nvptx::WIDE);
    for access in [
        "ld.global.nc.v4.b32",
        "ld.global.v4.b32",
        "st.global.v4.b32",
    ] {
        assert_eq!(count(&lines, access), 1, "{access} in {text}");
    }
    for kernel in ["atomics", "recursion", "together"] {
        assert_eq!(needs(&self::text(kernel)).wide, 0, "{kernel}");
    }
}

#[test]
fn threads_run_as_many_items_as_one_access_takes() {
    let text = text("doubles");
    assert_eq!(needs(&text).wide, 2);
    let lines = body(&text, nvptx::WIDE);
    for access in [
        "ld.global.nc.v2.b32",
        "ld.global.nc.v2.b64",
        "st.global.v2.b64",
    ] {
        assert_eq!(count(&lines, access), 1, "{access} in {text}");
    }
}

#[test]
fn what_items_of_a_thread_read_is_read_before_any_of_them_writes() {
    let text = text("raw");
    let lines = body(&text, nvptx::WIDE);
    assert_eq!(count(&lines, "ld.global.v4.b32"), 2, "{text}");
    assert_eq!(count(&lines, "st.global.v4.b32"), 1, "{text}");
    assert!(!text.contains("__local_depot"), "{text}");
}

#[test]
fn quotients_and_roots_in_a_row_are_computed_without_a_branch() {
    let text = text("quotients");
    let lines = body(&text, nvptx::KERNEL);
    let numbers = |what: &str| count(&lines, what);
    // Of a constant, the reciprocal is known.
    assert_eq!(numbers("rcp.approx.ftz.f32"), 2, "{text}");
    assert_eq!(numbers("rsqrt.approx.ftz.f32"), 1, "{text}");
    // If one is rare, all are computed again, but for the root of what was read behind them.
    assert_eq!(numbers("div.rn.f32"), 2, "{text}");
    assert_eq!(numbers("rcp.rn.f32"), 1, "{text}");
    assert_eq!(numbers("sqrt.rn.f32"), 2, "{text}");
    // Besides, items that are outside of the grid leave.
    assert_eq!(numbers("@"), 2, "{text}");
}

#[test]
fn results_of_quotients_are_written_once_both_are_known() {
    let text = text("results");
    let lines = body(&text, nvptx::KERNEL);
    assert_eq!(count(&lines, "rcp.approx.ftz.f32"), 2, "{text}");
    assert_eq!(count(&lines, "div.rn.f32"), 2, "{text}");
    assert_eq!(count(&lines, "st.global.b32"), 3, "{text}");
    let first = |what: &str| lines.iter().position(|line| line.starts_with(what));
    let last = |what: &str| lines.iter().rposition(|line| line.starts_with(what));
    // Who leaves does so for the check, behind all of it but the writes.
    assert!(last("rcp.approx.ftz.f32") < last("@"), "{text}");
    assert!(last("@") < first("st.global.b32"), "{text}");
}

#[test]
fn threads_that_run_several_items_of_a_row_share_what_those_read() {
    let lines = body(&text("still"), nvptx::WIDE_PLANE);
    // Of three rows, and what is written; of each item one by one besides.
    assert_eq!(count(&lines, "ld.global.nc.v4.b32"), 3, "{lines:#?}");
    assert_eq!(count(&lines, "st.global.v4.b32"), 1, "{lines:#?}");
    assert_eq!(count(&lines, "ld.global.nc.b32"), 3, "{lines:#?}");
    // An item that doesn't ask for its row has none.
    assert_eq!(needs(&text("bounds")).wide_plane, 0);
}

#[test]
fn panics_are_out_of_the_kernels_way() {
    let [work, panic] = texts("bounds", "sm_90").try_into().unwrap();
    for kernel in [nvptx::KERNEL, nvptx::LINE] {
        assert_eq!(count(&body(&work, kernel), "call"), 0, "{work}");
    }
    assert!(!work.contains(".func"), "{work}");
    assert!(!work.contains(nvptx::PANIC) && !panic.contains(nvptx::KERNEL));
    let lines = body(&panic, nvptx::PANIC);
    assert!(count(&lines, "call") > 0, "{panic}");
    // The address of the launch's state and the first group, for whoever panics further down.
    assert!(count(&lines, "st.shared") >= 2, "{panic}");
}

/// What an item does before it notes a panic.
fn before_a_panic(lines: &[String]) -> &[String] {
    let notes = |line: &String| line.starts_with("atom.");
    &lines[..lines.iter().position(notes).unwrap()]
}

#[test]
fn checks_in_a_row_are_one_branch() {
    let lines = body(&text("checked_sum"), nvptx::LINE);
    // Out of the grid, and either panic.
    assert_eq!(count(before_a_panic(&lines), "@"), 2, "{lines:#?}");
    // Which of the two it is is asked where it is noted.
    assert!(count(&lines, "selp.b32") > 0, "{lines:#?}");
}

#[test]
fn small_numbers_are_computed_with_32_bits() {
    let lines = body(&text("checked_sum"), nvptx::LINE);
    assert_eq!(count(before_a_panic(&lines), "add.s64"), 0, "{lines:#?}");
    // The kernel for any launch has ids of 64 bits.
    let any = body(&text("checked_sum"), nvptx::KERNEL);
    assert!(count(before_a_panic(&any), "add.s64") > 0, "{any:#?}");
}

#[test]
fn loops_that_count_are_unrolled_once() {
    let lines = body(&text("checked_sum"), nvptx::LINE);
    // Four turns at once, and one for what is left.
    assert_eq!(count(&lines, "add.rn.f32"), 5, "{lines:#?}");
}

#[test]
fn loops_in_loops_are_unrolled_as_a_whole() {
    let all = text("products");
    let lines = body(&all, nvptx::LINE);
    assert_eq!(count(&lines, "add.rn.f32"), 16 * 8 * 4, "{lines:#?}");
    // Their sums are in registers.
    assert!(!all.contains(".local"), "{all}");
}

#[test]
fn loops_read_ahead_of_their_checks() {
    let lines = body(&text("gathers"), nvptx::LINE);
    let is_load = |line: &&String| line.starts_with("ld.global.nc.b32");
    let first = lines.iter().position(|line| is_load(&line));
    let turns = lines[first.unwrap()..].iter();
    let together = turns.take_while(|line| !line.starts_with('@'));
    assert_eq!(together.filter(is_load).count(), 4, "{lines:#?}");
    // Of four turns, and of one.
    assert_eq!(lines.iter().filter(is_load).count(), 4 + 4 + 1 + 1);

    let lines = body(&text("gathers_blindly"), nvptx::LINE);
    assert_eq!(lines.iter().filter(is_load).count(), 1 + 1, "{lines:#?}");
}

#[test]
fn loops_that_step_through_memory_have_their_loads_under_way_together() {
    let lines = body(&text("strides"), nvptx::LINE);
    let is_load = |line: &&String| line.starts_with("ld.global.nc.b32");
    let first = lines.iter().position(|line| is_load(&line));
    let turns = lines[first.unwrap()..].iter();
    let together = turns.take_while(|line| !line.starts_with('@'));
    assert_eq!(together.filter(is_load).count(), 4 * 2, "{lines:#?}");
    // Of four turns, and of one.
    assert_eq!(lines.iter().filter(is_load).count(), 4 * 2 + 2);
}

#[test]
fn an_abort_is_a_panic() {
    let all = texts("abort", "sm_90").concat();
    assert!(!all.contains("trap;"), "{all}");
    assert!(all.contains("legionella_$_trap"), "{all}");
}

/// What a text says of itself. Zeros at the end of an array may be left out.
fn needs(text: &str) -> nvptx::Needs {
    let head = format!(".b8 {}[{}] = {{", nvptx::NEEDS, size_of::<nvptx::Needs>());
    let (_, rest) = text
        .split_once(&head)
        .unwrap_or_else(|| panic!("no {head} in {text}"));
    let (list, _) = rest.split_once('}').unwrap();
    let mut bytes = list.split(',').map(|byte| byte.trim().parse().unwrap());
    let mut next = || u64::from_le_bytes(std::array::from_fn(|_| bytes.next().unwrap_or(0)));
    nvptx::Needs {
        line: next(),
        block: next(),
        stack: next(),
        dynamic: next(),
        front: next(),
        unsettled: next(),
        wide: next(),
        addresses: next(),
        arguments: next(),
        align: next(),
        waits: next(),
        wide_plane: next(),
    }
}

#[test]
fn large_argument_blocks_go_by_address() {
    assert_eq!(needs(&text("large")).block, 5000);
    let small = text("bounds");
    assert_eq!(
        needs(&small),
        nvptx::Needs {
            line: 1,
            wide: nvptx::MOST_WIDE,
            // The input's and the output's.
            addresses: 0b11,
            arguments: 32,
            align: 8,
            ..nvptx::Needs::default()
        }
    );
    assert!(small.contains(".b8 legionella_line_param_2[32]"), "{small}");
}

#[test]
fn recursion_asks_for_a_deep_stack() {
    assert_ne!(needs(&text("recursion")).stack, 0);
    assert_eq!(needs(&text("recursion")).line, 0);
}

#[test]
fn barriers_for_the_optimiser_leave_no_assembly() {
    let text = text("barrier");
    assert!(
        !text.contains("intel_syntax") && !text.contains("inline asm"),
        "{text}"
    );
    assert_eq!(
        count(&body(&text, nvptx::LINE), "st.global.b32"),
        1,
        "{text}"
    );
}

#[test]
fn values_go_past_barriers_for_the_optimiser_by_their_registers() {
    let text = text("crossed");
    let lines = body(&text, nvptx::LINE);
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("st.global.b32") && line.ends_with("41;")),
        "{text}"
    );
}

#[test]
fn items_that_wait_tell_each_other_where() {
    let text = text("together");
    let lines = body(&text, nvptx::LINE);
    // Whether some have ended; then, if so, twice to say where.
    assert_eq!(count(&lines, "bar.red.popc.u32"), 2, "{text}");
    assert_eq!(count(&lines, "bar.sync"), 2, "{text}");
    // The lanes of a warp come together first where they may not be.
    assert_eq!(count(&lines, "bar.warp.sync"), 2, "{text}");
    assert!(
        count(&lines, "st.shared") > 0 && count(&lines, "ld.shared") > 0,
        "{text}"
    );
    assert_eq!(count(&lines, "ld.b32"), 0, "{text}");
    // What panics is not among it.
    assert_eq!(count(&lines, "call"), 0, "{text}");
}

#[test]
fn labels_are_compared_where_items_may_come_to_different_barriers() {
    let apart = text("ways");
    // Two labels are two bits.
    let lines = body(&apart, nvptx::LINE);
    assert_eq!(count(&lines, "barrier.red.popc.u32"), 4, "{apart}");
    // Items that end are counted alone, whatever the label is.
    let alike = text("turns");
    let lines = body(&alike, nvptx::LINE);
    assert_eq!(count(&lines, "bar.red.popc.u32"), 1, "{alike}");
    // Where some panic, all others meet again, or they don't.
    let counts = |kernel| {
        let text = text(kernel);
        let lines = body(&text, nvptx::LINE);
        let count = |what| count(&lines, what);
        [count("bar.red.popc.u32"), count("barrier.red.popc.u32")]
    };
    assert_eq!(counts("past"), [2, 0]);
    assert_eq!(counts("apart"), [0, 4]);
}

#[test]
fn of_rows_in_order_the_last_is_checked() {
    let text = text("rows");
    let lines = body(&text, nvptx::PLANE);
    let checks = lines.iter().filter(|line| line.starts_with("setp"));
    let wide: Vec<_> = checks.filter(|line| line.contains("64")).collect();
    assert_eq!(wide.len(), 1, "{text}");
    assert_eq!(count(&lines, "max"), 0, "{text}");
    // Where extents are of 64 bits, products wrap.
    let lines = body(&text, nvptx::KERNEL);
    assert_eq!(count(&lines, "max"), 1, "{text}");
}

#[test]
fn addresses_of_rows_are_a_row_apart() {
    let text = text("stencil");
    let lines = body(&text, nvptx::PLANE);
    let products: Vec<_> = (lines.iter())
        .filter(|line| line.starts_with("mul.") || line.starts_with("mad."))
        .filter(|line| line.contains("64") || line.contains("wide"))
        .collect();
    assert_eq!(products.len(), 1, "{text}");
    assert!(products[0].starts_with("mul.wide.u32"), "{text}");
}

#[test]
fn labels_that_are_known_when_the_kernel_runs_are_compared() {
    let text = text("swapped");
    let lines = body(&text, nvptx::LINE);
    assert_eq!(count(&lines, "barrier.red.popc.u32"), 2, "{text}");
}

#[test]
fn large_tiles_are_the_launchs_to_give() {
    let large = text("spacious");
    let needs_memory = needs(&large);
    assert_eq!(
        (needs_memory.dynamic, needs_memory.front),
        (1, 65536),
        "{large}"
    );
    assert!(large.contains(".extern .shared"), "{large}");
    let small = text("together");
    assert_eq!(
        (needs(&small).dynamic, needs(&small).front),
        (0, 0),
        "{small}"
    );
}

#[test]
fn lanes_agree_on_what_they_came_for() {
    let text = text("lanes_apart");
    let lines = body(&text, nvptx::LINE);
    assert_eq!(count(&lines, "shfl.sync.idx"), 2, "{text}");
    // Who is there; who came to the exchange, and to the barrier; and if that differs, who is left.
    assert_eq!(count(&lines, "vote.sync.ballot"), 4, "{text}");
}

#[test]
fn lanes_that_are_together_dont_vote() {
    for kernel in ["lanes", "lanes_meet"] {
        let text = text(kernel);
        let lines = body(&text, nvptx::LINE);
        assert_eq!(count(&lines, "shfl.sync.idx"), 1, "{text}");
        assert_eq!(count(&lines, "vote.sync.ballot"), 0, "{text}");
    }
}

#[test]
fn matrices_are_multiplied_by_the_machines_units() {
    let all = text("matrices");
    let lines = body(&all, nvptx::LINE);
    assert!(
        count(&lines, "mma.sync.aligned.m16n8k16.row.col.f32.bf16") >= 2,
        "{all}"
    );
    assert!(
        count(&lines, "ldmatrix.sync.aligned.m8n8.x4.shared.b16") >= 1,
        "{all}"
    );
    assert_eq!(
        count(&lines, "mma.sync.aligned.m16n8k32.row.col.s32.s8"),
        2,
        "{all}"
    );
    // The program's own, and who exists; then, for the one product that some may not come to, one bit of its
    // number, and if that differs, who is left. Those in the loop need none.
    assert_eq!(count(&lines, "vote.sync.ballot"), 4, "{all}");
    assert!(!all.contains("st.local"), "{all}");
}

#[test]
fn bands_of_matrices_are_multiplied_by_four_warps_on_hopper() {
    let all = texts("bands", "sm_90a").swap_remove(0);
    let lines = body(&all, nvptx::LINE);
    let product = "wgmma.mma_async.sync.aligned.m64n32k16.f32.bf16.bf16";
    assert_eq!(count(&lines, product), 8, "{all}");
    // Before what was copied is read by other means than a thread's, and after what the copy wrote is there.
    let place = |what: &str| lines.iter().position(|line| line.starts_with(what));
    let order = [
        "cp.async.cg.shared.global",
        "cp.async.wait_group",
        "fence.proxy.async.shared::cta",
        "bar.red.popc.u32",
        "wgmma.fence",
        "wgmma.mma_async",
        "wgmma.commit_group",
        "wgmma.wait_group.sync.aligned 1",
        "wgmma.wait_group.sync.aligned 0",
    ];
    assert!(
        order.map(place).is_sorted_by(|a, b| a.is_some() && a < b),
        "{all}"
    );
    // All come to the same one, so that four warps are at one instruction.
    assert_eq!(count(&lines, "bar.red.popc.u32"), 2, "{all}");
    // Who can't go on ends what is under way at one place, from wherever it came.
    assert_eq!(count(&lines, "wgmma.wait_group.sync.aligned 0"), 2, "{all}");
    let aligned = |tile| all.contains(&format!(".align 1024 .b8 legionella_shared_{tile}"));
    assert!(aligned(1) && aligned(2) && !aligned(0), "{all}");
    assert!(!all.contains(".local"), "{all}");
}

#[test]
fn parts_of_matrices_are_copied_by_one_item_on_hopper() {
    let all = texts("parts", "sm_90a").swap_remove(0);
    let lines = body(&all, nvptx::LINE);
    let places = |what: &str| -> Vec<usize> {
        let lines = lines.iter().enumerate();
        let found = lines.filter(|(_, line)| line.starts_with(what));
        found.map(|(place, _)| place).collect()
    };
    let (copy, wait) = ("cp.async.bulk.tensor.2d", "mbarrier.try_wait.parity");
    assert_eq!(places("mbarrier.init").len(), 8, "{all}");
    assert_eq!(places("tensormap.replace").len(), 2 * 13, "{all}");
    assert_eq!(places(copy).len(), 2, "{all}");
    // The stage's, and those of all stages where items can't go on, before they look for others.
    let waits = places(wait);
    assert_eq!(waits.len(), 1 + 8, "{all}");
    let last = |what: &str| places(what).last().copied();
    let order = [
        last("mbarrier.init"),
        last("tensormap.replace"),
        last("fence.proxy.tensormap::generic.acquire"),
        last("fence.proxy.async.shared::cta;"),
        places("bar.red.popc").first().copied(),
        last("mbarrier.arrive.expect_tx"),
        last(copy),
        last("bar.red.popc"),
    ];
    assert!(order.is_sorted_by(|a, b| a.is_some() && a < b), "{all}");
    // Panics are none of the way's business.
    assert!(!all.contains(".local"), "{all}");
    // Memory for maps is the code's own, and there is none where none are made.
    let maps = ".global .align 128 .b8 legionella_$_parts_$_maps[262144];";
    assert!(all.contains(maps), "{all}");
    assert!(!texts("bands", "sm_90a")[0].contains("parts"));
}

#[test]
fn code_is_for_the_machine_that_was_asked_for() {
    for (cpu, target) in [
        ("sm_70", ".target sm_70"),
        ("sm_75", ".target sm_75"),
        ("sm_90a", ".target sm_90a"),
        ("sm_120", ".target sm_120"),
        ("sm_999", ".target sm_121"),
    ] {
        let text = texts("bounds", cpu).swap_remove(0);
        assert!(text.contains(target), "{cpu}: {text}");
    }
}

#[test]
fn items_that_wait_for_the_host_look_whether_they_are_to_end() {
    let text = text("waits");
    assert_eq!(needs(&text).waits, 1);
    assert!(text.contains("nanosleep.u32"), "{text}");
    assert!(text.contains("exit;"), "{text}");
    // Who waits is given the launch's state: items leave it nowhere, at once.
    let lines = body(&text, nvptx::LINE);
    assert_eq!(count(&lines, "st.shared"), 0, "{text}");
    assert_eq!(count(&lines, "st.param"), 1, "{text}");
}

#[test]
fn kernels_that_print_are_told_where_and_know_who_they_are() {
    let text = text("prints");
    let variable = format!(".const .align 8 .u64 {}", nvptx::PORT);
    assert!(text.contains(&variable), "{text}");
    assert!(!text.contains(nvptx::HEAP), "{text}");
    // The launch's number, two extents, and the first group: by one item, and then all go on.
    let lines = body(&text, nvptx::KERNEL);
    let at = |what: &str| lines.iter().position(|line| line.starts_with(what));
    assert!(count(&lines, "st.shared") >= 4, "{text}");
    assert!(at("@%p") < at("st.shared"), "{text}");
    assert!(at("st.shared") < at("bar.sync"), "{text}");
    assert!(at("bar.sync") < at("call"), "{text}");
    assert!(lines.iter().any(|line| line.contains("%tid.z")), "{text}");
    let other = self::text("bounds");
    assert!(
        !other.contains(nvptx::PORT) && !other.contains(nvptx::HEAP),
        "{other}"
    );
}

#[test]
fn items_that_allocate_at_once_act_as_one() {
    let new = text("allocates");
    let variable = format!(".const .align 8 .u64 {}", nvptx::HEAP);
    assert!(
        new.contains(&variable) && !new.contains(nvptx::PORT),
        "{new}"
    );
    for operation in [
        "activemask",
        "match.any.sync",
        "redux.sync.or",
        "%smid",
        "atom.global.add",
    ] {
        assert!(new.contains(operation), "no {operation} in\n{new}");
    }
    let old = texts("allocates", "sm_75").swap_remove(0);
    assert!(!old.contains("redux.sync"), "{old}");
}

#[test]
fn code_has_the_lines_of_its_source() {
    let kernel = include_str!("nvptx/kernel.ll");
    let lines = include_str!("nvptx/lines.ll");
    let texts = compile(&format!("{kernel}{lines}"), "lines", "sm_90");
    let work = &texts[0];
    let file = work.lines().find(|line| line.contains("/app/src/math.rs"));
    let file = file.and_then(|line| line.split_whitespace().nth(1));
    let place = format!("\t.loc\t{} 12 ", file.unwrap());
    let (_, behind) = work.split_once(&place).unwrap();
    let next = behind.lines().nth(1).unwrap();
    assert!(next.contains("mul.rn.f32"), "{work}");
    // A module for debuggers is not optimised.
    assert!(!work.contains(", debug"), "{work}");
    // What is left to the assembler when an item panics needs none.
    assert!(texts[1].contains(nvptx::PANIC) && !texts[1].contains(".loc"));
    assert!(!text("bounds").contains(".loc"));
}
