//! NVIDIA's devices as accelerators, by way of their driver.
//!
//! Takes code as PTX texts (contract: [`legionella_abi::nvptx`]).
//!
//! * [`api`]: the driver's functions, from the library that the machine has;
//! * [`device`]: a device's context, and what the driver's results mean;
//! * [`graph`]: recorded launches;
//! * [`heap`]: what kernels allocate from;
//! * [`memory`]: where buffers are;
//! * [`module`]: loading of generated code;
//! * [`blocks`]: pieces of the device's memory, kept from one use to the next;
//! * [`calls`]: which functions of a kernel's code run a launch;
//! * [`lanes`]: the streams that launches are in, and how far each has come;
//! * [`launches`]: launches in flight;
//! * [`peers`]: copies from the memory of another device;
//! * [`states`]: where launches leave their panics;
//! * [`panics`]: what they left, as errors;
//! * [`transfers`]: copies and fills in the streams of launches.

use std::alloc::Layout;
use std::any::Any;
use std::ffi::{c_char, c_int};
use std::fmt;
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::{Arc, OnceLock};

use legionella_abi::cpu::Launch;
use legionella_abi::nvptx;
use legionella_abi::protocol::TargetSpec;
use legionella_device::Index;
use legionella_device::heap::statistics::Statistics;

use super::{Backend, Code, Node, Runtime, groups};
use crate::code::{self, Machine};
use crate::error::{Error, Result};
use crate::printing::Printer;
use crate::schedule::slot::{Lane, Running};

mod api;
mod blocks;
mod calls;
mod device;
mod graph;
mod heap;
mod lanes;
mod launches;
mod memory;
mod module;
mod panics;
mod peers;
mod states;
#[cfg(test)]
mod tests;
mod transfers;

use api::Api;
use calls::Functions;
use device::Device;
use graph::{Graph, Replays};
use heap::Region;
use launches::Launches;
use memory::{Memory, Shared};
use module::Given;
use transfers::Transfers;

/// The oldest compute capability that code is generated for.
const OLDEST: c_int = 70;

/// Most work-items of a group, in all and in each dimension.
const LARGEST_GROUP: u64 = 1024;
const LARGEST_EXTENTS: [u64; 3] = [1024, 1024, 64];

/// Share of the device's memory for the heap of an accelerator that isn't given another, and most of it.
const HEAP_SHARE: usize = 16;
const LARGEST_HEAP: usize = 1 << 30;

/// All of NVIDIA's devices in this machine.
pub(super) fn devices() -> Result<Vec<Arc<dyn Backend>>> {
    let api = match api::api() {
        Ok(api) => api,
        Err(absent) => {
            absent.warn_of("NVIDIA's driver");
            return Ok(Vec::new());
        }
    };
    let mut found: Vec<Arc<dyn Backend>> = Vec::new();
    for index in 0..count(api) {
        match Cuda::find(api, index) {
            Ok(cuda) if cuda.capability >= OLDEST => found.push(Arc::new(cuda)),
            Ok(cuda) => tracing::info!(
                name = cuda.name,
                model = cuda.model,
                "the device is too old"
            ),
            Err(code) => tracing::warn!(index, reason = api.describe(code), "no device"),
        }
    }
    Ok(found)
}

fn count(api: &Api) -> c_int {
    let mut count = 0;
    // SAFETY: valid for writes.
    match unsafe { (api.device_count)(&mut count) } {
        0 => count,
        _ => 0,
    }
}

/// NVIDIA's driver, in words.
pub(super) fn runtime() -> Runtime {
    match api::api() {
        Ok(api) => {
            let version = api.version();
            let (major, minor) = (version / 1000, version % 1000 / 10);
            Runtime::Works(format!("the driver offers CUDA {major}.{minor}"))
        }
        Err(absent) => absent.into(),
    }
}

/// One device, whose context is made when it is first used.
pub(crate) struct Cuda {
    api: &'static Api,
    name: String,
    number: api::Device,
    model: String,
    /// 90 for 9.0.
    capability: c_int,
    multiprocessors: c_int,
    memory: usize,
    machine: Machine,
    opened: Arc<OnceLock<Result<Arc<Opened>>>>,
    printer: OnceLock<&'static Printer>,
    /// What kernels allocate from, once one does or its size was given.
    heap: OnceLock<Result<Arc<Region>>>,
}

