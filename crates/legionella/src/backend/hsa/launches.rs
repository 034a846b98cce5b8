//! Launches in flight: from their turn to their end.
//!
//! Takes launches whose turn has come and writes their packets into queues of the device: each into the
//! queue of those that it comes after, which need not have ended, or else into the next one, so that
//! launches that are not ordered overlap. A thread watches signals for their ends and finishes them.

use std::collections::VecDeque;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use legionella_abi::cpu::Launch as Space;
use legionella_abi::gpu::Record;
use legionella_abi::{amdgpu, gpu};

use super::super::panics;
use super::api::{Queue, Signal};
use super::arguments::{ArgumentPool, Arguments};
use super::device::Device;
use super::memory::Memory;
use super::packets::{self, Dispatch, Packet};
use super::panics::Panics;
use super::states::{Left, Place, States};
use crate::error::{Error, Result};
use crate::schedule::slot::{Lane, Running};

/// Queues for launches.
const QUEUES: usize = 4;

/// How long the watching thread looks for new launches before it goes to sleep.
const PATIENCE: Duration = Duration::from_micros(100);

/// How long launches are looked at all the time; after that the thread sleeps until the oldest ends.
const EAGER: Duration = Duration::from_millis(1);

/// How long it sleeps at most, in nanoseconds: others may end before.
const LONGEST_SLEEP: u64 = 1_000_000;

/// How long a launch that was cancelled may go on, before the device's queues are destroyed.
const GRACE: Duration = Duration::from_secs(1);

/// Most work-items of a part of a launch, in each dimension.
const LARGEST: u64 = u32::MAX as u64;

/// From how many work-items on lanes run several each: fewer would leave much of a large device
/// without any.
const MANY: u64 = 1 << 20;

/// A function that can be launched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kernel {
    /// The address of its descriptor.
    pub(super) object: u64,
    /// Bytes of its arguments.
    pub(super) arguments: usize,
    /// Bytes of shared memory that it has by itself.
    pub(super) shared: u32,
    /// Bytes of scratch memory of a work-item.
    pub(super) private: u32,
}

/// Kernel functions of one module.
pub(super) struct Functions {
    /// For any launch.
    pub(super) any: Kernel,
    /// For usual launches of one dimension, in the sense of [`gpu::LINE`].
    pub(super) line: Option<Kernel>,
    /// For usual launches of two dimensions.
    pub(super) plane: Option<Kernel>,
    /// For large ones of one dimension, with several items a lane.
    pub(super) wide: Option<Kernel>,
    /// Which words of the argument block a usual launch has aligned, a bit each.
    pub(super) addresses: u64,
    /// Size and alignment of the argument block.
    pub(super) arguments: usize,
    pub(super) align: usize,
    /// Bytes of shared memory that a launch gives in front of its own; `None` if it gives none.
    pub(super) shared: Option<u64>,
    /// Whether launches that come later may run before a panic is told.
    pub(super) settled: bool,
    /// For panics.
    pub(super) panics: Panics,
}

impl Functions {
    /// Bytes of shared memory that each group of a launch has in all, if its arguments ask for so many.
    pub(super) fn shared_memory(&self, kernel: &Kernel, asked: u64) -> u64 {
        let own = u64::from(kernel.shared);
        match self.shared {
            None => own,
            Some(front) => {
                let start =
                    own.next_multiple_of(legionella_abi::intrinsic::DYNAMIC_SHARED_ALIGN as u64);
                start.saturating_add(front).saturating_add(asked)
            }
        }
    }

    /// The function for launches of a form.
    fn choose(&self, space: &Space, block: *const u8) -> (Kernel, u64) {
        let is_single = |d: usize| space.grid[d] == 1 && space.group[d] == 1;
        let (plane, line) = (is_single(2), is_single(1) && is_single(2));
        if plane && is_usual(self, space, block) {
            if let Some(wide) = self.wide.filter(|_| line && space.grid[0] >= MANY) {
                return (wide, gpu::WIDTH);
            }
            if let Some(usual) = if line { self.line } else { self.plane } {
                return (usual, 1);
            }
        }
        (self.any, 1)
    }
}

