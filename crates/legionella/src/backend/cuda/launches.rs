//! Launches in flight: from their turn to their end.
//!
//! Takes launches whose turn has come and issues them to streams of the device: each to the stream of
//! those that it comes after, which need not have ended, or else to one that has nothing to do, so that
//! launches that are not ordered overlap. A thread watches for their ends and finishes them; it looks all
//! the time while something is in flight that started lately, and less often the longer that takes.

use std::collections::VecDeque;
use std::hint::spin_loop;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::api::Stream;
use super::calls::{Called, Functions};
use super::device::Device;
use super::graph::{Graph, Instance, Taken};
use super::lanes::{Lanes, Position};
use super::states::{Left, Place, States};
use super::{panics, transfers};
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

/// What the device has of a launch.
enum Work {
    Kernel {
        functions: Arc<Functions>,
        place: Place,
    },
    Transfer,
    Graph {
        graph: Arc<Graph>,
        instance: Instance,
    },
}

/// A launch that the device has.
struct Flight {
    work: Work,
    launch: Running,
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

    /// The order that its launches are in.
    pub(super) fn order(&self) -> Option<NonZeroUsize> {
        NonZeroUsize::new(std::ptr::from_ref(self).addr())
    }

    pub(super) fn states(&self) -> &States {
        &self.states
    }

    /// A stream that no launch is in.
    pub(super) fn aside(&self) -> Stream {
        self.aside
    }

    /// Runs a launch of a kernel.
    pub(super) fn start(self: &Arc<Self>, functions: &Arc<Functions>, launch: Running) {
        // Those that wait for one which is not settled wait for its end.
        let settled = functions.settled;
        self.run(launch, settled, |launch| {
            let place = self.states.take(&self.device)?;
            let position = self.give(launch, settled, |stream| {
                // SAFETY: what the launch uses it keeps, and its turn has come.
                unsafe { called(launch, functions).issue(&self.device, place, stream) }
            });
            match position {
                Ok(position) => {
                    let functions = Arc::clone(functions);
                    Ok((position, Work::Kernel { functions, place }))
                }
                Err(error) => {
                    self.states.give_back(&self.device, place)?;
                    Err(error)
                }
            }
        });
    }

    /// Runs a transfer.
    pub(super) fn start_transfer(self: &Arc<Self>, launch: Running) {
        self.run(launch, true, |launch| {
            let position = self.give(launch, true, |stream| {
                // SAFETY: a transfer whose turn has come, which keeps its memory.
                unsafe { transfers::issue(&self.device, stream, launch.block()) }
            });
            Ok((position?, Work::Transfer))
        });
    }

    /// Runs a replay of a graph, soon or later.
    pub(super) fn start_graph(self: &Arc<Self>, graph: &Arc<Graph>, launch: Running) {
        let mut next = Some(launch);
        while let Some(launch) = next {
            next = self.try_graph(graph, launch);
        }
    }

    /// Runs a replay, or lets it wait for an instance of the graph; or finishes it, and gives another in its
    /// place.
    fn try_graph(self: &Arc<Self>, graph: &Arc<Graph>, launch: Running) -> Option<Running> {
        let ready = self
            .watch()
            .and_then(|()| self.device.with_context(|_| Ok(())));
        if let Err(error) = ready.and_then(|()| uncancelled(&launch)) {
            launch.finish(Err(error));
            return graph.waiting();
        }
        let (launch, instance) = match graph.take(launch) {
            Taken::Instance(launch, instance) => (launch, instance),
            Taken::Later => return None,
            Taken::Refused(launch, error) => {
                launch.finish(Err(error));
                return graph.waiting();
            }
        };
        graph.begins();
        match self.give(&launch, true, |stream| graph.launch(&instance, stream)) {
            Ok(position) => {
                let graph = Arc::clone(graph);
                self.depart(launch, true, position, Work::Graph { graph, instance });
                None
            }
            Err(error) => {
                graph.ended(&instance);
                let next = graph.give_back(instance);
                launch.finish(Err(error));
                next
            }
        }
    }

