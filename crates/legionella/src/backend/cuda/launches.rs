//! Launches in flight: from their turn to their end.
//!
//! Takes launches whose turn has come and issues them to streams of the device: each to the stream of
//! those that it comes after, which need not have ended, or else to the next one, so that launches that
//! are not ordered overlap. A thread watches for their ends and finishes them; it looks all the time
//! while something is in flight that started lately, and less often the longer that takes.

use std::collections::VecDeque;
use std::ffi::c_void;
use std::hint::spin_loop;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use legionella_abi::nvptx::{self, Record};

use super::super::panics;
use super::api::{self, Address, Event, Function, Stream};
use super::device::Device;
use super::panics::Panics;
use super::states::{Left, Place, States, parameter};
use crate::error::{Error, Result};
use crate::schedule::slot::{Lane, Running};

/// Streams of a device.
const STREAMS: usize = 8;

/// How long the watching thread looks for new launches before it goes to sleep.
const PATIENCE: Duration = Duration::from_micros(100);

/// How long launches are looked at without a pause; then for a share of the time they have taken.
const EAGER: Duration = Duration::from_millis(5);
const SHARE: u32 = 256;

/// How long launches are not looked at if there are several.
const BETWEEN: Duration = Duration::from_micros(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(1);

/// Largest grid of the device, in work-groups.
const LARGEST: [u64; 3] = [(1 << 31) - 1, 65535, 65535];

/// From how many work-items on threads run several each: fewer would leave much of a large device
/// without any.
const MANY: u64 = 1 << 20;

/// Kernel functions of one module.
pub(super) struct Functions {
    /// For any launch.
    pub(super) any: Function,
    /// For usual launches of one dimension, in the sense of [`nvptx::LINE`].
    pub(super) line: Option<Function>,
    /// For usual launches of two dimensions.
    pub(super) plane: Option<Function>,
    /// For large ones of one dimension, with several items a thread.
    pub(super) wide: Option<Function>,
    /// Which words of the argument block a usual launch has aligned, a bit each.
    pub(super) addresses: u64,
    /// Size of the argument block, if it is passed by address.
    pub(super) block: Option<usize>,
    /// Bytes of shared memory that a launch gives in front of its own; `None` if it gives none.
    pub(super) shared: Option<u64>,
    /// Whether launches that come later may run before a panic is told.
    pub(super) settled: bool,
    /// For panics.
    pub(super) panics: Panics,
}

impl Functions {
    /// Bytes that a launch gives to each group, if its arguments ask for so many.
    pub(super) fn shared_memory(&self, asked: u64) -> u64 {
        self.shared.map_or(0, |front| front.saturating_add(asked))
    }
}

// SAFETY: functions of a module may be launched by any thread.
unsafe impl Send for Functions {}
// SAFETY: as above.
unsafe impl Sync for Functions {}

/// The launches of one device.
pub(super) struct Launches {
    device: Arc<Device>,
    states: States,
    streams: Vec<Stream>,
    /// For panics, which are told while other launches run.
    aside: Stream,
    turn: AtomicUsize,
    events: Mutex<Vec<Event>>,
    watched: AtomicBool,
    /// How many flights are in `arrivals`.
    new: AtomicUsize,
    arrivals: Mutex<VecDeque<Flight>>,
    arrived: Condvar,
}

// SAFETY: streams and events may be used by any thread.
unsafe impl Send for Launches {}
// SAFETY: as above.
unsafe impl Sync for Launches {}

/// A launch that the device has.
struct Flight {
    functions: Arc<Functions>,
    launch: Running,
    event: Event,
    place: Place,
    lane: Lane,
    since: Instant,
    /// Whether its work-items were asked to end.
    cancelled: bool,
}

// SAFETY: events may be used by any thread.
unsafe impl Send for Flight {}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Launches {
    /// # Safety
    /// The device's context is current.
    pub(super) unsafe fn new(device: &Arc<Device>) -> Result<Self> {
        // SAFETY: the caller's promise.
        let streams = (0..STREAMS).map(|_| unsafe { device.new_stream() });
        Ok(Launches {
            device: Arc::clone(device),
            streams: streams.collect::<Result<_>>()?,
            // SAFETY: the caller's promise.
            aside: unsafe { device.new_stream() }?,
            // SAFETY: the caller's promise.
            states: unsafe { States::new(device) }?,
            turn: AtomicUsize::new(0),
            events: Mutex::default(),
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
            .and_then(|()| self.device.with_context(|_| self.issue(functions, &launch)));
        match issued {
            Ok((event, place, lane)) => {
                if functions.settled {
                    launch.is_in(lane);
                }
                let flight = Flight {
                    functions: Arc::clone(functions),
                    launch,
                    event,
                    place,
                    lane,
                    since: Instant::now(),
                    cancelled: false,
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

    /// Gives a launch to the device. The context is current.
    fn issue(&self, functions: &Functions, launch: &Running) -> Result<(Event, Place, Lane)> {
        let lane = self.choose(launch)?;
        let stream = self.streams[lane.0 as usize];
        let place = self.states.take(&self.device)?;
        let event = self.event()?;
        let issued = self.launch_all(functions, launch, place, stream);
        // SAFETY: event and stream are the device's.
        let recorded = unsafe { (self.device.api().record_event)(event, stream) };
        match issued.and(self.device.check(recorded)) {
            Ok(()) => Ok((event, place, lane)),
            Err(error) => {
                // Parts of the launch may run: they end before it does.
                // SAFETY: as above.
                unsafe { (self.device.api().wait_stream)(stream) };
                Err(error)
            }
        }
    }

    /// The lane that a launch is to be in, which is a stream's number. It waits for the others that the
    /// launch comes after.
    fn choose(&self, launch: &Running) -> Result<Lane> {
        let mut behind = launch.behind();
        let Some(lane) = behind.next() else {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed);
            return Ok(Lane((turn % self.streams.len()) as u32));
        };
        let stream = self.streams[lane.0 as usize];
        for other in behind {
            let event = self.event()?;
            let api = self.device.api();
            // SAFETY: event and streams are the device's. What the stream waits for is fixed by the
            // call, so that the event may be used again.
            let waits = unsafe {
                match (api.record_event)(event, self.streams[other.0 as usize]) {
                    0 => (api.wait_event)(stream, event, 0),
                    failed => failed,
                }
            };
            lock(&self.events).push(event);
            self.device.check(waits)?;
        }
        Ok(lane)
    }

    /// An event that no flight has.
    fn event(&self) -> Result<Event> {
        if let Some(event) = lock(&self.events).pop() {
            return Ok(event);
        }
        let mut event = null_mut();
        // SAFETY: valid for writes; the context is current.
        self.device.check(unsafe {
            (self.device.api().create_event)(&mut event, api::EVENT_DISABLE_TIMING)
        })?;
        Ok(event)
    }

    /// Launches a grid, in as many parts as the device takes it in.
    fn launch_all(
        &self,
        functions: &Functions,
        launch: &Running,
        place: Place,
        stream: Stream,
    ) -> Result<()> {
        let space = launch.space();
        let shared = functions.shared_memory(space.shared);
        self.with_block(functions, launch, stream, |block| {
            let start = |function, first_group: [u64; 3], groups: [u64; 3]| {
                let part = nvptx::Launch {
                    grid: space.grid,
                    first_group,
                    number: number(launch),
                };
                let parameters = [parameter(&part), parameter(&place.state), block];
                // SAFETY: the parameters are those of the contract; the block is readable.
                unsafe { self.call(function, groups, space.group, shared, parameters, stream) }
            };
            if is_usual(functions, launch) {
                let is_single = |d: usize| space.grid[d] == 1 && space.group[d] == 1;
                let (plane, line) = (is_single(2), is_single(1) && is_single(2));
                let many = line && space.grid[0] >= MANY;
                if let Some(wide) = functions.wide.filter(|_| many) {
                    let items = space.group[0] * nvptx::WIDTH;
                    return start(wide, [0; 3], [space.grid[0].div_ceil(items), 1, 1]);
                }
                let usual = if line {
                    functions.line
                } else {
                    functions.plane
                };
                if let Some(function) = usual.filter(|_| plane) {
                    return start(function, [0; 3], space.groups);
                }
            }
            let starts = |d: usize| (0..space.groups[d]).step_by(LARGEST[d] as usize);
            for z in starts(2) {
                for y in starts(1) {
                    for x in starts(0) {
                        let first = [x, y, z];
                        let left = |d: usize| (space.groups[d] - first[d]).min(LARGEST[d]);
                        start(functions.any, first, [0, 1, 2].map(left))?;
                    }
                }
            }
            Ok(())
        })
    }

    /// Gives the argument block of a launch as a parameter: itself, or its address on the device.
    fn with_block(
        &self,
        functions: &Functions,
        launch: &Running,
        stream: Stream,
        call: impl FnOnce(*mut c_void) -> Result<()>,
    ) -> Result<()> {
        let Some(size) = functions.block else {
            return call(launch.block().cast_mut().cast());
        };
        let api = self.device.api();
        let mut copied: Address = 0;
        // SAFETY: the block is readable for its size. In the stream's order the copy lives until
        // what `call` launches has ended.
        unsafe {
            self.device
                .check((api.allocate_async)(&mut copied, size, stream))?;
            let uploaded = (api.upload)(copied, launch.block().cast(), size, stream);
            let called = self
                .device
                .check(uploaded)
                .and_then(|()| call((&raw mut copied).cast()));
            called.and(self.device.check((api.free_async)(copied, stream)))
        }
    }

    /// # Safety
    /// The parameters are what the function takes; of a block without bytes nothing is read.
    unsafe fn call(
        &self,
        function: Function,
        groups: [u64; 3],
        group: [u64; 3],
        shared: u64,
        mut parameters: [*mut c_void; 3],
        stream: Stream,
    ) -> Result<()> {
        let [x, y, z] = groups.map(|count| count as u32);
        let [width, height, depth] = group.map(|size| size as u32);
        let parameters = parameters.as_mut_ptr();
        // SAFETY: the caller's promise. The driver copies the parameters before it returns.
        self.device.check(unsafe {
            (self.device.api().launch)(
                function,
                x,
                y,
                z,
                width,
                height,
                depth,
                shared as u32,
                stream,
                parameters,
                null_mut(),
            )
        })
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
        // Nothing else runs on this thread, so that the context stays current. If it is lost, so is
        // every launch, as it is told when its event is asked for.
        if let Err(error) = self.device.with_context(|_| Ok(())) {
            tracing::debug!(%error, "no context for the thread that watches");
        }
        // By streams, in the order in which they end.
        let mut flights: Vec<VecDeque<Flight>> =
            self.streams.iter().map(|_| VecDeque::new()).collect();
        let mut idle_since = Instant::now();
        loop {
            if self.new.load(Ordering::Acquire) > 0 {
                self.welcome(&mut lock(&self.arrivals), &mut flights);
            }
            if flights.iter().all(VecDeque::is_empty) {
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
            for stream in &mut flights {
                for flight in stream.iter_mut().filter(|flight| !flight.cancelled) {
                    if flight.launch.cancelled().load(Ordering::Relaxed) {
                        flight.cancelled = true;
                        self.states.cancel(flight.place);
                    }
                }
                while let Some(outcome) = stream.front().and_then(|first| self.outcome(first)) {
                    if let Some(flight) = stream.pop_front() {
                        self.land(flight, outcome);
                        ended = true;
                    }
                }
            }
            idle_since = Instant::now();
            if !ended {
                pause(&flights);
            }
        }
    }

    fn welcome(&self, arrivals: &mut VecDeque<Flight>, flights: &mut [VecDeque<Flight>]) {
        for flight in arrivals.drain(..) {
            flights[flight.lane.0 as usize].push_back(flight);
        }
        self.new.store(0, Ordering::Release);
    }

    /// How a launch ended; `None` if it runs. The context is current.
    fn outcome(&self, flight: &Flight) -> Option<Result<()>> {
        // SAFETY: the event is the device's.
        match unsafe { (self.device.api().query_event)(flight.event) } {
            api::NOT_READY => None,
            code => Some(self.device.check(code)),
        }
    }

    fn land(&self, flight: Flight, outcome: Result<()>) {
        lock(&self.events).push(flight.event);
        let outcome =
            outcome.and_then(
                |()| match self.states.give_back(&self.device, flight.place)? {
                    Left::Nothing => Ok(()),
                    Left::Panicked(record) => Err(self.panic(&record, &flight)),
                    Left::Cancelled => Err(Error::Cancelled {
                        kernel: flight.launch.program().kernel.clone(),
                    }),
                },
            );
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
        let told = self
            .device
            .with_context(|_| self.panic_alone(record, flight));
        match told {
            Ok(record) => panics::error(&record, item, kernel),
            Err(error) => panics::unspoken(&error, item, kernel),
        }
    }

    /// Runs a kernel's function for panics and gives the record that it leaves. The context is
    /// current.
    fn panic_alone(&self, record: &Record, flight: &Flight) -> Result<Record> {
        let launch = &flight.launch;
        let functions = &flight.functions;
        let function = functions
            .panics
            .function(&self.device, &launch.program().kernel)?;
        let panicked = panics::panicked(record, launch.space(), number(launch));
        let place = self.states.take(&self.device)?;
        let stream = self.aside;
        self.with_block(functions, launch, stream, |block| {
            let parameters = [parameter(&panicked), parameter(&place.state), block];
            // SAFETY: as for the launch itself, which is not finished.
            unsafe { self.call(function, [1; 3], [1; 3], 0, parameters, stream) }
        })?;
        // SAFETY: the stream is the device's.
        (self.device).check(unsafe { (self.device.api().wait_stream)(stream) })?;
        match self.states.give_back(&self.device, place)? {
            Left::Panicked(record) => Ok(*record),
            _ => Err(Error::Device {
                accelerator: self.device.name().to_owned(),
                reason: "the function for panics did not panic".to_owned(),
            }),
        }
    }
}

/// The number by which a launch in flight is told from others: see [`nvptx::Launch::number`].
fn number(launch: &Running) -> u64 {
    launch.block().addr() as u64
}

/// Whether a launch is a usual one, in the sense of [`nvptx::LINE`].
fn is_usual(functions: &Functions, launch: &Running) -> bool {
    let space = launch.space();
    let small = (0..3).all(|d| space.grid[d] <= nvptx::SMALL && space.groups[d] <= LARGEST[d]);
    let mut addresses = functions.addresses;
    let mut aligned = true;
    while addresses != 0 {
        let word = addresses.trailing_zeros() as usize;
        addresses &= addresses - 1;
        // SAFETY: the code has an address there, so that the block is as long; it is aligned to
        // whatever is in it.
        let address = unsafe { launch.block().cast::<u64>().add(word).read_unaligned() };
        aligned &= address.is_multiple_of(nvptx::ALIGN);
    }
    small && aligned
}

/// Waits a little, in proportion to how long the youngest launch has taken. Not at all for a single
/// one that was just launched: of many, more are being launched, which asking for events slows down.
fn pause(flights: &[VecDeque<Flight>]) {
    let first = flights.iter().filter_map(VecDeque::front);
    let Some(youngest) = first.map(|flight| flight.since).max() else {
        return;
    };
    let taken = youngest.elapsed();
    if taken < EAGER {
        let many = flights.iter().map(VecDeque::len).sum::<usize>() > 1;
        let since = Instant::now();
        while many && since.elapsed() < BETWEEN {
            spin_loop();
        }
    } else {
        thread::sleep((taken / SHARE).min(LONGEST_PAUSE));
    }
}

impl std::fmt::Debug for Launches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Launches")
            .field("device", &self.device)
            .finish_non_exhaustive()
    }
}
