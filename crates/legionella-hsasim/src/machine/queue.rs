//! Queues: rings of packets that the host, or a kernel, writes, and a doorbell for each.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, Weak};
use std::thread::JoinHandle;

use crate::decode::{PRIVATE_BASE, SHARED_BASE};

use super::dispatch::Dispatch;
use super::executable::Loaded;
use super::memory::{Purpose, memory};
use super::packet::{SIZE, Slot};
use super::processor;
use super::signal::{self, DOORBELL, Signal, wake};

/// `amd_queue_t` (ROCm, `amd_hsa_queue.h`), which begins with `hsa_queue_t`.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Shared {
    /// `HSA_QUEUE_TYPE_…`.
    pub kind: u32,
    /// `HSA_QUEUE_FEATURE_…`.
    pub features: u32,
    /// The ring's address.
    pub ring: u64,
    /// The doorbell's handle.
    pub doorbell: u64,
    /// Packets of the ring.
    pub size: u32,
    reserved0: u32,
    /// The queue's number.
    pub id: u64,
    reserved1: [u32; 4],
    /// The number of the next packet to be written.
    pub write_index: AtomicU64,
    /// The upper half of addresses in a work-group's memory.
    pub group_aperture: u32,
    /// The upper half of addresses in a work-item's memory.
    pub private_aperture: u32,
    max_cu_id: u32,
    max_wave_id: u32,
    max_legacy_doorbell: u64,
    legacy_doorbell_lock: u32,
    reserved2: [u32; 9],
    /// The number of the next packet to be read.
    pub read_index: AtomicU64,
    /// Where `read_index` is, from the beginning.
    pub read_index_offset: u32,
    compute_tmpring_size: u32,
    scratch_descriptor: [u32; 4],
    scratch_location: u64,
    scratch_size: u64,
    scratch_lane_size: u32,
    /// `AMD_QUEUE_PROPERTIES_…`.
    pub properties: u32,
    reserved3: [u32; 2],
    /// The signal of a queue that has become inactive.
    pub inactive_signal: u64,
    reserved4: [u32; 14],
}

const _: () = assert!(size_of::<Shared>() == 256);

/// What is called when a queue fails: code, queue, and what was given with it.
pub type ErrorCallback = unsafe extern "C" fn(u32, *mut Shared, *mut std::ffi::c_void);

/// Who hears of failures.
#[derive(Debug)]
struct Listener {
    callback: Option<ErrorCallback>,
    data: *mut std::ffi::c_void,
}

// SAFETY: the pointer is only handed back to the application, which says by HSA's rules that any thread
// may call back.
unsafe impl Send for Listener {}
// SAFETY: as above.
unsafe impl Sync for Listener {}

/// A queue.
#[derive(Debug)]
pub struct Queue {
    /// The agent's number.
    pub agent: u32,
    shared: NonNull<Shared>,
    /// Copies of packets under way, which kernels read.
    copies: NonNull<Slot>,
    /// The word that the doorbell writes to.
    bell: NonNull<AtomicI64>,
    doorbell: &'static Signal,
    listener: Listener,
    /// Whether packets are processed no more.
    stopped: AtomicBool,
    /// Launches that have not ended.
    running: Mutex<Vec<Weak<Dispatch>>>,
    in_flight: AtomicUsize,
    /// Changes whenever a launch ends; who waits for that sleeps on it.
    ends: AtomicU32,
    report: Mutex<String>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

// SAFETY: the pointers are to mappings that the queue owns and gives back when it is dropped; all that is
// changed behind them is atomic.
unsafe impl Send for Queue {}
// SAFETY: as above.
unsafe impl Sync for Queue {}

/// All queues, by address.
fn queues() -> &'static RwLock<Vec<Arc<Queue>>> {
    static QUEUES: OnceLock<RwLock<Vec<Arc<Queue>>>> = OnceLock::new();
    QUEUES.get_or_init(RwLock::default)
}

