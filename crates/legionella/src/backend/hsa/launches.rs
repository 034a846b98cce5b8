//! From a launch's turn to its packets.
//!
//! Takes launches whose turn has come and writes their packets into queues of the device: each into the
//! queue of those that it comes after, which need not have ended, or else into the next one, so that
//! launches that are not ordered overlap. What becomes of them then is [`flights`](super::flights)'s.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use legionella_abi::cpu::Launch as Space;
use legionella_abi::hsa::Queue;
use legionella_abi::{amdgpu, gpu};

use super::api::{self, Signal};
use super::arguments::{ArgumentPool, Arguments};
use super::device::Device;
use super::flights::{Flight, Work};
use super::functions::{Functions, Kernel};
use super::gates::Gates;
use super::memory::Memory;
use super::packets::{self, Dispatch, Packet, Reserved, Ring};
use super::parts::Parts;
use super::states::{Place, States};
use super::transfers::Passing;
use crate::error::{Error, Result};
use crate::schedule::slot::{Lane, Running};

/// Queues for launches.
pub(super) const QUEUES: usize = 4;

/// The launches of one device.
pub(super) struct Launches {
    pub(super) device: Arc<Device>,
    pub(super) memory: Arc<Memory>,
    pub(super) states: States,
    pub(super) arguments: ArgumentPool,
    queues: Vec<Ring>,
    pub(super) gates: Gates,
    pub(super) passing: Passing,
    /// For panics, which are told while other launches run: of the watching thread alone.
    pub(super) aside: *mut Queue,
    turn: Turn,
    pub(super) watched: AtomicBool,
    pub(super) arrivals: Arrivals,
}

/// Which queue is next: in a cache line that nothing else disturbs.
#[derive(Default)]
#[repr(align(128))]
struct Turn(AtomicUsize);

/// Launches that the device has and the watching thread has not, which looks here all the time: likewise.
#[derive(Default)]
#[repr(align(128))]
pub(super) struct Arrivals {
    /// How many there are.
    pub(super) count: AtomicUsize,
    pub(super) flights: Mutex<VecDeque<Flight>>,
    pub(super) changed: Condvar,
}

// SAFETY: queues may be used by any thread.
unsafe impl Send for Launches {}
// SAFETY: as above.
unsafe impl Sync for Launches {}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Launches {
    pub(super) fn new(device: &Arc<Device>, memory: &Arc<Memory>) -> Result<Self> {
        let queues = (0..QUEUES).map(|_| device.new_queue(api::QUEUE_MULTI).map(Ring::new));
        Ok(Launches {
            device: Arc::clone(device),
            memory: Arc::clone(memory),
            queues: queues.collect::<Result<_>>()?,
            gates: Gates::default(),
            passing: Passing::default(),
            aside: device.new_queue(api::QUEUE_SINGLE)?,
            states: States::default(),
            arguments: ArgumentPool::default(),
            turn: Turn::default(),
            watched: AtomicBool::new(false),
            arrivals: Arrivals::default(),
        })
    }

    /// Runs a launch.
    pub(super) fn start(self: &Arc<Self>, functions: &Functions, launch: Running) {
        if launch.cancelled().load(Ordering::Relaxed) {
            let kernel = launch.program().kernel.clone();
            return launch.finish(Err(Error::Cancelled { kernel }));
        }
        let issued = self
            .watch()
            .and_then(|()| self.device.alive())
            .and_then(|()| self.issue(functions, &launch));
        match issued {
            Ok(issued) => {
                if functions.settled {
                    launch.is_in(issued.lane);
                }
                self.take_off(Flight {
                    launch,
                    lane: issued.lane,
                    signal: issued.signal,
                    behind: issued.behind,
                    since: Instant::now(),
                    cancelled: None,
                    work: Work::Kernel(issued.work),
                });
            }
            Err(error) => launch.finish(Err(error)),
        }
    }

    /// The order that launches of one device are in.
    pub(super) fn order(launches: &Arc<Self>) -> Option<NonZeroUsize> {
        NonZeroUsize::new(Arc::as_ptr(launches).addr())
    }

    /// The queue of a lane.
    pub(super) fn queue(&self, lane: Lane) -> *mut Queue {
        let lane = lane.0 as usize;
        match self.queues.get(lane) {
            Some(ring) => ring.queue(),
            None => self.gates.queue(lane - QUEUES),
        }
    }

    /// A place for a packet in the queue of a lane.
    fn reserve(&self, lane: Lane) -> Reserved {
        let api = self.device.api();
        // SAFETY: queues of the device, made for several producers.
        unsafe {
            match self.queues.get(lane.0 as usize) {
                Some(ring) => ring.reserve(api),
                None => Ring::new(self.queue(lane)).reserve(api),
            }
        }
    }

