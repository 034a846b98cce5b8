//! Loading a toolchain's LLVM, and what `inkwell` does on top of the trampolines.
//!
//! A process loads one LLVM, so each case runs this test program again, for itself alone, with the
//! library in `LEGIONELLA_LLVM`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use inkwell::OptimizationLevel;
use inkwell::context::Context;
use inkwell::memory_buffer::MemoryBuffer;
use inkwell::module::Module;
use inkwell::passes::PassBuilderOptions;
use inkwell::targets::{
    CodeModel, FileType, InitializationConfig, RelocMode, Target, TargetMachine, TargetTriple,
};
use legionella_driver::llvm;

/// The library of an installed toolchain.
fn library(toolchain: &str) -> Option<PathBuf> {
    let output = Command::new("rustup")
        .args(["run", toolchain, "rustc", "--print", "sysroot"])
        .output()
        .ok()?;
    let sysroot = String::from_utf8(output.stdout).ok()?;
    llvm::library_in(&Path::new(sysroot.trim_end()).join("lib"))
}

/// Runs an ignored test of this program in a process of its own.
fn run_case(case: &str, library: &Path) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([case, "--exact", "--ignored", "--nocapture"])
        .env(llvm::VARIABLE, library)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{case} with {}:\n{text}{}",
        library.display(),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn own_library() -> PathBuf {
    llvm::library_in(&llvm::sysroot_of(OsStr::new("rustc")).unwrap().join("lib")).unwrap()
}

#[test]
fn compiles_with_the_toolchain_at_hand() {
    run_case("case_compiles", &own_library());
}

#[test]
fn compiles_with_a_nightly_toolchain() {
    match library("nightly") {
        Some(library) => run_case("case_compiles", &library),
        None => eprintln!("skipped: no nightly toolchain is installed"),
    }
}

#[test]
fn strength_reduction_stays_off() {
    run_case("case_strength_reduction", &own_library());
    run_case("case_strength_reduction_on_amd", &own_library());
}

#[test]
fn a_second_library_is_refused() {
    run_case("case_second_library", &own_library());
}

#[test]
fn what_is_no_llvm_is_refused() {
    run_case("case_no_llvm", Path::new("/dev/null"));
}

#[test]
fn a_call_before_loading_names_the_function() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["case_unloaded", "--exact", "--ignored", "--nocapture"])
        .output()
        .unwrap();
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        text.contains("LLVMContextCreate was called before LLVM was loaded"),
        "{text}"
    );
}

fn load() -> &'static llvm::Llvm {
    llvm::load(&llvm::find(None).unwrap()).unwrap()
}

fn machine(triple: &str, cpu: &str) -> TargetMachine {
    let triple = TargetTriple::create(triple);
    Target::from_triple(&triple)
        .unwrap()
        .create_target_machine(
            &triple,
            cpu,
            "",
            OptimizationLevel::Aggressive,
            RelocMode::PIC,
            CodeModel::Default,
        )
        .unwrap()
}

fn parse<'context>(context: &'context Context, text: &str) -> Module<'context> {
    let text = MemoryBuffer::create_from_memory_range_copy(text.as_bytes(), "test");
    context.create_module_from_ir(text).unwrap()
}

