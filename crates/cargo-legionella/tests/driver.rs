//! The driver as the process that it is.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A driver that is busy forever: it loads its LLVM from a pipe that nobody writes to.
fn busy(folder: &std::path::Path) -> Child {
    let pipe = folder.join("libLLVM.so");
    let name = CString::new(pipe.as_os_str().as_bytes()).unwrap();
    // SAFETY: a terminated string.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    Command::new(env!("CARGO_BIN_EXE_legionella-driver"))
        .env("LEGIONELLA_LLVM", pipe)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn ended_within(driver: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let since = Instant::now();
    while since.elapsed() < limit {
        if let Some(status) = driver.try_wait().unwrap() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    None
}

#[test]
fn ends_with_its_application_even_if_it_is_busy() {
    let folder = tempfile::tempdir().unwrap();
    let mut driver = busy(folder.path());
    assert_eq!(ended_within(&mut driver, Duration::from_millis(300)), None);
    // What the system does for an application that is gone.
    drop((driver.stdin.take(), driver.stdout.take()));
    let status = ended_within(&mut driver, Duration::from_secs(20));
    if status.is_none() {
        driver.kill().unwrap();
    }
    assert!(status.is_some(), "the driver went on");
}
