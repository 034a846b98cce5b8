//! Barriers and subgroup operations through the stages of the compiler: none is duplicated, merged
//! or lost. Each input is such that LLVM does so where it is not told.

use std::cell::RefCell;

use inkwell::OptimizationLevel;
use inkwell::context::Context;
use inkwell::memory_buffer::MemoryBuffer;
use inkwell::module::Module;
use inkwell::passes::PassBuilderOptions;
use inkwell::targets::{
    CodeModel, InitializationConfig, RelocMode, Target, TargetMachine, TargetTriple,
};
use legionella_abi::protocol::{Problem, TargetSpec};
use legionella_driver::generate::{Failure, Stages, generate_seen};
use legionella_driver::llvm;
use legionella_driver::target::Toolbox;

const SUPPORT: &str = include_str!("collective/support.ll");
const BRANCHES: &str = include_str!("collective/branches.ll");
const FUNCTION: &str = include_str!("collective/function.ll");
const POINTER: &str = include_str!("collective/pointer.ll");
const UNSWITCHED: &str = include_str!("collective/unswitched.ll");
const EARLY_RETURN: &str = include_str!("collective/early_return.ll");
const LANES: &str = include_str!("collective/lanes.ll");
const MERGED: &str = include_str!("collective/merged.ll");
const ROTATED: &str = include_str!("collective/rotated.ll");
const SHUFFLE: &str = include_str!("collective/shuffle.ll");
const FIRST_ITEM: &str = include_str!("collective/first_item.ll");
const RECURSIVE: &str = include_str!("collective/recursive.ll");

fn load() {
    llvm::load(&llvm::find(None).unwrap()).unwrap();
}

fn module<'context>(context: &'context Context, kernel: &str) -> Module<'context> {
    let text = format!("{SUPPORT}\n{kernel}\0");
    let buffer = MemoryBuffer::create_from_memory_range_copy(text.as_bytes(), "kernel");
    context.create_module_from_ir(buffer).unwrap()
}

fn bitcode(kernel: &str) -> Vec<u8> {
    load();
    let context = Context::create();
    let module = module(&context, kernel);
    module.verify().unwrap();
    module.write_bitcode_to_memory().as_slice().to_vec()
}

/// The text of a kernel after each stage, or why there is no code.
fn stages(kernel: &str) -> Result<Vec<(String, String)>, Failure> {
    let seen = RefCell::new(Vec::new());
    let mut see = |stage: &str, text: &str| {
        seen.borrow_mut().push((stage.to_owned(), text.to_owned()));
    };
    let toolbox = Toolbox {
        sysroot: llvm::sysroot_of("rustc".as_ref()),
        ..Toolbox::default()
    };
    let spec = TargetSpec {
        kind: "cpu".to_owned(),
        cpu: "x86-64-v3".to_owned(),
    };
    let mut stages = Stages::seen_by(&mut see);
    generate_seen(&bitcode(kernel), "entry", &spec, &toolbox, &mut stages)?;
    Ok(seen.into_inner())
}

fn calls(text: &str, function: &str) -> usize {
    let call = format!("@{function}(");
    let lines = text.lines().filter(|line| line.contains(&call));
    lines.filter(|line| line.contains(" call ")).count()
}

/// How often LLVM alone has a call after optimisation.
fn without_marks(kernel: &str, function: &str) -> usize {
    load();
    Target::initialize_x86(&InitializationConfig::default());
    let context = Context::create();
    let module = module(&context, kernel);
    let triple = TargetTriple::create("x86_64-unknown-linux-gnu");
    let machine: TargetMachine = Target::from_triple(&triple)
        .unwrap()
        .create_target_machine(
            &triple,
            "x86-64-v3",
            "",
            OptimizationLevel::Aggressive,
            RelocMode::PIC,
            CodeModel::Small,
        )
        .unwrap();
    module
        .run_passes("default<O3>", &machine, PassBuilderOptions::create())
        .unwrap();
    calls(&module.print_to_string().to_string(), function)
}

/// How many phases a kernel was cut into.
fn phases(way: &str) -> usize {
    let count = way.lines().next().unwrap().strip_suffix(" phases");
    count.expect("the kernel is cut").parse().unwrap()
}

fn stays_once(kernel: &str, function: &str) {
    for (stage, text) in stages(kernel).unwrap() {
        let found = match stage.as_str() {
            "ir" | "lowered" | "simplified" => calls(&text, function),
            "way" => phases(&text) - 1,
            _ => continue,
        };
        assert_eq!(found, 1, "after {stage}:\n{text}");
    }
}

#[test]
fn barriers_between_branches_stay_one() {
    stays_once(BRANCHES, "legionella.barrier");
    assert!(without_marks(BRANCHES, "legionella.barrier") > 1);
}

#[test]
fn barriers_in_functions_stay_one() {
    stays_once(FUNCTION, "legionella.barrier");
    stays_once(POINTER, "legionella.barrier");
}

