//! Which thread runs which work-groups of which launch.
//!
//! Takes launches whose turn has come, runs their groups on threads of its own, and finishes them.
//! Launches lie in a queue with as many *seats* as threads can be of use to them. A thread takes a
//! seat, runs chunks of groups that it claims from the launch's counter until there are none, and
//! leaves; the last to leave finishes the launch. Several launches so run at once, and a thread
//! that finishes a chunk while a launch has nobody goes there first, so that a long launch keeps
//! no other from starting.
//!
//! A thread without work looks at the queue for a while before it goes to sleep, because waking
//! one takes longer than a small launch. One core is left to whoever launches: if all threads
//! looked, they would keep it from doing so.

use std::collections::VecDeque;
use std::fmt;
use std::hint::spin_loop;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicIsize, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use legionella_abi::cpu::{Launch, Run};
use legionella_device::heap::layout::Heap;

use super::call::{self, ItemPanic, Left, Surroundings};
use crate::error::{Error, Result};
use crate::schedule::slot::Running;

/// How long a thread without work stays awake.
const PATIENCE: Duration = Duration::from_micros(50);

/// How long a chunk should take: long against claiming it, short for a launch that waits for a
/// thread or for its cancellation.
const CHUNK: Range<Duration> = Duration::from_micros(100)..Duration::from_micros(400);

/// Bytes of one array that the caches keep of what a thread writes: a core's own and its share of the
/// last one, generously. Reading back what was stored past them is slower up to 2 MiB a thread and
/// faster from 16 on, measured on a processor with 2 MiB a core and a large last cache.
const KEPT: u64 = 16 << 20;

/// The threads, and the launches that they run.
pub(super) struct Pool {
    name: &'static str,
    threads: usize,
    hints: Hints,
    queue: Mutex<Queue>,
    work: Condvar,
}

/// What threads look at without locking, in a cache line that nothing else disturbs.
#[repr(align(128))]
struct Hints {
    /// Seats in the queue. Lags behind the queue, thus may be negative for a moment.
    open: AtomicIsize,
    /// Launches in the queue that no thread runs.
    lonely: AtomicUsize,
}

struct Queue {
    started: bool,
    /// Launches with seats.
    entries: VecDeque<Entry>,
    /// Jobs for reuse.
    free: Vec<Arc<Job>>,
    /// Seats of all launches.
    open: usize,
    /// Threads that are awake and have no seat, or will have none in a moment.
    looking: usize,
    /// Threads that wait for `work`.
    asleep: usize,
}

struct Entry {
    job: Arc<Job>,
    task: Task,
    seats: usize,
}

/// What a thread needs to run groups of a launch.
#[derive(Clone, Copy)]
struct Task {
    run: Run,
    heap: Option<Heap>,
    block: *const u8,
    space: Launch,
    groups: u64,
    cancelled: &'static AtomicBool,
}

// SAFETY: the block is plain memory that stays as it is while the launch runs.
unsafe impl Send for Task {}

/// What the threads of a launch share.
struct Job {
    /// The first group that nobody has claimed.
    next: AtomicU64,
    /// Threads in seats. Changes under the queue's lock.
    seated: AtomicUsize,
    end: Mutex<End>,
}