    /// Gives a launch to the device.
    fn issue(&self, functions: &Functions, launch: &Running) -> Result<Issued> {
        let space = launch.space();
        let (kernel, width) = functions.choose(space, launch.block());
        let signal = self.device.take_signal()?;
        let place = self.states.take(&self.device, &self.memory)?;
        let parts = Parts::of(space, width);
        // All that can fail comes before the first packet.
        let arguments = self.arguments.take(&self.device, kernel.arguments)?;
        let more = (1..parts.count())
            .map(|_| self.arguments.take(&self.device, kernel.arguments))
            .collect::<Result<Vec<_>>>()?;
        let (lane, behind) = self.choose(launch)?;
        let ordered = launch.behind().next().is_some();
        let children = self.let_launch(launch, self.queue(lane))?;
        let blocks = std::iter::once(&arguments).chain(&more);
        for (index, (first_group, block)) in parts.starts().zip(blocks).enumerate() {
            let last = index as u64 + 1 == parts.count();
            // Before anything is written: to take a place waits until all that was written is seen by others.
            let reserved = self.reserve(lane);
            let told = told(space, first_group, launch.block().addr() as u64);
            let groups = parts.groups(first_group);
            let completion = if last { signal } else { Signal::default() };
            let start = block.start.as_ptr();
            let packet = dispatch(functions, &kernel, space, groups, start, completion);
            // The last part ends when all have.
            let behind_all = (index == 0 && ordered) || (last && index > 0);
            // SAFETY: the block has room for the kernel's arguments, and stays until the launch has
            // ended, as all does that they refer to; the queue is the device's.
            unsafe {
                write_arguments(functions, start, &told, place, launch.block());
                let packet = Packet::dispatch(packet, behind_all);
                reserved.give(self.device.api(), &packet);
            }
        }
        Ok(Issued {
            signal,
            behind,
            lane,
            work: KernelWork {
                arguments,
                more,
                place,
                children,
            },
        })
    }

    /// The lane that a launch is to be in, which is a queue's number, and a signal that the queue waits
    /// for if the launch comes after others.
    fn choose(&self, launch: &Running) -> Result<(Lane, Option<Signal>)> {
        let mut behind = launch.behind();
        let Some(lane) = behind.next() else {
            return Ok((self.next_lane(), None));
        };
        let others: Vec<Lane> = behind.collect();
        if others.is_empty() {
            return Ok((lane, None));
        }
        let signal = self.gathered(&others)?;
        let mut signals = [Signal::default(); 5];
        signals[0] = signal;
        let packet = Packet::barrier(signals, Signal::default());
        // SAFETY: a queue of the device; the signal is this launch's until that has ended.
        unsafe { packets::push(self.device.api(), self.queue(lane), &packet) };
        Ok((lane, Some(signal)))
    }

    /// The lane of a launch that comes after nothing: each in turn.
    fn next_lane(&self) -> Lane {
        let turn = self.turn.0.fetch_add(1, Ordering::Relaxed);
        Lane((turn % self.queues.len()) as u32)
    }

    /// A signal that becomes 0 when all has ended that is in some lanes by now.
    fn gathered(&self, lanes: &[Lane]) -> Result<Signal> {
        let signal = self.device.take_signal()?;
        self.device.prepare_signal(signal, lanes.len() as i64);
        for lane in lanes {
            let packet = Packet::barrier([Signal::default(); 5], signal);
            // SAFETY: queues of the device; the signal is the launch's that asks, until that has ended.
            unsafe { packets::push(self.device.api(), self.queue(*lane), &packet) };
        }
        Ok(signal)
    }

    /// The lane of a launch that is no packet, and a signal that becomes 0 when it may begin, if it comes after others.
    pub(super) fn begin_behind(&self, launch: &Running) -> Result<(Lane, Option<Signal>)> {
        let lanes: Vec<Lane> = launch.behind().collect();
        match lanes.first() {
            Some(first) => Ok((*first, Some(self.gathered(&lanes)?))),
            None => Ok((self.next_lane(), None)),
        }
    }
}

/// A launch that was given to the device.
struct Issued {
    signal: Signal,
    behind: Option<Signal>,
    lane: Lane,
    work: KernelWork,
}

/// What a kernel that runs has, until it has ended.
pub(super) struct KernelWork {
    pub(super) arguments: Arguments,
    /// Those of the launch's other parts.
    pub(super) more: Vec<Arguments>,
    pub(super) place: Place,
    /// Launches that it may make by itself.
    pub(super) children: Vec<super::children::Children>,
}

/// What a kernel function is told of a launch, or of a part of one.
pub(super) fn told(space: &Space, first_group: [u64; 3], number: u64) -> amdgpu::Launch {
    amdgpu::Launch {
        launch: gpu::Launch {
            grid: space.grid,
            first_group,
            number,
        },
        group: space.group.map(|size| size as u32),
        reserved: 0,
    }
}

/// The packet of a launch, or of a part of one with so many groups.
pub(super) fn dispatch(
    functions: &Functions,
    kernel: &Kernel,
    space: &Space,
    groups: [u64; 3],
    arguments: *mut u8,
    completion: Signal,
) -> Dispatch {
    Dispatch {
        header: 0,
        setup: 0,
        workgroup: space.group.map(|size| size as u16),
        reserved: 0,
        grid: [0, 1, 2].map(|d| (groups[d] * space.group[d]) as u32),
        private_size: kernel.private,
        group_size: functions.shared_memory(kernel, space.shared) as u32,
        kernel: kernel.object,
        arguments: packets::address(arguments.cast()),
        more_reserved: 0,
        completion,
    }
}

/// Writes the arguments of a kernel function: what it is told of the launch, where panics are left, and the
/// argument block.
///
/// # Safety
/// `to` has room for them; `from` is readable for the argument block.
pub(super) unsafe fn write_arguments<T>(
    functions: &Functions,
    to: *mut u8,
    told: &T,
    place: Place,
    from: *const u8,
) {
    let places = amdgpu::Arguments::new(size_of::<T>(), functions.align);
    // SAFETY: the caller's promise.
    unsafe {
        std::ptr::copy_nonoverlapping(std::ptr::from_ref(told).cast(), to, size_of::<T>());
        let state = packets::address(place.state.cast());
        to.add(places.state).cast::<u64>().write_unaligned(state);
        if functions.arguments > 0 {
            std::ptr::copy_nonoverlapping(from, to.add(places.block), functions.arguments);
        }
    }
}

impl std::fmt::Debug for Launches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Launches")
            .field("device", &self.device)
            .finish_non_exhaustive()
    }
}
