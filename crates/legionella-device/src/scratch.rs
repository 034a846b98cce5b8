//! What the items of a work-group compute together: reductions, scans, exchanges of values.
//!
//! Takes a tile of shared memory and barriers, gives operations on [`Group`](crate::Group). Knows no
//! target, and uses no subgroups: their size would show in the results.
//!
//! # Why this is sound
//!
//! A [`Scratch`] is a tile ([`crate::tile`]) that is neither writable nor readable: nothing but the
//! operations here reaches its elements. Each of them goes through the same steps in all items, with a
//! barrier between any two. What a step writes is the item's own element, and what it reads no item
//! writes in that step.
//!
//! That the items are at the same step rests on labels. Those of the barriers here name the tile and
//! the kind of operation, and no other barrier has them: of the two bits that a label has for each
//! tile, [`Group::sync`](crate::Group::sync) never sets both, and a stream of matrices sets both of two tiles,
//! where those of the kind are at most one bit beside the tile's own two. A barrier lets items pass only if all
//! wait with one label, so all items begin the same kind of operation on the tile, and since the
//! number of steps is given by the number of items, all end it with the same barrier. Which values and which functions
//! items bring along may differ, and does no harm. An item that leaves by a panic never comes to the
//! next barrier. On the host it could catch that panic and begin again out of step; so an operation
//! that was left marks its handle, which refuses the next.
//!
//! An element is read only where the item of that rank wrote it, before the first barrier of the
//! operation.

use core::marker::PhantomData;
use core::panic::Location;

use crate::Group;
use crate::tile::{Elements, Handle, POSITIONS};

/// Shared memory for what the items of a group compute together, with room for one value an item.
///
/// Made of a parameter by [`Shared::scratch`](crate::Shared::scratch), and lent to
/// [`Group::reduce`] and the like, any number of times:
///
/// ```
/// use legionella_device::{Disjoint, Group, Shared};
///
/// /// Every element becomes its share of the sum of its group.
/// fn shares(group: Group, x: &[f32], tile: Shared<[f32; 256]>, mut y: Disjoint<f32>) {
///     let mut scratch = tile.scratch();
///     let mine = x.get(group.item().global()).copied().unwrap_or(0.0);
///     let sum = group.reduce(&mut scratch, mine, |a, b| a + b);
///     if let Some(y) = y.at(group.item()) {
///         *y = mine / sum;
///     }
/// }
/// ```
pub struct Scratch<'g, T> {
    start: *mut T,
    len: usize,
    rank: usize,
    /// Items of the group.
    count: usize,
    position: u32,
    /// Whether an operation has begun and not ended.
    entered: bool,
    /// The pointer keeps it from being sent; the tile is the group's.
    tile: PhantomData<&'g T>,
}

impl<T> core::fmt::Debug for Scratch<'_, T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Scratch")
            .field("len", &self.len)
            .field("rank", &self.rank)
            .finish_non_exhaustive()
    }
}

/// Kinds of operations, which differ in what their steps read and write.
#[derive(Clone, Copy)]
enum Kind {
    /// Values are combined in steps.
    Scan,
    /// Values are written once, then read.
    Exchange,
}

#[cold]
#[inline(never)]
fn too_small(len: usize, items: usize) -> ! {
    panic!(
        "scratch memory with room for {len} values is too small for a group of {items} work-items"
    )
}

#[cold]
#[inline(never)]
fn left_by_a_panic() -> ! {
    panic!("an operation on this scratch memory was left by a panic")
}

impl<'g, T> Scratch<'g, T> {
    #[inline(always)]
    pub(crate) fn new<A: Elements<Element = T> + ?Sized>(handle: Handle<'g, A>) -> Self {
        Scratch {
            start: handle.start,
            len: handle.len,
            rank: handle.rank,
            count: handle.stride,
            position: handle.position,
            entered: false,
            tile: PhantomData,
        }
    }

    /// Values that there is room for.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is room for none.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// One operation of all items: from writing their values until none reads them any more.
struct Operation<'o, 'g, T> {
    group: &'o Group<'o>,
    scratch: &'o mut Scratch<'g, T>,
    kind: Kind,
    place: &'static Location<'static>,
}

impl<'o, 'g, T: Copy + Send + Sync + 'static> Operation<'o, 'g, T> {
    /// Writes the item's value, and waits until all items have.
    #[inline(always)]
    fn begin(
        group: &'o Group<'o>,
        scratch: &'o mut Scratch<'g, T>,
        kind: Kind,
        value: T,
        place: &'static Location<'static>,
    ) -> Self {
        if scratch.len < scratch.count {
            too_small(scratch.len, scratch.count);
        }
        if scratch.entered {
            left_by_a_panic();
        }
        scratch.entered = true;
        let mut operation = Operation {
            group,
            scratch,
            kind,
            place,
        };
        operation.write(value);
        operation.step();
        operation
    }

    /// Waits until all items have come to the end of this step.
    #[inline(always)]
    fn step(&self) {
        let next = (self.scratch.position + 1) % POSITIONS;
        let kind = match self.kind {
            Kind::Scan => 0,
            Kind::Exchange => 1,
        };
        let label = 3 << (2 * self.scratch.position) | kind << (2 * next);
        self.group.wait(label, self.place);
    }

    /// Changes the item's own element. No item may read it in this step.
    #[inline(always)]
    fn write(&mut self, value: T) {
        // SAFETY: there is room for all items. The element is this item's, and is written in steps in
        // which no item reads it.
        unsafe { self.scratch.start.add(self.scratch.rank).write(value) }
    }

