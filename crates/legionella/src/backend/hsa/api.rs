//! The functions of the HSA runtime that are used here, from the library that a machine has, or from
//! the machine in software that takes its place.
//!
//! Nothing is linked and no header is needed: the library is opened when accelerators are first
//! listed. Results are plain numbers, because runtimes that are newer than this program have errors
//! that it does not know. Types and numbers: "HSA Runtime Programmer's Reference Manual" 1.2, chapters
//! 2 and 3, and AMD's extensions as its runtime's header `hsa_ext_amd.h` has them.

use std::env;
use std::ffi::{CStr, OsString, c_char, c_int, c_void};
use std::fmt;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::ptr::null;
use std::sync::OnceLock;

use legionella_abi::hsa::Queue;
use libloading::Library;

use crate::backend::absent::Absent;

/// The library, by the name that ROCm's installation gives it.
const LIBRARY: &str = "libhsa-runtime64.so.1";
/// By which that reaches the system's driver.
const DRIVER: &str = "/dev/kfd";

/// The machine in software.
const SIMULATOR: &str = "liblegionella_hsasim.so";

/// Variable that says which library to open: `sim`, `sim:PROCESSOR,…` for the machine in software, with
/// `@PATH` behind it for one at that place; else a library's path. The machine in software reads it, too.
const VARIABLE: &str = "LEGIONELLA_HSA";

/// `hsa_status_t`: 0 for success.
pub(super) type Code = u32;

macro_rules! handles {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        $(
            $(#[$doc])*
            #[repr(C)]
            #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
            pub(super) struct $name(pub(super) u64);
        )*
    };
}

handles! {
    /// `hsa_agent_t`.
    Agent;
    /// `hsa_isa_t`.
    Isa;
    /// `hsa_signal_t`; 0 for none.
    Signal;
    /// `hsa_amd_memory_pool_t`.
    Pool;
    /// `hsa_code_object_reader_t`.
    Reader;
    /// `hsa_executable_t`.
    Executable;
    /// `hsa_executable_symbol_t`.
    Symbol;
}

/// What a queue calls when something goes wrong in it.
pub(super) type Report = extern "C" fn(Code, *mut Queue, *mut c_void);

/// `HSA_STATUS_INFO_BREAK`.
pub(super) const BREAK: Code = 1;
/// `HSA_STATUS_ERROR_OUT_OF_RESOURCES`: what initialising gives without a device.
const OUT_OF_RESOURCES: Code = 0x1008;

/// Values of `hsa_agent_info_t` and of AMD's.
pub(super) const AGENT_QUEUE_MAX_SIZE: u32 = 14;
pub(super) const AGENT_DEVICE: u32 = 17;
pub(super) const AGENT_COMPUTE_UNITS: u32 = 0xa002;
pub(super) const AGENT_PRODUCT_NAME: u32 = 0xa009;

/// Values of `hsa_device_type_t`.
pub(super) const DEVICE_CPU: u32 = 0;
pub(super) const DEVICE_GPU: u32 = 1;

/// Values of `hsa_isa_info_t`.
pub(super) const ISA_NAME_LENGTH: u32 = 0;
pub(super) const ISA_NAME: u32 = 1;

/// Values of `hsa_amd_memory_pool_info_t`.
pub(super) const POOL_SEGMENT: u32 = 0;
pub(super) const POOL_FLAGS: u32 = 1;
pub(super) const POOL_SIZE: u32 = 2;
pub(super) const POOL_MAY_ALLOCATE: u32 = 5;

/// Values of `hsa_amd_segment_t`.
pub(super) const SEGMENT_GLOBAL: u32 = 0;
pub(super) const SEGMENT_GROUP: u32 = 3;

/// Flags of pools: for arguments of kernels, coherent with the host, local to a device.
pub(super) const POOL_KERNARG: u32 = 1;
pub(super) const POOL_FINE: u32 = 2;
pub(super) const POOL_COARSE: u32 = 4;

/// `HSA_SIGNAL_CONDITION_LT`.
pub(super) const CONDITION_LESS: u32 = 2;
/// `HSA_WAIT_STATE_BLOCKED`: by an interrupt.
pub(super) const WAIT_BLOCKED: u32 = 0;

