//! The packet processor of a queue: a thread that reads packets in order and does what they say.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::interpret::scalar::clock;

use super::agent::agents;
use super::dispatch::{Dispatch, Refused};
use super::packet::{BARRIER_AND, BARRIER_OR, DISPATCH, INVALID, Packet, VENDOR};
use super::queue::{Queue, kernel};
use super::{signal, workers};

/// `HSA_STATUS_ERROR_INVALID_PACKET_FORMAT`.
const INVALID_PACKET: u32 = 0x1009;
/// `HSA_QUEUE_TYPE_MULTI`.
const MULTI: u32 = 0;
/// `HSA_STATUS_ERROR_FATAL`, of agents that are lost.
const FATAL: u32 = 0x1026;
/// The vendor's packet that waits for a value (`HSA_AMD_PACKET_TYPE_BARRIER_VALUE`).
const BARRIER_VALUE: u16 = 2;

/// Processes packets until the queue is stopped.
pub fn process(queue: &Arc<Queue>) {
    let shared = queue.shared();
    // A ring of one producer says how far it has written. Of several, the last to ring may have written before others:
    // with each ring, all packets are looked at that are ready.
    let (mut rung, mut is_open) = (-1i64, false);
    while !queue.is_stopped() {
        if agents()[queue.agent as usize].is_lost() {
            queue.failed(FATAL, "the agent was lost".to_owned());
            return;
        }
        let bell = queue.bell().load(Ordering::SeqCst);
        is_open |= bell != rung;
        rung = bell;
        let number = shared.read_index.load(Ordering::Acquire);
        let slot = queue.slot(number);
        let told = match shared.kind {
            MULTI => is_open,
            _ => number as i64 <= rung,
        };
        if !told || slot.kind() == INVALID {
            is_open = false;
            signal::sleep(queue.bell() as *const _ as u64, bell as u32, signal::LOOK);
            continue;
        }
        let packet = slot.read();
        if packet.has_barrier() {
            queue.wait_for(0);
        } else {
            queue.wait_for(shared.size as usize - 1);
        }
        if queue.is_stopped() {
            return;
        }
        let done = match packet.kind() {
            DISPATCH => launch(queue, packet, number),
            BARRIER_AND => barrier(queue, &packet, true),
            BARRIER_OR => barrier(queue, &packet, false),
            VENDOR if packet.vendor() == BARRIER_VALUE => barrier_value(queue, &packet),
            kind => Err(Refused {
                status: INVALID_PACKET,
                why: format!("a packet of the type {kind}"),
            }),
        };
        if let Err(refused) = done {
            queue.failed(
                refused.status,
                format!("packet {number} of a queue: {}", refused.why),
            );
            return;
        }
        slot.invalidate();
        shared.read_index.store(number + 1, Ordering::Release);
    }
}

fn launch(queue: &Arc<Queue>, packet: Packet, number: u64) -> Result<(), Refused> {
    let loaded = kernel(packet.kernel(), queue.agent).ok_or_else(|| Refused {
        status: 0x1010,
        why: format!(
            "there is no kernel at {:#x} that is loaded for the agent",
            packet.kernel()
        ),
    })?;
    let copy = queue.copy(number);
    copy.write(&packet);
    let address = copy as *const _ as u64;
    let dispatch = Arc::new(Dispatch::new(
        Arc::clone(queue),
        loaded,
        packet,
        address,
        number,
    )?);
    if let Some(mode) = dispatch.strange_mode() {
        return Err(Refused {
            status: 42,
            why: format!(
                "the kernel {} asks for the floating-point mode {mode:#x}",
                dispatch.kernel
            ),
        });
    }
    queue.began(&dispatch);
    workers::execute(dispatch);
    Ok(())
}

/// Waits for signals to become zero: for all, or for one.
fn barrier(queue: &Queue, packet: &Packet, all: bool) -> Result<(), Refused> {
    let start = clock();
    let signals: Vec<_> = packet
        .dependencies()
        .into_iter()
        .filter(|&handle| handle != 0)
        .map(|handle| {
            signal::of(handle).ok_or_else(|| Refused {
                status: 0x1006,
                why: format!("a barrier on {handle:#x}, which is no signal"),
            })
        })
        .collect::<Result<_, _>>()?;
    let zero = |signal: &&signal::Signal| signal.value.load(Ordering::SeqCst) == 0;
    while !(if all {
        signals.iter().all(zero)
    } else {
        signals.is_empty() || signals.iter().any(zero)
    }) {
        if queue.is_stopped() {
            return Ok(());
        }
        // Of one signal the change is heard of; of several each is looked at again and again.
        match signals.iter().find(|signal| !zero(signal)) {
            Some(first) if signals.len() == 1 || all => {
                let value = first.value.load(Ordering::SeqCst);
                if value != 0 {
                    signal::sleep(&raw const first.value as u64, value as u32, signal::LOOK);
                }
            }
            _ => std::thread::sleep(signal::LOOK / 20),
        }
    }
    queue.complete(packet.completion(), start);
    Ok(())
}

/// Waits for a signal's value, under a mask, to fulfil a condition.
fn barrier_value(queue: &Queue, packet: &Packet) -> Result<(), Refused> {
    let start = clock();
    let (handle, value, mask, condition) = packet.awaited();
    if handle != 0 {
        let signal = signal::of(handle).ok_or_else(|| Refused {
            status: 0x1006,
            why: format!("a barrier on {handle:#x}, which is no signal"),
        })?;
        let holds = |current: i64| match condition {
            0 => current & mask == value,
            1 => current & mask != value,
            2 => (current & mask) < value,
            _ => current & mask >= value,
        };
        while !queue.is_stopped() {
            if holds(signal.wait(holds, Some(signal::LOOK))) {
                break;
            }
        }
    }
    queue.complete(packet.completion(), start);
    Ok(())
}
