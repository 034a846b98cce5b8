//! AMD's devices as accelerators, by way of the HSA runtime, or of a machine in software that has its
//! functions.
//!
//! Takes code as code objects (contract: [`legionella_abi::amdgpu`]).
//!
//! * [`api`]: the runtime's functions, from the library that the machine has;
//! * [`device`]: a device's agent, and what the runtime's results mean;
//! * [`memory`]: where buffers are;
//! * [`heap`]: what kernels allocate from;
//! * [`module`]: loading of generated code;
//! * [`packets`]: what queues take;
//! * [`arguments`]: where kernels find their arguments;
//! * [`functions`]: what can be launched of it;
//! * [`parts`]: the parts that the device takes a grid in;
//! * [`launches`]: from a launch's turn to its packets;
//! * [`flights`]: from there to its end;
//! * [`recycled`]: what launches use one after the other;
//! * [`children`]: launches that kernels make by themselves;
//! * [`gates`]: launches that wait for a signal;
//! * [`transfers`]: copies and fills as launches;
//! * [`states`]: where launches leave their panics;
//! * [`panics`]: how kernels tell of them.

use std::alloc::Layout;
use std::any::Any;
use std::fmt;
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::{Arc, OnceLock};

use legionella_abi::cpu::Launch;
use legionella_abi::protocol::TargetSpec;
use legionella_abi::{amdgpu, gpu};
use legionella_device::Index;
use legionella_device::heap::statistics::Statistics;

use super::{Backend, Code, Runtime, groups};
use crate::code::Machine;
use crate::error::{Error, Result};
use crate::printing::Printer;
use crate::schedule::slot::Running;

mod api;
mod arguments;
mod children;
mod device;
mod flights;
mod functions;
mod gates;
mod heap;
mod launches;
mod memory;
mod module;
mod packets;
mod panics;
mod parts;
mod recycled;
mod states;
mod transfers;

use api::Api;
use device::{Device, Found};
use functions::Functions;
use gates::GateCode;
use heap::Region;
use launches::Launches;
use memory::Memory;
use module::Given;
use transfers::Transfers;

/// Most work-items of a group, in all and in each dimension.
const LARGEST_GROUP: u64 = 1024;

/// All devices of the HSA runtime in this machine.
pub(super) fn devices() -> Result<Vec<Arc<dyn Backend>>> {
    let api = match api::api() {
        Ok(api) => api,
        Err(absent) => {
            absent.warn_of("the HSA runtime");
            return Ok(Vec::new());
        }
    };
    match device::find(api) {
        Ok(all) => Ok(all
            .iter()
            .enumerate()
            .map(|(index, found)| Arc::new(Hsa::new(api, index, found)) as Arc<dyn Backend>)
            .collect()),
        Err(code) => {
            tracing::warn!(reason = api.describe(code), "no devices");
            Ok(Vec::new())
        }
    }
}

/// The HSA runtime, in words.
pub(super) fn runtime() -> Runtime {
    let api = match api::api() {
        Ok(api) => api,
        Err(absent) => return absent.into(),
    };
    let (major, minor) = api.version();
    match device::find(api) {
        Ok(found) if found.is_empty() => Runtime::Absent(format!(
            "HSA {major}.{minor} is there, and no device for it"
        )),
        Ok(found) => {
            let names: Vec<&str> = found.iter().map(|found| &*found.processor).collect();
            Runtime::Works(format!(
                "the runtime offers HSA {major}.{minor}, with {}; no AMD hardware has run \
                 Legionella yet: please report what `cargo xtask conformance --accelerator hsa:0` says",
                names.join(", ")
            ))
        }
        Err(code) => Runtime::Broken(api.describe(code)),
    }
}

/// One device, whose queues are made when it is first used.
pub(crate) struct Hsa {
    api: &'static Api,
    name: String,
    found: Found,
    machine: Machine,
    opened: OnceLock<Result<Arc<Opened>>>,
    /// Bytes of the heap, if they were asked for.
    heap_bytes: Option<usize>,
    printer: OnceLock<&'static Printer>,
    /// The heap, once a kernel was loaded that allocates, or once it was asked for.
    heap: OnceLock<Result<Arc<Region>>>,
}

/// What is there once a device is used.
struct Opened {
    device: Arc<Device>,
    memory: Arc<Memory>,
    launches: Arc<Launches>,
}

impl Hsa {
    fn new(api: &'static Api, index: usize, found: &Found) -> Self {
        Hsa {
            api,
            name: format!("hsa:{index}"),
            found: found.clone(),
            machine: machine(&found.processor),
            opened: OnceLock::new(),
            heap_bytes: None,
            printer: OnceLock::new(),
            heap: OnceLock::new(),
        }
    }

