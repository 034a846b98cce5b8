//! The mathematical functions of a device's vendor: kernels that may have them get them, others don't.
//!
//! `LEGIONELLA_LIBDEVICE` and `LEGIONELLA_OCML` name the vendors' libraries; without them it is said that
//! what needs them is skipped.

use std::path::Path;

use inkwell::context::Context;
use inkwell::memory_buffer::MemoryBuffer;
use legionella_abi::intrinsic::Relaxation;
use legionella_abi::protocol::TargetSpec;
use legionella_driver::inspect::{Stage, show};
use legionella_driver::llvm;
use legionella_driver::target::Toolbox;

/// Intrinsics of LLVM and functions of the C library that a vendor's library has something for.
const INTRINSICS: [&str; 8] = ["exp", "exp2", "log", "log2", "log10", "sin", "cos", "pow"];
const FUNCTIONS: [&str; 15] = [
    "tan", "asin", "acos", "atan", "atan2", "sinh", "cosh", "tanh", "expm1", "log1p", "cbrt",
    "hypot", "tgamma", "erf", "erfc",
];
const OF_TWO: [&str; 3] = ["pow", "atan2", "hypot"];

/// What each of the device library's functions returns in these tests.
const OURS: &str = "0x40490FDB20000000";

/// The data layout of programs.
const HOST: &str =
    "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-n8:16:32:64-S128";

fn bitcode(text: &str) -> Vec<u8> {
    llvm::load(&llvm::find(None).unwrap()).unwrap();
    let context = Context::create();
    let text = format!("{text}\0");
    let buffer = MemoryBuffer::create_from_memory_range_copy(text.as_bytes(), "module");
    let module = context.create_module_from_ir(buffer).unwrap();
    module.write_bitcode_to_memory().as_slice().to_vec()
}

/// A kernel that calls all of these functions, and stores what they return in its only argument.
fn kernel(relaxations: u32) -> Vec<u8> {
    let mut declarations = String::new();
    let mut calls = String::new();
    let mut needs = Vec::new();
    let mut call = |symbol: String, name: &str, ty: &str| {
        let count = if OF_TWO.contains(&name) { 2 } else { 1 };
        let parameters = vec![ty; count].join(", ");
        let arguments = vec![format!("{ty} %{ty}"); count].join(", ");
        let operation = symbol.trim_start_matches("llvm.");
        needs.push(format!("legionella.maths.{operation}"));
        declarations += &format!(
            "declare {ty} @{symbol}({parameters})
             define {ty} @legionella.maths.{operation}({parameters}) {{ ret {ty} {OURS} }}\n"
        );
        calls += &format!(
            "%{symbol} = call {ty} @{symbol}({arguments})
             store volatile {ty} %{symbol}, ptr %place\n"
        );
    };
    for name in INTRINSICS {
        call(format!("llvm.{name}.f32"), name, "float");
        call(format!("llvm.{name}.f64"), name, "double");
    }
    for name in FUNCTIONS {
        call(format!("{name}f"), name, "float");
        call(name.to_owned(), name, "double");
    }
    let needs = needs.join(",");
    bitcode(&format!(
        "target datalayout = \"{HOST}\"
         declare void @legionella.relax(i32, ptr)
         {declarations}
         define void @entry(ptr noundef nonnull readonly align 8 dereferenceable(8) %block)
             \"legionella.needs\"=\"{needs}\" {{
           call void @legionella.relax(i32 {relaxations}, ptr null)
           %place = load ptr, ptr %block
           %float = load volatile float, ptr %place
           %double = load volatile double, ptr %place
           {calls}
           ret void
         }}"
    ))
}

/// What is left of a kernel for which there is this library.
fn optimised(relaxations: u32, target: &str, cpu: &str, library: &Path) -> String {
    let toolbox = Toolbox {
        sysroot: llvm::sysroot_of("rustc".as_ref()),
        maths: Some(library.to_owned()),
    };
    let spec = TargetSpec {
        kind: target.to_owned(),
        cpu: cpu.to_owned(),
    };
    let seen = show(
        &kernel(relaxations),
        "entry",
        &spec,
        Stage::Optimized,
        &toolbox,
    );
    seen.outcome.unwrap();
    seen.text.unwrap()
}

/// How many results are the device library's, in the kernel for any launch.
fn ours(text: &str) -> usize {
    let (_, kernel) = text.split_once("@legionella_kernel(").unwrap();
    let (kernel, _) = kernel.split_once("\n}").unwrap();
    kernel.matches(&format!("{OURS}, ptr")).count()
}