#[test]
fn loops_with_barriers_are_not_unswitched() {
    stays_once(UNSWITCHED, "legionella.barrier");
    assert!(without_marks(UNSWITCHED, "legionella.barrier") > 1);
}

#[test]
fn barriers_behind_returns_stay_there() {
    stays_once(EARLY_RETURN, "legionella.barrier");
    let all = stages(EARLY_RETURN).unwrap();
    let (_, simplified) = all.iter().find(|(stage, _)| stage == "simplified").unwrap();
    let comparison = simplified.find("icmp").unwrap();
    assert!(comparison < simplified.find("call void @legionella.barrier").unwrap());
}

#[test]
fn lanes_do_not_leave_shuffles_to_those_who_need_them() {
    stays_once(SHUFFLE, "legionella.subgroup_shuffle");
    let all = stages(SHUFFLE).unwrap();
    let (_, simplified) = all.iter().find(|(stage, _)| stage == "simplified").unwrap();
    let shuffle = simplified
        .find("call i32 @legionella.subgroup_shuffle")
        .unwrap();
    assert!(shuffle < simplified.find("br i1").unwrap(), "{simplified}");
}

/// Whether a function of a module's text is convergent.
fn is_convergent(text: &str, function: &str) -> bool {
    let name = format!("@{function}(");
    let line = text
        .lines()
        .find(|line| line.starts_with("de") && line.contains(&name));
    let attributes = line.and_then(|line| line.split('#').nth(1)).unwrap();
    let number = attributes.split(|c: char| !c.is_ascii_digit()).next();
    let group = format!("attributes #{} = ", number.unwrap());
    let group = text.lines().find(|line| line.starts_with(&group)).unwrap();
    group.contains(" convergent ")
}

#[test]
fn everything_that_leads_to_a_barrier_is_convergent_before_any_pass() {
    let all = stages(BRANCHES).unwrap();
    let (_, lowered) = all.iter().find(|(stage, _)| stage == "lowered").unwrap();
    assert!(is_convergent(lowered, "legionella.barrier"));
    assert!(is_convergent(lowered, "entry"));
    let all = stages(POINTER).unwrap();
    let (_, lowered) = all.iter().find(|(stage, _)| stage == "lowered").unwrap();
    assert!(is_convergent(lowered, "wait"));
    assert!(is_convergent(lowered, "entry"));
    assert!(!is_convergent(lowered, "legionella.local_id"));
}

#[test]
fn waiting_in_recursion_is_refused() {
    match stages(RECURSIVE) {
        Err(Failure::Refused(problems)) => {
            assert!(problems.iter().any(|problem| {
                problem.problem == Problem::Collective && problem.what == "descend"
            }));
        }
        other => panic!("{:?}", other.map(|stages| stages.len())),
    }
}

/// The kernel of `first_item.ll`, with a branch on another condition.
fn branching_on(condition: &str) -> String {
    FIRST_ITEM.replace("CONDITION", condition)
}

#[test]
fn barriers_for_the_first_item_alone_are_refused() {
    for condition in ["%first", "%not_first", "%first_of_two", "%first_chosen"] {
        match stages(&branching_on(condition)) {
            Err(Failure::Refused(problems)) => assert!(
                matches!(&problems[..], [one] if one.problem == Problem::Divergent),
                "{condition}: {problems:?}"
            ),
            other => panic!("{condition}: {:?}", other.map(|stages| stages.len())),
        }
    }
}

#[test]
fn barriers_that_all_items_may_come_to_are_not() {
    for condition in ["%some", "%first_group", "%even"] {
        assert!(stages(&branching_on(condition)).is_ok(), "{condition}");
    }
    // Those who don't come panic.
    let panics = branching_on("%first").replace("label %done, !", "label %fails, !");
    assert_ne!(panics, branching_on("%first"));
    assert!(stages(&panics).is_ok());
}

/// That as many calls are there after each stage that all targets share.
fn all_stay(kernel: &str, function: &str, count: usize) {
    for (stage, text) in stages(kernel).unwrap() {
        if ["ir", "lowered", "simplified"].contains(&stage.as_str()) {
            assert_eq!(calls(&text, function), count, "after {stage}:\n{text}");
        }
    }
}

#[test]
fn barriers_of_two_ways_are_not_merged() {
    all_stay(MERGED, "legionella.barrier", 2);
    assert!(without_marks(MERGED, "legionella.barrier") < 2);
}

#[test]
fn loops_that_begin_with_a_barrier_are_not_rotated() {
    all_stay(ROTATED, "legionella.barrier", 1);
    assert!(without_marks(ROTATED, "legionella.barrier") > 1);
}

#[test]
fn shuffles_between_branches_stay_one() {
    all_stay(LANES, "legionella.subgroup_shuffle", 1);
    assert!(without_marks(LANES, "legionella.subgroup_shuffle") > 1);
}