/// What is there once a device is used.
struct Opened {
    device: Arc<Device>,
    memory: Memory,
    launches: Arc<Launches>,
}

// SAFETY: streams may be used by any thread.
unsafe impl Send for Opened {}
// SAFETY: as above.
unsafe impl Sync for Opened {}

impl Cuda {
    fn find(api: &'static Api, index: c_int) -> std::result::Result<Self, api::Code> {
        let (mut number, mut memory) = (0, 0);
        let mut name = [0u8; 256];
        let succeed = |code: api::Code| if code == 0 { Ok(()) } else { Err(code) };
        // SAFETY: all pointers are valid for writes, the name's for as many bytes as are said.
        unsafe {
            succeed((api.device)(&mut number, index))?;
            let start = name.as_mut_ptr().cast::<c_char>();
            succeed((api.device_name)(start, name.len() as c_int, number))?;
            succeed((api.device_memory)(&mut memory, number))?;
        }
        let attribute = |attribute| {
            let mut value = 0;
            // SAFETY: as above.
            succeed(unsafe { (api.device_attribute)(&mut value, attribute, number) })?;
            Ok::<c_int, api::Code>(value)
        };
        let capability = 10 * attribute(api::CAPABILITY_MAJOR)? + attribute(api::CAPABILITY_MINOR)?;
        let len = name
            .iter()
            .position(|&byte| byte == 0)
            .unwrap_or(name.len());
        Ok(Cuda {
            api,
            name: format!("cuda:{index}"),
            number,
            model: String::from_utf8_lossy(&name[..len]).into_owned(),
            capability,
            multiprocessors: attribute(api::MULTIPROCESSORS)?,
            memory,
            machine: machine(capability, api.version()),
            opened: Arc::default(),
            printer: OnceLock::new(),
            heap: OnceLock::new(),
        })
    }

    /// The device with other memory for its kernels: what was `opened`, or what will be.
    fn with(&self, opened: &Arc<OnceLock<Result<Arc<Opened>>>>) -> Cuda {
        Cuda {
            name: self.name.clone(),
            model: self.model.clone(),
            machine: self.machine.clone(),
            opened: Arc::clone(opened),
            printer: OnceLock::new(),
            heap: OnceLock::new(),
            ..*self
        }
    }

    /// What kernels allocate from.
    fn region(&self) -> Result<&Arc<Region>> {
        let region = self.heap.get_or_init(|| {
            let opened = self.opened()?;
            let bytes = match code::settings::heap()? {
                Some(bytes) => bytes,
                None => (opened.device.memory() / HEAP_SHARE).min(LARGEST_HEAP),
            };
            Region::new(opened, bytes).map(Arc::new)
        });
        region.as_ref().map_err(Error::clone)
    }

    fn opened(&self) -> Result<&Arc<Opened>> {
        let opened = self.opened.get_or_init(|| {
            let device = Arc::new(Device::open(self.api, &self.name, self.number)?);
            device.with_context(|_| {
                // SAFETY: the context is current.
                unsafe {
                    Ok(Arc::new(Opened {
                        memory: Memory::new(&device)?,
                        launches: Arc::new(Launches::new(&device)?),
                        device: Arc::clone(&device),
                    }))
                }
            })
        });
        opened.as_ref().map_err(Error::clone)
    }
}

/// Compute capability of Hopper's devices.
const HOPPER: c_int = 90;

/// The CUDA of the oldest driver that runs code for one capability alone: earlier assemblers take the distances of rows
/// in maps of matrices in another unit (PTX ISA 8.5, "tensormap.replace").
const ALONE: c_int = 12_050;

/// What code is generated for where there is none: for Hopper, whose matrix units are used by instructions that no other
/// device has, what runs on that alone (PTX ISA, "wgmma"); for all others what later ones run as well.
fn architecture(capability: c_int, driver: c_int) -> String {
    let alone = if capability == HOPPER && driver >= ALONE {
        "a"
    } else {
        ""
    };
    format!("sm_{capability}{alone}")
}

