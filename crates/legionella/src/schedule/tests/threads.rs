//! Many threads, leaks, drops and futures.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Wake, Waker};

use super::*;

#[test]
fn dropped_and_forgotten_things_stay_alive_while_they_are_used() {
    let bench = Bench::new(2);
    for forget in [false, true] {
        let mut buffer = bench.buffer(1000);
        let elements = buffer.device_address() as usize;
        let weak = buffer.weak();
        let (open, done) = (Event::default(), Event::default());
        let (gate, end) = (open.clone(), done.clone());
        let launch = bench.launch(1, writes(&mut buffer), move |_| {
            gate.wait();
            for index in 0..1000 {
                // SAFETY: the launch keeps what it writes.
                unsafe { *(elements as *mut u32).add(index) += 1 };
            }
            end.happen();
        });
        let ticket = launch.ticket().unwrap();
        if forget {
            std::mem::forget(launch);
        } else {
            drop(launch);
        }
        drop(buffer);
        thread::sleep(A_WHILE);
        assert!(weak.upgrade().is_some());
        open.happen();
        ticket.wait();
        assert!(done.happened());
        assert!(weak.upgrade().is_none());
    }
}

#[test]
fn many_threads_launch_at_once() {
    let bench = Bench::new(3);
    let shared = bench.buffer(10);
    let total = Arc::new(AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut own = bench.buffer(10);
                let count = Arc::new(AtomicUsize::new(0));
                for round in 0..300 {
                    let (total, count) = (Arc::clone(&total), Arc::clone(&count));
                    let memory = Memory {
                        read: Some(shared.as_slice()),
                        write: Some(own.as_slice_mut()),
                    };
                    let launch = bench.launch(5, memory, move |group| {
                        total.fetch_add(1, Ordering::Relaxed);
                        // Launches of one thread conflict: they run one after the other.
                        let count = count.fetch_add(1, Ordering::Relaxed);
                        if count / 5 != round {
                            group.panic("out of order");
                        }
                    });
                    if round % 7 == 0 {
                        launch.wait().unwrap();
                    }
                }
                own.to_vec().unwrap();
            });
        }
    });
    assert_eq!(total.load(Ordering::Relaxed), 8 * 300 * 5);
}

#[test]
fn many_threads_wait_for_one_launch() {
    let bench = Bench::new(1);
    let open = Event::default();
    let gate = open.clone();
    let launch = bench.launch(2, Memory::default(), move |group| {
        gate.wait();
        panic_in_last(group);
    });
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| launch.wait().unwrap_err());
        }
        thread::sleep(A_WHILE);
        open.happen();
    });
}

fn panic_in_last(group: &Group) {
    if group.index == 1 {
        group.panic("last");
    }
}

struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The smallest executor. Gives how often the future was polled, too.
fn block_on<F: Future>(future: F) -> (F::Output, usize) {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut polls = 0;
    loop {
        polls += 1;
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return (output, polls),
            Poll::Pending => thread::park(),
        }
    }
}

#[test]
fn a_completion_is_a_future() {
    let bench = Bench::new(2);
    let open = Event::default();
    let gate = open.clone();
    let launch = bench.launch(2, Memory::default(), move |group| {
        gate.wait();
        panic_in_last(group);
    });
    let opener = thread::spawn(move || {
        thread::sleep(A_WHILE);
        open.happen();
    });
    let (outcome, polls) = block_on(launch);
    assert!(matches!(outcome, Err(Error::KernelPanicked { .. })));
    // Spurious wake-ups aside: it is woken, not polled in a loop.
    assert!((2..10).contains(&polls), "{polls} polls");
    opener.join().unwrap();
    let (outcome, polls) = block_on(bench.launch(0, Memory::default(), |_| ()));
    outcome.unwrap();
    assert_eq!(polls, 1);
}

struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("this waker panics");
    }
}

#[test]
fn a_waker_that_panics_harms_nobody() {
    let bench = Bench::new(1);
    let open = Event::default();
    let gate = open.clone();
    let mut launch = bench.launch(1, Memory::default(), move |_| gate.wait());
    let waker = Waker::from(Arc::new(Panics));
    let poll = std::pin::Pin::new(&mut launch).poll(&mut Context::from_waker(&waker));
    assert!(poll.is_pending());
    open.happen();
    launch.wait().unwrap();
    bench.launch(1, Memory::default(), |_| ()).wait().unwrap();
}
