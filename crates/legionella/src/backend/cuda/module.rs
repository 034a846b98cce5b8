//! Loading of generated code: the driver compiles PTX for the device.

use std::ffi::{CStr, CString, c_int, c_void};
use std::ptr::null_mut;
use std::sync::Arc;

use legionella_abi::nvptx::{self, Needs};

use super::api::{self, Function, Module};
use super::calls::{Functions, Sizes};
use super::device::Device;
use super::panics::Panics;
use crate::code;
use crate::error::{Error, Result};

/// Room for what the driver's compiler has to say.
const LOG: usize = 8 << 10;

/// Sizes of groups, those first that are chosen of several with which a multiprocessor holds as many items.
const GROUPS: [usize; 6] = [256, 128, 512, 1024, 64, 32];

/// The size of groups that none of these serves.
const LEAST_GROUP: usize = 32;

/// Code that is loaded. It stays for as long as the context, and what is known of it for as long as the process.
pub(super) struct Loaded {
    pub(super) functions: &'static Functions,
    /// Most work-items that a group of it may have: large groups leave each few registers.
    pub(super) most_items: u64,
    /// Most bytes of shared memory that a launch can give to each group.
    pub(super) most_shared: u64,
}

/// What code is given that asks for it.
#[derive(Clone, Copy)]
pub(super) struct Given {
    /// Where it prints to.
    pub(super) port: u64,
    /// What it allocates from.
    pub(super) heap: u64,
    /// Whether the host sees the device's atomic operations as such, 1 or 0.
    pub(super) host_atomics: u64,
}

/// Loads the code of a kernel. The device's context is current.
///
/// # Safety
/// The driver process generated the code.
pub(super) unsafe fn load(
    device: &Device,
    kernel: &Arc<str>,
    code: &[u8],
    given: Given,
) -> Result<Loaded> {
    let refused = |reason: String| {
        Error::from(code::Error::NotLoaded {
            kernel: kernel.to_string(),
            reason,
        })
    };
    let mut texts = code.splitn(2, |&byte| byte == 0).map(CString::new);
    let mut text = || texts.next().transpose();
    let no_text = |_| refused("it is no text".to_owned());
    let (work, panic) = (text().map_err(no_text)?, text().map_err(no_text)?);
    let work = work.unwrap_or_default();
    let module = compile(device, &work, &refused)?;
    give(device, module, &work, given)?;
    let needs = needs(device, module)?;
    if needs.stack > 0 {
        device.deepen_stacks(needs.stack as usize)?;
    }
    let any = function(device, module, nvptx::KERNEL)?;
    let usual = |there: u64, name| match there {
        0 => Ok(None),
        _ => function(device, module, name).map(Some),
    };
    let line = usual(needs.line, nvptx::LINE)?;
    let plane = usual(needs.line, nvptx::PLANE)?;
    let wide = usual(needs.wide, nvptx::WIDE)?;
    let wide_plane = usual(needs.wide_plane, nvptx::WIDE_PLANE)?;
    let attribute = |function, attribute| -> Result<c_int> {
        let mut value: c_int = 0;
        // SAFETY: valid for writes; a function of this context.
        let got = unsafe { (device.api().function_attribute)(&mut value, attribute, function) };
        device.check(got)?;
        Ok(value.max(0))
    };
    let (mut most_items, mut most_shared) = (u64::MAX, u64::MAX);
    for function in [Some(any), line, plane, wide, wide_plane]
        .into_iter()
        .flatten()
    {
        let most = attribute(function, api::MAX_THREADS_PER_BLOCK)?;
        most_items = most_items.min(most as u64);
        if needs.dynamic != 0 {
            // Unless it is asked for, there is less than the device has.
            let own = attribute(function, api::STATIC_SHARED_MEMORY)?;
            let most = (device.attribute(api::MOST_SHARED_MEMORY)? - own).max(0);
            // SAFETY: sets a number of a function of this context.
            device.check(unsafe {
                let which = api::MOST_DYNAMIC_SHARED_MEMORY;
                (device.api().set_function_attribute)(function, which, most)
            })?;
            most_shared = most_shared.min(most as u64);
        }
    }
    let least = LEAST_GROUP.min(most_items as usize);
    let shared = if needs.dynamic != 0 { needs.front } else { 0 };
    let size = |function: Function| -> Result<usize> {
        best_size(most_items as usize, least, |size| {
            let mut resident = 0;
            // SAFETY: valid for writes; a function of this context.
            device.check(unsafe {
                let shared = shared as usize;
                (device.api().resident_groups)(&mut resident, function, size as c_int, shared)
            })?;
            Ok(resident.max(0) as usize)
        })
    };
    let sizes = Sizes {
        any: size(any)?,
        line: size(line.unwrap_or(any))?,
        plane: size(plane.unwrap_or(any))?,
        wide: size(wide.unwrap_or(any))?,
        wide_plane: size(wide_plane.unwrap_or(any))?,
    };
    Ok(Loaded {
        functions: Box::leak(Box::new(Functions {
            sizes,
            any,
            line,
            plane,
            wide,
            wide_plane,
            width: needs.wide.max(needs.wide_plane),
            addresses: needs.addresses,
            settled: needs.unsettled == 0,
            waits: needs.waits != 0,
            shared: (needs.dynamic != 0).then_some(needs.front),
            block: (needs.block > 0).then_some(needs.block as usize),
            panics: Panics::new(panic, given),
        })),
        most_items,
        most_shared,
    })
}

