//! Loading of generated code: code objects become executables of the device.

use std::ffi::{CString, c_void};
use std::ptr::null;
use std::sync::Arc;

use legionella_abi::amdgpu::Header;
use legionella_abi::gpu::{self, Needs};

use super::api::{self, Executable, Reader, Symbol};
use super::device::Device;
use super::functions::{Functions, Kernel};
use super::heap::Region;
use super::memory::Memory;
use super::panics::Panics;
use crate::code;
use crate::error::{Error, Result};

/// Scratch memory of a work-item where the code doesn't tell how much it needs, with recursion and
/// calls through pointers, in bytes.
const DEEP_STACK: u32 = 64 << 10;

/// Most scratch memory of a wavefront, in bytes: `COMPUTE_TMPRING_SIZE.WAVESIZE` counts up to 2^13
/// units of 1 KiB, or 2^15 of 256 bytes.
const MOST_SCRATCH: u32 = 8 << 20;

/// What code is given that asks for it.
#[derive(Clone)]
pub(super) struct Given {
    /// The address that it prints to, or 0.
    pub(super) port: u64,
    /// What it allocates from.
    pub(super) heap: Option<Arc<Region>>,
}

/// Loads the code of a kernel. It stays for as long as the process.
///
/// # Safety
/// The driver process generated the code.
pub(super) unsafe fn load(
    device: &Device,
    memory: &Memory,
    kernel: &Arc<str>,
    code: &[u8],
    given: Given,
) -> Result<Functions> {
    device.alive()?;
    let (work, panic) = Header::split(code)
        .ok_or_else(|| refused(kernel, "it is not what its header says".to_owned()))?;
    // SAFETY: the caller's promise.
    let module = unsafe { Module::load(device, kernel, work) }?;
    let needs = module.needs(device, memory)?;
    module.give(device, memory, &given)?;
    let usual = |there: u64, name| match there {
        0 => Ok(None),
        _ => module.kernel(device, kernel, name).map(Some),
    };
    Ok(Functions {
        any: module.kernel(device, kernel, gpu::KERNEL)?,
        line: usual(needs.line, gpu::LINE)?,
        plane: usual(needs.line, gpu::PLANE)?,
        wide: usual(needs.wide, gpu::WIDE)?,
        wide_plane: usual(needs.wide_plane, gpu::WIDE_PLANE)?,
        width: needs.wide.max(needs.wide_plane),
        addresses: needs.addresses,
        arguments: needs.arguments as usize,
        align: needs.align as usize,
        shared: (needs.dynamic != 0).then_some(needs.front),
        settled: needs.unsettled == 0,
        panics: Panics::new(panic, given),
    })
}

/// The function that panics, of the code object that has it.
pub(super) fn load_panic(
    device: &Device,
    memory: &Memory,
    kernel: &Arc<str>,
    object: &[u8],
    given: &Given,
) -> Result<Kernel> {
    // SAFETY: a part of what `load` was given.
    let module = unsafe { Module::load(device, kernel, object) }?;
    module.give(device, memory, given)?;
    module.kernel(device, kernel, gpu::PANIC)
}

fn refused(kernel: &Arc<str>, reason: String) -> Error {
    Error::from(code::Error::NotLoaded {
        kernel: kernel.to_string(),
        reason,
    })
}

/// A code object that is loaded.
struct Module(Executable);

impl Module {
    /// # Safety
    /// The driver process generated the code.
    unsafe fn load(device: &Device, kernel: &Arc<str>, object: &[u8]) -> Result<Self> {
        let api = device.api();
        let mut reader = Reader::default();
        let mut executable = Executable::default();
        let succeed = |what: &str, code| match code {
            0 => Ok(()),
            code => Err(refused(kernel, format!("{what}: {}", api.describe(code)))),
        };
        // SAFETY: all pointers are valid for what is said of them; no options are given. The reader
        // refers to the object until it is destroyed.
        unsafe {
            let read = (api.read_code)(object.as_ptr().cast(), object.len(), &mut reader);
            succeed("reading the code object", read)?;
            let created = (api.create_executable)(
                api::PROFILE_FULL,
                api::ROUNDING_DEFAULT,
                null(),
                &mut executable,
            );
            let loaded = succeed("making an executable", created).and_then(|()| {
                let none = std::ptr::null_mut();
                let code = (api.load_code)(executable, device.agent(), reader, null(), none);
                succeed("loading", code)?;
                succeed("finishing the executable", (api.freeze)(executable, null()))
            });
            (api.drop_reader)(reader);
            loaded.map(|()| Module(executable))
        }
    }