    /// The element of an item. That item may not write it in this step.
    ///
    /// # Safety
    /// There is an item of that rank.
    #[inline(always)]
    unsafe fn read(&self, rank: usize) -> T {
        // SAFETY: there is room for all items, the one of that rank has written the element before
        // the first barrier, and writes it only in steps in which no item reads it.
        unsafe { self.scratch.start.add(rank).read() }
    }

    /// Lets others use the memory when all items have come here.
    #[inline(always)]
    fn end(self) {
        self.step();
        self.scratch.entered = false;
    }
}

/// Goes through the steps of a scan. Behind them, the element of each rank holds the values of the
/// ranks up to that one combined.
#[inline(always)]
fn scan<'o, 'g, T: Copy + Send + Sync + 'static>(
    group: &'o Group<'o>,
    scratch: &'o mut Scratch<'g, T>,
    value: T,
    combine: impl Fn(T, T) -> T,
    place: &'static Location<'static>,
) -> (T, Operation<'o, 'g, T>) {
    let (rank, count) = (scratch.rank, scratch.count);
    let mut operation = Operation::begin(group, scratch, Kind::Scan, value, place);
    let mut all = value;
    let mut width = 1;
    while width < count {
        // Ranks with the bit `width` write, and those without it are read.
        if rank & width != 0 {
            // SAFETY: a rank below this one.
            let before = unsafe { operation.read((rank & !(width - 1)) - 1) };
            all = combine(before, all);
            operation.write(all);
        }
        operation.step();
        width *= 2;
    }
    (all, operation)
}

/// What all items compute together, by way of [`Scratch`] memory.
///
/// All items of the group have to come to such an operation, as to a barrier. The memory needs room
/// for one value an item, or the item panics.
///
/// # Order
///
/// Values are combined in one order on every accelerator, which the number of items alone
/// determines. In steps of width 1, 2, 4, …, ranks are seen in pairs of blocks of that width; every
/// item in the second block of a pair combines what the last item of the first block has so far with
/// what it has itself. So the sum of 8 items is `((0+1)+(2+3))+((4+5)+(6+7))`. This matters if
/// `combine` is not quite associative, as for sums of floats; it need not be commutative.
impl Group<'_> {
    /// The values of all items combined: what [`inclusive_scan`](Group::inclusive_scan) gives to the
    /// item of the last rank.
    #[inline(always)]
    #[track_caller]
    pub fn reduce<T: Copy + Send + Sync + 'static>(
        &self,
        scratch: &mut Scratch<'_, T>,
        value: T,
        combine: impl Fn(T, T) -> T,
    ) -> T {
        let last = scratch.count - 1;
        let (_, operation) = scan(self, scratch, value, combine, Location::caller());
        // SAFETY: the last item of a group, which has one at least.
        let all = unsafe { operation.read(last) };
        operation.end();
        all
    }

    /// The values of the items up to this one combined, this one included, by rank.
    #[inline(always)]
    #[track_caller]
    pub fn inclusive_scan<T: Copy + Send + Sync + 'static>(
        &self,
        scratch: &mut Scratch<'_, T>,
        value: T,
        combine: impl Fn(T, T) -> T,
    ) -> T {
        let (all, operation) = scan(self, scratch, value, combine, Location::caller());
        operation.end();
        all
    }

    /// The values of the items before this one combined, by rank; `first` for the first item.
    #[inline(always)]
    #[track_caller]
    pub fn exclusive_scan<T: Copy + Send + Sync + 'static>(
        &self,
        scratch: &mut Scratch<'_, T>,
        value: T,
        first: T,
        combine: impl Fn(T, T) -> T,
    ) -> T {
        let rank = scratch.rank;
        let (_, operation) = scan(self, scratch, value, combine, Location::caller());
        let before = match rank {
            0 => first,
            // SAFETY: a rank below this one.
            _ => unsafe { operation.read(rank - 1) },
        };
        operation.end();
        before
    }

    /// The value of the item of another rank, of which each item may choose its own; `None` if there
    /// is no such item.
    #[inline(always)]
    #[track_caller]
    pub fn shuffle<T: Copy + Send + Sync + 'static>(
        &self,
        scratch: &mut Scratch<'_, T>,
        value: T,
        rank: usize,
    ) -> Option<T> {
        let exists = rank < scratch.count;
        let operation = Operation::begin(self, scratch, Kind::Exchange, value, Location::caller());
        let found = match exists {
            // SAFETY: there is such an item.
            true => unsafe { operation.read(rank) },
            false => value,
        };
        operation.end();
        exists.then_some(found)
    }

    /// The value of the item of that rank, for all; the item's own if there is no such item.
    #[inline(always)]
    #[track_caller]
    pub fn broadcast<T: Copy + Send + Sync + 'static>(
        &self,
        scratch: &mut Scratch<'_, T>,
        value: T,
        rank: usize,
    ) -> T {
        self.shuffle(scratch, value, rank).unwrap_or(value)
    }

    /// Whether any item says yes.
    #[inline(always)]
    #[track_caller]
    pub fn any(&self, scratch: &mut Scratch<'_, bool>, yes: bool) -> bool {
        self.reduce(scratch, yes, |a, b| a | b)
    }

    /// Whether all items say yes.
    #[inline(always)]
    #[track_caller]
    pub fn all(&self, scratch: &mut Scratch<'_, bool>, yes: bool) -> bool {
        self.reduce(scratch, yes, |a, b| a & b)
    }
}
