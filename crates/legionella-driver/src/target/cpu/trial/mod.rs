//! Kernels as text, compiled by the CPU target and run in the test's own process.
//!
//! Takes the IR of an entry shim as simplification leaves it, gives what a launch of it does. What
//! an application does around generated code is done here by LLVM's own in-process linker.

mod elsewhere;
mod fuzz;
mod kernel;
mod linked;

use std::cell::{Cell, RefCell};

use inkwell::context::Context;
use inkwell::memory_buffer::MemoryBuffer;
use inkwell::module::Module;
use inkwell::targets::TargetMachine;
use legionella_abi::cpu::{Host, Launch, Panic, Progress, Run};
use legionella_abi::protocol::TargetSpec;

use super::regions::Policy;
use crate::generate::Stages;
use crate::lower::Lowered;
use linked::Linked;

/// A panic of a work-item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Panicked {
    pub(super) item: [u64; 3],
    pub(super) line: u32,
    pub(super) column: u32,
}

/// A kernel that can be launched.
pub(super) struct Program {
    linked: Linked,
    /// What the compiler says of how it runs work-items.
    pub(super) way: String,
    /// Bytes that each item may write to an array so that launches store through the caches.
    pub(super) kept: u64,
}

/// Loads LLVM. Tests of one process use the same library, one at a time: LLVM's command line
/// options are global.
pub(super) fn llvm() {
    let path = crate::llvm::find(None).unwrap();
    crate::llvm::load(&path).unwrap();
}

/// This machine, or one of a level.
pub(super) fn machine(cpu: &str) -> TargetMachine {
    llvm();
    let spec = TargetSpec {
        kind: "cpu".to_owned(),
        cpu: cpu.to_owned(),
    };
    super::machine(&spec).unwrap()
}

impl Program {
    /// Compiles the entry shim `kernel` of a module, for this machine or a level.
    pub(super) fn compile(text: &str, cpu: &str, simplify: bool, policy: Policy) -> Self {
        match Program::compile_if_cut(text, cpu, simplify, policy) {
            Ok(program) => program,
            Err(way) => panic!("{way}:\n{text}"),
        }
    }

    /// The same, unless items become coroutines, which need the device library; then the reason.
    pub(super) fn compile_if_cut(
        text: &str,
        cpu: &str,
        simplify: bool,
        policy: Policy,
    ) -> Result<Self, String> {
        let machine = machine(cpu);
        compile(text, &machine, simplify, policy, |module, way| Program {
            linked: Linked::new(module, &machine),
            way,
            kept: u64::MAX,
        })
    }

    /// Runs all groups.
    ///
    /// # Safety
    /// The block has to hold what the kernel reads from it.
    pub(super) unsafe fn launch(
        &self,
        block: *const u8,
        grid: [u64; 3],
        group: [u64; 3],
    ) -> Result<(), Panicked> {
        let launch = Launch {
            grid,
            group,
            groups: [0, 1, 2].map(|d| grid[d].div_ceil(group[d])),
            shared: 0,
            kept: self.kept,
        };
        let mut progress = Progress { item: [0; 3] };
        let run: Run = self.linked.function(c"legionella_run");
        let enter: Enter = self.linked.function(c"trial_enter");
        let host: *mut *const Host = self.linked.address(c"legionella_host");
        // SAFETY: the code was generated to be called like this; the buffer is larger than any
        // `jmp_buf`.
        unsafe {
            host.write(&raw const HOST);
            let mut place = [0u64; 64];
            PLACE.set(place.as_mut_ptr());
            LEAVE.set(Some(self.linked.function(c"trial_leave")));
            let end = launch.groups.iter().product();
            let left = enter(
                place.as_mut_ptr(),
                run,
                block,
                &launch,
                0,
                end,
                &mut progress,
            );
            if left == 0 {
                return Ok(());
            }
        }
        let (line, column) = WHERE.get();
        Err(Panicked {
            item: progress.item,
            line,
            column,
        })
    }
}

