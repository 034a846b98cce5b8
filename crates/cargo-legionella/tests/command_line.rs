//! What people type, from `new` to `bundle`, and what they read when it goes wrong.
//!
//! Programs are built unoptimised, into one target folder that all tests share.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

const LEGIONELLA: &str = env!("CARGO_BIN_EXE_cargo-legionella");

/// A command without what the surrounding cargo put into the environment.
fn command(program: impl AsRef<std::ffi::OsStr>, folder: &Path) -> Command {
    let mut command = Command::new(program);
    for (variable, _) in std::env::vars_os() {
        let name = variable.to_string_lossy().into_owned();
        let ours = ["CARGO_", "RUSTC", "RUSTFLAGS", "LEGIONELLA_"];
        if ours.iter().any(|prefix| name.starts_with(prefix)) && name != "CARGO_HOME" {
            command.env_remove(variable);
        }
    }
    command
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", target())
        .env("LEGIONELLA_CACHE", "off");
    command
}

fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("command")
}

fn legionella(folder: &Path, args: &[&str]) -> Output {
    let mut command = command(LEGIONELLA, folder);
    command.arg("legionella").args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What a command printed that must succeed.
fn good(output: Output) -> String {
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{stdout}\n{stderr}");
    stdout
}

/// What a command said that must fail, which never is a panic.
fn bad(output: Output) -> String {
    let stderr = text(&output.stderr);
    assert!(!output.status.success(), "{}", text(&output.stdout));
    assert!(!stderr.contains("panicked at"), "{stderr}");
    stderr
}

/// A project with three kernels, one of which no target can run; its executable is stripped.
fn project(name: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join(name);
    good(legionella(folder.path(), &["new", name]));
    fs::write(
        root.join("src/main.rs"),
        include_str!("command/main.rs.txt"),
    )
    .unwrap();
    let manifest = root.join("Cargo.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(manifest, text + "\n[profile.dev]\nstrip = true\n").unwrap();
    (folder, root)
}

#[test]
fn a_new_project_runs_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let told = good(legionella(folder.path(), &["new", "hello"]));
    assert!(told.contains("cd hello && cargo run"), "{told}");
    let root = folder.path().join("hello");
    let output = good(command("cargo", &root).arg("run").output().unwrap());
    assert_eq!(output.lines().count(), 31, "{output}");
    assert!(output.contains("@@@@@") && output.ends_with("drawn by accelerator `cpu`\n"));
    assert!(root.join(".gitignore").is_file());

    assert!(bad(legionella(folder.path(), &["new", "hello"])).contains("already exists"));
    assert!(bad(legionella(folder.path(), &["new", "3d"])).contains("digit"));
    let elsewhere = ["new", "other", "--path-to-legionella", "/"];
    assert!(bad(legionella(folder.path(), &elsewhere)).contains("does not hold"));
    assert!(!folder.path().join("other").exists());
}

#[test]
fn a_nightly_toolchain_builds_what_runs() {
    let installed = Command::new("rustup")
        .args(["run", "nightly", "rustc", "-V"])
        .output();
    if !installed.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: no nightly toolchain is installed");
        return;
    }
    let (_folder, root) = project("tonight");
    let nightly = |program: &str, args: &[&str]| {
        let mut command = command(program, &root);
        command.args(args).env("RUSTUP_TOOLCHAIN", "nightly");
        // The stable one that runs this test.
        command.env_remove("CARGO").env_remove("RUSTC");
        command.env("CARGO_TARGET_DIR", target().with_file_name("nightly"));
        good(command.output().unwrap())
    };
    let told = nightly(LEGIONELLA, &["legionella", "run"]);
    assert_eq!(told, "[2, 4, 6]\n");
    let program = target().with_file_name("nightly/debug/tonight");
    let program = program.to_str().unwrap();
    let listing = nightly(LEGIONELLA, &["legionella", "inspect", program, "--json"]);
    let listing: Value = serde_json::from_str(&listing).unwrap();
    let rustc = listing["rustc"].as_str().unwrap();
    assert!(rustc.contains("nightly"), "{rustc}");
}

