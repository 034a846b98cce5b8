//! A warm launch allocates nothing.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use super::*;

struct Counting;

thread_local!(static ALLOCATIONS: Cell<usize> = const { Cell::new(0) });

// SAFETY: the system's allocator, and a number.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // A thread that ends has no number any more.
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: passed on.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn a_warm_launch_allocates_nothing() {
    let bench = Bench::new(2);
    let (x, mut y) = (bench.buffer(4), bench.buffer(4));
    let body: &'static Body = Box::leak(Box::new(|_: &Group| ()));
    let mut launch = || {
        let memory = (&x, &mut y);
        let block = |binder: &mut Binder<'_>| {
            Ok(Block {
                body,
                memory: [
                    Some(<_ as Pass<&[u32]>>::bind(memory.0, binder)?),
                    Some(<_ as Pass<Disjoint<u32>>>::bind(memory.1, binder)?),
                ],
            })
        };
        let grid = Grid::over(4).group(1);
        let after = After::default();
        // SAFETY: `run` takes such blocks.
        let launch =
            unsafe { launch_program(&bench.accelerator, bench.program, grid, block, after) };
        launch.unwrap().wait().unwrap();
    };
    for _ in 0..100 {
        launch();
    }
    let before = ALLOCATIONS.get();
    for _ in 0..100 {
        launch();
    }
    // Other tests may take slots that this one has warmed up, and leave it new ones.
    let allocated = ALLOCATIONS.get() - before;
    assert!(allocated < 100, "{allocated} allocations in 100 launches");
}
