//! A work-group: waves that take turns on one thread and meet at barriers.

use std::sync::OnceLock;

use crate::decode::Code;
use crate::error::Fault;
use crate::isa::Isa;
use crate::machine::memory::View;

use super::access::Reach;
use super::coherence::Order;
use super::fences::Unfenced;
use super::local::Bytes;
use super::run::{Stop, run};
use super::vector::Halves;
use super::wave::Wave;

/// Instructions that a wave executes before the next wave has its turn.
const TURN: u64 = 10_000;

/// Instructions that a wave may execute: what `LEGIONELLA_HSASIM_LIMIT` says, else any number.
fn limit() -> u64 {
    static LIMIT: OnceLock<u64> = OnceLock::new();
    *LIMIT.get_or_init(|| {
        let text = std::env::var("LEGIONELLA_HSASIM_LIMIT").ok();
        text.and_then(|text| text.parse().ok()).unwrap_or(u64::MAX)
    })
}

/// How far a work-group has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// All its waves have ended.
    Ended,
    /// It has had its turn.
    Turn,
}

/// A work-group.
#[derive(Debug)]
pub struct Group {
    /// Its waves.
    pub waves: Vec<Wave>,
    /// Its memory.
    pub local: Bytes,
    isa: Isa,
    /// What waves have stored without waiting for it before a barrier.
    unfenced: Unfenced,
    /// What it has released to other work-groups and acquired from them, if that is looked at.
    order: Option<Order>,
    /// Instructions that a wave may execute.
    limit: u64,
}

impl Group {
    /// A work-group of waves, with so much memory, and its order with others, if that is looked at.
    pub fn new(isa: Isa, mut waves: Vec<Wave>, local: usize, order: Option<Order>) -> Group {
        if waves.len() > 1 && isa.counts_stores() {
            for wave in &mut waves {
                wave.stores = Some(Box::default());
            }
        }
        Group {
            waves,
            local: Bytes::new(local),
            isa,
            unfenced: Unfenced::default(),
            order,
            limit: limit(),
        }
    }

    /// Has every wave take one turn, or more as long as waves wait for each other.
    ///
    /// # Errors
    /// What stopped the kernel, and the wave that it happened in.
    pub fn turn(&mut self, code: &Code, memory: &mut View) -> Result<Progress, (usize, Fault)> {
        let halves = Halves {
            keep: self.isa.keeps_halves(),
        };
        // A wave that is alone needs no turns as short as those of waves that may wait for it.
        let turn = if self.waves.len() == 1 {
            100 * TURN
        } else {
            TURN
        };
        for (index, wave) in self.waves.iter_mut().enumerate() {
            if wave.ended || wave.at_barrier {
                continue;
            }
            if wave.executed > self.limit {
                return Err((index, Fault::Endless(self.limit)));
            }
            let mut reach = Reach {
                memory,
                local: &mut self.local,
                counts_stores: self.isa.counts_stores(),
                unfenced: &self.unfenced,
                order: self.order.as_mut(),
                wave: index,
                buffer_scale: 64,
            };
            match run(wave, code, &mut reach, halves, turn) {
                Ok(Stop::Barrier) => {
                    if let Some(stores) = &mut wave.stores {
                        self.unfenced.pass(index, stores);
                    }
                }
                Ok(Stop::Turn | Stop::End) => {}
                Err(fault) => return Err((index, fault)),
            }
        }
        if self.waves.iter().all(|wave| wave.ended) {
            return Ok(Progress::Ended);
        }
        // Waves that have ended don't hold others up.
        if self.waves.iter().all(|wave| wave.ended || wave.at_barrier) {
            for wave in &mut self.waves {
                wave.at_barrier = false;
            }
        }
        Ok(Progress::Turn)
    }
}