/// What the last thread of a launch needs to end it.
#[derive(Default)]
struct End {
    launch: Option<Running>,
    panic: Option<ItemPanic>,
    cancelled: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pool {
    /// A pool whose threads start with its first launch.
    pub(super) fn new(name: &'static str, threads: usize) -> Self {
        Pool {
            name,
            threads,
            hints: Hints {
                open: AtomicIsize::new(0),
                lonely: AtomicUsize::new(0),
            },
            queue: Mutex::new(Queue {
                started: false,
                entries: VecDeque::new(),
                free: Vec::new(),
                open: 0,
                looking: 0,
                asleep: 0,
            }),
            work: Condvar::new(),
        }
    }

    pub(super) fn threads(&self) -> usize {
        self.threads
    }

    /// Runs a launch.
    pub(super) fn enqueue(self: &Arc<Self>, run: Run, heap: Option<Heap>, launch: Running) {
        let mut space = *launch.space();
        let groups: u64 = space.groups.iter().product();
        let items: u64 = space.grid.iter().product();
        space.kept = self.threads as u64 * KEPT / items.max(1);
        let task = Task {
            run,
            heap,
            block: launch.block(),
            space,
            groups,
            cancelled: launch.cancelled(),
        };
        let seats = usize::try_from(groups).map_or(self.threads, |groups| groups.min(self.threads));
        let mut queue = lock(&self.queue);
        if !queue.started {
            match self.start_threads() {
                Ok(threads) => queue.looking = threads,
                Err(error) => {
                    drop(queue);
                    return launch.finish(Err(error));
                }
            }
            queue.started = true;
        }
        let job = queue.free.pop().unwrap_or_else(|| {
            Arc::new(Job {
                next: AtomicU64::new(0),
                seated: AtomicUsize::new(0),
                end: Mutex::new(End::default()),
            })
        });
        job.next.store(0, Ordering::Relaxed);
        lock(&job.end).launch = Some(launch);
        queue.entries.push_back(Entry { job, task, seats });
        queue.open += seats;
        let wake = queue.open.saturating_sub(queue.looking).min(queue.asleep);
        self.hints.lonely.fetch_add(1, Ordering::Relaxed);
        drop(queue);
        // Now, not before: who sees this finds the queue unlocked.
        self.hints.open.fetch_add(seats as isize, Ordering::Relaxed);
        for _ in 0..wake {
            self.work.notify_one();
        }
    }

    /// Starts the threads, of which some are enough, and gives their number.
    fn start_threads(self: &Arc<Self>) -> Result<usize> {
        for index in 0..self.threads {
            let pool = Arc::clone(self);
            let spawned = thread::Builder::new()
                .name(format!("legionella-{}-{index}", self.name))
                .spawn(move || pool.serve());
            match spawned {
                Ok(_) => {}
                Err(error) if index == 0 => {
                    return Err(Error::DeviceLost {
                        accelerator: self.name.into(),
                        reason: format!("no thread could be started: {error}"),
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, started = index, "not all threads could be started");
                    return Ok(index);
                }
            }
        }
        Ok(self.threads)
    }

    /// The life of a thread, which starts as one that looks.
    fn serve(&self) {
        let mut queue = lock(&self.queue);
        let mut idle_since = Instant::now();
        loop {
            if let Some((job, task)) = self.sit(&mut queue) {
                queue.looking -= 1;
                drop(queue);
                self.work_on(job, task);
                idle_since = Instant::now();
            } else if queue.looking < self.threads.max(2) && idle_since.elapsed() < PATIENCE {
                drop(queue);
                self.look(idle_since);
            } else {
                queue.looking -= 1;
                queue.asleep += 1;
                let mut queue = self
                    .work
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner);
                queue.asleep -= 1;
                queue.looking += 1;
                idle_since = Instant::now();
            }
            queue = lock(&self.queue);
        }
    }

    /// Looks for seats, for as long as patience lasts.
    fn look(&self, since: Instant) {
        while since.elapsed() < PATIENCE {
            for _ in 0..32 {
                if self.hints.open.load(Ordering::Relaxed) > 0 {
                    return;
                }
                spin_loop();
            }
        }
    }

    /// Takes a seat: with a launch that nobody runs, else with the oldest.
    fn sit(&self, queue: &mut Queue) -> Option<(Arc<Job>, Task)> {
        let lonely = |entry: &Entry| entry.job.seated.load(Ordering::Relaxed) == 0;
        let index = queue.entries.iter().position(lonely).unwrap_or(0);
        let entry = queue.entries.get_mut(index)?;
        if entry.job.seated.fetch_add(1, Ordering::Relaxed) == 0 {
            self.hints.lonely.fetch_sub(1, Ordering::Relaxed);
        }
        self.hints.open.fetch_sub(1, Ordering::Relaxed);
        queue.open -= 1;
        entry.seats -= 1;
        if entry.seats > 0 {
            return Some((Arc::clone(&entry.job), entry.task));
        }
        let entry = queue.entries.remove(index)?;
        Some((entry.job, entry.task))
    }

    /// Runs chunks of a launch, then of launches that have nobody, until there is nothing to do.
    fn work_on(&self, mut job: Arc<Job>, mut task: Task) {
        let mut pace = Pace::new();
        loop {
            match job.claim(&task, self.threads, pace.groups) {
                None => return self.stand_up(job),
                Some((first, end)) => job.run(&task, first, end),
            }
            if job.exhausted(&task) {
                return self.stand_up(job);
            }
            pace.adapt();
            if self.hints.lonely.load(Ordering::Relaxed) == 0 {
                continue;
            }
            let mut queue = lock(&self.queue);
            if self.hints.lonely.load(Ordering::Relaxed) == 0 || job.exhausted(&task) {
                continue;
            }
            let Some(next) = self.sit(&mut queue) else {
                continue;
            };
            self.offer_seat(&mut queue, job, task);
            drop(queue);
            (job, task) = next;
            pace = Pace::new();
        }
    }

    /// Gives a seat back to a launch that is not exhausted.
    fn offer_seat(&self, queue: &mut Queue, job: Arc<Job>, task: Task) {
        if job.seated.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.hints.lonely.fetch_add(1, Ordering::Relaxed);
        }
        queue.open += 1;
        self.hints.open.fetch_add(1, Ordering::Relaxed);
        let same = |entry: &&mut Entry| Arc::ptr_eq(&entry.job, &job);
        match queue.entries.iter_mut().find(same) {
            Some(entry) => entry.seats += 1,
            None => queue.entries.push_back(Entry {
                job,
                task,
                seats: 1,
            }),
        }
    }

