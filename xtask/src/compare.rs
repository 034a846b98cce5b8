//! `cargo xtask amdgpu --compare`: the code of the benchmarks' kernels for AMD's devices beside that of the same
//! algorithms in OpenCL C, compiled by clang for the same processor. Needs no GPU.
//!
//! Takes the benchmarks' executables and `benches/src/pocl/kernels.cl`; prints what each side needs and how its busiest
//! loop looks, and fails where ours is worse in occupancy or in the width of loads. Both sides round strictly.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context as _, bail, ensure};
use legionella_abi::bundle::{Bundle, Kernel, SECTION};
use legionella_abi::gpu;
use legionella_abi::protocol::TargetSpec;
use legionella_driver::amdgcn::{self, Access, Code, Memory, Usage};
use legionella_driver::generate::Failure;
use legionella_driver::inspect::{self, Stage};
use legionella_driver::llvm;
use legionella_driver::target::Toolbox;
use object::{Object as _, ObjectSection as _};

use crate::tools::Tools;

/// The compiler of OpenCL C, and how to get it.
const CLANG: &str = "clang-22";
const ADVICE: &str = "`apt-get install clang-22` brings the compiler of OpenCL C to compare with";

/// As people compile for AMD's devices, and strictly: nothing is contracted, quotients and roots are exact.
const OPTIONS: [&str; 13] = [
    "-xcl",
    "-cl-std=CL3.0",
    "-target",
    "amdgcn-amd-amdhsa",
    "-nogpulib",
    "-O3",
    "-ffp-contract=off",
    "-cl-fp32-correctly-rounded-divide-sqrt",
    "-cl-uniform-work-group-size",
    "-Xclang",
    "-finclude-default-header",
    "-w",
    "-S",
];

/// An algorithm in both languages.
struct Pair {
    /// The kernel in OpenCL C.
    theirs: &'static str,
    /// The program that has ours, its name there, and the function that usual launches call.
    program: &'static str,
    ours: &'static str,
    function: &'static str,
    /// Work-items of a group.
    group: u32,
    /// Whether it is a loop that takes the time.
    is_loop: bool,
}

const fn pair(
    theirs: &'static str,
    program: &'static str,
    ours: &'static str,
    function: &'static str,
    (group, is_loop): (u32, bool),
) -> Pair {
    Pair {
        theirs,
        program,
        ours,
        function,
        group,
        is_loop,
    }
}

const STRAIGHT: (u32, bool) = (256, false);
const LOOP: (u32, bool) = (256, true);

const PAIRS: [Pair; 16] = [
    pair(
        "copy",
        "cuda-benches",
        "launches::copy<f32>",
        gpu::WIDE,
        STRAIGHT,
    ),
    pair(
        "mul",
        "cuda-benches",
        "launches::mul<f32>",
        gpu::WIDE,
        STRAIGHT,
    ),
    pair(
        "add",
        "cuda-benches",
        "launches::add<f32>",
        gpu::WIDE,
        STRAIGHT,
    ),
    pair("triad", "benches", "triad::triad", gpu::WIDE, STRAIGHT),
    pair(
        "dot_product",
        "cuda-benches",
        "launches::dot<f32>",
        gpu::KERNEL,
        (1024, true),
    ),
    pair("n_body", "benches", "kernels::n_body", gpu::LINE, LOOP),
    pair(
        "mandelbrot",
        "benches",
        "kernels::mandelbrot",
        gpu::PLANE,
        LOOP,
    ),
    pair(
        "convolution",
        "benches",
        "kernels::convolve",
        gpu::PLANE,
        STRAIGHT,
    ),
    pair(
        "black_scholes",
        "benches",
        "kernels::black_scholes",
        gpu::LINE,
        STRAIGHT,
    ),
    pair("rays", "benches", "rays::picture", gpu::PLANE, LOOP),
    pair("spmv", "benches", "kernels::spmv", gpu::LINE, LOOP),
    pair(
        "fft",
        "cuda-benches",
        "matrices::pass",
        gpu::PLANE,
        STRAIGHT,
    ),
    pair("matmul", "benches", "matmul::product", gpu::PLANE, LOOP),
    pair("gemm", "cuda-benches", "matrices::gemm", gpu::PLANE, LOOP),
    pair(
        "reduction",
        "benches",
        "reduction::sums",
        gpu::LINE,
        STRAIGHT,
    ),
    pair("counts", "benches", "counts::count", gpu::LINE, LOOP),
];

