//! The recycled state of one launch, and tickets that name a launch for ever.
//!
//! A slot serves one launch after another and lives as long as the process, so that a warm launch
//! allocates nothing and whoever remembers a launch may do so without owning anything. Each launch
//! that a slot serves has a *generation*; `done` is the last generation that ended, so a
//! [`Ticket`], a slot and a generation, can be asked at any later time whether its launch ended.
//!
//! A slot is owned by its launch until that ends and by the [`Completion`] until that is dropped,
//! and is reused when neither owns it. A leaked completion thus costs a slot and nothing else.
//!
//! [`Completion`]: super::completion::Completion

use std::alloc::Layout;
use std::cell::{Cell, RefCell, UnsafeCell};
use std::collections::VecDeque;
use std::fmt;
use std::hint::{cold_path, spin_loop};
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::thread;
use std::time::{Duration, Instant};

use legionella_abi::cpu::Launch;

use super::block::Block;
use super::followup::{self, Followup};
use super::free;
use super::hazards::{self, Failure, FailureLog, Use};
use crate::backend::Program;
use crate::error::Result;

/// How long a waiting thread looks at a launch before it goes to sleep, which threads of the launch may
/// need the core for; and at one of a device that keeps an order of its own, for so long that being woken up,
/// which takes some 50 µs, is nothing beside it. CUDA's own runtime looks all the time.
const PATIENCE: Duration = Duration::from_micros(20);
const PATIENCE_WITH_DEVICES: Duration = Duration::from_millis(5);

/// What waiting threads look at, in a cache line that nothing else disturbs.
#[repr(align(128))]
struct Done(AtomicU64);

impl Done {
    fn generation(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// The state of one launch after another.
#[repr(align(128))]
pub(crate) struct Slot {
    /// The last generation that ended. One more is the generation that the slot now serves.
    done: Done,
    /// How many of the launch in flight and its completion still use the slot.
    owners: AtomicU32,
    /// What the launch still waits for, and one until it is bound.
    pending: AtomicUsize,
    cancelled: AtomicBool,
    /// Whether the launch's kernel may make others.
    is_followed: AtomicBool,
    /// Whether the launch has left a failure.
    failed: AtomicBool,
    /// The [order](crate::backend::Code::order) of what the slot launches, 0 for none, once that is
    /// known.
    order: AtomicUsize,
    /// The lanes of its order behind which the launch comes, a bit each.
    behind: AtomicU64,
    /// The [lane](State::lane) of the launch of a [generation](Slot::in_lane), for who needn't know more.
    lane: AtomicU64,
    content: UnsafeCell<Content>,
    state: Mutex<State>,
    ended: Condvar,
}

// SAFETY: `content` is used by one at a time: by who binds the launch, then by who runs it. The first has come from a list of
// free slots by then, and the second to the launch by its turn, `pending`: each after all that was done before.
unsafe impl Sync for Slot {}

/// What the launch is, for who binds it and, from its turn to its end, for who runs it.
struct Content {
    /// What to run, while the launch is in flight.
    program: Option<Runs>,
    space: Launch,
    block: Block,
    /// Memory that the launch uses: it stays allocated until the launch has ended.
    uses: Vec<Use>,
    /// The queue that is to hear of a failure.
    queue: Option<Arc<FailureLog>>,
    /// What its kernel may launch.
    followups: Vec<Arc<Followup>>,
}

/// What others know of the launch.
struct State {
    /// Launches that wait for this one.
    dependents: Vec<&'static Slot>,
    /// Launches that this one consists of.
    parts: Vec<Ticket>,
    /// The lane of its order that the launch was given to, if others may follow there.
    lane: Option<Lane>,
    /// The lane that it was given to at all, and what runs there.
    at: Option<(Runs, Lane)>,
    /// Threads asleep in [`Ticket::wait`].
    asleep: usize,
    waker: Option<Waker>,
    failure: Option<Arc<Failure>>,
}

/// Puts something to where nothing is that has to be dropped: what a launch has is taken when it ends.
fn fill<T>(place: &mut T, with: T) {
    std::mem::forget(std::mem::replace(place, with));
}

/// Locks what panics can't leave half-changed: every critical section here is free of them.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Slot {
    fn acquire() -> &'static Slot {
        free::take().unwrap_or_else(|| {
            Box::leak(Box::new(Slot {
                done: Done(AtomicU64::new(0)),
                owners: AtomicU32::new(0),
                pending: AtomicUsize::new(0),
                cancelled: AtomicBool::new(false),
                is_followed: AtomicBool::new(false),
                failed: AtomicBool::new(false),
                order: AtomicUsize::new(0),
                behind: AtomicU64::new(0),
                lane: AtomicU64::new(0),
                content: UnsafeCell::new(Content {
                    program: None,
                    space: Launch {
                        grid: [0; 3],
                        group: [1; 3],
                        groups: [0; 3],
                        shared: 0,
                        kept: u64::MAX,
                    },
                    block: Block::new(),
                    uses: Vec::new(),
                    queue: None,
                    followups: Vec::new(),
                }),
                state: Mutex::new(State {
                    dependents: Vec::new(),
                    parts: Vec::new(),
                    lane: None,
                    at: None,
                    asleep: 0,
                    waker: None,
                    failure: None,
                }),
                ended: Condvar::new(),
            }))
        })
    }

