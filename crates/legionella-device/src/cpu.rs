//! How the CPU target runs work-groups whose items wait for each other.
//!
//! Takes a range of groups (contract: [`Run`](legionella_abi::cpu::Run)), runs each item until it
//! waits or ends, and lets those go on that all have come for. The driver makes of the kernel the
//! two functions that start an item and resume it, and of this one the code's entry. It is never
//! called on the host.

use core::panic::Location;
use core::ptr;

use legionella_abi::cpu::{Context, Launch, Progress, SUBGROUP_SIZE, Slot, Wait};
use legionella_abi::intrinsic::DYNAMIC_SHARED_ALIGN;

use crate::panic::{alloc_error, barrier_failed};

/// The kernel and the thread, as functions that the driver binds.
mod bound {
    use super::{Context, Slot};

    fn only_in_generated_code() -> ! {
        panic!("bound when code for the CPU target is generated")
    }

    #[unsafe(export_name = "legionella.cpu.start")]
    #[inline(never)]
    pub(super) unsafe extern "C" fn start(
        _block: *const u8,
        _frame: *mut u8,
        _slot: *mut Slot,
        _context: *const Context,
    ) {
        only_in_generated_code()
    }

    #[unsafe(export_name = "legionella.cpu.resume")]
    #[inline(never)]
    pub(super) unsafe extern "C" fn resume(_frame: *mut u8) {
        only_in_generated_code()
    }

    #[unsafe(export_name = "legionella.cpu.frame_size")]
    #[inline(never)]
    pub(super) extern "C" fn frame_size() -> usize {
        only_in_generated_code()
    }

    #[unsafe(export_name = "legionella.cpu.frame_align")]
    #[inline(never)]
    pub(super) extern "C" fn frame_align() -> usize {
        only_in_generated_code()
    }

    #[unsafe(export_name = "legionella.cpu.shared_size")]
    #[inline(never)]
    pub(super) extern "C" fn shared_size() -> usize {
        only_in_generated_code()
    }

    #[unsafe(export_name = "legionella.cpu.scratch")]
    #[inline(never)]
    pub(super) extern "C" fn scratch(_size: usize, _align: usize) -> *mut u8 {
        only_in_generated_code()
    }
}

/// Runs the groups `first..end`.
///
/// # Safety
/// As for [`Run`](legionella_abi::cpu::Run).
#[unsafe(export_name = "legionella.cpu.run_groups")]
unsafe extern "C" fn run_groups(
    block: *const u8,
    launch: *const Launch,
    first: u64,
    end: u64,
    progress: *mut Progress,
) {
    // SAFETY: valid, by the caller's promise.
    let launch = unsafe { *launch };
    let memory = Memory::of(&launch);
    for index in first..end {
        let row = index / launch.groups[0];
        let group = [
            index % launch.groups[0],
            row % launch.groups[1],
            row / launch.groups[1],
        ];
        // SAFETY: the memory is for one group of this launch at a time; block and progress are
        // valid, by the caller's promise.
        let running = unsafe { Running::new(block, &launch, group, &memory, progress) };
        running.run();
    }
}

/// Where a group of a launch has its memory.
struct Memory {
    shared: *mut u8,
    dynamic_shared: *mut u8,
    slots: *mut Slot,
    frames: *mut u8,
    frame_size: usize,
}

impl Memory {
    /// Memory for the largest group of a launch.
    fn of(launch: &Launch) -> Self {
        let items = [0, 1, 2]
            .map(|d| launch.group[d].min(launch.grid[d]) as usize)
            .iter()
            .fold(1, |all: usize, &extent| all.saturating_mul(extent));
        let frame_align = bound::frame_align();
        let frame_size = bound::frame_size().next_multiple_of(frame_align);
        let align = DYNAMIC_SHARED_ALIGN.max(frame_align);
        let parts = [
            bound::shared_size(),
            launch.shared as usize,
            items.saturating_mul(size_of::<Slot>()),
            items.saturating_mul(frame_size),
        ];
        let mut offsets = [0; 4];
        let mut size = 0usize;
        for (offset, part) in offsets.iter_mut().zip(parts) {
            *offset = size;
            size = size.saturating_add(part).saturating_add(align - 1) & !(align - 1);
        }
        // What saturated is more than there can be.
        let memory = match isize::try_from(size) {
            Ok(_) => bound::scratch(size, align),
            Err(_) => ptr::null_mut(),
        };
        if memory.is_null() {
            alloc_error(align, size);
        }
        let [shared, dynamic_shared, slots, frames] =
            // SAFETY: within what `scratch` gave.
            offsets.map(|offset| unsafe { memory.add(offset) });
        Memory {
            shared,
            dynamic_shared,
            slots: slots.cast(),
            frames,
            frame_size,
        }
    }
}

/// A group that runs.
struct Running<'m> {
    /// Items of the group.
    len: usize,
    context: Context,
    memory: &'m Memory,
    block: *const u8,
    progress: *mut Progress,
}

