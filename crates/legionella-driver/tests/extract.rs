//! Extraction from crates that the compiler at hand compiles here and now.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use inkwell::OptimizationLevel;
use inkwell::attributes::{Attribute, AttributeLoc};
use inkwell::context::Context;
use inkwell::memory_buffer::MemoryBuffer;
use inkwell::module::{Linkage, Module};
use inkwell::passes::PassBuilderOptions;
use inkwell::targets::{
    CodeModel, FileType, InitializationConfig, RelocMode, Target, TargetMachine,
};
use legionella_abi::bundle::{Bundle, Toolchain};
use legionella_driver::bitcode::Index;
use legionella_driver::error::Error;
use legionella_driver::extract::cuts::Cut;
use legionella_driver::extract::{Closure, closure};
use legionella_driver::{link, llvm};
use object::{Object as _, ObjectSymbol as _};

const DEVICE: &str = include_str!("extract/device.rs");
const LIBRARY: &str = include_str!("extract/library.rs");
const PROGRAM: &str = include_str!("extract/program.rs");

fn toolchain() -> &'static llvm::Llvm {
    llvm::load(&llvm::find(None).unwrap()).unwrap()
}

fn sysroot() -> String {
    let sysroot = llvm::sysroot_of("rustc".as_ref()).unwrap();
    sysroot.to_str().unwrap().to_owned()
}

fn sysroot_archives() -> Vec<PathBuf> {
    let libraries = std::fs::read_dir(Path::new(&sysroot()).join("lib/rustlib")).unwrap();
    let host = libraries
        .map(|entry| entry.unwrap().path().join("lib"))
        .find(|path| path.is_dir() && path.to_string_lossy().contains(std::env::consts::ARCH))
        .unwrap();
    let files = std::fs::read_dir(host).unwrap();
    files
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == "rlib"))
        .collect()
}

/// A program of three crates, compiled as the wrapper does.
struct Program {
    directory: PathBuf,
    stores: Vec<PathBuf>,
}

impl Program {
    /// The program in one of [`CONFIGURATIONS`], compiled when it is asked for first.
    fn configured(configuration: usize) -> &'static Self {
        static PROGRAMS: [OnceLock<Program>; CONFIGURATIONS.len()] =
            [const { OnceLock::new() }; CONFIGURATIONS.len()];
        PROGRAMS[configuration].get_or_init(|| {
            let name = format!("configuration-{configuration}");
            Self::compile(&name, CONFIGURATIONS[configuration])
        })
    }

    fn compile(name: &str, flags: &[&str]) -> Self {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join("extract")
            .join(name);
        if directory.exists() {
            std::fs::remove_dir_all(&directory).unwrap();
        }
        std::fs::create_dir_all(&directory).unwrap();
        let mut program = Program {
            directory,
            stores: Vec::new(),
        };
        program.crate_("device", DEVICE, "rlib", flags);
        program.crate_("library", LIBRARY, "rlib", flags);
        program.crate_("program", PROGRAM, "bin", flags);
        program
    }

    fn crate_(&mut self, name: &str, source: &str, kind: &str, flags: &[&str]) {
        let root = &self.directory;
        let temporary = root.join(format!("{name}.temporary"));
        let store = root.join(format!("{name}.legionella"));
        std::fs::create_dir(&temporary).unwrap();
        std::fs::create_dir(&store).unwrap();
        std::fs::write(root.join(format!("{name}.rs")), source).unwrap();
        let status = Command::new("rustc")
            .current_dir(root)
            .env("RUSTC_BOOTSTRAP", "1")
            .arg(format!("{name}.rs"))
            .args(["--edition=2021", "--crate-type", kind, "-L", "."])
            .args(["-Zmir-enable-passes=-JumpThreading", "-Csave-temps"])
            .arg(format!("-Ztemps-dir={}", temporary.display()))
            .args(flags)
            .status()
            .unwrap();
        assert!(status.success());
        for entry in std::fs::read_dir(&temporary).unwrap() {
            let path = entry.unwrap().path();
            let file = path.file_name().unwrap().to_str().unwrap();
            if let Some(unit) = file.strip_suffix(".rcgu.no-opt.bc") {
                std::fs::rename(&path, store.join(format!("{unit}.bc"))).unwrap();
            }
        }
        Index::scan(&store).unwrap().write(&store).unwrap();
        // That of the program's own crate comes first.
        self.stores.insert(0, store);
    }

    /// The symbol of the entry shim of a kernel.
    fn entry(&self, kernel: &str) -> String {
        for store in &self.stores {
            let index = Index::read(store).unwrap();
            for (symbol, _) in index.entries() {
                if symbol.contains("5entry") && link::kernel_name(symbol) == kernel {
                    return symbol.to_owned();
                }
            }
        }
        panic!("no entry of {kernel}");
    }

    fn extract(&self, kernels: &[&str]) -> Closure {
        let entries: Vec<String> = kernels.iter().map(|kernel| self.entry(kernel)).collect();
        let entries: Vec<&str> = entries.iter().map(String::as_str).collect();
        closure(toolchain(), &entries, &self.stores, &sysroot_archives()).unwrap()
    }
}

