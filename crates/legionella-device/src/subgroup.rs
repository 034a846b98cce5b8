//! The part of a work-group whose items exchange values without memory.
//!
//! Two operations are the machine's, a shuffle of 32 bits and a ballot; everything else is made of
//! them here, in one order on every target.

use core::panic::Location;

use crate::matrix::Unit;
use crate::{DeviceData, Group, Item, intrinsic};

/// The subgroup of a work-item: up to 64 items of its work-group that exchange values directly
/// (a warp, a wavefront).
///
/// Every operation, also making this, is carried out by all items of the subgroup together: each of
/// them has to come to it, or the launch fails. Lanes are numbered along the first dimension, then
/// the second, then the third, of whole work-groups; in a group that the edge of the grid cuts off,
/// or that is no multiple of the subgroups' size, some lanes don't [exist](Subgroup::lanes).
///
/// Values are of any type that is [`Exchange`]: numbers, arrays and tuples of them, your own.
///
/// ```
/// use legionella_device::{Disjoint, Group};
///
/// /// Every element becomes the sum of those before it and itself, within each subgroup.
/// fn running_sums(group: Group, x: &[u32], mut y: Disjoint<u32>) {
///     let mine = x.get(group.item().global()).copied().unwrap_or(0);
///     let sum = group.subgroup().inclusive_scan(mine, |a, b| a + b);
///     if let Some(y) = y.at(group.item()) {
///         *y = sum;
///     }
/// }
/// ```
///
/// # Order
///
/// [`reduce`](Subgroup::reduce) and the scans combine values in an order that the number of lanes
/// alone determines, so that sums of floats have the same bits on all targets with subgroups of one
/// size: 32 on the CPU, on NVIDIA's devices and on AMD's from RDNA on, and 64 on AMD's others.
#[derive(Debug)]
pub struct Subgroup<'g> {
    group: &'g Group<'g>,
    lane: u32,
    lanes: u64,
}

impl<'g> Subgroup<'g> {
    #[inline(always)]
    #[track_caller]
    pub(crate) fn of(group: &'g Group<'g>) -> Self {
        let lane = if intrinsic::on_device() {
            intrinsic::subgroup_lane()
        } else {
            let ([x, y, z], [width, height, _]) = (group.local(), group.size());
            let size = group.host().subgroup_size() as usize;
            ((x + width * (y + height * z)) % size) as u32
        };
        let mut subgroup = Subgroup {
            group,
            lane,
            lanes: 0,
        };
        subgroup.lanes = subgroup.ballot(true);
        subgroup
    }

    /// Lanes of a whole subgroup: a power of two of at most 64.
    #[inline(always)]
    pub fn size(&self) -> usize {
        if intrinsic::on_device() {
            intrinsic::subgroup_size() as usize
        } else {
            self.group.host().subgroup_size() as usize
        }
    }

    /// The item's lane.
    #[inline(always)]
    pub fn lane(&self) -> usize {
        self.lane as usize
    }

    /// The lanes that exist, a bit each.
    #[inline(always)]
    pub fn lanes(&self) -> u64 {
        self.lanes
    }

