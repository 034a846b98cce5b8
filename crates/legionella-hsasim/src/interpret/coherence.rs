//! Values that a work-group stores and another one loads.
//!
//! Memory is the same for all at once in the simulator, unlike in hardware, where work-groups have caches between them. A value
//! gets from one to another if the one *releases* it behind the store and the other *acquires* behind that and before the load
//! ("User Guide for AMDGPU Backend", "Memory Model": on gfx942 a release is `buffer_wbl2 sc1` and a wait, elsewhere a wait for
//! stores; an acquire is `buffer_inv sc1`, `buffer_wbinvl1_vol` or `buffer_gl1_inv`). So each word knows which work-group of the launch has
//! stored there last, and when; a load of it by another is a fault unless the one has released and the other has acquired since.
//! As all of a work-group pass caches of their own together, one wave's release is the whole work-group's, and so are acquires:
//! nothing that is in order is a fault, and what isn't is found where both accesses come to be executed in the order of
//! the missing fence.
//!
//! Time is counted in releases and acquires. Atomic accesses, which go past the caches, are not looked at, nor are work-groups
//! of different launches, which signals order.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::decode::{Access, Action};
use crate::error::Fault;
use crate::isa::Isa;
use crate::lanes::LANES;
use crate::machine::memory::{Entry, View};

use super::access::Addresses;
use super::fences::words;

/// Releases and acquires so far, of all launches.
static NOW: AtomicU64 = AtomicU64::new(1);

/// Work-groups so far, of all launches.
static GROUPS: AtomicU64 = AtomicU64::new(1);

/// The most work-groups of a launch that is looked at.
const MOST: u64 = 1 << 22;

/// Bits of an instruction's slot in an entry.
const SLOT: u32 = 24;

/// A launch of several work-groups.
#[derive(Debug)]
pub struct Launch {
    /// The number of its first work-group among all.
    first: u64,
    start: u64,
    /// When each work-group has released last.
    released: Box<[AtomicU64]>,
}

impl Launch {
    /// A launch of so many work-groups; `None` if it is not one to look at.
    pub fn new(groups: u64) -> Option<Arc<Launch>> {
        if !(2..=MOST).contains(&groups) {
            return None;
        }
        Some(Arc::new(Launch {
            first: GROUPS.fetch_add(groups, Ordering::Relaxed),
            start: tick(),
            released: (0..groups).map(|_| AtomicU64::new(0)).collect(),
        }))
    }
}

/// A new point in time, which is later than all before.
fn tick() -> u64 {
    NOW.fetch_add(1, Ordering::AcqRel) + 1
}

/// What a work-group has released and acquired.
#[derive(Debug)]
pub struct Order {
    launch: Arc<Launch>,
    /// Its number in the launch.
    number: u64,
    acquired: u64,
    /// Whether it has stored since it has released.
    stored: bool,
    /// Whether a release takes writing back.
    writes_back: bool,
}

impl Order {
    /// Of the work-group of a number, at its beginning.
    pub fn new(launch: &Arc<Launch>, number: u64, isa: Isa) -> Order {
        Order {
            acquired: launch.start,
            launch: Arc::clone(launch),
            number,
            stored: false,
            writes_back: isa.writes_back(),
        }
    }

    /// Forgets what it has cached.
    pub fn acquire(&mut self) {
        self.acquired = tick();
    }

    /// Begins to write back: the time up to which stores are released when the wave has waited for it.
    pub fn write_back(&self) -> u64 {
        tick()
    }

    /// A wave has waited for all its stores. `written_back` is what [`Order::write_back`] has given, if the wave has done that
    /// before.
    #[inline(always)]
    pub fn wait(&mut self, written_back: u64) {
        if self.stored {
            self.release(written_back);
        }
    }

    fn release(&mut self, written_back: u64) {
        let time = if self.writes_back {
            written_back
        } else {
            tick()
        };
        if time > 0 {
            self.launch.released[self.number as usize].fetch_max(time, Ordering::AcqRel);
            self.stored = self.writes_back;
        }
    }

