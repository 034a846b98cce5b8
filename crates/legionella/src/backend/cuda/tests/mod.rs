//! Launches, transfers and graphs on a driver without a device.

use std::ffi::c_int;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake};
use std::thread::Thread;
use std::time::{Duration, Instant};

use legionella_device::Disjoint;

use super::calls::{Functions, Sizes};
use super::lanes::Marks;
use super::module::Given;
use super::panics::Panics;
use super::{Cuda, Program, machine};
use crate::accelerator::Accelerator;
use crate::backend;
use crate::buffer::{Buffer, SliceMut};
use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::grid::Grid;
use crate::launch::form::Span;
use crate::launch::{After, Binder, Pass, launch_program};
use crate::schedule::completion::Completion;
use crate::schedule::slot::Lane;

mod fake;

use fake::{Fake, Run};

/// A fake device of the test's own.
struct Bench {
    cuda: Arc<Cuda>,
    accelerator: Accelerator,
    fake: &'static Fake,
}

type Kernel = &'static backend::Program;

/// The argument block of all kernels here: what they write.
type Block = Option<Span<u32>>;

impl Bench {
    fn new() -> Bench {
        static NUMBERS: AtomicI32 = AtomicI32::new(0);
        Bench::with(NUMBERS.fetch_add(1, Ordering::SeqCst), |_| {})
    }

    fn with(number: c_int, prepare: impl FnOnce(&Fake)) -> Bench {
        static API: OnceLock<&super::Api> = OnceLock::new();
        let fake = fake::device(number);
        prepare(fake);
        let cuda = Arc::new(Cuda {
            api: API.get_or_init(fake::api),
            name: format!("fake:{number}"),
            number,
            model: "fake".into(),
            capability: 90,
            multiprocessors: 1,
            memory: 1 << 30,
            machine: machine(90, 0),
            opened: Arc::default(),
            printer: OnceLock::new(),
            heap: OnceLock::new(),
        });
        Bench {
            accelerator: Accelerator::new(Arc::clone(&cuda) as Arc<dyn backend::Backend>),
            cuda,
            fake,
        }
    }

    fn kernel(&self, settled: bool, body: impl Fn(&Run) + Send + Sync + 'static) -> Kernel {
        self.kernel_that(settled, false, body)
    }

    /// A kernel whose panics are settled or not, and which waits for the host or not.
    fn kernel_that(
        &self,
        settled: bool,
        waits: bool,
        body: impl Fn(&Run) + Send + Sync + 'static,
    ) -> Kernel {
        let none = Given {
            port: 0,
            heap: 0,
            host_atomics: 0,
        };
        let functions = Functions {
            any: fake::function(size_of::<Block>(), body),
            line: None,
            plane: None,
            wide: None,
            wide_plane: None,
            width: 0,
            addresses: 0,
            block: None,
            shared: None,
            settled,
            waits,
            sizes: Sizes {
                any: 256,
                line: 256,
                plane: 256,
                wide: 256,
                wide_plane: 256,
            },
            panics: Panics::new(None, none),
        };
        let code = Program {
            functions: Box::leak(Box::new(functions)),
            most_items: 1024,
            most_shared: 0,
            launches: Arc::clone(&self.cuda.opened().unwrap().launches),
            printer: None,
            _heap: None,
        };
        let program = backend::Program::new("test".into(), Box::new(code));
        Box::leak(Box::new(program))
    }

    /// A kernel that does this to the first word that it writes.
    fn changing(&self, change: impl Fn(u32) -> u32 + Send + Sync + 'static) -> Kernel {
        self.kernel(true, move |run| {
            let word = first(run);
            // SAFETY: nothing else writes it meanwhile, which is what is tested.
            unsafe { word.write_volatile(change(word.read_volatile())) };
        })
    }

    fn launch(&self, kernel: Kernel, to: Option<SliceMut<'_, u32>>) -> Completion {
        let block = |binder: &mut Binder<'_>| bind(to, binder);
        let grid = Grid::over(1);
        // SAFETY: kernels take such blocks.
        unsafe { launch_program(&self.accelerator, kernel, grid, block, After::default()) }.unwrap()
    }

    fn buffer(&self) -> Buffer<u32> {
        self.accelerator.filled(4, 0).unwrap()
    }

