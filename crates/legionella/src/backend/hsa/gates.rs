//! Launches that end when a signal is zero: packets that wait for it in queues of their own, so that nothing else waits
//! behind them but what comes after them. While there are more of them than such queues, a thread of the host looks.

use std::ptr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use legionella_abi::hsa::Queue;

use super::api::{self, Signal};
use super::device::Device;
use super::flights::{Flight, Work};
use super::launches::{Launches, QUEUES, lock};
use super::packets::{self, Packet};
use crate::backend::Code;
use crate::error::Result;
use crate::schedule::gate;
use crate::schedule::slot::{Lane, Running};

/// Most queues of this kind.
const MOST: usize = 4;

/// The queues, which are made when they are needed.
#[derive(Default)]
pub(super) struct Gates(Mutex<Vec<GateQueue>>);

struct GateQueue {
    queue: *mut Queue,
    is_free: bool,
}

/// A packet that waits in one of them.
pub(super) struct Gate {
    queue: usize,
    /// What else it waits for.
    give_up: Signal,
}

impl Gate {
    /// Has it wait no longer.
    pub(super) fn open(&self, device: &Device) {
        // SAFETY: a signal of the device.
        unsafe { (device.api().set_signal)(self.give_up, 0) };
    }
}

impl Gates {
    pub(super) fn queue(&self, index: usize) -> *mut Queue {
        lock(&self.0)[index].queue
    }

    /// A queue in which nothing waits, if there is one or can be.
    fn take(&self, device: &Device) -> Option<(usize, *mut Queue)> {
        let mut all = lock(&self.0);
        let free = all.iter().position(|queue| queue.is_free);
        let index = match free {
            Some(index) => index,
            None if all.len() < MOST => {
                let queue = device.new_queue(api::QUEUE_MULTI).ok()?;
                all.push(GateQueue {
                    queue,
                    is_free: true,
                });
                all.len() - 1
            }
            None => return None,
        };
        all[index].is_free = false;
        Some((index, all[index].queue))
    }

    /// Takes back what a packet had that has ended.
    pub(super) fn give_back(&self, device: &Device, gate: &Gate) {
        device.give_back_signal(gate.give_up);
        lock(&self.0)[gate.queue].is_free = true;
    }
}

/// Code of such launches.
pub(super) struct GateCode(pub(super) Arc<Launches>);

impl Code for GateCode {
    fn order(&self) -> Option<std::num::NonZeroUsize> {
        Launches::order(&self.0)
    }

    fn start(&self, launch: Running) {
        self.0.start_gate(launch);
    }
}

impl Launches {
    fn start_gate(self: &Arc<Self>, launch: Running) {
        if let Some(outcome) = gate::outcome(&launch) {
            return launch.finish(outcome);
        }
        let ready = self.watch().and_then(|()| self.device.alive());
        match ready.and_then(|()| self.issue_gate(&launch)) {
            Ok(Some(flight)) => {
                launch.is_in(flight.0);
                let (lane, signal, gate) = flight;
                self.take_off(Flight {
                    launch,
                    lane,
                    signal,
                    behind: None,
                    since: Instant::now(),
                    cancelled: None,
                    work: Work::Gate(gate),
                });
            }
            Ok(None) => gate::wait(launch),
            Err(error) => launch.finish(Err(error)),
        }
    }

    /// Gives the packet to a queue, if one is free.
    fn issue_gate(&self, launch: &Running) -> Result<Option<(Lane, Signal, Gate)>> {
        let device = &*self.device;
        let Some((index, queue)) = self.gates.take(device) else {
            return Ok(None);
        };
        let (give_up, signal) = (device.take_signal()?, device.take_signal()?);
        // SAFETY: a gate's block.
        let awaited = unsafe { gate::signal_of(launch) };
        let awaited = Signal(ptr::from_ref(awaited).expose_provenance() as u64);
        let mut signals = [Signal::default(); 5];
        (signals[0], signals[1]) = (awaited, give_up);
        let packet = Packet::either(signals, signal);
        // SAFETY: the queue is the device's. The launch keeps the signal that is awaited until it has ended.
        unsafe { packets::push(device.api(), queue, &packet) };
        let gate = Gate {
            queue: index,
            give_up,
        };
        Ok(Some((Lane((QUEUES + index) as u32), signal, gate)))
    }
}