/// The size of groups with which a multiprocessor holds most work-items, of those that there may be;
/// `resident` tells how many groups of a size it holds.
fn best_size(
    most: usize,
    least: usize,
    mut resident: impl FnMut(usize) -> Result<usize>,
) -> Result<usize> {
    let (mut best, mut held) = (least, 0);
    for size in GROUPS.into_iter().filter(|size| *size <= most) {
        let holds = size * resident(size)?;
        if holds > held {
            (best, held) = (size, holds);
        }
    }
    Ok(best)
}

/// The function that panics, of the text that has it. The device's context is current.
pub(super) fn load_panic(
    device: &Device,
    kernel: &Arc<str>,
    text: &CStr,
    given: Given,
) -> Result<Function> {
    let refused = |reason: String| {
        Error::from(code::Error::NotLoaded {
            kernel: kernel.to_string(),
            reason,
        })
    };
    device.deepen_stacks(0)?;
    let module = compile(device, text, &refused)?;
    give(device, module, text, given)?;
    function(device, module, nvptx::PANIC)
}

/// Gives the module of a text what it asks for. What isn't there is not asked for: NVIDIA's tools take the
/// driver's answer for an error.
fn give(device: &Device, module: Module, text: &CStr, given: Given) -> Result<()> {
    let text = text.to_str().unwrap_or_default();
    for (name, value) in [
        (nvptx::PORT, given.port),
        (nvptx::HEAP, given.heap),
        (nvptx::HOST_ATOMICS, given.host_atomics),
    ] {
        if value == 0 || !text.contains(name) {
            continue;
        }
        let (mut address, mut len) = (0, 0);
        let name = CString::new(name).unwrap_or_default();
        let api = device.api();
        // SAFETY: valid for writes; the name is terminated; the variable has 8 bytes. Without a
        // stream the copy is done when the call returns.
        unsafe {
            match (api.global)(&mut address, &mut len, module, name.as_ptr()) {
                // It is mentioned in another way.
                api::NOT_FOUND => continue,
                code => device.check(code)?,
            }
            let from = (&raw const value).cast();
            device.check((api.upload_now)(address, from, size_of::<u64>()))?;
        }
    }
    Ok(())
}

fn compile(device: &Device, text: &CStr, refused: &dyn Fn(String) -> Error) -> Result<Module> {
    let mut module = null_mut();
    let mut log = vec![0u8; LOG];
    let mut options = [api::JIT_ERROR_LOG, api::JIT_ERROR_LOG_SIZE];
    // The size is passed in the place of a pointer.
    let mut values = [
        log.as_mut_ptr().cast::<c_void>(),
        std::ptr::without_provenance_mut(LOG),
    ];
    // SAFETY: the text is terminated; the options have the values that they ask for, and the log
    // has room for what is said of it.
    let result = unsafe {
        (device.api().load_module)(
            &mut module,
            text.as_ptr().cast(),
            options.len() as u32,
            options.as_mut_ptr(),
            values.as_mut_ptr(),
        )
    };
    if result == 0 {
        return Ok(module);
    }
    if api::is_fatal(result) {
        device.check(result)?;
    }
    let said = CStr::from_bytes_until_nul(&log).map_or_else(|_| "".into(), CStr::to_string_lossy);
    Err(refused(format!(
        "{}: {}",
        device.api().describe(result),
        said.trim_end()
    )))
}

/// A function of a module.
fn function(device: &Device, module: Module, name: &str) -> Result<Function> {
    let mut function = null_mut();
    let name = CString::new(name).unwrap_or_default();
    // SAFETY: valid for writes; the name is terminated.
    device.check(unsafe { (device.api().function)(&mut function, module, name.as_ptr()) })?;
    Ok(function)
}

/// What a module says of itself.
fn needs(device: &Device, module: Module) -> Result<Needs> {
    let (mut address, mut len) = (0, 0);
    let mut needs = Needs::default();
    let name = CString::new(nvptx::NEEDS).unwrap_or_default();
    // SAFETY: valid for writes; the name is terminated; the variable is a `Needs`. Without a stream
    // the copy is done when the call returns.
    unsafe {
        device.check((device.api().global)(
            &mut address,
            &mut len,
            module,
            name.as_ptr(),
        ))?;
        let to = (&raw mut needs).cast();
        device.check((device.api().download_now)(to, address, size_of::<Needs>()))?;
    }
    Ok(needs)
}

#[cfg(test)]
mod tests {
    use super::best_size;

    /// A multiprocessor with so many registers and so much room, for items with so many registers each.
    fn chosen(registers: usize, most: usize, shared: usize) -> usize {
        let resident = |size: usize| {
            let by_shared = (224usize << 10).checked_div(shared).unwrap_or(32);
            Ok((65536 / (registers * size)).min(2048 / size).min(by_shared))
        };
        best_size(most, 32.min(most), resident).unwrap()
    }

    #[test]
    fn groups_are_as_large_as_lets_a_multiprocessor_hold_most_items() {
        assert_eq!(chosen(32, 1024, 0), 256);
        // Of 72 registers it holds 3 × 256 or 7 × 128.
        assert_eq!(chosen(72, 1024, 0), 128);
        // Four groups at most: the larger the better.
        assert_eq!(chosen(32, 1024, 56 << 10), 512);
        // Registers leave no room for a group of 256.
        assert_eq!(chosen(255, 192, 0), 128);
        assert_eq!(chosen(255, 16, 0), 16);
        // None fits: the launch will say so.
        assert_eq!(chosen(32, 1024, 1 << 20), 32);
    }
}