const ALL: usize = 2 * (INTRINSICS.len() + FUNCTIONS.len());

/// A library that has one function, which tells what it has been told.
fn small(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bitcode(text)).unwrap();
    file
}

#[test]
fn only_kernels_that_ask_for_it_get_what_the_library_has() {
    let nvidia = small(
        r#"@arch = private constant [12 x i8] c"__CUDA_ARCH\00"
           @unused = global i32 0
           declare i32 @__nvvm_reflect(ptr)
           define internal float @machine() {
             %n = call i32 @__nvvm_reflect(ptr @arch)
             %r = uitofp i32 %n to float
             ret float %r
           }
           define float @__nv_expf(float %x) {
             %r = call float @machine()
             ret float %r
           }
           define float @__nv_unused(float %x) {
             %r = call float @missing(float %x)
             ret float %r
           }
           declare float @missing(float)"#,
    );
    let amd = small(
        "@__oclc_ISA_version = external addrspace(4) constant i32
         define float @__ocml_exp_f32(float %x) {
           %n = load i32, ptr addrspace(4) @__oclc_ISA_version
           %r = uitofp i32 %n to float
           ret float %r
         }",
    );
    for (target, cpu, library, told) in [
        ("nvptx", "sm_90", &nvidia, "float 9.000000e+02, ptr"),
        ("amdgpu", "gfx942", &amd, "float 9.402000e+03, ptr"),
    ] {
        let strict = optimised(Relaxation::Contract as u32, target, cpu, library.path());
        assert_eq!(ours(&strict), ALL, "{strict}");
        let relaxed = optimised(Relaxation::Vendor as u32, target, cpu, library.path());
        assert_eq!(ours(&relaxed), ALL - 1, "{relaxed}");
        assert!(relaxed.contains(told), "{relaxed}");
        assert!(!relaxed.contains("unused"), "{relaxed}");
    }
}

#[test]
fn what_the_library_leaves_to_the_machine_is_the_machines() {
    let library = small(
        r#"define float @__nv_expf(float %x) {
             %r = call float asm "rcp.approx.ftz.f32 $0,$1;", "=f,f"(float %x)
             ret float %r
           }
           define double @__nv_exp(double %x) {
             %number = bitcast double %x to i64
             %by = and i64 %number, 1023
             %shifted = shl i64 %number, %by
             %odd = icmp eq i64 %shifted, -9223372036854775808
             %r = uitofp i1 %odd to double
             ret double %r
           }"#,
    );
    let text = optimised(Relaxation::Vendor as u32, "nvptx", "sm_90", library.path());
    let (_, kernel) = text.split_once("@legionella_kernel(").unwrap();
    let (kernel, _) = kernel.split_once("\n}").unwrap();
    assert!(
        kernel.contains("asm \"rcp.approx.ftz.f32 $0,$1;\""),
        "{kernel}"
    );
    // By 64 bits and more: what is left is no odd number, and not just anything.
    assert!(
        kernel.contains("icmp samesign ult i64 %") && kernel.contains(", 64"),
        "{kernel}"
    );
}

#[test]
fn what_is_no_library_is_an_error_that_names_it() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "no bitcode").unwrap();
    let toolbox = Toolbox {
        maths: Some(file.path().to_owned()),
        ..Toolbox::default()
    };
    let spec = TargetSpec {
        kind: "nvptx".to_owned(),
        cpu: "sm_90".to_owned(),
    };
    let kernel = kernel(Relaxation::Vendor as u32);
    let seen = show(&kernel, "entry", &spec, Stage::Optimized, &toolbox);
    let error = seen.outcome.unwrap_err().to_string();
    assert!(
        error.contains(&file.path().display().to_string()),
        "{error}"
    );
}

#[test]
fn the_vendors_libraries_have_all_functions() {
    for (variable, target, cpus) in [
        ("LEGIONELLA_LIBDEVICE", "nvptx", ["sm_75", "sm_90"]),
        ("LEGIONELLA_OCML", "amdgpu", ["gfx942", "gfx1100"]),
    ] {
        let Some(library) = std::env::var_os(variable) else {
            eprintln!("skipped: {target}, since {variable} is not set");
            continue;
        };
        for cpu in cpus {
            let text = optimised(Relaxation::Vendor as u32, target, cpu, library.as_ref());
            assert_eq!(ours(&text), 0, "{text}");
            for asked in ["__nvvm_reflect", "__oclc_"] {
                assert!(!text.contains(asked), "{asked} in {text}");
            }
        }
    }
}