/// `HSA_QUEUE_TYPE_MULTI`: for packets from several threads.
pub(super) const QUEUE_MULTI: u32 = 0;
/// `HSA_QUEUE_TYPE_SINGLE`: from one at a time.
pub(super) const QUEUE_SINGLE: u32 = 1;

/// `HSA_SYSTEM_INFO_TIMESTAMP_FREQUENCY`.
const SYSTEM_FREQUENCY: u32 = 3;

/// `HSA_PROFILE_FULL`, and the only rounding mode that executables are made with.
pub(super) const PROFILE_FULL: u32 = 1;
pub(super) const ROUNDING_DEFAULT: u32 = 0;

/// Values of `hsa_executable_symbol_info_t`.
pub(super) const SYMBOL_VARIABLE_ADDRESS: u32 = 21;
pub(super) const SYMBOL_KERNEL_OBJECT: u32 = 22;
pub(super) const SYMBOL_KERNARG_SIZE: u32 = 11;
pub(super) const SYMBOL_GROUP_SIZE: u32 = 13;
pub(super) const SYMBOL_PRIVATE_SIZE: u32 = 14;
pub(super) const SYMBOL_DYNAMIC_STACK: u32 = 15;

macro_rules! functions {
    ($($name:ident = $symbol:literal ($($argument:ty),*) $(-> $result:ty)?;)*) => {
        /// The functions, by what they do.
        pub(super) struct Api {
            $(pub(super) $name: unsafe extern "C" fn($($argument),*) $(-> $result)?,)*
            /// AMD's way to hear of faults of memory, which else end the process.
            system_events: Option<unsafe extern "C" fn(SystemEvent, *mut c_void) -> Code>,
            /// What the machine in software says of the last fault in a queue: a text of at most so many
            /// bytes.
            report: Option<unsafe extern "C" fn(*const Queue, *mut c_char, usize) -> c_int>,
            /// Keeps the functions where they are.
            _library: Library,
        }

        impl Api {
            fn load(library: Library) -> Result<Api, libloading::Error> {
                // SAFETY: the symbols are functions of these signatures, by the documents above.
                unsafe {
                    let optional = library.get(b"hsa_amd_register_system_event_handler\0");
                    let report = library.get(b"legionella_hsasim_report\0");
                    Ok(Api {
                        $($name: *library.get($symbol)?,)*
                        system_events: optional.ok().map(|function| *function),
                        report: report.ok().map(|function| *function),
                        _library: library,
                    })
                }
            }
        }
    };
}

type SystemEvent = extern "C" fn(*const c_void, *mut c_void) -> Code;
type ForAgent = extern "C" fn(Agent, *mut c_void) -> Code;
type ForIsa = extern "C" fn(Isa, *mut c_void) -> Code;
type ForPool = extern "C" fn(Pool, *mut c_void) -> Code;