    /// The same device, not in use.
    fn anew(&self) -> Self {
        Hsa {
            api: self.api,
            name: self.name.clone(),
            found: self.found.clone(),
            machine: self.machine.clone(),
            opened: OnceLock::new(),
            heap_bytes: self.heap_bytes,
            printer: OnceLock::new(),
            heap: OnceLock::new(),
        }
    }

    fn opened(&self) -> Result<&Arc<Opened>> {
        let opened = self.opened.get_or_init(|| {
            let device = Arc::new(Device::open(self.api, &self.name, &self.found));
            let memory = Arc::new(Memory::new());
            Ok(Arc::new(Opened {
                launches: Arc::new(Launches::new(&device, &memory)?),
                memory,
                device,
            }))
        });
        opened.as_ref().map_err(Error::clone)
    }

    fn region(&self) -> Result<&Arc<Region>> {
        let opened = self.opened()?;
        let region = self.heap.get_or_init(|| {
            Region::new(&opened.device, &opened.memory, self.heap_bytes).map(Arc::new)
        });
        region.as_ref().map_err(Error::clone)
    }
}

/// The machine of a processor: it runs code for itself and for the generic ones of its family.
fn machine(processor: &str) -> Machine {
    let generic: &[&str] = match processor {
        "gfx908" | "gfx90a" => &[],
        "gfx942" | "gfx950" => &["gfx9-4-generic"],
        _ if processor.starts_with("gfx9") => &["gfx9-generic"],
        _ if processor.starts_with("gfx101") => &["gfx10-1-generic"],
        _ if processor.starts_with("gfx103") => &["gfx10-3-generic"],
        _ if processor.starts_with("gfx11") => &["gfx11-generic"],
        _ if processor.starts_with("gfx12") => &["gfx12-generic"],
        _ => &[],
    };
    let features = std::iter::once(processor).chain(generic.iter().copied());
    Machine::new(processor, features.map(str::to_owned))
}

impl Backend for Hsa {
    fn name(&self) -> &str {
        &self.name
    }

    fn description(&self) -> String {
        let product = if self.found.product.is_empty() {
            String::new()
        } else {
            format!("{}, ", self.found.product)
        };
        format!(
            "{product}{}, {} compute units, {:.1} GB",
            self.found.processor,
            self.found.compute_units,
            self.found.memory as f64 / 1e9
        )
    }

    fn target(&self) -> TargetSpec {
        TargetSpec {
            kind: "amdgpu".into(),
            cpu: self.found.processor.clone(),
        }
    }

    fn machine(&self) -> &Machine {
        &self.machine
    }

    /// A wavefront, of 64 lanes at most, is in one row.
    fn group_size(&self, grid: Index) -> Index {
        groups::in_rows(grid, groups::ITEMS, 64, LARGEST_GROUP as usize)
    }

    fn coalesces(&self) -> bool {
        true
    }

    fn subgroup_size(&self) -> usize {
        amdgpu::lanes(&self.found.processor) as usize
    }

    fn allocate(&self, layout: Layout, zeroed: bool) -> Result<NonNull<u8>> {
        let opened = self.opened()?;
        opened.memory.allocate(&opened.device, layout, zeroed)
    }

    unsafe fn free(&self, memory: NonNull<u8>, _layout: Layout) {
        if let Ok(opened) = self.opened() {
            // SAFETY: the caller's promise.
            unsafe { opened.memory.free(&opened.device, memory) }
        }
    }

    fn allocate_visible(&self, layout: Layout) -> Result<NonNull<u8>> {
        let opened = self.opened()?;
        opened.memory.allocate_visible(&opened.device, layout)
    }

    unsafe fn free_visible(&self, memory: NonNull<u8>, layout: Layout) {
        if let Ok(opened) = self.opened() {
            // SAFETY: the caller's promise.
            unsafe { opened.memory.free_visible(memory, layout) }
        }
    }

    fn is_live(&self) -> bool {
        true
    }

    fn transfers(&self) -> Result<Option<Box<dyn Code>>> {
        let opened = self.opened()?;
        Ok(Some(Box::new(Transfers(Arc::clone(&opened.launches)))))
    }

    fn gate(&self) -> Result<Option<Box<dyn Code>>> {
        let opened = self.opened()?;
        Ok(Some(Box::new(GateCode(Arc::clone(&opened.launches)))))
    }

    fn sees_memory_of(&self, other: &dyn Backend) -> bool {
        other.target().kind == self.target().kind
    }