    fn disown(&'static self) {
        // Nobody else changes it for the last one.
        let is_last = self.owners.load(Ordering::Acquire) == 1;
        if is_last || self.owners.fetch_sub(1, Ordering::AcqRel) == 1 {
            // Who ended the launch has taken its waker.
            if self.failed.load(Ordering::Relaxed) {
                self.failed.store(false, Ordering::Relaxed);
                let _failure = lock(&self.state).failure.take();
            }
            free::give(self);
        }
    }

    /// The lane that the launch of a generation was given to, if others may follow there, and if no later one was since.
    fn in_lane(&self, generation: u64) -> Option<Lane> {
        let lane = self.lane.load(Ordering::Acquire);
        (lane >> LANE_BITS == generation).then_some(Lane((lane & ((1 << LANE_BITS) - 1)) as u32))
    }

    /// The launch, which is being bound, comes behind what is in a lane of its order.
    fn comes_behind(&self, lane: Lane) {
        let behind = &self.behind;
        match self.pending.load(Ordering::Acquire) {
            // Nothing that it waits for changes this meanwhile; what did can be seen.
            1 => behind.store(
                behind.load(Ordering::Relaxed) | lane.bit(),
                Ordering::Relaxed,
            ),
            _ => _ = behind.fetch_or(lane.bit(), Ordering::Relaxed),
        }
    }

    /// Whether launches of both slots are kept in order by the device.
    fn is_ordered_with(&self, other: &Slot) -> bool {
        let order = self.order.load(Ordering::Relaxed);
        order != 0 && order == other.order.load(Ordering::Relaxed)
    }

    /// Tells everyone of the end of what the slot serves.
    ///
    /// # Safety
    /// The caller binds or runs it, and nobody does any more.
    unsafe fn end(&'static self, failure: Option<Arc<Failure>>) {
        // SAFETY: the caller's promise.
        let program = unsafe { (*self.content.get()).program.take() };
        let mut state = lock(&self.state);
        state.lane = None;
        let at = state.at.take();
        if failure.is_some() {
            self.failed.store(true, Ordering::Relaxed);
            state.failure = failure;
        }
        state.parts.clear();
        let mut dependents = match state.dependents.is_empty() {
            true => Vec::new(),
            false => std::mem::take(&mut state.dependents),
        };
        let waker = state.waker.take();
        let generation = self.done.generation() + 1;
        self.done.0.store(generation, Ordering::Release);
        if state.asleep > 0 {
            self.ended.notify_all();
        }
        drop(state);

        for dependent in dependents.drain(..) {
            dependent.release();
        }
        if let Some(waker) = waker {
            // A waker that panics is its executor's concern; the thread here goes on.
            let _ = catch_unwind(AssertUnwindSafe(|| waker.wake()));
        }
        // Room that is there is used again.
        if dependents.capacity() > 0 {
            lock(&self.state).dependents = dependents;
        }
        drop((program, at));
        self.disown();
    }