functions! {
    init = b"hsa_init\0" () -> Code;
    status_text = b"hsa_status_string\0" (Code, *mut *const c_char) -> Code;
    system_info = b"hsa_system_get_info\0" (u32, *mut c_void) -> Code;
    agents = b"hsa_iterate_agents\0" (ForAgent, *mut c_void) -> Code;
    agent_info = b"hsa_agent_get_info\0" (Agent, u32, *mut c_void) -> Code;
    isas = b"hsa_agent_iterate_isas\0" (Agent, ForIsa, *mut c_void) -> Code;
    isa_info = b"hsa_isa_get_info_alt\0" (Isa, u32, *mut c_void) -> Code;
    pools = b"hsa_amd_agent_iterate_memory_pools\0" (Agent, ForPool, *mut c_void) -> Code;
    pool_info = b"hsa_amd_memory_pool_get_info\0" (Pool, u32, *mut c_void) -> Code;
    allocate = b"hsa_amd_memory_pool_allocate\0" (Pool, usize, u32, *mut *mut c_void) -> Code;
    free = b"hsa_amd_memory_pool_free\0" (*mut c_void) -> Code;
    allow_access = b"hsa_amd_agents_allow_access\0"
        (u32, *const Agent, *const u32, *const c_void) -> Code;
    copy = b"hsa_amd_memory_async_copy\0"
        (*mut c_void, Agent, *const c_void, Agent, usize, u32, *const Signal, Signal) -> Code;
    fill = b"hsa_amd_memory_fill\0" (*mut c_void, u32, usize) -> Code;
    create_signal = b"hsa_signal_create\0" (i64, u32, *const Agent, *mut Signal) -> Code;
    load_signal = b"hsa_signal_load_scacquire\0" (Signal) -> i64;
    set_signal = b"hsa_signal_store_screlease\0" (Signal, i64);
    set_signal_silently = b"hsa_signal_silent_store_relaxed\0" (Signal, i64);
    wait_signal = b"hsa_signal_wait_scacquire\0" (Signal, u32, i64, u64, u32) -> i64;
    create_queue = b"hsa_queue_create\0"
        (Agent, u32, u32, Report, *mut c_void, u32, u32, *mut *mut Queue) -> Code;
    destroy_queue = b"hsa_queue_destroy\0" (*mut Queue) -> Code;
    read_index = b"hsa_queue_load_read_index_scacquire\0" (*const Queue) -> u64;
    reserve = b"hsa_queue_add_write_index_relaxed\0" (*const Queue, u64) -> u64;
    read_code = b"hsa_code_object_reader_create_from_memory\0"
        (*const c_void, usize, *mut Reader) -> Code;
    drop_reader = b"hsa_code_object_reader_destroy\0" (Reader) -> Code;
    create_executable = b"hsa_executable_create_alt\0"
        (u32, u32, *const c_char, *mut Executable) -> Code;
    load_code = b"hsa_executable_load_agent_code_object\0"
        (Executable, Agent, Reader, *const c_char, *mut c_void) -> Code;
    freeze = b"hsa_executable_freeze\0" (Executable, *const c_char) -> Code;
    symbol = b"hsa_executable_get_symbol_by_name\0"
        (Executable, *const c_char, *const Agent, *mut Symbol) -> Code;
    symbol_info = b"hsa_executable_symbol_get_info\0" (Symbol, u32, *mut c_void) -> Code;
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(LIBRARY)
    }
}

/// The runtime of this machine, ready for use.
pub(super) fn api() -> Result<&'static Api, Absent> {
    static API: OnceLock<Result<Api, Absent>> = OnceLock::new();
    API.get_or_init(open).as_ref().map_err(Absent::clone)
}

fn open() -> Result<Api, Absent> {
    let wanted = env::var_os(VARIABLE).filter(|value| !value.is_empty());
    let library = match &wanted {
        None => library(LIBRARY.as_ref())
            .ok_or_else(|| Absent::Nothing(format!("{LIBRARY} not found")))?,
        Some(value) => {
            let candidates = candidates(value);
            let mut found = candidates.iter().filter_map(|path| library(path.as_ref()));
            found.next().ok_or_else(|| {
                Absent::Broken(format!(
                    "{VARIABLE} is {}, and none of these can be opened: {}",
                    value.display(),
                    candidates
                        .iter()
                        .map(|path| path.display().to_string())
                        .collect::<Vec<_>>()
                        .join(", ")
                ))
            })?
        }
    };
    let api = Api::load(library)
        .map_err(|error| Absent::Broken(format!("the runtime lacks a function: {error}")))?;
    // SAFETY: initialises the library, as is to be done before anything else.
    match unsafe { (api.init)() } {
        0 => {}
        OUT_OF_RESOURCES if wanted.is_none() => {
            return Err(Absent::Nothing(no_device(Path::new(DRIVER))));
        }
        code => return Err(Absent::Broken(api.describe(code))),
    }
    if let Some(register) = api.system_events {
        // SAFETY: the function is of the type that the runtime calls.
        let registered = unsafe { register(survive, std::ptr::null_mut()) };
        if registered != 0 {
            tracing::debug!(reason = api.describe(registered), "no news of faults");
        }
    }
    Ok(api)
}

/// Why the runtime may find no device.
fn no_device(driver: &Path) -> String {
    let path = driver.display();
    let opened = File::options().read(true).write(true).open(driver);
    match opened.map_err(|error| error.kind()) {
        Err(ErrorKind::NotFound) => format!(
            "{LIBRARY} finds no device: there is no {path}, so that the system's driver, amdgpu, is not loaded, or this \
             container was not given it"
        ),
        Err(ErrorKind::PermissionDenied) => format!(
            "{LIBRARY} finds no device: {path} is closed to this user, who has to be in its group (mostly `render`)"
        ),
        _ => format!("{LIBRARY} finds no device"),
    }
}

