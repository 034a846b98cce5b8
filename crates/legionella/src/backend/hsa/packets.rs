//! Packets that queues of HSA devices take ("HSA Platform System Architecture Specification" 1.2,
//! section 2.9, "Requirement: Architected Queuing Language"), and the queue that takes them.

use std::ffi::c_void;
use std::mem::offset_of;
use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread;

use legionella_abi::hsa::Queue;

use super::api::{Api, Signal};

/// Bytes of a packet.
const SIZE: usize = 64;

/// A packet that starts a kernel: `hsa_kernel_dispatch_packet_t`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct Dispatch {
    /// Written last, with the setup.
    pub(super) header: u16,
    /// How many dimensions there are.
    pub(super) setup: u16,
    pub(super) workgroup: [u16; 3],
    pub(super) reserved: u16,
    /// Work-items in each dimension.
    pub(super) grid: [u32; 3],
    /// Bytes of scratch memory of a work-item.
    pub(super) private_size: u32,
    /// Bytes of shared memory of a work-group.
    pub(super) group_size: u32,
    pub(super) kernel: u64,
    pub(super) arguments: u64,
    pub(super) more_reserved: u64,
    pub(super) completion: Signal,
}

/// A packet that waits for signals to be 0: `hsa_barrier_and_packet_t`, `hsa_barrier_or_packet_t`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct Barrier {
    pub(super) header: u16,
    pub(super) reserved: u16,
    pub(super) more_reserved: u32,
    pub(super) signals: [Signal; 5],
    pub(super) yet_more_reserved: u64,
    pub(super) completion: Signal,
}

const _: () = {
    assert!(size_of::<Dispatch>() == SIZE && size_of::<Barrier>() == SIZE);
    assert!(offset_of!(Dispatch, grid) == 12 && offset_of!(Dispatch, kernel) == 32);
    assert!(offset_of!(Dispatch, arguments) == 40 && offset_of!(Dispatch, completion) == 56);
    assert!(offset_of!(Barrier, signals) == 8 && offset_of!(Barrier, completion) == 56);
};

/// Values of `hsa_packet_type_t`.
const KERNEL_DISPATCH: u16 = 2;
const BARRIER_AND: u16 = 3;
const BARRIER_OR: u16 = 5;

/// Places in a header, and the scope of fences: all that the host sees.
const BARRIER_BIT: u16 = 8;
const ACQUIRE: u16 = 9;
const RELEASE: u16 = 11;
const SYSTEM: u16 = 2;

/// What the device does before and after a packet.
fn header(kind: u16, behind_all: bool) -> u16 {
    kind | u16::from(behind_all) << BARRIER_BIT | SYSTEM << ACQUIRE | SYSTEM << RELEASE
}

/// A packet of any kind.
#[derive(Clone, Copy, Debug)]
pub(super) enum Packet {
    Dispatch(Dispatch),
    Barrier(Barrier),
}

impl Packet {
    /// One that starts a kernel, `behind_all` that came before it in the queue or not.
    pub(super) fn dispatch(mut packet: Dispatch, behind_all: bool) -> Self {
        packet.header = header(KERNEL_DISPATCH, behind_all);
        packet.setup = 3;
        Packet::Dispatch(packet)
    }

    /// One that waits for all before it in the queue and for signals, and then sets one.
    pub(super) fn barrier(signals: [Signal; 5], completion: Signal) -> Self {
        Packet::waiting(BARRIER_AND, true, signals, completion)
    }

    /// One that waits for a signal, but for nothing in the queue, and then sets another.
    pub(super) fn behind_signal(signal: Signal, completion: Signal) -> Self {
        let mut signals = [Signal::default(); 5];
        signals[0] = signal;
        Packet::waiting(BARRIER_AND, false, signals, completion)
    }

    /// One that waits for one of several signals, but for nothing in the queue, and then sets one.
    pub(super) fn either(signals: [Signal; 5], completion: Signal) -> Self {
        Packet::waiting(BARRIER_OR, false, signals, completion)
    }

