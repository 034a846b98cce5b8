//! Things that are done when signals allow: copies after their dependencies, calls of handlers.

use std::sync::{Condvar, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// What is waited for, and what is done then; done again as long as it says so.
pub struct Task {
    /// Whether it can be done.
    pub ready: Box<dyn Fn() -> bool + Send>,
    /// Does it; whether it is to be done again.
    pub run: Box<dyn FnMut() -> bool + Send>,
}

/// A thread with a list of tasks.
#[derive(Default)]
pub struct Watch {
    tasks: Mutex<Vec<Task>>,
    changed: Condvar,
}

/// How long the thread goes without looking, while there are tasks.
const LOOK: Duration = Duration::from_micros(50);

impl Watch {
    fn start(name: &str) -> &'static Watch {
        let watch: &'static Watch = Box::leak(Box::default());
        let started = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(|| watch.run());
        if started.is_err() {
            eprintln!("legionella-hsasim: no thread can be started for {name}");
        }
        watch
    }

    /// The thread that copies.
    pub fn copies() -> &'static Watch {
        static COPIES: OnceLock<&'static Watch> = OnceLock::new();
        COPIES.get_or_init(|| Watch::start("hsasim copies"))
    }

    /// The thread that calls handlers.
    pub fn handlers() -> &'static Watch {
        static HANDLERS: OnceLock<&'static Watch> = OnceLock::new();
        HANDLERS.get_or_init(|| Watch::start("hsasim handlers"))
    }

    /// Adds a task.
    pub fn add(&self, task: Task) {
        self.tasks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(task);
        self.changed.notify_one();
    }

    fn run(&self) {
        loop {
            let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            let task = loop {
                if let Some(at) = tasks.iter().position(|task| (task.ready)()) {
                    break tasks.remove(at);
                }
                tasks = if tasks.is_empty() {
                    self.changed
                        .wait(tasks)
                        .unwrap_or_else(PoisonError::into_inner)
                } else {
                    self.changed
                        .wait_timeout(tasks, LOOK)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                };
            };
            drop(tasks);
            let mut task = task;
            if (task.run)() {
                self.add(task);
            }
        }
    }
}