    /// Number of lanes that exist.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.lanes.count_ones() as usize
    }

    /// Never: a subgroup has at least the item that asks.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The number of the subgroup in its group.
    #[inline(always)]
    #[track_caller]
    pub fn index(&self) -> usize {
        let ([x, y, z], [width, height, _]) = (self.group.local(), self.group.size());
        let number = (x + width * (y + height * z)) / self.size();
        // All lanes have this number; that it comes from one of them shows that.
        let first = self.lanes.trailing_zeros();
        self.fetch(number as u32, first, Location::caller()) as usize
    }

    /// The subgroup's matrix unit, or what stands for it where a machine has none; `None` if the subgroup isn't
    /// whole, because the edge of the grid cuts it off or the group is no multiple of subgroups, or if it has fewer
    /// than 32 lanes even so, which only the host can have.
    #[inline(always)]
    pub fn matrix_unit(&self) -> Option<Unit<'_>> {
        let whole = self.len() == self.size() && self.size() >= 32;
        whole.then(|| Unit::new(self))
    }

    /// The group that it is a part of.
    #[inline(always)]
    pub(crate) fn group(&self) -> &'g Group<'g> {
        self.group
    }

    /// The work-item that asks.
    #[inline(always)]
    pub(crate) fn item(&self) -> &Item {
        self.group.item()
    }

    /// The lanes that say yes, a bit each.
    #[inline(always)]
    #[track_caller]
    pub fn ballot(&self, yes: bool) -> u64 {
        let place = Location::caller();
        if intrinsic::on_device() {
            return intrinsic::subgroup_ballot(yes.into(), place);
        }
        let values = self.on_host(yes.into(), place);
        let bits = values.iter().enumerate();
        bits.fold(0, |all, (lane, bit)| {
            all | u64::from(bit.unwrap_or(0)) << lane
        })
    }

    /// Whether any lane says yes.
    #[inline(always)]
    #[track_caller]
    pub fn any(&self, yes: bool) -> bool {
        self.ballot(yes) != 0
    }

    /// Whether all lanes say yes.
    #[inline(always)]
    #[track_caller]
    pub fn all(&self, yes: bool) -> bool {
        self.ballot(!yes) == 0
    }

    /// The lanes whose values equal the item's, a bit each.
    #[inline(always)]
    #[track_caller]
    pub fn matching<T: Exchange + PartialEq>(&self, value: T) -> u64 {
        let place = Location::caller();
        let mut found = 0;
        for lane in 0..self.size() {
            if self.exists(lane) && self.fetch(value, lane as u32, place) == value {
                found |= 1 << lane;
            }
        }
        found
    }

    /// The value of another lane, of which each item may choose its own; `None` if there is no such
    /// lane.
    #[inline(always)]
    #[track_caller]
    pub fn shuffle<T: Exchange>(&self, value: T, lane: usize) -> Option<T> {
        let exists = self.exists(lane);
        let from = if exists { lane as u32 } else { self.lane };
        let value = self.fetch(value, from, Location::caller());
        exists.then_some(value)
    }

    /// The value of the lane that is `by` lanes before; `None` if there is none.
    #[inline(always)]
    #[track_caller]
    pub fn shuffle_up<T: Exchange>(&self, value: T, by: usize) -> Option<T> {
        self.shuffle(value, self.lane().wrapping_sub(by))
    }

    /// The value of the lane that is `by` lanes behind; `None` if there is none.
    #[inline(always)]
    #[track_caller]
    pub fn shuffle_down<T: Exchange>(&self, value: T, by: usize) -> Option<T> {
        self.shuffle(value, self.lane().saturating_add(by))
    }

    /// The value of the lane whose number differs in the bits of `mask`; `None` if there is none.
    #[inline(always)]
    #[track_caller]
    pub fn shuffle_xor<T: Exchange>(&self, value: T, mask: usize) -> Option<T> {
        self.shuffle(value, self.lane() ^ mask)
    }

    /// The value of a lane, for all; the item's own if there is no such lane.
    #[inline(always)]
    #[track_caller]
    pub fn broadcast<T: Exchange>(&self, value: T, lane: usize) -> T {
        self.shuffle(value, lane).unwrap_or(value)
    }

    /// The values of all lanes combined: what [`inclusive_scan`](Subgroup::inclusive_scan) gives to
    /// the last lane that exists.
    #[inline(always)]
    #[track_caller]
    pub fn reduce<T: Exchange>(&self, value: T, combine: impl Fn(T, T) -> T) -> T {
        let place = Location::caller();
        let all = self.scan(value, combine, place);
        self.fetch(all, self.lanes.ilog2(), place)
    }

    /// The values of the lanes up to this one combined, this one included.
    ///
    /// In steps of 1, 2, 4, … below the subgroups' size, every lane combines what the lane that many
    /// before it has so far, which comes first, with what it has itself. Lanes that don't exist
    /// don't count. This is the order; it matters if `combine` is not quite associative, as for sums
    /// of floats.
    #[inline(always)]
    #[track_caller]
    pub fn inclusive_scan<T: Exchange>(&self, value: T, combine: impl Fn(T, T) -> T) -> T {
        self.scan(value, combine, Location::caller())
    }

    /// The values of the lanes before this one combined, in the order of
    /// [`inclusive_scan`](Subgroup::inclusive_scan); `first` for the first lane.
    #[inline(always)]
    #[track_caller]
    pub fn exclusive_scan<T: Exchange>(
        &self,
        value: T,
        first: T,
        combine: impl Fn(T, T) -> T,
    ) -> T {
        let place = Location::caller();
        let all = self.scan(value, combine, place);
        let before = self.before(1);
        let all = self.fetch(all, before.unwrap_or(self.lane), place);
        if before.is_some() { all } else { first }
    }

    #[inline(always)]
    fn scan<T: Exchange>(
        &self,
        value: T,
        combine: impl Fn(T, T) -> T,
        place: &'static Location<'static>,
    ) -> T {
        let mut all = value;
        let mut step = 1;
        while step < self.size() as u32 {
            let before = self.before(step);
            let others = self.fetch(all, before.unwrap_or(self.lane), place);
            if before.is_some() {
                all = combine(others, all);
            }
            step *= 2;
        }
        all
    }

    /// Whether a lane exists.
    #[inline(always)]
    fn exists(&self, lane: usize) -> bool {
        lane < 64 && self.lanes >> lane & 1 == 1
    }

    /// The lane that is `count` before this one, of those that exist.
    #[inline(always)]
    fn before(&self, count: u32) -> Option<u32> {
        let mut below = self.lanes & ((1 << self.lane) - 1);
        if below.count_ones() < count {
            return None;
        }
        if self.lanes & (self.lanes.wrapping_add(1)) == 0 {
            // No holes.
            return Some(self.lane - count);
        }
        for _ in 1..count {
            below &= !(1 << below.ilog2());
        }
        Some(below.ilog2())
    }

    /// The value of a lane that exists.
    #[inline(always)]
    fn fetch<T: Exchange>(&self, value: T, lane: u32, place: &'static Location<'static>) -> T {
        value.by_words(&mut |word| {
            if intrinsic::on_device() {
                intrinsic::subgroup_shuffle(word, lane, place)
            } else {
                self.on_host(word, place)[lane as usize].unwrap_or(word)
            }
        })
    }

    pub(crate) fn on_host(
        &self,
        value: u32,
        place: &'static Location<'static>,
    ) -> [Option<u32>; 64] {
        self.group.host().exchange(self.group.rank(), value, place)
    }
}

