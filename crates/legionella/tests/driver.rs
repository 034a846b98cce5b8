//! The driver process as the application sees it: found, started, reused, ended, and every way in
//! which it can fail.

mod fake;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Stdio;
use std::time::{Duration, Instant};

use fake::{World, again, eventually, given_world, obtain, right, runs};
use legionella::code::{Client, Error, Settings};

#[test]
fn one_driver_serves_all_kernels_and_is_sent_the_image_once() {
    let world = World::new();
    let client = world.client();
    let program = world.program("ready", &["code.a", "code.b", "code.c"]);
    for (index, entry) in ["code.a", "code.b", "code.c"].iter().enumerate() {
        let code = obtain(&client, &program.kernel(index)).unwrap();
        assert_eq!(code, right(entry));
    }
    assert_eq!((world.count("start"), world.count("image")), (1, 1));
    assert_eq!(world.count("generate"), 3);
    drop(client);
    let driver = &world.noted("start")[0];
    eventually("the driver ends with its client", || !runs(driver));
}

/// Long enough for what works on a busy machine, short enough to wait for what hangs.
const LIMIT: Duration = Duration::from_millis(1500);

/// After `entry` failed, a new driver generates another kernel.
fn fails_and_recovers(entry: &str, settings: impl FnOnce(&mut Settings)) -> Error {
    let world = World::new();
    let mut own = world.settings();
    settings(&mut own);
    let client = Client::new(own);
    let error = obtain(&client, &world.kernel(entry)).unwrap_err();
    let after = obtain(&client, &world.kernel("code.after")).unwrap();
    assert_eq!(after, right("code.after"));
    let drivers = world.noted("start");
    assert_eq!(drivers.len(), 2, "{entry}: a new driver was started");
    assert!(!runs(&drivers[0]), "{entry}: the failed driver was ended");
    for child in world.noted("child") {
        eventually("what the driver started is ended too", || !runs(&child));
    }
    error
}

#[test]
fn a_driver_that_aborts_is_an_error_with_its_log() {
    let error = fails_and_recovers("die.x", |_| ());
    let text = error.to_string();
    let Error::DriverDied {
        kernel, how, log, ..
    } = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(kernel, "app::die.x");
    assert!(how.contains("signal 6"), "{how}");
    assert_eq!(log, "LLVM ERROR: Cannot select: intrinsic %llvm.nonsense");
    assert!(
        text.contains("app::die.x") && text.contains("Cannot select"),
        "{text}"
    );
}

