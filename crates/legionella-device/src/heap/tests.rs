//! No two objects overlap, all are aligned, and what is freed can be had again: against a model, and by
//! threads that hammer.

extern crate std;

use core::sync::atomic::{AtomicU64, Ordering};
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::collections::BTreeMap;
use std::vec::Vec;

use proptest::prelude::*;

use super::layout::Heap;
use super::{CLASSES, LEAST, MOST, SLAB, class, size_of_class};

/// A heap in memory of its own, which starts where slabs don't.
struct Region {
    heap: Heap,
    memory: *mut u8,
    layout: Layout,
}

const SHIFT: usize = 64;

// SAFETY: a heap is for all threads.
unsafe impl Sync for Region {}

impl Region {
    fn new(len: usize) -> Region {
        let layout = Layout::from_size_align(len + SHIFT, SLAB).unwrap();
        // SAFETY: the layout has a size; the rest of the region is zeros of this heap's.
        unsafe {
            let memory = alloc_zeroed(layout);
            let heap = Heap::create(memory.add(SHIFT), len).unwrap();
            Region {
                heap,
                memory,
                layout,
            }
        }
    }

    fn alloc(&self, size: usize, align: usize, spread: usize) -> Option<usize> {
        // SAFETY: the heap is valid; tests use sound alignments.
        let object = unsafe { self.heap.alloc(size, align, spread) };
        (!object.is_null()).then(|| {
            assert!(
                object.addr().is_multiple_of(align),
                "{object:?} for {align}"
            );
            let (start, end) = (object.addr(), object.addr() + size);
            assert!(self.memory.addr() + SHIFT <= start);
            assert!(end <= self.memory.addr() + self.layout.size());
            object.expose_provenance()
        })
    }

    fn free(&self, object: usize, size: usize, align: usize) {
        let object = core::ptr::with_exposed_provenance_mut(object);
        // SAFETY: tests free what they have, once.
        unsafe { self.heap.dealloc(object, size, align) };
    }

    fn statistics(&self) -> super::statistics::Statistics {
        // SAFETY: the heap is valid.
        unsafe { self.heap.statistics() }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: allocated by `new`.
        unsafe { dealloc(self.memory, self.layout) };
    }
}

#[test]
fn classes_are_the_least_that_fit() {
    assert_eq!(CLASSES, 12);
    for (size, align, expected) in [
        (1, 1, 16),
        (16, 16, 16),
        (17, 8, 32),
        (1, 64, 64),
        (100, 4, 128),
        (4096, 1, 4096),
        (4097, 1, 8192),
        (MOST, 1, MOST),
        (5, MOST, MOST),
    ] {
        assert_eq!(class(size, align).map(size_of_class), Some(expected));
    }
    assert_eq!(class(MOST + 1, 1), None);
    assert_eq!(class(1, 2 * MOST), None);
    assert!((0..CLASSES).all(|c| class(LEAST << c, 1) == Some(c)));
}

#[test]
fn all_memory_can_be_had_freed_and_had_again_for_another_purpose() {
    let region = Region::new(20 * SLAB);
    let size = region.statistics().size;
    assert!(size >= 18 * SLAB);
    for (object, align) in [
        (16, 1),
        (MOST, 1),
        (48, 16),
        (SLAB, 1),
        (1000, 8),
        (3 * SLAB, 1),
    ] {
        let mut all = Vec::new();
        while let Some(next) = region.alloc(object, align, all.len()) {
            all.push(next);
        }
        let rounded = class(object, align).map_or(object, size_of_class);
        assert!(
            all.len() * rounded > size - rounded.max(SLAB),
            "{object}: {}",
            all.len()
        );
        let held = region.statistics();
        assert_eq!((held.objects, held.used), (all.len(), all.len() * rounded));
        all.sort_unstable();
        assert!(all.windows(2).all(|pair| pair[1] - pair[0] >= rounded));
        for object_at in all {
            region.free(object_at, object, align);
        }
        let left = region.statistics();
        assert_eq!((left.objects, left.used), (0, 0));
    }
    assert_eq!(region.statistics().refused, 6);
}

