//! Copies and fills that the device does by itself, in the order of launches: signals tell it when to begin, and its
//! queues when to go on.

use std::alloc::Layout;
use std::num::NonZeroUsize;
use std::ptr::{self, NonNull, null};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::api::{Agent, Signal};
use super::device::Device;
use super::flights::{Flight, Work};
use super::launches::{Launches, lock};
use super::memory::Memory;
use super::packets::{self, Packet};
use crate::backend::Code;
use crate::backend::transfers::{Transfer, doublings};
use crate::error::{Error, Result};
use crate::schedule::slot::{Lane, Running};

/// Bytes of copies of a pattern that the host writes, and that the device then doubles.
const STAGE: usize = 64 << 10;

/// Code for transfers.
pub(super) struct Transfers(pub(super) Arc<Launches>);

impl Code for Transfers {
    fn order(&self) -> Option<NonZeroUsize> {
        Launches::order(&self.0)
    }

    fn start(&self, launch: Running) {
        self.0.start_transfer(launch);
    }
}

/// One copy of several that follow each other.
struct Copy {
    from: *const u8,
    to: *mut u8,
    len: usize,
}

/// A transfer that the device has.
pub(super) struct UnderWay {
    /// Of its copies but for the last, whose signal is the launch's.
    copies: Vec<Signal>,
    /// Set when the queue has seen the last copy's end.
    seen: Signal,
    stage: Option<Stage>,
}

/// Signals of transfers that have ended, which their queues may have yet to look at.
#[derive(Debug, Default)]
pub(super) struct Passing(Mutex<Vec<Passed>>);

#[derive(Debug)]
struct Passed {
    last: Signal,
    seen: Signal,
}

/// Memory of the host for a pattern.
struct Stage {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: plain memory of the transfer.
unsafe impl Send for Stage {}

impl Passing {
    /// Takes back the signals that nobody looks at any more.
    fn reclaim(&self, device: &Device) {
        lock(&self.0).retain(|passed| {
            let was_seen = device.is_set(passed.seen);
            if was_seen {
                device.give_back_signal(passed.last);
                device.give_back_signal(passed.seen);
            }
            !was_seen
        });
    }
}

impl Launches {
    fn start_transfer(self: &Arc<Self>, launch: Running) {
        if launch.is_cancelled() {
            let kernel = launch.program().kernel.clone();
            return launch.finish(Err(Error::Cancelled { kernel }));
        }
        let ready = self.watch().and_then(|()| self.device.alive());
        match ready.and_then(|()| self.issue_transfer(&launch)) {
            Ok((lane, signal, behind, under_way)) => {
                launch.is_in(lane);
                self.take_off(Flight {
                    launch,
                    lane,
                    signal,
                    behind,
                    since: Instant::now(),
                    cancelled: None,
                    work: Work::Transfer(under_way),
                });
            }
            Err(error) => launch.finish(Err(error)),
        }
    }

    /// Gives a transfer to the device: its lane, the signal of its end, the one that it waits for, and what else it has.
    fn issue_transfer(&self, launch: &Running) -> Result<(Lane, Signal, Option<Signal>, UnderWay)> {
        let device = &*self.device;
        self.passing.reclaim(device);
        let block = launch.block();
        // SAFETY: a transfer, whose turn has come.
        let (first_agent, copies, stage) = unsafe { self.copies(block) }?;
        let mut signals = (0..copies.len())
            .map(|_| device.take_signal())
            .collect::<Result<Vec<_>>>()?;
        let seen = device.take_signal()?;
        let (lane, behind) = self.begin_behind(launch)?;
        let mut before = behind;
        for (index, (copy, signal)) in copies.iter().zip(&signals).enumerate() {
            let agent = if index == 0 {
                first_agent
            } else {
                device.agent()
            };
            let (count, list) = match &before {
                Some(signal) => (1, ptr::from_ref(signal)),
                None => (0, null()),
            };
            // SAFETY: the launch keeps the memory until it has ended; the signals are its own.
            let given = device.check(unsafe {
                let (to, from) = (copy.to.cast(), copy.from.cast());
                (device.api().copy)(
                    to,
                    device.agent(),
                    from,
                    agent,
                    copy.len,
                    count,
                    list,
                    *signal,
                )
            });
            if let Err(error) = given {
                // Those before must have ended. Signals that something may yet look at are not used again.
                if index > 0 {
                    device.outwait(signals[index - 1])?;
                }
                return Err(error);
            }
            before = Some(*signal);
        }
        let Some(last) = signals.pop() else {
            unreachable!("a transfer has at least one copy")
        };
        let packet = Packet::behind_signal(last, seen);
        // SAFETY: the queue is the device's; the signals stay until the packet has completed.
        unsafe { packets::push(device.api(), self.queue(lane), &packet) };
        let under_way = UnderWay {
            copies: signals,
            seen,
            stage,
        };
        Ok((lane, last, behind, under_way))
    }