    /// One thing less that the launch waits for; the last one starts it.
    fn release(&'static self) {
        if self.pending.fetch_sub(1, Ordering::AcqRel) == 1 {
            // SAFETY: it is the launch's turn.
            start(unsafe { self.running() });
        }
    }

    /// The launch, whose turn has come.
    ///
    /// # Safety
    /// Once a launch, when it is bound.
    unsafe fn running(&'static self) -> Running {
        // SAFETY: nobody binds it any more, nor runs it yet.
        let Some(program) = (unsafe { (*self.content.get()).program.clone() }) else {
            unreachable!("a launch is submitted before it is released")
        };
        Running {
            slot: self,
            program,
        }
    }
}

/// What a launch runs.
#[derive(Clone)]
pub(crate) enum Runs {
    /// The code of a kernel.
    Kernel(&'static Program),
    /// Something that was made for the launch, or for some.
    Made(Arc<Program>),
}

impl Deref for Runs {
    type Target = Program;

    fn deref(&self) -> &Program {
        match self {
            Runs::Kernel(program) => program,
            Runs::Made(program) => program,
        }
    }
}

thread_local! {
    /// Whether the thread is starting something, and for how many that wait meanwhile.
    static STARTING: Cell<Option<usize>> = const { Cell::new(None) };
    /// Those.
    static AHEAD: RefCell<VecDeque<Running>> = const { RefCell::new(VecDeque::new()) };
}

/// Starts a launch. Starting one may release others; they are started after it, not within.
pub(crate) fn start(launch: Running) {
    if let Some(waiting) = STARTING.get() {
        cold_path();
        AHEAD.with_borrow_mut(|ahead| ahead.push_back(launch));
        STARTING.set(Some(waiting + 1));
        return;
    }
    let mut next = Some(launch);
    while let Some(launch) = next {
        let waiting = STARTING.get().map_or(0, |waiting| waiting - 1);
        STARTING.set(Some(waiting));
        let program = launch.program.clone();
        if launch.is_followed() {
            cold_path();
            launch.followups().iter().for_each(|one| one.begin());
        }
        program.start(launch);
        next = match STARTING.get() {
            Some(1..) => AHEAD.with_borrow_mut(VecDeque::pop_front),
            _ => None,
        };
    }
    STARTING.set(None);
}

/// One of the up to 64 sequences in which a device runs launches of one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lane(pub(crate) u32);

/// Bits of a lane's number.
const LANE_BITS: u32 = 6;

impl Lane {
    fn bit(self) -> u64 {
        1 << self.0
    }
}

/// Some lanes of one order, a bit each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Behind(u64);

impl Behind {
    /// The lane, if it is one.
    pub(crate) fn only(self) -> Option<Lane> {
        self.0
            .is_power_of_two()
            .then(|| Lane(self.0.trailing_zeros()))
    }
}

impl Iterator for Behind {
    type Item = Lane;

    fn next(&mut self) -> Option<Lane> {
        let lane = Lane(self.0.trailing_zeros());
        (self.0 != 0).then(|| {
            self.0 &= self.0 - 1;
            lane
        })
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot")
            .field("done", &self.done.0)
            .field("pending", &self.pending)
            .finish_non_exhaustive()
    }
}

/// Names one launch, for ever.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket {
    slot: &'static Slot,
    generation: u64,
}

impl PartialEq for Ticket {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.slot, other.slot) && self.generation == other.generation
    }
}

impl Ticket {
    /// Whether the launch has ended.
    pub(crate) fn is_done(&self) -> bool {
        self.slot.done.generation() >= self.generation
    }