/// Has the target optimise the entry shim `kernel` of a module, and gives what is made of it and of what
/// is said of how it runs work-items; if they become coroutines, which need the device library, the
/// reason.
pub(super) fn compile<T>(
    text: &str,
    machine: &TargetMachine,
    simplify: bool,
    policy: Policy,
    finish: impl FnOnce(&Module<'_>, String) -> T,
) -> Result<T, String> {
    let context = Context::create();
    crate::llvm::diagnostics::log(&context);
    let buffer = MemoryBuffer::create_from_memory_range_copy(text.as_bytes(), "kernel");
    let module = context
        .create_module_from_ir(buffer)
        .unwrap_or_else(|error| panic!("{error}:\n{text}"));
    module.set_triple(&machine.get_triple());
    module.set_data_layout(&machine.get_target_data().get_data_layout());
    if simplify {
        crate::generate::SIMPLIFY.run(&module, machine).unwrap();
    }
    let kernel = Lowered {
        module,
        entry: "kernel".to_owned(),
    };
    let mut way = String::new();
    let mut see = |stage: &str, text: &str| {
        if stage == "way" {
            text.clone_into(&mut way);
        }
        if let Some(folder) = std::env::var_os("LEGIONELLA_DUMP") {
            let path = std::path::PathBuf::from(folder).join(format!("trial-{stage}.ll"));
            std::fs::write(path, text).unwrap();
        }
    };
    let mut stages = Stages::seen_by(&mut see);
    let optimised = super::optimise_by(&kernel, machine, &mut stages, policy);
    if let Err(error) = optimised {
        if way.starts_with("coroutines") {
            return Err(way);
        }
        panic!("{error}:\n{text}");
    }
    stages.show("optimized", &kernel.module).unwrap();
    Ok(finish(&kernel.module, way))
}

type Enter =
    unsafe extern "C" fn(*mut u64, Run, *const u8, *const Launch, u64, u64, *mut Progress) -> u32;

/// Calls generated code so that [`leave`] can end the call.
const ENTER: &str = "
    declare i32 @_setjmp(ptr) returns_twice
    declare void @longjmp(ptr, i32) noreturn
    define i32 @trial_enter(ptr %place, ptr %run, ptr %block, ptr %launch, i64 %first, i64 %end,
                            ptr %progress) {
        %left = call i32 @_setjmp(ptr %place) returns_twice
        %again = icmp ne i32 %left, 0
        br i1 %again, label %done, label %start
    start:
        call void %run(ptr %block, ptr %launch, i64 %first, i64 %end, ptr %progress)
        br label %done
    done:
        ret i32 %left
    }
    define void @trial_leave(ptr %place) noreturn {
        call void @longjmp(ptr %place, i32 1)
        unreachable
    }";

thread_local! {
    static PLACE: Cell<*mut u64> = const { Cell::new(std::ptr::null_mut()) };
    static LEAVE: Cell<Option<unsafe extern "C" fn(*mut u64) -> !>> = const { Cell::new(None) };
    static WHERE: Cell<(u32, u32)> = const { Cell::new((0, 0)) };
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

static HOST: Host = Host {
    alloc,
    alloc_zeroed: alloc,
    dealloc,
    realloc,
    panic: leave,
    scratch,
    pause,
    running_item,
};

unsafe extern "C" fn pause() {}

unsafe extern "C" fn running_item(_: *mut [u64; 2]) {
    unreachable!("the kernels of these tests don't print")
}

unsafe extern "C" fn alloc(_: usize, _: usize) -> *mut u8 {
    unreachable!("the kernels of these tests don't allocate")
}

unsafe extern "C" fn dealloc(_: *mut u8, _: usize, _: usize) {}

unsafe extern "C" fn realloc(_: *mut u8, _: usize, _: usize, _: usize) -> *mut u8 {
    unreachable!("the kernels of these tests don't allocate")
}

/// Memory of the thread, with something in it.
unsafe extern "C" fn scratch(size: usize, align: usize) -> *mut u8 {
    SCRATCH.with_borrow_mut(|memory| {
        memory.clear();
        memory.resize(size + align, 0xa5);
        let start = memory.as_mut_ptr();
        // SAFETY: there are `align` bytes more than asked for.
        unsafe { start.add(start.align_offset(align)) }
    })
}

unsafe extern "C" fn leave(panic: *const Panic) -> ! {
    // SAFETY: generated code passes a valid record, and runs within `trial_enter`.
    unsafe {
        WHERE.set(((*panic).line, (*panic).column));
        match LEAVE.get() {
            Some(leave) => leave(PLACE.get()),
            None => std::process::abort(),
        }
    }
}