#[test]
fn large_alignment_and_absurd_sizes() {
    let region = Region::new(40 * SLAB);
    for align in [SLAB, 4 * SLAB, 16 * SLAB] {
        let one = region.alloc(10, align, 0).unwrap();
        region.free(one, 10, align);
    }
    assert_eq!(region.alloc(usize::MAX, 1, 0), None);
    assert_eq!(region.alloc(isize::MAX as usize, 8, 0), None);
    assert_eq!(region.statistics().used, 0);
}

#[test]
fn too_small_a_region_is_no_heap() {
    let layout = Layout::from_size_align(SLAB, SLAB).unwrap();
    // SAFETY: the layout has a size; a region that is no heap is not used.
    unsafe {
        let memory = alloc_zeroed(layout);
        assert!(Heap::create(memory, SLAB).is_none());
        dealloc(memory, layout);
    }
}

#[test]
fn a_slab_with_room_is_found_by_all() {
    let region = Region::new(3 * SLAB);
    // One hint takes all memory; another finds what is freed of it.
    let mut all: Vec<_> = std::iter::from_fn(|| region.alloc(MOST, 1, 1)).collect();
    let freed = all.swap_remove(all.len() / 2);
    region.free(freed, MOST, 1);
    assert_eq!(region.alloc(MOST, 1, 2), Some(freed));
    assert_eq!(region.alloc(MOST, 1, 3), None);
}