    /// Orders `later`, which is being bound, after this launch.
    pub(crate) fn precedes(&self, later: Ticket) {
        debug_assert_ne!(*self, later);
        if self.is_done() {
            return;
        }
        // It may end meanwhile, and then nothing is waited for.
        if let Some(lane) = self.slot.in_lane(self.generation)
            && self.slot.is_ordered_with(later.slot)
        {
            return later.slot.comes_behind(lane);
        }
        let mut state = lock(&self.slot.state);
        if self.is_done() {
            return;
        }
        match state.lane {
            Some(lane) if self.slot.is_ordered_with(later.slot) => later.slot.comes_behind(lane),
            _ => {
                later.slot.pending.fetch_add(1, Ordering::Relaxed);
                state.dependents.push(later.slot);
                let at = state.at.clone();
                drop(state);
                if let Some((program, lane)) = at {
                    program.watch_over(lane);
                }
            }
        }
    }

    /// Where the launch is, if a device has it that keeps an order of its own.
    fn at(&self) -> Option<(Runs, Lane)> {
        if self.slot.order.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let state = lock(&self.slot.state);
        let at = state.at.clone();
        at.filter(|_| !self.is_done())
    }

    /// The same, which is then asked to say soon that the launch has ended.
    fn hasten(&self) -> Option<(Runs, Lane)> {
        let (program, lane) = self.at()?;
        program.hasten(lane);
        Some((program, lane))
    }

    /// Waits until the launch has ended.
    pub(crate) fn wait(&self) {
        // The clock is slow to read: small launches have ended before its first time.
        let mut start = None;
        let patience = match self.slot.order.load(Ordering::Relaxed) {
            0 => PATIENCE,
            _ => PATIENCE_WITH_DEVICES,
        };
        loop {
            if self.is_done() {
                return;
            }
            let device = self.hasten();
            for _ in 0..64 {
                if let Some((program, lane)) = &device {
                    program.look(*lane);
                }
                if self.is_done() {
                    return;
                }
                spin_loop();
            }
            let looked = start.get_or_insert_with(Instant::now).elapsed();
            if looked >= patience {
                break;
            }
            // What ends the launch may need the core: other threads, if the device is in software.
            if looked >= PATIENCE {
                thread::yield_now();
            }
        }
        let mut state = lock(&self.slot.state);
        state.asleep += 1;
        while !self.is_done() {
            state = (self.slot.ended.wait(state)).unwrap_or_else(PoisonError::into_inner);
        }
        state.asleep -= 1;
    }

    /// Asks the launch not to start what it has not started.
    pub(crate) fn cancel(&self) {
        let state = lock(&self.slot.state);
        if self.is_done() {
            return;
        }
        self.slot.cancelled.store(true, Ordering::Relaxed);
        let parts = state.parts.clone();
        drop(state);
        for part in parts {
            part.cancel();
        }
    }
}

/// A ticket that keeps the outcome of its launch from being forgotten.
#[derive(Debug)]
pub(crate) struct Owned(Ticket);

impl Owned {
    pub(crate) fn ticket(&self) -> Ticket {
        self.0
    }

    /// The failure of the launch, once it has ended.
    pub(crate) fn failure(&self) -> Option<Arc<Failure>> {
        lock(&self.0.slot.state).failure.clone()
    }

    /// Has `waker` woken when the launch ends; `false` if it has ended already.
    pub(crate) fn wake(&self, waker: &Waker) -> bool {
        // A waker's own code runs outside the lock.
        let waker = waker.clone();
        let mut state = lock(&self.0.slot.state);
        if self.0.is_done() {
            return false;
        }
        let _old = state.waker.replace(waker);
        drop(state);
        if let Some((program, lane)) = self.0.at() {
            program.watch_over(lane);
        }
        true
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.0.slot.disown();
    }
}

/// A launch that is being bound: it has a ticket, and waits at least until [`Binding::submit`].
pub(crate) struct Binding {
    ticket: Ticket,
    /// Memory that the launch will use.
    pub(crate) uses: Vec<Use>,
    /// What its kernel may launch.
    pub(crate) followups: Vec<Arc<Followup>>,
}