#[test]
fn a_driver_that_hangs_is_ended_with_all_that_it_started() {
    let since = Instant::now();
    let error = fails_and_recovers("hang.x", |own| own.timeout = LIMIT);
    assert!(since.elapsed() < Duration::from_secs(15));
    let Error::DriverTimedOut { limit, log, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(*limit, LIMIT);
    assert_eq!(log, "optimising for ever");
    let text = error.to_string();
    assert!(
        text.contains("1.5 s") && text.contains("LEGIONELLA_TIMEOUT"),
        "{text}"
    );
}

#[test]
fn every_kind_of_nonsense_is_an_error() {
    for (entry, expected) in [
        ("garble.x", "it sent what is not a message"),
        ("absurd.x", "it sent a message of absurd length"),
        ("partial.x", "it ended with exit status: 0"),
        ("other.x", "it answered another question"),
        ("close.x", "it closed its output"),
    ] {
        match fails_and_recovers(entry, |_| ()) {
            Error::DriverDied { how, .. } => assert!(how.contains(expected), "{entry}: {how}"),
            other => panic!("{entry}: {other:?}"),
        }
    }
}

#[test]
fn an_answer_too_many_fails_the_next_request_not_this_one() {
    let world = World::new();
    let client = world.client();
    let code = obtain(&client, &world.kernel("twice.x")).unwrap();
    assert_eq!(code, right("twice.x"));
    let error = obtain(&client, &world.kernel("code.x")).unwrap_err();
    assert!(
        error.to_string().contains("more than one message"),
        "{error}"
    );
    obtain(&client, &world.kernel("code.x")).unwrap();
}

#[test]
fn a_driver_killed_while_it_works_is_an_error_and_the_same_kernel_works_next() {
    let world = World::new();
    let client = world.client();
    let kernel = world.kernel("slow.x");
    std::thread::scope(|scope| {
        let launch = scope.spawn(|| obtain(&client, &kernel));
        eventually("generation starts", || world.count("generate") == 1);
        kill(&world.noted("start")[0]);
        let error = launch.join().unwrap().unwrap_err();
        assert!(error.to_string().contains("killed (signal 9)"), "{error}");
    });
    obtain(&client, &kernel).unwrap();
    let client = world.client();
    let kernel = world.kernel("dieonce.x");
    let _ = fs::remove_file(world.log());
    obtain(&client, &kernel).unwrap_err();
    obtain(&client, &kernel).unwrap();
}

#[test]
fn a_driver_that_ends_between_requests_is_replaced_silently() {
    let world = World::new();
    let client = world.client();
    obtain(&client, &world.kernel("last.x")).unwrap();
    let first = world.noted("start")[0].clone();
    eventually("the driver ended by itself", || !runs(&first));
    obtain(&client, &world.kernel("code.x")).unwrap();
    let second = world.noted("start")[1].clone();
    kill(&second);
    eventually("the driver was killed", || !runs(&second));
    obtain(&client, &world.kernel("code.y")).unwrap();
    assert_eq!(world.count("start"), 3);
}

#[test]
fn refusals_and_failures_leave_the_driver_running() {
    let world = World::new();
    let client = world.client();
    let error = obtain(&client, &world.kernel("refuse.x")).unwrap_err();
    let text = error.report(false);
    assert_eq!(text, error.to_string());
    assert!(
        text.contains("2 things") && text.contains("error: inline assembly: two"),
        "{text}"
    );
    assert!(error.report(true).contains("\u{1b}["));
    let Error::Refused { diagnostics, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!(
        diagnostics,
        [fake::diagnostic("one"), fake::diagnostic("two")]
    );
    let error = obtain(&client, &world.kernel("fail.x")).unwrap_err();
    assert!(
        error.to_string().contains("the linker is missing"),
        "{error}"
    );
    obtain(&client, &world.kernel("code.x")).unwrap();
    assert_eq!(world.count("start"), 1);
}

#[test]
fn a_full_standard_error_blocks_nobody_and_the_log_is_bounded() {
    let world = World::new();
    let client = world.client();
    obtain(&client, &world.kernel("noisy.x")).unwrap();
    let error = obtain(&client, &world.kernel("die.x")).unwrap_err();
    let Error::DriverDied { log, .. } = error else {
        panic!("{error:?}");
    };
    assert!(log.len() <= 16 << 10);
    assert!(log.starts_with("oise ") || log.contains("noise"));
    assert!(log.ends_with("%llvm.nonsense"));
}

#[test]
fn a_driver_that_does_not_start_says_why() {
    let start = |start| {
        let world = World::new();
        let mut settings = world.settings();
        if matches!(start, "hang" | "deaf") {
            settings.timeout = LIMIT;
        }
        let program = world.program(start, &["code.x"]);
        let error = obtain(&Client::new(settings), &program.kernel(0)).unwrap_err();
        let driver = world.noted("start");
        assert!(driver.iter().all(|driver| !runs(driver)));
        error
    };
    let error = start("newer");
    assert!(matches!(error, Error::VersionMismatch { theirs, ours, .. } if theirs == ours + 1));
    assert!(error.to_string().contains("same release"), "{error}");
    let error = start("no-llvm");
    assert!(matches!(&error, Error::NotStarted { reason, .. } if reason.contains("no libLLVM")));
    let error = start("die");
    assert!(error.to_string().contains("127"), "{error}");
    assert!(
        error.to_string().contains("loading shared libraries"),
        "{error}"
    );
    assert!(matches!(start("shell"), Error::DriverDied { .. }));
    assert!(matches!(start("hang"), Error::DriverTimedOut { .. }));
    let error = start("deaf");
    assert!(
        matches!(error, Error::DriverTimedOut { .. }),
        "an image that is never read: {error:?}"
    );
}

#[test]
fn a_file_that_is_no_program_is_an_error() {
    let world = World::new();
    let text = world.folder.path().join("text");
    fs::write(&text, "not a program").unwrap();
    fs::set_permissions(&text, fs::Permissions::from_mode(0o755)).unwrap();
    let mut settings = world.settings();
    settings.driver = Some(text);
    let error = obtain(&Client::new(settings), &world.kernel("code.x")).unwrap_err();
    assert!(matches!(error, Error::NotStarted { .. }), "{error:?}");
}

#[test]
fn four_places_are_searched_in_order() {
    let world = World::new();
    let exe = std::env::current_exe().unwrap();
    let place = |name: &str| {
        let folder = world.folder.path().join(name);
        fs::create_dir(&folder).unwrap();
        symlink(&exe, folder.join("legionella-driver")).unwrap();
        folder
    };
    let (named, beside, recorded, path) = (
        place("named"),
        place("beside"),
        place("recorded"),
        place("path"),
    );
    let driver = |folder: &std::path::Path| folder.join("legionella-driver");
    let mut program = world.program("fail-is-in-the-kernel", &["fail.x"]);
    program.manifest.toolchain.sysroot = format!("die:{}", world.log().display());
    program.manifest.driver = driver(&recorded).to_str().unwrap().to_owned();
    let kernel = program.kernel(0);
    let mut settings = world.settings();
    settings.cache = None;
    settings.driver = Some(driver(&named));
    settings.beside = Some(beside.clone());
    settings.path = Some(std::env::join_paths([world.folder.path(), &path]).unwrap());
    let used = |settings: &Settings| match obtain(&Client::new(settings.clone()), &kernel) {
        Err(Error::NotStarted { driver, .. }) => driver,
        other => panic!("{other:?}"),
    };
    assert_eq!(used(&settings), driver(&named));
    settings.driver = None;
    assert_eq!(used(&settings), driver(&beside));
    fs::remove_file(driver(&beside)).unwrap();
    assert_eq!(used(&settings), driver(&recorded));
    fs::remove_file(driver(&recorded)).unwrap();
    assert_eq!(used(&settings), driver(&path));
    fs::write(driver(&beside), "not executable").unwrap();
    fs::remove_file(driver(&path)).unwrap();

    let error = obtain(&Client::new(settings.clone()), &kernel).unwrap_err();
    let text = error.to_string();
    let Error::NoDriver { searched, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!(searched.len(), 4);
    for expected in [
        "1. LEGIONELLA_DRIVER: not set".to_owned(),
        format!(
            "2. beside the executable: {}: not executable",
            driver(&beside).display()
        ),
        format!(
            "when the program was linked: {}: no such file",
            driver(&recorded).display()
        ),
        "4. PATH: no `legionella-driver` in any of its 2 folders".to_owned(),
        "cargo install cargo-legionella".to_owned(),
    ] {
        assert!(text.contains(&expected), "{expected}\nin\n{text}");
    }

    symlink(&exe, driver(&path)).unwrap();
    settings.driver = Some("/no/such/driver".into());
    let error = obtain(&Client::new(settings), &kernel)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("LEGIONELLA_DRIVER: /no/such/driver: no such file"),
        "{error}"
    );
    assert!(error.contains("4. PATH: not looked at"), "{error}");
}

#[test]
fn a_driver_ends_with_an_application_that_is_killed() {
    let world = World::new();
    let mut application = again("an_application_that_stays", &world)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually("code is generated", || world.count("generate") == 1);
    let driver = world.noted("start")[0].clone();
    assert!(runs(&driver));
    application.kill().unwrap();
    application.wait().unwrap();
    eventually("the driver ends", || {
        !runs(&driver) && world.count("end") == 1
    });
}

#[test]
#[ignore = "run by a_driver_ends_with_an_application_that_is_killed"]
fn an_application_that_stays() {
    let Some(folder) = given_world() else { return };
    let world = World {
        folder: tempfile::tempdir().unwrap(),
    };
    let program = fake::Program::new(format!("ready:{}/log", folder.display()), &["code.x"]);
    let client = world.client();
    obtain(&client, &program.kernel(0)).unwrap();
    std::thread::sleep(Duration::from_secs(1000));
}

#[test]
fn a_fork_of_the_application_starts_its_own_driver_and_spares_the_first() {
    let world = World::new();
    let application = again("an_application_that_forks", &world).status().unwrap();
    assert!(application.success());
    assert_eq!(world.noted("generate"), ["code.a", "code.b", "code.c"]);
    assert_eq!((world.count("start"), world.count("image")), (2, 2));
}

#[test]
#[ignore = "run by a_fork_of_the_application_starts_its_own_driver_and_spares_the_first"]
fn an_application_that_forks() {
    let Some(folder) = given_world() else { return };
    let world = World::new();
    let client = world.client();
    let log = folder.join("log");
    let sysroot = format!("ready:{}", log.display());
    let program = fake::Program::new(sysroot, &["code.a", "code.b", "code.c"]);
    let kernels = [0, 1, 2].map(|index| program.kernel(index));
    obtain(&client, &kernels[0]).unwrap();
    // SAFETY: no other thread holds a lock that the fork takes.
    let fork = unsafe { libc::fork() };
    if fork == 0 {
        let failed = obtain(&client, &kernels[1]).is_err();
        drop(client);
        // SAFETY: ends the fork without what this process would do at its end.
        unsafe { libc::_exit(failed.into()) };
    }
    let mut status = -1;
    // SAFETY: a place for the status of the fork.
    unsafe { libc::waitpid(fork, &mut status, 0) };
    assert_eq!(status, 0);
    obtain(&client, &kernels[2]).unwrap();
}

fn kill(pid: &str) {
    let pid = pid.parse().unwrap();
    // SAFETY: a driver that this test's client started.
    let killed = unsafe { libc::kill(pid, libc::SIGKILL) };
    assert_eq!(killed, 0);
}
