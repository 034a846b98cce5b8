//! Launches in flight: from their turn to their end.
//!
//! Takes launches whose turn has come and issues them to streams of the device: each to the stream of
//! those that it comes after, which need not have ended, or else to one that has nothing to do, so that
//! launches that are not ordered overlap.
//!
//! Whoever sees that a launch has ended finishes it: the thread that gives the next one to the same stream,
//! one that waits, which looks by itself for a while, or else a thread that watches. That looks all the time
//! while something is in flight that started lately, and less often the longer that takes. It leaves streams
//! alone that are being given launches, and all that is written by who does that: what changes hands between threads
//! costs both of them time, as much as a launch.

use std::collections::VecDeque;
use std::hint::{cold_path, spin_loop};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::api::Stream;
use super::calls::{Called, Functions};
use super::device::Device;
use super::graph::{Graph, Instance, Taken};
use super::lanes::{self, Lanes, Marks, Position};
use super::states::{Left, Place, States};
use super::{panics, transfers};
use crate::error::{Error, Result};
use crate::schedule::slot::{self, Lane, Running};

/// How long the watching thread looks for new launches before it goes to sleep.
const PATIENCE: Duration = Duration::from_micros(200);

/// How long launches are looked at without a pause; then for a share of the time they have taken.
const EAGER: Duration = Duration::from_millis(4);
const SHARE: u32 = 128;
const LONGEST_PAUSE: Duration = Duration::from_millis(1);

/// How long a stream was given nothing before the watching thread looks after it unasked: this often it reads what who
/// launches writes.
const QUIET: Duration = Duration::from_micros(100);

/// How many launches that have ended are taken at once.
const AT_ONCE: usize = 8;

/// How many states a lane without any takes.
const SEVERAL: usize = 16;

/// How often it is looked at whether launches were cancelled, and whether streams have failed.
const CANCELLED: Duration = Duration::from_micros(100);
const FAILED: Duration = Duration::from_millis(1);

/// The launches of one device.
pub(super) struct Launches {
    device: Arc<Device>,
    states: States,
    pub(super) lanes: Lanes,
    /// For panics, which are told while other launches run.
    aside: Stream,
    watched: AtomicBool,
    /// Whether somebody relies on the watching thread to see the end of something soon.
    wanted: Wanted,
    in_flight: Vec<InLane>,
    /// Whether the watching thread waits for something to be in flight: told under the lock by which it is woken, before
    /// it looks whether something is, and asked when something is.
    asleep: AtomicBool,
    waking: Mutex<()>,
    woken: Condvar,
}

/// What the watching thread looks at all the time, apart from what others write.
#[derive(Default)]
#[repr(align(128))]
struct Wanted(AtomicBool);

// SAFETY: streams may be used by any thread.
unsafe impl Send for Launches {}
// SAFETY: as above.
unsafe impl Sync for Launches {}

/// What the device has of a launch.
enum Work {
    Kernel {
        functions: &'static Functions,
        place: Place,
    },
    Transfer,
    Graph {
        graph: Arc<Graph>,
        instance: Box<Instance>,
    },
}

/// A launch that the device has.
struct Flight {
    work: Work,
    launch: Running,
    position: Position,
    /// Whether its work-items were asked to end.
    cancelled: bool,
}

/// The launches in flight in one lane.
#[derive(Default)]
#[repr(align(128))]
struct InLane {
    /// The lane's [word](Lanes::word) when last nothing in it was to be finished.
    settled: AtomicU32,
    flights: Mutex<Flights>,
}

#[derive(Default)]
struct Flights {
    /// In the order of their positions.
    flights: VecDeque<Flight>,
    /// States that launches in it have left.
    places: Vec<Place>,
    /// How far the lane had come when it was last looked at.
    reached: u64,
}

impl Flights {
    fn insert(&mut self, work: Work, launch: Running, position: Position) {
        let earlier = |other: &Flight| other.position.number < position.number;
        let is_last = self.flights.back().is_none_or(earlier);
        self.flights.push_back(Flight {
            work,
            launch,
            position,
            cancelled: false,
        });
        if !is_last {
            // Those of several threads may have overtaken each other.
            cold_path();
            let all = self.flights.make_contiguous();
            all.sort_by_key(|flight| flight.position.number);
        }
    }
}