    fn symbol(&self, device: &Device, name: &str) -> Result<Symbol> {
        let name = CString::new(name).unwrap_or_default();
        let agent = device.agent();
        let mut symbol = Symbol::default();
        // SAFETY: valid for reads and writes; the name is terminated.
        let found = unsafe { (device.api().symbol)(self.0, name.as_ptr(), &agent, &mut symbol) };
        device.check(found)?;
        Ok(symbol)
    }

    /// A kernel function of a kernel of that name.
    fn kernel(&self, device: &Device, kernel: &Arc<str>, name: &str) -> Result<Kernel> {
        let symbol = self.symbol(device, &format!("{name}.kd"))?;
        let word = |what| info::<u32>(device, symbol, what);
        let private = word(api::SYMBOL_PRIVATE_SIZE)?;
        let dynamic = info::<bool>(device, symbol, api::SYMBOL_DYNAMIC_STACK)?;
        let most = MOST_SCRATCH / device.lanes();
        if private > most {
            return Err(refused(
                kernel,
                format!(
                    "a work-item needs {private} bytes of stack, of which the device has at most {most}: put \
                     what is large in a buffer"
                ),
            ));
        }
        Ok(Kernel {
            object: info(device, symbol, api::SYMBOL_KERNEL_OBJECT)?,
            arguments: word(api::SYMBOL_KERNARG_SIZE)? as usize,
            shared: word(api::SYMBOL_GROUP_SIZE)?,
            private: if dynamic {
                private.saturating_add(DEEP_STACK).min(most)
            } else {
                private
            },
        })
    }

    /// Where a variable is, if the code object has it.
    fn variable(&self, device: &Device, name: &str) -> Option<*mut u8> {
        let symbol = self.symbol(device, name).ok()?;
        let address: u64 = info(device, symbol, api::SYMBOL_VARIABLE_ADDRESS).ok()?;
        Some(std::ptr::with_exposed_provenance_mut(address as usize))
    }

    /// Sets the variables that the application sets.
    fn give(&self, device: &Device, memory: &Memory, given: &Given) -> Result<()> {
        let heap = (given.heap.as_ref()).map_or(0, |heap| heap.start().expose_provenance() as u64);
        for (name, value) in [(gpu::PORT, given.port), (gpu::HEAP, heap)] {
            if let Some(place) = self.variable(device, name) {
                // SAFETY: the variable is an address.
                unsafe {
                    memory.upload(device, (&raw const value).cast(), place, size_of::<u64>())?;
                }
            }
        }
        Ok(())
    }

    /// What a module says of itself.
    fn needs(&self, device: &Device, memory: &Memory) -> Result<Needs> {
        let from = self.variable(device, gpu::NEEDS);
        let from = from.ok_or_else(|| Error::Device {
            accelerator: device.name().to_owned(),
            reason: format!("the code has no `{}`", gpu::NEEDS),
        })?;
        let mut needs = Needs::default();
        // SAFETY: the variable is a `Needs`.
        unsafe { memory.download(device, from, (&raw mut needs).cast(), size_of::<Needs>())? };
        Ok(needs)
    }
}

fn info<T: Default>(device: &Device, symbol: Symbol, what: u32) -> Result<T> {
    let mut value = T::default();
    let to: *mut c_void = (&raw mut value).cast();
    // SAFETY: valid for writes of what is asked for, which callers name the type of.
    device.check(unsafe { (device.api().symbol_info)(symbol, what, to) })?;
    Ok(value)
}