    /// Notes what the active lanes of a half store, or looks whether they may load what others have stored.
    ///
    /// # Errors
    /// The first load that may not.
    #[inline(never)]
    pub fn look(
        &mut self,
        memory: &mut View,
        access: &Access,
        (half, exec): (usize, u32),
        slot: u32,
        addresses: &Addresses,
    ) -> Result<(), Fault> {
        let (bytes, stores, plain) = match access.action {
            Action::Load { .. } if access.coherent => return Ok(()),
            Action::Load { bytes, .. } => (bytes, false, true),
            Action::Store { bytes, .. } => (bytes, true, !access.coherent),
            Action::Atomic { bytes, .. } => (bytes, true, false),
        };
        self.stored |= stores && plain;
        let now = NOW.load(Ordering::Acquire);
        for (lane, &address) in addresses.iter().enumerate() {
            let range = words(access.space, address, bytes);
            // What is no access to be done is a fault of its own.
            let is_none = (exec >> lane) & 1 == 0 || range.is_empty();
            if is_none || memory.check(address, bytes.into(), stores).is_err() {
                continue;
            }
            if !memory.has_entries() {
                if !(stores && plain) {
                    continue;
                }
                memory.make_entries();
            }
            for word in range {
                let Some(entry) = memory.entry(word) else {
                    continue;
                };
                let parts = parts(word, address, bytes);
                if !stores {
                    let lane = half * LANES + lane;
                    self.check(entry, parts, address, lane)?;
                } else if plain {
                    self.note(entry, parts, now, slot);
                } else {
                    entry.0[0].store(0, Ordering::Relaxed);
                }
            }
        }
        Ok(())
    }

    /// The work-group stores to bytes of a word.
    #[inline(always)]
    fn note(&self, entry: &Entry, parts: u64, now: u64, slot: u32) {
        let group = (self.launch.first + self.number) << 4;
        let when = now << SLOT | u64::from(slot.min((1 << SLOT) - 1));
        let [who, at] = &entry.0;
        // What else of the word it has stored is kept; what others have is forgotten.
        let old = who.load(Ordering::Relaxed);
        let kept = if parts != 15 && old >> 4 == group >> 4 {
            old & 15
        } else {
            0
        };
        who.store(group | parts | kept, Ordering::Relaxed);
        at.store(when, Ordering::Relaxed);
    }

    /// That the work-group may load bytes of a word.
    #[inline(always)]
    fn check(&self, entry: &Entry, parts: u64, address: u64, lane: usize) -> Result<(), Fault> {
        let who = entry.0[0].load(Ordering::Relaxed);
        let Some(other) = (who >> 4).checked_sub(self.launch.first) else {
            return Ok(());
        };
        if other == self.number || who & parts == 0 {
            return Ok(());
        }
        let Some(released) = self.launch.released.get(other as usize) else {
            return Ok(());
        };
        let when = entry.0[1].load(Ordering::Relaxed);
        let (time, slot) = (when >> SLOT, when as u32 & ((1 << SLOT) - 1));
        let is_released = released.load(Ordering::Acquire) > time;
        if is_released && self.acquired > time {
            return Ok(());
        }
        Err(Fault::MissingOrder {
            address,
            lane,
            group: other,
            slot,
            lacks: if is_released {
                "this work-group has not acquired since"
            } else {
                "has not released since"
            },
        })
    }
}

/// The bytes of a word that an access takes, a bit each.
#[inline(always)]
fn parts(word: u64, address: u64, bytes: u8) -> u64 {
    let start = address.saturating_sub(word << 2).min(4);
    let end = (address + u64::from(bytes))
        .saturating_sub(word << 2)
        .min(4);
    (15 << start) & ((1 << end) - 1) & 15
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_words() {
        assert_eq!(parts(4, 16, 4), 15);
        assert_eq!(parts(4, 17, 1), 2);
        assert_eq!((parts(4, 18, 4), parts(5, 18, 4)), (12, 3));
        assert_eq!(
            (parts(4, 8, 16), parts(5, 8, 16), parts(2, 8, 16)),
            (15, 15, 15)
        );
    }

    /// Whether one work-group may load what another has stored.
    fn may_load(isa: Isa, with: impl FnOnce(&mut Order, &mut Order)) -> Result<(), Fault> {
        let launch = Launch::new(2).unwrap();
        let [mut one, mut other] = [0, 1].map(|number| Order::new(&launch, number, isa));
        let entry = Entry::default();
        one.stored = true;
        one.note(&entry, 15, NOW.load(Ordering::Acquire), 7);
        assert!(one.check(&entry, 15, 0, 0).is_ok());
        with(&mut one, &mut other);
        other.check(&entry, 15, 0, 0)
    }

    #[test]
    fn loads_come_behind_a_release_and_an_acquire() {
        for isa in Isa::ALL {
            let release = |order: &mut Order| {
                let written_back = order.write_back();
                order.wait(written_back);
            };
            assert!(
                may_load(isa, |one, other| {
                    release(one);
                    other.acquire();
                })
                .is_ok()
            );
            assert!(may_load(isa, |one, _| release(one)).is_err());
            assert!(may_load(isa, |_, other| other.acquire()).is_err());
            // Waiting alone is enough where nothing has to be written back.
            let waited = may_load(isa, |one, other| {
                one.wait(0);
                other.acquire();
            });
            assert_eq!(waited.is_ok(), isa != Isa::Gfx942);
        }
    }
}