/// The machine of a compute capability: it runs PTX of all earlier ones.
fn machine(capability: c_int, driver: c_int) -> Machine {
    let mut features: Vec<String> = (OLDEST..=capability)
        .map(|number| format!("sm_{number}"))
        .collect();
    if driver >= ALONE {
        features.push(format!("sm_{capability}a"));
    }
    Machine::new(&format!("sm_{capability} by driver {driver}"), features)
}

impl Backend for Cuda {
    fn name(&self) -> &str {
        &self.name
    }

    fn description(&self) -> String {
        format!(
            "{}, compute capability {}.{}, {} multiprocessors, {:.1} GB",
            self.model,
            self.capability / 10,
            self.capability % 10,
            self.multiprocessors,
            self.memory as f64 / 1e9
        )
    }

    fn target(&self) -> TargetSpec {
        TargetSpec {
            kind: "nvptx".into(),
            cpu: architecture(self.capability, self.api.version()),
        }
    }

    fn machine(&self) -> &Machine {
        &self.machine
    }

    /// A warp is in one row.
    fn group_size(&self, grid: Index) -> Index {
        rows(grid, groups::ITEMS)
    }

    fn coalesces(&self) -> bool {
        true
    }

    fn allocate(&self, layout: Layout, zeroed: bool) -> Result<NonNull<u8>> {
        let opened = self.opened()?;
        opened.memory.allocate(&opened.device, layout, zeroed)
    }

    unsafe fn free(&self, memory: NonNull<u8>, _layout: Layout) {
        if let Ok(opened) = self.opened() {
            // SAFETY: the caller's promise.
            unsafe { opened.memory.free(memory) }
        }
    }

    fn allocate_visible(&self, layout: Layout) -> Result<NonNull<u8>> {
        let Opened { memory, device, .. } = &**self.opened()?;
        memory.allocate_shared(device, Shared::Pinned, layout)
    }

    unsafe fn free_visible(&self, memory: NonNull<u8>, layout: Layout) {
        if let Ok(opened) = self.opened() {
            // SAFETY: the caller's promise.
            unsafe { opened.memory.free_shared(memory, Shared::Pinned, layout) }
        }
    }

    fn allocate_moving(&self, layout: Layout) -> Result<NonNull<u8>> {
        let Opened { memory, device, .. } = &**self.opened()?;
        memory.allocate_shared(device, Shared::Moving, layout)
    }

    unsafe fn free_moving(&self, memory: NonNull<u8>, layout: Layout) {
        if let Ok(opened) = self.opened() {
            // SAFETY: the caller's promise.
            unsafe { opened.memory.free_shared(memory, Shared::Moving, layout) }
        }
    }

    fn is_live(&self) -> bool {
        true
    }

    fn with_heap(&self, bytes: usize) -> Result<Arc<dyn Backend>> {
        let region = Region::new(self.opened()?, bytes)?;
        let other = self.with(&self.opened);
        other.heap.get_or_init(|| Ok(Arc::new(region)));
        Ok(Arc::new(other))
    }

    fn heap(&self) -> Result<Option<Statistics>> {
        self.region()?.statistics().map(Some)
    }

    fn printer(&self) -> Result<&'static Printer> {
        if let Some(printer) = self.printer.get() {
            return Ok(printer);
        }
        let printer = Printer::new(self)?;
        Ok(self.printer.get_or_init(|| printer))
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

