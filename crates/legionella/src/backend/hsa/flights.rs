//! Launches in flight: from their packets to their end.
//!
//! A thread watches the signals of launches that the device has, passes on that some were cancelled, and finishes
//! them, with the panics that they left.

use std::collections::VecDeque;
use std::hint::spin_loop;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use legionella_abi::cpu::Launch as Space;
use legionella_abi::gpu::Record;

use super::super::panics;
use super::api::Signal;
use super::functions::Functions;
use super::gates::Gate;
use super::launches::{KernelWork, Launches, lock, write_arguments};
use super::packets::{self, Dispatch, Packet};
use super::states::{Left, Place};
use super::transfers::UnderWay;
use crate::error::{Error, Result};
use crate::schedule::slot::{Lane, Running};

/// How long the watching thread looks for new launches before it goes to sleep.
const PATIENCE: Duration = Duration::from_micros(100);

/// How long the thread looks without leaving its core to others, which the device itself needs if it is in software.
const ALONE: Duration = Duration::from_micros(20);

/// How long launches are looked at all the time; after that the thread sleeps until the oldest ends.
const EAGER: Duration = Duration::from_millis(1);

/// How long it sleeps at most: others may end before.
const LONGEST_SLEEP: Duration = Duration::from_millis(1);

/// How long it sleeps while there is no signal to sleep on.
const SHORT_SLEEP: Duration = Duration::from_micros(50);

/// How long a launch that was cancelled may go on, once its queue has come to it, before the device's queues are
/// destroyed.
const GRACE: Duration = Duration::from_secs(1);

/// What comes before the next look at something that was looked at for so long.
fn look_on(looked: Duration) {
    match looked < ALONE {
        true => spin_loop(),
        false => thread::yield_now(),
    }
}

/// A launch that the device has.
pub(super) struct Flight {
    pub(super) launch: Running,
    pub(super) lane: Lane,
    pub(super) signal: Signal,
    /// What was set for it to wait for.
    pub(super) behind: Option<Signal>,
    pub(super) since: Instant,
    /// When its work-items were asked to end, or when its queue came to it after that.
    pub(super) cancelled: Option<Instant>,
    pub(super) work: Work,
}

/// What a launch in flight is.
pub(super) enum Work {
    Kernel(KernelWork),
    Gate(Gate),
    Transfer(UnderWay),
}

impl Flight {
    fn was_cancelled(&self) -> Error {
        Error::Cancelled {
            kernel: self.launch.program().kernel.clone(),
        }
    }
}

/// What a panic depends on.
pub(super) struct Panicking<'a> {
    pub(super) kernel: &'a Arc<str>,
    pub(super) functions: &'a Functions,
    pub(super) space: &'a Space,
    /// The argument block.
    pub(super) block: *const u8,
}

impl Launches {
    /// Has a launch watched that the device was given.
    pub(super) fn take_off(&self, flight: Flight) {
        let arrivals = &self.arrivals;
        let mut flights = lock(&arrivals.flights);
        flights.push_back(flight);
        arrivals.count.store(flights.len(), Ordering::Release);
        drop(flights);
        arrivals.changed.notify_one();
    }

    /// Starts the thread that watches, once.
    pub(super) fn watch(self: &Arc<Self>) -> Result<()> {
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
        let mut flights: Vec<Flight> = Vec::new();
        let mut idle_since = Instant::now();
        loop {
            let arrivals = &self.arrivals;
            if arrivals.count.load(Ordering::Acquire) > 0 {
                self.welcome(&mut lock(&arrivals.flights), &mut flights);
            }
            if flights.is_empty() {
                let idle = idle_since.elapsed();
                if idle < PATIENCE {
                    look_on(idle);
                    continue;
                }
                let mut new = lock(&arrivals.flights);
                while new.is_empty() {
                    new = (arrivals.changed.wait(new)).unwrap_or_else(PoisonError::into_inner);
                }
                self.welcome(&mut new, &mut flights);
                continue;
            }
            let mut ended = false;
            let mut index = 0;
            // The lanes of those that came earlier and have not ended, a bit each.
            let mut busy = 0u64;
            while index < flights.len() {
                let lane = 1 << flights[index].lane.0;
                self.pass_cancellation_on(&mut flights[index], busy & lane != 0);
                match self.outcome(&flights[index]) {
                    None => {
                        busy |= lane;
                        index += 1;
                    }
                    Some(outcome) => {
                        self.land(flights.remove(index), outcome);
                        ended = true;
                    }
                }
            }
            if ended {
                idle_since = Instant::now();
            } else {
                self.pause(&flights);
            }
        }
    }

    fn welcome(&self, arrivals: &mut VecDeque<Flight>, flights: &mut Vec<Flight>) {
        flights.extend(arrivals.drain(..));
        self.arrivals.count.store(0, Ordering::Release);
    }

