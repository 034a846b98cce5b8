//! Launches that a kernel makes: [`Enqueue`]. What lies in memory is a [`Table`], which the application fills before the
//! kernel runs.
//!
//! A launch that is made so has a value of its own, and all else in common with the others of its table. Where the
//! device takes packets (HSA), its place for arguments has been filled but for the value, and the kernel writes the packet
//! into the queue that it was itself taken from, behind itself, and rings the doorbell. Elsewhere values are left in the
//! table, and the application launches when the kernel has ended. Both ways the new launches run one after the
//! other behind the one that made them.
//!
//! # Why it is sound
//!
//! An item writes a value's place only once it has claimed that by a compare-exchange of `claimed`, which no other can
//! have done, and nothing reads the place before the packet's header is stored, with release ordering, or the
//! kernel has ended. So it is with packets: the place behind `write_index` is this item's once it has moved that on, if the
//! device has read what was there before, and the device reads it when the header says so.

use core::fmt;
use core::marker::PhantomData;
use core::ptr;
use core::sync::atomic::{AtomicU64, Ordering};

use legionella_abi::hsa::{KERNEL_ARGUMENTS, Packet, Queue, Signal as AbiSignal};

use crate::atomic::InSystem;
use crate::channel::Full;
use crate::{DeviceData, Signal};

/// What a kernel launches by: a parameter of a kernel that is launched with `&prepared`.
///
/// ```
/// use legionella_device::{Disjoint, Enqueue, Item};
///
/// /// Has the parts looked at more closely that are worth it.
/// fn rough(at: Item, errors: &[f32], refine: Enqueue<u32>) {
///     if errors[at.global()] > 0.1 {
///         // Without room, the part stays as it is.
///         let _ = refine.enqueue(at.global() as u32);
///     }
/// }
/// ```
pub struct Enqueue<'a, T: DeviceData> {
    table: &'a Table,
    value: PhantomData<fn(T)>,
}

impl<T: DeviceData> Clone for Enqueue<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: DeviceData> Copy for Enqueue<'_, T> {}

/// What launches of one kind have in common.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct Table {
    /// The packet of such a launch, but for the address of its arguments, which is the first's.
    packet: [u32; 16],
    /// How many places have been claimed, by the items of one launch at a time: for these, the device's scope is enough,
    /// and all that some devices have for memory of the host. The host looks when the launch has ended.
    claimed: AtomicU64,
    /// How many there are.
    capacity: u64,
    /// Where the first value goes, and how many bytes further on the next.
    values: *mut u8,
    stride: u64,
    /// The queue that packets are written into; null if the application launches.
    queue: *const Queue,
    /// How many launches have been enqueued and not ended.
    pending: Signal,
}

// SAFETY: shared places are atomic or claimed before they are used; see above.
unsafe impl Sync for Table {}

impl Table {
    /// An empty one, whose launches the application makes.
    ///
    /// # Safety
    /// While it is used, `capacity` values of [`Enqueue`]'s type can be written from `values` on, `stride` bytes apart,
    /// and nobody else uses their memory.
    pub const unsafe fn new(capacity: u64, values: *mut u8, stride: u64) -> Self {
        Table {
            packet: [0; 16],
            claimed: AtomicU64::new(0),
            capacity,
            values,
            stride,
            queue: ptr::null(),
            pending: Signal::new(0),
        }
    }

    /// Has kernels write packets into a queue.
    ///
    /// # Safety
    /// As for [`new`](Table::new), where the memory of values is that of kernel arguments which begin with the value;
    /// `packet` is a dispatch packet with the first of these, and a completion signal that is [`pending`](Table::pending).
    /// The queue exists while the table is used, and takes packets of several producers.
    pub const unsafe fn by_packets(
        &mut self,
        packet: [u32; 16],
        queue: *const Queue,
        values: *mut u8,
        stride: u64,
    ) {
        self.packet = packet;
        self.queue = queue;
        self.values = values;
        self.stride = stride;
    }

    /// Whether kernels write packets.
    pub fn is_by_packets(&self) -> bool {
        !self.queue.is_null()
    }

