//! The device's own heap: owners and containers, exhaustion, statistics.

use std::alloc::Layout;
use std::collections::BTreeMap;
use std::rc::Rc;

use legionella::prelude::*;
use legionella::{Error, HeapStatistics};

use crate::suite::Suite;
use crate::trial::{Failure, Trial, Verdict};
use crate::values::arrays;

/// Bytes of the heaps of most cases.
const SIZE: usize = 64 << 20;

/// A value whose alignment no header would give.
#[repr(align(512))]
struct Aligned([u8; 700]);

/// A tree of boxes, a map of texts, and shared owners, of some numbers.
fn containers(x: [u32; 24]) -> (u64, u32, u32) {
    enum Tree {
        Leaf,
        Node(Box<(Tree, u32, Tree)>),
    }
    impl Tree {
        fn with(self, key: u32) -> Tree {
            match self {
                Tree::Leaf => Tree::Node(Box::new((Tree::Leaf, key, Tree::Leaf))),
                Tree::Node(node) => {
                    let (left, here, right) = *node;
                    Tree::Node(Box::new(match key < here {
                        true => (left.with(key), here, right),
                        false => (left, here, right.with(key)),
                    }))
                }
            }
        }
        fn depth(&self) -> u32 {
            match self {
                Tree::Leaf => 0,
                Tree::Node(node) => 1 + node.0.depth().max(node.2.depth()),
            }
        }
    }
    let tree = x.iter().fold(Tree::Leaf, |tree, key| tree.with(*key));
    let mut map = BTreeMap::<String, Vec<u32>>::new();
    for (index, value) in x.iter().enumerate() {
        map.entry(format!("{:03}", value % 7))
            .or_default()
            .push(index as u32);
    }
    let shared: Vec<Rc<[u32]>> = (1..5).map(|n| x[..n].into()).collect();
    let again: Vec<_> = shared.iter().cycle().take(13).cloned().collect();
    let counts = again
        .iter()
        .map(|owner| Rc::strong_count(owner) as u32)
        .sum();
    let text: String = map
        .iter()
        .map(|(key, values)| format!("{key}:{values:?};"))
        .collect();
    let hash = text
        .bytes()
        .fold(5u64, |hash, byte| hash.wrapping_mul(31) ^ u64::from(byte));
    (hash, tree.depth(), counts)
}

/// A vector that grows from nothing to several slabs, and shrinks.
fn growth(x: [u32; 2]) -> [u32; 3] {
    let mut all = Vec::new();
    for index in 0..20_000 {
        all.push(x[0].rotate_left(index) ^ x[1]);
    }
    all.retain(|value| value % 64 < 5);
    all.shrink_to_fit();
    let zeros = vec![0u8; 40_000 + x[0] as usize % 50_000];
    let sum = zeros.iter().map(|byte| u32::from(*byte)).sum();
    [all.len() as u32, all.last().copied().unwrap_or(1), sum]
}

fn alignment(x: u32) -> [bool; 3] {
    let aligned: Vec<Box<Aligned>> = (0..5).map(|n| Box::new(Aligned([n; 700]))).collect();
    let misplaced = aligned.iter().any(|value| {
        let address = (&raw const **value).addr();
        address % 512 != 0
    });
    let content = aligned
        .iter()
        .all(|value| value.0.iter().all(|byte| *byte == value.0[0]));
    let layout = Layout::from_size_align(1 + x as usize % 100, 1 << (x % 15));
    let odd = layout.is_ok_and(|layout| {
        // SAFETY: the layout has a size; what is allocated is freed.
        unsafe {
            let memory = std::alloc::alloc(layout);
            let fits = !memory.is_null() && memory.addr() % layout.align() == 0;
            std::alloc::dealloc(memory, layout);
            fits
        }
    });
    [misplaced, content, odd]
}

/// Objects that live while others of the item come and go.
fn churn(seed: u32) -> u64 {
    let mut random = seed | 1;
    let mut alive: Vec<Vec<u8>> = Vec::new();
    let mut sum = 0;
    for round in 0..300u32 {
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        if random % 3 == 0 && !alive.is_empty() {
            let old = alive.swap_remove(random as usize / 4 % alive.len());
            sum += old.iter().map(|byte| u64::from(*byte)).sum::<u64>() * u64::from(round);
        } else {
            let len = 1 << (random >> 8 & 11);
            alive.push(vec![round as u8; len + random as usize % 10]);
        }
    }
    sum + alive.len() as u64
}

fn ask_for(at: Item, bytes: usize, mut got: Disjoint<usize>) {
    let vector = Vec::<u8>::with_capacity(bytes);
    if let Some(got) = got.at(&at) {
        *got = std::hint::black_box(&vector).capacity();
    }
}

fn try_for(at: Item, bytes: usize, mut got: Disjoint<u32>) {
    let mut vector = Vec::<u8>::new();
    let refused = vector.try_reserve_exact(bytes).is_err();
    if let Some(got) = got.at(&at) {
        *got = refused.into();
    }
}