/// A value that lanes of a [`Subgroup`] exchange, in words of 32 bits.
///
/// A type of your own hands its fields on:
///
/// ```
/// use legionella_device::{DeviceData, Exchange};
///
/// #[derive(Clone, Copy)]
/// struct Best {
///     score: f32,
///     index: u32,
/// }
///
/// // SAFETY: two numbers.
/// unsafe impl DeviceData for Best {}
///
/// impl Exchange for Best {
///     fn by_words(self, word: &mut impl FnMut(u32) -> u32) -> Self {
///         Best {
///             score: self.score.by_words(word),
///             index: self.index.by_words(word),
///         }
///     }
/// }
/// ```
pub trait Exchange: DeviceData {
    /// Calls `word` for each word of the value, and makes the result of what it gives. All items
    /// must make the same calls: what comes of one that makes others is an error, or any value.
    #[must_use]
    fn by_words(self, word: &mut impl FnMut(u32) -> u32) -> Self;
}

macro_rules! narrow {
    ($($type:ty)*) => {$(
        impl Exchange for $type {
            #[inline(always)]
            fn by_words(self, word: &mut impl FnMut(u32) -> u32) -> Self {
                word(self as u32) as $type
            }
        }
    )*};
}

narrow!(u8 u16 u32 i8 i16 i32);

macro_rules! wide {
    ($($type:ty)*) => {$(
        impl Exchange for $type {
            #[inline(always)]
            fn by_words(self, word: &mut impl FnMut(u32) -> u32) -> Self {
                let mut result = 0;
                let mut shift = 0;
                while shift < <$type>::BITS {
                    result |= (word((self >> shift) as u32) as $type) << shift;
                    shift += 32;
                }
                result
            }
        }
    )*};
}

wide!(u64 i64 u128 i128 usize isize);

impl Exchange for f32 {
    #[inline(always)]
    fn by_words(self, word: &mut impl FnMut(u32) -> u32) -> Self {
        f32::from_bits(self.to_bits().by_words(word))
    }
}

impl Exchange for f64 {
    #[inline(always)]
    fn by_words(self, word: &mut impl FnMut(u32) -> u32) -> Self {
        f64::from_bits(self.to_bits().by_words(word))
    }
}

impl Exchange for bool {
    #[inline(always)]
    fn by_words(self, word: &mut impl FnMut(u32) -> u32) -> Self {
        word(self.into()) != 0
    }
}

impl Exchange for char {
    #[inline(always)]
    fn by_words(self, word: &mut impl FnMut(u32) -> u32) -> Self {
        char::from_u32(word(self.into())).unwrap_or(char::REPLACEMENT_CHARACTER)
    }
}

impl<T: Exchange, const N: usize> Exchange for [T; N] {
    #[inline(always)]
    fn by_words(self, word: &mut impl FnMut(u32) -> u32) -> Self {
        self.map(|element| element.by_words(word))
    }
}

impl<T: Exchange + Default> Exchange for Option<T> {
    #[inline(always)]
    fn by_words(self, word: &mut impl FnMut(u32) -> u32) -> Self {
        let some = self.is_some().by_words(word);
        let value = self.unwrap_or_default().by_words(word);
        some.then_some(value)
    }
}

macro_rules! tuples {
    ($($name:ident $field:tt)*) => {
        impl<$($name: Exchange),*> Exchange for ($($name,)*) {
            #[inline(always)]
            fn by_words(self, word: &mut impl FnMut(u32) -> u32) -> Self {
                ($(self.$field.by_words(word),)*)
            }
        }
    };
}

tuples!(A 0);
tuples!(A 0 B 1);
tuples!(A 0 B 1 C 2);
tuples!(A 0 B 1 C 2 D 3);
