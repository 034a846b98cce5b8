//! The CPU as an accelerator: memory of the process, work-groups over a pool of threads.
//!
//! Takes code as shared objects (contract: [`legionella_abi::cpu`]).
//!
//! * [`heap`]: what kernels allocate from, if not by the program's allocator;
//! * [`memory`]: where buffers are;
//! * [`pool`]: which thread runs which groups of which launch;
//! * [`call`]: calls into generated code, and what it calls back;
//! * [`scratch`]: memory that generated code has while it runs;
//! * [`escape`]: how a panicking work-item leaves generated code;
//! * [`stack`]: what generated code runs on, and what happens if that doesn't suffice.

use std::alloc::Layout;
use std::ptr::{self, NonNull};
use std::sync::{Arc, OnceLock};

use legionella_abi::cpu::Run;
use legionella_abi::protocol::TargetSpec;
use legionella_device::Index;
use legionella_device::heap::statistics::Statistics;

use super::transfers::doublings;
use super::{Backend, Code};
use crate::code::load::SharedObject;
use crate::code::{self, Machine};
use crate::error::{Error, Result};
use crate::printing::Printer;
use crate::schedule::slot::Running;

mod call;
mod escape;
mod heap;
mod memory;
mod pool;
mod scratch;
mod stack;

use heap::Region;
use pool::Pool;

/// Variable with the number of threads; as many as there are cores without it.
const THREADS: &str = "LEGIONELLA_THREADS";

/// Variable with the processor that code is for, by the names of prebuilt code; the one at hand without
/// it. Code that it can't run is an error.
const PROCESSOR: &str = "LEGIONELLA_CPU";

/// The CPU is one device.
pub(super) fn devices() -> Result<Vec<Arc<dyn Backend>>> {
    let cores = || std::thread::available_parallelism().map_or(1, |cores| cores.get());
    let threads = match std::env::var_os(THREADS) {
        None => cores(),
        Some(value) => {
            let value = value.to_string_lossy().into_owned();
            match value.parse() {
                Ok(threads @ 1..=4096) => threads,
                _ => {
                    return Err(Error::from(code::Error::Setting {
                        variable: THREADS,
                        value,
                        expected: "a number of threads from 1 to 4096",
                    }));
                }
            }
        }
    };
    if let Some(value) = std::env::var_os(call::SIZE) {
        let value = value.to_string_lossy().into_owned();
        let bytes = code::settings::bytes(&value).and_then(|bytes| usize::try_from(bytes).ok());
        match bytes.filter(|bytes| (stack::LEAST..=stack::MOST).contains(bytes)) {
            Some(bytes) => stack::set_size(bytes),
            None => {
                return Err(Error::from(code::Error::Setting {
                    variable: call::SIZE,
                    value,
                    expected: "a size from 256K to 256G",
                }));
            }
        }
    }
    let mut cpu = Cpu::new("cpu", threads);
    if let Some(processor) = std::env::var_os(PROCESSOR) {
        cpu.processor = processor.to_string_lossy().into();
    }
    if let Some(bytes) = code::settings::heap()? {
        let region = Region::new(bytes);
        let region = region.ok_or_else(|| code::settings::no_heap(bytes.to_string()))?;
        cpu.heap = Some(Arc::new(region));
    }
    Ok(vec![Arc::new(cpu)])
}

/// The CPU of this machine.
#[derive(Debug)]
pub(crate) struct Cpu {
    name: &'static str,
    /// What code is for: the processor at hand if that is empty.
    processor: Arc<str>,
    pool: Arc<Pool>,
    printer: OnceLock<&'static Printer>,
    /// What kernels allocate from, if not by the program's allocator.
    heap: Option<Arc<Region>>,
}

impl Cpu {
    pub(crate) fn new(name: &'static str, threads: usize) -> Self {
        Cpu {
            name,
            processor: "".into(),
            pool: Arc::new(Pool::new(name, threads)),
            printer: OnceLock::new(),
            heap: None,
        }
    }
}

impl Backend for Cpu {
    fn name(&self) -> &str {
        self.name
    }

    fn description(&self) -> String {
        format!("the processor, {} threads", self.pool.threads())
    }

    fn target(&self) -> TargetSpec {
        TargetSpec {
            kind: "cpu".into(),
            cpu: self.processor.to_string(),
        }
    }

    fn machine(&self) -> &Machine {
        Machine::host()
    }

    /// Groups of at most 4096, in rows as far as they go, and enough groups for all threads: what
    /// it takes to begin a group is then nothing beside its items.
    fn group_size(&self, grid: Index) -> Index {
        let items = grid.iter().fold(1, |all: usize, &d| all.saturating_mul(d));
        let share = items.div_ceil(8 * self.pool.threads()).max(1);
        let most = share.next_power_of_two().clamp(16, 4096);
        let x = grid[0].clamp(1, most);
        let y = grid[1].clamp(1, most / x);
        let z = grid[2].clamp(1, most / (x * y));
        [x, y, z]
    }

    fn allocate(&self, layout: Layout, zeroed: bool) -> Result<NonNull<u8>> {
        memory::allocate(layout, zeroed).ok_or_else(|| Error::OutOfMemory {
            accelerator: self.name.into(),
            bytes: layout.size(),
        })
    }