    /// Leaves a launch that is exhausted; the last one to leave finishes it.
    fn stand_up(&self, job: Arc<Job>) {
        let mut queue = lock(&self.queue);
        // From here on the thread is as good as looking: whoever hears of the launch's end and
        // launches again need wake no other.
        queue.looking += 1;
        let same = |entry: &Entry| Arc::ptr_eq(&entry.job, &job);
        if let Some(index) = queue.entries.iter().position(same)
            && let Some(entry) = queue.entries.remove(index)
        {
            queue.open -= entry.seats;
            self.hints
                .open
                .fetch_sub(entry.seats as isize, Ordering::Relaxed);
        }
        if job.seated.fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        let end = std::mem::take(&mut *lock(&job.end));
        queue.free.push(job);
        drop(queue);
        end.finish();
    }
}

impl Job {
    /// Claims a chunk of at most that many groups, and of no more than a share of what is left, so
    /// that the last chunks are small.
    fn claim(&self, task: &Task, threads: usize, most: u64) -> Option<(u64, u64)> {
        let mut first = self.next.load(Ordering::Relaxed);
        loop {
            if first >= task.groups {
                return None;
            }
            if task.cancelled.load(Ordering::Relaxed) {
                // Whoever claims last before this ran everything: then nothing was cancelled.
                if self.next.swap(task.groups, Ordering::Relaxed) < task.groups {
                    lock(&self.end).cancelled = true;
                }
                return None;
            }
            let share = (task.groups - first) / (8 * threads as u64);
            let end = first + share.clamp(1, most);
            match self
                .next
                .compare_exchange_weak(first, end, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return Some((first, end)),
                Err(now) => first = now,
            }
        }
    }

    fn exhausted(&self, task: &Task) -> bool {
        self.next.load(Ordering::Relaxed) >= task.groups
    }

    /// Runs a chunk. Groups in which a work-item panics are left, the others run.
    fn run(&self, task: &Task, mut first: u64, end: u64) {
        while first < end {
            // SAFETY: the launch was submitted with this block for this kernel, is ordered after
            // all that it conflicts with, and is not finished before this thread leaves it.
            let outcome = unsafe {
                let surroundings = Surroundings {
                    cancelled: task.cancelled,
                    heap: task.heap,
                };
                call::run(task.run, task.block, &task.space, first, end, surroundings)
            };
            let panic = match outcome {
                Ok(()) => return,
                Err(Left::Panicked(panic)) => panic,
                Err(Left::Cancelled) => {
                    self.next.store(task.groups, Ordering::Relaxed);
                    lock(&self.end).cancelled = true;
                    return;
                }
            };
            // Where it was is part of the contract; a place out of range ends the chunk.
            first = (group_of(panic.item, &task.space)).map_or(end, |group| group.max(first) + 1);
            lock(&self.end).panic.get_or_insert(panic);
        }
    }
}

/// How many groups a thread claims at once: what takes about as long as a [`CHUNK`] should.
struct Pace {
    groups: u64,
    /// When the last chunk ended. Reading the clock takes too long to do so before the first.
    since: Option<Instant>,
}

impl Pace {
    fn new() -> Self {
        Pace {
            groups: 1,
            since: None,
        }
    }

    /// A chunk has been run.
    fn adapt(&mut self) {
        let now = Instant::now();
        let Some(since) = self.since.replace(now) else {
            return;
        };
        let took = now - since;
        if took < CHUNK.start {
            self.groups = self.groups.saturating_mul(2);
        } else if took > CHUNK.end {
            self.groups = (self.groups / 2).max(1);
        }
    }
}

/// The linear index of the group that an item is in.
fn group_of(item: [u64; 3], space: &Launch) -> Option<u64> {
    let [x, y, z] = [0, 1, 2].map(|d| item[d] / space.group[d]);
    let [width, height, depth] = space.groups;
    (x < width && y < height && z < depth).then(|| x + width * (y + height * z))
}

impl End {
    fn finish(self) {
        let Some(launch) = self.launch else {
            unreachable!("a job has a launch until its last thread leaves")
        };
        let kernel = || launch.program().kernel.clone();
        let outcome = match self.panic {
            Some(panic) => Err(Error::KernelPanicked {
                kernel: kernel(),
                message: panic.message,
                source_location: panic.source,
                item: panic.item.map(|id| id as usize),
            }),
            None if self.cancelled => Err(Error::Cancelled { kernel: kernel() }),
            None => Ok(()),
        };
        launch.finish(outcome);
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}