    fn waiting(kind: u16, behind_all: bool, signals: [Signal; 5], completion: Signal) -> Self {
        Packet::Barrier(Barrier {
            header: header(kind, behind_all),
            reserved: 0,
            more_reserved: 0,
            signals,
            yet_more_reserved: 0,
            completion,
        })
    }

    /// The packet as words.
    pub(super) fn words(&self) -> [u32; SIZE / 4] {
        let mut words = [0; SIZE / 4];
        // SAFETY: as large.
        words[0] = unsafe { self.write(words.as_mut_ptr().cast()) };
        words
    }

    /// Writes the packet where nothing reads yet, without its first word, which it gives.
    ///
    /// # Safety
    /// `to` is valid for writes of a packet.
    unsafe fn write(&self, to: *mut u8) -> u32 {
        let from: *const u8 = match self {
            Packet::Dispatch(packet) => ptr::from_ref(packet).cast(),
            Packet::Barrier(packet) => ptr::from_ref(packet).cast(),
        };
        // SAFETY: packets have that size; the caller's promise.
        unsafe {
            ptr::copy_nonoverlapping(from.add(4), to.add(4), SIZE - 4);
            from.cast::<u32>().read_unaligned()
        }
    }
}

/// A queue, and how far the device is known to have read it: who gives it packets need not ask each time. Launching
/// threads share this, and nobody else.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Ring {
    queue: *mut Queue,
    read: AtomicU64,
}

impl Ring {
    pub(super) fn new(queue: *mut Queue) -> Self {
        Ring {
            queue,
            read: AtomicU64::new(0),
        }
    }

    pub(super) fn queue(&self) -> *mut Queue {
        self.queue
    }

    /// The next place for a packet. The device goes on to what comes behind when it has been given one.
    ///
    /// # Safety
    /// The queue exists, and is one for several producers, or this thread's.
    pub(super) unsafe fn reserve(&self, api: &Api) -> Reserved {
        let queue = self.queue;
        // SAFETY: the caller's promise.
        unsafe {
            let index = (api.reserve)(queue, 1);
            let size = u64::from((*queue).size);
            if index.wrapping_sub(self.read.load(Ordering::Acquire)) >= size {
                loop {
                    let read = (api.read_index)(queue);
                    if index.wrapping_sub(read) < size {
                        self.read.store(read, Ordering::Release);
                        break;
                    }
                    thread::yield_now();
                }
            }
            let base = ptr::with_exposed_provenance_mut::<u8>((*queue).base as usize);
            Reserved {
                queue,
                index,
                place: base.add((index & (size - 1)) as usize * SIZE),
            }
        }
    }
}

/// A place in a queue that waits for its packet.
#[must_use = "the device waits for the packet"]
pub(super) struct Reserved {
    queue: *mut Queue,
    index: u64,
    place: *mut u8,
}

impl Reserved {
    /// Puts a packet there and tells the device.
    ///
    /// # Safety
    /// The queue still exists; what the packet refers to stays until it has completed.
    pub(super) unsafe fn give(self, api: &Api, packet: &Packet) {
        // SAFETY: the caller's promise. The packet at the index that was reserved is this thread's until its
        // first word says otherwise, once the device has read what was there before.
        unsafe {
            let first = packet.write(self.place);
            AtomicU32::from_ptr(self.place.cast()).store(first, Ordering::Release);
            (api.set_signal)(Signal((*self.queue).doorbell), self.index as i64);
        }
    }
}

/// Gives a packet to a queue.
///
/// # Safety
/// As for [`Ring::reserve`] and [`Reserved::give`].
pub(super) unsafe fn push(api: &Api, queue: *mut Queue, packet: &Packet) {
    // SAFETY: the caller's promise.
    unsafe { Ring::new(queue).reserve(api).give(api, packet) };
}

/// An address as packets have it.
pub(super) fn address(pointer: *mut c_void) -> u64 {
    pointer.expose_provenance() as u64
}
