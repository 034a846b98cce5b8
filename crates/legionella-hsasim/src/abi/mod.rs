//! The C functions of ROCm's HSA runtime, as `hsa.h` and `hsa_ext_amd.h` (ROCm 5.2) declare them: a subset,
//! of the same names, structures and codes.
//!
//! Each function checks its handles and leaves the rest to [`crate::machine`]. What the headers say of
//! pointers is each function's contract; it is not said again here.

use std::ffi::{c_char, c_void};
use std::sync::atomic::{AtomicU32, Ordering};

pub mod agents;
pub mod copies;
pub mod executables;
pub mod pools;
pub mod queues;
pub mod signals;

/// `hsa_status_t`.
pub type Status = u32;

/// Values of `hsa_status_t`.
#[expect(missing_docs, reason = "they are ROCm's names")]
pub mod status {
    use super::Status;

    pub const SUCCESS: Status = 0;
    pub const INFO_BREAK: Status = 1;
    pub const ERROR: Status = 0x1000;
    pub const INVALID_ARGUMENT: Status = 0x1001;
    pub const INVALID_QUEUE_CREATION: Status = 0x1002;
    pub const INVALID_ALLOCATION: Status = 0x1003;
    pub const INVALID_AGENT: Status = 0x1004;
    pub const INVALID_SIGNAL: Status = 0x1006;
    pub const INVALID_QUEUE: Status = 0x1007;
    pub const OUT_OF_RESOURCES: Status = 0x1008;
    pub const INVALID_PACKET_FORMAT: Status = 0x1009;
    pub const NOT_INITIALIZED: Status = 0x100b;
    pub const INCOMPATIBLE_ARGUMENTS: Status = 0x100d;
    pub const INVALID_ISA: Status = 0x100f;
    pub const INVALID_CODE_OBJECT: Status = 0x1010;
    pub const INVALID_EXECUTABLE: Status = 0x1011;
    pub const FROZEN_EXECUTABLE: Status = 0x1012;
    pub const INVALID_SYMBOL_NAME: Status = 0x1013;
    pub const EXCEPTION: Status = 0x1016;
    pub const INVALID_ISA_NAME: Status = 0x1017;
    pub const INVALID_EXECUTABLE_SYMBOL: Status = 0x1019;
    pub const INVALID_CODE_OBJECT_READER: Status = 0x1021;
    pub const FATAL: Status = 0x1026;
    pub const INVALID_MEMORY_POOL: Status = 40;
    pub const MEMORY_APERTURE_VIOLATION: Status = 41;
    pub const ILLEGAL_INSTRUCTION: Status = 42;
    pub const MEMORY_FAULT: Status = 43;
}

/// Calls of `hsa_init` without one of `hsa_shut_down`.
static USERS: AtomicU32 = AtomicU32::new(0);

/// Ends a function that is called before `hsa_init`.
macro_rules! initialized {
    () => {
        if !$crate::abi::is_initialized() {
            return $crate::abi::status::NOT_INITIALIZED;
        }
    };
}
pub(crate) use initialized;

/// Whether `hsa_init` has been called.
pub fn is_initialized() -> bool {
    USERS.load(Ordering::Acquire) > 0
}

/// Writes what was asked for.
///
/// # Safety
/// `to` is null or has room for a `T`.
pub(crate) unsafe fn give<T>(to: *mut c_void, value: T) -> Status {
    if to.is_null() {
        return status::INVALID_ARGUMENT;
    }
    // SAFETY: the caller's promise.
    unsafe { to.cast::<T>().write_unaligned(value) };
    status::SUCCESS
}

/// Writes a text into so many bytes, with zeros behind it.
///
/// # Safety
/// `to` is null or has room for `size` bytes.
pub(crate) unsafe fn give_text(to: *mut c_void, text: &str, size: usize) -> Status {
    if to.is_null() {
        return status::INVALID_ARGUMENT;
    }
    for at in 0..size {
        let byte = text.as_bytes().get(at).copied().unwrap_or(0);
        // SAFETY: the caller's promise.
        unsafe { to.cast::<u8>().add(at).write(byte) };
    }
    status::SUCCESS
}

/// Begins to use the runtime.
#[unsafe(no_mangle)]
pub extern "C" fn hsa_init() -> Status {
    match USERS.fetch_update(Ordering::AcqRel, Ordering::Acquire, |users| {
        users.checked_add(1)
    }) {
        Ok(_) => status::SUCCESS,
        Err(_) => 0x100c,
    }
}

/// Ends to use the runtime. What is left stays as it is until the process ends.
#[unsafe(no_mangle)]
pub extern "C" fn hsa_shut_down() -> Status {
    match USERS.fetch_update(Ordering::AcqRel, Ordering::Acquire, |users| {
        users.checked_sub(1)
    }) {
        Ok(_) => status::SUCCESS,
        Err(_) => status::NOT_INITIALIZED,
    }
}