/// Symbols of LLVM's own and of compilers, which the target's code generation brings or inlines.
fn is_runtime(symbol: &str) -> bool {
    ["memcmp", "bcmp", "memcpy", "memset", "memmove", "strlen"].contains(&symbol)
}

/// Compiles the closure for this machine; gives the undefined symbols of the object.
fn compile(closure: &Closure) -> HashSet<String> {
    Target::initialize_x86(&InitializationConfig::default());
    Target::initialize_aarch64(&InitializationConfig::default());
    let context = Context::create();
    let buffer = MemoryBuffer::create_from_memory_range_copy(&closure.bitcode, "closure");
    let module = Module::parse_bitcode_from_buffer(&buffer, &context).unwrap();
    module.verify().unwrap();
    let triple = TargetMachine::get_default_triple();
    let machine = Target::from_triple(&triple)
        .unwrap()
        .create_target_machine(
            &triple,
            "generic",
            "",
            OptimizationLevel::Default,
            RelocMode::PIC,
            CodeModel::Default,
        )
        .unwrap();
    module
        .run_passes("default<O1>", &machine, PassBuilderOptions::create())
        .unwrap();
    let object = machine
        .write_to_memory_buffer(&module, FileType::Object)
        .unwrap();
    let object = object::File::parse(object.as_slice()).unwrap();
    let undefined = object.symbols().filter(|symbol| symbol.is_undefined());
    undefined
        .map(|symbol| symbol.name().unwrap().to_owned())
        .filter(|name| !name.is_empty())
        .collect()
}

const CONFIGURATIONS: [&[&str]; 4] = [
    &["-Copt-level=3", "-Cdebuginfo=line-directives-only"],
    &["-Copt-level=0", "-Cdebuginfo=2", "-Ccodegen-units=16"],
    &["-Copt-level=2", "-Ccodegen-units=1", "-Cpanic=abort"],
    &["-Copt-level=1", "-Cdebuginfo=1", "-Clto=thin"],
];

#[test]
fn takes_all_that_a_kernel_reaches_and_nothing_else() {
    for (configuration, flags) in CONFIGURATIONS.iter().enumerate() {
        let program = Program::configured(configuration);
        let closure = program.extract(&["program::everything"]);
        assert!(
            closure.undefined.iter().all(|symbol| is_runtime(symbol)),
            "{flags:?}: {:?}",
            closure.undefined
        );
        let cuts: HashSet<Cut> = closure.cuts.iter().map(|(_, cut)| *cut).collect();
        for cut in [Cut::PanicHandler, Cut::Alloc, Cut::Dealloc, Cut::AllocError] {
            assert!(cuts.contains(&cut), "{flags:?}: {cut:?} of {cuts:?}");
        }
        let cut: HashSet<&str> = closure.cuts.iter().map(|(symbol, _)| &**symbol).collect();
        for symbol in compile(&closure) {
            // What the optimiser and the code generator call by themselves.
            let maths = ["expf", "exp", "sinf", "sin", "_Unwind_Resume"].contains(&&*symbol);
            assert!(
                cut.contains(&*symbol) || is_runtime(&symbol) || maths,
                "{flags:?}: {symbol}"
            );
        }
    }
}