    /// A graph of kernels that each write the buffer.
    fn graph(&self, kernels: &[Kernel], buffer: &Buffer<u32>) -> Graph {
        let record = |recorder: &mut crate::graph::Recorder<'_>| {
            for kernel in kernels {
                let to = Some(buffer.lent());
                recorder.launch_program(kernel, Grid::over(1), |binder| bind(to, binder))?;
            }
            Ok(())
        };
        self.accelerator.record(record).unwrap()
    }
}

fn bind(to: Option<SliceMut<'_, u32>>, binder: &mut Binder<'_>) -> Result<Block> {
    to.map(|to| <_ as Pass<Disjoint<u32>>>::bind(to, binder))
        .transpose()
}

/// The first word that a kernel writes.
fn first(run: &Run) -> *mut u32 {
    // SAFETY: the block that all kernels here have.
    let block = unsafe { run.block.as_ptr().cast::<Block>().read_unaligned() };
    block.unwrap().start.as_ptr()
}

fn eventually(what: &str, condition: impl Fn() -> bool) {
    let since = Instant::now();
    while !condition() {
        assert!(since.elapsed() < Duration::from_secs(20), "never: {what}");
        std::thread::yield_now();
    }
}

/// Something that happens once.
#[derive(Clone, Default)]
struct Gate(Arc<AtomicBool>);

impl Gate {
    fn open(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    fn wait(&self) {
        eventually("a gate opens", || self.0.load(Ordering::SeqCst));
    }
}

#[test]
fn many_launches_in_a_row_have_few_marks_and_no_events() {
    let bench = Bench::new();
    let (kernel, buffer) = (bench.changing(|x| x + 1), bench.buffer());
    for _ in 0..2000 {
        bench.launch(kernel, Some(buffer.lent()));
    }
    assert_eq!(buffer.to_vec().unwrap()[0], 2000);
    assert_eq!(bench.fake.launches.load(Ordering::SeqCst), 2000);
    assert_eq!(bench.fake.events.load(Ordering::SeqCst), 0);
    // One behind the first, each batch, and where the stream was idle or quiet.
    let gate = Gate::default();
    let wait = gate.clone();
    let waiting = bench.kernel(true, move |_| wait.wait());
    let before = bench.fake.marks.load(Ordering::SeqCst);
    bench.launch(waiting, Some(buffer.lent()));
    for _ in 0..320 {
        bench.launch(kernel, Some(buffer.lent()));
    }
    gate.open();
    assert_eq!(buffer.to_vec().unwrap()[0], 2320);
    let marks = bench.fake.marks.load(Ordering::SeqCst) - before;
    assert!((1..100).contains(&marks), "{marks} marks");
}

#[test]
fn what_comes_before_a_launch_that_waits_for_the_host_is_seen_to_end() {
    let bench = Bench::new();
    let buffer = bench.buffer();
    let add = bench.changing(|x| x + 1);
    // Often, as the watching thread may mark what comes before while the next is on its way.
    for _ in 0..300 {
        let (begin, end) = (Gate::default(), Gate::default());
        let (first, last) = (begin.clone(), end.clone());
        // The stream is busy, so that what follows isn't marked by itself.
        let busy = bench.kernel(true, move |_| first.wait());
        let waits = bench.kernel_that(true, true, move |_| last.wait());
        bench.launch(busy, Some(buffer.lent()));
        let before = bench.launch(add, Some(buffer.lent()));
        let behind = bench.launch(waits, Some(buffer.lent()));
        begin.open();
        eventually("what came before ends", || before.is_done());
        assert!(!behind.is_done());
        end.open();
        behind.wait().unwrap();
    }
}

#[test]
fn a_launch_that_has_ended_is_over_though_a_long_one_follows() {
    let bench = Bench::new();
    let buffer = bench.buffer();
    let add = bench.changing(|x| x + 1);
    // Often, as the first may have ended just before the second is given to the stream.
    for _ in 0..300 {
        let gate = Gate::default();
        let held = gate.clone();
        let long = bench.kernel(true, move |_| held.wait());
        let first = bench.launch(add, Some(buffer.lent()));
        let second = bench.launch(long, Some(buffer.lent()));
        eventually("the first ends", || first.is_done());
        assert!(!second.is_done());
        gate.open();
        second.wait().unwrap();
    }
}

#[test]
fn launches_that_the_device_does_faster_than_they_come_have_few_marks() {
    let bench = Bench::new();
    let lanes = &bench.cuda.opened().unwrap().launches.lanes;
    // Nothing else is given to this one, which nobody watches.
    let lane = Lane(5);
    let marks = || bench.fake.marks.load(Ordering::SeqCst);
    let start = marks();
    let give = || {
        let given = bench
            .cuda
            .opened()
            .unwrap()
            .device
            .with_context(|_| lanes.give(lane, Marks::default(), |_, _| Ok(())));
        given.unwrap().0
    };
    let first = give();
    eventually("the first is done", || {
        lanes.reached(lane, 0) == first.number
    });
    assert_eq!(marks() - start, 1);
    for _ in 0..20 {
        give();
    }
    assert_eq!(marks() - start, 1);
    lanes.mark_last(lane).unwrap();
    eventually("all are done", || lanes.reached(lane, 0) == 21);
    // Somebody waited: the next is for itself again.
    give();
    assert_eq!(marks() - start, 3);
}

#[test]
fn who_awaits_a_launch_hears_of_its_end() {
    let bench = Bench::new();
    let (buffer, other) = (bench.buffer(), bench.buffer());
    let kernels = [true, false].map(|settled| bench.kernel(settled, |_| {}));
    for turn in 0..200 {
        // In the middle of a row, alone, and behind what is not settled.
        let last = bench.launch(kernels[turn % 2], Some(buffer.lent()));
        let next = bench.launch(kernels[0], Some(buffer.lent()));
        let alone = bench.launch(kernels[0], Some(other.lent()));
        for launch in [next, last, alone] {
            awaited(launch).unwrap();
        }
    }
}

/// Runs a future on this thread.
fn awaited<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    let since = Instant::now();
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        std::thread::park_timeout(Duration::from_secs(20));
        assert!(since.elapsed() < Duration::from_secs(20), "nobody woke it");
    }
}

