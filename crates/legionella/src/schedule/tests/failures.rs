//! Panics, cancellation, and who is told.

use super::*;

fn panics(group: &Group) {
    if group.index % 10 == 3 {
        group.panic("three is too many");
    }
}

#[test]
fn a_panic_is_an_error_and_the_other_groups_run() {
    let bench = Bench::new(3);
    let counts: Arc<[AtomicUsize]> = (0..1000).map(|_| AtomicUsize::new(0)).collect();
    let counted = Arc::clone(&counts);
    let launch = bench.launch(1000, Memory::default(), move |group| {
        panics(group);
        counted[group.index as usize].fetch_add(1, Ordering::Relaxed);
    });
    for _ in 0..2 {
        let Err(Error::KernelPanicked {
            kernel,
            message,
            source_location,
            item,
        }) = launch.wait()
        else {
            panic!("no panic");
        };
        assert_eq!((&*kernel, &*message), ("test", "three is too many"));
        assert_eq!(source_location.to_string(), "kernel.rs:7:9");
        assert_eq!(item[0] % 10, 3);
    }
    for (index, count) in counts.iter().enumerate() {
        assert_eq!(count.load(Ordering::Relaxed), usize::from(index % 10 != 3));
    }
    bench.launch(1, Memory::default(), |_| ()).wait().unwrap();
}

#[test]
fn a_failure_nobody_waited_for_is_reported_once_by_what_was_written() {
    let bench = Bench::new(2);
    let (mut written, read) = (bench.buffer(4), bench.buffer(4));
    let memory = Memory {
        read: Some(read.as_slice()),
        write: Some(written.as_slice_mut()),
    };
    drop(bench.launch(4, memory, panics));
    assert!(matches!(
        written.to_vec(),
        Err(Error::KernelPanicked { .. })
    ));
    assert_eq!(written.to_vec().unwrap(), [0; 4]);
    read.to_vec().unwrap();

    let launch = bench.launch(4, writes(&mut written), panics);
    launch.wait().unwrap_err();
    written.to_vec().unwrap();

    let launch = bench.launch(4, writes(&mut written), panics);
    written.fill(1).unwrap_err();
    launch.wait().unwrap_err();
    written.fill(1).unwrap();
}

#[test]
fn a_queue_runs_in_order_and_reports_what_nobody_was_told() {
    let bench = Bench::new(2);
    let failures = Arc::new(crate::schedule::hazards::FailureLog::default());
    let next = Arc::new(AtomicUsize::new(0));
    let mut last: Option<Completion> = None;
    for id in 0..100 {
        let tickets: Vec<_> = last.iter().filter_map(Completion::ticket).collect();
        let after = After {
            tickets: &tickets,
            queue: Some(&failures),
        };
        let next = Arc::clone(&next);
        let launch = bench.launch_after(1, Memory::default(), after, move |group| {
            let expected = next.fetch_add(1, Ordering::Relaxed) == id;
            if !expected || id == 50 {
                group.panic(if expected { "fifty" } else { "out of order" });
            }
        });
        last = Some(launch.unwrap());
    }
    last.unwrap().wait().unwrap();
    let Err(Error::KernelPanicked { message, .. }) = failures.report() else {
        panic!("no panic");
    };
    assert_eq!(message, "fifty");
    failures.report().unwrap();
}

#[test]
fn a_cancelled_launch_starts_nothing_more_and_is_followed_by_others() {
    let bench = Bench::new(1);
    let mut buffer = bench.buffer(1);
    let (open, started) = (Event::default(), Event::default());
    let (gate, start) = (open.clone(), started.clone());
    let running = bench.launch(1, writes(&mut buffer), move |_| {
        start.happen();
        gate.wait();
    });
    started.wait();
    let pending = bench.launch(1, writes(&mut buffer), |_| unreachable!());
    let ran = Event::default();
    let run = ran.clone();
    let last = bench.launch(1, writes(&mut buffer), move |_| run.happen());
    pending.cancel();
    assert!(!pending.is_done());
    // All of it had been started.
    running.cancel();
    open.happen();
    running.wait().unwrap();
    assert!(matches!(pending.wait(), Err(Error::Cancelled { .. })));
    last.wait().unwrap();
    assert!(ran.happened());
    last.cancel();
    last.wait().unwrap();
}

#[test]
fn a_buffer_of_another_accelerator_is_refused() {
    let (here, there) = (Bench::new(1), Bench::new(1));
    let buffer = there.buffer(1);
    let launch = here.launch_after(1, reads(&buffer), After::default(), |_| unreachable!());
    assert!(matches!(launch, Err(Error::WrongAccelerator { .. })));
    let mut copy = here.buffer(1);
    copy.copy_from(&buffer).unwrap();
    here.launch(1, reads(&copy), |_| ()).wait().unwrap();
}
