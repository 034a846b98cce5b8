//! Queues.

use std::ffi::{c_char, c_void};
use std::sync::atomic::Ordering;

use crate::machine::queue::{self, ErrorCallback, Queue, Shared};
use crate::machine::signal;

use super::agents::AgentHandle;
use super::{Status, give, give_text, initialized, status};

/// Makes a queue.
///
/// # Safety
/// As `hsa.h` says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hsa_queue_create(
    agent: AgentHandle,
    size: u32,
    kind: u32,
    callback: Option<ErrorCallback>,
    data: *mut c_void,
    _private_size: u32,
    _group_size: u32,
    queue: *mut *mut Shared,
) -> Status {
    initialized!();
    let Some(agent) = agent.agent() else {
        return status::INVALID_AGENT;
    };
    if agent.isa.is_none() {
        return status::INVALID_QUEUE_CREATION;
    }
    if agent.is_lost() {
        return status::FATAL;
    }
    if queue.is_null() || !size.is_power_of_two() || !(64..=131_072).contains(&size) {
        return status::INVALID_ARGUMENT;
    }
    match Queue::create(agent.number, size, kind, callback, data) {
        // SAFETY: the header's contract.
        Some(made) => unsafe { give(queue.cast(), made.address()) },
        None => status::OUT_OF_RESOURCES,
    }
}

/// Stops a queue, with what runs on it, and gives it back.
#[unsafe(no_mangle)]
pub extern "C" fn hsa_queue_destroy(queue: *mut Shared) -> Status {
    initialized!();
    match queue::of(queue) {
        Some(queue) => {
            queue.destroy();
            status::SUCCESS
        }
        None => status::INVALID_QUEUE,
    }
}

/// Stops a queue, with what runs on it.
#[unsafe(no_mangle)]
pub extern "C" fn hsa_queue_inactivate(queue: *mut Shared) -> Status {
    initialized!();
    match queue::of(queue) {
        Some(queue) => {
            queue.stop();
            status::SUCCESS
        }
        None => status::INVALID_QUEUE,
    }
}

/// Says how urgent a queue's packets are: here all are alike.
#[unsafe(no_mangle)]
pub extern "C" fn hsa_amd_queue_set_priority(queue: *mut Shared, _priority: u32) -> Status {
    initialized!();
    if queue::of(queue).is_some() {
        status::SUCCESS
    } else {
        status::INVALID_QUEUE
    }
}

/// Has the times of launches noted in their signals: here they always are.
#[unsafe(no_mangle)]
pub extern "C" fn hsa_amd_profiling_set_profiler_enabled(
    queue: *mut Shared,
    _enable: i32,
) -> Status {
    initialized!();
    if queue::of(queue).is_some() {
        status::SUCCESS
    } else {
        status::INVALID_QUEUE
    }
}

/// The text of a queue's failure, as it went to standard error; gives its length. Not in ROCm.
///
/// # Safety
/// `buffer` has room for `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn legionella_hsasim_report(
    queue: *const Shared,
    buffer: *mut c_char,
    size: usize,
) -> i32 {
    let Some(queue) = queue::of(queue) else {
        return -1;
    };
    let text = queue.report();
    if size > 0 {
        let end = text.floor_char_boundary(size - 1);
        // SAFETY: the caller's promise.
        unsafe { give_text(buffer.cast(), &text[..end], size) };
    }
    i32::try_from(text.len()).unwrap_or(i32::MAX)
}

macro_rules! loads {
    ($field:ident: $($name:ident)*) => {$(
        /// The number of a packet.
        ///
        /// # Safety
        /// The queue is one.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(queue: *const Shared) -> u64 {
            // SAFETY: the caller's promise; the field is atomic.
            unsafe { (*queue).$field.load(Ordering::SeqCst) }
        }
    )*};
}

macro_rules! stores {
    ($field:ident: $($name:ident)*) => {$(
        /// Sets the number of a packet.
        ///
        /// # Safety
        /// The queue is one.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(queue: *const Shared, value: u64) {
            // SAFETY: the caller's promise; the field is atomic.
            unsafe { (*queue).$field.store(value, Ordering::SeqCst) }
        }
    )*};
}

macro_rules! adds {
    ($($name:ident)*) => {$(
        /// Takes so many packets; gives the number of the first.
        ///
        /// # Safety
        /// The queue is one.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(queue: *const Shared, value: u64) -> u64 {
            // SAFETY: the caller's promise; the field is atomic.
            unsafe { (*queue).write_index.fetch_add(value, Ordering::SeqCst) }
        }
    )*};
}

macro_rules! compares {
    ($($name:ident)*) => {$(
        /// Sets the number of the next packet if it is as expected; gives the old one.
        ///
        /// # Safety
        /// The queue is one.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(queue: *const Shared, expected: u64, value: u64) -> u64 {
            // SAFETY: the caller's promise; the field is atomic.
            unsafe { &(*queue).write_index }
                .compare_exchange(expected, value, Ordering::SeqCst, Ordering::SeqCst)
                .unwrap_or_else(|old| old)
        }
    )*};
}

loads! { read_index: hsa_queue_load_read_index_relaxed hsa_queue_load_read_index_scacquire }
loads! { write_index: hsa_queue_load_write_index_relaxed hsa_queue_load_write_index_scacquire }
stores! { write_index: hsa_queue_store_write_index_relaxed hsa_queue_store_write_index_screlease }
stores! { read_index: hsa_queue_store_read_index_relaxed hsa_queue_store_read_index_screlease }
adds! {
    hsa_queue_add_write_index_relaxed hsa_queue_add_write_index_scacquire hsa_queue_add_write_index_screlease
    hsa_queue_add_write_index_scacq_screl
}
compares! {
    hsa_queue_cas_write_index_relaxed hsa_queue_cas_write_index_scacquire hsa_queue_cas_write_index_screlease
    hsa_queue_cas_write_index_scacq_screl
}

/// When the host rang a doorbell last, in nanoseconds by [`legionella_hsasim_now`]: for measurements of what comes
/// before that. Not in ROCm.
#[unsafe(no_mangle)]
pub extern "C" fn legionella_hsasim_rung() -> u64 {
    signal::rung()
}

/// The time, in nanoseconds since some point. Not in ROCm.
#[unsafe(no_mangle)]
pub extern "C" fn legionella_hsasim_now() -> u64 {
    signal::now()
}
