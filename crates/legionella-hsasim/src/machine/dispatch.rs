//! A kernel that was launched: its work-groups, and the state in which their waves start.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::interpret::coherence::{Launch, Order};
use crate::interpret::{Group, Wave};
use crate::isa::Isa;
use crate::lanes::LANES;

use super::executable::{Descriptor, Loaded};
use super::packet::Packet;
use super::queue::Queue;

/// A kernel that was launched.
#[derive(Debug)]
pub struct Dispatch {
    /// The queue that it was launched from.
    pub queue: Arc<Queue>,
    /// Its code.
    pub loaded: Arc<Loaded>,
    /// The kernel's name.
    pub kernel: String,
    /// The packet.
    pub packet: Packet,
    /// Where a copy of the packet lies, for the kernel to read.
    pub packet_address: u64,
    /// The packet's number.
    pub number: u64,
    /// When it began.
    pub start: u64,
    descriptor: Descriptor,
    entry: u32,
    grid: [u32; 3],
    group: [u32; 3],
    counts: [u64; 3],
    next: AtomicU64,
    ended: AtomicU64,
    /// What its work-groups release to each other, if the code has means for that.
    launch: Option<Arc<Launch>>,
    /// Whether its work-groups are to stop.
    pub stopped: AtomicBool,
}

/// Why a packet can't be launched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// HSA's code (`hsa_status_t`).
    pub status: u32,
    /// The reason.
    pub why: String,
}

impl Refused {
    fn new(status: u32, why: impl Into<String>) -> Refused {
        Refused {
            status,
            why: why.into(),
        }
    }
}

const INVALID_ALLOCATION: u32 = 0x1003;
const OUT_OF_RESOURCES: u32 = 0x1008;
const INVALID_PACKET: u32 = 0x1009;
const INVALID_CODE: u32 = 0x1010;

/// Bytes of memory that a wave's work-items can have (`COMPUTE_TMPRING_SIZE`).
const WAVE_SCRATCH: usize = 8 << 20;

impl Dispatch {
    /// A launch of a packet.
    ///
    /// # Errors
    /// What is wrong with the packet.
    pub fn new(
        queue: Arc<Queue>,
        loaded: Arc<Loaded>,
        packet: Packet,
        packet_address: u64,
        number: u64,
    ) -> Result<Dispatch, Refused> {
        let Some((symbol, descriptor)) = loaded.descriptor(packet.kernel()) else {
            return Err(Refused::new(INVALID_CODE, "the kernel object is none"));
        };
        let kernel = symbol.name.clone();
        let dimensions = usize::from(packet.dimensions());
        if dimensions == 0 {
            return Err(Refused::new(INVALID_PACKET, "a grid without dimensions"));
        }
        let (mut grid, mut group) = (packet.grid(), packet.group());
        for at in dimensions..3 {
            (grid[at], group[at]) = (1, 1);
        }
        let items: u64 = group.iter().map(|&size| u64::from(size)).product();
        if group.contains(&0) || grid.contains(&0) {
            return Err(Refused::new(INVALID_PACKET, "an extent of zero"));
        }
        if items > 1024 {
            return Err(Refused::new(
                INVALID_PACKET,
                format!("work-groups of {items} items"),
            ));
        }
        let isa = loaded.isa;
        if packet.group_size() as usize > isa.local_memory() {
            let why = format!("{} bytes of work-group memory", packet.group_size());
            return Err(Refused::new(INVALID_ALLOCATION, why));
        }
        let lanes = if descriptor.is_wave32() { 32 } else { 64 };
        if packet.private_size() as usize * lanes > WAVE_SCRATCH {
            let why = format!("{} bytes of memory a work-item", packet.private_size());
            return Err(Refused::new(OUT_OF_RESOURCES, why));
        }
        if packet.arguments() == 0 && descriptor.arguments_size > 0 {
            return Err(Refused::new(
                INVALID_PACKET,
                "arguments at the address zero",
            ));
        }
        let entry = packet.kernel().wrapping_add_signed(descriptor.entry);
        let entry = loaded.code.slot_of(entry).ok_or_else(|| {
            Refused::new(INVALID_CODE, "the kernel's entry lies outside of the code")
        })?;
        let counts: [u64; 3] = std::array::from_fn(|at| u64::from(grid[at].div_ceil(group[at])));
        let launch = if loaded.code.communicates() {
            Launch::new(counts.iter().product())
        } else {
            None
        };
        Ok(Dispatch {
            queue,
            loaded,
            kernel,
            packet,
            packet_address,
            number,
            start: crate::interpret::scalar::clock(),
            descriptor,
            entry,
            grid,
            group,
            counts,
            launch,
            next: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
        })
    }

    fn groups(&self) -> u64 {
        self.counts.iter().product()
    }

