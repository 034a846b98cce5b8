//! Work-items that ask for the same at once, and act as one: on devices that run work-items in
//! lockstep, one of them does for all what would else be an operation of each on the same memory.
//!
//! Takes what the machine says of that ([`intrinsic::peers`]). Knows nothing of heaps.

use crate::intrinsic;

/// Some lanes that are at one place of the code, of which the first speaks for all.
#[derive(Clone, Copy)]
pub(super) struct Peers {
    /// A bit for each.
    lanes: u64,
    /// The lane of the work-item that asks.
    lane: u32,
}

impl Peers {
    /// A work-item by itself.
    #[inline(always)]
    pub(super) fn alone() -> Self {
        Peers { lanes: 1, lane: 0 }
    }

    /// Those that ask with the same key.
    ///
    /// # Safety
    /// Within an operation of the heap as device code.
    #[inline(always)]
    pub(super) unsafe fn with_key(key: u64) -> Self {
        Peers {
            lanes: intrinsic::peers(key),
            lane: intrinsic::peer_lane(),
        }
    }

    /// How many they are.
    #[inline(always)]
    pub(super) fn count(self) -> u64 {
        u64::from(self.lanes.count_ones())
    }

    /// How many are before the work-item.
    #[inline(always)]
    pub(super) fn rank(self) -> u64 {
        u64::from((self.lanes & ((1 << self.lane) - 1)).count_ones())
    }

    #[inline(always)]
    fn is_alone(self) -> bool {
        self.lanes == 1 << self.lane
    }

    /// Whether the work-item is the first.
    #[inline(always)]
    pub(super) fn is_first(self) -> bool {
        self.rank() == 0
    }

    /// The value of the first. What that did to memory before is visible to all behind.
    #[inline(always)]
    pub(super) fn of_first(self, value: u64) -> u64 {
        if self.is_alone() {
            return value;
        }
        intrinsic::peer_value(self.lanes, value, self.lanes.trailing_zeros())
    }

    /// The bits of all values. What each did to memory before is visible to all behind.
    #[inline(always)]
    pub(super) fn union(self, value: u64) -> u64 {
        if self.is_alone() {
            return value;
        }
        intrinsic::peer_union(self.lanes, value)
    }
}