#[test]
fn leaves_the_host_out() {
    let program = Program::configured(0);
    let closure = program.extract(&["program::small"]);
    let context = Context::create();
    let buffer = MemoryBuffer::create_from_memory_range_copy(&closure.bitcode, "closure");
    toolchain();
    let module = Module::parse_bitcode_from_buffer(&buffer, &context).unwrap();
    let mut external = Vec::new();
    for function in module.get_functions() {
        let name = function.get_name().to_str().unwrap();
        assert!(
            !name.contains("host_only") && !name.contains("everything"),
            "{name}"
        );
        if function.count_basic_blocks() > 0 && function.get_linkage() != Linkage::Internal {
            external.push(name.to_owned());
        }
    }
    let entry = module.get_function(&program.entry("program::small"));
    assert_eq!(
        needs(entry.unwrap()),
        "legionella.maths.exp.f32,legionella.maths.sin.f32,legionella.panic_handler"
    );
    external.sort_unstable();
    let mut expected = vec![
        program.entry("program::small"),
        "legionella.alloc_error".to_owned(),
        "legionella.maths.exp.f32".to_owned(),
        "legionella.maths.sin.f32".to_owned(),
        "legionella.panic_handler".to_owned(),
        "legionella.panic_str".to_owned(),
    ];
    expected.sort_unstable();
    assert_eq!(external, expected);
}

/// What lowering may bind operations of an entry shim to.
fn needs(entry: inkwell::values::FunctionValue<'_>) -> String {
    let place = inkwell::attributes::AttributeLoc::Function;
    let attribute = entry.get_string_attribute(place, "legionella.needs");
    let value = attribute.unwrap();
    value.get_string_value().to_str().unwrap().to_owned()
}

#[test]
fn those_who_allocate_bring_the_heap_along() {
    let program = Program::configured(0);
    let closure = program.extract(&["program::everything"]);
    let context = Context::create();
    let buffer = MemoryBuffer::create_from_memory_range_copy(&closure.bitcode, "closure");
    toolchain();
    let module = Module::parse_bitcode_from_buffer(&buffer, &context).unwrap();
    let entry = module.get_function(&program.entry("program::everything"));
    let needed = needs(entry.unwrap());
    for name in ["legionella.heap.alloc", "legionella.heap.dealloc"] {
        assert!(needed.split(',').any(|need| need == name), "{needed}");
        let function = module.get_function(name).unwrap();
        assert_eq!(function.get_linkage(), Linkage::External, "{name}");
    }
    let cuts: HashSet<Cut> = closure.cuts.iter().map(|(_, cut)| *cut).collect();
    assert!(cuts.contains(&Cut::Alloc) && cuts.contains(&Cut::Dealloc));
}

#[test]
fn stops_at_printing_and_old_panics() {
    let program = Program::configured(1);
    let closure = program.extract(&["program::prints", "program::panics_with_payload"]);
    let cuts: HashSet<Cut> = closure.cuts.iter().map(|(_, cut)| *cut).collect();
    assert!(
        cuts.contains(&Cut::Print) && cuts.contains(&Cut::BeginPanic),
        "{cuts:?}"
    );
    assert!(
        closure.undefined.iter().all(|symbol| is_runtime(symbol)),
        "{:?}",
        closure.undefined
    );
}

#[test]
fn names_what_no_crate_has() {
    let program = Program::configured(0);
    let closure = program.extract(&["program::foreign"]);
    assert!(
        closure.undefined.contains(&"getpid".to_owned()),
        "{:?}",
        closure.undefined
    );
}