impl Binding {
    pub(crate) fn new() -> Self {
        let slot = Slot::acquire();
        slot.owners.store(2, Ordering::Relaxed);
        slot.pending.store(1, Ordering::Relaxed);
        slot.cancelled.store(false, Ordering::Relaxed);
        slot.is_followed.store(false, Ordering::Relaxed);
        slot.order.store(0, Ordering::Relaxed);
        slot.behind.store(0, Ordering::Relaxed);
        Binding {
            ticket: Ticket {
                slot,
                generation: slot.done.generation() + 1,
            },
            // SAFETY: this binds the launch.
            uses: std::mem::take(unsafe { &mut (*slot.content.get()).uses }),
            followups: Vec::new(),
        }
    }

    pub(crate) fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// Takes what was noted of the launch, of which it had nothing.
    pub(crate) fn note(&mut self, uses: Vec<Use>, followups: Vec<Arc<Followup>>) {
        fill(&mut self.uses, uses);
        fill(&mut self.followups, followups);
    }

    /// Says what will be launched; before the launch is ordered after any other.
    pub(crate) fn will_run(&self, program: &Program) {
        let order = program.order().map_or(0, usize::from);
        self.ticket.slot.order.store(order, Ordering::Relaxed);
    }

    /// Orders the launch after everything in flight that it conflicts with, and lets go of it.
    ///
    /// # Safety
    /// `block` is readable for `layout`, is what `program` takes, and all memory that it points to
    /// is either in `uses` or kept valid, and free of conflicts, by the caller.
    pub(crate) unsafe fn submit(
        mut self,
        program: Runs,
        space: Launch,
        block: *const u8,
        layout: Layout,
        queue: Option<Arc<FailureLog>>,
    ) -> Owned {
        let ticket = self.ticket;
        let uses = std::mem::take(&mut self.uses);
        let followups = std::mem::take(&mut self.followups);
        std::mem::forget(self);
        let borrows = matches!(program, Runs::Kernel(_)) && followups.is_empty();
        hazards::register(&uses, borrows, ticket);
        // SAFETY: this binds the launch, whose turn comes no sooner than when it is released.
        let content = unsafe { &mut *ticket.slot.content.get() };
        content.space = space;
        // SAFETY: the caller's promise.
        unsafe { content.block.store(block, layout) };
        let is_followed = !followups.is_empty();
        fill(&mut content.program, Some(program));
        fill(&mut content.uses, uses);
        fill(&mut content.queue, queue);
        fill(&mut content.followups, followups);
        (ticket.slot.is_followed).store(is_followed, Ordering::Relaxed);
        // If there is nothing that it waits for, nothing else changes this.
        match ticket.slot.pending.load(Ordering::Acquire) {
            // SAFETY: it is the launch's turn.
            1 => start(unsafe { ticket.slot.running() }),
            _ => ticket.slot.release(),
        }
        Owned(ticket)
    }
}

impl Drop for Binding {
    /// A launch that could not be bound ends without having been one.
    fn drop(&mut self) {
        let slot = self.ticket.slot;
        slot.done.0.store(self.ticket.generation, Ordering::Release);
        slot.owners.store(1, Ordering::Relaxed);
        slot.disown();
    }
}

/// Something that the host does, in the order of launches: those that conflict with it and come later wait
/// until this is dropped.
#[derive(Debug)]
pub(crate) struct Occupied(Ticket);

impl Occupied {
    pub(crate) fn new() -> Self {
        let mut binding = Binding::new();
        let ticket = binding.ticket;
        // SAFETY: this binds what the host does.
        unsafe { (*ticket.slot.content.get()).uses = std::mem::take(&mut binding.uses) };
        std::mem::forget(binding);
        // There is no completion.
        ticket.slot.owners.store(1, Ordering::Relaxed);
        Occupied(ticket)
    }

    pub(crate) fn ticket(&self) -> Ticket {
        self.0
    }
}

impl Drop for Occupied {
    fn drop(&mut self) {
        // SAFETY: nobody else knows of it as a launch.
        unsafe { self.0.slot.end(None) };
    }
}

/// A launch whose turn has come. Whoever runs it ends it by [`Running::finish`].
pub(crate) struct Running {
    slot: &'static Slot,
    program: Runs,
}