    unsafe fn copy_from_peer(
        &self,
        other: &dyn Backend,
        from: *const u8,
        to: *mut u8,
        len: usize,
    ) -> Result<bool> {
        let other: &dyn Any = other;
        let Some(other) = other.downcast_ref::<Cuda>() else {
            return Ok(false);
        };
        let (opened, other) = (self.opened()?, other.opened()?);
        let Opened { memory, device, .. } = &**opened;
        // SAFETY: the caller's promise.
        unsafe {
            if Arc::ptr_eq(opened, other) {
                memory.copy(device, from, to, len)?;
                return Ok(true);
            }
            memory.copy_from_peer([device, &other.device], from, to, len)
        }
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
        let mentions = |symbol: &str| str::from_utf8(code).is_ok_and(|code| code.contains(symbol));
        let printer = match mentions(nvptx::PORT) {
            true => Some(self.printer()?),
            false => None,
        };
        let heap = match mentions(nvptx::HEAP) {
            true => Some(Arc::clone(self.region()?)),
            false => None,
        };
        let given = Given {
            port: printer.map_or(0, |printer| {
                std::ptr::from_ref(printer.port()).addr() as u64
            }),
            heap: heap.as_ref().map_or(0, |heap| heap.address()),
            host_atomics: u64::from(opened.device.attribute(api::HOST_NATIVE_ATOMICS)? != 0),
        };
        // SAFETY: the context is current; the code is as the caller promises.
        let code = (opened.device)
            .with_context(|_| unsafe { module::load(&opened.device, kernel, code, given) })?;
        Ok(Box::new(Program {
            functions: code.functions,
            most_items: code.most_items,
            most_shared: code.most_shared,
            launches: Arc::clone(&opened.launches),
            printer,
            _heap: heap,
        }))
    }

    fn transfers(&self) -> Result<Option<Box<dyn Code>>> {
        let opened = self.opened()?;
        Ok(Some(Box::new(Transfers::new(&opened.launches))))
    }

    fn graph(&self, nodes: &Arc<[Node]>) -> Result<Option<Box<dyn Code>>> {
        let graph = Graph::new(self.opened()?, nodes)?;
        Ok(graph.map(|graph| Box::new(Replays(Arc::new(graph))) as Box<dyn Code>))
    }

    fn is_lost(&self) -> bool {
        matches!(self.opened.get(), Some(Ok(opened)) if opened.device.is_lost())
    }

    /// After some errors the driver gives a process no other context, whatever the process does.
    fn renewed(&self) -> Result<Arc<dyn Backend>> {
        if let Some(Ok(opened)) = self.opened.get() {
            opened.device.reset()?;
        }
        let new = self.with(&Arc::default());
        match new.opened() {
            Ok(_) => Ok(Arc::new(new)),
            Err(error) => Err(Error::DeviceLost {
                accelerator: self.name.clone(),
                reason: format!("{error}; it can't be opened anew in this process: start another"),
            }),
        }
    }
}

/// A group of so many items.
fn rows(grid: Index, items: usize) -> Index {
    groups::in_rows(grid, items, 32, LARGEST_EXTENTS[2] as usize)
}

/// Code of one kernel on a device.
struct Program {
    functions: &'static Functions,
    most_items: u64,
    /// Most bytes that a launch can give to each group.
    most_shared: u64,
    launches: Arc<Launches>,
    printer: Option<&'static Printer>,
    /// Keeps what the kernel allocates from.
    _heap: Option<Arc<Region>>,
}

impl Code for Program {
    fn printer(&self) -> Option<&'static Printer> {
        self.printer
    }

    fn refuses(&self, space: &Launch) -> Option<&'static str> {
        let group = space.group;
        let items = group.iter().fold(1, |all: u64, &d| all.saturating_mul(d));
        if items > LARGEST_GROUP || (0..3).any(|d| group[d] > LARGEST_EXTENTS[d]) {
            return Some("the device takes work-groups of up to 1024 x 1024 x 64, and 1024 in all");
        }
        if items > self.most_items {
            return Some("the kernel needs too many registers for a work-group of that size");
        }
        if self.functions.shared_memory(space.shared) > self.most_shared {
            return Some("the device has less shared memory for a work-group than is asked for");
        }
        None
    }

    fn order(&self) -> Option<NonZeroUsize> {
        self.launches.order()
    }

    fn group_size(&self, grid: Index) -> Option<Index> {
        Some(rows(grid, self.functions.group_items(grid)))
    }

    fn hasten(&self, lane: Lane) {
        self.launches.hasten(lane);
    }

    fn watch_over(&self, lane: Lane) {
        self.launches.watch_over(lane);
    }

    fn look(&self, lane: Lane) {
        self.launches.land_reached(lane);
    }

    fn start(&self, launch: Running) {
        self.launches.start(self.functions, launch);
    }
}

impl fmt::Debug for Cuda {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cuda")
            .field("name", &self.name)
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}