    /// Waits a little, or, for launches that take long, until one of them ends.
    fn pause(&self, flights: &[Flight]) {
        let youngest = flights.iter().map(|flight| flight.since).max();
        let young = youngest.map(|since| since.elapsed());
        if let Some(young) = young.filter(|young| *young < EAGER) {
            return look_on(young);
        }
        let sleeps_on = |flight: &&Flight| !self.device.is_set(flight.signal);
        match flights.iter().find(sleeps_on) {
            Some(oldest) => {
                self.device.wait(oldest.signal, LONGEST_SLEEP);
            }
            None => thread::sleep(SHORT_SLEEP),
        }
    }

    /// Asks the work-items of a launch that was cancelled to end. If it is behind others in its queue, it need not have
    /// begun.
    fn pass_cancellation_on(&self, flight: &mut Flight, is_behind: bool) {
        if !flight.launch.is_cancelled() {
            return;
        }
        if flight.cancelled.is_none() {
            match &flight.work {
                Work::Kernel(work) => {
                    self.states.cancel(work.place);
                    for children in &work.children {
                        children.cancel(&self.states);
                    }
                }
                Work::Gate(gate) => gate.open(&self.device),
                // What was begun is done.
                Work::Transfer(_) => {}
            }
        }
        if flight.cancelled.is_none() || is_behind {
            flight.cancelled = Some(Instant::now());
        }
    }

    /// How a launch ended; `None` if it runs.
    fn outcome(&self, flight: &Flight) -> Option<Result<()>> {
        if self.device.is_set(flight.signal) {
            let runs = match &flight.work {
                Work::Kernel(work) => work.children.iter().any(|children| children.run()),
                Work::Gate(_) | Work::Transfer(_) => false,
            };
            if !runs {
                return Some(Ok(()));
            }
        }
        let overdue = |since: Instant| since.elapsed() > GRACE;
        let is_transfer = matches!(flight.work, Work::Transfer(_));
        if flight.cancelled.is_some_and(overdue) && !is_transfer {
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
            if let Some(behind) = flight.behind {
                self.device.give_back_signal(behind);
            }
            match &flight.work {
                Work::Kernel(work) => {
                    self.device.give_back_signal(flight.signal);
                    self.left(&flight, work)
                }
                Work::Gate(gate) => {
                    self.device.give_back_signal(flight.signal);
                    self.gates.give_back(&self.device, gate);
                    match flight.cancelled {
                        Some(_) => Err(flight.was_cancelled()),
                        None => Ok(()),
                    }
                }
                Work::Transfer(under_way) => self.landed(flight.signal, under_way),
            }
        });
        if outcome.is_err() && self.device.is_lost() {
            // What runs on it must not use memory that is about to be free.
            self.device.destroy_queues();
        }
        flight.launch.finish(outcome);
    }

    /// What a kernel left, which has ended, and what it has launched.
    fn left(&self, flight: &Flight, work: &KernelWork) -> Result<()> {
        let launch = &flight.launch;
        let panicking = Panicking {
            kernel: &launch.program().kernel,
            functions: super::functions_of(launch.program()),
            space: launch.space(),
            block: launch.block(),
        };
        let mut left = self.left_at(work.place, &panicking);
        for children in &work.children {
            left = left.and(children.left(self));
        }
        let blocks = std::iter::once(work.arguments).chain(work.more.iter().copied());
        for block in blocks.chain(work.children.iter().map(|children| children.arguments)) {
            self.arguments.give_back(&self.device, block);
        }
        left
    }

    /// What a kernel left at its place, which is given back.
    pub(super) fn left_at(&self, place: Place, panicking: &Panicking<'_>) -> Result<()> {
        let left = self.states.give_back(&self.device, &self.memory, place)?;
        match left {
            Left::Nothing => Ok(()),
            Left::Panicked(record) => Err(self.panic(&record, panicking)),
            Left::Cancelled => Err(Error::Cancelled {
                kernel: Arc::clone(panicking.kernel),
            }),
        }
    }

    /// The panic that a work-item of a launch left.
    fn panic(&self, record: &Record, panicking: &Panicking<'_>) -> Error {
        let kernel = panicking.kernel;
        let item = panics::item(record, panicking.space);
        if record.place == 0 {
            return panics::error(record, item, kernel);
        }
        match self.panic_alone(record, panicking) {
            Ok(record) => panics::error(&record, item, kernel),
            Err(error) => panics::unspoken(&error, item, kernel),
        }
    }

    /// Runs a kernel's function for panics and gives the record that it leaves.
    fn panic_alone(&self, record: &Record, panicking: &Panicking<'_>) -> Result<Record> {
        let device = &*self.device;
        let functions = panicking.functions;
        let kernel = (functions.panics).function(device, &self.memory, panicking.kernel)?;
        let number = panicking.block.addr() as u64;
        let panicked = panics::panicked(record, panicking.space, number);
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
            let to = block.start.as_ptr();
            write_arguments(functions, to, &panicked, place, panicking.block);
            let packet = Packet::dispatch(packet, true);
            packets::push(device.api(), self.aside, &packet);
        }
        device.outwait(signal)?;
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