    /// The copies that a transfer consists of, of which there is one at least, the agent that the first is from, and
    /// memory for a pattern.
    ///
    /// # Safety
    /// `block` is a transfer's.
    unsafe fn copies(&self, block: *const u8) -> Result<(Agent, Vec<Copy>, Option<Stage>)> {
        let device = &*self.device;
        // SAFETY: the caller's promise.
        match unsafe { Transfer::of(block) } {
            Transfer::Copy { from, to, len } => {
                Ok((device.agent(), vec![Copy { from, to, len }], None))
            }
            Transfer::Fill {
                pattern,
                size,
                to,
                count,
            } => {
                // SAFETY: the pattern lies there in the block.
                let pattern = unsafe { std::slice::from_raw_parts(block.add(pattern), size) };
                let stage = Stage::of(device, &self.memory, pattern, count)?;
                let (filled, len) = (stage.layout.size(), size * count);
                let first = Copy {
                    from: stage.start.as_ptr(),
                    to,
                    len: filled,
                };
                let others = doublings(filled, len).map(|(place, more)| Copy {
                    from: to,
                    to: to.wrapping_add(place),
                    len: more,
                });
                let copies = std::iter::once(first).chain(others).collect();
                Ok((device.pools().host, copies, Some(stage)))
            }
        }
    }

    /// Takes back what a transfer had that has ended, and says how that went.
    pub(super) fn landed(&self, last: Signal, under_way: &UnderWay) -> Result<()> {
        let device = &*self.device;
        // SAFETY: a signal of the device. What fails sets it to a negative number.
        let failed = unsafe { (device.api().load_signal)(last) } < 0;
        if failed {
            // The queue waits for 0.
            // SAFETY: as above.
            unsafe { (device.api().set_signal)(last, 0) };
        }
        for signal in &under_way.copies {
            device.give_back_signal(*signal);
        }
        let seen = under_way.seen;
        lock(&self.passing.0).push(Passed { last, seen });
        if let Some(stage) = &under_way.stage {
            // SAFETY: allocated for this transfer, which has ended.
            unsafe { self.memory.free_visible(stage.start, stage.layout) };
        }
        match failed {
            false => Ok(()),
            true => Err(Error::Device {
                accelerator: device.name().to_owned(),
                reason: "a copy failed".to_owned(),
            }),
        }
    }
}

impl Stage {
    /// As many copies of a pattern as fit, of `count`, at least one.
    fn of(device: &Device, memory: &Memory, pattern: &[u8], count: usize) -> Result<Self> {
        let copies = (STAGE / pattern.len()).clamp(1, count);
        let layout = Layout::array::<u8>(copies * pattern.len());
        let layout = layout.map_err(|_| Error::OutOfMemory {
            accelerator: device.name().to_owned(),
            bytes: pattern.len(),
        })?;
        let start = memory.allocate_visible(device, layout)?;
        for index in 0..copies {
            // SAFETY: within the new memory, which has room for as many.
            unsafe {
                let to = start.as_ptr().add(index * pattern.len());
                ptr::copy_nonoverlapping(pattern.as_ptr(), to, pattern.len());
            }
        }
        Ok(Stage { start, layout })
    }
}
