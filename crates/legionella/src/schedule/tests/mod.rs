//! Launches of functions of the test, on a CPU of the test's own, without generated code.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use legionella_abi::cpu::{Launch, Progress};

use crate::accelerator::Accelerator;
use crate::backend::Program;
use crate::backend::cpu::{Cpu, testing};
use crate::buffer::{Buffer, Slice, SliceMut};
use crate::error::{Error, Result};
use crate::grid::Grid;
use crate::launch::form::Span;
use crate::launch::{After, Binder, Pass, launch_program};
use crate::schedule::completion::Completion;
use legionella_device::Disjoint;

mod allocations;
mod failures;
mod order;
mod threads;

/// A test's own accelerator and the program that runs its closures.
struct Bench {
    accelerator: Accelerator,
    program: &'static Program,
}

/// What a closure is told of the group that it runs.
struct Group {
    index: u64,
    progress: *mut Progress,
}

impl Group {
    /// Panics as an item of generated code does.
    fn panic(&self, message: &str) -> ! {
        // SAFETY: closures of these tests have nothing to drop when they call this.
        unsafe { testing::panic(self.progress, [self.index, 0, 0], message) }
    }
}

type Body = dyn Fn(&Group) + Sync;

#[derive(Clone, Copy)]
#[repr(C)]
struct Block {
    body: &'static Body,
    memory: [Option<Span<u32>>; 2],
}

/// Stands in for generated code: one work-item a group, which is the closure in the block.
unsafe extern "C" fn run(
    block: *const u8,
    _launch: *const Launch,
    first: u64,
    end: u64,
    progress: *mut Progress,
) {
    // SAFETY: launched with such a block.
    let block = unsafe { &*block.cast::<Block>() };
    for index in first..end {
        (block.body)(&Group { index, progress });
    }
}

/// What a launch of a test reads and writes.
#[derive(Default)]
struct Memory<'a> {
    read: Option<Slice<'a, u32>>,
    write: Option<SliceMut<'a, u32>>,
}

fn reads(buffer: &Buffer<u32>) -> Memory<'_> {
    Memory {
        read: Some(buffer.as_slice()),
        write: None,
    }
}

fn writes<'a>(buffer: impl Into<SliceMut<'a, u32>>) -> Memory<'a> {
    Memory {
        read: None,
        write: Some(buffer.into()),
    }
}

impl Bench {
    fn new(threads: usize) -> Self {
        let cpu = Arc::new(Cpu::new("test", threads));
        Bench {
            program: cpu.program(run),
            accelerator: Accelerator::new(cpu),
        }
    }

    fn launch_after(
        &self,
        groups: usize,
        memory: Memory<'_>,
        after: After<'_>,
        body: impl Fn(&Group) + Sync + 'static,
    ) -> Result<Completion> {
        let grid = Grid::over(groups).group(1);
        let body: &'static Body = Box::leak(Box::new(body));
        let block = |binder: &mut Binder<'_>| {
            let read = memory
                .read
                .map(|read| <_ as Pass<&[u32]>>::bind(read, binder));
            let write = memory
                .write
                .map(|write| <_ as Pass<Disjoint<u32>>>::bind(write, binder));
            Ok(Block {
                body,
                memory: [read.transpose()?, write.transpose()?],
            })
        };
        // SAFETY: `run` takes such blocks. Closures reach memory only by what they own.
        unsafe { launch_program(&self.accelerator, self.program, grid, block, after) }
    }

    fn launch(
        &self,
        groups: usize,
        memory: Memory<'_>,
        body: impl Fn(&Group) + Sync + 'static,
    ) -> Completion {
        self.launch_after(groups, memory, After::default(), body)
            .unwrap()
    }

    fn buffer(&self, len: usize) -> Buffer<u32> {
        self.accelerator.zeroed(len).unwrap()
    }
}

/// Something that happens once and is waited for, by kernels and tests alike.
#[derive(Clone, Default)]
struct Event(Arc<AtomicBool>);

impl Event {
    fn happen(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    fn happened(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Waits for it; gives up, and the test fails, long after it should have happened.
    fn wait(&self) {
        let start = Instant::now();
        while !self.happened() {
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "it never happens"
            );
            thread::yield_now();
        }
    }
}

/// Time in which something that may happen would.
const A_WHILE: Duration = Duration::from_millis(30);
