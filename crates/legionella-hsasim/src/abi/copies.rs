//! Copies and fills.

use std::ffi::c_void;
use std::sync::atomic::Ordering;

use crate::interpret::scalar::clock;
use crate::machine::memory::memory;
use crate::machine::signal;
use crate::machine::watch::{Task, Watch};

use super::agents::AgentHandle;
use super::signals::SignalHandle;
use super::{Status, initialized, status};

/// Whether so many bytes at an address are memory that agents may reach.
fn is_reachable(address: u64, size: usize) -> bool {
    memory()
        .region(address)
        .is_some_and(|region| region.size as u64 - (address - region.base) >= size as u64)
}

/// Copies at once.
///
/// # Safety
/// As `hsa.h` says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hsa_memory_copy(
    to: *mut c_void,
    from: *const c_void,
    size: usize,
) -> Status {
    initialized!();
    if to.is_null() || from.is_null() {
        return status::INVALID_ARGUMENT;
    }
    // SAFETY: the header's contract.
    unsafe { std::ptr::copy(from.cast::<u8>(), to.cast(), size) };
    status::SUCCESS
}

/// Copies after signals have become zero, and tells a signal.
///
/// # Safety
/// As `hsa_ext_amd.h` says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hsa_amd_memory_async_copy(
    to: *mut c_void,
    to_agent: AgentHandle,
    from: *const c_void,
    from_agent: AgentHandle,
    size: usize,
    count: u32,
    dependencies: *const SignalHandle,
    completion: SignalHandle,
) -> Status {
    initialized!();
    let (Some(to_agent), Some(from_agent)) = (to_agent.agent(), from_agent.agent()) else {
        return status::INVALID_AGENT;
    };
    if to_agent.is_lost() || from_agent.is_lost() {
        return status::FATAL;
    }
    if to.is_null() || from.is_null() || (count > 0 && dependencies.is_null()) {
        return status::INVALID_ARGUMENT;
    }
    let (to, from) = (to as u64, from as u64);
    if !is_reachable(to, size) || !is_reachable(from, size) {
        return status::INVALID_ALLOCATION;
    }
    let Some(completion) = signal::of(completion.handle) else {
        return status::INVALID_SIGNAL;
    };
    let mut signals = Vec::with_capacity(count as usize);
    for at in 0..count as usize {
        // SAFETY: the header's contract: so many signals.
        match signal::of(unsafe { *dependencies.add(at) }.handle) {
            Some(signal) => signals.push(signal),
            None => return status::INVALID_SIGNAL,
        }
    }
    Watch::copies().add(Task {
        ready: Box::new(move || {
            signals
                .iter()
                .all(|signal| signal.value.load(Ordering::SeqCst) == 0)
        }),
        run: Box::new(move || {
            completion.start.store(clock(), Ordering::Relaxed);
            // SAFETY: both ends are in regions, which the application leaves there until the signal tells.
            unsafe { std::ptr::copy(from as *const u8, to as *mut u8, size) };
            completion.end.store(clock(), Ordering::Relaxed);
            completion.change(|value| value.wrapping_sub(1));
            false
        }),
    });
    status::SUCCESS
}

/// Fills memory with words.
///
/// # Safety
/// As `hsa_ext_amd.h` says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hsa_amd_memory_fill(
    address: *mut c_void,
    value: u32,
    count: usize,
) -> Status {
    initialized!();
    if address.is_null() || !(address as usize).is_multiple_of(4) {
        return status::INVALID_ARGUMENT;
    }
    if !count
        .checked_mul(4)
        .is_some_and(|size| is_reachable(address as u64, size))
    {
        return status::INVALID_ALLOCATION;
    }
    for at in 0..count {
        // SAFETY: the words are in a region.
        unsafe { address.cast::<u32>().add(at).write(value) };
    }
    status::SUCCESS
}