/// The queue at an address.
pub fn of(address: *const Shared) -> Option<Arc<Queue>> {
    let queues = queues().read().unwrap_or_else(PoisonError::into_inner);
    queues
        .iter()
        .find(|queue| queue.address() == address as u64)
        .cloned()
}

/// Code that is loaded, for the look-up of kernels.
fn code() -> &'static RwLock<Vec<Weak<Loaded>>> {
    static CODE: OnceLock<RwLock<Vec<Weak<Loaded>>>> = OnceLock::new();
    CODE.get_or_init(RwLock::default)
}

/// Makes code known to queues.
pub fn announce(loaded: &Arc<Loaded>) {
    let mut code = code().write().unwrap_or_else(PoisonError::into_inner);
    code.retain(|known| known.strong_count() > 0);
    code.push(Arc::downgrade(loaded));
}

/// The code that has a kernel's descriptor at an address.
pub fn kernel(address: u64, agent: u32) -> Option<Arc<Loaded>> {
    let code = code().read().unwrap_or_else(PoisonError::into_inner);
    code.iter()
        .filter_map(Weak::upgrade)
        .find(|loaded| loaded.agent == agent && loaded.descriptor(address).is_some())
}

impl Queue {
    /// Makes a queue of so many packets. `None` if there is no memory or no thread.
    pub fn create(
        agent: u32,
        size: u32,
        kind: u32,
        callback: Option<ErrorCallback>,
        data: *mut std::ffi::c_void,
    ) -> Option<Arc<Queue>> {
        let packets = size as usize * SIZE;
        let everyone = u64::MAX;
        let shared = memory()
            .allocate(size_of::<Shared>(), Purpose::Control, everyone)?
            .cast::<Shared>();
        let ring = memory()
            .allocate(packets, Purpose::Control, everyone)?
            .cast::<Slot>();
        let copies = memory()
            .allocate(packets, Purpose::Control, everyone)?
            .cast::<Slot>();
        let bell = memory()
            .allocate(8, Purpose::Control, everyone)?
            .cast::<AtomicI64>();
        let doorbell = signal::create(DOORBELL, bell.as_ptr() as i64)?;
        for at in 0..size as usize {
            // SAFETY: the ring has so many slots, of zeros, which are valid slots.
            unsafe { ring.add(at).as_ref() }.invalidate();
        }
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        // SAFETY: the memory is new and the queue's own; zeros are valid for all fields.
        unsafe {
            (*bell.as_ptr()).store(-1, Ordering::Relaxed);
            let fields = &mut *shared.as_ptr();
            fields.kind = kind;
            fields.features = 1;
            fields.ring = ring.as_ptr() as u64;
            fields.doorbell = doorbell.handle();
            fields.size = size;
            fields.id = NUMBER.fetch_add(1, Ordering::Relaxed);
            fields.group_aperture = (SHARED_BASE >> 32) as u32;
            fields.private_aperture = (PRIVATE_BASE >> 32) as u32;
            fields.read_index_offset = std::mem::offset_of!(Shared, read_index) as u32;
            fields.properties = 1 << 1;
        }
        doorbell
            .queue
            .store(shared.as_ptr() as u64, Ordering::Release);
        let queue = Arc::new(Queue {
            agent,
            shared,
            copies,
            bell,
            doorbell,
            listener: Listener { callback, data },
            stopped: AtomicBool::new(false),
            running: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            ends: AtomicU32::new(0),
            report: Mutex::default(),
            thread: Mutex::default(),
        });
        let processed = Arc::clone(&queue);
        let thread = std::thread::Builder::new()
            .name("hsasim queue".to_owned())
            .spawn(move || processor::process(&processed))
            .ok()?;
        *queue.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        queues()
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Arc::clone(&queue));
        Some(queue)
    }

    /// The address of what the application sees.
    pub fn address(&self) -> u64 {
        self.shared.as_ptr() as u64
    }

    /// What the application sees.
    pub fn shared(&self) -> &Shared {
        // SAFETY: the mapping lives as long as the queue; what changes in it is atomic.
        unsafe { self.shared.as_ref() }
    }

    /// The doorbell's word.
    pub fn bell(&self) -> &AtomicI64 {
        // SAFETY: the mapping lives as long as the queue.
        unsafe { self.bell.as_ref() }
    }

    /// The place of a packet in the ring.
    pub fn slot(&self, number: u64) -> &Slot {
        let shared = self.shared();
        let at = number % u64::from(shared.size);
        // SAFETY: the ring has so many slots and lives as long as the queue.
        unsafe { &*(shared.ring as *const Slot).add(at as usize) }
    }

    /// The place for a copy of a packet.
    pub fn copy(&self, number: u64) -> &Slot {
        let at = number % u64::from(self.shared().size);
        // SAFETY: as for the ring.
        unsafe { self.copies.add(at as usize).as_ref() }
    }

    /// Whether packets are processed no more.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Launches that have not ended.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Acquire)
    }

    /// Waits until at most so many launches are under way, or the queue is stopped.
    pub fn wait_for(&self, at_most: usize) {
        loop {
            let ends = self.ends.load(Ordering::Acquire);
            if self.in_flight() <= at_most || self.is_stopped() {
                return;
            }
            signal::sleep(&raw const self.ends as u64, ends, signal::LOOK);
        }
    }

    /// A launch begins.
    pub fn began(&self, dispatch: &Arc<Dispatch>) {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|dispatch| dispatch.strong_count() > 0);
        running.push(Arc::downgrade(dispatch));
    }

    /// A launch has ended: its signal is told.
    pub fn completed(&self, dispatch: &Dispatch) {
        self.complete(dispatch.packet.completion(), dispatch.start);
        self.in_flight.fetch_sub(1, Ordering::AcqRel);
        self.ends.fetch_add(1, Ordering::AcqRel);
        wake(&raw const self.ends as u64);
    }

    /// Tells a packet's signal.
    pub fn complete(&self, handle: u64, start: u64) {
        if let Some(signal) = signal::of(handle) {
            signal.start.store(start, Ordering::Relaxed);
            signal
                .end
                .store(crate::interpret::scalar::clock(), Ordering::Relaxed);
            signal.change(|value| value.wrapping_sub(1));
        }
    }

    /// Stops everything; packets that have not ended never will.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        for dispatch in running.iter().filter_map(Weak::upgrade) {
            dispatch.stopped.store(true, Ordering::Release);
        }
        drop(running);
        wake(self.bell.as_ptr() as u64);
        wake(&raw const self.ends as u64);
    }

    /// The queue fails: it is stopped, and who listens is told, once.
    pub fn failed(&self, status: u32, text: String) {
        if self.stopped.swap(true, Ordering::AcqRel) {
            return;
        }
        eprintln!("legionella-hsasim: {text}");
        *self.report.lock().unwrap_or_else(PoisonError::into_inner) = text;
        self.stop();
        if let Some(callback) = self.listener.callback {
            // SAFETY: the application gave the function for this, with its data.
            unsafe { callback(status, self.shared.as_ptr(), self.listener.data) };
        }
    }

    /// What was said of the failure.
    pub fn report(&self) -> String {
        self.report
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Stops the queue and takes it from the list of all.
    pub fn destroy(self: &Arc<Queue>) {
        self.stop();
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread
            && thread.thread().id() != std::thread::current().id()
        {
            // A processor that panicked has said so.
            let _ = thread.join();
        }
        let mut queues = queues().write().unwrap_or_else(PoisonError::into_inner);
        queues.retain(|queue| !Arc::ptr_eq(queue, self));
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        signal::destroy(self.doorbell);
        let ring = self.shared().ring;
        for base in [
            ring,
            self.copies.as_ptr() as u64,
            self.bell.as_ptr() as u64,
            self.address(),
        ] {
            memory().remove(base, |purpose| purpose == Purpose::Control);
        }
    }
}