#[test]
fn code_compiled_without_the_wrapper_is_refused_by_name() {
    let (_folder, root) = project("mixed");
    let library = root.join("libplain.rlib");
    fs::write(
        root.join("plain.rs"),
        "#[inline(never)] pub fn secret(x: u32) -> u32 { x.rotate_left(3) }",
    )
    .unwrap();
    let mut rustc = command("rustc", &root);
    rustc.args(["--edition=2024", "--crate-type=rlib", "plain.rs"]);
    good(rustc.output().unwrap());
    let main = r#"
use legionella::prelude::*;

fn reaches_out(at: Item, mut y: Disjoint<u32>) {
    if let Some(y) = y.at(&at) {
        *y = plain::secret(*y);
    }
}

fn main() -> legionella::Result<()> {
    let accelerator = Accelerator::by_name("cpu")?;
    let mut y = accelerator.upload(&[1, 2, 3])?;
    accelerator.launch(reaches_out, 3, (&mut y,))?.wait()
}
"#;
    fs::write(root.join("src/main.rs"), main).unwrap();
    let mut run = command(LEGIONELLA, &root);
    run.args(["legionella", "run"]);
    run.env("RUSTFLAGS", format!("--extern plain={}", library.display()));
    let refused = bad(run.output().unwrap());
    assert!(
        refused.contains("plain::secret") && refused.contains("cargo legionella build"),
        "{refused}"
    );
    assert!(refused.contains("mixed::reaches_out") && refused.contains("src/main.rs:6"));
}

#[test]
fn documentation_tests_are_told_that_they_cannot_launch() {
    let (_folder, root) = project("documented");
    let library = r#"
//! ```
//! use legionella::prelude::*;
//! let accelerator = Accelerator::by_name("cpu").unwrap();
//! let error = accelerator.launch(|_: Item| {}, 1, ()).and_then(|launch| launch.wait());
//! let text = error.unwrap_err().to_string();
//! assert!(text.contains("documentation tests can't launch"), "{text}");
//! assert!(text.contains("cargo legionella run"), "{text}");
//! ```
"#;
    fs::write(root.join("src/lib.rs"), library).unwrap();
    let told = good(legionella(&root, &["test", "--doc"]));
    assert!(told.contains("1 passed"), "{told}");
}

#[test]
fn an_existing_project_keeps_its_wrapper_and_its_comments() {
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &str| folder.path().join(path);
    for path in ["src", "member/src", ".cargo", "tools"] {
        fs::create_dir_all(at(path)).unwrap();
    }
    let package = |name: &str| format!("[package]\nname = \"{name}\"\nedition = \"2024\"\n");
    let root = package("app") + "[workspace]\nmembers = [\"member\"]\n";
    fs::write(at("Cargo.toml"), root).unwrap();
    fs::write(at("member/Cargo.toml"), package("member")).unwrap();
    fs::write(at("src/main.rs"), "fn main() { println!(\"ran\") }").unwrap();
    fs::write(at("member/src/lib.rs"), "").unwrap();
    let script = "#!/bin/sh\necho x >> \"$(dirname \"$0\")/calls\"\nexec \"$@\"\n";
    fs::write(at("tools/wrap"), script).unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(at("tools/wrap"), executable).unwrap();
    // The name that cargo used to have for the file, and still prefers.
    let before = "# ours\n[build]\nrustc-wrapper = \"tools/wrap\" # counts\n";
    fs::write(at(".cargo/config"), before).unwrap();

    good(legionella(&at("member"), &["init"]));
    let after = fs::read_to_string(at(".cargo/config")).unwrap();
    assert!(
        after.starts_with("# ours\n[build]\n") && after.contains(" # counts\n"),
        "{after}"
    );
    assert!(after.contains("cargo-legionella") && !at(".cargo/config.toml").exists());
    let again = good(legionella(folder.path(), &["init"]));
    assert!(again.contains("already"), "{again}");
    assert_eq!(fs::read_to_string(at(".cargo/config")).unwrap(), after);

    assert_eq!(
        good(command("cargo", folder.path()).arg("run").output().unwrap()),
        "ran\n"
    );
    assert!(
        at("tools/calls").is_file(),
        "the wrapper of before was not run"
    );

    let empty = tempfile::tempdir().unwrap();
    assert!(bad(legionella(empty.path(), &["init"])).contains("legionella new"));
}

