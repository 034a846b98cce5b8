//! Signals.

use std::ffi::c_void;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::machine::signal::{self, Signal, USER};
use crate::machine::watch::{Task, Watch};

use super::agents::AgentHandle;
use super::{Status, give, initialized, status};

/// `hsa_signal_t`: the address of an `amd_signal_t`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct SignalHandle {
    /// The address.
    pub handle: u64,
}

/// Makes a signal.
///
/// # Safety
/// As `hsa.h` says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hsa_signal_create(
    value: i64,
    _consumers: u32,
    _agents: *const AgentHandle,
    handle: *mut SignalHandle,
) -> Status {
    initialized!();
    if handle.is_null() {
        return status::INVALID_ARGUMENT;
    }
    match signal::create(USER, value) {
        // SAFETY: the header's contract.
        Some(signal) => unsafe {
            give(
                handle.cast(),
                SignalHandle {
                    handle: signal.handle(),
                },
            )
        },
        None => status::OUT_OF_RESOURCES,
    }
}

/// Makes a signal.
///
/// # Safety
/// As `hsa_ext_amd.h` says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hsa_amd_signal_create(
    value: i64,
    consumers: u32,
    agents: *const AgentHandle,
    _attributes: u64,
    handle: *mut SignalHandle,
) -> Status {
    // SAFETY: the header's contract is the same.
    unsafe { hsa_signal_create(value, consumers, agents, handle) }
}

/// Gives a signal back.
#[unsafe(no_mangle)]
pub extern "C" fn hsa_signal_destroy(handle: SignalHandle) -> Status {
    initialized!();
    match signal::of(handle.handle) {
        Some(signal) if signal.kind.load(Ordering::Relaxed) == USER => {
            signal::destroy(signal);
            status::SUCCESS
        }
        _ => status::INVALID_SIGNAL,
    }
}

/// The address of a signal's value.
///
/// # Safety
/// As `hsa_ext_amd.h` says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hsa_amd_signal_value_pointer(
    handle: SignalHandle,
    pointer: *mut *mut i64,
) -> Status {
    initialized!();
    match signal::of(handle.handle) {
        // SAFETY: the header's contract.
        Some(signal) => unsafe { give(pointer.cast(), &raw const signal.value) },
        None => status::INVALID_SIGNAL,
    }
}

/// The signal of a handle that must be one: the functions below have no way to say otherwise.
fn of(handle: SignalHandle) -> &'static Signal {
    match signal::of(handle.handle) {
        Some(signal) => signal,
        None => {
            eprintln!(
                "legionella-hsasim: {:#x} is used as a signal, which it is not",
                handle.handle
            );
            std::process::abort()
        }
    }
}

macro_rules! loads {
    ($($name:ident)*) => {$(
        /// A signal's value.
        #[unsafe(no_mangle)]
        pub extern "C" fn $name(handle: SignalHandle) -> i64 {
            of(handle).value.load(Ordering::SeqCst)
        }
    )*};
}

macro_rules! stores {
    ($($name:ident)*) => {$(
        /// Sets a signal's value, or rings a doorbell.
        #[unsafe(no_mangle)]
        pub extern "C" fn $name(handle: SignalHandle, value: i64) {
            of(handle).store(value);
        }
    )*};
}

macro_rules! silent_stores {
    ($($name:ident)*) => {$(
        /// Sets a signal's value that nobody waits for.
        #[unsafe(no_mangle)]
        pub extern "C" fn $name(handle: SignalHandle, value: i64) {
            of(handle).store_silently(value);
        }
    )*};
}

macro_rules! changes {
    ($($($name:ident)* = |$old:ident, $value:ident| $new:expr;)*) => {$($(
        /// Changes a signal's value.
        #[unsafe(no_mangle)]
        pub extern "C" fn $name(handle: SignalHandle, $value: i64) {
            of(handle).change(|$old| $new);
        }
    )*)*};
}

macro_rules! exchanges {
    ($($name:ident)*) => {$(
        /// Sets a signal's value; gives the old one.
        #[unsafe(no_mangle)]
        pub extern "C" fn $name(handle: SignalHandle, value: i64) -> i64 {
            of(handle).change(|_| value)
        }
    )*};
}

macro_rules! compares {
    ($($name:ident)*) => {$(
        /// Sets a signal's value if it is as expected; gives the old one.
        #[unsafe(no_mangle)]
        pub extern "C" fn $name(handle: SignalHandle, expected: i64, value: i64) -> i64 {
            of(handle).change(|old| if old == expected { value } else { old })
        }
    )*};
}