/// The launches of one device.
pub(super) struct Launches {
    device: Arc<Device>,
    memory: Arc<Memory>,
    states: States,
    arguments: ArgumentPool,
    queues: Vec<*mut Queue>,
    /// For panics, which are told while other launches run.
    aside: *mut Queue,
    turn: AtomicUsize,
    watched: AtomicBool,
    /// How many flights are in `arrivals`.
    new: AtomicUsize,
    arrivals: Mutex<VecDeque<Flight>>,
    arrived: Condvar,
}

// SAFETY: queues may be used by any thread.
unsafe impl Send for Launches {}
// SAFETY: as above.
unsafe impl Sync for Launches {}

/// A launch that the device has.
struct Flight {
    functions: Arc<Functions>,
    launch: Running,
    signal: Signal,
    /// What was set for it to wait for.
    behind: Option<Signal>,
    arguments: Arguments,
    /// Those of the launch's other parts.
    more: Vec<Arguments>,
    place: Place,
    since: Instant,
    /// When its work-items were asked to end.
    cancelled: Option<Instant>,
}

impl Flight {
    fn was_cancelled(&self) -> Error {
        Error::Cancelled {
            kernel: self.launch.program().kernel.clone(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Launches {
    pub(super) fn new(device: &Arc<Device>, memory: &Arc<Memory>) -> Result<Self> {
        let queues = (0..QUEUES).map(|_| device.new_queue());
        Ok(Launches {
            device: Arc::clone(device),
            memory: Arc::clone(memory),
            queues: queues.collect::<Result<_>>()?,
            aside: device.new_queue()?,
            states: States::default(),
            arguments: ArgumentPool::default(),
            turn: AtomicUsize::new(0),
            watched: AtomicBool::new(false),
            new: AtomicUsize::new(0),
            arrivals: Mutex::default(),
            arrived: Condvar::new(),
        })
    }

    /// Runs a launch.
    pub(super) fn start(self: &Arc<Self>, functions: &Arc<Functions>, launch: Running) {
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
                let flight = Flight {
                    functions: Arc::clone(functions),
                    launch,
                    signal: issued.signal,
                    behind: issued.behind,
                    arguments: issued.arguments,
                    more: issued.more,
                    place: issued.place,
                    since: Instant::now(),
                    cancelled: None,
                };
                let mut arrivals = lock(&self.arrivals);
                arrivals.push_back(flight);
                self.new.store(arrivals.len(), Ordering::Release);
                drop(arrivals);
                self.arrived.notify_one();
            }
            Err(error) => launch.finish(Err(error)),
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
        let queue = self.queues[lane.0 as usize];
        let blocks = std::iter::once(&arguments).chain(&more);
        for (index, (first_group, block)) in parts.starts().zip(blocks).enumerate() {
            let last = index as u64 + 1 == parts.count();
            let told = amdgpu::Launch {
                launch: gpu::Launch {
                    grid: space.grid,
                    first_group,
                    number: launch.block().addr() as u64,
                },
                group: space.group.map(|size| size as u32),
                reserved: 0,
            };
            let groups = parts.groups(first_group);
            let packet = Dispatch {
                header: 0,
                setup: 0,
                workgroup: space.group.map(|size| size as u16),
                reserved: 0,
                grid: [0, 1, 2].map(|d| (groups[d] * space.group[d]) as u32),
                private_size: kernel.private,
                group_size: functions.shared_memory(&kernel, space.shared) as u32,
                kernel: kernel.object,
                arguments: packets::address(block.start.as_ptr().cast()),
                more_reserved: 0,
                completion: if last { signal } else { Signal::default() },
            };
            // The last part ends when all have.
            let behind_all = (index == 0 && ordered) || (last && index > 0);
            // SAFETY: the block has room for the kernel's arguments, and stays until the launch has
            // ended, as all does that they refer to; the queue is the device's.
            unsafe {
                write_arguments(functions, block, &told, place, launch.block());
                let packet = Packet::dispatch(packet, behind_all);
                packets::push(self.device.api(), queue, &packet);
            }
        }
        Ok(Issued {
            signal,
            behind,
            arguments,
            more,
            place,
            lane,
        })
    }

    /// The lane that a launch is to be in, which is a queue's number, and a signal that the queue waits
    /// for if the launch comes after others.
    fn choose(&self, launch: &Running) -> Result<(Lane, Option<Signal>)> {
        let mut behind = launch.behind();
        let Some(lane) = behind.next() else {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed);
            return Ok((Lane((turn % self.queues.len()) as u32), None));
        };
        let others: Vec<Lane> = behind.collect();
        if others.is_empty() {
            return Ok((lane, None));
        }
        // One after the other, each queue waits for those before: the last has waited for all.
        let (api, signal) = (self.device.api(), self.device.take_signal()?);
        // SAFETY: a signal that nothing else uses, set to as many as it waits for; queues of the device.
        unsafe {
            (api.set_signal)(signal, others.len() as i64);
            for other in &others {
                let packet = Packet::barrier([Signal::default(); 5], signal);
                packets::push(api, self.queues[other.0 as usize], &packet);
            }
            let mut signals = [Signal::default(); 5];
            signals[0] = signal;
            let packet = Packet::barrier(signals, Signal::default());
            packets::push(api, self.queues[lane.0 as usize], &packet);
        }
        Ok((lane, Some(signal)))
    }

    /// Starts the thread that watches, once.
    fn watch(self: &Arc<Self>) -> Result<()> {
        if self.watched.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let launches = Arc::clone(self);
        let spawned = thread::Builder::new()
            .name(format!("legionella-{}", self.device.name()))
            .spawn(move || launches.serve());
        match spawned {
            Ok(_) => Ok(()),
            Err(error) => {
                self.watched.store(false, Ordering::Relaxed);
                Err(Error::Device {
                    accelerator: self.device.name().to_owned(),
                    reason: format!("no thread could be started: {error}"),
                })
            }
        }
    }

    /// The life of the thread that watches.
    fn serve(&self) {
        let mut flights: Vec<Flight> = Vec::new();
        let mut idle_since = Instant::now();
        loop {
            if self.new.load(Ordering::Acquire) > 0 {
                self.welcome(&mut lock(&self.arrivals), &mut flights);
            }
            if flights.is_empty() {
                if idle_since.elapsed() < PATIENCE {
                    spin_loop();
                    continue;
                }
                let mut arrivals = lock(&self.arrivals);
                while arrivals.is_empty() {
                    arrivals =
                        (self.arrived.wait(arrivals)).unwrap_or_else(PoisonError::into_inner);
                }
                self.welcome(&mut arrivals, &mut flights);
                continue;
            }
            let mut ended = false;
            let mut index = 0;
            while index < flights.len() {
                self.pass_cancellation_on(&mut flights[index]);
                match self.outcome(&flights[index]) {
                    None => index += 1,
                    Some(outcome) => {
                        self.land(flights.remove(index), outcome);
                        ended = true;
                    }
                }
            }
            idle_since = Instant::now();
            if !ended {
                self.pause(&flights);
            }
        }
    }

    fn welcome(&self, arrivals: &mut VecDeque<Flight>, flights: &mut Vec<Flight>) {
        flights.extend(arrivals.drain(..));
        self.new.store(0, Ordering::Release);
    }

    /// Waits a little, or, for launches that take long, until one of them ends.
    fn pause(&self, flights: &[Flight]) {
        let youngest = flights.iter().map(|flight| flight.since).max();
        if youngest.is_some_and(|since| since.elapsed() < EAGER) {
            spin_loop();
        } else if let Some(oldest) = flights.first() {
            self.device.wait(oldest.signal, LONGEST_SLEEP, false);
        }
    }

    /// Asks the work-items of a launch that was cancelled to end.
    fn pass_cancellation_on(&self, flight: &mut Flight) {
        if flight.cancelled.is_none() && flight.launch.cancelled().load(Ordering::Relaxed) {
            flight.cancelled = Some(Instant::now());
            self.states.cancel(flight.place);
        }
    }

    /// How a launch ended; `None` if it runs.
    fn outcome(&self, flight: &Flight) -> Option<Result<()>> {
        if self.device.is_set(flight.signal) {
            return Some(Ok(()));
        }
        if flight
            .cancelled
            .is_some_and(|since| since.elapsed() > GRACE)
        {
            // A kernel that doesn't wait for the host can't be asked. What ends it is the end of its queue.
            let kernel = &flight.launch.program().kernel;
            let reason = format!("kernel `{kernel}` was cancelled and did not end");
            self.device.lose(reason);
            return Some(Err(flight.was_cancelled()));
        }
        self.device.alive().err().map(Err)
    }

    fn land(&self, flight: Flight, outcome: Result<()>) {
        let outcome = outcome.and_then(|()| {
            self.device.give_back_signal(flight.signal);
            if let Some(behind) = flight.behind {
                self.device.give_back_signal(behind);
            }
            for block in std::iter::once(flight.arguments).chain(flight.more.iter().copied()) {
                self.arguments.give_back(&self.device, block);
            }
            let left = self
                .states
                .give_back(&self.device, &self.memory, flight.place)?;
            match left {
                Left::Nothing => Ok(()),
                Left::Panicked(record) => Err(self.panic(&record, &flight)),
                Left::Cancelled => Err(flight.was_cancelled()),
            }
        });
        if outcome.is_err() && self.device.is_lost() {
            // What runs on it must not use memory that is about to be free.
            self.device.destroy_queues();
        }
        flight.launch.finish(outcome);
    }

    /// The panic that a work-item of a launch left.
    fn panic(&self, record: &Record, flight: &Flight) -> Error {
        let launch = &flight.launch;
        let kernel = &launch.program().kernel;
        let item = panics::item(record, launch.space());
        if record.place == 0 {
            return panics::error(record, item, kernel);
        }
        match self.panic_alone(record, flight) {
            Ok(record) => panics::error(&record, item, kernel),
            Err(error) => panics::unspoken(&error, item, kernel),
        }
    }

    /// Runs a kernel's function for panics and gives the record that it leaves.
    fn panic_alone(&self, record: &Record, flight: &Flight) -> Result<Record> {
        let launch = &flight.launch;
        let device = &*self.device;
        let functions = &flight.functions;
        let kernel = functions
            .panics
            .function(device, &self.memory, &launch.program().kernel)?;
        let panicked = panics::panicked(record, launch.space(), launch.block().addr() as u64);
        let place = self.states.take(device, &self.memory)?;
        let signal = device.take_signal()?;
        let block = self.arguments.take(device, kernel.arguments)?;
        let packet = Dispatch {
            header: 0,
            setup: 0,
            workgroup: [1; 3],
            reserved: 0,
            grid: [1; 3],
            private_size: kernel.private,
            group_size: kernel.shared,
            kernel: kernel.object,
            arguments: packets::address(block.start.as_ptr().cast()),
            more_reserved: 0,
            completion: signal,
        };
        // SAFETY: as for the launch itself, which is not finished.
        unsafe {
            write_arguments(functions, &block, &panicked, place, launch.block());
            let packet = Packet::dispatch(packet, true);
            packets::push(device.api(), self.aside, &packet);
        }
        while !device.wait(signal, LONGEST_SLEEP, false) {
            device.alive()?;
        }
        device.give_back_signal(signal);
        self.arguments.give_back(device, block);
        match self.states.give_back(device, &self.memory, place)? {
            Left::Panicked(record) => Ok(*record),
            _ => Err(Error::Device {
                accelerator: device.name().to_owned(),
                reason: "the function for panics did not panic".to_owned(),
            }),
        }
    }
}

/// What a launch that was given to the device holds.
struct Issued {
    signal: Signal,
    behind: Option<Signal>,
    arguments: Arguments,
    more: Vec<Arguments>,
    place: Place,
    lane: Lane,
}

/// Writes the arguments of a kernel function: what it is told of the launch, where panics are left, and the
/// argument block.
///
/// # Safety
/// `to` has room for them; `from` is readable for the argument block.
unsafe fn write_arguments<T>(
    functions: &Functions,
    to: &Arguments,
    told: &T,
    place: Place,
    from: *const u8,
) {
    let places = amdgpu::Arguments::new(size_of::<T>(), functions.align);
    // SAFETY: the caller's promise.
    unsafe {
        let start = to.start.as_ptr();
        std::ptr::copy_nonoverlapping(std::ptr::from_ref(told).cast(), start, size_of::<T>());
        let state = packets::address(place.state.cast());
        start.add(places.state).cast::<u64>().write_unaligned(state);
        if functions.arguments > 0 {
            let block = start.add(places.block);
            std::ptr::copy_nonoverlapping(from, block, functions.arguments);
        }
    }
}

/// The parts that the device takes a grid in.
struct Parts {
    /// Groups of the grid.
    groups: [u64; 3],
    /// Most groups of a part.
    most: [u64; 3],
}

impl Parts {
    /// Those of a launch whose lanes run `width` items each.
    fn of(space: &Space, width: u64) -> Self {
        let mut groups = space.groups;
        if width > 1 {
            groups[0] = space.grid[0].div_ceil(space.group[0] * width);
        }
        Parts {
            groups,
            most: space.group.map(|size| LARGEST / size),
        }
    }

    fn count(&self) -> u64 {
        let along = |d: usize| self.groups[d].div_ceil(self.most[d]);
        along(0) * along(1) * along(2)
    }

    /// The first groups of the parts.
    fn starts(&self) -> impl Iterator<Item = [u64; 3]> + '_ {
        let along = |d: usize| (0..self.groups[d]).step_by(self.most[d] as usize);
        along(2).flat_map(move |z| along(1).flat_map(move |y| along(0).map(move |x| [x, y, z])))
    }

    /// How many groups the part has that starts there.
    fn groups(&self, start: [u64; 3]) -> [u64; 3] {
        [0, 1, 2].map(|d| (self.groups[d] - start[d]).min(self.most[d]))
    }
}

/// Whether a launch is a usual one, in the sense of [`gpu::LINE`].
fn is_usual(functions: &Functions, space: &Space, block: *const u8) -> bool {
    let items: u64 = space.group.iter().product();
    let small = items <= amdgpu::USUAL_GROUP && space.grid.iter().all(|size| *size <= gpu::SMALL);
    let mut addresses = functions.addresses;
    let mut aligned = true;
    while addresses != 0 {
        let word = addresses.trailing_zeros() as usize;
        addresses &= addresses - 1;
        // SAFETY: the code has an address there, so that the block is as long.
        let address = unsafe { block.cast::<u64>().add(word).read_unaligned() };
        aligned &= address.is_multiple_of(gpu::ALIGN);
    }
    small && aligned
}

impl std::fmt::Debug for Launches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Launches")
            .field("device", &self.device)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_grids_are_launched_in_parts() {
        let space = Space {
            grid: [10_000_000_000, 3, 1],
            group: [1024, 1, 1],
            groups: [9_765_625, 3, 1],
            shared: 0,
            kept: u64::MAX,
        };
        let parts = Parts::of(&space, 1);
        assert_eq!(parts.count(), 3);
        let all: u64 = parts
            .starts()
            .map(|start| parts.groups(start).iter().product::<u64>())
            .sum();
        assert_eq!(all, 9_765_625 * 3);
        for start in parts.starts() {
            assert!(parts.groups(start)[0] * 1024 <= LARGEST);
        }
    }
}
