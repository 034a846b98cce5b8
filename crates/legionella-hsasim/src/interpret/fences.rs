//! Stores that waves pass a barrier with, and other waves read behind it.
//!
//! Values are in memory at once in the simulator, unlike in hardware, where a wave that waits at a barrier may have
//! stores under way. A fence is what has it wait for them before ("User Guide for AMDGPU Backend", "Memory
//! Model": a release at the scope of the work-group waits for the counters of stores). So each wave notes the places
//! that it stores to until it waits; those that are left at a barrier are the group's, and another wave's load of
//! one of them is a fault. It is none after a later barrier if the wave has waited before that.
//!
//! What caches keep is not looked at, nor are atomic accesses, which need no barrier.

use std::collections::HashMap;

use crate::decode::{SHARED_BASE, Space};
use crate::error::Fault;
use crate::lanes::LANES;

use super::access::Addresses;

/// Places that a wave's list may have: what is older is forgotten.
const MOST: usize = 1 << 16;

/// Memories that have counters of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Segment {
    /// That of the agent and the host.
    Global,
    /// That of the work-group.
    Local,
}

/// The memory of an address, and the offset in it.
fn segment(space: Space, address: u64) -> Option<(Segment, u64)> {
    match space {
        Space::Global => Some((Segment::Global, address)),
        Space::Local => Some((Segment::Local, address & 0xffff_ffff)),
        Space::Flat if address >> 32 == SHARED_BASE >> 32 => {
            Some((Segment::Local, address & 0xffff_ffff))
        }
        Space::Flat if address >> 32 == crate::decode::PRIVATE_BASE >> 32 => None,
        Space::Flat => Some((Segment::Global, address)),
        Space::Scratch | Space::Buffer => None,
    }
}

/// A store under way: the slot of its instruction, and how many places it has.
#[derive(Clone, Copy, Debug)]
struct Store {
    slot: u32,
    places: usize,
}

/// What a wave has stored to one memory since it waited.
#[derive(Debug, Default)]
struct UnderWay {
    stores: Vec<Store>,
    /// Words of all of them, in order.
    places: Vec<u64>,
    /// Whether it has waited for everything since the last barrier.
    waited: bool,
}

impl UnderWay {
    /// The wave has waited until so many are under way.
    fn keep(&mut self, count: usize) {
        if count == 0 {
            self.stores.clear();
            self.places.clear();
            self.waited = true;
        } else if self.stores.len() > count {
            let ended = self.stores.drain(..self.stores.len() - count);
            let places: usize = ended.map(|store| store.places).sum();
            self.places.drain(..places);
        }
    }
}

/// What a wave has stored since it waited.
#[derive(Debug, Default)]
pub struct Stores {
    global: UnderWay,
    local: UnderWay,
    /// Places of the instruction that is executed.
    new: Vec<(Segment, u64)>,
}

impl Stores {
    /// The lanes of a half store so many bytes each.
    pub fn note(&mut self, space: Space, exec: u32, addresses: &Addresses, bytes: u8) {
        for (lane, &address) in addresses.iter().enumerate() {
            if (exec >> lane) & 1 == 1
                && let Some((segment, offset)) = segment(space, address)
            {
                let words = (offset >> 2)..=((offset + u64::from(bytes) - 1) >> 2);
                self.new.extend(words.map(|word| (segment, word)));
            }
        }
    }

    /// An instruction that stores, or changes memory, counts as under way from now on.
    pub fn begin(&mut self, slot: u32, global: bool, local: bool) {
        for (counted, wanted, list) in [
            (global, Segment::Global, &mut self.global),
            (local, Segment::Local, &mut self.local),
        ] {
            if !counted {
                continue;
            }
            let before = list.places.len();
            let words = self.new.iter().filter(|(segment, _)| *segment == wanted);
            list.places.extend(words.map(|(_, word)| *word));
            let places = list.places.len() - before;
            list.stores.push(Store { slot, places });
            if list.places.len() > MOST || list.stores.len() > MOST {
                list.stores.clear();
                list.places.clear();
            }
        }
        self.new.clear();
    }

    /// The wave has waited until so many stores of each memory are under way.
    pub fn keep(&mut self, global: Option<usize>, local: Option<usize>) {
        if let Some(count) = global {
            self.global.keep(count);
        }
        if let Some(count) = local {
            self.local.keep(count);
        }
    }
}

/// Words that waves have passed a barrier with: the wave, and the slot of the store.
#[derive(Debug, Default)]
pub struct Unfenced(HashMap<(Segment, u64), (usize, u32)>);

impl Unfenced {
    /// A wave has come to a barrier.
    pub fn pass(&mut self, wave: usize, stores: &mut Stores) {
        for (segment, list) in [
            (Segment::Global, &mut stores.global),
            (Segment::Local, &mut stores.local),
        ] {
            if std::mem::take(&mut list.waited) && !self.0.is_empty() {
                self.0
                    .retain(|(of, _), (by, _)| *of != segment || *by != wave);
            }
            let mut places = list.places.iter();
            for store in &list.stores {
                let words = places.by_ref().take(store.places);
                self.0
                    .extend(words.map(|word| ((segment, *word), (wave, store.slot))));
            }
            list.stores.clear();
            list.places.clear();
        }
    }

    /// Whether there are none.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// That no lane of a half of a wave loads one of these words, unless it is the wave's own.
    ///
    /// # Errors
    /// The first load that does.
    pub fn check(
        &self,
        wave: usize,
        space: Space,
        (half, exec): (usize, u32),
        addresses: &Addresses,
        bytes: u8,
    ) -> Result<(), Fault> {
        for (lane, &address) in addresses.iter().enumerate() {
            if (exec >> lane) & 1 == 0 {
                continue;
            }
            let Some((segment, offset)) = segment(space, address) else {
                continue;
            };
            for word in (offset >> 2)..=((offset + u64::from(bytes) - 1) >> 2) {
                if let Some(&(by, slot)) = self.0.get(&(segment, word))
                    && by != wave
                {
                    return Err(Fault::MissingFence {
                        address,
                        lane: half * LANES + lane,
                        wave: by,
                        slot,
                    });
                }
            }
        }
        Ok(())
    }
}