loads! { hsa_signal_load_relaxed hsa_signal_load_scacquire }
stores! { hsa_signal_store_relaxed hsa_signal_store_screlease }
silent_stores! { hsa_signal_silent_store_relaxed hsa_signal_silent_store_screlease }
exchanges! {
    hsa_signal_exchange_relaxed hsa_signal_exchange_scacquire hsa_signal_exchange_screlease
    hsa_signal_exchange_scacq_screl
}
compares! {
    hsa_signal_cas_relaxed hsa_signal_cas_scacquire hsa_signal_cas_screlease hsa_signal_cas_scacq_screl
}
changes! {
    hsa_signal_add_relaxed hsa_signal_add_scacquire hsa_signal_add_screlease hsa_signal_add_scacq_screl
        = |old, value| old.wrapping_add(value);
    hsa_signal_subtract_relaxed hsa_signal_subtract_scacquire hsa_signal_subtract_screlease
    hsa_signal_subtract_scacq_screl = |old, value| old.wrapping_sub(value);
    hsa_signal_and_relaxed hsa_signal_and_scacquire hsa_signal_and_screlease hsa_signal_and_scacq_screl
        = |old, value| old & value;
    hsa_signal_or_relaxed hsa_signal_or_scacquire hsa_signal_or_screlease hsa_signal_or_scacq_screl
        = |old, value| old | value;
    hsa_signal_xor_relaxed hsa_signal_xor_scacquire hsa_signal_xor_screlease hsa_signal_xor_scacq_screl
        = |old, value| old ^ value;
}

/// Whether a value fulfils a condition (`hsa_signal_condition_t`).
fn holds(condition: u32, value: i64, compared: i64) -> bool {
    match condition {
        0 => value == compared,
        1 => value != compared,
        2 => value < compared,
        _ => value >= compared,
    }
}

/// How long a wait may take: ticks of the system's clock, 10 ns each.
fn limit(ticks: u64) -> Option<Duration> {
    (ticks != u64::MAX).then(|| Duration::from_nanos(ticks.saturating_mul(10)))
}

/// Waits for a condition.
#[unsafe(no_mangle)]
pub extern "C" fn hsa_signal_wait_scacquire(
    handle: SignalHandle,
    condition: u32,
    compared: i64,
    ticks: u64,
    _state: u32,
) -> i64 {
    of(handle).wait(|value| holds(condition, value, compared), limit(ticks))
}

/// Waits for a condition.
#[unsafe(no_mangle)]
pub extern "C" fn hsa_signal_wait_relaxed(
    handle: SignalHandle,
    condition: u32,
    compared: i64,
    ticks: u64,
    state: u32,
) -> i64 {
    hsa_signal_wait_scacquire(handle, condition, compared, ticks, state)
}

/// Waits until one of several conditions holds; gives its number, or `u32::MAX`.
///
/// # Safety
/// As `hsa_ext_amd.h` says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hsa_amd_signal_wait_any(
    count: u32,
    handles: *mut SignalHandle,
    conditions: *mut u32,
    values: *mut i64,
    ticks: u64,
    _state: u32,
    satisfying: *mut i64,
) -> u32 {
    let start = std::time::Instant::now();
    loop {
        for at in 0..count as usize {
            // SAFETY: the header's contract: so many of each.
            let (handle, condition, compared) =
                unsafe { (*handles.add(at), *conditions.add(at), *values.add(at)) };
            let value = of(handle).value.load(Ordering::SeqCst);
            if holds(condition, value, compared) {
                if !satisfying.is_null() {
                    // SAFETY: the header's contract.
                    unsafe { satisfying.write(value) };
                }
                return at as u32;
            }
        }
        if limit(ticks).is_some_and(|limit| start.elapsed() >= limit) {
            return u32::MAX;
        }
        std::thread::sleep(Duration::from_micros(20));
    }
}

/// What a handler is called with.
struct Argument(*mut c_void);

// SAFETY: the pointer is only handed back to the application's handler, which by HSA's rules is called
// on a thread of the runtime's.
unsafe impl Send for Argument {}

impl Argument {
    fn pointer(&self) -> *mut c_void {
        self.0
    }
}

/// Calls a function when a condition holds, and again as long as it says so.
///
/// # Safety
/// As `hsa_ext_amd.h` says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hsa_amd_signal_async_handler(
    handle: SignalHandle,
    condition: u32,
    compared: i64,
    handler: Option<unsafe extern "C" fn(i64, *mut c_void) -> bool>,
    argument: *mut c_void,
) -> Status {
    initialized!();
    let Some(handler) = handler else {
        return status::INVALID_ARGUMENT;
    };
    let Some(signal) = signal::of(handle.handle) else {
        return status::INVALID_SIGNAL;
    };
    let argument = Argument(argument);
    Watch::handlers().add(Task {
        ready: Box::new(move || holds(condition, signal.value.load(Ordering::SeqCst), compared)),
        run: Box::new(move || {
            let value = signal.value.load(Ordering::SeqCst);
            // SAFETY: the application gave the function for this, with its argument.
            unsafe { handler(value, argument.pointer()) }
        }),
    });
    status::SUCCESS
}
