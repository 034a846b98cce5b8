//! What runs before what, and what at the same time.

use super::*;

#[test]
fn every_group_runs_once() {
    let bench = Bench::new(4);
    let counts: Arc<[AtomicUsize]> = (0..10_000).map(|_| AtomicUsize::new(0)).collect();
    let counted = Arc::clone(&counts);
    let launch = bench.launch(10_000, Memory::default(), move |group| {
        counted[group.index as usize].fetch_add(1, Ordering::Relaxed);
    });
    launch.wait().unwrap();
    assert!(
        counts
            .iter()
            .all(|count| count.load(Ordering::Relaxed) == 1)
    );
}

#[test]
fn an_empty_grid_is_done_at_once() {
    let bench = Bench::new(1);
    let launch = bench.launch(0, Memory::default(), |_| unreachable!());
    assert!(launch.is_done());
    launch.wait().unwrap();
}

/// Launches a first launch that waits for `open`, then `second`, and says whether that waited.
fn is_ordered(bench: &Bench, first: Memory<'_>, second: Memory<'_>) -> bool {
    let (open, started) = (Event::default(), Event::default());
    let (gate, start) = (open.clone(), started.clone());
    let first = bench.launch(1, first, move |_| gate.wait());
    let second = bench.launch(1, second, move |_| start.happen());
    let waited = loop {
        if started.happened() {
            break false;
        }
        thread::sleep(A_WHILE);
        if !started.happened() {
            assert!(!second.is_done());
            break true;
        }
    };
    assert!(!first.is_done());
    open.happen();
    second.wait().unwrap();
    first.wait().unwrap();
    assert!(started.happened());
    waited
}

#[test]
fn launches_that_conflict_are_ordered_and_others_overlap() {
    let bench = Bench::new(2);
    let (mut a, mut b) = (bench.buffer(10), bench.buffer(10));
    assert!(!is_ordered(&bench, reads(&a), reads(&a)));
    assert!(!is_ordered(&bench, writes(&mut a), writes(&mut b)));
    assert!(!is_ordered(&bench, reads(&a), writes(&mut b)));
    // The borrow of a buffer ends with the call of the launch, so that the next has it anew.
    assert!(is_ordered(&bench, writes(a.lent()), writes(a.lent())));
    assert!(is_ordered(&bench, writes(a.lent()), reads(&a)));
    assert!(is_ordered(&bench, reads(&a), writes(a.lent())));
    let (low, high) = a.split_at_mut(5).unwrap();
    assert!(!is_ordered(&bench, writes(low), writes(high)));
    let (low, high) = (a.lent().into_slice(0..6), a.lent().into_slice(5..10));
    let (low, high) = (low.unwrap(), high.unwrap());
    assert!(is_ordered(&bench, writes(low), writes(high)));
}

#[test]
fn a_writer_waits_for_all_readers_and_readers_for_the_last_writer() {
    let bench = Bench::new(4);
    let mut buffer = bench.buffer(4);
    let log: Arc<[AtomicUsize]> = (0..7).map(|_| AtomicUsize::new(0)).collect();
    let clock = Arc::new(AtomicUsize::new(1));
    let open = Event::default();
    let body = |id: usize| {
        let (log, clock, open) = (Arc::clone(&log), Arc::clone(&clock), open.clone());
        move |_: &Group| {
            open.wait();
            log[id].store(clock.fetch_add(1, Ordering::SeqCst), Ordering::SeqCst);
        }
    };
    let mut launches = Vec::new();
    for id in 0..3 {
        launches.push(bench.launch(1, reads(&buffer), body(id)));
    }
    launches.push(bench.launch(1, writes(&mut buffer), body(3)));
    for id in 4..6 {
        launches.push(bench.launch(1, reads(&buffer), body(id)));
    }
    launches.push(bench.launch(1, writes(&mut buffer), body(6)));
    open.happen();
    for launch in launches {
        launch.wait().unwrap();
    }
    let at = |id: usize| log[id].load(Ordering::SeqCst);
    assert!((0..3).all(|reader| at(reader) < at(3)));
    assert!((4..6).all(|reader| at(3) < at(reader) && at(reader) < at(6)));
}