#[test]
fn a_device_that_writes_no_words_fills_memory_instead() {
    let bench = Bench::with(-1, |fake| fake.wordless.store(true, Ordering::SeqCst));
    let (kernel, buffer) = (bench.changing(|x| x + 1), bench.buffer());
    for _ in 0..100 {
        bench.launch(kernel, Some(buffer.lent()));
    }
    bench.launch(kernel, Some(buffer.lent())).wait().unwrap();
    assert_eq!(buffer.to_vec().unwrap()[0], 101);
    assert_eq!(bench.fake.marks.load(Ordering::SeqCst), 0);
}

#[test]
fn launches_that_are_not_ordered_overlap_and_others_wait_across_streams() {
    let bench = Bench::new();
    let (one, other) = (bench.buffer(), bench.buffer());
    let (first_gate, second_gate) = (Gate::default(), Gate::default());
    // Neither ends before what follows them has been given to the device.
    let end = Gate::default();
    let (open, wait, last) = (first_gate.clone(), second_gate.clone(), end.clone());
    let meets = bench.kernel(true, move |_| {
        open.open();
        wait.wait();
        last.wait();
    });
    let (open, wait, last) = (second_gate, first_gate, end.clone());
    let also_meets = bench.kernel(true, move |_| {
        wait.wait();
        open.open();
        last.wait();
    });
    let add = bench.changing(|x| x + 1);
    bench.launch(meets, Some(one.lent()));
    bench.launch(also_meets, Some(other.lent()));
    // Behind both, which are in two streams.
    let graph = bench.accelerator.record(|recorder| {
        for buffer in [&one, &other] {
            let to = Some(buffer.lent());
            recorder.launch_program(add, Grid::over(1), |binder| bind(to, binder))?;
        }
        Ok(())
    });
    let replay = graph.unwrap().replay().unwrap();
    end.open();
    replay.wait().unwrap();
    assert!(bench.fake.events.load(Ordering::SeqCst) > 0);
    assert_eq!(one.to_vec().unwrap()[0], 1);
    assert_eq!(other.to_vec().unwrap()[0], 1);
}

#[test]
fn a_panic_is_told_and_its_state_is_used_again() {
    let bench = Bench::new();
    let panics = bench.kernel(true, |run| run.panic(3, "no more"));
    let fine = bench.kernel(true, |_| {});
    for _ in 0..100 {
        let error = bench.launch(panics, None).wait().unwrap_err();
        assert!(matches!(
            error,
            Error::KernelPanicked { message, item: [3, 0, 0], .. } if message == "no more"
        ));
        bench.launch(fine, None).wait().unwrap();
    }
}