    fn printer(&self) -> Result<&'static Printer> {
        if let Some(printer) = self.printer.get() {
            return Ok(printer);
        }
        let printer = Printer::new(self)?;
        Ok(self.printer.get_or_init(|| printer))
    }

    fn with_heap(&self, bytes: usize) -> Result<Arc<dyn Backend>> {
        let new = Hsa {
            heap_bytes: Some(bytes),
            ..self.anew()
        };
        let _ = new.opened.set(self.opened().cloned());
        new.region()?;
        Ok(Arc::new(new))
    }

    fn heap(&self) -> Result<Option<Statistics>> {
        self.region()?.statistics().map(Some)
    }

    unsafe fn upload(&self, from: *const u8, to: *mut u8, len: usize) -> Result<()> {
        let opened = self.opened()?;
        // SAFETY: the caller's promise.
        unsafe { opened.memory.upload(&opened.device, from, to, len) }
    }

    unsafe fn download(&self, from: *const u8, to: *mut u8, len: usize) -> Result<()> {
        let opened = self.opened()?;
        // SAFETY: the caller's promise.
        unsafe { opened.memory.download(&opened.device, from, to, len) }
    }

    unsafe fn copy(&self, from: *const u8, to: *mut u8, len: usize) -> Result<()> {
        let opened = self.opened()?;
        // SAFETY: the caller's promise.
        unsafe { opened.memory.copy(&opened.device, from, to, len) }
    }

    unsafe fn fill(
        &self,
        pattern: *const u8,
        pattern_len: usize,
        to: *mut u8,
        count: usize,
    ) -> Result<()> {
        let opened = self.opened()?;
        // SAFETY: the caller's promise.
        unsafe {
            opened
                .memory
                .fill(&opened.device, pattern, pattern_len, to, count)
        }
    }

    unsafe fn load(&self, kernel: &Arc<str>, code: &[u8]) -> Result<Box<dyn Code>> {
        let opened = self.opened()?;
        // What is in one of the code's tables of symbols.
        let mentions = |symbol: &str| {
            let mut parts = code.windows(symbol.len());
            parts.any(|part| part == symbol.as_bytes())
        };
        let printer = match mentions(gpu::PORT) {
            true => Some(self.printer()?),
            false => None,
        };
        let given = Given {
            port: printer.map_or(0, |printer| {
                std::ptr::from_ref(printer.port()).expose_provenance() as u64
            }),
            heap: match mentions(gpu::HEAP) {
                true => Some(Arc::clone(self.region()?)),
                false => None,
            },
        };
        // SAFETY: the code is as the caller promises.
        let functions =
            unsafe { module::load(&opened.device, &opened.memory, kernel, code, given) }?;
        Ok(Box::new(Program {
            functions: Arc::new(functions),
            most_shared: self.found.shared as u64,
            launches: Arc::clone(&opened.launches),
            printer,
        }))
    }

    fn is_lost(&self) -> bool {
        matches!(self.opened.get(), Some(Ok(opened)) if opened.device.is_lost())
    }

    /// Queues of its own are all that a lost device needs.
    fn renewed(&self) -> Result<Arc<dyn Backend>> {
        let new = self.anew();
        new.opened()?;
        Ok(Arc::new(new))
    }
}

/// Code of one kernel on a device.
struct Program {
    functions: Arc<Functions>,
    /// Most bytes of shared memory that a group can have.
    most_shared: u64,
    launches: Arc<Launches>,
    printer: Option<&'static Printer>,
}

/// The functions of a program of a device of this kind.
fn functions_of(program: &super::Program) -> &Functions {
    let code: &dyn Any = program.code();
    match code.downcast_ref::<Program>() {
        Some(program) => &program.functions,
        None => unreachable!("launches of kernels are of programs that were loaded here"),
    }
}

impl Code for Program {
    fn printer(&self) -> Option<&'static Printer> {
        self.printer
    }

    fn refuses(&self, space: &Launch) -> Option<&'static str> {
        let group = space.group;
        let items = group.iter().fold(1, |all: u64, &d| all.saturating_mul(d));
        if items > LARGEST_GROUP {
            return Some("the device takes work-groups of up to 1024 work-items in all");
        }
        let functions = &self.functions;
        let all = [
            Some(functions.any),
            functions.line,
            functions.plane,
            functions.wide,
            functions.wide_plane,
        ];
        let needed = all
            .iter()
            .flatten()
            .map(|kernel| functions.shared_memory(kernel, space.shared));
        if needed.max().is_some_and(|needed| needed > self.most_shared) {
            return Some("the device has less shared memory for a work-group than is asked for");
        }
        None
    }

    fn order(&self) -> Option<NonZeroUsize> {
        Launches::order(&self.launches)
    }

    fn start(&self, launch: Running) {
        self.launches.start(&self.functions, launch);
    }
}

impl fmt::Debug for Hsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hsa")
            .field("name", &self.name)
            .field("processor", &self.found.processor)
            .finish_non_exhaustive()
    }
}