#[test]
fn says_what_a_kernel_is_and_where() {
    for (configuration, flags) in CONFIGURATIONS.iter().enumerate() {
        let program = Program::configured(configuration);
        let closure = program.extract(&["program::small", "program::everything"]);
        let [small, everything] = &closure.entries[..] else {
            panic!("{:?}", closure.entries);
        };
        assert_eq!(small.kernel, "program::small");
        assert!(small.instructions > 0);
        assert!(everything.instructions > 10 * small.instructions);
        if flags.iter().any(|flag| flag.contains("debuginfo")) {
            let line = PROGRAM
                .lines()
                .position(|line| line.contains("fn small"))
                .unwrap();
            let source = small.source.as_ref().unwrap();
            assert_eq!(
                (source.file.as_str(), source.line),
                ("program.rs", line as u32 + 1)
            );
        }
    }
}

#[test]
fn a_missing_kernel_is_named() {
    toolchain();
    let result = closure(toolchain(), &["_RNvCs0_7program4gone"], &[], &[]);
    let Err(Error::MissingKernel { kernel }) = result else {
        panic!("{result:?}");
    };
    assert_eq!(kernel, "program::gone");
}

#[test]
fn damaged_bitcode_is_an_error() {
    let program = Program::compile("damaged", CONFIGURATIONS[0]);
    let entry = program.entry("program::small");
    let store = program.stores.first().unwrap();
    for file in Index::read(store).unwrap().files() {
        let path: &Path = &store.join(file);
        let mut bytes = std::fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        bytes.truncate(middle);
        std::fs::write(path, bytes).unwrap();
    }
    let result = closure(toolchain(), &[&entry], &program.stores, &[]);
    assert!(matches!(result, Err(Error::Bitcode { .. })), "{result:?}");
}

fn record(program: &Program, kernel: &str) -> link::Record {
    link::Record {
        entry: program.entry(kernel),
        block_size: 24,
        block_align: 8,
        arguments: Vec::new(),
    }
}

/// The plan of an image with these kernels of a program.
fn plan(program: &Program, kernels: &[&str], kept: Option<PathBuf>) -> link::Plan {
    let records = kernels.iter().map(|kernel| record(program, kernel));
    link::Plan {
        records: records.collect(),
        stores: program.stores.clone(),
        sysroot_archives: sysroot_archives(),
        toolchain: Toolchain {
            rustc: "rustc".to_owned(),
            sysroot: sysroot(),
            triple: "x86_64-unknown-linux-gnu".to_owned(),
        },
        driver: "/driver".to_owned(),
        prebuild: Vec::new(),
        maths: Default::default(),
        kept,
    }
}

#[test]
fn bundles_read_back() {
    let program = Program::configured(0);
    let kernels = ["program::small", "program::everything"];
    let plan = plan(program, &kernels, None);
    let bytes = link::bundle(&plan).unwrap().bytes;
    let again = link::bundle(&plan).unwrap().bytes;
    assert!(bytes == again, "not reproducible");
    let bundle = Bundle::parse(&bytes).unwrap();
    assert_eq!(bundle.manifest.kernels.len(), 2);
    assert_eq!(bundle.manifest.kernels[1].name, "program::everything");
    assert_eq!(bundle.manifest.toolchain, plan.toolchain);
    for kernel in &bundle.manifest.kernels {
        let (module, compressed) = bundle.module(kernel).unwrap();
        let mut bitcode = Vec::new();
        let mut decoder = flate2::read::DeflateDecoder::new(compressed);
        std::io::Read::read_to_end(&mut decoder, &mut bitcode).unwrap();
        assert_eq!(bitcode.len() as u64, module.bitcode_len);
        assert_eq!(*blake3::hash(&bitcode).as_bytes(), module.hash);
    }
}