#[test]
fn a_device_that_is_lost_fails_everything_in_flight() {
    let bench = Bench::new();
    let buffer = bench.buffer();
    let gate = Gate::default();
    let wait = gate.clone();
    let crash = bench.kernel(true, move |run| {
        wait.wait();
        run.crash();
    });
    let add = bench.changing(|x| x + 1);
    let graph = bench.graph(&[add, add], &buffer);
    let first = bench.launch(crash, Some(buffer.lent()));
    let rest: Vec<_> = (0..100)
        .map(|_| bench.launch(add, Some(buffer.lent())))
        .chain((0..20).map(|_| graph.replay().unwrap()))
        .collect();
    gate.open();
    for launch in std::iter::once(&first).chain(&rest) {
        assert!(matches!(launch.wait(), Err(Error::DeviceLost { .. })));
    }
    drop(graph);
    let after = bench.launch(add, Some(buffer.lent()));
    assert!(matches!(after.wait(), Err(Error::DeviceLost { .. })));
}

#[test]
fn items_that_wait_for_the_host_end_when_they_are_cancelled() {
    let bench = Bench::new();
    let waits = bench.kernel(true, |run| while run.waits() {});
    let buffer = bench.buffer();
    let launch = bench.launch(waits, Some(buffer.lent()));
    let graph = bench.graph(&[waits], &buffer);
    let replay = graph.replay().unwrap();
    std::thread::sleep(Duration::from_millis(5));
    assert!(!launch.is_done());
    launch.cancel();
    assert!(matches!(launch.wait(), Err(Error::Cancelled { .. })));
    assert!(!replay.is_done());
    replay.cancel();
    assert!(matches!(replay.wait(), Err(Error::Cancelled { .. })));
}

#[test]
fn a_graph_runs_in_order_and_has_few_instances() {
    let bench = Bench::new();
    let buffer = bench.buffer();
    let (double, add) = (
        bench.changing(|x| x.wrapping_mul(2)),
        bench.changing(|x| x + 1),
    );
    let graph = bench.graph(&[add, double, add], &buffer);
    let mut expected = 0u32;
    for _ in 0..200 {
        graph.replay().unwrap();
        expected = (expected + 1).wrapping_mul(2).wrapping_add(1);
    }
    assert_eq!(buffer.to_vec().unwrap()[0], expected);
    let instances = bench.fake.instances.load(Ordering::SeqCst);
    assert!((1..=8).contains(&instances), "{instances} instances");
    drop(graph);
    eventually("all instances are destroyed", || {
        bench.fake.destroyed.load(Ordering::SeqCst) == instances
    });
}

