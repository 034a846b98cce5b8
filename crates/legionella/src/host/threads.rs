//! A work-group on the host: a thread for each of its items.
//!
//! Takes a grid and what is done for each item; runs one group after the other. Threads are new for
//! each group, so that nothing an item may have kept in a thread-local outlives its group.

use std::any::Any;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use legionella_abi::cpu::Launch;
use legionella_device::{Group, HostGroup, Index, Item};

/// Runs all groups of a launch, with subgroups of so many lanes. Panics as the first item that does, or if a barrier can't be met.
pub(super) fn run<'g>(space: &Launch, lanes: usize, body: &(impl Fn(Group<'g>) + Sync)) {
    let index = |index: [u64; 3]| index.map(|id| id as usize);
    let (grid, size) = (index(space.grid), index(space.group));
    let [width, height, depth] = index(space.groups);
    for z in 0..depth {
        for y in 0..height {
            for x in 0..width {
                let first = [x * size[0], y * size[1], z * size[2]];
                run_group(first, grid, size, lanes, body);
            }
        }
    }
}

fn run_group<'g>(
    first: Index,
    grid: Index,
    size: Index,
    lanes: usize,
    body: &(impl Fn(Group<'g>) + Sync),
) {
    let threads = Threads::new(first, grid, size, lanes);
    let panics: Vec<_> = thread::scope(|scope| {
        let items: Vec<_> = (0..threads.places.len())
            .map(|rank| scope.spawn(move_to_item(&threads, rank, first, grid, size, body)))
            .collect();
        // Joined one by one: that waits for destructors of thread-locals as well.
        items
            .into_iter()
            .filter_map(|item| item.join().err())
            .collect()
    });
    let mut panics = panics.into_iter();
    if let Some(panic) = panics.find(|panic| !panic.is::<Abandoned>()) {
        resume_unwind(panic);
    }
    if let Some(failure) = threads.lock().failure {
        panic!("{failure}");
    }
}

/// What the thread of an item does.
fn move_to_item<'t, 'g>(
    threads: &'t Threads,
    rank: usize,
    first: Index,
    grid: Index,
    size: Index,
    body: &'t (impl Fn(Group<'g>) + Sync),
) -> impl FnOnce() + Send + 't {
    move || {
        let local = threads.places[rank].local;
        // SAFETY: this thread is that item, and calls the kernel once.
        let item = unsafe { Item::on_host_in_group(first, local, grid, size) };
        let host: *const (dyn HostGroup + 't) = threads;
        // SAFETY: whatever the kernel calls its group's lifetime, the token and what is made of it
        // stay on this thread, which ends before `threads` goes. This thread is that item.
        let group = unsafe {
            let host = std::mem::transmute::<
                *const (dyn HostGroup + 't),
                *const (dyn HostGroup + 'g),
            >(host);
            Group::on_host(item, &*host)
        };
        let outcome = catch_unwind(AssertUnwindSafe(|| body(group)));
        threads.end(rank, outcome.is_err());
        if let Err(panic) = outcome {
            resume_unwind(panic);
        }
    }
}

/// The payload of an item that can't go on because of another.
struct Abandoned;

/// The items of a group.
#[derive(Debug)]
struct Threads {
    places: Vec<Place>,
    /// Lanes of a subgroup.
    lanes: usize,
    state: Mutex<State>,
    changed: Condvar,
}

/// Where an item is in its group.
#[derive(Debug)]
struct Place {
    local: Index,
    subgroup: usize,
    lane: usize,
}

#[derive(Debug)]
struct State {
    items: Vec<Wait>,
    /// What the lanes of each subgroup exchanged last.
    exchanged: Vec<[Option<u32>; 64]>,
    failure: Option<Failure>,
    abandoned: bool,
}

/// What an item waits for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wait {
    Nothing,
    Barrier(u32, &'static Location<'static>),
    Exchange(u32, &'static Location<'static>),
    Ended,
}

impl Wait {
    fn place(self) -> Option<&'static Location<'static>> {
        match self {
            Wait::Barrier(_, place) | Wait::Exchange(_, place) => Some(place),
            Wait::Nothing | Wait::Ended => None,
        }
    }
}

/// Items wait for what will never come.
#[derive(Clone, Copy, Debug)]
struct Failure {
    waiting: &'static Location<'static>,
    other: Option<&'static Location<'static>>,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = "barrier reached by only some work-items of the group";
        write!(f, "{what}, at {}: ", self.waiting)?;
        match self.other {
            Some(other) => write!(f, "others wait at {other}"),
            None => write!(f, "others have ended"),
        }
    }
}