/// Whether there is a compiler to compare with; says how to get it if not.
pub fn is_possible() -> Result<(), &'static str> {
    let found = Command::new(CLANG).arg("--version").output();
    let runs = found.is_ok_and(|output| output.status.success());
    if runs { Ok(()) } else { Err(ADVICE) }
}

/// Compares kernels whose name in OpenCL C contains `filter`.
pub fn run(tools: &Tools, filter: &str, processors: &[String]) -> anyhow::Result<()> {
    if let Err(advice) = is_possible() {
        bail!(advice);
    }
    tools.executable("benches")?;
    let pairs: Vec<_> = (PAIRS.iter())
        .filter(|pair| pair.theirs.contains(filter))
        .collect();
    ensure!(!pairs.is_empty(), "no kernel's name contains `{filter}`");
    let programs = ["benches", "cuda-benches"]
        .map(|name| Ok((name, Program::open(&tools.wrapped(name))?)))
        .into_iter()
        .collect::<anyhow::Result<Vec<_>>>()?;
    let program = |pair: &Pair| {
        let found = programs.iter().find(|(name, _)| *name == pair.program);
        found.map(|(_, program)| program).context("no such program")
    };
    llvm::load(&llvm::find(Some(&programs[0].1.sysroot))?)?;

    let sources = tools.root().join("benches/src/pocl");
    let theirs = side_by_side(processors, |processor| compile(&sources, processor))?;
    let jobs: Vec<(usize, &Pair)> = (0..processors.len())
        .flat_map(|number| pairs.iter().map(move |pair| (number, *pair)))
        .collect();
    let ours = side_by_side(&jobs, |(number, pair)| {
        let text = program(pair)?.assembly(pair.ours, &processors[*number])?;
        amdgcn::read(&text, pair.function).with_context(|| pair.ours.to_owned())
    })?;
    let mut worse = 0;
    let mut last = usize::MAX;
    for ((number, pair), ours) in jobs.into_iter().zip(ours) {
        let processor = &processors[number];
        if last != number {
            println!("\n{processor}\n{HEAD}");
            last = number;
        }
        let theirs = amdgcn::read(&theirs[number], pair.theirs)
            .with_context(|| format!("{CLANG}'s code of {}", pair.theirs))?;
        let ours = Side::of(processor, pair, ours)?;
        let theirs = Side::of(processor, pair, theirs)?;
        let verdict = ours.worse_than(&theirs);
        println!(
            "{}",
            ours.row(pair.theirs, verdict.as_deref().unwrap_or(""))
        );
        println!("{}", theirs.row("", ""));
        worse += usize::from(verdict.is_some());
    }
    ensure!(worse == 0, "{worse} kernels are worse than {CLANG}'s");
    Ok(())
}

/// What a function gives for each of some things, on all processors.
fn side_by_side<T: Sync, R: Send>(
    all: &[T],
    work: impl Fn(&T) -> anyhow::Result<R> + Sync,
) -> anyhow::Result<Vec<R>> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    let take_turns = || {
        while let Some((index, one)) = {
            let index = next.fetch_add(1, Ordering::Relaxed);
            all.get(index).map(|one| (index, one))
        } {
            let result = work(one);
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            done.push((index, result));
        }
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| (0..workers).for_each(|_| drop(scope.spawn(take_turns))));
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

/// A program with kernels.
struct Program {
    bundle: Vec<u8>,
    sysroot: PathBuf,
}

impl Program {
    fn open(path: &Path) -> anyhow::Result<Self> {
        let context = || path.display().to_string();
        let bytes = fs::read(path).with_context(context)?;
        let file = object::File::parse(&*bytes).with_context(context)?;
        let section = file.section_by_name(SECTION).with_context(context)?;
        let bundle = section.data()?.to_vec();
        let sysroot = (Bundle::parse(&bundle).with_context(context)?.manifest)
            .toolchain
            .sysroot
            .into();
        Ok(Program { bundle, sysroot })
    }