/// What the watching thread has seen of lanes.
struct Watched {
    /// For each, the low half of the last position, and when that was first seen.
    lanes: [(u32, Instant); lanes::STREAMS],
    /// When something new was last seen.
    since: Instant,
}

impl Watched {
    fn new() -> Self {
        let now = Instant::now();
        Watched {
            lanes: [(0, now); lanes::STREAMS],
            since: now,
        }
    }
}

/// What the watching thread has to do next.
enum Next {
    /// To look again: of the lanes that it looks at, the youngest was last given something then.
    Look(Instant),
    /// To leave all lanes alone until then.
    Leave(Instant),
    /// Nothing: nothing seems to be in flight.
    Nothing,
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
                wanted: Wanted::default(),
                in_flight: std::iter::repeat_with(InLane::default)
                    .take(lanes::STREAMS)
                    .collect(),
                asleep: AtomicBool::new(false),
                waking: Mutex::new(()),
                woken: Condvar::new(),
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
    pub(super) fn start(self: &Arc<Self>, functions: &'static Functions, launch: Running) {
        // Those that wait for one which is not settled wait for its end.
        let settled = functions.settled;
        self.run(launch, settled, |launch| {
            let marks = Marks {
                before: functions.waits,
                behind: !settled,
            };
            let lane = self.lanes.choose(launch.behind())?;
            let (position, place) = self.lanes.give(lane, marks, |stream, places| {
                let place = self.place(lane, places)?;
                // SAFETY: what the launch uses it keeps, and its turn has come.
                let issued =
                    unsafe { called(launch, functions).issue(&self.device, place, stream) };
                if let Err(error) = issued {
                    // Parts of it may run.
                    self.lanes.wait(lane);
                    self.states.give_back(&self.device, place)?;
                    return Err(error);
                }
                Ok(place)
            })?;
            Ok((position, Work::Kernel { functions, place }))
        });
    }

    /// A state for a launch in a lane: of those that the lane has, or that launches in it have left. The context is
    /// current.
    fn place(&self, lane: Lane, places: &mut Vec<Place>) -> Result<Place> {
        match places.pop() {
            Some(place) => Ok(place),
            None => self.more_places(lane, places),
        }
    }

    #[cold]
    fn more_places(&self, lane: Lane, places: &mut Vec<Place>) -> Result<Place> {
        let left = &mut lock(&self.in_flight[lane.0 as usize].flights).places;
        std::mem::swap(places, left);
        if let Some(place) = places.pop() {
            return Ok(place);
        }
        *places = self.states.take_several(&self.device, SEVERAL)?;
        self.states.take(&self.device)
    }

