//! AQL packets (HSA Platform System Architecture, 2.9), as they lie in a queue's ring.

use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering};

/// Bytes of every packet.
pub const SIZE: usize = 64;

/// A packet's place in a ring, where producers write while the processor looks.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Slot {
    header: AtomicU16,
    setup: AtomicU16,
    second: AtomicU32,
    words: [AtomicU64; 7],
}

const _: () = assert!(size_of::<Slot>() == SIZE);

/// Types of packets, from headers.
pub const VENDOR: u16 = 0;
/// Not ready.
pub const INVALID: u16 = 1;
/// Launches a kernel.
pub const DISPATCH: u16 = 2;
/// Waits for all of its signals.
pub const BARRIER_AND: u16 = 3;
/// Waits for one of its signals.
pub const BARRIER_OR: u16 = 5;

/// A packet, read from its slot.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    /// The header.
    pub header: u16,
    /// The words from the third byte on, for each type as below.
    setup: u16,
    second: u32,
    words: [u64; 7],
}

impl Slot {
    /// The header's type.
    pub fn kind(&self) -> u16 {
        self.header.load(Ordering::Acquire) & 0xff
    }

    /// Reads the packet.
    pub fn read(&self) -> Packet {
        let header = self.header.load(Ordering::Acquire);
        Packet {
            header,
            setup: self.setup.load(Ordering::Relaxed),
            second: self.second.load(Ordering::Relaxed),
            words: std::array::from_fn(|at| self.words[at].load(Ordering::Relaxed)),
        }
    }

    /// Writes a copy of a packet.
    pub fn write(&self, packet: &Packet) {
        self.setup.store(packet.setup, Ordering::Relaxed);
        self.second.store(packet.second, Ordering::Relaxed);
        for (slot, word) in self.words.iter().zip(packet.words) {
            slot.store(word, Ordering::Relaxed);
        }
        self.header.store(packet.header, Ordering::Release);
    }

    /// Makes the slot one that can be written to.
    pub fn invalidate(&self) {
        self.header.store(INVALID, Ordering::Release);
    }
}

/// Half of a word.
fn half(word: u64, upper: bool) -> u32 {
    (if upper { word >> 32 } else { word }) as u32
}

impl Packet {
    /// The type.
    pub fn kind(&self) -> u16 {
        self.header & 0xff
    }

    /// Whether packets before have to end first.
    pub fn has_barrier(&self) -> bool {
        self.header & (1 << 8) != 0
    }

    /// The completion signal's handle.
    pub fn completion(&self) -> u64 {
        self.words[6]
    }

    /// Of a dispatch: items of a work-group in each dimension.
    pub fn group(&self) -> [u32; 3] {
        let word = self.second;
        [
            word & 0xffff,
            word >> 16,
            half(self.words[0], false) & 0xffff,
        ]
    }

    /// Of a dispatch: dimensions.
    pub fn dimensions(&self) -> u16 {
        self.setup & 3
    }

    /// Of a dispatch: items of the grid in each dimension.
    pub fn grid(&self) -> [u32; 3] {
        [
            half(self.words[0], true),
            half(self.words[1], false),
            half(self.words[1], true),
        ]
    }

    /// Of a dispatch: bytes of a work-item's memory.
    pub fn private_size(&self) -> u32 {
        half(self.words[2], false)
    }

    /// Of a dispatch: bytes of a work-group's memory.
    pub fn group_size(&self) -> u32 {
        half(self.words[2], true)
    }

    /// Of a dispatch: the kernel descriptor's address.
    pub fn kernel(&self) -> u64 {
        self.words[3]
    }

    /// Of a dispatch: the arguments' address.
    pub fn arguments(&self) -> u64 {
        self.words[4]
    }

    /// Of a barrier: the signals' handles.
    pub fn dependencies(&self) -> [u64; 5] {
        std::array::from_fn(|at| self.words[at])
    }

    /// Of a vendor's packet: its own type (2: waits for a signal's value).
    pub fn vendor(&self) -> u16 {
        self.setup & 0xff
    }

    /// Of a wait for a value: signal, value, mask, condition.
    pub fn awaited(&self) -> (u64, i64, i64, u32) {
        (
            self.words[0],
            self.words[1] as i64,
            self.words[2] as i64,
            half(self.words[3], false),
        )
    }
}