#[test]
fn doctor_works_when_nothing_else_does() {
    let folder = tempfile::tempdir().unwrap();
    let report = good(legionella(folder.path(), &["doctor"]));
    assert!(
        report.contains("Programs can be built and run on the CPU here."),
        "{report}"
    );
    let report = good(legionella(folder.path(), &["doctor", "--json"]));
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["ready"], true);

    // ROCm's library without a device, as Debian's package `libhsa-runtime64-1` has it on machines like those of CI.
    let library = Path::new("/usr/lib/x86_64-linux-gnu/libhsa-runtime64.so.1");
    if library.exists() && !Path::new("/dev/kfd").exists() {
        let report = report.to_string();
        let expected = "libhsa-runtime64.so.1 finds no device: there is no /dev/kfd";
        assert!(report.contains(expected), "{report}");
    }

    let gone = folder.path().join("gone");
    fs::create_dir(&gone).unwrap();
    let script = "cd \"$1\" && rmdir \"$1\" && exec env -i PATH=/no/where RUSTC=/no/rustc \
                  LEGIONELLA_CACHE_SIZE=many LEGIONELLA_DRIVER=/bin/false \"$2\" legionella doctor";
    let mut shell = command("/bin/sh", folder.path());
    let output = shell
        .args(["-c", script, "sh"])
        .arg(&gone)
        .arg(LEGIONELLA)
        .output()
        .unwrap();
    let report = text(&output.stdout);
    let errors = bad(output);
    for what in [
        "cargo: not on PATH",
        "rustc: /no/rustc",
        "libLLVM",
        "can't be built",
        "`many`",
    ] {
        assert!(report.contains(what), "no {what} in {report}{errors}");
    }
}

#[test]
fn inspect_shows_kernels_and_their_stages() {
    let (_folder, root) = project("shown");
    good(legionella(&root, &["build"]));
    let file = target().join("debug/shown");
    let file = file.to_str().unwrap();
    let inspect = |args: &[&str]| legionella(&root, &[&["inspect", file], args].concat());

    let listing: Value = serde_json::from_str(&good(inspect(&["--json"]))).unwrap();
    let kernels = listing["kernels"].as_array().unwrap();
    assert_eq!(kernels.len(), 5);
    let named = |name: &str| {
        kernels
            .iter()
            .find(|kernel| kernel["name"] == name)
            .unwrap()
    };
    let double = named("shown::double");
    let types = |kernel: &Value| -> Vec<String> {
        let arguments = kernel["arguments"].as_array().unwrap();
        let ty = |argument: &Value| argument["type"].as_str().unwrap().to_owned();
        arguments.iter().map(ty).collect()
    };
    assert_eq!(types(double), ["&[u32]", "Disjoint<u32>"]);
    assert_eq!(double["arguments"][1]["offset"], 16);
    assert_eq!(double["source"], "src/main.rs:4");
    assert!(double["ir_instructions"].as_u64().unwrap() > 10);
    assert_eq!(types(named("shown::double_by"))[0], "(u8, f64)");
    assert!(good(inspect(&[])).contains("kernel 0: shown::"));

    let stage = |stage: &str| good(inspect(&["-k", "shown::double", "--stage", stage]));
    let (ir, lowered, optimized) = (stage("ir"), stage("lowered"), stage("optimized"));
    assert!(ir.contains("core9panicking") && !lowered.contains("personality"));
    assert!(optimized.contains("@legionella_run(") && !lowered.contains("@legionella_run("));
    let assembly = stage("asm");
    assert!(assembly.contains("legionella_run:") && !assembly.contains("@legionella_run("));
    let level = |cpu: &str| good(inspect(&["-k", "double_by", "-s", "asm", "-t", cpu]));
    if cfg!(target_arch = "x86_64") {
        assert!(level("cpu:x86-64-v3").contains("ymm") && !level("cpu:x86-64-v2").contains("ymm"));
    }

    remarks_are_at_lines_of_the_source(|kernel, more| {
        good(inspect(&[&["-k", kernel, "-s", "remarks"], more].concat()))
    });
    let regions = good(inspect(&["-k", "halvings", "-s", "regions"]));
    let at_line = |number: u32| {
        let place = format!("main.rs:{number}");
        regions.lines().filter(move |line| line.ends_with(&place))
    };
    let is_lane = |line: &str| line.trim_start().starts_with("lane");
    assert!(
        at_line(34).any(|line| is_lane(line) && line.contains("lshr")),
        "{regions}"
    );
    assert!(regions.contains("\n  strip "), "{regions}");

    let refused = bad(inspect(&["-k", "noisy", "-s", "asm"]));
    assert!(
        refused.contains("shown::noisy") && refused.contains("println"),
        "{refused}"
    );
    let several = bad(inspect(&["-k", "dou", "-s", "ir"]));
    assert!(several.contains("shown::double_by"), "{several}");
    assert!(bad(inspect(&["-s", "ir"])).contains("--kernel"));
    assert!(bad(inspect(&["-k", "none"])).contains("no kernel `none`"));
    assert!(bad(inspect(&["-k", "double", "-s", "ir", "-t", "gpu"])).contains("there are: cpu"));
    assert!(bad(inspect(&["-k", "double", "-s", "ptx"])).contains("optimized"));
    let other = |file: &str| bad(legionella(&root, &["inspect", file]));
    assert!(other("Cargo.toml").contains("not an ELF file"));
    assert!(other("no/such/file").contains("No such file"));
    assert!(other("/bin/sh").contains("without the wrapper"));
}