#[test]
fn a_long_launch_keeps_no_other_from_starting() {
    for threads in [1, 2] {
        let bench = Bench::new(threads);
        let long = bench.launch(1_000_000, Memory::default(), |_| {
            thread::sleep(Duration::from_micros(100));
        });
        let also_long = bench.launch(1_000_000, Memory::default(), |_| {
            thread::sleep(Duration::from_micros(100));
        });
        for _ in 0..10 {
            bench.launch(1, Memory::default(), |_| ()).wait().unwrap();
        }
        assert!(!long.is_done() && !also_long.is_done());
        long.cancel();
        also_long.cancel();
        assert!(matches!(long.wait(), Err(Error::Cancelled { .. })));
        assert!(matches!(also_long.wait(), Err(Error::Cancelled { .. })));
    }
}

#[test]
fn launches_are_ordered_after_others_by_request() {
    let bench = Bench::new(2);
    let (open, first_done) = (Event::default(), Event::default());
    let (gate, done) = (open.clone(), first_done.clone());
    let first = bench.launch(1, Memory::default(), move |_| {
        gate.wait();
        done.happen();
    });
    let tickets = [first.ticket().unwrap()];
    let after = After {
        tickets: &tickets,
        queue: None,
    };
    let was_done = Event::default();
    let (seen, done) = (was_done.clone(), first_done.clone());
    let second = bench.launch_after(1, Memory::default(), after, move |_| {
        if done.happened() {
            seen.happen();
        }
    });
    thread::sleep(A_WHILE);
    open.happen();
    second.unwrap().wait().unwrap();
    assert!(was_done.happened());
    // After one that is done, and whose slot may serve another launch: at once.
    drop(first);
    let third = bench.launch_after(1, Memory::default(), after, |_| ());
    third.unwrap().wait().unwrap();
}

#[test]
fn host_access_waits_for_what_conflicts_only() {
    let bench = Bench::new(2);
    let mut buffer = bench.buffer(8);
    let open = Event::default();
    let gate = open.clone();
    let reader = bench.launch(1, reads(&buffer), move |_| gate.wait());
    assert_eq!(buffer.to_vec().unwrap(), [0; 8]);
    let (gate, wrote) = (open.clone(), Event::default());
    let write = wrote.clone();
    let (low, mut high) = buffer.split_at_mut(4).unwrap();
    let writer = bench.launch(1, writes(low), move |_| {
        gate.wait();
        thread::sleep(A_WHILE);
        write.happen();
    });
    drop(writer);
    // Nothing writes these, and `reader` reads them.
    assert_eq!(high.as_slice().to_vec().unwrap(), [0; 4]);
    assert!(!wrote.happened() && !reader.is_done());
    let opener = thread::spawn(move || {
        thread::sleep(A_WHILE);
        open.happen();
    });
    high.fill(1).unwrap();
    assert!(reader.is_done());
    assert_eq!(buffer.to_vec().unwrap(), [0, 0, 0, 0, 1, 1, 1, 1]);
    assert!(wrote.happened());
    opener.join().unwrap();
}

#[test]
fn a_long_chain_of_launches_is_no_long_wait() {
    let bench = Bench::new(2);
    let mut buffer = bench.buffer(1);
    let open = Event::default();
    let gate = open.clone();
    let count = Arc::new(AtomicUsize::new(0));
    drop(bench.launch(1, writes(&mut buffer), move |_| gate.wait()));
    let start = Instant::now();
    for id in 0..20_000 {
        let count = Arc::clone(&count);
        drop(bench.launch(1, writes(&mut buffer), move |_| {
            assert_eq!(count.fetch_add(1, Ordering::Relaxed), id);
        }));
    }
    open.happen();
    buffer.to_vec().unwrap();
    assert_eq!(count.load(Ordering::Relaxed), 20_000);
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
}
