//! What a user sees and sets: progress on a terminal, the log, the environment.

mod fake;

use std::fs::File;
use std::io::Read;
use std::os::fd::FromRawFd;
use std::process::Stdio;

use fake::{World, again, code_of, given_world, target};
use legionella::code::{self, Error, Machine};

#[test]
fn generation_over_a_second_shows_on_a_terminal_and_nowhere_else() {
    let world = World::new();
    let (mut terminal, child_side) = terminal();
    let mut child = again("one_kernel", &world)
        .env("KERNEL", "slower.x")
        .env("TERM", "xterm")
        .stderr(Stdio::from(child_side))
        .spawn()
        .unwrap();
    let mut shown = Vec::new();
    let mut chunk = [0; 4096];
    // Reading fails when the last program on the terminal is gone.
    while let Ok(count @ 1..) = terminal.read(&mut chunk) {
        shown.extend_from_slice(&chunk[..count]);
    }
    assert!(child.wait().unwrap().success());
    let shown = String::from_utf8_lossy(&shown);
    assert!(
        shown.contains("generating code of kernel app::slower.x"),
        "{shown:?}"
    );

    for (kernel, term) in [("slower.y", "xterm"), ("code.z", "xterm")] {
        let output = again("one_kernel", &world)
            .env("KERNEL", kernel)
            .env("TERM", term)
            .output()
            .unwrap();
        assert!(output.status.success());
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    }
}

/// Both sides of a pseudo-terminal.
fn terminal() -> (File, File) {
    let (mut ours, mut theirs) = (0, 0);
    // SAFETY: places for two descriptors; no name, no settings.
    let opened = unsafe {
        libc::openpty(
            &mut ours,
            &mut theirs,
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
        )
    };
    assert_eq!(opened, 0);
    // SAFETY: new descriptors that nothing else owns.
    unsafe { (File::from_raw_fd(ours), File::from_raw_fd(theirs)) }
}

#[test]
fn a_broken_cache_is_logged_once_and_only_on_request() {
    let run = |log: Option<&str>| {
        let world = World::new();
        std::fs::write(world.cache(), "a file where the folder should be").unwrap();
        let mut command = again("three_kernels", &world);
        command.env_remove("LEGIONELLA_LOG");
        if let Some(log) = log {
            command.env("LEGIONELLA_LOG", log);
        }
        let output = command.output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(run(None), "");
    let log = run(Some("warn"));
    assert_eq!(log.matches("LEGIONELLA_CACHE").count(), 1, "{log}");
    assert_eq!(log.lines().count(), 1, "{log}");
    let log = run(Some("legionella=debug"));
    assert!(
        log.contains("driver is ready") && log.contains("generated code"),
        "{log}"
    );
    assert!(log.contains("app::code.a"), "{log}");
}

#[test]
fn nonsense_in_the_environment_is_an_error_that_names_the_variable() {
    for (variable, value) in [
        ("LEGIONELLA_TIMEOUT", "soon"),
        ("LEGIONELLA_LOG", "l=o=u=d"),
    ] {
        let world = World::new();
        let status = again("a_setting_is_refused", &world)
            .env(variable, value)
            .env("VARIABLE", variable)
            .status()
            .unwrap();
        assert!(status.success());
    }
}

#[test]
#[ignore = "a process that other tests start"]
fn one_kernel() {
    if given_world().is_some() {
        generate(&[&std::env::var("KERNEL").unwrap()]).unwrap();
    }
}

#[test]
#[ignore = "a process that other tests start"]
fn three_kernels() {
    if given_world().is_some() {
        generate(&["code.a", "code.b", "code.c"]).unwrap();
    }
}

#[test]
#[ignore = "a process that other tests start"]
fn a_setting_is_refused() {
    if given_world().is_some() {
        let error = generate(&["code.a"]).unwrap_err();
        let named = std::env::var("VARIABLE").unwrap();
        assert!(matches!(error, Error::Setting { variable, .. } if variable == named));
    }
}

/// Obtains kernels as an application does, with the environment that [`again`] set.
fn generate(entries: &[&str]) -> Result<(), Error> {
    code::initialise_log()?;
    let log = given_world().unwrap().join("log");
    let program = fake::Program::new(format!("ready:{}", log.display()), entries);
    for (index, entry) in entries.iter().enumerate() {
        let code = code::obtain(&program.kernel(index), &target(""), Machine::host())?;
        assert_eq!(code[..], code_of(entry, &target("")));
    }
    Ok(())
}