    /// The number of a work-group that nobody has begun.
    pub fn claim(&self) -> Option<u64> {
        if self.stopped.load(Ordering::Acquire) {
            return None;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (number < self.groups()).then_some(number)
    }

    /// Whether there are work-groups that nobody has begun.
    pub fn has_more(&self) -> bool {
        !self.stopped.load(Ordering::Acquire) && self.next.load(Ordering::Relaxed) < self.groups()
    }

    /// A work-group has ended. Whether it was the last.
    pub fn end(&self) -> bool {
        self.ended.fetch_add(1, Ordering::AcqRel) + 1 == self.groups()
    }

    /// The place of a work-group in the grid.
    pub fn place(&self, number: u64) -> [u32; 3] {
        let [x, y, _] = self.counts;
        [
            (number % x) as u32,
            (number / x % y) as u32,
            (number / x / y) as u32,
        ]
    }

    /// A work-group at its beginning. `waves` has those of one that has ended, to be used again.
    pub fn begin(&self, number: u64, waves: &mut Vec<Wave>) -> Group {
        let place = self.place(number);
        // A work-group at the grid's edge has only the items that are in the grid.
        let group: [u32; 3] = std::array::from_fn(|at| {
            self.group[at].min(self.grid[at] - place[at] * self.group[at])
        });
        let items = group.iter().product::<u32>() as usize;
        let halves = if self.descriptor.is_wave32() { 1 } else { 2 };
        let lanes = halves * LANES;
        let stack = (self.packet.private_size() as usize).next_multiple_of(4);
        let registers = self.registers();
        let fits = |wave: &Wave| {
            wave.halves == halves && wave.registers == registers && wave.stacks.bytes() == stack
        };
        waves.retain(fits);
        let count = items.div_ceil(lanes);
        let mut started = Vec::with_capacity(count);
        for index in 0..count {
            let mut wave = match waves.pop() {
                Some(mut wave) => {
                    wave.reset(self.entry);
                    wave
                }
                None => Wave::new(halves, registers, stack, self.entry),
            };
            self.start(&mut wave, place, group, index * lanes, items);
            started.push(wave);
        }
        let isa = self.loaded.isa;
        let order = self
            .launch
            .as_ref()
            .map(|launch| Order::new(launch, number, isa));
        Group::new(isa, started, self.packet.group_size() as usize, order)
    }

    /// Vector registers of a wave (`COMPUTE_PGM_RSRC1`, `COMPUTE_PGM_RSRC3`).
    fn registers(&self) -> usize {
        let granules = (self.descriptor.resources1 & 63) as usize + 1;
        match self.loaded.isa {
            Isa::Gfx1100 if self.descriptor.is_wave32() => 8 * granules,
            Isa::Gfx1100 => 4 * granules,
            Isa::Gfx942 | Isa::Gfx90a => {
                // Accumulation registers follow the others.
                let others = 4 * ((self.descriptor.resources3 & 63) as usize + 1);
                if 8 * granules > others {
                    self.loaded.isa.vector_registers()
                } else {
                    8 * granules
                }
            }
        }
    }

    /// Sets the registers up that a wave starts with (LLVM, AMDGPU usage, "Initial Kernel Execution
    /// State").
    fn start(&self, wave: &mut Wave, place: [u32; 3], group: [u32; 3], first: usize, items: usize) {
        let properties = self.descriptor.properties;
        let resources = self.descriptor.resources2;
        let mut next = 0u16;
        let mut push = |wave: &mut Wave, words: &[u32]| {
            for &word in words {
                wave.set_scalar(next, word);
                next += 1;
            }
        };
        let pair = |value: u64| [value as u32, (value >> 32) as u32];
        let enabled = |bit: u32| properties & (1 << bit) != 0;
        if enabled(0) {
            push(wave, &[0, 0, u32::MAX, 0]);
        }
        if enabled(1) {
            push(wave, &pair(self.packet_address));
        }
        if enabled(2) {
            push(wave, &pair(self.queue.address()));
        }
        if enabled(3) {
            push(wave, &pair(self.packet.arguments()));
        }
        if enabled(4) {
            push(wave, &pair(self.number));
        }
        if enabled(5) {
            push(wave, &[0, 0]);
        }
        if enabled(6) {
            push(wave, &[self.packet.private_size()]);
        }
        // What the system sets up follows as many registers as the user's count says.
        let mut system = ((resources >> 1) & 31) as u16;
        let mut push = |wave: &mut Wave, word: u32| {
            wave.set_scalar(system, word);
            system += 1;
        };
        for (at, &number) in place.iter().enumerate() {
            if resources & (1 << (7 + at)) != 0 {
                push(wave, number);
            }
        }
        if resources & (1 << 10) != 0 {
            push(wave, 0);
        }
        if resources & 1 != 0 && self.loaded.isa == Isa::Gfx90a {
            push(wave, 0);
        }
        let lanes = wave.halves * LANES;
        let active = (items - first).min(lanes);
        wave.set_mask(
            crate::decode::EXEC,
            if active == 64 {
                u64::MAX
            } else {
                (1 << active) - 1
            },
        );
        // The ids of an item are packed into one register, 10 bits each.
        let dimensions = (resources >> 11) & 3;
        for half in 0..wave.halves {
            let register = half * wave.registers;
            for lane in 0..LANES {
                let item = (first + half * LANES + lane) as u32;
                let mut id = item % group[0];
                if dimensions >= 1 {
                    id |= (item / group[0] % group[1]) << 10;
                }
                if dimensions >= 2 {
                    id |= (item / group[0] / group[1]) << 20;
                }
                wave.vectors[register].0[lane] = id;
            }
            wave.defined[register] = u32::MAX;
        }
        wave.mode = (self.descriptor.resources1 >> 12) & 0xff;
    }

    /// The bits of the floating-point modes, if they are other than the interpreter's.
    pub fn strange_mode(&self) -> Option<u32> {
        let mode = (self.descriptor.resources1 >> 12) & 0xff;
        (mode != 0xf0).then_some(mode)
    }
}