impl Running {
    fn content(&self) -> &Content {
        // SAFETY: this runs the launch, and changes it when it is consumed.
        unsafe { &*self.slot.content.get() }
    }

    /// What is to run.
    pub(crate) fn program(&self) -> &Program {
        &self.program
    }

    /// Says what the launch consists of: those are cancelled with it.
    pub(crate) fn consists_of(&self, parts: &[Ticket]) {
        let mut state = lock(&self.slot.state);
        state.parts.extend_from_slice(parts);
        drop(state);
        if self.is_cancelled() {
            parts.iter().for_each(Ticket::cancel);
        }
    }

    /// The argument block, valid until the launch is finished.
    pub(crate) fn block(&self) -> *const u8 {
        self.content().block.address()
    }

    /// The index space.
    pub(crate) fn space(&self) -> &Launch {
        &self.content().space
    }

    /// Set once no further work-group is to be started; belongs to this launch until it is
    /// finished.
    pub(crate) fn cancelled(&self) -> &'static AtomicBool {
        &self.slot.cancelled
    }

    /// Whether its kernel may launch others.
    pub(crate) fn is_followed(&self) -> bool {
        self.slot.is_followed.load(Ordering::Relaxed)
    }

    /// What its kernel may launch, if it [may](Self::is_followed).
    pub(crate) fn followups(&self) -> &[Arc<Followup>] {
        &self.content().followups
    }

    /// Whether it was cancelled before anything of it ran.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled().load(Ordering::Relaxed)
    }

    /// The lanes of its order behind which the launch comes.
    pub(crate) fn behind(&self) -> Behind {
        Behind(self.slot.behind.load(Ordering::Relaxed))
    }

    /// The device has the launch in a lane of its order: others of that order may follow, and need not
    /// wait for its end. Gives whether somebody waits for that without looking.
    pub(crate) fn is_in(&self, lane: Lane) -> bool {
        let slot = self.slot;
        if self.is_followed() {
            cold_path();
            // Others wait for what its kernel launches, too.
            self.is_at(lane);
            return true;
        }
        let mut state = lock(&slot.state);
        let generation = slot.done.generation() + 1;
        let tagged = generation << LANE_BITS | u64::from(lane.0);
        slot.lane.store(tagged, Ordering::Release);
        (state.lane, state.at) = (Some(lane), Some((self.program.clone(), lane)));
        let mut index = 0;
        while index < state.dependents.len() {
            cold_path();
            if !slot.is_ordered_with(state.dependents[index]) {
                index += 1;
                continue;
            }
            let dependent = state.dependents.swap_remove(index);
            drop(state);
            dependent.behind.fetch_or(lane.bit(), Ordering::Relaxed);
            dependent.release();
            state = lock(&slot.state);
        }
        state.waker.is_some() || !state.dependents.is_empty()
    }

    /// The device has the launch in a lane of its order, and others have to wait for its end.
    pub(crate) fn is_at(&self, lane: Lane) {
        lock(&self.slot.state).at = Some((self.program.clone(), lane));
    }

    /// The launch has ended: nothing of it runs any more, but what it may have left to the host to launch.
    pub(crate) fn finish(self, outcome: Result<()>) {
        let slot = self.slot;
        // SAFETY: this ran the launch.
        let content = unsafe { &mut *slot.content.get() };
        if self.is_followed() {
            cold_path();
            slot.is_followed.store(false, Ordering::Relaxed);
            let followups = std::mem::take(&mut content.followups);
            return followup::finish(self, &followups, outcome);
        }
        self.program.ended(self.block().addr() as u64);
        let queue = content.queue.take();
        let failure = outcome.err().map(|error| {
            let failure = Arc::new(Failure::new(error));
            let logs = content.uses.iter().filter_map(Use::failure_log);
            for log in logs.chain(queue.as_deref()) {
                log.add(&failure);
            }
            failure
        });
        // Before anyone hears of the end, so that memory is free again when a wait returns.
        content.uses.clear();
        // SAFETY: as above.
        unsafe { slot.end(failure) };
    }
}
