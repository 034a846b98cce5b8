//! Launches in flight: from their turn to their end.
//!
//! Takes launches whose turn has come and issues them to streams of the device: each to the stream of
//! those that it comes after, which need not have ended, or else to one that has nothing to do, so that
//! launches that are not ordered overlap. A thread watches for their ends and finishes them; it looks all
//! the time while something is in flight that started lately, and less often the longer that takes.

use std::collections::VecDeque;
use std::ffi::c_void;
use std::hint::spin_loop;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use legionella_abi::nvptx::Record;

use super::super::panics;
use super::api::{Address, Function, Stream};
use super::calls::{Call, Functions};
use super::device::Device;
use super::lanes::{Lanes, Position};
use super::states::{Left, Place, States, parameter};
use crate::error::{Error, Result};
use crate::schedule::slot::{Lane, Running};

/// How long the watching thread looks for new launches before it goes to sleep.
const PATIENCE: Duration = Duration::from_micros(100);

/// How long launches are looked at without a pause; then for a share of the time they have taken.
const EAGER: Duration = Duration::from_millis(1);
const SHARE: u32 = 32;
const LONGEST_PAUSE: Duration = Duration::from_millis(1);

/// How long a stream was given nothing before its last launch is marked.
const QUIET: Duration = Duration::from_micros(10);

/// How often it is looked at whether launches were cancelled, and whether streams have failed.
const CANCELLED: Duration = Duration::from_micros(100);
const FAILED: Duration = Duration::from_millis(1);

/// The launches of one device.
pub(super) struct Launches {
    device: Arc<Device>,
    states: States,
    lanes: Lanes,
    /// For panics, which are told while other launches run.
    aside: Stream,
    watched: AtomicBool,
    /// How many flights are in `arrivals`.
    new: AtomicUsize,
    arrivals: Mutex<Arrivals>,
    arrived: Condvar,
}

/// Launches that the watching thread has not yet seen.
#[derive(Default)]
struct Arrivals {
    flights: VecDeque<Flight>,
    /// Whether the thread waits for some.
    asleep: bool,
}

// SAFETY: streams may be used by any thread.
unsafe impl Send for Launches {}
// SAFETY: as above.
unsafe impl Sync for Launches {}

/// A launch that the device has.
struct Flight {
    functions: Arc<Functions>,
    launch: Running,
    place: Place,
    position: Position,
    since: Instant,
    /// Whether its work-items were asked to end.
    cancelled: bool,
}

/// The launches in flight in one lane, in their order.
struct InLane {
    lane: Lane,
    flights: VecDeque<Flight>,
    /// How far the lane had come when it was last looked at.
    reached: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Launches {
    /// # Safety
    /// The device's context is current.
    pub(super) unsafe fn new(device: &Arc<Device>) -> Result<Self> {
        // SAFETY: the caller's promise, for all of them.
        unsafe {
            Ok(Launches {
                device: Arc::clone(device),
                lanes: Lanes::new(device)?,
                aside: device.new_stream()?,
                states: States::new(device)?,
                watched: AtomicBool::new(false),
                new: AtomicUsize::new(0),
                arrivals: Mutex::default(),
                arrived: Condvar::new(),
            })
        }
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
            Ok((position, place)) => {
                if functions.settled {
                    launch.is_in(position.lane);
                }
                self.arrive(Flight {
                    functions: Arc::clone(functions),
                    launch,
                    place,
                    position,
                    since: Instant::now(),
                    cancelled: false,
                });
            }
            Err(error) => launch.finish(Err(error)),
        }
    }

    /// Hands a launch to the thread that watches.
    fn arrive(&self, flight: Flight) {
        let mut arrivals = lock(&self.arrivals);
        arrivals.flights.push_back(flight);
        self.new.store(arrivals.flights.len(), Ordering::Release);
        // To wake a thread that doesn't sleep takes a call of the system all the same.
        if std::mem::take(&mut arrivals.asleep) {
            self.arrived.notify_one();
        }
    }

    /// Somebody waits for what is in a lane.
    pub(super) fn hasten(&self, lane: Lane) {
        let marked = (self.device).with_context(|_| self.lanes.mark_last(lane));
        if let Err(error) = marked {
            tracing::debug!(%error, "a stream could not be marked");
        }
    }

    /// Gives a launch to the device. The context is current.
    fn issue(&self, functions: &Functions, launch: &Running) -> Result<(Position, Place)> {
        let lane = self.lanes.choose(launch.behind())?;
        let place = self.states.take(&self.device)?;
        // Those that wait for one which is not settled wait for its end.
        let position = self.lanes.give(lane, !functions.settled, |stream| {
            self.launch_all(functions, launch, place, stream)
        });
        match position {
            Ok(position) => Ok((position, place)),
            Err(error) => {
                self.states.give_back(&self.device, place)?;
                Err(error)
            }
        }
    }