#[test]
#[ignore = "a case, run by the tests above"]
fn case_compiles() {
    assert_eq!(load().version().0, 22);
    Target::initialize_x86(&InitializationConfig::default());
    Target::initialize_aarch64(&InitializationConfig::default());
    Target::initialize_nvptx(&InitializationConfig::default());
    Target::initialize_amd_gpu(&InitializationConfig::default());
    Target::initialize_bpf(&InitializationConfig::default());
    let context = Context::create();
    let text = "define i32 @sum(i32 %n) {
        entry: br label %loop
        loop:
          %i = phi i32 [ 0, %entry ], [ %j, %loop ]
          %s = phi i32 [ 0, %entry ], [ %t, %loop ]
          %t = add i32 %s, %i
          %j = add i32 %i, 1
          %more = icmp ult i32 %j, %n
          br i1 %more, label %loop, label %end
        end: ret i32 %t
    }";
    let bitcode = parse(&context, text).write_bitcode_to_memory();
    for (triple, cpu, machine_type) in [
        ("x86_64-unknown-linux-gnu", "x86-64-v3", 62),
        ("aarch64-unknown-linux-gnu", "generic", 183),
        ("amdgcn-amd-amdhsa", "gfx1100", 224),
        ("bpfel-unknown-none", "v3", 247),
    ] {
        let module = Module::parse_bitcode_from_buffer(&bitcode, &context).unwrap();
        let machine = machine(triple, cpu);
        module.set_triple(&machine.get_triple());
        module.set_data_layout(&machine.get_target_data().get_data_layout());
        module
            .run_passes("default<O3>", &machine, PassBuilderOptions::create())
            .unwrap();
        // The optimiser has found the closed form: there is no loop left.
        let function = module.get_function("sum").unwrap();
        assert!(function.count_basic_blocks() <= 3, "{triple}");
        let object = machine
            .write_to_memory_buffer(&module, FileType::Object)
            .unwrap();
        let object = object.as_slice();
        assert_eq!(&object[..4], b"\x7fELF");
        assert_eq!(u16::from_le_bytes([object[18], object[19]]), machine_type);
    }
}

/// The code of `slsr.ll` for a GPU.
fn assembly_of_slsr(triple: &str, cpu: &str) -> String {
    load();
    Target::initialize_nvptx(&InitializationConfig::default());
    Target::initialize_amd_gpu(&InitializationConfig::default());
    let context = Context::create();
    let module = parse(&context, include_str!("llvm/slsr.ll"));
    let machine = machine(triple, cpu);
    module.set_triple(&machine.get_triple());
    module.set_data_layout(&machine.get_target_data().get_data_layout());
    let assembly = machine
        .write_to_memory_buffer(&module, FileType::Assembly)
        .unwrap();
    String::from_utf8_lossy(assembly.as_slice()).into_owned()
}

/// Straight-line strength reduction of LLVM 22 takes the addresses of `g`'s two loads, whose
/// indices are sign-extended bits, for four bytes apart: `[%rd3]` and `[%rd3+-4]`. With it off each
/// load has an address of its own.
#[test]
#[ignore = "a case, run by the tests above"]
fn case_strength_reduction() {
    let assembly = assembly_of_slsr("nvptx64-nvidia-cuda", "sm_70");
    let (_, function) = assembly
        .split_once(".func  (.param .b32 func_retval0) g(")
        .unwrap();
    let addresses: Vec<&str> = function
        .lines()
        .filter_map(|line| {
            let (instruction, address) = line.trim().split_once('[')?;
            instruction.starts_with("ld.b32").then_some(address)
        })
        .collect();
    assert_eq!(addresses.len(), 2, "{function}");
    assert_ne!(addresses[0], addresses[1], "{function}");
    assert!(
        addresses.iter().all(|address| !address.contains('+')),
        "{function}"
    );
}

/// The same on AMD's devices, where the wrong code has one address and the distance to it.
#[test]
#[ignore = "a case, run by the tests above"]
fn case_strength_reduction_on_amd() {
    let assembly = assembly_of_slsr("amdgcn-amd-amdhsa", "gfx1100");
    let (_, function) = assembly.split_once("\ng:").unwrap();
    let loads: Vec<&str> = function
        .lines()
        .filter(|line| line.trim().starts_with("flat_load_b32"))
        .collect();
    assert_eq!(loads.len(), 2, "{function}");
    assert!(
        loads.iter().all(|load| !load.contains("offset")),
        "{function}"
    );
}

#[test]
#[ignore = "a case, run by the tests above"]
fn case_second_library() {
    let first = load();
    assert!(std::ptr::eq(first, llvm::load(first.path()).unwrap()));
    let refused = llvm::load(Path::new("/dev/null")).unwrap_err();
    assert!(refused.to_string().contains("is loaded already"));
}

#[test]
#[ignore = "a case, run by the tests above"]
fn case_no_llvm() {
    let error = llvm::load(&llvm::find(None).unwrap()).unwrap_err();
    assert!(error.to_string().contains("/dev/null"), "{error}");
}

#[test]
#[ignore = "a case, run by the tests above"]
fn case_unloaded() {
    Context::create();
}