    /// The assembly of a kernel, by the end of its name.
    fn assembly(&self, kernel: &str, processor: &str) -> anyhow::Result<String> {
        let bundle = Bundle::parse(&self.bundle)?;
        let called = |one: &&Kernel| one.name.ends_with(&format!("::{kernel}"));
        let found = bundle.manifest.kernels.iter().find(called);
        let found = found.with_context(|| format!("there is no kernel `{kernel}`"))?;
        let bitcode = inspect::bitcode(&bundle, found)?;
        let target = TargetSpec {
            kind: "amdgpu".to_owned(),
            cpu: processor.to_owned(),
        };
        let toolbox = Toolbox {
            sysroot: Some(self.sysroot.clone()),
            ..Toolbox::default()
        };
        let seen = inspect::show(&bitcode, &found.entry, &target, Stage::Assembly, &toolbox);
        match seen.outcome {
            Ok(()) => seen.text.context("no assembly"),
            Err(Failure::Error(error)) => Err(error).context(found.name.clone()),
            Err(refused) => bail!("{}: {refused}", found.name),
        }
    }
}

/// The kernels in OpenCL C as assembly.
fn compile(sources: &Path, processor: &str) -> anyhow::Result<String> {
    let mut clang = Command::new(CLANG);
    clang.args(OPTIONS).arg(format!("-mcpu={processor}"));
    clang.arg("-include").arg(sources.join("amdgcn.h"));
    clang.arg(sources.join("kernels.cl")).args(["-o", "-"]);
    // Where a file of options lies that somebody has for other purposes.
    clang.env_remove("CCC_OVERRIDE_OPTIONS");
    let output = clang.output().with_context(|| CLANG.to_owned())?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{CLANG} for {processor}: {said}");
    Ok(String::from_utf8(output.stdout)?)
}

/// Explains the columns.
const HEAD: &str = "\
                VGPR SGPR spill stack   LDS waves | all | loop flops  scalar  vector   group | flat
--------------- ---- ---- ----- ----- ----- ----- + --- + ---- ----- ------- ------- ------- + ----";

/// One side's code.
struct Side {
    usage: Usage,
    occupancy: f64,
}

impl Side {
    fn of(processor: &str, pair: &Pair, mut usage: Usage) -> anyhow::Result<Self> {
        if !pair.is_loop {
            usage.busiest = None;
        }
        let occupancy = amdgcn::occupancy(processor, &usage, pair.group);
        let occupancy = occupancy.with_context(|| format!("what {processor} has is not known"))?;
        Ok(Side { usage, occupancy })
    }

    /// The loop that counts, or all of the code where there is none.
    fn busiest(&self) -> &Code {
        self.usage.busiest.as_ref().unwrap_or(&self.usage.all)
    }

    /// In which way it is worse, if in any.
    fn worse_than(&self, other: &Side) -> Option<String> {
        let mut ways = Vec::new();
        if self.occupancy < other.occupancy {
            ways.push("occupancy");
        }
        // One access of what is needed is as good as a wider one.
        for memory in [&VECTOR[..], &GROUP[..]] {
            let (ours, theirs) = (&self.usage.all, &other.usage.all);
            let narrower = ours.widest(memory, Access::Load) < theirs.widest(memory, Access::Load);
            if narrower && ours.count(memory, Access::Load) > theirs.count(memory, Access::Load) {
                ways.push("width of loads");
            }
        }
        (!ways.is_empty()).then(|| format!("  worse: {}", ways.join(", ")))
    }

    fn row(&self, name: &str, verdict: &str) -> String {
        let Usage {
            vector,
            scalar,
            spilled,
            scratch,
            shared,
            all,
            ..
        } = &self.usage;
        let inner = self.usage.busiest.as_ref();
        let (turn, operations) = match inner {
            Some(inner) => (inner.instructions.to_string(), inner.operations.to_string()),
            None => ("-".to_owned(), all.operations.to_string()),
        };
        let code = self.busiest();
        let loads = |memory: &[Memory]| {
            let widest = code.widest(memory, Access::Load);
            match code.count(memory, Access::Load) {
                0 => "-".to_owned(),
                count => format!("{count}x{widest}"),
            }
        };
        let flat =
            all.count(&[Memory::Flat], Access::Load) + all.count(&[Memory::Flat], Access::Store);
        format!(
            "{name:15} {vector:4} {scalar:4} {spilled:5} {scratch:5} {shared:5} {:5} | {:3} | {turn:>4} {operations:>5} \
             {:>7} {:>7} {:>7} | {flat:4}{verdict}",
            self.occupancy,
            all.instructions,
            loads(&[Memory::Scalar]),
            loads(&VECTOR),
            loads(&GROUP),
        )
    }
}

/// Memory that all lanes access at addresses of their own.
const VECTOR: [Memory; 3] = [Memory::Device, Memory::Flat, Memory::Item];
const GROUP: [Memory; 1] = [Memory::Group];
