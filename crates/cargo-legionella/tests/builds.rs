//! Projects of every kind, built through the wrapper: each image has a bundle, its launch sites
//! find their cells, and nothing else about the build changes.

mod project;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use project::{Project, assert_cells, sites};

/// Kernels of the fixture's program: `private`, `triple` (launched by three crates), `closure`.
const KERNELS: usize = 3;

fn names(project: &Project, file: &str) -> Vec<String> {
    let kernels = project.manifest(file).kernels;
    kernels.into_iter().map(|kernel| kernel.name).collect()
}

#[test]
fn every_kind_of_image() {
    let project = Project::new();
    let output = project.legionella(&["run"]);
    assert!(output.contains("bootstrap false"));
    assert_cells(&sites(&output), KERNELS);
    let names = names(&project, "debug/app");
    assert_eq!(names.len(), KERNELS);
    assert!(names.contains(&"launcher::triple".to_owned()), "{names:?}");
    assert!(names.contains(&"app::kernels::private".to_owned()));

    project.legionella(&["build", "--examples"]);
    assert_cells(&project.run("debug/examples/example"), KERNELS + 1);

    // The cdylib is an image of its own.
    assert_eq!(project.manifest("debug/libapp.so").kernels.len(), KERNELS);

    for (command, site) in [
        (vec!["test", "--lib"], "unit test"),
        (vec!["test", "--test", "integration"], "integration test"),
        (vec!["test", "--bench", "benchmark"], "benchmark"),
    ] {
        let mut command = command;
        command.extend(["--", "--nocapture"]);
        let output = project.legionella(&command);
        let line = output
            .lines()
            .find(|line| line.contains(site) && line.contains("LGNELLA"));
        assert!(line.is_some(), "{site}: {output}");
    }
    project.assert_tidy("debug/deps");
    project.assert_tidy("debug/examples");
}

#[test]
fn shared_library_of_another_program() {
    let project = Project::new();
    project.legionella(&["build", "--lib"]);
    let source = project.outside().join("host.rs");
    let host = project.outside().join("host");
    fs::write(
        &source,
        r#"
        use std::ffi::*;
        unsafe extern "C" {
            fn dlopen(path: *const c_char, flags: c_int) -> *mut c_void;
            fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
        }
        fn main() {
            let path = CString::new(std::env::args().nth(1).unwrap()).unwrap();
            unsafe {
                let library = dlopen(path.as_ptr(), 2);
                let symbol = dlsym(library, c"report_all".as_ptr());
                std::mem::transmute::<_, extern "C" fn()>(symbol)();
            }
        }
        "#,
    )
    .unwrap();
    let rustc = std::process::Command::new("rustc")
        .args(["--edition=2024", "-o"])
        .args([&host, &source])
        .status()
        .unwrap();
    assert!(rustc.success());
    let output = std::process::Command::new(host)
        .arg(project.path("target/debug/libapp.so"))
        .output()
        .unwrap();
    assert_cells(&sites(&String::from_utf8(output.stdout).unwrap()), KERNELS);
}

/// One release build with these settings of the profile.
fn release(settings: &[(&str, &str)]) {
    let mut project = Project::new();
    for (setting, value) in settings {
        project = project.set(&format!("CARGO_PROFILE_RELEASE_{setting}"), value);
    }
    project.legionella(&["build", "--release"]);
    assert_cells(&project.run("release/app"), KERNELS);
    assert_eq!(names(&project, "release/app").len(), KERNELS);
    project.assert_tidy("release/deps");
}

#[test]
fn release_build() {
    release(&[("CODEGEN_UNITS", "16")]);
}

#[test]
fn thin_lto_abort_one_unit() {
    release(&[("LTO", "thin"), ("PANIC", "abort"), ("CODEGEN_UNITS", "1")]);
}

#[test]
fn fat_lto_stripped() {
    release(&[("LTO", "fat"), ("STRIP", "true")]);
}

#[test]
fn no_lto_abort_stripped() {
    release(&[("LTO", "off"), ("PANIC", "abort"), ("STRIP", "true")]);
}

#[test]
fn linker_does_lto() {
    let flags = "-Clinker-plugin-lto";
    let project = Project::new()
        .set("RUSTFLAGS", flags)
        .set("CARGO_PROFILE_RELEASE_STRIP", "true");
    project.legionella(&["build", "--release"]);
    assert_cells(&project.run("release/app"), KERNELS);
}

#[test]
fn incremental_builds_keep_up_with_edits() {
    for (profile, folder) in [("dev", "debug"), ("release", "release")] {
        let project = Project::new().set("CARGO_INCREMENTAL", "1");
        let build = ["build", "--profile", profile];
        let image = format!("{folder}/app");
        project.legionella(&build);
        let first = project.module_hash(&image);

        // What an edited kernel calls is in a codegen unit of its own, perhaps.
        project.edit("app/src/lib.rs", "x.rotate_left", "!x.rotate_left");
        project.legionella(&build);
        let second = project.module_hash(&image);
        assert_ne!(first, second);

        // A mistake must not cost the cache, nor leave an old kernel.
        project.edit("app/src/lib.rs", "x ^ 0x55", "x ^ mistake");
        assert!(!project.try_legionella(&build).status.success());
        project.edit("app/src/lib.rs", "x ^ mistake", "x ^ 0x55");
        project.edit("app/src/lib.rs", "!x.rotate_left", "x.rotate_left");
        project.legionella(&build);
        assert_eq!(project.module_hash(&image), first);

        // One more kernel.
        project.edit(
            "app/src/lib.rs",
            "report(\"closure\"",
            "report(\"more\", |x| x + 5); report(\"closure\"",
        );
        project.legionella(&build);
        assert_cells(&project.run(&image), KERNELS + 1);

        // A store that is lost is made anew.
        let deps = format!("{folder}/deps");
        for store in project.list(&deps) {
            if store.starts_with("libapp") && store.ends_with(".legionella") {
                fs::remove_dir_all(project.path("target").join(&deps).join(store)).unwrap();
            }
        }
        project.edit("app/src/lib.rs", "x + 5", "x + 6");
        project.legionella(&build);
        assert_cells(&project.run(&image), KERNELS + 1);
        project.assert_tidy(&deps);
    }
}