#[test]
fn replays_that_wait_for_an_instance_are_cancelled_or_run() {
    let bench = Bench::new();
    let ran = Arc::new(AtomicUsize::new(0));
    let (gate, count) = (Gate::default(), Arc::clone(&ran));
    let wait = gate.clone();
    let kernel = bench.kernel(true, move |_| {
        wait.wait();
        count.fetch_add(1, Ordering::SeqCst);
    });
    // Nothing orders them.
    let graph = bench.accelerator.record(|recorder| {
        recorder.launch_program(kernel, Grid::over(1), |binder| bind(None, binder))
    });
    let graph = graph.unwrap();
    let replays: Vec<_> = (0..30).map(|_| graph.replay().unwrap()).collect();
    for replay in &replays[20..29] {
        replay.cancel();
    }
    gate.open();
    for (index, replay) in replays.iter().enumerate() {
        match replay.wait() {
            Ok(()) => assert!(!(20..29).contains(&index)),
            Err(Error::Cancelled { .. }) => assert!((20..29).contains(&index)),
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(ran.load(Ordering::SeqCst), 21);
}

#[test]
fn each_replay_tells_its_own_panic() {
    let bench = Bench::new();
    let buffer = bench.buffer();
    let add = bench.changing(|x| x + 1);
    let odd = bench.kernel(true, |run| {
        // SAFETY: nothing writes it meanwhile.
        let value = unsafe { first(run).read_volatile() };
        if value % 2 == 1 {
            run.panic(value, "odd");
        }
    });
    let graph = bench.graph(&[add, odd], &buffer);
    let replays: Vec<_> = (0..40).map(|_| graph.replay().unwrap()).collect();
    for (index, replay) in replays.iter().enumerate() {
        match (index % 2, replay.wait()) {
            (0, Err(Error::KernelPanicked { item, .. })) => assert_eq!(item[0], index + 1),
            (1, Ok(())) => {}
            (_, other) => panic!("replay {index}: {other:?}"),
        }
    }
}

#[test]
fn kernels_that_are_not_settled_are_replayed_one_by_one() {
    let bench = Bench::new();
    let buffer = bench.buffer();
    let add = bench.kernel(false, |run| {
        let word = first(run);
        // SAFETY: nothing else writes it meanwhile.
        unsafe { word.write_volatile(word.read_volatile() + 1) };
    });
    let graph = bench.graph(&[add, add], &buffer);
    for _ in 0..10 {
        graph.replay().unwrap();
    }
    assert_eq!(buffer.to_vec().unwrap()[0], 20);
    assert_eq!(bench.fake.instances.load(Ordering::SeqCst), 0);
}

#[test]
fn transfers_are_in_the_order_of_launches() {
    let bench = Bench::new();
    let (buffer, mut copy) = (bench.buffer(), bench.buffer());
    let mut wide = bench.accelerator.filled(5000, [0u32; 3]).unwrap();
    let add = bench.changing(|x| x + 1);
    for recorded in [false, true] {
        let gate = Gate::default();
        let wait = gate.clone();
        let waits = bench.kernel(true, move |_| wait.wait());
        bench.launch(waits, Some(buffer.lent()));
        if recorded {
            let graph = bench.accelerator.record(|recorder| {
                recorder.fill(buffer.lent(), 7)?;
                let to = Some(buffer.lent());
                recorder.launch_program(add, Grid::over(1), |binder| bind(to, binder))?;
                recorder.copy(&buffer, &mut copy)?;
                recorder.fill(&mut wide, [1, 2, 3])
            });
            graph.unwrap().replay().unwrap();
        } else {
            bench.accelerator.fill(buffer.lent(), 7).unwrap();
            bench.launch(add, Some(buffer.lent()));
            bench.accelerator.copy(&buffer, &mut copy).unwrap();
            bench.accelerator.fill(&mut wide, [1, 2, 3]).unwrap();
        }
        gate.open();
        assert_eq!(copy.to_vec().unwrap(), [8, 7, 7, 7]);
        assert_eq!(wide.to_vec().unwrap(), vec![[1, 2, 3]; 5000]);
        copy.fill(0).unwrap();
        wide.fill([0; 3]).unwrap();
    }
}

#[test]
fn grids_beyond_the_largest_are_launched_in_parts_alone_and_in_graphs() {
    let bench = Bench::new();
    let groups = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&groups);
    let kernel = bench.kernel(true, move |run| {
        assert_eq!(run.launch.grid, [1, 100_000, 1]);
        assert!(run.launch.first_group[1] == 0 || run.groups[1] == 100_000 - 65535);
        count.fetch_add(run.groups[1] as usize, Ordering::SeqCst);
    });
    let grid = Grid::over([1, 100_000]).group([1, 1]);
    let block = |binder: &mut Binder<'_>| bind(None, binder);
    // SAFETY: kernels take such blocks.
    let launch =
        unsafe { launch_program(&bench.accelerator, kernel, grid, block, After::default()) };
    launch.unwrap().wait().unwrap();
    assert_eq!(groups.load(Ordering::SeqCst), 100_000);
    let graph = bench
        .accelerator
        .record(|recorder| recorder.launch_program(kernel, grid, |binder| bind(None, binder)));
    graph.unwrap().replay().unwrap().wait().unwrap();
    assert_eq!(groups.load(Ordering::SeqCst), 200_000);
}

#[test]
fn devices_copy_from_those_that_they_reach() {
    let from = Bench::new();
    let buffer = from.accelerator.upload(&[1u32, 2, 3]).unwrap();
    for (number, reaches) in [(1000, true), (1001, false)] {
        let to = Bench::with(number, |fake| fake.reaches.store(reaches, Ordering::SeqCst));
        let mut copy = to.accelerator.upload(&[0u32; 3]).unwrap();
        for _ in 0..2 {
            copy.fill(7).unwrap();
            copy.copy_from(&buffer).unwrap();
            assert_eq!(copy.to_vec().unwrap(), [1, 2, 3]);
        }
        let count = |counted: &AtomicUsize| counted.load(Ordering::SeqCst);
        // It is allowed once.
        let expected = if reaches { (1, 2) } else { (0, 0) };
        assert_eq!(
            (count(&to.fake.allowed), count(&to.fake.peer_copies)),
            expected
        );
    }
}
