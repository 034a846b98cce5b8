//! Signals: values in memory that agents and the host change and wait for.
//!
//! A signal is an `amd_signal_t` (ROCm, `amd_hsa_signal.h`); its handle is its address. Who waits for a
//! value sleeps on its lower word (`futex`) and looks again now and then, since kernels may change
//! values in ways that nobody hears of.

use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering, fence};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::memory::{Purpose, memory};

/// `amd_signal_t`.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Signal {
    /// [`USER`] or [`DOORBELL`].
    pub kind: AtomicI64,
    /// The value; of doorbells, the address of what is written to.
    pub value: AtomicI64,
    /// Where an agent writes to raise an interrupt: nowhere, in software.
    pub event_mailbox: AtomicU64,
    /// What it writes.
    pub event: AtomicU32,
    /// Reserved.
    pub reserved: AtomicU32,
    /// When what completed the signal began.
    pub start: AtomicU64,
    /// When it ended.
    pub end: AtomicU64,
    /// Of doorbells, the queue.
    pub queue: AtomicU64,
    /// Reserved.
    pub reserved2: [AtomicU32; 2],
}

/// `AMD_SIGNAL_KIND_USER`.
pub const USER: i64 = 1;
/// `AMD_SIGNAL_KIND_DOORBELL`.
pub const DOORBELL: i64 = -1;

/// Signals of a slab.
const SLAB: usize = 1024;

/// Signals that are free.
static FREE: Mutex<Vec<u64>> = Mutex::new(Vec::new());

/// Makes a signal. `None` if there is no memory.
pub fn create(kind: i64, value: i64) -> Option<&'static Signal> {
    let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
    if free.is_empty() {
        let size = SLAB * size_of::<Signal>();
        let base = memory()
            .allocate(size, Purpose::Control, u64::MAX)?
            .as_ptr() as u64;
        free.extend(
            (0..SLAB)
                .rev()
                .map(|at| base + (at * size_of::<Signal>()) as u64),
        );
    }
    // SAFETY: slabs stay mapped, and all of a signal's fields are atomic and valid as zeros.
    let signal = unsafe { &*(free.pop()? as *const Signal) };
    signal.value.store(value, Ordering::Relaxed);
    signal.queue.store(0, Ordering::Relaxed);
    signal.kind.store(kind, Ordering::Release);
    Some(signal)
}

/// Gives a signal back.
pub fn destroy(signal: &'static Signal) {
    signal.kind.store(0, Ordering::Release);
    let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
    free.push(signal as *const Signal as u64);
}

/// The signal of a handle, if it is one.
pub fn of(handle: u64) -> Option<&'static Signal> {
    if handle == 0 || !handle.is_multiple_of(64) {
        return None;
    }
    // SAFETY: handles are addresses of signals, by the contract of the ABI's functions.
    let signal = unsafe { &*(handle as *const Signal) };
    matches!(signal.kind.load(Ordering::Acquire), USER | DOORBELL).then_some(signal)
}

/// When the host rang a doorbell last, by [`now`].
static RUNG: AtomicU64 = AtomicU64::new(0);

/// When the host rang a doorbell last, by [`now`]; 0 if it never did.
pub fn rung() -> u64 {
    RUNG.load(Ordering::Relaxed)
}

/// Nanoseconds since some point in time.
pub fn now() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: a place for a time.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

impl Signal {
    /// Its handle.
    pub fn handle(&self) -> u64 {
        self as *const Signal as u64
    }

    /// Changes the value; gives the old one.
    pub fn change(&self, change: impl Fn(i64) -> i64) -> i64 {
        let old = self
            .value
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |old| Some(change(old)))
            .unwrap_or_else(|old| old);
        wake(&raw const self.value as u64);
        old
    }

    /// Sets the value, or rings the doorbell.
    pub fn store(&self, value: i64) {
        if self.kind.load(Ordering::Relaxed) == DOORBELL {
            RUNG.store(now(), Ordering::Relaxed);
            let address = self.value.load(Ordering::Relaxed) as u64;
            // SAFETY: a doorbell's value is the address of its word, which lives as long.
            unsafe { (*(address as *const AtomicI64)).store(value, Ordering::SeqCst) };
            wake(address);
        } else {
            self.value.store(value, Ordering::SeqCst);
            wake(&raw const self.value as u64);
        }
    }

    /// Sets the value without waking who waits for it.
    pub fn store_silently(&self, value: i64) {
        if self.kind.load(Ordering::Relaxed) == DOORBELL {
            self.store(value);
        } else {
            self.value.store(value, Ordering::SeqCst);
        }
    }

    /// Waits until a condition holds, at most so long. Gives the value seen last.
    pub fn wait(&self, holds: impl Fn(i64) -> bool, limit: Option<Duration>) -> i64 {
        let start = Instant::now();
        let mut looks = 0u32;
        loop {
            let value = self.value.load(Ordering::SeqCst);
            if holds(value) || limit.is_some_and(|limit| start.elapsed() >= limit) {
                fence(Ordering::Acquire);
                return value;
            }
            looks += 1;
            if looks < 100 {
                std::hint::spin_loop();
                continue;
            }
            let left = limit.map_or(LOOK, |limit| {
                limit.saturating_sub(start.elapsed()).min(LOOK)
            });
            sleep(&raw const self.value as u64, value as u32, left);
        }
    }
}

/// How long who sleeps goes without looking.
pub const LOOK: Duration = Duration::from_millis(1);

/// Sleeps while the word at an address has a value, at most so long.
pub fn sleep(address: u64, value: u32, limit: Duration) {
    let limit = libc::timespec {
        tv_sec: limit.as_secs() as libc::time_t,
        tv_nsec: libc::c_long::from(limit.subsec_nanos() as i32),
    };
    // SAFETY: the word lives as long as who sleeps on it; the kernel only reads it.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            address as *const u32,
            libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
            value,
            &raw const limit,
        );
    }
}

/// Wakes who sleeps on the word at an address.
pub fn wake(address: u64) {
    // SAFETY: the kernel takes the address as a name only.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            address as *const u32,
            libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG,
            i32::MAX,
        );
    }
}