/// `inspect` gives the remarks on a kernel.
fn remarks_are_at_lines_of_the_source(inspect: impl Fn(&str, &[&str]) -> String) {
    let json = |kernel: &str| -> Vec<Value> {
        let seen: Value = serde_json::from_str(&inspect(kernel, &["--json"])).unwrap();
        seen["remarks"].as_array().unwrap().clone()
    };
    let starts = |remark: &Value, with: &str| remark["text"].as_str().unwrap().starts_with(with);
    let items = json("shown::double");
    let across = items.iter().find(|remark| !remark["subject"].is_null());
    assert!(starts(across.unwrap(), "vectorized loop"), "{items:?}");

    let tally = json("tally");
    let reason = tally
        .iter()
        .find(|remark| starts(remark, "loop not vectorized: "))
        .unwrap();
    let chain = reason["chain"].as_array().unwrap();
    let calls: Vec<_> = chain
        .iter()
        .map(|call| (call["function"].as_str().unwrap(), &call["source"]["line"]))
        .collect();
    assert_eq!(calls[0], ("shown::tally", &Value::from(21)));
    assert_eq!(calls[1], ("shown::add_all", &Value::from(25)));
    let text = inspect("tally", &[]);
    assert!(text.contains("25 |     for x in x {"), "{text}");
}

#[test]
fn prebuilt_code_needs_no_driver_where_it_fits() {
    let (_folder, root) = project("ready");
    let build = |args: &[&str]| good(legionella(&root, &[&["build"], args].concat()));
    let alone = || {
        let mut program = Command::new(target().join("debug/ready"));
        program.env_clear().env("LEGIONELLA_DRIVER", "/nonexistent");
        program.env("LEGIONELLA_CACHE", "off").output().unwrap()
    };
    build(&[]);
    assert!(bad(alone()).contains("not looked at, since LEGIONELLA_DRIVER names a driver"));
    let level = if cfg!(target_arch = "x86_64") {
        "cpu:x86-64-v2"
    } else {
        "cpu:generic"
    };
    build(&["--prebuild", level]);
    assert_eq!(good(alone()), "[2, 4, 6]\n");
    build(&["--prebuild=cpu"]);
    assert_eq!(good(alone()), "[2, 4, 6]\n");
    #[cfg(target_arch = "x86_64")]
    if !std::is_x86_feature_detected!("avx512f") {
        build(&["--prebuild", "cpu:x86-64-v4"]);
        assert!(bad(alone()).contains("not looked at, since LEGIONELLA_DRIVER names a driver"));
        let output = command(target().join("debug/ready"), &root)
            .output()
            .unwrap();
        assert_eq!(good(output), "[2, 4, 6]\n");
    }
    // The code is as old as what generated it.
    let sources = fs::read_to_string(target().join("debug/ready.d")).unwrap();
    assert!(
        sources.contains(&LEGIONELLA.replace(' ', "\\ ")),
        "{sources}"
    );
    let ran = good(legionella(&root, &["run", "--prebuild", level]));
    assert_eq!(ran, "[2, 4, 6]\n");
    assert_eq!(good(alone()), "[2, 4, 6]\n");
    build(&[]);
    assert!(bad(alone()).contains("not looked at, since LEGIONELLA_DRIVER names a driver"));

    let unknown = bad(legionella(&root, &["test", "--prebuild", "cpu,gpu:x"]));
    assert!(
        unknown.contains("no target `gpu`") && !unknown.contains("Compiling"),
        "{unknown}"
    );
    let unknown = bad(legionella(&root, &["run", "--prebuild", "cpu:zork"]));
    assert!(unknown.contains("no machine `zork`"), "{unknown}");
}