/// Leaves something behind.
fn leak(at: Item, len: usize, mut first: Disjoint<u64>) {
    let leaked = Box::leak(vec![at.global() as u64; len].into_boxed_slice());
    if let Some(first) = first.at(&at) {
        *first = leaked[0];
    }
}

impl Trial<'_> {
    /// The accelerator with a heap of its own.
    fn with_heap(&self, bytes: usize) -> Result<Accelerator, Failure> {
        Ok(self.accelerator.with_heap(bytes)?)
    }

    /// Does something on the accelerator with a heap of its own, of which nothing may be left
    /// allocated; gives what it holds.
    fn in_heap(
        &self,
        bytes: usize,
        case: impl FnOnce(&mut Trial<'_>) -> Verdict,
    ) -> Result<HeapStatistics, Failure> {
        let accelerator = self.with_heap(bytes)?;
        case(&mut Trial::on(&accelerator))?;
        let heap = statistics(&accelerator)?;
        match (heap.objects, heap.used, heap.refused) {
            (0, 0, 0) if heap.most_reserved > 0 => Ok(heap),
            _ => Err(Failure::unexpected(
                "a heap that was used and is empty",
                format!("{heap:?}"),
            )),
        }
    }
}

fn statistics(accelerator: &Accelerator) -> Result<HeapStatistics, Failure> {
    let heap = accelerator.heap()?;
    heap.ok_or_else(|| Failure::unexpected("a heap of its own", "none"))
}

/// Adds the cases.
pub fn add(suite: &mut Suite) {
    suite.case("heap/containers", |t| {
        t.in_heap(SIZE, |t| t.map(containers, &arrays::<u32, 24>(800)))
            .map(drop)
    });
    suite.case("heap/growth", |t| {
        t.in_heap(SIZE, |t| t.map(growth, &arrays::<u32, 2>(60)))
            .map(drop)
    });
    suite.case("heap/alignment", |t| {
        let x: Vec<u32> = (0..500).collect();
        t.in_heap(SIZE, |t| t.map(alignment, &x)).map(drop)
    });
    suite.case("heap/churn", |t| {
        // All items may run at once, and have some 100 KB each.
        let x: Vec<u32> = (0..2000).map(|i| i * 7919).collect();
        t.in_heap(8 * SIZE, |t| t.map(churn, &x)).map(drop)
    });
    suite.case("heap/is_used_again", |t| {
        // Together far more than there is.
        let inputs = arrays::<u32, 2>(40);
        let heap = t.in_heap(SIZE / 2, |t| {
            (0..40).try_for_each(|_| t.map(growth, &inputs))
        })?;
        match heap.most_reserved <= heap.size {
            true => Ok(()),
            false => Err(Failure::unexpected(
                "no more than there is",
                format!("{heap:?}"),
            )),
        }
    });
    suite.case("heap/exhaustion", |t| {
        let accelerator = t.with_heap(1 << 20)?;
        let mut got = accelerator.zeroed(10)?;
        accelerator.launch(ask_for, 10, (1000, &mut got))?.wait()?;
        let ended = accelerator.launch(ask_for, 10, (2 << 20, &mut got))?.wait();
        match ended {
            Err(Error::KernelPanicked { message, .. })
                if message == "memory allocation of 2097152 bytes failed" => {}
            other => return Err(Failure::unexpected("a panic", format!("{other:?}"))),
        }
        let heap = statistics(&accelerator)?;
        if heap.refused == 0 {
            return Err(Failure::unexpected(
                "requests that were refused",
                format!("{heap:?}"),
            ));
        }
        // The heap is as good as before.
        accelerator
            .launch(ask_for, 10, (20_000, &mut got))?
            .wait()?;
        Ok(())
    });
    suite.case("heap/refusal", |t| {
        let accelerator = t.with_heap(1 << 20)?;
        let mut got = accelerator.zeroed(5)?;
        for (bytes, refused) in [(100_000, 0), (3 << 20, 1), (usize::MAX / 2, 1)] {
            accelerator.launch(try_for, 5, (bytes, &mut got))?.wait()?;
            t.same("got", vec![refused; 5], got.to_vec()?)?;
        }
        Ok(())
    });
    suite.case("heap/statistics", |t| {
        let accelerator = t.with_heap(SIZE)?;
        let mut first = accelerator.zeroed(100)?;
        accelerator.launch(leak, 100, (40, &mut first))?.wait()?;
        accelerator.launch(leak, 3, (20_000, &mut first))?.wait()?;
        let heap = statistics(&accelerator)?;
        let used = 100 * 512 + 3 * (3 << 16);
        let as_expected = heap.objects == 103
            && heap.used == used
            && (heap.used..=heap.most_reserved).contains(&heap.reserved)
            && heap.size <= SIZE;
        match as_expected {
            true => Ok(()),
            false => Err(Failure::unexpected(
                format!("{used} bytes in 103 objects"),
                format!("{heap:?}"),
            )),
        }
    });
}