/// The module of a bundle's first kernel.
fn first_module<'ctx>(linked: &link::Linked, context: &'ctx Context) -> Module<'ctx> {
    let bundle = Bundle::parse(&linked.bytes).unwrap();
    let mut bitcode = Vec::new();
    let (_, compressed) = bundle.module(&bundle.manifest.kernels[0]).unwrap();
    let mut decoder = flate2::read::DeflateDecoder::new(compressed);
    std::io::Read::read_to_end(&mut decoder, &mut bitcode).unwrap();
    let buffer = MemoryBuffer::create_from_memory_range_copy(&bitcode, "module");
    Module::parse_bitcode_from_buffer(&buffer, context).unwrap()
}

/// Targets that pass the block by value ask for its size, which the compiler says only where it optimises.
#[test]
fn argument_blocks_have_a_size_without_optimisation_too() {
    let program = Program::configured(1);
    let plan = plan(program, &["program::small"], None);
    let linked = link::bundle(&plan).unwrap();
    let context = Context::create();
    let module = first_module(&linked, &context);
    let entry = module.get_function(&plan.records[0].entry).unwrap();
    let kind = Attribute::get_named_enum_kind_id("dereferenceable");
    let size = entry.get_enum_attribute(AttributeLoc::Param(0), kind);
    assert_eq!(size.map(|size| size.get_enum_value()), Some(24));
}

/// Names of the functions in the module of a bundle's first kernel.
fn functions_in(linked: &link::Linked) -> BTreeSet<String> {
    let context = Context::create();
    let module = first_module(linked, &context);
    let names = module.get_functions();
    names
        .map(|function| function.get_name().to_str().unwrap().to_owned())
        .collect()
}

#[test]
fn what_other_crates_give_is_kept_while_the_program_changes() {
    let program = Program::configured(0);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kept.closure");
    let kept =
        |kernels: &[&str]| link::bundle(&plan(program, kernels, Some(file.clone()))).unwrap();
    let afresh = |kernels: &[&str]| link::bundle(&plan(program, kernels, None)).unwrap();
    let foundation = || std::fs::read(file.with_extension("foundation")).unwrap();

    let small = kept(&["program::small"]);
    let first = foundation();
    // A kernel that reaches more makes a larger one,
    let both = kept(&["program::small", "program::everything"]);
    let second = foundation();
    assert_ne!(first, second);
    assert!(both.bytes == afresh(&["program::small", "program::everything"]).bytes);
    // which serves one that reaches less, and leaves nothing in its closure.
    std::fs::remove_file(&file).unwrap();
    let again = kept(&["program::small"]);
    assert!(foundation() == second);
    assert_eq!(functions_in(&again), functions_in(&small));
}

#[test]
fn a_closure_is_kept_until_something_changes() {
    let program = Program::compile("kept", CONFIGURATIONS[0]);
    let file = program.directory.join("kept-closure");
    let mut plan = plan(&program, &["program::small"], Some(file.clone()));
    let inode = || std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(&file).unwrap());
    let bytes = link::bundle(&plan).unwrap().bytes;
    // Writing replaces the file, so the file stays as long as what it holds is used.
    let first = inode();
    assert!(link::bundle(&plan).unwrap().bytes == bytes);
    assert_eq!(inode(), first);

    // Another store that has nothing of the kernel's changes nothing.
    let unrelated = Program::compile("unrelated", CONFIGURATIONS[2]);
    plan.stores.push(unrelated.stores[1].clone());
    assert!(link::bundle(&plan).unwrap().bytes == bytes);
    assert_eq!(inode(), first);

    // Another kernel does.
    plan.records.push(record(&program, "program::foreign"));
    assert!(link::bundle(&plan).unwrap().bytes != bytes);
    let second = inode();
    assert_ne!(second, first);

    // So does another version of a crate that the kernel calls,
    plan.stores[1] = unrelated.stores[1].clone();
    link::bundle(&plan).unwrap();
    let third = inode();
    assert_ne!(third, second);

    // and a damaged file.
    let mut damaged = std::fs::read(&file).unwrap();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    std::fs::write(&file, damaged).unwrap();
    link::bundle(&plan).unwrap();
    assert_ne!(inode(), third);
}
