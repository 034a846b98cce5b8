//! Stores that waves pass a barrier with, and other waves read behind it.
//!
//! Values are in memory at once in the simulator, unlike in hardware, where a wave that waits at a barrier may have
//! stores under way. A fence is what has it wait for them before ("User Guide for AMDGPU Backend", "Memory
//! Model": a release at the scope of the work-group waits for the counter of stores). So each wave notes the words
//! that it stores to until it waits; those that are left at a barrier are the group's, and another wave's load of
//! one of them is a fault. It is none after a later barrier if the wave has waited before that.
//!
//! This is about waves of one work-group, and the machine's memory where stores have a counter of their own. On CDNA, waves of a
//! work-group share a cache through which accesses go in order; and those of the work-group's memory are in one order for all
//! waves on every machine, so that LLVM leaves waits for them out. [`coherence`](super::coherence) is about work-groups.

use std::collections::HashMap;

use crate::decode::{PRIVATE_BASE, SHARED_BASE, Space};
use crate::error::Fault;
use crate::lanes::LANES;

use super::access::Addresses;

/// Words that a wave's list may have: with more, all are forgotten.
const MOST: usize = 1 << 16;

/// Words of the machine's memory that a lane's access takes; none if it goes elsewhere.
pub(super) fn words(space: Space, address: u64, bytes: u8) -> std::ops::Range<u64> {
    let aperture = address >> 32;
    let global = match space {
        Space::Global => true,
        Space::Flat => aperture != SHARED_BASE >> 32 && aperture != PRIVATE_BASE >> 32,
        Space::Local | Space::Scratch | Space::Buffer => false,
    };
    if global {
        address >> 2..((address + u64::from(bytes) - 1) >> 2) + 1
    } else {
        0..0
    }
}

/// A store under way: the slot of its instruction, and how many words it has.
#[derive(Clone, Copy, Debug)]
struct Store {
    slot: u32,
    words: usize,
}

/// What a wave has stored since it waited.
#[derive(Debug, Default)]
pub struct Stores {
    under_way: Vec<Store>,
    /// Words of all of them, in order, and then those of the instruction that is executed.
    words: Vec<u64>,
    /// Of these, words of stores under way.
    counted: usize,
    /// Whether it has waited for everything since the last barrier.
    waited: bool,
}

impl Stores {
    /// The lanes of a half store so many bytes each.
    pub fn note(&mut self, space: Space, exec: u32, addresses: &Addresses, bytes: u8) {
        for (lane, &address) in addresses.iter().enumerate() {
            if (exec >> lane) & 1 == 1 {
                self.words.extend(words(space, address, bytes));
            }
        }
    }

    /// An instruction that stores, or changes memory, counts as under way from now on.
    pub fn begin(&mut self, slot: u32) {
        let words = self.words.len() - self.counted;
        self.under_way.push(Store { slot, words });
        self.counted = self.words.len();
        if self.counted > MOST || self.under_way.len() > MOST {
            self.clear();
        }
    }

    fn clear(&mut self) {
        self.under_way.clear();
        self.words.clear();
        self.counted = 0;
    }

    /// The wave has waited until so many stores are under way.
    pub fn keep(&mut self, count: usize) {
        if count == 0 {
            self.clear();
            self.waited = true;
        } else if self.under_way.len() > count {
            let ended = self.under_way.drain(..self.under_way.len() - count);
            let words: usize = ended.map(|store| store.words).sum();
            self.words.drain(..words);
            self.counted -= words;
        }
    }
}

/// Words that waves have passed a barrier with: the wave, and the slot of the store.
#[derive(Debug, Default)]
pub struct Unfenced(HashMap<u64, (usize, u32)>);

impl Unfenced {
    /// A wave has come to a barrier.
    pub fn pass(&mut self, wave: usize, stores: &mut Stores) {
        if std::mem::take(&mut stores.waited) && !self.0.is_empty() {
            self.0.retain(|_, (by, _)| *by != wave);
        }
        let mut words = stores.words.iter();
        for store in &stores.under_way {
            let own = words.by_ref().take(store.words);
            self.0.extend(own.map(|word| (*word, (wave, store.slot))));
        }
        stores.clear();
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
            for word in words(space, address, bytes) {
                if let Some(&(by, slot)) = self.0.get(&word)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores_are_under_way_until_waited_for() {
        let addresses: Addresses = std::array::from_fn(|lane| 0x1000 + 4 * lane as u64);
        let moved = addresses.map(|address| address + 0x100);
        let load = |unfenced: &Unfenced, wave, addresses: &Addresses| {
            unfenced.check(wave, Space::Global, (0, u32::MAX), addresses, 4)
        };
        let (mut stores, mut unfenced) = (Stores::default(), Unfenced::default());
        stores.note(Space::Global, u32::MAX, &addresses, 4);
        stores.begin(7);
        stores.note(Space::Global, 1, &moved, 4);
        stores.begin(8);
        // The first has ended.
        stores.keep(1);
        unfenced.pass(0, &mut stores);
        assert_eq!(load(&unfenced, 1, &addresses), Ok(()));
        assert!(matches!(
            load(&unfenced, 1, &moved),
            Err(Fault::MissingFence {
                slot: 8,
                wave: 0,
                lane: 0,
                ..
            })
        ));
        assert_eq!(load(&unfenced, 0, &moved), Ok(()));
        // The next barrier comes with a wait.
        stores.keep(0);
        unfenced.pass(0, &mut stores);
        assert!(unfenced.is_empty());
    }
}
