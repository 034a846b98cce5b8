//! What a program shares with an HSA device, as far as kernels use it: signals, queues and packets, in the layouts
//! that are published ("HSA Platform System Architecture Specification" 1.2, sections 2.8 and 2.9; ROCm's
//! `amd_hsa_signal.h`, `amd_hsa_queue.h` and `hsa.h`).

use core::mem::offset_of;
use core::sync::atomic::{AtomicI64, AtomicU32, AtomicU64};

/// A signal: `amd_signal_t`. Its handle is its address.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct Signal {
    /// [`USER`](Signal::USER) or [`DOORBELL`](Signal::DOORBELL).
    pub kind: i64,
    /// The value; of a doorbell, the address that is written to.
    pub value: AtomicI64,
    /// Where to write [`event`](Signal::event) so that a sleeping host is woken; 0 if nobody sleeps.
    pub event_mailbox: u64,
    /// What to write there.
    pub event: u32,
    /// Not used.
    pub reserved: u32,
    /// When the packet began that set the signal.
    pub start: u64,
    /// When it ended.
    pub end: u64,
    /// Of a doorbell, the address of its queue.
    pub queue: u64,
    /// Not used.
    pub more_reserved: [u32; 2],
}

impl Signal {
    /// `AMD_SIGNAL_KIND_USER`: a value.
    pub const USER: i64 = 1;
    /// `AMD_SIGNAL_KIND_DOORBELL`: what is written to tell a queue of packets.
    pub const DOORBELL: i64 = -1;
}

/// A queue, as far as packets need it: the beginning of `amd_queue_t`, which has 256 bytes.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct Queue {
    /// `hsa_queue_type32_t`.
    pub kind: u32,
    /// `hsa_queue_feature_t`.
    pub features: u32,
    /// The address of its [`Packet`]s.
    pub base: u64,
    /// The handle of the signal that tells of packets.
    pub doorbell: u64,
    /// How many packets there is room for, a power of two.
    pub size: u32,
    /// Not used.
    pub reserved: u32,
    /// A number that no other queue of the process has.
    pub id: u64,
    /// Not used here.
    pub more_reserved: [u32; 4],
    /// The number of the next packet to be written: `write_dispatch_id`.
    pub write_index: AtomicU64,
    /// Not used here.
    pub apertures: [u32; 16],
    /// The number of the next packet to be read: `read_dispatch_id`.
    pub read_index: AtomicU64,
}

/// A packet of any kind.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct Packet {
    /// The header, which is written last, and what is beside it.
    pub header: AtomicU32,
    /// The rest.
    pub words: [u32; 15],
}

const _: () = {
    assert!(size_of::<Signal>() == 64 && size_of::<Packet>() == 64);
    assert!(offset_of!(Signal, value) == 8 && offset_of!(Signal, event_mailbox) == 16);
    assert!(offset_of!(Queue, base) == 8 && offset_of!(Queue, doorbell) == 16);
    assert!(offset_of!(Queue, size) == 24 && offset_of!(Queue, write_index) == 56);
    assert!(offset_of!(Queue, read_index) == 128);
};

/// Where the words of a packet's second half are in [`Packet::words`]: of a dispatch packet, the address of the
/// kernel's arguments.
pub const KERNEL_ARGUMENTS: usize = 40 / 4 - 1;