    unsafe fn free(&self, memory: NonNull<u8>, layout: Layout) {
        // SAFETY: `allocate` allocated it so.
        unsafe { memory::free(memory, layout) }
    }

    fn allocate_visible(&self, layout: Layout) -> Result<NonNull<u8>> {
        self.allocate(layout, true)
    }

    unsafe fn free_visible(&self, memory: NonNull<u8>, layout: Layout) {
        // SAFETY: `allocate` allocated it so.
        unsafe { self.free(memory, layout) }
    }

    fn is_live(&self) -> bool {
        true
    }

    fn sees_memory_of(&self, _other: &dyn Backend) -> bool {
        true
    }

    fn with_heap(&self, bytes: usize) -> Result<Arc<dyn Backend>> {
        let region = Region::new(bytes).ok_or_else(|| Error::OutOfMemory {
            accelerator: self.name.into(),
            bytes,
        })?;
        Ok(Arc::new(Cpu {
            name: self.name,
            processor: Arc::clone(&self.processor),
            pool: Arc::clone(&self.pool),
            printer: OnceLock::new(),
            heap: Some(Arc::new(region)),
        }))
    }

    fn heap(&self) -> Result<Option<Statistics>> {
        Ok(self.heap.as_ref().map(|region| region.statistics()))
    }

    fn printer(&self) -> Result<&'static Printer> {
        if let Some(printer) = self.printer.get() {
            return Ok(printer);
        }
        let printer = Printer::new(self)?;
        Ok(self.printer.get_or_init(|| printer))
    }

    unsafe fn upload(&self, from: *const u8, to: *mut u8, len: usize) -> Result<()> {
        // SAFETY: the caller's promise; memory of the host and of the device never overlap.
        unsafe { ptr::copy_nonoverlapping(from, to, len) };
        Ok(())
    }

    unsafe fn download(&self, from: *const u8, to: *mut u8, len: usize) -> Result<()> {
        // SAFETY: as above.
        unsafe { ptr::copy_nonoverlapping(from, to, len) };
        Ok(())
    }

    unsafe fn copy(&self, from: *const u8, to: *mut u8, len: usize) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe { ptr::copy(from, to, len) };
        Ok(())
    }

    unsafe fn fill(
        &self,
        pattern: *const u8,
        pattern_len: usize,
        to: *mut u8,
        count: usize,
    ) -> Result<()> {
        let len = pattern_len * count;
        if len == 0 {
            return Ok(());
        }
        // SAFETY: the caller's promise on `pattern` and `to`. What a copy reads lies before
        // where it writes, and that ends at `len`.
        unsafe {
            ptr::copy_nonoverlapping(pattern, to, pattern_len);
            for (place, more) in doublings(pattern_len, len) {
                ptr::copy_nonoverlapping(to, to.add(place), more);
            }
        }
        Ok(())
    }

    unsafe fn load(&self, kernel: &Arc<str>, code: &[u8]) -> Result<Box<dyn Code>> {
        // SAFETY: the driver generated the code for this machine, by the caller's promise.
        let object = unsafe { SharedObject::load(kernel, code, &call::HOST) }?;
        let printer = if object.prints() {
            let printer = self.printer()?;
            object.print_to(printer.port());
            Some(printer)
        } else {
            None
        };
        Ok(Box::new(Loaded {
            run: object.run(),
            pool: Arc::clone(&self.pool),
            printer,
            heap: self.heap.clone(),
            _object: Some(object),
        }))
    }

    fn renewed(&self) -> Result<Arc<dyn Backend>> {
        let mut renewed = Cpu::new(self.name, self.pool.threads());
        renewed.processor = Arc::clone(&self.processor);
        Ok(Arc::new(renewed))
    }
}

/// Code of one kernel in this process.
pub(crate) struct Loaded {
    run: Run,
    pool: Arc<Pool>,
    printer: Option<&'static Printer>,
    heap: Option<Arc<Region>>,
    /// Keeps the code mapped.
    _object: Option<SharedObject>,
}

impl Code for Loaded {
    fn printer(&self) -> Option<&'static Printer> {
        self.printer
    }

    fn start(&self, launch: Running) {
        let heap = self.heap.as_ref().map(|region| region.heap());
        self.pool.enqueue(self.run, heap, launch);
    }
}

/// What tests use in place of generated code.
#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use crate::backend::Program;
    use legionella_abi::cpu::{Panic, Progress};

    impl Cpu {
        /// A function of the test as a program, which lives as long as the process.
        pub(crate) fn program(&self, run: Run) -> &'static Program {
            let code = Loaded {
                run,
                pool: Arc::clone(&self.pool),
                printer: None,
                heap: None,
                _object: None,
            };
            Box::leak(Box::new(Program::new("test".into(), Box::new(code))))
        }
    }

    /// Panics as generated code does.
    ///
    /// # Safety
    /// Within a call of a program, whose `progress` it is; no frame since has anything to drop.
    pub(crate) unsafe fn panic(progress: *mut Progress, item: [u64; 3], message: &str) -> ! {
        // SAFETY: the caller's promise.
        unsafe {
            (*progress).item = item;
            (call::HOST.panic)(&Panic {
                message: message.as_ptr(),
                message_len: message.len(),
                file: "kernel.rs".as_ptr(),
                file_len: "kernel.rs".len(),
                line: 7,
                column: 9,
            })
        }
    }
}