    /// Runs a transfer.
    pub(super) fn start_transfer(self: &Arc<Self>, launch: Running) {
        self.run(launch, true, |launch| {
            let lane = self.lanes.choose(launch.behind())?;
            let (position, ()) = self.lanes.give(lane, Marks::default(), |stream, _| {
                // SAFETY: a transfer whose turn has come, which keeps its memory.
                unsafe { transfers::issue(&self.device, stream, launch.block()) }
            })?;
            Ok((position, Work::Transfer))
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
        // Any of its nodes may wait.
        let marks = Marks {
            before: true,
            behind: false,
        };
        let given = self.lanes.choose(launch.behind()).and_then(|lane| {
            (self.lanes).give(lane, marks, |stream, _| graph.launch(&instance, stream))
        });
        match given {
            Ok((position, ())) => {
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
    #[inline]
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

    /// The device has a launch: it is looked at until it has ended. The context is current.
    fn depart(self: &Arc<Self>, launch: Running, settled: bool, position: Position, work: Work) {
        let lane = position.lane;
        let awaited = settled && launch.is_in(lane);
        if !settled {
            launch.is_at(lane);
        }
        let in_lane = &self.in_flight[lane.0 as usize];
        let mut flights = lock(&in_lane.flights);
        flights.insert(work, launch, position);
        flights.reached = self.lanes.reached(lane, flights.reached);
        // The stream may have come that far already, or to the end of what is before it.
        let reached = flights.reached;
        let has_ended = (flights.flights.front()).is_some_and(|f| f.position.number <= reached);
        let settled_at = reached.wrapping_sub(u64::from(has_ended)) as u32;
        in_lane.settled.store(settled_at, Ordering::Relaxed);
        // The watching thread looks at this lane after it has said so, and then sees the flight, or before.
        let asleep = self.asleep.load(Ordering::Relaxed);
        drop(flights);
        if asleep {
            self.wake();
        }
        self.land_reached(lane);
        match settled {
            // It is marked.
            false => self.want(),
            true if awaited => self.watch_over(lane),
            true => {}
        }
    }

    /// Wakes the watching thread.
    #[cold]
    fn wake(&self) {
        let _waking = lock(&self.waking);
        // Until it runs, others needn't wake it as well.
        self.asleep.store(false, Ordering::Relaxed);
        self.woken.notify_one();
    }

    /// Somebody waits for what is in a lane.
    pub(super) fn hasten(&self, lane: Lane) {
        if let Err(error) = self.lanes.mark_last(lane) {
            tracing::debug!(%error, "a stream could not be marked");
        }
    }

    /// Somebody relies on the watching thread to see the end of what is in a lane.
    pub(super) fn watch_over(&self, lane: Lane) {
        self.hasten(lane);
        self.want();
    }

    fn want(&self) {
        if !self.wanted.0.load(Ordering::Relaxed) {
            self.wanted.0.store(true, Ordering::Relaxed);
        }
    }

    /// Lets time pass, unless it is wanted, without looking at anything that who launches writes.
    fn rest(&self, until: Instant) {
        while !self.wanted.0.load(Ordering::Relaxed) && Instant::now() < until {
            spin_loop();
        }
    }

    /// Starts the thread that watches, once.
    fn watch(self: &Arc<Self>) -> Result<()> {
        match self.watched.load(Ordering::Relaxed) {
            true => Ok(()),
            false => self.begin_to_watch(),
        }
    }

    #[cold]
    fn begin_to_watch(self: &Arc<Self>) -> Result<()> {
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
    fn serve(self: &Arc<Self>) {
        // Nothing else runs on this thread, so that the context stays current. If it is lost, so is
        // every launch, as it is told when its stream is asked for.
        if let Err(error) = self.device.with_context(|_| Ok(())) {
            tracing::debug!(%error, "no context for the thread that watches");
        }
        let mut seen = Watched::new();
        let (mut looked, mut asked) = (seen.since, seen.since);
        loop {
            let now = Instant::now();
            self.wanted.0.store(false, Ordering::Relaxed);
            let next = self.look_after(&mut seen, now);
            if now - looked >= CANCELLED {
                looked = now;
                self.pass_cancellations();
            }
            if now - asked >= FAILED {
                asked = now;
                self.land_failed();
            }
            match next {
                Next::Look(since) => match now.saturating_duration_since(since) {
                    taken if taken >= EAGER => {
                        thread::sleep((taken / SHARE).min(LONGEST_PAUSE));
                    }
                    _ => spin_loop(),
                },
                Next::Leave(until) => self.rest(until),
                Next::Nothing if now - seen.since < PATIENCE => self.rest(now + QUIET),
                Next::Nothing => {
                    self.sleep();
                    seen.since = Instant::now();
                }
            }
        }
    }

    /// Takes note of lanes that were given something since they were last looked at.
    fn glance(&self, seen: &mut Watched, now: Instant) {
        for (lane, seen_lane) in (0..).map(Lane).zip(&mut seen.lanes) {
            let last = self.lanes.last(lane);
            if seen_lane.0 != last {
                *seen_lane = (last, now);
                seen.since = now;
            }
        }
    }

    /// Waits until something is in flight.
    fn sleep(&self) {
        let mut waking = lock(&self.waking);
        loop {
            self.asleep.store(true, Ordering::Relaxed);
            if (self.in_flight.iter()).any(|in_lane| !lock(&in_lane.flights).flights.is_empty()) {
                break;
            }
            waking = (self.woken.wait(waking)).unwrap_or_else(PoisonError::into_inner);
        }
        self.asleep.store(false, Ordering::Relaxed);
    }

    fn lanes(&self) -> impl Iterator<Item = (Lane, &InLane)> {
        let lanes = self.in_flight.iter().enumerate();
        lanes.map(|(number, in_lane)| (Lane(number as u32), in_lane))
    }

    /// Marks lanes that were given nothing lately, and finishes what has ended there.
    fn look_after(self: &Arc<Self>, seen: &mut Watched, now: Instant) -> Next {
        self.glance(seen, now);
        let (mut youngest, mut until) = (None, now + QUIET);
        let mut unsettled = false;
        for ((lane, in_lane), (last, since)) in self.lanes().zip(seen.lanes) {
            if in_lane.settled.load(Ordering::Relaxed) == last {
                continue;
            }
            unsettled = true;
            let quiet = since + QUIET;
            if now < quiet && !self.lanes.is_marked(lane) {
                until = until.min(quiet);
                continue;
            }
            youngest = youngest.max(Some(since));
            self.hasten(lane);
            self.land_reached(lane);
        }
        match (youngest, unsettled) {
            (Some(since), _) => Next::Look(since),
            (None, true) => Next::Leave(until),
            (None, false) => Next::Nothing,
        }
    }

    /// Finishes the launches of a lane that have ended.
    pub(super) fn land_reached(self: &Arc<Self>, lane: Lane) {
        let in_lane = &self.in_flight[lane.0 as usize];
        if in_lane.settled.load(Ordering::Relaxed) != self.lanes.word(lane) {
            self.land_all_reached(lane, in_lane);
        }
    }

    #[inline(never)]
    fn land_all_reached(self: &Arc<Self>, lane: Lane, in_lane: &InLane) {
        // Finishing them may launch others.
        let mut left = [None; AT_ONCE];
        loop {
            let mut flights = lock(&in_lane.flights);
            flights
                .places
                .extend(left.iter_mut().filter_map(Option::take));
            flights.reached = self.lanes.reached(lane, flights.reached);
            let reached = flights.reached;
            let has_ended = |first: &mut Flight| first.position.number <= reached;
            let ended: [_; AT_ONCE] =
                std::array::from_fn(|_| flights.flights.pop_front_if(has_ended));
            if ended[0].is_none() {
                in_lane.settled.store(reached as u32, Ordering::Relaxed);
                return;
            }
            drop(flights);
            for (flight, left) in ended.into_iter().zip(&mut left) {
                *left = flight.and_then(|flight| self.land(flight, Ok(())));
            }
        }
    }

    /// Tells work-items that wait for the host of launches that were cancelled.
    fn pass_cancellations(&self) {
        for (_, in_lane) in self.lanes() {
            let mut flights = lock(&in_lane.flights);
            for flight in flights
                .flights
                .iter_mut()
                .filter(|flight| !flight.cancelled)
            {
                if flight.launch.is_cancelled() {
                    flight.cancelled = true;
                    match &flight.work {
                        Work::Kernel { place, .. } => self.states.cancel(*place),
                        Work::Graph { graph, instance } => graph.cancel(instance),
                        Work::Transfer => {}
                    }
                }
            }
        }
    }

    /// Finishes the launches of lanes that can't go on. The context is current.
    fn land_failed(self: &Arc<Self>) {
        for (lane, in_lane) in self.lanes() {
            let last = self.lanes.last(lane);
            if in_lane.settled.load(Ordering::Relaxed) == last {
                continue;
            }
            let Some(error) = self.lanes.failure(lane) else {
                continue;
            };
            // One at a time: finishing it may launch others.
            let next = || {
                let mut flights = lock(&in_lane.flights);
                let next = flights.flights.pop_front();
                if next.is_none() {
                    in_lane.settled.store(last, Ordering::Relaxed);
                }
                next
            };
            while let Some(flight) = next() {
                // Its state has gone with the device.
                self.land(flight, Err(error.clone()));
            }
        }
    }

    /// Finishes a launch that has ended, and gives its state, which is as new. The context is current, if it isn't lost.
    fn land(&self, flight: Flight, outcome: Result<()>) -> Option<Place> {
        let launch = flight.launch;
        let mut place_left = None;
        match flight.work {
            Work::Kernel { functions, place } => {
                let called = called(&launch, functions);
                let outcome = outcome.and_then(|()| {
                    let left = self.states.left(&self.device, place)?;
                    place_left = Some(place);
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
                    slot::start(next);
                }
            }
        }
        place_left
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
        true => {
            cold_path();
            Err(Error::Cancelled {
                kernel: launch.program().kernel.clone(),
            })
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