#[test]
fn paths_with_spaces() {
    let project = Project::named("a project, with spaces");
    let output = project.legionella(&["run"]);
    assert_cells(&sites(&output), KERNELS);
    assert!(output.contains("bootstrap false"));
    let sources = project.list("debug/deps");
    let sources = sources.iter().filter(|name| name.ends_with(".d"));
    for name in sources {
        let text = fs::read_to_string(project.path("target/debug/deps").join(name)).unwrap();
        assert!(!text.contains("legionella.tmp"), "{text}");
    }
    // Nothing has changed, so nothing is built.
    let again = project.try_legionella(&["build", "-v"]);
    assert!(!String::from_utf8_lossy(&again.stderr).contains("Running"));
}

#[test]
fn linker_of_the_user() {
    let project = Project::new();
    let linker = script(
        &project,
        "my-gcc",
        "echo linked >> \"$(dirname \"$0\")/log\"; exec cc \"$@\"",
    );
    let project = project.set("RUSTFLAGS", format!("-Clinker={linker}"));
    assert_cells(&sites(&project.legionella(&["run"])), KERNELS);
    let log = fs::read_to_string(project.outside().join("log")).unwrap();
    assert!(log.contains("linked"));
}

#[test]
fn wrapper_of_the_user() {
    let project = Project::new();
    let wrapper = script(
        &project,
        "wrap",
        "echo \"$CARGO_CRATE_NAME\" >> \"$(dirname \"$0\")/log\"; exec \"$@\"",
    );
    let project = project.set("RUSTC_WRAPPER", wrapper);
    assert_cells(&sites(&project.legionella(&["run"])), KERNELS);
    let log = fs::read_to_string(project.outside().join("log")).unwrap();
    for name in ["launcher", "macros", "app", "build_script_build"] {
        assert!(log.lines().any(|line| line == name), "{name}: {log}");
    }
}

/// A caching wrapper gives outputs without running the compiler, and so without bitcode.
#[test]
fn caching_wrapper_of_the_user() {
    let project = Project::new();
    let without_bitcode = r#"
        for arg in "$@"; do
            shift
            case "$arg" in -Csave-temps) ;; *) set -- "$@" "$arg" ;; esac
        done
        exec "$@"
    "#;
    let wrapper = script(&project, "cache", without_bitcode);
    let configuration = format!("[build]\nrustc-wrapper = \"{wrapper}\"\n");
    fs::create_dir(project.path(".cargo")).unwrap();
    project.write(".cargo/config.toml", &configuration);
    assert_cells(&sites(&project.legionella(&["run"])), KERNELS);
}

#[test]
fn plain_cargo_beside_the_wrapper() {
    let project = Project::new();
    project.cargo(&["build"]);
    assert!(
        project
            .run("debug/app")
            .values()
            .all(|found| found == &["none"])
    );
    project.legionella(&["build"]);
    assert_cells(&project.run("debug/app"), KERNELS);
    project.cargo(&["build"]);
    assert!(
        project
            .run("debug/app")
            .values()
            .all(|found| found == &["none"])
    );
}

#[test]
fn code_ahead_of_time_links_again() {
    let project = Project::new();
    project.legionella(&["build"]);
    assert!(project.manifest("debug/app").prebuilt.is_empty());
    let project = project.set("LEGIONELLA_PREBUILD", "no-such-target");
    let output = project.try_legionella(&["build"]);
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("no-such-target"), "{text}");
}

/// Crates whose build scripts try the compiler for nightly features find what they find without
/// the wrapper.
#[test]
fn probes_find_the_same() {
    let project = Project::new();
    let manifest = fs::read_to_string(project.path("app/Cargo.toml")).unwrap();
    let probing = "anyhow = \"1\"\nproc-macro2 = \"1\"\nthiserror = \"2\"\nserde = \"1\"\n";
    project.write("app/Cargo.toml", &(manifest + probing));
    let found = |project: &Project| {
        let mut found = Vec::new();
        for name in project.list("debug/build") {
            let output = project
                .path("target/debug/build")
                .join(&name)
                .join("output");
            if let Ok(text) = fs::read_to_string(output) {
                let krate = name
                    .rsplit_once('-')
                    .map_or("", |(krate, _)| krate)
                    .to_owned();
                let lines = text.lines().filter(|line| line.contains("cfg"));
                found.push((krate, lines.map(str::to_owned).collect::<Vec<_>>()));
            }
        }
        fs::remove_dir_all(project.path("target")).unwrap();
        found
    };
    project.cargo(&["build"]);
    let plain = found(&project);
    assert!(plain.iter().any(|(krate, _)| krate == "anyhow"));
    project.legionella(&["build"]);
    assert_eq!(found(&project), plain);
}

#[test]
fn check_is_left_alone() {
    let project = Project::new().set("RUSTC_WRAPPER", env!("CARGO_BIN_EXE_cargo-legionella"));
    project.cargo(&["check"]);
    let names = project.list("debug/deps");
    assert!(!names.iter().any(|name| name.ends_with(".legionella")));
}

fn script(project: &Project, name: &str, text: &str) -> String {
    let path = project.outside().join(name);
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}