impl<'m> Running<'m> {
    /// # Safety
    /// `memory` is that of a group of this launch, and of no other that runs; `block` and
    /// `progress` are those of the launch's call.
    unsafe fn new(
        block: *const u8,
        launch: &Launch,
        group: [u64; 3],
        memory: &'m Memory,
        progress: *mut Progress,
    ) -> Self {
        let base = [0, 1, 2].map(|d| group[d] * launch.group[d]);
        let [width, height, depth] =
            [0, 1, 2].map(|d| launch.group[d].min(launch.grid[d] - base[d]));
        let mut len = 0;
        for z in 0..depth {
            for y in 0..height {
                for x in 0..width {
                    let row = launch.group[1].wrapping_mul(z).wrapping_add(y);
                    let linear = launch.group[0].wrapping_mul(row).wrapping_add(x);
                    let slot = Slot {
                        local: [x, y, z],
                        subgroup: linear / u64::from(SUBGROUP_SIZE),
                        lane: (linear % u64::from(SUBGROUP_SIZE)) as u32,
                        wait: Wait::Ended,
                        label: 0,
                        operand: 0,
                        result: 0,
                        place: ptr::null(),
                    };
                    // SAFETY: there is a slot for each item of a group.
                    unsafe { memory.slots.add(len).write(slot) };
                    len += 1;
                }
            }
        }
        Running {
            len,
            context: Context {
                grid: launch.grid,
                group_size: launch.group,
                group,
                base,
                shared: memory.shared,
                dynamic_shared: memory.dynamic_shared,
            },
            memory,
            block,
            progress,
        }
    }

    /// Runs all items to their ends.
    fn run(&self) {
        for rank in 0..self.len {
            self.note(rank);
            // SAFETY: this is called once, and gives each item a frame and a slot of its own.
            unsafe {
                let slot = self.memory.slots.add(rank);
                bound::start(self.block, self.frame(rank), slot, &raw const self.context);
            }
        }
        loop {
            self.run_subgroups();
            if (0..self.len).all(|rank| self.slot(rank).wait == Wait::Ended) {
                return;
            }
            self.check(0, self.len);
            self.resume(0, self.len);
        }
    }

    /// Carries out operations of subgroups until no item waits for one.
    fn run_subgroups(&self) {
        let mut first = 0;
        while first < self.len {
            // A subgroup's lanes follow each other: ranks and linear ids rise together.
            let subgroup = self.slot(first).subgroup;
            let mut end = first + 1;
            while end < self.len && self.slot(end).subgroup == subgroup {
                end += 1;
            }
            let exchanges = |rank| matches!(self.slot(rank).wait, Wait::Shuffle | Wait::Ballot);
            while (first..end).any(exchanges) {
                self.check(first, end);
                self.exchange(first, end);
                self.resume(first, end);
            }
            first = end;
        }
    }

    /// Gives each item what the operation that its subgroup waits for yields.
    fn exchange(&self, first: usize, end: usize) {
        let mut values = [0; SUBGROUP_SIZE as usize];
        let mut ballot = 0;
        for rank in first..end {
            let slot = self.slot(rank);
            values[slot.lane as usize % values.len()] = slot.operand;
            ballot |= u64::from(slot.operand & 1) << slot.lane;
        }
        for rank in first..end {
            let slot = self.slot(rank);
            let result = match slot.wait {
                Wait::Ballot => ballot,
                _ => u64::from(values[slot.label as usize % values.len()]),
            };
            // SAFETY: the slot of an item of the group, which doesn't run now.
            unsafe { (*self.memory.slots.add(rank)).result = result };
        }
    }

    /// Ends the group unless these items wait for the same.
    fn check(&self, first: usize, end: usize) {
        let reference = self.slot(first);
        let differs = |rank: &usize| {
            let slot = self.slot(*rank);
            slot.wait != reference.wait
                || (slot.wait == Wait::Barrier && slot.label != reference.label)
        };
        let Some(other) = (first..end).find(differs) else {
            return;
        };
        let (waiting, other) = match reference.wait {
            Wait::Ended => (other, first),
            _ => (first, other),
        };
        self.note(waiting);
        let place = |rank| {
            let slot = self.slot(rank);
            let place = slot.place.cast::<Location<'static>>();
            // SAFETY: null, or what an item that waits noted, which is a `&'static Location`.
            unsafe { place.as_ref() }.filter(|_| slot.wait != Wait::Ended)
        };
        match place(waiting) {
            Some(place_of_waiting) => barrier_failed(place_of_waiting, place(other)),
            None => unreachable!("an item that waits says where"),
        }
    }

    /// Notes the item that runs, where the application looks when it panics.
    fn note(&self, rank: usize) {
        let local = self.slot(rank).local;
        let item = [0, 1, 2].map(|d| self.context.base[d] + local[d]);
        // SAFETY: valid for writes during the call.
        unsafe { (*self.progress).item = item };
    }

    fn slot(&self, rank: usize) -> Slot {
        // SAFETY: the slot of an item of the group, written when it was made.
        unsafe { self.memory.slots.add(rank).read() }
    }

    fn frame(&self, rank: usize) -> *mut u8 {
        // SAFETY: there is a frame for each item of a group.
        unsafe { self.memory.frames.add(rank * self.memory.frame_size) }
    }

    /// Lets items go on, one after the other.
    fn resume(&self, first: usize, end: usize) {
        for rank in first..end {
            self.note(rank);
            // SAFETY: the item has been started and waits.
            unsafe { bound::resume(self.frame(rank)) };
        }
    }
}