    /// Gives something to the device. Others may follow before it has ended if it is `settled`.
    fn run(
        self: &Arc<Self>,
        launch: Running,
        settled: bool,
        issue: impl FnOnce(&Running) -> Result<(Position, Work)>,
    ) {
        let issued = uncancelled(&launch)
            .and_then(|()| self.watch())
            .and_then(|()| self.device.with_context(|_| issue(&launch)));
        match issued {
            Ok((position, work)) => self.depart(launch, settled, position, work),
            Err(error) => launch.finish(Err(error)),
        }
    }

    /// Gives something to the stream that a launch is to be in. The context is current.
    fn give(
        &self,
        launch: &Running,
        settled: bool,
        give: impl FnOnce(Stream) -> Result<()>,
    ) -> Result<Position> {
        let lane = self.lanes.choose(launch.behind())?;
        self.lanes.give(lane, !settled, give)
    }

    /// The device has a launch: it is watched until it has ended.
    fn depart(&self, launch: Running, settled: bool, position: Position, work: Work) {
        if settled {
            launch.is_in(position.lane);
        }
        self.arrive(Flight {
            work,
            launch,
            position,
            since: Instant::now(),
            cancelled: false,
        });
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
    fn serve(self: &Arc<Self>) {
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
    fn land_reached(self: &Arc<Self>, lane: &mut InLane) -> bool {
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
                match &flight.work {
                    Work::Kernel { place, .. } => self.states.cancel(*place),
                    Work::Graph { graph, instance } => graph.cancel(instance),
                    Work::Transfer => {}
                }
            }
        }
    }

    /// Finishes the launches of lanes that can't go on. The context is current.
    fn land_failed(self: &Arc<Self>, lanes: &mut [InLane]) {
        for lane in lanes.iter_mut().filter(|lane| !lane.flights.is_empty()) {
            if let Some(error) = self.lanes.failure(lane.lane) {
                for flight in lane.flights.drain(..) {
                    self.land(flight, Err(error.clone()));
                }
            }
        }
    }

    /// Finishes a launch that has ended. The context is current, if it isn't lost.
    fn land(self: &Arc<Self>, flight: Flight, outcome: Result<()>) {
        let launch = flight.launch;
        match flight.work {
            Work::Kernel { functions, place } => {
                let called = called(&launch, &functions);
                let outcome = outcome.and_then(|()| {
                    let left = self.states.give_back(&self.device, place)?;
                    self.told(left, &called)
                });
                launch.finish(outcome);
            }
            Work::Transfer => launch.finish(outcome),
            Work::Graph { graph, instance } => {
                let outcome = outcome.and_then(|()| graph.outcome(&instance));
                graph.ended(&instance);
                let next = graph.give_back(instance);
                launch.finish(outcome);
                if let Some(next) = next {
                    self.start_graph(&graph, next);
                }
            }
        }
    }

    /// What a launch of a kernel left, as its outcome.
    pub(super) fn told(&self, left: Left, launch: &Called<'_>) -> Result<()> {
        match left {
            Left::Nothing => Ok(()),
            Left::Cancelled => Err(Error::Cancelled {
                kernel: Arc::clone(launch.kernel),
            }),
            Left::Panicked(record) => {
                let (states, stream) = (&self.states, self.aside);
                // SAFETY: the launch is not finished, so that what it uses is there.
                Err(unsafe { panics::told(&self.device, states, stream, &record, launch) })
            }
        }
    }
}

/// A launch, as a launch of a kernel.
fn called<'a>(launch: &'a Running, functions: &'a Functions) -> Called<'a> {
    Called {
        kernel: &launch.program().kernel,
        functions,
        space: launch.space(),
        block: launch.block(),
        number: launch.block().addr() as u64,
    }
}

/// Fails if a launch was cancelled before it was run.
fn uncancelled(launch: &Running) -> Result<()> {
    match launch.is_cancelled() {
        false => Ok(()),
        true => Err(Error::Cancelled {
            kernel: launch.program().kernel.clone(),
        }),
    }
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