impl Threads {
    fn new(first: Index, grid: Index, size: Index, lanes: usize) -> Self {
        let extent = [0, 1, 2].map(|d| size[d].min(grid[d] - first[d]));
        let mut places = Vec::new();
        for z in 0..extent[2] {
            for y in 0..extent[1] {
                for x in 0..extent[0] {
                    let linear = x + size[0] * (y + size[1] * z);
                    places.push(Place {
                        local: [x, y, z],
                        subgroup: linear / lanes,
                        lane: linear % lanes,
                    });
                }
            }
        }
        let subgroups = places.last().map_or(0, |last| last.subgroup + 1);
        Threads {
            state: Mutex::new(State {
                items: vec![Wait::Nothing; places.len()],
                exchanged: vec![[None; 64]; subgroups],
                failure: None,
                abandoned: false,
            }),
            places,
            lanes,
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until what the item waits for has come. Ends the item if it never will.
    fn wait(&self, rank: usize, wait: Wait) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        state.items[rank] = wait;
        self.advance(&mut state);
        while state.items[rank] != Wait::Nothing && !state.abandoned {
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if state.abandoned {
            drop(state);
            resume_unwind(Box::new(Abandoned) as Box<dyn Any + Send>);
        }
        state
    }

    fn end(&self, rank: usize, panicked: bool) {
        let mut state = self.lock();
        state.items[rank] = Wait::Ended;
        state.abandoned |= panicked;
        self.advance(&mut state);
    }

    /// Lets items go on that all have come for; finds out if none ever can.
    fn advance(&self, state: &mut State) {
        for subgroup in 0..state.exchanged.len() {
            self.exchange_in(subgroup, state);
        }
        let State { items, .. } = state;
        let label = |wait: &Wait| match wait {
            Wait::Barrier(label, _) => Some(*label),
            _ => None,
        };
        let first = label(&items[0]);
        if first.is_some() && items.iter().all(|item| label(item) == first) {
            items.fill(Wait::Nothing);
        }
        let stuck = items.iter().all(|item| *item != Wait::Nothing);
        if stuck && let Some(waiting) = items.iter().find_map(|item| item.place()) {
            let others = items.iter().filter_map(|item| item.place());
            state.failure.get_or_insert(Failure {
                waiting,
                other: others.clone().find(|place| *place != waiting),
            });
            state.abandoned = true;
        }
        self.changed.notify_all();
    }

    /// Carries out an exchange that all lanes of a subgroup wait for.
    fn exchange_in(&self, subgroup: usize, state: &mut State) {
        let lanes = || {
            let all = self.places.iter().enumerate();
            all.filter(move |(_, place)| place.subgroup == subgroup)
        };
        let mut values = [None; 64];
        for (rank, place) in lanes() {
            match state.items[rank] {
                Wait::Exchange(value, _) => values[place.lane] = Some(value),
                _ => return,
            }
        }
        state.exchanged[subgroup] = values;
        for (rank, _) in lanes() {
            state.items[rank] = Wait::Nothing;
        }
    }
}

// SAFETY: `advance` lets items off a barrier if all wait at one with one label, and none else; the
// lock orders what they did before and behind.
unsafe impl HostGroup for Threads {
    fn subgroup_size(&self) -> u32 {
        self.lanes as u32
    }

    fn barrier(&self, rank: usize, label: u32, place: &'static Location<'static>) {
        drop(self.wait(rank, Wait::Barrier(label, place)));
    }

    fn exchange(
        &self,
        rank: usize,
        value: u32,
        place: &'static Location<'static>,
    ) -> [Option<u32>; 64] {
        let state = self.wait(rank, Wait::Exchange(value, place));
        state.exchanged[self.places[rank].subgroup]
    }
}