fn library(path: &std::ffi::OsStr) -> Option<Library> {
    // SAFETY: these libraries are made to be opened by any process.
    unsafe { Library::new(path) }.ok()
}

/// Where the library may be that the variable asks for.
fn candidates(value: &OsString) -> Vec<PathBuf> {
    let text = value.to_string_lossy();
    let simulated = text
        .strip_prefix("sim")
        .filter(|rest| rest.is_empty() || rest.starts_with(':') || rest.starts_with('@'));
    let Some(rest) = simulated else {
        return vec![PathBuf::from(value)];
    };
    if let Some((_, path)) = rest.split_once('@') {
        return vec![PathBuf::from(path)];
    }
    let mut candidates = Vec::new();
    // Beside the program, or in a folder above it, as tests and examples are built.
    if let Ok(program) = env::current_exe() {
        let folders = program.ancestors().skip(1).take(4);
        candidates.extend(folders.flat_map(|folder| {
            ["", "lib", "release", "debug"].map(|within| folder.join(within).join(SIMULATOR))
        }));
    }
    candidates.push(PathBuf::from(SIMULATOR));
    candidates.retain(|path| path.components().count() == 1 || path.is_file());
    candidates
}

/// Hears of a fault of memory. The queue that it happened in tells of it, too; without this, AMD's
/// runtime ends the process.
extern "C" fn survive(_: *const c_void, _: *mut c_void) -> Code {
    0
}

impl Api {
    /// A result as the runtime words it.
    pub(super) fn describe(&self, code: Code) -> String {
        let mut text = null();
        // SAFETY: the pointer is valid for writes; the runtime's texts are static.
        unsafe {
            if (self.status_text)(code, &mut text) == 0 && !text.is_null() {
                return CStr::from_ptr(text).to_string_lossy().into_owned();
            }
        }
        format!("error {code:#x} of the HSA runtime")
    }

    /// What is said of the fault in a queue beside its code, if anything is.
    ///
    /// # Safety
    /// The queue exists.
    pub(super) unsafe fn report(&self, queue: *const Queue) -> Option<String> {
        let report = self.report?;
        let mut text = vec![0u8; 4096];
        // SAFETY: the text has room for as many bytes as are said; the caller's promise.
        let found = unsafe { report(queue, text.as_mut_ptr().cast(), text.len()) };
        let text = CStr::from_bytes_until_nul(&text).ok()?.to_string_lossy();
        (found >= 0 && !text.is_empty()).then(|| text.trim_end().to_owned())
    }

    /// Version of HSA that the runtime offers.
    pub(super) fn version(&self) -> (u16, u16) {
        let number = |which| {
            let mut number = 0u16;
            // SAFETY: valid for writes of what is asked for.
            unsafe { (self.system_info)(which, (&raw mut number).cast()) };
            number
        };
        (number(0), number(1))
    }

    /// How many of the units in a second in which waits are limited.
    pub(super) fn frequency(&self) -> Result<u64, Code> {
        let mut frequency = 0u64;
        // SAFETY: valid for writes of what is asked for.
        match unsafe { (self.system_info)(SYSTEM_FREQUENCY, (&raw mut frequency).cast()) } {
            0 => Ok(frequency),
            code => Err(code),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_in_software_may_be_anywhere() {
        let only = |value: &str| candidates(&OsString::from(value));
        assert_eq!(
            only("/opt/rocm/lib/x.so"),
            [PathBuf::from("/opt/rocm/lib/x.so")]
        );
        assert_eq!(only("sim:gfx942@/tmp/s.so"), [PathBuf::from("/tmp/s.so")]);
        assert_eq!(only("simple.so"), [PathBuf::from("simple.so")]);
        assert_eq!(only("sim:gfx942").last(), Some(&PathBuf::from(SIMULATOR)));
    }

    #[test]
    fn a_missing_driver_is_told() {
        let told = no_device(Path::new("/nowhere/kfd"));
        assert!(told.contains("no /nowhere/kfd"), "{told}");
        let told = no_device(Path::new("/dev/null"));
        assert_eq!(told, format!("{LIBRARY} finds no device"));
    }
}