/// The text for a code.
///
/// # Safety
/// As `hsa.h` says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hsa_status_string(code: Status, text: *mut *const c_char) -> Status {
    let known = match code {
        status::SUCCESS => c"HSA_STATUS_SUCCESS: it went well",
        status::INFO_BREAK => c"HSA_STATUS_INFO_BREAK: an iteration was ended by its call-back",
        status::ERROR => c"HSA_STATUS_ERROR: an error",
        status::INVALID_ARGUMENT => c"HSA_STATUS_ERROR_INVALID_ARGUMENT: an argument is not valid",
        status::INVALID_QUEUE_CREATION => c"HSA_STATUS_ERROR_INVALID_QUEUE_CREATION: no such queue can be made",
        status::INVALID_ALLOCATION => c"HSA_STATUS_ERROR_INVALID_ALLOCATION: no such memory can be had",
        status::INVALID_AGENT => c"HSA_STATUS_ERROR_INVALID_AGENT: the agent is none",
        status::INVALID_SIGNAL => c"HSA_STATUS_ERROR_INVALID_SIGNAL: the signal is none",
        status::INVALID_QUEUE => c"HSA_STATUS_ERROR_INVALID_QUEUE: the queue is none",
        status::OUT_OF_RESOURCES => c"HSA_STATUS_ERROR_OUT_OF_RESOURCES: there is not enough of something",
        status::INVALID_PACKET_FORMAT => c"HSA_STATUS_ERROR_INVALID_PACKET_FORMAT: a packet is not valid",
        status::NOT_INITIALIZED => c"HSA_STATUS_ERROR_NOT_INITIALIZED: hsa_init was not called",
        status::INCOMPATIBLE_ARGUMENTS => c"HSA_STATUS_ERROR_INCOMPATIBLE_ARGUMENTS: arguments don't go together",
        status::INVALID_ISA => c"HSA_STATUS_ERROR_INVALID_ISA: the instruction set is none",
        status::INVALID_ISA_NAME => c"HSA_STATUS_ERROR_INVALID_ISA_NAME: no instruction set has this name",
        status::INVALID_CODE_OBJECT => c"HSA_STATUS_ERROR_INVALID_CODE_OBJECT: the code object is not valid",
        status::INVALID_EXECUTABLE => c"HSA_STATUS_ERROR_INVALID_EXECUTABLE: the executable is none",
        status::FROZEN_EXECUTABLE => c"HSA_STATUS_ERROR_FROZEN_EXECUTABLE: the executable is frozen",
        status::INVALID_SYMBOL_NAME => c"HSA_STATUS_ERROR_INVALID_SYMBOL_NAME: there is no symbol of this name",
        status::EXCEPTION => c"HSA_STATUS_ERROR_EXCEPTION: a kernel has stopped itself",
        status::INVALID_EXECUTABLE_SYMBOL => c"HSA_STATUS_ERROR_INVALID_EXECUTABLE_SYMBOL: the symbol is none",
        status::INVALID_CODE_OBJECT_READER => c"HSA_STATUS_ERROR_INVALID_CODE_OBJECT_READER: the reader is none",
        status::FATAL => c"HSA_STATUS_ERROR_FATAL: the agent is lost",
        status::INVALID_MEMORY_POOL => c"HSA_STATUS_ERROR_INVALID_MEMORY_POOL: the pool is none",
        status::MEMORY_APERTURE_VIOLATION => {
            c"HSA_STATUS_ERROR_MEMORY_APERTURE_VIOLATION: a kernel left the memory of a work-group or item"
        }
        status::ILLEGAL_INSTRUCTION => c"HSA_STATUS_ERROR_ILLEGAL_INSTRUCTION: a kernel has an instruction that can't be executed",
        status::MEMORY_FAULT => c"HSA_STATUS_ERROR_MEMORY_FAULT: a kernel left its memory",
        _ => return status::INVALID_ARGUMENT,
    };
    // SAFETY: the header's contract.
    unsafe { give(text.cast(), known.as_ptr()) }
}

/// Tells of the system.
///
/// # Safety
/// As `hsa.h` says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hsa_system_get_info(attribute: u32, value: *mut c_void) -> Status {
    initialized!();
    // SAFETY: the header's contract: the value has the attribute's type.
    unsafe {
        match attribute {
            0 | 1 => give(value, 1u16),
            2 => give(value, crate::interpret::scalar::clock()),
            3 => give(value, 100_000_000u64),
            4 => give(value, u64::MAX),
            5 => give(value, 0u32),
            6 => give(value, 1u32),
            7 => give_text(value, "", 128),
            0x200 => give(
                value,
                concat!("legionella-hsasim ", env!("CARGO_PKG_VERSION"), "\0").as_ptr(),
            ),
            0x201 | 0x202 => give(value, false),
            _ => status::INVALID_ARGUMENT,
        }
    }
}

/// Takes a function that is told of faults in memory: here queues' call-backs are.
#[unsafe(no_mangle)]
pub extern "C" fn hsa_amd_register_system_event_handler(
    _callback: *const c_void,
    _data: *mut c_void,
) -> Status {
    initialized!();
    status::SUCCESS
}