#[test]
fn kernels_of_shared_libraries_run_in_another_program() {
    let library = |name: &str, kernel: &str| {
        let (folder, root) = project(name);
        let source = format!(
            "use legionella::prelude::*;
            #[unsafe(no_mangle)]
            pub extern \"C\" fn answer(x: u32) -> u32 {{
                let accelerator = Accelerator::by_name(\"cpu\").unwrap();
                let mut y = accelerator.upload(&[x]).unwrap();
                let kernel = |at: Item, mut y: Disjoint<u32>| {{
                    if let Some(y) = y.at(&at) {{
                        *y {kernel};
                    }}
                }};
                accelerator.launch(kernel, 1, (&mut y,)).unwrap();
                y.to_vec().unwrap()[0]
            }}"
        );
        fs::write(root.join("src/lib.rs"), source).unwrap();
        let manifest = root.join("Cargo.toml");
        let text = fs::read_to_string(&manifest).unwrap();
        fs::write(&manifest, text + "\n[lib]\ncrate-type = [\"cdylib\"]\n").unwrap();
        good(legionella(&root, &["build", "--lib"]));
        (folder, target().join(format!("debug/lib{name}.so")))
    };
    let (_one, plus) = library("plus", "+= 1");
    let (_other, times) = library("times", "*= 2");

    // The program was not built by the wrapper and has no kernels of its own.
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("host.rs");
    fs::write(&source, include_str!("command/host.rs.txt")).unwrap();
    let mut rustc = command("rustc", folder.path());
    good(rustc.args(["--edition=2024", "host.rs"]).output().unwrap());
    let mut host = command(folder.path().join("host"), folder.path());
    let output = good(host.args([&plus, &times, &plus]).output().unwrap());
    assert_eq!(output, "21\n40\n21\n");
}

#[test]
fn a_bundle_runs_without_a_toolchain() {
    let (folder, root) = project("packed");
    let archive = folder.path().join("packed.tar");
    let told = good(legionella(
        &root,
        &["bundle", "--bin", "packed", "-o", archive.to_str().unwrap()],
    ));
    assert!(
        told.contains("tar xf packed.tar && packed/bin/packed"),
        "{told}"
    );
    let elsewhere = tempfile::tempdir().unwrap();
    let mut unpacked = tar::Archive::new(fs::File::open(&archive).unwrap());
    unpacked.unpack(elsewhere.path()).unwrap();
    drop(folder);

    // What was recorded when it was linked leads nowhere.
    let program = elsewhere.path().join("packed/bin/packed");
    let listing = good(legionella(
        elsewhere.path(),
        &["inspect", program.to_str().unwrap(), "--json"],
    ));
    let listing: Value = serde_json::from_str(&listing).unwrap();
    let mut bytes = fs::read(&program).unwrap();
    for recorded in ["sysroot", "driver"] {
        let path = listing[recorded].as_str().unwrap().as_bytes().to_vec();
        let places: Vec<usize> = (0..bytes.len() - path.len())
            .filter(|&at| bytes[at..].starts_with(&path))
            .collect();
        assert!(!places.is_empty());
        for at in places {
            bytes[at..at + path.len()].fill(b'/');
        }
    }
    fs::write(&program, bytes).unwrap();

    let run = || {
        let mut command = Command::new(&program);
        command.env_clear().env("HOME", elsewhere.path());
        command.current_dir(elsewhere.path()).output().unwrap()
    };
    assert_eq!(good(run()), "[2, 4, 6]\n");
    fs::remove_dir_all(elsewhere.path().join(".cache/legionella")).unwrap();
    fs::remove_dir_all(elsewhere.path().join("packed/lib")).unwrap();
    assert!(bad(run()).contains("no libLLVM found"));

    let library = bad(legionella(Path::new("/"), &["bundle"]));
    assert!(library.contains("Cargo.toml"), "{library}");
    let ending = bad(legionella(elsewhere.path(), &["bundle", "-o", "x.zip"]));
    assert!(ending.contains(".tar.xz"), "{ending}");
}