/// One step of a program: an allocation, or what becomes of an earlier one.
#[derive(Clone, Debug)]
enum Step {
    Alloc {
        size: usize,
        align: u32,
        spread: usize,
    },
    Free(usize),
    Realloc(usize, usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let size = prop_oneof![
        8 => 1usize..300,
        4 => 1usize..(2 * MOST),
        1 => 1usize..(5 * SLAB),
    ];
    let step = prop_oneof![
        5 => (size.clone(), 0u32..8, any::<usize>())
            .prop_map(|(size, align, spread)| Step::Alloc { size, align, spread }),
        4 => any::<usize>().prop_map(Step::Free),
        1 => (any::<usize>(), size).prop_map(|(which, size)| Step::Realloc(which, size)),
    ];
    prop::collection::vec(step, 1..400)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Objects that are alive never overlap, and keep their content through reallocation.
    #[test]
    fn objects_do_not_overlap(steps in steps()) {
        let region = Region::new(12 * SLAB);
        // By address: size, alignment, content.
        let mut alive = BTreeMap::<usize, (usize, usize, u8)>::new();
        let fill = |at: usize, size: usize, with: u8| {
            let object = core::ptr::with_exposed_provenance_mut::<u8>(at);
            // SAFETY: an object of that size.
            unsafe { object.write_bytes(with, size) };
        };
        let holds = |at: usize, size: usize, what: u8| {
            let object = core::ptr::with_exposed_provenance::<u8>(at);
            // SAFETY: an object of that size that was filled.
            let bytes = unsafe { core::slice::from_raw_parts(object, size) };
            bytes.iter().all(|byte| *byte == what)
        };
        for (number, step) in steps.into_iter().enumerate() {
            let content = number as u8;
            let pick = |which: usize, alive: &BTreeMap<usize, (usize, usize, u8)>| {
                let at = which % alive.len().max(1);
                alive.iter().nth(at).map(|(at, object)| (*at, *object))
            };
            match step {
                Step::Alloc { size, align, spread } => {
                    let align = 1 << align;
                    if let Some(at) = region.alloc(size, align, spread) {
                        let before = alive.range(..at + size).next_back();
                        prop_assert!(before.is_none_or(|(start, (len, ..))| start + len <= at));
                        fill(at, size, content);
                        alive.insert(at, (size, align, content));
                    }
                }
                Step::Free(which) => {
                    if let Some((at, (size, align, content))) = pick(which, &alive) {
                        prop_assert!(holds(at, size, content));
                        region.free(at, size, align);
                        alive.remove(&at);
                    }
                }
                Step::Realloc(which, new) => {
                    if let Some((at, (size, align, content))) = pick(which, &alive) {
                        let object = core::ptr::with_exposed_provenance_mut(at);
                        // SAFETY: an object that is alive.
                        let moved = unsafe { region.heap.realloc(object, size, align, new, number) };
                        if moved.is_null() {
                            prop_assert!(holds(at, size, content));
                            continue;
                        }
                        alive.remove(&at);
                        let at = moved.expose_provenance();
                        prop_assert!(holds(at, size.min(new), content));
                        let before = alive.range(..at + new).next_back();
                        prop_assert!(before.is_none_or(|(start, (len, ..))| start + len <= at));
                        fill(at, new, content);
                        alive.insert(at, (new, align, content));
                    }
                }
            }
        }
        prop_assert_eq!(region.statistics().objects, alive.len());
        for (at, (size, align, content)) in alive {
            prop_assert!(holds(at, size, content));
            region.free(at, size, align);
        }
        prop_assert_eq!(region.statistics().objects, 0);
        // All of it can be had in one piece again.
        let all = region.statistics().size;
        prop_assert!(region.alloc(all, 1, 0).is_some());
    }
}

/// Threads that allocate, write a mark of their own, look at it later, and free.
fn hammer(region: &Region, threads: usize, rounds: usize, sizes: &[usize]) -> u64 {
    let refused = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let refused = &refused;
            scope.spawn(move || {
                let mut random = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(thread as u64 + 1);
                let mut mine = Vec::<(usize, usize, u64)>::new();
                for round in 0..rounds {
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    let check = |(at, size, mark): (usize, usize, u64)| {
                        for end in [at, at + size - 8] {
                            let word = core::ptr::with_exposed_provenance::<u64>(end);
                            // SAFETY: both ends of an object of this thread.
                            assert_eq!(unsafe { word.read_unaligned() }, mark);
                        }
                        region.free(at, size, 8);
                    };
                    if mine.len() > 40 || random % 5 < 2 {
                        if !mine.is_empty() {
                            check(mine.swap_remove(random as usize / 8 % mine.len()));
                        }
                        continue;
                    }
                    let size = sizes[random as usize / 64 % sizes.len()];
                    let spread = if round % 3 == 0 { 0 } else { thread };
                    match region.alloc(size, 8, spread) {
                        Some(at) => {
                            let mark = random ^ at as u64;
                            for end in [at, at + size - 8] {
                                let word = core::ptr::with_exposed_provenance_mut::<u64>(end);
                                // SAFETY: as above.
                                unsafe { word.write_unaligned(mark) };
                            }
                            mine.push((at, size, mark));
                        }
                        None => {
                            refused.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
                for (at, size, _) in mine {
                    region.free(at, size, 8);
                }
            });
        }
    });
    assert_eq!(region.statistics().objects, 0);
    refused.into_inner()
}

#[test]
fn threads_never_share_an_object() {
    let rounds = 30_000;
    let sizes = [8, 24, 100, 500, 2000, 9000, 20_000];
    assert_eq!(hammer(&Region::new(400 * SLAB), 8, rounds, &sizes), 0);
    // With less memory than they want: refused, but never given twice.
    assert!(hammer(&Region::new(10 * SLAB), 8, rounds, &sizes) > 0);
    hammer(
        &Region::new(30 * SLAB),
        8,
        rounds,
        &[16, 3000, SLAB, 3 * SLAB],
    );
    hammer(&Region::new(3 * SLAB), 4, rounds, &[MOST, MOST / 2]);
}

#[test]
fn large_heaps_have_long_runs() {
    // Memory that is not touched takes none.
    let region = Region::new(1 << 30);
    // SAFETY: the heap is valid.
    let longest = unsafe { region.heap.header() }.longest;
    assert_eq!(longest, 3);
    let mut all = Vec::new();
    for class in 0..CLASSES {
        let size = size_of_class(class);
        let run = (SLAB << longest) / size;
        for index in 0..2 * run.min(2000) + 3 {
            let object = region.alloc(size, size, index % 3).unwrap();
            all.push((object, size));
        }
    }
    all.sort_unstable();
    assert!(
        all.windows(2)
            .all(|pair| pair[0].0 + pair[0].1 <= pair[1].0)
    );
    let bytes: usize = all.iter().map(|(_, size)| size).sum();
    let statistics = region.statistics();
    assert_eq!((statistics.objects, statistics.used), (all.len(), bytes));
    for (object, size) in all {
        region.free(object, size, size);
    }
    assert_eq!(region.statistics().objects, 0);
    // All of it is free again, if it is asked for.
    let most = region.statistics().size;
    let object = region.alloc(most, 1, 0).unwrap();
    assert_eq!(region.statistics().reserved, most);
    region.free(object, most, 1);
    assert_eq!(region.statistics().reserved, 0);
}