    /// Launches a grid, in as many parts as the device takes it in.
    fn launch_all(
        &self,
        functions: &Functions,
        launch: &Running,
        place: Place,
        stream: Stream,
    ) -> Result<()> {
        self.with_block(functions, launch, stream, |block| {
            let call = |call: Call| {
                let parameters = [parameter(&call.part), parameter(&place.state), block];
                // SAFETY: the parameters are those of the contract; the block is readable.
                unsafe {
                    let sizes = [call.groups, call.group];
                    self.call(call.function, sizes, call.shared, parameters, stream)
                }
            };
            // SAFETY: the block is the launch's.
            unsafe { functions.for_each_call(launch.space(), launch.block(), number(launch), call) }
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
        [groups, group]: [[u32; 3]; 2],
        shared: u32,
        mut parameters: [*mut c_void; 3],
        stream: Stream,
    ) -> Result<()> {
        let ([x, y, z], [width, height, depth]) = (groups, group);
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
                shared,
                stream,
                parameters,
                null_mut(),
            )
        })
    }

    /// Starts the thread that watches, once.
    fn watch(self: &Arc<Self>) -> Result<()> {
        if self.watched.load(Ordering::Relaxed) || self.watched.swap(true, Ordering::Relaxed) {
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
        // every launch, as it is told when its stream is asked for.
        if let Err(error) = self.device.with_context(|_| Ok(())) {
            tracing::debug!(%error, "no context for the thread that watches");
        }
        let mut lanes: Vec<InLane> = (0..self.lanes.count())
            .map(|number| InLane {
                lane: Lane(number as u32),
                flights: VecDeque::new(),
                reached: 0,
            })
            .collect();
        let (mut seen, mut looked, mut asked) = (Instant::now(), Instant::now(), Instant::now());
        loop {
            if self.new.load(Ordering::Acquire) > 0 {
                self.welcome(&mut lock(&self.arrivals), &mut lanes);
            }
            let mut ended = false;
            for lane in &mut lanes {
                ended |= self.land_reached(lane);
            }
            let now = Instant::now();
            if lanes.iter().all(|lane| lane.flights.is_empty()) {
                if now - seen < PATIENCE {
                    spin_loop();
                    continue;
                }
                let mut arrivals = lock(&self.arrivals);
                while arrivals.flights.is_empty() {
                    arrivals.asleep = true;
                    arrivals =
                        (self.arrived.wait(arrivals)).unwrap_or_else(PoisonError::into_inner);
                }
                self.welcome(&mut arrivals, &mut lanes);
                continue;
            }
            seen = now;
            if ended {
                continue;
            }
            self.mark_quiet(&lanes, now);
            if now - looked >= CANCELLED {
                looked = now;
                self.pass_cancellations(&mut lanes);
            }
            if now - asked >= FAILED {
                asked = now;
                self.land_failed(&mut lanes);
            }
            pause(&lanes, now);
        }
    }

    fn welcome(&self, arrivals: &mut Arrivals, lanes: &mut [InLane]) {
        for flight in arrivals.flights.drain(..) {
            let flights = &mut lanes[flight.position.lane.0 as usize].flights;
            // Those of several threads may have overtaken each other.
            let earlier = |other: &Flight| other.position.number < flight.position.number;
            let behind = flights.iter().rev().take_while(|other| !earlier(other));
            flights.insert(flights.len() - behind.count(), flight);
        }
        arrivals.asleep = false;
        self.new.store(0, Ordering::Release);
    }

    /// Finishes the launches of a lane that have ended, and says whether there were any.
    fn land_reached(&self, lane: &mut InLane) -> bool {
        if lane.flights.is_empty() {
            return false;
        }
        lane.reached = self.lanes.reached(lane.lane, lane.reached);
        let mut any = false;
        while let Some(first) = lane.flights.front()
            && first.position.number <= lane.reached
            && let Some(flight) = lane.flights.pop_front()
        {
            self.land(flight, Ok(()));
            any = true;
        }
        any
    }

    /// Marks lanes that were given nothing lately. The context is current.
    fn mark_quiet(&self, lanes: &[InLane], now: Instant) {
        for lane in lanes {
            let last = lane.flights.back();
            if last.is_some_and(|last| now.duration_since(last.since) >= QUIET)
                && let Err(error) = self.lanes.try_mark_last(lane.lane)
            {
                tracing::debug!(%error, "a stream could not be marked");
            }
        }
    }

    /// Tells work-items that wait for the host of launches that were cancelled.
    fn pass_cancellations(&self, lanes: &mut [InLane]) {
        let flights = lanes.iter_mut().flat_map(|lane| &mut lane.flights);
        for flight in flights.filter(|flight| !flight.cancelled) {
            if flight.launch.cancelled().load(Ordering::Relaxed) {
                flight.cancelled = true;
                self.states.cancel(flight.place);
            }
        }
    }

    /// Finishes the launches of lanes that can't go on. The context is current.
    fn land_failed(&self, lanes: &mut [InLane]) {
        for lane in lanes.iter_mut().filter(|lane| !lane.flights.is_empty()) {
            if let Some(error) = self.lanes.failure(lane.lane) {
                for flight in lane.flights.drain(..) {
                    self.land(flight, Err(error.clone()));
                }
            }
        }
    }

    fn land(&self, flight: Flight, outcome: Result<()>) {
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
            unsafe { self.call(function, [[1; 3]; 2], 0, parameters, stream) }
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

/// Waits a little, in proportion to how long the youngest launch has taken. Not at all for one that was
/// just launched.
fn pause(lanes: &[InLane], now: Instant) {
    let first = lanes.iter().filter_map(|lane| lane.flights.front());
    let Some(youngest) = first.map(|flight| flight.since).max() else {
        return;
    };
    match now.duration_since(youngest) {
        taken if taken < EAGER => spin_loop(),
        taken => thread::sleep((taken / SHARE).min(LONGEST_PAUSE)),
    }
}

impl std::fmt::Debug for Launches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Launches")
            .field("device", &self.device)
            .finish_non_exhaustive()
    }
}