    /// How many launches kernels have made.
    pub fn enqueued(&self) -> u64 {
        self.claimed.load(Ordering::Acquire)
    }

    /// How many of those that were given to the device have not ended.
    pub fn pending(&self) -> &Signal {
        &self.pending
    }

    /// Claims a place for a launch.
    fn claim(&self) -> Option<u64> {
        let claimed = &self.claimed;
        let mut place = claimed.load(Ordering::Relaxed);
        while place < self.capacity {
            let more = place + 1;
            match claimed.compare_exchange_weak(place, more, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Some(place),
                Err(now) => place = now,
            }
        }
        None
    }

    /// Writes the packet of a place into the queue; whether there was room.
    ///
    /// # Safety
    /// The place was claimed, and its value is written; there is a queue.
    unsafe fn push(&self, place: u64) -> bool {
        // SAFETY: the promise of who gave the table a queue.
        let queue = unsafe { &*self.queue };
        let (size, write) = (u64::from(queue.size), InSystem::of(&queue.write_index));
        let mut index = write.load(Ordering::Relaxed);
        loop {
            let read = InSystem::of(&queue.read_index).load(Ordering::Acquire);
            if index.wrapping_sub(read) >= size {
                return false;
            }
            let next = index.wrapping_add(1);
            match write.compare_exchange_weak(index, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => index = now,
            }
        }
        let at = (index & (size - 1)) as usize;
        let base = ptr::with_exposed_provenance_mut::<Packet>(queue.base as usize);
        let [low, high] = [KERNEL_ARGUMENTS, KERNEL_ARGUMENTS + 1];
        let first = u64::from(self.packet[low + 1]) | u64::from(self.packet[high + 1]) << 32;
        let arguments = first.wrapping_add(place * self.stride);
        // SAFETY: the place of the ring is this item's; the doorbell is a signal of the queue, whose value is the address
        // that it is rung by.
        unsafe {
            let packet = base.add(at);
            for word in 0..15 {
                let value = match word {
                    _ if word == low => arguments as u32,
                    _ if word == high => (arguments >> 32) as u32,
                    _ => self.packet[word + 1],
                };
                (&raw mut (*packet).words[word]).write(value);
            }
            InSystem::of(&(*packet).header).store(self.packet[0], Ordering::Release);
            let doorbell = &*ptr::with_exposed_provenance::<AbiSignal>(queue.doorbell as usize);
            let bell = InSystem::of(&doorbell.value).load(Ordering::Relaxed);
            let bell = &*ptr::with_exposed_provenance::<AtomicU64>(bell as usize);
            InSystem::of(bell).store(index, Ordering::Release);
        }
        true
    }
}

impl<'a, T: DeviceData> Enqueue<'a, T> {
    /// By a table. For entry shims.
    ///
    /// # Safety
    /// The table is for values of this type.
    #[doc(hidden)]
    #[inline(always)]
    pub unsafe fn new(table: &'a Table) -> Self {
        Enqueue {
            table,
            value: PhantomData,
        }
    }

    /// Has the prepared kernel launched with a value, behind this launch and those that were enqueued before.
    ///
    /// # Errors
    /// [`Full`], with the value, if the launch has enqueued as many as were prepared for, or if the device's queue has no
    /// room.
    #[inline(never)]
    pub fn enqueue(&self, value: T) -> Result<(), Full<T>> {
        let table = self.table;
        let Some(place) = table.claim() else {
            return Err(Full(value));
        };
        // SAFETY: the place was claimed just now, and is one for such values.
        unsafe {
            let to = table.values.add((place * table.stride) as usize);
            to.cast::<T>().write(value);
            if table.queue.is_null() {
                return Ok(());
            }
            table.pending.add(1);
            if table.push(place) {
                return Ok(());
            }
        }
        table.pending.subtract(1);
        Err(Full(value))
    }
}

impl<T: DeviceData> fmt::Debug for Enqueue<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Enqueue").finish_non_exhaustive()
    }
}
